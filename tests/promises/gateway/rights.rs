//! What people ask of the gateway itself: who was told what, erase, restrict, and one click.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json as value};

use super::backend::json;
use super::reports::reported;
use super::stage::{Answer, Stage, request};

const RULES: &str = include_str!("../../cases/rights.rules.yaml");

const PAYMENTS: &str = r#"{"payments":[
    {"payer":"CANARY-1","amount":12,"payee":{"id":"CANARY-2","name":"Max Beispiel"}}]}"#;

fn person(id: &str) -> String {
    format!(r#"{{"id":"{id}","name":"Testina Musterfrau","email":"t@example.invalid"}}"#)
}

async fn stage() -> Stage {
    let stage = Stage::embedded(RULES, &[]).await;
    for id in ["CANARY-1", "CANARY-2"] {
        stage.backend.says(&format!("/people/{id}"), json(&person(id)));
    }
    stage.backend.says("/payments", json(PAYMENTS));
    stage
}

/// The report that a person gets.
async fn report(stage: &Stage, person: &str) -> Value {
    let answer = stage.ask_as(person, "GET", "/me/disclosures", None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.headers["cache-control"], "private, no-store");
    serde_json::from_str(&answer.body.expect("whole")).expect("JSON")
}

/// What `tamis report subject` prints, beside the gateway.
fn by_command(stage: &Stage, person: &str) -> Value {
    reported(&stage.path("tamis.yaml"), &["subject", "--person", person])
}

/// Recipient and categories of each disclosure in a report.
fn told(report: &Value) -> Vec<(String, Value)> {
    let all = report["disclosures"].as_array().expect("a list");
    let text = |one: &Value| one["recipient"].as_str().expect("named").to_owned();
    all.iter().map(|one| (text(one), one["categories"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_which_recipient_got_what_of_them_and_of_nobody_else() {
    let stage = stage().await;
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 200);
    assert_eq!(stage.ask("printer", "/payments").await.status, 200);
    assert_eq!(stage.ask_as("CANARY-1", "GET", "/people/CANARY-1", None).await.status, 200);

    let first = report(&stage, "CANARY-1").await;
    let keep = "keep";
    assert_eq!(
        told(&first),
        [
            (
                "desk".to_owned(),
                value!({"account.id": keep, "contact.email": keep, "identity.name": keep})
            ),
            ("printer".to_owned(), value!({"account.id": "token", "payment.amount": keep})),
        ]
    );
    assert_eq!(first["own_accesses"], 1);
    assert_eq!(first["controller"]["contact"], "post@example.invalid");
    assert_eq!(first["source"], "given by the person");
    assert_eq!(first["automated_decisions"], "none");
    assert_eq!(first["purposes"][0]["text"], "Provide the service");
    assert_eq!(first["recipients"][1]["contract"], "C-2");
    assert_eq!(by_command(&stage, "CANARY-1")["disclosures"], first["disclosures"]);
    let second = report(&stage, "CANARY-2").await;
    let of_payee = value!({"account.id": "token", "identity.name": "initials"});
    assert_eq!(told(&second), [("printer".to_owned(), of_payee)]);
    assert!(told(&report(&stage, "CANARY-9").await).is_empty());

    let ledger = stage.ledger();
    assert!(!ledger.contains("CANARY"), "no person stands in the ledger");
    assert!(ledger.contains("\"service\":\"subject-report\""), "a report is an entry");
    let verified = tamis::ledger::verify(&stage.path("ledger"), None).expect("the chain holds");
    assert_eq!(verified.records, ledger.lines().count() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_far_down_a_long_list_is_told_as_well() {
    let stage = stage().await;
    let people: Vec<String> = (0..4000).map(|at| person(&format!("p-{at}"))).collect();
    stage.backend.says("/people", json(&format!(r#"{{"people":[{}]}}"#, people.join(","))));
    let answer = stage.ask("desk", "/people").await;
    assert!(answer.body.expect("whole").contains("p-3999"));
    for id in ["p-0", "p-2500", "p-3999"] {
        let told = told(&report(&stage, id).await);
        assert_eq!(told.len(), 1, "{id}");
        assert_eq!(told[0].0, "desk", "{id}");
    }
    assert!(stage.ledger().contains("\"kind\":\"subjects\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_court_forbids_to_tell_is_told_when_it_may_be() {
    for (gag, is_told) in
        [(SignedDuration::from_hours(-1), true), (SignedDuration::from_hours(1), false)]
    {
        let stage = stage().await;
        let before = report(&stage, "CANARY-1").await;
        let gag_until = Timestamp::now() + gag;
        stage.record(&format!(
            r#"{{"kind":"order","id":"ord-1","recipient":"court","authority":"a court","subjects":["CANARY-1"],
                "categories":["identity.name"],"from":"2020-01-01T00:00:00Z","until":"2090-01-01T00:00:00Z",
                "gag_until":"{gag_until}"}}"#
        ));
        for approver in ["anna", "ben"] {
            stage.stores.registers.approve_order("ord-1", approver).expect("there is one");
        }
        let asked = request("GET", "/people/CANARY-1", &[("tamis-order", "\"ord-1\"")]);
        assert_eq!(stage.send(Some("court"), asked).await.status, 200);
        let after = report(&stage, "CANARY-1").await;
        assert_eq!(told(&after).len(), usize::from(is_told));
        assert_eq!(after["completeness"], before["completeness"], "this tells nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_person_gets_a_report_and_only_about_themselves() {
    let stage = stage().await;
    for recipient in ["desk", "printer"] {
        let answer = stage.ask(recipient, "/me/disclosures").await;
        assert!(answer.status == 403 || answer.status == 404, "{recipient}: {}", answer.status);
    }
    let nobody = stage.send(None, request("GET", "/me/disclosures", &[])).await;
    assert_eq!(nobody.status, 401);
    let about = stage.ask_as("CANARY-1", "GET", "/me/disclosures?person=CANARY-2", None).await;
    assert_eq!(about.status, 403);
    // Each costs a reading of the ledger.
    let mut last = None;
    for _ in 0..8 {
        last = Some(stage.ask_as("CANARY-1", "GET", "/me/disclosures", None).await);
    }
    let last = last.expect("asked");
    assert_eq!((last.status.as_u16(), last.headers["retry-after"].as_bytes()), (429, &b"60"[..]));
    assert_eq!(stage.ask_as("CANARY-2", "GET", "/me/disclosures", None).await.status, 200);
}

fn receipt(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    serde_json::from_str(answer.body.as_deref().expect("whole")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_in_force_with_its_receipt_and_asking_again_is_the_same_request() {
    let stage = stage().await;
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 200);
    let first = receipt(&stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await);
    assert_eq!(first["right"], "erasure");
    assert_eq!(first["in_force"], true);
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 403);
    assert_eq!(stage.ask("desk", "/people/CANARY-2").await.status, 200, "nobody else");
    let again = receipt(&stage.ask_as("CANARY-1", "POST", "/me/erasure", Some("{}")).await);
    assert_eq!(again, first);
    let open = stage.stores.registers.open_requests(10).expect("readable");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].receipt.id, first["receipt"].as_str().expect("an id"));
    assert!(!stage.ledger().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_is_of_what_it_names_and_a_correction_only_asks() {
    let stage = stage().await;
    let some = r#"{"categories":["contact.*"]}"#;
    receipt(&stage.ask_as("CANARY-1", "POST", "/me/restriction", Some(some)).await);
    let body = stage.ask("desk", "/people/CANARY-1").await.body.expect("whole");
    assert_eq!(body, r#"{"id":"CANARY-1","name":"Testina Musterfrau"}"#);
    let asked = receipt(&stage.ask_as("CANARY-2", "POST", "/me/rectification", Some(some)).await);
    assert_eq!(asked["in_force"], false);
    assert_eq!(
        stage.ask("desk", "/people/CANARY-2").await.body.expect("whole"),
        person("CANARY-2")
    );
    receipt(&stage.ask_as("CANARY-1", "POST", "/me/restriction", None).await);
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 403, "of everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_understood_is_not_half_taken() {
    let stage = stage().await;
    for (path, body) in [
        ("/me/restriction", r#"{"categories":["shoes.*"]}"#),
        ("/me/restriction", r#"{"categories":[]}"#),
        ("/me/restriction", r#"{"categories":["contact.*"],"categories":["*"]}"#),
        ("/me/erasure", r#"{"categories":["contact.*"]}"#),
        ("/me/erasure", r#"{"except":["service"]}"#),
    ] {
        let answer = stage.ask_as(body, "POST", path, Some(body)).await;
        assert_eq!(answer.status, 422, "{path} {body}");
    }
    let desk = stage.post("desk", "/me/erasure", "{}").await;
    assert!(desk.status == 403 || desk.status == 404);
    assert_eq!(stage.ask_as("CANARY-1", "GET", "/me/erasure", None).await.status, 403);
    assert!(stage.stores.registers.open_requests(10).expect("readable").is_empty());
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

async fn click(stage: &Stage, method: &str, token: &str, media_type: &str, body: &str) -> Answer {
    let target = format!("/unsubscribe/{token}");
    let (parts, _) = request(method, &target, &[("content-type", media_type)]).into_parts();
    let body = Full::new(Bytes::from(body.to_owned()));
    stage.send(None, Request::from_parts(parts, body)).await
}

/// What a recipient knows the person by.
async fn token(stage: &Stage, recipient: &str, path: &str, pointer: &str) -> String {
    let body = stage.ask(recipient, path).await.body.expect("whole");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body.pointer(pointer).and_then(Value::as_str).expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_objects_and_nothing_less_does() {
    let stage = stage().await;
    let theirs = token(&stage, "mailer", "/people/CANARY-1", "/id").await;
    assert!(theirs.starts_with("tk1_"), "{theirs}");
    let of_another = token(&stage, "printer", "/payments", "/payments/0/payer").await;
    let mut changed = theirs.clone();
    changed.replace_range(8..9, if &theirs[8..9] == "a" { "b" } else { "a" });
    for (name, method, token, media_type, body, status) in [
        ("a preview of the link", "GET", &theirs, URLENCODED, "", 401),
        ("no pair", "POST", &theirs, URLENCODED, "", 422),
        ("another pair", "POST", &theirs, URLENCODED, "List-Unsubscribe=Two-Clicks", 422),
        ("JSON", "POST", &theirs, "application/json", ONE_CLICK, 422),
        ("the token of another recipient", "POST", &of_another, URLENCODED, ONE_CLICK, 404),
        ("a changed token", "POST", &changed, URLENCODED, ONE_CLICK, 404),
        ("an id", "POST", &"CANARY-1".to_owned(), URLENCODED, ONE_CLICK, 404),
    ] {
        let answer = click(&stage, method, token, media_type, body).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(stage.ask("mailer", "/people/CANARY-1").await.status, 200, "{name}");
    }
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
                     One-Click\r\n--x--\r\n";
    for (media_type, body) in
        [(URLENCODED, ONE_CLICK), ("multipart/form-data; boundary=x", multipart)]
    {
        let answer = click(&stage, "POST", &theirs, media_type, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.as_deref(), Some(r#"{"objected_to":"news"}"#));
        assert_eq!(stage.ask("mailer", "/people/CANARY-1").await.status, 404);
    }
    let entries = stage.ledger().matches("\"service\":\"objection\"").count();
    assert_eq!(entries, 1, "what is known already is no other entry");
    assert_eq!(stage.ask("mailer", "/people/CANARY-2").await.status, 200, "nobody else");
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 200, "nothing else");
    assert!(!stage.ledger().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_what_another_controller_answers_is_told_which() {
    let stage = stage().await;
    let told = stage.ask_as("CANARY-1", "POST", "/shops/alpha/me/erasure", Some("{}")).await;
    assert_eq!(told.status, 409);
    let body = told.body.expect("whole");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert!(problem["type"].as_str().is_some_and(|text| text.ends_with("/other-controller")));
    assert_eq!(problem["controller"], "privacy@alpha.example.invalid");
    assert!(!body.contains("CANARY"));
    let unknown = stage.ask_as("CANARY-1", "POST", "/shops/beta/me/erasure", Some("{}")).await;
    assert_eq!(unknown.status, 404);
    assert!(!unknown.body.expect("whole").contains("alpha"));
    let stranger = stage.ask("desk", "/shops/alpha/me/erasure").await;
    assert_eq!(stranger.status, 403, "no such route for GET");
    // Nothing was asked of us, so that nothing is erased here.
    assert_eq!(stage.ask_as("CANARY-1", "GET", "/people/CANARY-1", None).await.status, 200);
}
