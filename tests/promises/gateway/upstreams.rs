//! Backends as a platform team meets them: slow, many, sick, gone and back. Whatever becomes of an
//! attempt, a client gets one whole answer or a refusal.

mod addresses;
mod failures;
mod protocols;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::backend::{Backend, Reply, json};
use super::stage::Stage;
use super::{FOR_COURIER, TESTINA};

/// Longest that a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// A gateway whose one backend has these settings besides its address.
async fn with(settings: &str) -> Stage {
    with_rules(RULES, settings).await
}

async fn with_rules(rules: &str, settings: &str) -> Stage {
    let stage = Stage::embedded(rules, &[]).await;
    stage.edit("tamis.yaml", "response_timeout: 300ms, breaker: off", settings);
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["settings"], vec![]));
    stage
}

/// A gateway whose backend has so many addresses and these settings. Where its URL leads nobody looks.
async fn behind<const N: usize>(settings: &str) -> (Stage, [Backend; N]) {
    behind_rules(RULES, settings).await
}

async fn behind_rules<const N: usize>(rules: &str, settings: &str) -> (Stage, [Backend; N]) {
    let mut backends = Vec::new();
    for _ in 0..N {
        backends.push(Backend::start().await);
    }
    let at: Vec<String> = backends.iter().map(|backend| backend.address.to_string()).collect();
    let settings = format!("response_timeout: 5s, addresses: {at:?}, {settings}");
    let stage = with_rules(rules, &settings).await;
    (stage, backends.try_into().unwrap_or_else(|_| panic!("as many as were asked for")))
}

/// Waits until something holds that is about to.
async fn until(mut holds: impl FnMut() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let found = async {
        while !holds() {
            look.tick().await;
        }
    };
    timeout(PATIENCE, found).await.expect("it comes to that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_drips_ends_with_its_total_deadline() {
    let stage = with("response_timeout: 2s, total_timeout: 2500ms").await;
    // Blanks before a document are JSON, and each comes well within the time for a piece.
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n";
    stage.backend.says("/people/u1", Reply::Drip(head.to_vec(), b' '));
    let answer = timeout(PATIENCE, stage.ask("courier", "/people/u1")).await.expect("it ends");
    assert_eq!(answer.status, 504);
    let metrics = stage.metrics();
    let line = "tamis_upstream_errors_total{kind=\"total-timeout\",upstream=\"people\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_pause_for_less_than_its_head_may_take() {
    let stage = with("response_timeout: 20s, idle_timeout: 50ms").await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    stage.backend.says("/people/u1", Reply::Stall(head.to_vec()));
    let answer = timeout(Duration::from_secs(15), stage.ask("courier", "/people/u1")).await;
    assert_eq!(answer.expect("sooner than a head").status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_beyond_the_places_to_wait_are_refused_at_once() {
    let stage = with("connect_timeout: 20s, max_requests: 1, max_pending: 1").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { panic!("bytes") };
    let (first, rest) = whole.split_at(20);
    let held = Reply::InTwo(first.to_vec(), Arc::clone(&go), rest.to_vec());
    stage.backend.says("/people/u1", held);
    for path in ["/people/u2", "/people/u3"] {
        stage.backend.says(path, json(TESTINA));
    }
    let mut under_way = Box::pin(stage.ask("courier", "/people/u1"));
    tokio::select! {
        _ = &mut under_way => panic!("it is held"),
        () = until(|| !stage.backend.asked().is_empty()) => {}
    }
    // Of the two that come now one waits and one is refused, whichever is first.
    let two = [stage.ask("courier", "/people/u2"), stage.ask("courier", "/people/u3")];
    let [one, other] = two.map(Box::pin);
    let (refused, waiting) = first_of(one, other).await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    go.notify_one();
    assert_eq!(under_way.await.body.as_deref(), Some(FOR_COURIER));
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_no_more_than_may_be() {
    let stage = with("response_timeout: 20s, max_connections: 1").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { panic!("bytes") };
    let (first, rest) = whole.split_at(20);
    let held = Reply::InTwo(first.to_vec(), Arc::clone(&go), rest.to_vec());
    stage.backend.says("/people/u1", held);
    stage.backend.says("/people/u2", json(TESTINA));
    let mut under_way = Box::pin(stage.ask("courier", "/people/u1"));
    let mut waiting = Box::pin(stage.ask("courier", "/people/u2"));
    tokio::select! {
        _ = &mut under_way => panic!("it is held"),
        () = until(|| !stage.backend.asked().is_empty()) => {}
    }
    let address = stage.backend.address;
    let both = format!(
        "tamis_upstream_address_requests_total{{address=\"{address}\",upstream=\"people\"}} 2"
    );
    tokio::select! {
        _ = &mut waiting => panic!("there is no connection for it"),
        () = until(|| stage.metrics().contains(&both)) => {}
    }
    go.notify_one();
    assert_eq!((under_way.await.status.as_u16(), waiting.await.status.as_u16()), (200, 200));
    assert_eq!(stage.backend.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_no_connection_is_refused_and_the_backend_is_not_blamed() {
    let settings = "response_timeout: 20s, connect_timeout: 100ms, max_connections: 1, \
                    breaker: {failures: 1}";
    let stage = with(settings).await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { panic!("bytes") };
    let (first, rest) = whole.split_at(20);
    let held = Reply::InTwo(first.to_vec(), Arc::clone(&go), rest.to_vec());
    stage.backend.says("/people/u1", held);
    let mut under_way = Box::pin(stage.ask("courier", "/people/u1"));
    tokio::select! {
        _ = &mut under_way => panic!("it is held"),
        () = until(|| !stage.backend.asked().is_empty()) => {}
    }
    // The one connection is taken for as long as it is held, so this waits in vain.
    for _ in 0..2 {
        let refused = tokio::select! {
            _ = &mut under_way => panic!("it is held"),
            refused = stage.ask("courier", "/people/u2") => refused,
        };
        assert_eq!(refused.status, 503);
        assert!(refused.body.expect("a problem").contains("/problems/overloaded"));
    }
    let metrics = stage.metrics();
    for line in [
        "tamis_upstream_errors_total{kind=\"busy\",upstream=\"people\"} 2",
        "tamis_upstream_breaker{upstream=\"people\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("tamis_upstream_address_failures_total{"), "{metrics}");
    go.notify_one();
    assert_eq!(under_way.await.body.as_deref(), Some(FOR_COURIER));
}

/// What the first of two comes to, and the other.
async fn first_of<F: Future + Unpin>(mut one: F, mut other: F) -> (F::Output, F) {
    tokio::select! {
        first = &mut one => (first, other),
        first = &mut other => (first, one),
    }
}
