//! What one recipient gets and others do not: their own rows, what a consent lists, something once.

use tamis::policy::Policy;

use super::backend::json;
use super::stage::{Answer, Stage, request};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

const U1: &str =
    r#"{"id":"u1","name":"Testina Musterfrau","email":"u1@example.invalid","health":"CANARY"}"#;

/// A consent of u1 for the present text of `purpose`, to `recipient`.
fn consent(stage: &Stage, id: &str, purpose: &str, recipient: &str, categories: &str) {
    let policy = Policy::parse("wire.rules.yaml", RULES).expect("it loads");
    let digest = policy.purposes[purpose].text_digest;
    stage.record(&format!(
        r#"{{"id":"{id}","subject":"u1","purpose":"{purpose}","purpose_text_digest":"{digest}",
            "recipients":["{recipient}"],"categories":[{categories}],"status":"given",
            "given_at":"2026-01-01T00:00:00Z"}}"#
    ));
}

fn body(answer: Answer) -> String {
    answer.body.expect("whole").replace(['\n', ' '], "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_with_only_where_gets_its_own_rows_and_no_others() {
    let stage = Stage::with_rules(RULES).await;
    let events = r#"{"page":1,"events":[
        {"dealer_id":"7","id":"u1","name":"A"},
        {"dealer_id":7,"id":"u2","name":"B"},
        {"dealer_id":"8","id":"u3","name":"CANARY"},
        {"dealer_id":null,"id":"u4","name":"CANARY"},
        {"dealer_id":"7","id":"u5","name":"CANARY","dealer_id":"8"},
        {"dealer_id":["7"],"id":"u6","name":"CANARY"},
        {"id":"u7","name":"CANARY"}]}"#;
    stage.backend.says("/events", json(events));
    let expected = r#"{"page":1,"events":[{"dealer_id":"7","id":"u1","name":"A"},{"dealer_id":7,"id":"u2","name":"B"}]}"#;
    assert_eq!(body(stage.ask("dealer", "/events").await), expected);

    // An answer that is no list is one row.
    for (path, member, status) in [
        ("/sold/1", r#""dealer_id":"7","#, 200),
        ("/sold/2", r#""dealer_id":"8","#, 404),
        ("/sold/3", "", 404),
    ] {
        let answer = format!(r#"{{{member}"id":"u1","name":"CANARY"}}"#);
        stage.backend.says(path, json(&answer));
        let answer = stage.ask("dealer", path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(body(answer).contains("CANARY"), status == 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_gets_the_lines_of_the_party_that_the_rules_say_it_is() {
    let (from, to) = ("payment.amount: keep", "payment.amount: own lines");
    let own = RULES.replacen(from, to, 1);
    let role = "desk:    {role: internal,";
    let party = own.replacen(role, "desk:    {party: p-77, role: internal,", 1);
    assert!(own != RULES && party != own);
    let payments = r#"{"payments":[
        {"payer":"u1","amount":"9.00","payee":{"id":"p-77","name":"Shop"}},
        {"payer":"u1","amount":"CANARY","payee":{"id":"p-78","name":"CANARY"}},
        {"payer":"u2","amount":"CANARY","payee":{"id":"p-77","name":"CANARY"}}]}"#;
    for (rules, expected) in [
        (
            party,
            r#"{"payments":[{"payer":"u1","amount":"9.00","payee":{"id":"p-77","name":"Shop"}}]}"#,
        ),
        (own, r#"{"payments":[]}"#),
    ] {
        let stage = Stage::with_rules(&rules).await;
        stage.backend.says("/payments", json(payments));
        // The others of a line are asked as ever; of itself a party is told whatever stands there.
        for (who, kind) in [("u2", r#""erasure""#), ("p-77", r#""restriction","categories":["*"]"#)]
        {
            let at = if who == "u2" { "requested_at" } else { "since" };
            stage.record(&format!(
                r#"{{"kind":{kind},"subject":"{who}","{at}":"2026-01-01T00:00:00Z"}}"#
            ));
        }
        assert_eq!(body(stage.ask("desk", "/payments").await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_is_sent_the_link_to_the_policy_which_everybody_may_read() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/sold/1", json(r#"{"dealer_id":"7","id":"u1","name":"A"}"#));
    stage.backend.says("/people/u1", json(U1));
    let dealer = stage.ask("dealer", "/sold/1").await;
    assert_eq!(dealer.headers["link"], "</.well-known/privacy-policy>; rel=\"privacy-policy\"");
    let desk = stage.ask("desk", "/people/u1").await;
    assert!(!desk.headers.contains_key("link"));

    let path = "/.well-known/privacy-policy";
    for recipient in [None, Some("stranger"), Some("dealer")] {
        let answer = stage.send(recipient, request("GET", path, &[])).await;
        assert_eq!(answer.status, 200);
        let policy = Policy::parse("wire.rules.yaml", RULES).expect("it loads");
        let document = answer.body.expect("whole");
        assert!(document.contains(&policy.digest.to_string()), "{document}");
        assert!(document.contains(r#""revision":"2026-01-01""#), "{document}");
        assert!(!document.contains("bank.example") && !document.contains("C-3"), "{document}");
    }
    let post = stage.send(None, request("POST", path, &[])).await;
    assert_eq!(post.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_honours_gpc_says_so_and_no_other_does() {
    let path = "/.well-known/gpc.json";
    let stage = Stage::with_rules(RULES).await;
    let answer = stage.send(None, request("GET", path, &[])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.as_deref(), Some(r#"{"gpc":true,"lastUpdate":"2026-01-01"}"#));
    assert_eq!(stage.send(None, request("POST", path, &[])).await.status, 401);
    let silent = Stage::set().await;
    assert_eq!(silent.send(None, request("GET", path, &[])).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_consent_shows_what_the_consents_list_and_nothing_else() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/people/u1", json(U1));
    assert_eq!(stage.ask("app", "/people/u1").await.status, 404, "no consent");
    consent(&stage, "con_all", "share.app", "app", "");
    assert_eq!(body(stage.ask("app", "/people/u1").await), "{}", "a consent that lists nothing");
    stage
        .stores
        .registers
        .changing(|changing| changing.withdraw_consent("con_all", jiff::Timestamp::now()))
        .expect("taken");
    consent(&stage, "con_1", "share.app", "app", r#""contact.email","payment.amount""#);
    let email = r#"{"email":"u1@example.invalid"}"#;
    assert_eq!(body(stage.ask("app", "/people/u1").await), email);
    // A second consent adds what it lists; sensitive data need one that says so in so many words.
    consent(&stage, "con_2", "share.app", "app", r#""identity.name","health.note""#);
    let both = r#"{"name":"TestinaMusterfrau","email":"u1@example.invalid"}"#;
    assert_eq!(body(stage.ask("app", "/people/u1").await), both);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_grant_is_used_once_however_many_ask_at_once() {
    let stage = Stage::with_rules(RULES).await;
    stage.backend.says("/people/u1", json(U1));
    stage.backend.says("/people", json(&format!(r#"{{"total":1,"people":[{U1}]}}"#)));
    consent(&stage, "con_1", "portability", "bank", "");
    assert_eq!(stage.ask("bank", "/people/u1").await.status, 404, "consent alone");
    let grant = |id: &str| {
        stage.record(&format!(
            r#"{{"kind":"one-time-grant","id":"{id}","subject":"u1","purpose":"portability",
                "recipient":"bank","granted_at":"2026-01-01T00:00:00Z"}}"#
        ));
    };
    grant("g-1");
    assert_eq!(body(stage.ask("bank", "/people").await), r#"{"people":[]}"#, "a list");
    let head = stage.send(Some("bank"), request("HEAD", "/people/u1", &[])).await;
    assert_eq!(head.status, 200, "a head discloses nothing and uses nothing up");
    let all = tokio::join!(
        stage.ask("bank", "/people/u1"),
        stage.ask("bank", "/people/u1"),
        stage.ask("bank", "/people/u1"),
        stage.ask("bank", "/people/u1"),
    );
    let mut statuses = [all.0, all.1, all.2, all.3].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404]);
    grant("g-1");
    assert_eq!(stage.ask("bank", "/people/u1").await.status, 404, "delivered again, still used");
    grant("g-2");
    assert_eq!(stage.ask("bank", "/people/u1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_not_used_up_by_an_answer_that_did_not_leave() {
    let stage = Stage::with_rules(RULES).await;
    consent(&stage, "con_1", "portability", "bank", "");
    stage.record(
        r#"{"kind":"one-time-grant","id":"g-1","subject":"u1","purpose":"portability",
            "recipient":"bank","granted_at":"2026-01-01T00:00:00Z"}"#,
    );
    stage.backend.says("/people/u1", json(r#"{"name":"#));
    assert_eq!(stage.ask("bank", "/people/u1").await.status, 502);
    stage.backend.says("/people/u1", json(U1));
    let answer = stage.ask("bank", "/people/u1").await;
    assert_eq!(answer.status, 200);
    let expected = r#"{"name":"TestinaMusterfrau","email":"u1@example.invalid"}"#;
    assert_eq!(body(answer), expected);
}
