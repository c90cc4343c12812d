//! Scopes of pseudonyms at the wire: what a recipient can link, and what it cannot.

use super::backend::json;
use super::stage::{Stage, request};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

/// `counsel` works on cases; it gets pseudonyms within this scope.
fn rules(scope: &str) -> String {
    let grant = RULES.lines().find(|line| line.contains("to: [counsel]")).expect("a grant");
    let show = format!("pseudonym_scope: {scope}, show: {{account.id: pseudonym");
    let scoped = grant.replace("show: {account.id: keep", &show);
    assert_ne!(scoped, grant);
    RULES.replacen(grant, &scoped, 1)
}

async fn stage(scope: &str) -> Stage {
    let stage = Stage::with_rules(&rules(scope)).await;
    stage.backend.says("/people/u1", json(r#"{"id":"u1","name":"Testina Musterfrau"}"#));
    for case in ["C-1", "C-2"] {
        stage.record(&format!(
            r#"{{"kind":"case","id":"{case}","purposes":["claims"],"subjects":["u1"],"opened_at":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    stage
}

async fn pseudonym(stage: &Stage, case: &str) -> String {
    let case = format!("\"{case}\"");
    let asked = request("GET", "/people/u1", &[("tamis-case", &case)]);
    let answer = stage.send(Some("counsel"), asked).await;
    assert_eq!(answer.status, 200);
    let body: serde_json::Value = serde_json::from_str(&answer.body.expect("whole")).expect("JSON");
    let id = body["id"].as_str().expect("text").to_owned();
    assert!(id.starts_with("ps1_"), "{id}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_of_a_case_link_within_it_and_not_beyond() {
    let stage = stage("case").await;
    let first = pseudonym(&stage, "C-1").await;
    assert_eq!(pseudonym(&stage, "C-1").await, first);
    assert_ne!(pseudonym(&stage, "C-2").await, first);
    let without = stage.ask("counsel", "/people/u1").await;
    assert_eq!(without.status, 403, "no case, no pseudonym of one");
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_of_an_answer_link_nothing() {
    let stage = stage("response").await;
    assert_ne!(pseudonym(&stage, "C-1").await, pseudonym(&stage, "C-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_of_a_recipient_link_over_cases() {
    let stage = stage("recipient").await;
    assert_eq!(pseudonym(&stage, "C-1").await, pseudonym(&stage, "C-2").await);
}
