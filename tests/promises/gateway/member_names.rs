//! Ids that are names of members, at the wire: nobody reads one that the rules keep from them, and each
//! person is asked about by their own.

use serde_json::{Value, json};
use tamis::policy::Policy;

use super::backend::json as says;
use super::stage::Stage;

const RULES: &str = include_str!("../../cases/names.rules.yaml");

const ACCOUNTS: &str = r#"{"accounts":{
    "CANARY1":{"name":"Testina","plan":"a","CANARY":1},
    "CANA\u0052Y2":{"name":"Testino","plan":"b"},
    "CANARY3":{"plan":"c"}},"CANARY":0}"#;

async fn asked(stage: &Stage, recipient: &str, target: &str) -> Value {
    let answer = stage.ask(recipient, target).await;
    assert_eq!(answer.status, 200, "{recipient} {target}");
    serde_json::from_str(&answer.body.expect("whole")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_the_token_by_which_the_recipient_asks_again() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/accounts", says(ACCOUNTS));
    stage.backend.says("/people/CANARY2", says(r#"{"id":"CANARY2","name":"Testino"}"#));
    let desk = asked(&stage, "desk", "/accounts").await;
    let whole = json!({"accounts": {"CANARY1": {"name": "Testina", "plan": "a"},
        "CANARY2": {"name": "Testino", "plan": "b"}, "CANARY3": {"plan": "c"}}});
    assert_eq!(desk, whole);
    let dealer = asked(&stage, "dealer", "/accounts").await;
    assert!(!dealer.to_string().contains("CANA"), "{dealer}");
    let accounts = dealer["accounts"].as_object().expect("an object");
    assert_eq!(accounts.len(), 3, "{dealer}");
    let token = accounts.iter().find(|(_, one)| one["name"] == "Testino").expect("left").0;
    assert!(token.starts_with("tk1_"), "{token}");
    let person = asked(&stage, "dealer", &format!("/people/{token}")).await;
    assert_eq!(person, json!({"id": token, "name": "Testino"}));
    // Who is granted no id gets no member that is called by one.
    assert_eq!(asked(&stage, "court", "/accounts").await, json!({"accounts": {}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_person_is_asked_about_by_the_name_of_their_member() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/accounts", says(ACCOUNTS));
    assert_eq!(asked(&stage, "app", "/accounts").await, json!({"accounts": {}}));
    let digest = Policy::parse("rules.yaml", RULES).expect("sound").purposes["share"].text_digest;
    stage.record(&format!(
        r#"{{"id":"c-1","subject":"CANARY2","purpose":"share","purpose_text_digest":"{digest}",
            "recipients":["app"],"categories":[],"status":"given",
            "given_at":"2026-01-01T00:00:00Z"}}"#
    ));
    let app = asked(&stage, "app", "/accounts").await;
    let accounts = app["accounts"].as_object().expect("an object");
    let [(name, person)] = &accounts.iter().collect::<Vec<_>>()[..] else { panic!("{app}") };
    assert!(name.starts_with("ps1_"), "{name}");
    assert_eq!(**person, json!({"name": "Testino", "plan": "b"}));
    // What a person takes out is their name; nothing can leave under none.
    stage.record(
        r#"{"kind":"restriction","subject":"CANARY1","categories":["account.id"],"since":"2026-01-01T00:00:00Z"}"#,
    );
    let desk = asked(&stage, "desk", "/accounts").await;
    let left: Vec<&str> =
        desk["accounts"].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(left, ["CANARY2", "CANARY3"]);
    let ledger = stage.ledger();
    assert!(!ledger.contains("CANA"), "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_people_in_one_document_the_strictest_holds() {
    let stage = Stage::with_rules(RULES).await;
    let team = r#"{"team":"red","members":{"CANARY1":{"name":"Testina","role":"x"},"CANARY2":{"name":"Testino"}}}"#;
    stage.backend.says("/teams/7", says(team));
    let dealer = asked(&stage, "dealer", "/teams/7").await;
    assert!(!dealer.to_string().contains("CANA"), "{dealer}");
    assert_eq!(dealer["members"].as_object().expect("an object").len(), 2);
    stage.record(
        r#"{"kind":"restriction","subject":"CANARY2","categories":["account.id"],"since":"2026-01-01T00:00:00Z"}"#,
    );
    let dealer = asked(&stage, "dealer", "/teams/7").await;
    assert_eq!(dealer, json!({"team": "red", "members": {}}));
    // What is no object names nobody.
    stage.backend.says("/teams/7", says(r#"{"team":"red","members":[{"name":"CANARY"}]}"#));
    assert_eq!(stage.ask("dealer", "/teams/7").await.status, 404);
}
