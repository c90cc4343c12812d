//! Everything that the registers hold over the API, and back again: one moment of it, entered before it
//! leaves, and no burden for others.

use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tamis::registers::{Record, RegisterStore};
use tempfile::tempdir;

use super::calls::{Answer, As, Desk, rules};
use crate::postgres::server::{Database, shared};

const DPO: As<'static> = As::Token("dpo");

/// One of every kind, and what makes a difference between two.
const RECORDS: [&str; 16] = [
    r#"{"kind":"withdrawal","subject":"u2","purpose":"share.*","at":"2026-02-01T00:00:00Z"}"#,
    r#"{"kind":"withdrawal","id":"con_late","at":"2026-02-01T00:00:00Z"}"#,
    r#"{"id":"con_1","subject":"u1","purpose":"share.partner","recipients":["partner"],"explicit":true,
        "categories":["contact.email"],"expires_at":"2090-01-01T00:00:00Z","method":"paper",
        "notice":{"ref":"n-12","revision":"2","language":"en"},"jurisdiction":"DE","source":"app",
        "events":[{"at":"2026-01-01T00:00:00Z","status":"given"},
        {"at":"2026-01-03T00:00:00Z","status":"renewed"}]}"#,
    r#"{"id":"con_2","subject":"u2","purpose":"share.partner","recipients":["partner"],
        "status":"given","given_at":"2026-01-01T00:00:00Z"}"#,
    r#"{"id":"con_3","subject":"u2","purpose":"share.partner","recipients":["partner"],
        "status":"given","given_at":"2026-03-01T00:00:00Z"}"#,
    r#"{"kind":"notice","id":"n","subject":"u1","purpose":"share.partner","shown_at":"2026-01-01T00:00:00Z"}"#,
    r#"{"kind":"objection","subject":"u1","purpose":"share.*","since":"2026-01-01T00:00:00Z"}"#,
    r#"{"kind":"restriction","subject":"u1","categories":["contact.*"],"since":"2026-01-01T00:00:00Z",
        "until":"2090-01-01T00:00:00Z","ground":"asked"}"#,
    r#"{"kind":"dispute","subject":"u2","categories":["contact.email"],"since":"2026-01-01T00:00:00Z"}"#,
    r#"{"kind":"erasure","subject":"u3","requested_at":"2026-01-01T00:00:00Z","except":["legal.claims"]}"#,
    r#"{"kind":"subject","subject":"u1","age":"adult","region":"DE"}"#,
    r#"{"kind":"one-time-grant","id":"g-1","subject":"u1","purpose":"share.partner",
        "recipient":"partner","granted_at":"2026-01-01T00:00:00Z","used_by":"d-1"}"#,
    r#"{"kind":"one-time-grant","id":"g-2","subject":"u1","purpose":"share.partner",
        "recipient":"partner","granted_at":"2026-01-01T00:00:00Z"}"#,
    r#"{"kind":"order","id":"ord-7","recipient":"court","authority":"Invented Court",
        "subjects":["u1","u2"],"categories":["identity.name"],"from":"2026-01-01T00:00:00Z",
        "until":"2090-01-01T00:00:00Z","gag_until":"2089-01-01T00:00:00Z"}"#,
    r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u1","u2"],
        "opened_at":"2026-01-01T00:00:00Z"}"#,
    r#"{"kind":"case","id":"C-2","purposes":["legal.claims"],"subjects":["u1"],
        "opened_at":"2026-01-01T00:00:00Z","closed_at":"2026-01-02T00:00:00Z"}"#,
];

async fn export(desk: &Desk) -> Answer {
    desk.call(DPO, "GET", "/v1/export", "").await
}

async fn import(desk: &Desk, text: &str) -> Answer {
    let lines = |request: &mut http::Request<_>| {
        let kind = "application/x-ndjson".parse().expect("text");
        request.headers_mut().insert("content-type", kind);
    };
    desk.call_with(DPO, "POST", "/v1/import", text, lines).await.expect("an answer")
}

async fn said(desk: &Desk, subject: &str) -> Value {
    let body = json!({"subject": subject}).to_string();
    desk.call(DPO, "POST", "/v1/statements/query", &body).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_over_the_api_is_what_an_import_takes() {
    let here = Desk::open().await;
    let lines = RECORDS.map(|record| record.replace('\n', " ")).join("\n");
    let taken = import(&here, &lines).await;
    assert_eq!(taken.json()["new"], RECORDS.len(), "{}", taken.text);
    let first = export(&here).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.headers["content-type"], "application/x-ndjson");
    assert_eq!(first.headers["cache-control"], "no-store");
    assert!(!first.headers.contains_key("content-length"), "it is not gathered first");

    // From the file to a server.
    let seat = tempdir().expect("a folder");
    let database = Database::new(seat.path());
    let settings = format!(
        "node: gw-2\nregisters: {{store: postgres, url_file: {}, ca: {}, mark: {}}}\n",
        database.settings.url_file.display(),
        shared().authority().display(),
        database.settings.mark.display()
    );
    let there = Desk::open_on(&rules(), "calls_per_minute: 100000", &settings).await;
    let taken = import(&there, &first.text).await;
    let count = first.text.lines().count();
    assert_eq!(taken.json(), json!({"records": count, "new": count}), "{}", taken.text);
    assert_eq!(import(&there, &first.text).await.json()["new"], 0, "again is harmless");
    assert_eq!(export(&there).await.text, first.text, "and back");
    for person in ["u1", "u2", "u3"] {
        assert_eq!(said(&there, person).await, said(&here, person).await, "{person}");
    }
    assert_eq!(said(&there, "u2").await["consents"][0]["status"], "withdrawn");
    assert_eq!(said(&there, "u2").await["consents"][1]["status"], "given");
}

