//! Tokens that come back: opened for whom they were given to, and for nobody else.

use super::backend::json;
use super::stage::{Answer, Stage};

const RULES: &str = include_str!("../../cases/tokens.rules.yaml");

/// An id with signs that have to be encoded in a path.
const ID: &str = "u1 CANARY@ü";
const PATH: &str = "/people/u1%20CANARY%40%C3%BC";

async fn stage() -> Stage {
    let stage = Stage::with_rules(RULES).await;
    let person = format!(
        r#"{{"id":"{ID}","name":"Testina Musterfrau","email":"t@example.invalid","order":"o/1"}}"#
    );
    stage.backend.says(PATH, json(&person));
    stage.backend.says("/people", json(&format!(r#"{{"people":[{person}]}}"#)));
    stage.backend.says("/messages", json(r#"{"number":7}"#));
    stage
}

fn member(answer: &Answer, name: &str) -> String {
    let body = answer.body.as_deref().expect("whole");
    let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
    document[name].as_str().expect("text").to_owned()
}

/// The token of the person as a recipient gets it.
async fn token(stage: &Stage, recipient: &str) -> String {
    let answer = stage.ask(recipient, PATH).await;
    assert_eq!(answer.status, 200, "{recipient}");
    let token = member(&answer, "id");
    assert!(token.starts_with("tk1_"), "{token}");
    stage.backend.asked();
    token
}

fn changed(token: &str) -> String {
    let mut changed = token.to_owned();
    let last = if changed.pop() == Some('a') { 'b' } else { 'a' };
    changed.push(last);
    changed
}

/// What tells one answer from another, without its decision id and date.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = member(answer, "instance");
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).replace(&id, "…");
            (name.to_string(), value)
        })
        .collect();
    let body = answer.body.clone().expect("whole").replace(&id, "…");
    (answer.status.as_u16(), headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_path_is_opened_for_its_recipient() {
    let stage = stage().await;
    let token = token(&stage, "tool").await;
    for spelt in [token.clone(), token.to_uppercase()] {
        let answer = stage.ask("tool", &format!("/people/{spelt}")).await;
        assert_eq!(answer.status, 200, "{spelt}");
        assert_eq!(member(&answer, "id"), token);
        assert_eq!(member(&answer, "name"), "T. M.");
        let asked = stage.backend.asked().concat();
        assert!(asked.starts_with(&format!("GET {PATH} HTTP/1.1\r\n")), "{asked}");
    }
    // Nothing of the person stands in what is written down, and neither does the token.
    let files = ["access.log", "ledger/000001.jsonl"].map(|file| stage.path(file));
    stage.running.stop().await;
    for file in files {
        let written = std::fs::read_to_string(file).expect("written");
        assert!(written.contains("/people/{id}") && !written.contains("CANARY"), "{written}");
        assert!(!written.to_lowercase().contains(&token), "{written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_meant_by_a_token_is_who_is_asked_about() {
    let stage = stage().await;
    let token = token(&stage, "tool").await;
    stage.record(&format!(
        r#"{{"kind":"erasure","subject":"{ID}","requested_at":"2026-01-01T00:00:00Z"}}"#
    ));
    let answer = stage.ask("tool", &format!("/people/{token}")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_open_reads_like_a_person_who_does_not_exist() {
    let stage = stage().await;
    let own = token(&stage, "tool").await;
    let of_rival = token(&stage, "rival").await;
    assert_ne!(own, of_rival);
    for recipient in ["tool", "mailer", "ads"] {
        let nobody = seen(&stage.ask(recipient, "/people/nobody").await);
        assert_eq!(nobody.0, 404, "{recipient}");
        stage.backend.asked();
        let short = own[..own.len() - 4].to_owned();
        let unheard = own.replacen("tk1_", "tk2_", 1);
        for forged in [
            of_rival.clone(),
            changed(&of_rival),
            changed(&own),
            short,
            unheard,
            "tk1_".into(),
            "TK1_AAAA".into(),
            "tk1_%C3%BC".into(),
        ] {
            let answer = stage.ask(recipient, &format!("/people/{forged}")).await;
            assert_eq!(seen(&answer), nobody, "{recipient} {forged}");
            assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{recipient} {forged}");
        }
    }
    // A token of one category is none of another.
    let answer = stage.ask("tool", &format!("/people/{own}/orders/{own}")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_opens_for_whom_the_rules_name_and_the_purpose_they_name() {
    let stage = stage().await;
    let token = token(&stage, "tool").await;
    let target = format!("/people/{token}");
    let answer = stage.ask("mailer", &target).await;
    assert_eq!(answer.status, 200);
    assert_eq!(member(&answer, "email"), "t@example.invalid");
    stage.backend.asked();
    // Not for its other purpose, not for both at once, and not for others.
    for purposes in ["service", "send, service"] {
        let request = super::stage::request("GET", &target, &[("tamis-purpose", purposes)]);
        assert_eq!(stage.send(Some("mailer"), request).await.status, 404, "{purposes}");
    }
    for recipient in ["desk", "rival", "ads"] {
        assert_eq!(stage.ask(recipient, &target).await.status, 404, "{recipient}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_query_is_opened_although_the_value_may_not_be_asked_for() {
    let stage = stage().await;
    let token = token(&stage, "tool").await;
    assert_eq!(stage.ask("tool", "/people?id=u1").await.status, 403, "a filter on what is hidden");
    let answer = stage.ask("tool", &format!("/people?sort=name&id={token}")).await;
    assert_eq!(answer.status, 200);
    let asked = stage.backend.asked().concat();
    let target = "/people?sort=name&id=u1%20CANARY%40%C3%BC";
    assert!(asked.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{asked}");
    let answer = stage.ask("tool", &format!("/people?id={}", changed(&token))).await;
    assert_eq!(answer.status, 404);
    let answer = stage.ask("tool", &format!("/people?id={token}&id=u1")).await;
    assert_eq!(answer.status, 403, "beside a token a value is still a value");
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_a_body_are_opened_where_the_rules_name_members() {
    let stage = stage().await;
    let token = token(&stage, "tool").await;
    let orders = format!("/people/{token}/orders/o1");
    stage.backend.says(&format!("{PATH}/orders/o1"), json(r#"{"order":"o/1"}"#));
    let order = member(&stage.ask("tool", &orders).await, "order");
    stage.backend.asked();
    let target = format!("/messages?id={token}");
    let body = format!(
        r#"{{"to":["{token}","u2",7,null],"about":{{"order":"{order}","x":1}},"text":"tk1_a","more":"{token}"}}"#
    );
    let answer = stage.post("tool", &target, &body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let asked = stage.backend.asked().concat();
    let (_, sent) = asked.split_once("\r\n\r\n").expect("a head");
    let expected =
        format!(r#"{{"to":["{ID}","u2",7,null],"about":{{"order":"o/1"}},"text":"tk1_a"}}"#);
    assert_eq!(sent, expected);
    // An order is no person.
    for (to, about) in [(&order, &order), (&token, &token), (&changed(&token), &order)] {
        let body = format!(r#"{{"to":["{to}"],"about":{{"order":"{about}"}}}}"#);
        assert_eq!(stage.post("tool", &target, &body).await.status, 404, "{body}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    // As a value in a path, what holds a slash would be another path.
    let answer = stage.ask("tool", &format!("/people/{token}/orders/{order}")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}
