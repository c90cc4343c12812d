//! Orders and cases at the wire: the only rule that widens, and only for the people it names.

use jiff::{Timestamp, ToSpan as _};

use super::backend::json;
use super::stage::{Answer, Stage, request};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

const U1: &str =
    r#"{"id":"u1","name":"Testina Musterfrau","email":"u1@example.invalid","health":"CANARY"}"#;

const PEOPLE: &str = r#"{"total":2,"people":[
    {"id":"u1","name":"Testina Musterfrau","email":"u1@example.invalid","health":"CANARY"},
    {"id":"u2","name":"CANARY","email":"CANARY","health":"CANARY"}]}"#;

const PAYMENTS: &str = r#"{"payments":[
    {"payer":"u1","amount":"9.00","payee":{"id":"u2","name":"CANARY"}},
    {"payer":"u2","amount":"CANARY","payee":{"id":"u1","name":"Testina Musterfrau"}}]}"#;

async fn stage() -> Stage {
    let stage = Stage::with_rules(RULES).await;
    for (path, body) in
        [("/people/u1", U1), ("/people/u2", U1), ("/people", PEOPLE), ("/payments", PAYMENTS)]
    {
        stage.backend.says(path, json(body));
    }
    stage
}

/// An order for u1's id and name, in force from an hour ago until `hours` from now.
fn order(stage: &Stage, id: &str, hours: i64, approvers: &[&str]) {
    let now = Timestamp::now();
    let from = now - 1.hour();
    let (until, gag) = (now + hours.hours(), now + 100.hours());
    let (from, until) = if hours < 0 { (from - 9.hours(), until) } else { (from, until) };
    stage.record(&format!(
        r#"{{"kind":"order","id":"{id}","recipient":"court","authority":"Invented Court","type":"court",
            "subjects":["u1"],"categories":["account.id","identity.name"],
            "from":"{from}","until":"{until}","gag_until":"{gag}"}}"#
    ));
    for approver in approvers {
        stage.stores.registers.approve_order(id, approver).expect("taken");
    }
}

async fn under(stage: &Stage, recipient: &str, header: &str, id: &str, target: &str) -> Answer {
    let quoted = format!("\"{id}\"");
    let headers: &[(&str, &str)] = if id.is_empty() { &[] } else { &[(header, &quoted)] };
    stage.send(Some(recipient), request("GET", target, headers)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_without_an_order_in_force_is_refused_and_nothing_is_asked() {
    let stage = stage().await;
    order(&stage, "ord-one", 1, &["legal"]);
    order(&stage, "ord-same", 1, &["legal", "legal"]);
    order(&stage, "ord-over", -1, &["legal", "dpo"]);
    order(&stage, "ord-lifted", 1, &["legal", "dpo"]);
    stage.stores.registers.lift_order("ord-lifted").expect("there is one");
    for id in ["", "ord-unknown", "ord-one", "ord-same", "ord-over", "ord-lifted"] {
        let answer = under(&stage, "court", "tamis-order", id, "/people/u1").await;
        assert_eq!(answer.status, 403, "{id}");
        assert!(answer.body.expect("whole").contains("order-required"), "{id}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_shows_what_it_lists_of_whom_it_names() {
    let stage = stage().await;
    order(&stage, "ord-7", 1, &["legal", "dpo"]);
    // What a law orders does not wait for the person's word.
    stage.record(r#"{"kind":"restriction","subject":"u1","categories":["*"],"since":"2026-01-01T00:00:00Z"}"#);
    let expected = r#"{"id":"u1","name":"Testina Musterfrau"}"#;
    let one = under(&stage, "court", "tamis-order", "ord-7", "/people/u1").await;
    assert_eq!((one.status.as_u16(), one.body.as_deref()), (200, Some(expected)));

    let list = under(&stage, "court", "tamis-order", "ord-7", "/people").await;
    let list = list.body.expect("whole").replace(['\n', ' '], "");
    assert!(!list.contains("CANARY") && !list.contains("u2"), "{list}");
    assert!(list.contains(&expected.replace(' ', "")), "{list}");

    // Of two people in one element, the one whom it does not name keeps their members.
    let payments = under(&stage, "court", "tamis-order", "ord-7", "/payments").await;
    let payments = payments.body.expect("whole").replace(['\n', ' '], "");
    assert_eq!(payments, r#"{"payments":[{"payer":"u1","payee":{}}]}"#);

    let other = under(&stage, "court", "tamis-order", "ord-7", "/people/u2").await;
    assert_eq!(other.status, 404);
    assert!(other.body.expect("whole").contains("not-available"));

    let ledger = stage.ledger();
    assert!(
        ledger.contains("\"order\":\"ord-7\"") && ledger.contains("\"gag_until\":"),
        "{ledger}"
    );
    assert!(ledger.contains("\"health.note\":\"not listed in the order\""), "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_of_no_use_to_others_and_to_nobody_once_it_is_lifted() {
    let stage = stage().await;
    order(&stage, "ord-7", 1, &["legal", "dpo"]);
    let desk = under(&stage, "desk", "tamis-order", "ord-7", "/people/u1").await;
    let desk = desk.body.expect("whole");
    assert_eq!(desk, r#"{"id":"u1","name":"Testina Musterfrau"}"#, "what it gets anyway");
    stage.stores.registers.lift_order("ord-7").expect("there is one");
    let late = under(&stage, "court", "tamis-order", "ord-7", "/people/u1").await;
    assert_eq!(late.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_purpose_is_served_for_an_open_case_and_its_people() {
    let stage = stage().await;
    stage.record(
        r#"{"kind":"case","id":"C-1","purposes":["claims"],"subjects":["u1"],"opened_at":"2026-01-01T00:00:00Z"}"#,
    );
    let expected = r#"{"id":"u1","name":"Testina Musterfrau"}"#;
    for (id, target, status) in [
        ("", "/people/u1", 403),
        ("C-2", "/people/u1", 403),
        ("C-1", "/people/u1", 200),
        ("C-1", "/people/u2", 403),
    ] {
        let answer = under(&stage, "counsel", "tamis-case", id, target).await;
        assert_eq!(answer.status, status, "{id} {target}");
        let body = answer.body.expect("whole");
        match status {
            200 => assert_eq!(body, expected),
            _ => assert!(body.contains("case-required") || body.contains("not-named"), "{body}"),
        }
    }
    let list = under(&stage, "counsel", "tamis-case", "C-1", "/people").await;
    let list = list.body.expect("whole");
    assert!(list.contains("u1") && !list.contains("CANARY"), "{list}");
    stage.stores.registers.close_case("C-1").expect("there is one");
    let closed = under(&stage, "counsel", "tamis-case", "C-1", "/people/u1").await;
    assert_eq!(closed.status, 403);
    assert!(stage.ledger().contains("\"case\":\"C-1\""));
}
