//! An erasure ends something, or it is not taken.

use axum::http::StatusCode;
use rusqlite::Connection;
use serde_json::json;
use tamis::registers::{Record, Registers as _};
use tamis::terms::Personal;

use super::{Admin, SECOND_TOKEN, TOKEN};

#[test]
fn an_erasure_that_would_end_nothing_is_refused() {
    let admin = Admin::new();
    let purposes: Vec<String> =
        admin.state.policy.load().purposes.keys().map(ToString::to_string).collect();
    let (first, others) = purposes.split_first().expect("the rules have purposes");
    let mut roots: Vec<String> = purposes
        .iter()
        .map(|id| format!("{}.*", id.split('.').next().expect("a first part")))
        .collect();
    roots.dedup();
    let erase = |except: &serde_json::Value| {
        let body =
            json!({"subject": "u1", "requested_at": "2026-01-01T00:00:00Z", "except": except});
        admin.plain("PUT", "/v1/erasures", &body.to_string())
    };
    for except in [json!(["*"]), json!([first, "*"]), json!(purposes), json!(roots)] {
        let answer = erase(&except);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{except}: {}", answer.text);
        assert!(answer.text.contains("except"), "{except}: {}", answer.text);
    }
    let said = admin.state.registers.statements(&Personal::new("u1".into()));
    assert!(said.expect("readable").erasure.is_none());
    assert_eq!(erase(&json!(others)).status, StatusCode::CREATED, "one purpose ends");
    assert!(admin.ledger().iter().any(|entry| entry["register"] == "erasure"));
}

#[test]
fn an_erasure_is_lifted_by_two_callers_and_by_none_alone() {
    let admin = Admin::new();
    let body = r#"{"subject":"CANARY","requested_at":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(admin.plain("PUT", "/v1/erasures", body).status, StatusCode::CREATED);
    let subject = r#"{"subject":"CANARY"}"#;
    let lift = |token: &str| {
        admin.ask("POST", "/v1/erasures/lift", subject, |request| {
            let token = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", token);
        })
    };
    for (token, became, is_erased) in [
        (TOKEN, json!({"lifted": 0, "waiting": 1}), true),
        (TOKEN, json!({"lifted": 0, "waiting": 1}), true),
        (SECOND_TOKEN, json!({"lifted": 1, "waiting": 0}), false),
    ] {
        assert_eq!(lift(token).json(), became);
        let said = admin.state.registers.statements(&Personal::new("CANARY".into()));
        assert_eq!(said.expect("readable").erasure.is_some(), is_erased);
    }
    let by: Vec<_> = admin
        .ledger()
        .into_iter()
        .filter(|entry| entry["route"] == "/v1/erasures/lift")
        .map(|entry| entry["by"].clone())
        .collect();
    assert_eq!(by, ["dpo", "dpo", "legal"]);
    assert!(!format!("{:?}", admin.ledger()).contains("CANARY"));
}

/// Earlier versions took such a record. The ledger has forgotten the person; so nothing may leave.
#[test]
fn an_exception_of_everything_that_was_once_taken_excepts_nothing() {
    let admin = Admin::new();
    let json = br#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-01T00:00:00Z"}"#;
    admin.state.registers.record(&Record::parse(json).expect("a record")).expect("taken");
    let file = Connection::open(admin.directory.path().join("r.db")).expect("ours");
    let before = "UPDATE erasures SET except_for = '[\"*\"]'";
    assert_eq!(file.execute(before, []).expect("written"), 1);
    let said = admin.state.registers.statements(&Personal::new("u1".into()));
    let erasure = said.expect("readable").erasure.clone().expect("erased");
    assert!(erasure.except.is_empty());
}
