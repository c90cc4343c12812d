//! What is tried again, what is not, and when a backend is left alone.

use tokio::time::timeout;

use super::super::backend::{Backend, Reply, answer, json};
use super::super::{FOR_COURIER, TESTINA};
use super::{PATIENCE, behind, behind_rules, with};

const WIRE: &str = include_str!("../../../cases/wire.rules.yaml");

/// What a backend says that closes without a word.
fn nothing() -> Reply {
    Reply::Last(Vec::new())
}

fn ids(heads: &[String]) -> Vec<&str> {
    let id = |head| {
        let mut lines = str::lines(head);
        lines.find_map(|line| line.strip_prefix("x-request-id: ")).expect("one of ours")
    };
    heads.iter().map(|head| id(head)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_goes_on_to_another_address_as_the_same_request() {
    let (stage, backends) = behind::<2>("ejection: off").await;
    backends[0].says("/people/u1", nothing());
    backends[1].says("/people/u1", json(TESTINA));
    for _ in 0..4 {
        let answer = stage.ask("courier", "/people/u1").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_deref()), (200, Some(FOR_COURIER)));
    }
    let (failed, answered) = (backends[0].asked(), backends[1].asked());
    assert_eq!((failed.len(), answered.len()), (2, 4), "a retry takes no turn of another request");
    let answered = ids(&answered);
    assert!(ids(&failed).iter().all(|id| answered.contains(id)), "no other request is made up");

    // One request each, whatever it took.
    let ledger = stage.ledger();
    assert_eq!(ledger.matches("\"kind\":\"disclosure\"").count(), 4, "{ledger}");
    let metrics = stage.metrics();
    let retries = "tamis_upstream_retries_total{outcome=\"made\",upstream=\"people\"}";
    let of_first =
        format!("address=\"{}\",kind=\"broken\",upstream=\"people\"", backends[0].address);
    for line in [
        format!("{retries} {}", failed.len()),
        format!("tamis_upstream_address_failures_total{{{of_first}}} {}", failed.len()),
        "tamis_requests_total{route=\"GET /people/{id}\",status=\"200\"} 4".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_is_never_mixed_with_another() {
    let (stage, backends) = behind::<2>("ejection: off").await;
    let begun = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"id\":\"u1\",";
    let refused = "HTTP/1.1 503 CANARY\r\nContent-Length: 0\r\n\r\n";
    let lengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}";
    for reply in [begun, refused, lengths] {
        backends[0].says("/people/u1", Reply::Last(reply.as_bytes().to_vec()));
        backends[1].says("/people/u1", json(TESTINA));
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(stage.ask("courier", "/people/u1").await.status.as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 502, 502], "{reply}");
        let asked = backends.each_ref().map(|backend| backend.asked().len());
        assert_eq!(asked, [2, 2], "each was asked what it was asked, and nothing for the other");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_done_twice_is_sent_once() {
    let (stage, backends) = behind_rules::<2>(WIRE, "ejection: off").await;
    let [broken, good] = backends;
    broken.says("/accounts", nothing());
    good.says("/accounts", answer("Content-Type: application/json\r\n", br#"{"number":7}"#));
    let body = r#"{"nick":"Testina","age_confirmed":true,"plan":"basic"}"#;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(stage.post("desk", "/accounts", body).await.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 502, 502]);
    assert_eq!((broken.asked().len(), good.asked().len()), (2, 2));

    // Where there was no connection nothing was sent, and it may go elsewhere.
    drop(broken);
    for _ in 0..4 {
        assert_eq!(stage.post("desk", "/accounts", body).await.status, 200);
    }
    assert_eq!(good.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_done_twice_takes_its_body_along() {
    let (stage, [broken, good]) = behind_rules::<2>(WIRE, "ejection: off").await;
    broken.says("/people/u1", nothing());
    good.says("/people/u1", answer("Content-Type: application/json\r\n", br#"{"id":"u1"}"#));
    let body = r#"{"email":"u1@example.invalid","secret":"CANARY"}"#;
    for _ in 0..2 {
        assert_eq!(stage.ask_with("desk", "PUT", "/people/u1", body).await.status, 200);
    }
    let (first, second) = (broken.asked(), good.asked());
    assert_eq!((first.len(), second.len()), (1, 2));
    let bodies = |heads: &[String]| -> Vec<String> {
        let body = |head: &String| head.split_once("\r\n\r\n").expect("a head").1.to_owned();
        heads.iter().map(body).collect()
    };
    assert_eq!(bodies(&first)[0], bodies(&second)[0]);
    assert_eq!(bodies(&first)[0], r#"{"email":"u1@example.invalid"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_nowhere_is_a_bad_gateway() {
    let stage = with("addresses: ['gone.invalid:80'], dangerous_plaintext: true").await;
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
    let metrics = stage.metrics();
    assert!(metrics.contains("tamis_upstream_resolve_errors_total{upstream=\"people\"}"));
    assert!(
        metrics.contains("tamis_upstream_errors_total{kind=\"connect\",upstream=\"people\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_of_a_name_are_tried() {
    let backend = Backend::start().await;
    backend.says("/people/u1", json(TESTINA));
    let port = backend.address.port();
    // It listens on 127.0.0.1 alone; the name may lead to ::1 as well.
    let stage = with(&format!("addresses: ['localhost:{port}']")).await;
    for _ in 0..4 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_a_share_of_requests() {
    let settings = "ejection: off, breaker: off, retry: {percent: 1, floor: 1}";
    let (stage, backends) = behind::<2>(settings).await;
    for backend in &backends {
        backend.says("/people/u1", nothing());
    }
    let held_back = "tamis_upstream_retries_total{outcome=\"budget\",upstream=\"people\"}";
    let mut requests = 0;
    while !stage.metrics().contains(held_back) {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
        requests += 1;
        assert!(requests < 1000, "each is asked twice");
    }
    let metrics = stage.metrics();
    let made = "tamis_upstream_retries_total{outcome=\"made\",upstream=\"people\"} ";
    let made = metrics.split_once(made).and_then(|(_, rest)| rest.lines().next());
    let made: usize = made.expect("some are there at once").parse().expect("a number");
    let asked: usize = backends.iter().map(|backend| backend.asked().len()).sum();
    assert_eq!(asked, requests + made);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_share_one_deadline() {
    let (stage, backends) = behind::<2>("").await;
    let short = "response_timeout: 1s, connect_timeout: 1s, total_timeout: 3s";
    stage.edit("tamis.yaml", "response_timeout: 5s", short);
    assert_eq!(stage.running.reload().await.refused, vec![]);
    for backend in &backends {
        backend.says("/people/u1", Reply::Stall(Vec::new()));
    }
    let answer = timeout(PATIENCE, stage.ask("courier", "/people/u1")).await.expect("it ends");
    assert_eq!(answer.status, 504);
    let asked: usize = backends.iter().map(|backend| backend.asked().len()).sum();
    assert_eq!(asked, 2);
    let line = "tamis_upstream_errors_total{kind=\"total-timeout\",upstream=\"people\"} 1";
    assert!(stage.metrics().contains(line), "{}", stage.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_keeps_failing_is_left_alone_and_clients_are_told_for_how_long() {
    let stage = with("breaker: {failures: 3, open: 10m}").await;
    stage.backend.says("/people/u1", nothing());
    for _ in 0..3 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
    }
    stage.backend.says("/people/u1", json(TESTINA));
    let refused = stage.ask("courier", "/people/u1").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.headers["retry-after"]),
        (503, &"600".parse().expect("a value"))
    );
    assert!(refused.body.expect("a problem").contains("upstream-suspended"));
    // Other settings and rules leave alone what was learnt of a backend that stays as it is.
    stage.edit("tamis.yaml", "response_body: 1MiB", "response_body: 2MiB");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 503);
    assert_eq!(stage.backend.asked().len(), 3, "it is not asked");
    for line in [
        "tamis_upstream_breaker{upstream=\"people\"} 2",
        "tamis_upstream_suspensions_total{upstream=\"people\"} 1",
        "tamis_upstream_errors_total{kind=\"suspended\",upstream=\"people\"} 2",
    ] {
        assert!(stage.metrics().contains(line), "{line}");
    }
    let status: serde_json::Value = serde_json::from_str(&stage.status().await).expect("JSON");
    let people = &status["upstreams"]["people"];
    assert_eq!((&people["breaker"], &people["protocol"]), (&"open".into(), &"h1".into()));
    let address = stage.backend.address.to_string();
    assert_eq!(people["addresses"][0]["address"], address, "{status}");
    assert_eq!(people["addresses"][0]["in_service"], true, "the only one is never left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_back_is_asked_again() {
    let stage = with("breaker: {failures: 2, open: 20ms}").await;
    stage.backend.says("/people/u1", nothing());
    for _ in 0..2 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
    }
    stage.backend.says("/people/u1", json(TESTINA));
    let back = async { while stage.ask("courier", "/people/u1").await.status == 503 {} };
    timeout(PATIENCE, back).await.expect("it is asked again");
    for _ in 0..3 {
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    }
    assert!(stage.metrics().contains("tamis_upstream_breaker{upstream=\"people\"} 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_open_the_breaker_too() {
    let stage = with("breaker: {failures: 3, open: 10m}").await;
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    stage.backend.says("/people/u1", Reply::Last(cut.as_bytes().to_vec()));
    stage.backend.says(
        "/people/u2",
        Reply::Bytes(b"HTTP/1.1 500 CANARY\r\nContent-Length: 0\r\n\r\n".to_vec()),
    );
    for (path, status) in
        [("u1", 502), ("u1", 502), ("u2", 502), ("u1", 502), ("u1", 502), ("u1", 502), ("u1", 503)]
    {
        assert_eq!(stage.ask("courier", &format!("/people/{path}")).await.status, status, "{path}");
    }
}