#[tokio::test]
async fn an_export_is_entered_before_it_leaves_or_does_not_leave() {
    let desk = Desk::open().await;
    import(&desk, &objections("CANARY")).await;
    let calls = |desk: &Desk| {
        let ledger = desk.ledger().into_iter().filter(|entry| entry["route"] == "/v1/export");
        ledger.map(|entry| (entry["by"].clone(), entry["status"].clone())).collect::<Vec<_>>()
    };
    assert!(export(&desk).await.text.contains("CANARY"));
    assert_eq!(calls(&desk), [(json!("dpo"), json!(200))]);
    let (segment, aside) = (desk.path("ledger/000001.jsonl"), desk.path("aside"));
    std::fs::rename(&segment, &aside).expect("ours");
    let refused = export(&desk).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!refused.text.contains("CANARY") && refused.text.contains("ledger-unavailable"));
    std::fs::rename(&aside, &segment).expect("ours");
    let asks_for_one = desk.call(DPO, "GET", "/v1/export?subject=CANARY", "").await;
    assert_eq!(asks_for_one.status, StatusCode::UNPROCESSABLE_ENTITY, "no id in a URL");
    assert!(!asks_for_one.text.contains("CANARY"));
}

#[tokio::test]
async fn registers_that_cannot_be_read_are_said_by_the_status() {
    let desk = Desk::open().await;
    import(&desk, &objections("u1")).await;
    let (file, aside) = (desk.path("registers.sqlite"), desk.path("aside"));
    std::fs::rename(&file, &aside).expect("ours");
    let answer = export(&desk).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    std::fs::rename(&aside, &file).expect("ours");
    assert_eq!(export(&desk).await.status, StatusCode::OK);
}

fn objections(subject: &str) -> String {
    json!({
        "kind": "objection", "subject": subject, "purpose": "share.*",
        "since": "2026-01-01T00:00:00Z",
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_one_moment_and_keeps_nobody_waiting() {
    let desk = Desk::open().await;
    // More than the sockets between two ends hold.
    let (people, source) = (20_000, "x".repeat(1_000));
    let record = |number: usize| {
        let record = json!({
            "id": format!("con_{number:05}"), "subject": format!("u{number}"), "source": source,
            "purpose": "share.partner", "recipients": ["partner"], "status": "given",
            "given_at": "2026-01-01T00:00:00Z",
        });
        Record::parse(record.to_string().as_bytes()).expect("a record")
    };
    let registers = RegisterStore::embedded(&desk.path("registers.sqlite")).expect("opens");
    let records: Vec<Record> = (0..people).map(record).collect();
    assert_eq!(registers.record_all(&records).expect("taken"), people);

    let mut sender = desk.connected(DPO).await.expect("a handshake");
    let request = http::Request::get("/v1/export")
        .header("host", "localhost")
        .header("authorization", "Bearer dpo")
        .body(Full::default())
        .expect("a request");
    let slow = sender.send_request(request).await.expect("a head");
    assert_eq!(slow.status(), StatusCode::OK);

    // While it takes nothing others are answered, and what they say counts.
    let busy = export(&desk).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE, "{}", busy.text);
    assert_eq!(busy.headers["retry-after"], "10");
    let last = format!("/v1/consents/con_{:05}/withdrawal", people - 1);
    assert_eq!(desk.call(DPO, "POST", &last, "").await.status, StatusCode::OK);
    let person = format!("u{}", people - 1);
    assert_eq!(said(&desk, &person).await["consents"][0]["status"], "withdrawn");
    assert_eq!(desk.call(DPO, "GET", "/v1/requests", "").await.status, StatusCode::OK);

    let text = slow.into_body().collect().await.expect("whole").to_bytes();
    let lines: Vec<&[u8]> = text.trim_ascii_end().split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), people);
    let line: Value = serde_json::from_slice(lines[people - 1]).expect("JSON");
    assert_eq!(line["events"].as_array().map(Vec::len), Some(1), "as it was when it began");
    let after = export(&desk).await;
    let line: Value = serde_json::from_str(after.text.lines().last().expect("one")).expect("JSON");
    assert_eq!(line["events"][1]["status"], "withdrawn");

    // A client that goes away gives its turn back.
    let request = http::Request::get("/v1/export")
        .header("host", "localhost")
        .header("authorization", "Bearer dpo")
        .body(Full::default())
        .expect("a request");
    let gone = sender.send_request(request).await.expect("a head");
    drop((gone, sender));
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while export(&desk).await.status != StatusCode::OK {
        assert!(std::time::Instant::now() < until, "the turn never came back");
    }
}
