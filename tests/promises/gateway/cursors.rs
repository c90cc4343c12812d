//! Cursors: what a backend put there is for the gateway alone, and opens for one recipient and route.

use super::backend::json;
use super::stage::Stage;

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

/// What the backend wants back: an id, as backends do.
const CURSOR: &str = "after=u1&name=CANARY Müller";

fn sealed(body: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
    document["next"].as_str().expect("sealed").to_owned()
}

async fn page(stage: &Stage, recipient: &str) -> String {
    let answer = stage.ask(recipient, "/people").await;
    assert_eq!(answer.status, 200, "{recipient}");
    answer.body.expect("whole")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_sealed_on_the_way_out_and_opened_on_the_way_in() {
    let stage = Stage::with_rules(RULES).await;
    let body = format!(r#"{{"next":"{CURSOR}","people":[{{"id":"u1","name":"Testina"}}]}}"#);
    stage.backend.says("/people", json(&body));
    let first = page(&stage, "desk").await;
    assert!(!first.contains("CANARY") && !first.contains("after"), "{first}");
    let cursor = sealed(&first);
    assert_eq!(sealed(&page(&stage, "desk").await), cursor, "one page has one cursor");
    stage.backend.asked();
    let answer = stage.ask("desk", &format!("/people?limit=5&cursor={cursor}")).await;
    assert_eq!(answer.status, 200);
    let asked = stage.backend.asked().concat();
    let target = "/people?limit=5&cursor=after%3Du1%26name%3DCANARY%20M%C3%BCller";
    assert!(asked.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{asked}");

    stage.backend.says("/people", json(r#"{"next":null,"people":[]}"#));
    assert_eq!(page(&stage, "desk").await, r#"{"next":null,"people":[]}"#, "the last page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_others_changed_or_made_up_is_refused_and_nothing_is_asked() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/people", json(&format!(r#"{{"next":"{CURSOR}","people":[]}}"#)));
    let of_dealer = sealed(&page(&stage, "dealer").await);
    let own = sealed(&page(&stage, "desk").await);
    assert_ne!(of_dealer, own);
    stage.backend.asked();
    let mut changed = own.clone();
    let last = if changed.pop() == Some('a') { 'b' } else { 'a' };
    changed.push(last);
    let cut = own[..own.len() - 3].to_owned();
    for cursor in
        [of_dealer, changed, cut, "after%3Du1".into(), "0".into(), "tk1_".into(), String::new()]
    {
        let answer = stage.ask("desk", &format!("/people?cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{cursor}");
    }
    let twice = stage.ask("desk", &format!("/people?cursor={own}&cursor=0")).await;
    assert_eq!(twice.status, 400);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}
