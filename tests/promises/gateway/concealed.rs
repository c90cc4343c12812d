//! "No consent", "restricted", "erased", "objected" and "no such person" are one answer: byte for byte
//! over HTTP/1.1, field by field over HTTP/2. What differs each time, date and instance, is masked.

use std::collections::BTreeMap;

use tamis::policy::Policy;

use super::backend::json;
use super::stage::{HOST, Stage, changed};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// Everybody whom the backend knows. Nobody knows `u9`, and nobody has an order `o9`.
const PEOPLE: [&str; 8] = ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"];

/// Why each is refused to `partner`; u9 has consented and does not exist.
const TO_PARTNER: [&str; 8] = ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u9"];
/// And to `courier`, who needs no consent.
const TO_COURIER: [&str; 3] = ["u2", "u3", "u9"];

async fn stage() -> Stage {
    let stage = Stage::set().await;
    for id in PEOPLE {
        let person = format!(r#"{{"id":"{id}","name":"CANARY","email":"CANARY@example.invalid"}}"#);
        stage.backend.says(&format!("/people/{id}"), json(&person));
        let order = format!(r#"{{"order":"CANARY","buyer":{{"name":"CANARY","id":"{id}"}}}}"#);
        let number = id.trim_start_matches('u');
        stage.backend.says(&format!("/orders/o{number}"), json(&order));
    }
    let policy = Policy::parse("gateway.rules.yaml", RULES).expect("it loads");
    let present = policy.purposes["share.partner"].text_digest;
    let older = tamis::terms::Digest::of(b"an older text");
    // u1 has said nothing.
    for (id, status, digest, to) in [
        ("u2", "given", present, "partner"),
        ("u3", "given", present, "partner"),
        ("u4", "withdrawn", present, "partner"),
        ("u5", "given", present, "partner"),
        ("u6", "given", older, "partner"),
        ("u7", "given", present, "courier"),
        ("u8", "given", present, "partner"),
        ("u9", "given", present, "partner"),
    ] {
        let event = |at: &str, status: &str| format!(r#"{{"at":"{at}","status":"{status}"}}"#);
        let mut events = vec![event("2026-01-01T00:00:00Z", "given")];
        if status != "given" {
            events.push(event("2026-02-01T00:00:00Z", status));
        }
        stage.record(&format!(
            r#"{{"id":"con_{id}","subject":"{id}","purpose":"share.partner","recipients":["{to}"],
                "purpose_text_digest":"{digest}","events":[{}]}}"#,
            events.join(",")
        ));
    }
    for record in [
        r#"{"kind":"restriction","subject":"u2","categories":["*"],"ground":"accuracy-contested",
            "since":"2026-01-02T00:00:00Z","until":null}"#,
        r#"{"kind":"erasure","subject":"u3","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2026-01-02T00:00:00Z","except":[]}"#,
        r#"{"kind":"objection","subject":"u5","purpose":"share.*","channel":"email",
            "since":"2026-01-02T00:00:00Z","source":"unsubscribe"}"#,
    ] {
        stage.record(record);
    }
    stage
}

/// Without the date and the instance's 32 digits.
fn masked(answer: &str) -> String {
    let date = |line: &str| line.to_ascii_lowercase().starts_with("date:");
    let lines = answer.split("\r\n").map(|line| if date(line) { "date" } else { line });
    let text = lines.collect::<Vec<_>>().join("\r\n");
    let at = text.find("\"d_").map_or(text.len(), |at| at + 3);
    let (before, after) = text.split_at(at);
    let rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    format!("{before}{}{rest}", "x".repeat(after.len() - rest.len()))
}

fn targets(ids: &[&str]) -> Vec<String> {
    let both = ids.iter().flat_map(|id| {
        [format!("/people/{id}"), format!("/orders/o{}", id.trim_start_matches('u'))]
    });
    both.collect()
}

/// One answer for all, or which targets share which answer.
fn one(answers: Vec<(String, String)>) -> String {
    let mut by_answer: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (target, answer) in answers {
        assert!(!answer.contains("CANARY"), "{target}: {answer}");
        by_answer.entry(masked(&answer)).or_default().push(target);
    }
    assert_eq!(by_answer.len(), 1, "told apart: {by_answer:#?}");
    by_answer.into_keys().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_about_a_person_is_the_same_bytes() {
    let stage = stage().await;
    for (recipient, ids) in [("partner", &TO_PARTNER[..]), ("courier", &TO_COURIER[..])] {
        for method in ["GET", "HEAD"] {
            let mut answers = Vec::new();
            for target in targets(ids) {
                let request = format!(
                    "{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
                );
                let answer = stage.raw(recipient, request.as_bytes()).await;
                answers.push((target, answer));
            }
            let answer = one(answers);
            assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
            assert_eq!(answer.contains("not-available"), method == "GET", "{answer}");
        }
    }
    // That the others do get something.
    assert_eq!(stage.ask("partner", "/people/u8").await.status, 200);
    assert_eq!(stage.ask("courier", "/orders/o1").await.status, 200);
}

/// `drop` outside of lists takes all of the answer away: before any of it left, however long it is, and
/// not as a fault of the backend, by which an outsider would learn that the member is there.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_dropped_looks_like_no_such_thing() {
    let show = "for: [service.parcel], show: {account.id: keep, identity.name: keep";
    let drops = format!("{show}, contact.email: drop");
    let stage = Stage::with_rules(&changed(RULES, &[(show, &drops)])).await;
    let name = "CANARY".repeat(40_000);
    for (id, rest) in [("u1", r#","email":"CANARY@example.invalid""#), ("u2", "")] {
        let person = format!(r#"{{"id":"{id}","name":"{name}"{rest}}}"#);
        stage.backend.says(&format!("/people/{id}"), json(&person));
    }
    let mut answers = Vec::new();
    for id in ["u1", "u9"] {
        let target = format!("/people/{id}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        answers.push((target, stage.raw("courier", request.as_bytes()).await));
    }
    assert!(one(answers).starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert_eq!(stage.ask("courier", "/people/u2").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn and_the_same_over_http2() {
    let stage = stage().await;
    for (recipient, ids) in [("partner", &TO_PARTNER[..]), ("courier", &TO_COURIER[..])] {
        let mut answers = Vec::new();
        for target in targets(ids) {
            let answer = stage.ask_http2(recipient, &target).await;
            // In the order in which they came.
            let fields = answer
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII of ours")));
            let fields: Vec<String> = fields.collect();
            let body = answer.body.expect("whole");
            answers
                .push((target, format!("{}\r\n{}\r\n{body}", answer.status, fields.join("\r\n"))));
        }
        assert!(one(answers).starts_with("404 Not Found\r\n"));
    }
}
