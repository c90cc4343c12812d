//! What a request brings: reduced to the members that the rules name before a backend sees it.

use super::backend::{Reply, answer, json};
use super::stage::{HOST, Stage, request};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

const JSON: &str = "Content-Type: application/json\r\n";

/// The bodies that the backend was sent.
fn arrived(stage: &Stage) -> Vec<String> {
    let body = |request: String| {
        request.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a head")
    };
    stage.backend.asked().into_iter().map(body).collect()
}

fn created(body: &str) -> Reply {
    let Reply::Bytes(bytes) = answer(JSON, body.as_bytes()) else { unreachable!() };
    let text = String::from_utf8(bytes).expect("ours");
    Reply::Bytes(text.replace("200 OK", "201 Created").into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_gets_the_members_that_are_named_and_no_others() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/accounts", created(r#"{"number":7,"owner":"CANARY"}"#));
    let body = r#"{
        "nick": "Testina", "birthday": "CANARY", "age_confirmed": true,
        "contact": {"email": "u1@example.invalid", "phone": "CANARY"}, "plan": "basic",
        "more": [{"nick": "CANARY"}]
    }"#;
    let answer = stage.post("desk", "/accounts", body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body.as_deref(), Some(r#"{"number":7}"#));
    let asked = stage.backend.asked().concat();
    assert!(asked.starts_with("POST /accounts HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    let (_, sent) = asked.split_once("\r\n\r\n").expect("a head");
    let sent: serde_json::Value = serde_json::from_str(sent).expect("JSON");
    let expected = serde_json::json!(
        {"nick": "Testina", "contact": {"email": "u1@example.invalid"}, "plan": "basic"}
    );
    assert_eq!(sent, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_or_not_what_is_asked_for_never_reaches_a_backend() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/accounts", json(r#"{"number":7}"#));
    let large = format!(r#"{{"age_confirmed":true,"nick":"{}"}}"#, "x".repeat(2 << 20));
    let deep = format!(r#"{{"age_confirmed":true,"a":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    let cases = [
        ("", 422),
        ("{", 422),
        ("[]", 422),
        ("null", 422),
        (r#"{"nick":"A"}"#, 422),
        (r#"{"age_confirmed":false}"#, 422),
        (r#"{"age_confirmed":"true"}"#, 422),
        (r#"{"age_confirmed":[true]}"#, 422),
        (r#"{"age_confirmed":true,"age_confirmed":false}"#, 422),
        (r#"{"age_confirmed":true,"nick":"A","nick":"B"}"#, 422),
        (r#"{"age_confirmed":true,"a":{"b":1,"b":2}}"#, 422),
        (r#"{"age_confirmed":true} {}"#, 422),
        (r#"{"age_confirmed":true,}"#, 422),
        (&deep, 422),
        (&large, 413),
    ];
    for (body, status) in cases {
        let answer = stage.post("desk", "/accounts", body).await;
        assert_eq!(answer.status, status, "{}", body.chars().take(60).collect::<String>());
    }
    let good = r#"{"age_confirmed":true}"#;
    let length = good.len();
    for (head, status) in [
        (format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n"), 422),
        (format!("Content-Length: {length}\r\n"), 422),
        (format!("{JSON}Content-Encoding: gzip\r\nContent-Length: {length}\r\n"), 422),
        (format!("{JSON}Transfer-Encoding: chunked\r\n"), 413),
    ] {
        let text = format!(
            "POST /accounts HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{head}\r\n{good}"
        );
        let answer = stage.raw("desk", text.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
    }
    assert_eq!(arrived(&stage), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_only_where_the_rules_name_its_members_and_the_caller_may() {
    let stage = Stage::with_rules(RULES).await;
    for path in ["/accounts", "/people/u1", "/touch"] {
        stage.backend.says(path, json(r#"{"id":"u1","number":7}"#));
    }
    let good = r#"{"age_confirmed":true,"nick":"A"}"#;
    assert_eq!(stage.post("stranger", "/accounts", good).await.status, 401);
    assert_eq!(stage.post("desk", "/touch", good).await.status, 413);
    assert_eq!(stage.post("dealer", "/people/u1", good).await.status, 413, "no route");
    assert_eq!(stage.post("court", "/accounts", good).await.status, 403, "no order");
    assert_eq!(arrived(&stage), Vec::<String>::new());
    // Without a body a POST is a POST all the same.
    let touched = stage.send(Some("desk"), request("POST", "/touch", &[])).await;
    assert_eq!(touched.status, 200);
    assert!(stage.backend.asked().concat().starts_with("POST /touch HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_on_one_connection_keep_their_bodies_apart() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/accounts", json(r#"{"number":7}"#));
    let body = |nick: &str| format!("{{\n\"age_confirmed\": true,\r\n\"nick\": \"#{nick}\"\n}}\n");
    let mut text = String::new();
    for (nick, end) in [("one", ""), ("two", "Connection: close\r\n")] {
        let body = body(nick);
        let length = body.len();
        let head = format!("POST /accounts HTTP/1.1\r\nHost: {HOST}\r\n{JSON}{end}");
        text = [text, format!("{head}Content-Length: {length}\r\n\r\n"), body].concat();
    }
    let answers = stage.raw("desk", text.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    let arrived = arrived(&stage);
    assert_eq!(arrived.len(), 2);
    assert!(arrived[0].contains("#one") && arrived[1].contains("#two"), "{arrived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_erased_gets_nothing_written_either() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/people/u1", json(r#"{"id":"u1","email":"u1@example.invalid"}"#));
    let put = |body: &str| {
        let (mut parts, body) =
            request("PUT", "/people/u1", &[("content-type", "application/json")])
                .map(|_| http_body_util::Full::new(bytes::Bytes::from(body.to_owned())))
                .into_parts();
        parts.version = http::Version::HTTP_11;
        http::Request::from_parts(parts, body)
    };
    let change = r#"{"email":"u1@example.invalid","id":"CANARY"}"#;
    let answer = stage.send(Some("desk"), put(change)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.as_deref(), Some(r#"{"id":"u1"}"#));
    assert_eq!(arrived(&stage), [r#"{"email":"u1@example.invalid"}"#]);
    stage.record(r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-01T00:00:00Z"}"#);
    assert_eq!(stage.send(Some("desk"), put(change)).await.status, 403);
    assert_eq!(arrived(&stage), Vec::<String>::new());
}
