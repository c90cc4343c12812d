//! Several addresses: whom a request goes to, and who is left out.

use std::sync::Arc;

use tokio::sync::Notify;

use super::super::backend::{Backend, Reply, answer, json};
use super::super::{FOR_COURIER, TESTINA};
use super::{behind, until};

/// What a backend says that closes without a word.
fn nothing() -> Reply {
    Reply::Last(Vec::new())
}

fn asked(backends: &[Backend]) -> Vec<usize> {
    let of_people =
        |heads: Vec<String>| heads.iter().filter(|head| head.contains("/people/")).count();
    backends.iter().map(|backend| of_people(backend.asked())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_round_and_name_the_backend_as_the_url_does() {
    let (stage, backends) = behind::<3>("").await;
    for backend in &backends {
        backend.says("/people/u1", json(TESTINA));
    }
    for _ in 0..6 {
        let answer = stage.ask("courier", "/people/u1").await;
        assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
    }
    let host = format!("host: {}\r\n", stage.backend.address);
    for backend in &backends {
        let heads = backend.asked();
        assert_eq!(heads.len(), 2);
        assert!(heads.iter().all(|head| head.contains(&host)), "{heads:?}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "it is called so, not dialled");
    let metrics = stage.metrics();
    let of_one = format!("address=\"{}\",upstream=\"people\"", backends[0].address);
    for line in [
        format!("tamis_upstream_address_requests_total{{{of_one}}} 2"),
        format!("tamis_upstream_address_in_service{{{of_one}}} 1"),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stays_at_one_address() {
    let (stage, backends) = behind::<2>("balance: subject").await;
    let mut at_the_first = 0;
    for person in 0..24 {
        for backend in &backends {
            backend.says(&format!("/people/u{person}"), json(TESTINA));
        }
        for _ in 0..2 {
            assert_eq!(stage.ask("courier", &format!("/people/u{person}")).await.status, 200);
        }
        match asked(&backends)[..] {
            [2, 0] => at_the_first += 1,
            [0, 2] => {}
            ref other => panic!("{other:?}"),
        }
    }
    assert!((1..24).contains(&at_the_first), "{at_the_first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_less_to_do_is_asked() {
    let (stage, backends) = behind::<2>("balance: least-requests").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { panic!("bytes") };
    for backend in &backends {
        let (first, rest) = whole.split_at(20);
        backend.says("/people/u1", Reply::InTwo(first.to_vec(), Arc::clone(&go), rest.to_vec()));
        backend.says("/people/u2", json(TESTINA));
    }
    let mut held = Box::pin(stage.ask("courier", "/people/u1"));
    let mut busy = Vec::new();
    tokio::select! {
        _ = &mut held => panic!("it is held"),
        () = until(|| {
            busy = asked(&backends);
            busy.contains(&1)
        }) => {}
    }
    for _ in 0..4 {
        assert_eq!(stage.ask("courier", "/people/u2").await.status, 200);
    }
    let others: Vec<usize> = busy.iter().map(|at_work| if *at_work == 1 { 0 } else { 4 }).collect();
    assert_eq!(asked(&backends), others);
    go.notify_one();
    assert_eq!(held.await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_where_health_checks_say_no() {
    let (stage, backends) = behind::<2>("").await;
    for backend in &backends {
        backend.says("/people/u1", json(TESTINA));
        backend.says("/healthz", answer("", b"CANARY"));
    }
    let health = "health: {path: /healthz, every: 20ms, timeout: 20s, healthy: 1, unhealthy: 1}";
    stage.edit("tamis.yaml", "response_timeout: 5s", &format!("response_timeout: 5s, {health}"));
    assert_eq!(stage.running.reload().await.refused, vec![]);
    let in_service = |at: usize, value: u8| {
        let address = backends[at].address;
        let gauge = "tamis_upstream_address_in_service";
        format!("{gauge}{{address=\"{address}\",upstream=\"people\"}} {value}")
    };
    backends[0].says("/healthz", Reply::Last(b"HTTP/1.1 500 CANARY\r\n\r\n".to_vec()));
    until(|| stage.metrics().contains(&in_service(0, 0))).await;
    asked(&backends);
    for _ in 0..4 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    }
    assert_eq!(asked(&backends), [0, 4]);

    // Nobody is well: the backend is not asked at all, and the client is told when to come again.
    backends[1].says("/healthz", nothing());
    until(|| stage.metrics().contains(&in_service(1, 0))).await;
    let refused = stage.ask("courier", "/people/u1").await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.body.expect("a problem").contains("upstream-suspended"));
    assert_eq!(asked(&backends), [0, 0]);

    backends[0].says("/healthz", answer("", b"CANARY"));
    until(|| stage.metrics().contains(&in_service(0, 1))).await;
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    assert_eq!(asked(&backends), [1, 0]);
    backends[0].asked();
    until(|| {
        let checks = backends[0].asked();
        let bare = |head: &String| head.starts_with("GET /healthz") && head.lines().count() <= 3;
        assert!(checks.iter().all(bare), "nothing of a request goes along: {checks:?}");
        !checks.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_keeps_failing_is_left_out_and_never_more_than_half() {
    let settings = "ejection: {failures: 2, for: 10m}, retry: off, breaker: off";
    let (stage, backends) = behind::<2>(settings).await;
    backends[0].says("/people/u1", nothing());
    backends[1].says("/people/u1", json(TESTINA));
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(stage.ask("courier", "/people/u1").await.status.as_u16());
    }
    assert_eq!(statuses, [502, 200, 502, 200, 200, 200, 200, 200]);
    assert_eq!(asked(&backends), [2, 6]);
    let address = backends[0].address;
    let line =
        format!("tamis_upstream_ejections_total{{address=\"{address}\",upstream=\"people\"}} 1");
    assert!(stage.metrics().contains(&line));

    let status: serde_json::Value = serde_json::from_str(&stage.status().await).expect("JSON");
    let shown = status["upstreams"]["people"]["addresses"].as_array().expect("a list");
    let out: Vec<&serde_json::Value> = shown.iter().map(|address| &address["out"]).collect();
    assert_eq!(out, [&serde_json::json!("ejected"), &serde_json::Value::Null], "{status}");

    // The other one fails too. It goes on being asked: somebody has to be.
    backends[1].says("/people/u1", nothing());
    for _ in 0..5 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
    }
    assert_eq!(asked(&backends), [0, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_can_make_a_backend_say_leaves_nobody_out() {
    let settings = "ejection: {failures: 1, for: 10m}, retry: off, breaker: off";
    let (stage, backends) = behind::<2>(settings).await;
    for (status, is_left_out) in [("500", false), ("400", false), ("404", false), ("503", true)] {
        let reply = format!("HTTP/1.1 {status} CANARY\r\nContent-Length: 0\r\n\r\n");
        for backend in &backends {
            backend.says("/people/u1", Reply::Bytes(reply.clone().into_bytes()));
        }
        for _ in 0..4 {
            stage.ask("courier", "/people/u1").await;
        }
        let both = asked(&backends).iter().all(|requests| *requests == 2);
        assert_eq!(both, !is_left_out, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_at_an_address_that_goes_ends_there() {
    let (stage, backends) = behind::<1>("").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { panic!("bytes") };
    let (first, rest) = whole.split_at(20);
    let held = Reply::InTwo(first.to_vec(), Arc::clone(&go), rest.to_vec());
    backends[0].says("/people/u1", held);
    let mut under_way = Box::pin(stage.ask("courier", "/people/u1"));
    tokio::select! {
        _ = &mut under_way => panic!("it is held"),
        () = until(|| asked(&backends) == [1]) => {}
    }
    let after = Backend::start().await;
    after.says("/people/u1", json(TESTINA));
    let (before, now) = (backends[0].address.to_string(), after.address.to_string());
    stage.edit("tamis.yaml", &format!("[{before:?}]"), &format!("[{now:?}]"));
    assert_eq!(stage.running.reload().await.refused, vec![]);
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    assert_eq!((asked(&backends), after.asked().len()), (vec![0], 1));
    go.notify_one();
    assert_eq!(under_way.await.body.as_deref(), Some(FOR_COURIER));
}
