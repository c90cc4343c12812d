//! Links in answers, at the wire: what a recipient follows comes back through the gateway, and names
//! nobody that it was not told of.

use super::backend::json;
use super::stage::{HOST, Stage};

/// Everything is behind one backend here.
fn rules() -> String {
    include_str!("../../cases/links.rules.yaml").replace("upstream: elsewhere", "upstream: people")
}

async fn page(stage: &Stage, recipient: &str, target: &str) -> serde_json::Value {
    let answer = stage.ask(recipient, target).await;
    assert_eq!(answer.status, 200, "{recipient} {target}");
    let body = answer.body.expect("whole");
    assert!(!body.contains("CANARY") && !body.contains("127.0.0.1"), "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_token_is_followed_through_the_gateway_and_names_nobody() {
    let stage = Stage::with_rules(&rules()).await;
    let at = stage.backend.address;
    let list = format!(
        r#"{{"people":[{{"id":"CANARY42","name":"Testina","href":"http://{at}/people/CANARY42#CANARY"}},
            {{"id":"CANARY43","name":"Testino","href":"http://CANARY.invalid/people/CANARY43"}}],
            "next":"http://{at}/people?limit=2&cursor=CANARY42"}}"#
    );
    stage.backend.says("/people", json(&list));
    stage.backend.says("/people/CANARY42", json(r#"{"id":"CANARY42","name":"Testina"}"#));
    let first = page(&stage, "dealer", "/people").await;
    assert_eq!(first["people"][1].get("href"), None);
    let href = first["people"][0]["href"].as_str().expect("a link");
    let path = href.strip_prefix(&format!("https://{HOST}")).expect("of the gateway");
    assert!(path.starts_with("/people/tk1_"), "{path}");
    let person = page(&stage, "dealer", path).await;
    assert_eq!(person["id"], first["people"][0]["id"]);
    assert_eq!(person["name"], "Testina");

    stage.backend.asked();
    let next = first["next"].as_str().expect("a link");
    let next = next.strip_prefix(&format!("https://{HOST}")).expect("of the gateway");
    assert!(next.starts_with("/people?limit=2&cursor=tk1_"), "{next}");
    page(&stage, "dealer", next).await;
    let asked = stage.backend.asked().concat();
    assert!(asked.starts_with("GET /people?limit=2&cursor=CANARY42 HTTP/1.1\r\n"), "{asked}");

    // In another's hands neither leads anywhere.
    assert_eq!(stage.ask("app", path).await.status, 404);
    assert_eq!(stage.ask("desk", next).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_with_the_member_that_a_person_took_out() {
    let stage = Stage::with_rules(&rules()).await;
    let document = r#"{"id":"42","name":"Testina","link":"/people/42","plain":1}"#;
    stage.backend.says("/people/42", json(document));
    assert!(page(&stage, "dealer", "/people/42").await.get("link").is_some());
    stage.record(
        r#"{"kind":"restriction","subject":"42","categories":["account.id"],"since":"2026-01-01T00:00:00Z"}"#,
    );
    let left = page(&stage, "dealer", "/people/42").await;
    assert_eq!(left, serde_json::json!({"name": "Testina", "plain": 1}));
}
