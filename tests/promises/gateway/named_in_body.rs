//! People whom the body of a request names: asked about before the backend is, as those in a path.

use serde_json::{Value, json};
use tamis::policy::Policy;

use super::backend::json as says;
use super::stage::{Answer, Stage, request};

const RULES: &str = include_str!("../../cases/body.rules.yaml");

const PERSON: &str = r#"{"id":"CANARY1","name":"Testina","note":"CANARY"}"#;

const ASKS: &str = r#"{"who":{"id":"CANARY1","name":"CANARY"},"note":"x"}"#;

fn body(answer: Answer) -> Value {
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body.expect("whole")).expect("JSON")
}

fn restrict(stage: &Stage, who: &str) {
    stage.record(&format!(
        r#"{{"kind":"restriction","subject":"{who}","categories":["*"],"since":"2026-01-01T00:00:00Z"}}"#
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_did_not_agree_is_not_asked_for() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/lookups", says(PERSON));
    assert_eq!(
        body(stage.post("desk", "/lookups", ASKS).await),
        json!({"id": "CANARY1", "name": "Testina"})
    );
    stage.backend.asked();
    let refused = stage.post("app", "/lookups", ASKS).await;
    assert_eq!(refused.status, 404);
    assert!(!refused.body.expect("whole").contains("CANARY"));
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "before the backend is asked");
    let digest = Policy::parse("rules.yaml", RULES).expect("sound").purposes["share"].text_digest;
    stage.record(&format!(
        r#"{{"id":"c-1","subject":"CANARY1","purpose":"share","purpose_text_digest":"{digest}",
            "recipients":["app","bank"],"categories":[],"status":"given",
            "given_at":"2026-01-01T00:00:00Z"}}"#
    ));
    assert_eq!(body(stage.post("app", "/lookups", ASKS).await), json!({"name": "Testina"}));
    // A grant for one use is one for a person whom the body names.
    assert_eq!(stage.post("bank", "/lookups", ASKS).await.status, 404);
    stage.record(
        r#"{"kind":"one-time-grant","id":"g-1","subject":"CANARY1","purpose":"share",
            "recipient":"bank","granted_at":"2026-01-01T00:00:00Z"}"#,
    );
    assert_eq!(body(stage.post("bank", "/lookups", ASKS).await), json!({"name": "Testina"}));
    assert_eq!(stage.post("bank", "/lookups", ASKS).await.status, 404, "it is used up");
    restrict(&stage, "CANARY1");
    stage.backend.asked();
    assert_eq!(stage.post("desk", "/lookups", ASKS).await.status, 403);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    assert!(!stage.ledger().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_names_the_person_that_it_stands_for() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/people", says(&format!(r#"{{"people":[{PERSON}]}}"#)));
    let list = body(stage.ask("dealer", "/people").await);
    let token = list["people"][0]["id"].as_str().expect("a token").to_owned();
    stage.backend.says("/lookups", says(PERSON));
    let asks = format!(r#"{{"who":{{"id":"{token}"}}}}"#);
    stage.backend.asked();
    let found = body(stage.post("dealer", "/lookups", &asks).await);
    assert_eq!(found, json!({"id": token, "name": "Testina"}));
    assert!(stage.backend.asked().concat().ends_with(r#"{"who":{"id":"CANARY1"}}"#));
    assert_eq!(stage.post("other", "/lookups", &asks).await.status, 404, "another's");
    restrict(&stage, "CANARY1");
    assert_eq!(stage.post("dealer", "/lookups", &asks).await.status, 404);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_names_nobody_is_not_what_is_asked_for() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/lookups", says(PERSON));
    for odd in [
        "{}",
        r#"{"who":{}}"#,
        r#"{"who":{"id":null}}"#,
        r#"{"who":{"id":""}}"#,
        r#"{"who":{"id":true}}"#,
        r#"{"who":{"id":1.5}}"#,
        r#"{"who":{"id":["CANARY1"]}}"#,
        r#"{"who":{"id":{"id":"CANARY1"}}}"#,
        r#"{"who":[{"id":"CANARY1"}]}"#,
        r#"{"who":{"id":"CANARY1","id":"CANARY2"}}"#,
        r#"{"id":"CANARY1"}"#,
    ] {
        assert_eq!(stage.post("desk", "/lookups", odd).await.status, 422, "{odd}");
    }
    assert_eq!(stage.send(Some("desk"), request("POST", "/lookups", &[])).await.status, 422);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    // Written otherwise it is the same person.
    restrict(&stage, "CANARY1");
    let escaped = r#"{"who":{"\u0069d":"\u0043ANARY1"}}"#;
    assert_eq!(stage.post("desk", "/lookups", escaped).await.status, 403);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_takes_something_in_asks_about_whom_it_names_too() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/marks", says(r#"{"number":7,"CANARY":1}"#));
    assert_eq!(body(stage.post("desk", "/marks", r#"{"id":"u1"}"#).await), json!({"number": 7}));
    restrict(&stage, "u1");
    stage.backend.asked();
    assert_eq!(stage.post("desk", "/marks", r#"{"id":"u1"}"#).await.status, 403);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    assert_eq!(stage.post("desk", "/marks", r#"{"id":"u2"}"#).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_somebody_in_the_path_each_has_their_own_members() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/teams/u1/members", says(r#"{"owner":"u1","member":{"name":"Testina"}}"#));
    let asks = r#"{"member":"u2"}"#;
    let both = json!({"owner": "u1", "member": {"name": "Testina"}});
    assert_eq!(body(stage.post("desk", "/teams/u1/members", asks).await), both);
    stage.record(
        r#"{"kind":"restriction","subject":"u2","categories":["identity.name"],"since":"2026-01-01T00:00:00Z"}"#,
    );
    let left = body(stage.post("desk", "/teams/u1/members", asks).await);
    assert_eq!(left, json!({"owner": "u1", "member": {}}));
    restrict(&stage, "u1");
    assert_eq!(stage.post("desk", "/teams/u1/members", asks).await.status, 403);
}
