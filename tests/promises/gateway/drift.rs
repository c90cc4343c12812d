//! What a backend says and no rule lists is counted by route, in metrics and ledger, and found by
//! `tamis check`; what a rule lists and the recipient is not shown is not.

use serde_json::Value;

use super::backend::json;
use super::stage::Stage;

const RULES: &str = include_str!("../../cases/rights.rules.yaml");

/// Of each route with drift: its line, and the finding.
fn drift(stage: &Stage) -> Vec<(u64, String)> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["check", "--strict", "--format", "json", "--days", "1", "--ledger"])
        .args([stage.path("ledger"), stage.path("rules.yaml")])
        .output()
        .expect("the binary is built for the tests");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let report: Value = serde_json::from_str(&printed).expect("JSON");
    let findings = report["files"][0]["findings"].as_array().expect("a list");
    let drift = findings.iter().filter(|one| one["code"] == "T601");
    let told = |one: &Value| {
        assert_eq!(one["severity"], "note");
        let message = one["message"].as_str().expect("text").to_owned();
        (one["line"].as_u64().expect("a line"), message)
    };
    let told: Vec<(u64, String)> = drift.map(told).collect();
    assert!(!printed.contains("CANARY"), "{printed}");
    told
}

fn line_of(route: &str) -> u64 {
    let at = RULES.lines().position(|line| line.trim() == format!("- match: {route}"));
    at.expect("a route") as u64 + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_no_rule_lists_are_found_by_route_and_never_by_name() {
    let stage = Stage::embedded(RULES, &[]).await;
    let known = r#"{"id":"u1","name":"Testina Musterfrau","email":"t@example.invalid"}"#;
    stage.backend.says("/people/u1", json(known));
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    // The mailer is shown no name, and the printer no e-mail: the rules list both.
    assert_eq!(stage.ask("mailer", "/people/u1").await.status, 200);
    assert_eq!(stage.ask("printer", "/people/u1").await.status, 200);
    let all = format!(r#"{{"people":[{known},{known}]}}"#);
    stage.backend.says("/people", json(&all));
    let listed = stage.ask("printer", "/people").await;
    assert_eq!(listed.status, 200);
    assert!(!listed.body.expect("whole").contains("t@example.invalid"));
    eventually(&stage, 4).await;
    assert_eq!(drift(&stage), []);
    let metric = "tamis_unlisted_members_total{route=\"GET /people/{id}\"} 0";
    assert!(stage.metrics().contains(metric), "{}", stage.metrics());

    let grown = known.replace('}', r#","CANARY-1":{"CANARY-2":1},"CANARY-3":[2]}"#);
    stage.backend.says("/people/u1", json(&grown));
    for recipient in ["desk", "mailer"] {
        assert_eq!(stage.ask(recipient, "/people/u1").await.status, 200);
    }
    let element = format!(r#"{{"people":[{known},{grown}],"CANARY-4":1}}"#);
    stage.backend.says("/people", json(&element));
    assert_eq!(stage.ask("printer", "/people").await.status, 200);
    eventually(&stage, 7).await;
    let found = "members of answers are listed by no rule, in";
    assert_eq!(
        drift(&stage),
        [
            (line_of("GET /people/{id}"), format!("4 {found} 2 of 5 answers within a day")),
            (line_of("GET /people"), format!("3 {found} 1 of 2 answers within a day")),
        ]
    );
    let metric = "tamis_unlisted_members_total{route=\"GET /people/{id}\"} 4";
    assert!(stage.metrics().contains(metric), "{}", stage.metrics());
    assert!(!stage.ledger().contains("CANARY"));
}

/// Outcomes are entered after the answers.
async fn eventually(stage: &Stage, outcomes: usize) {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while stage.ledger().matches("\"kind\":\"outcome\"").count() < outcomes {
        assert!(std::time::Instant::now() < until, "an outcome is missing");
        tokio::task::yield_now().await;
    }
}
