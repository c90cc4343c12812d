//! Every change has its author in the ledger, whatever becomes of the client or the disk; and whom a
//! call was about has a tag, however many they are.

use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tamis::admin::admin_router;
use tamis::ledger::Note;
use tamis::terms::{ConsentStatus, Personal};
use tower::ServiceExt as _;

use super::{Admin, CONSENT, TOKEN};

const WITHDRAWAL: &str = "/v1/consents/con_1/withdrawal";

/// Author and status of each call of this route.
fn calls(admin: &Admin, route: &str) -> Vec<(Value, Value)> {
    let mut all = admin.ledger();
    all.retain(|entry| entry["kind"] == "call" && entry["route"] == route);
    all.into_iter().map(|entry| (entry["by"].clone(), entry["status"].clone())).collect()
}

#[test]
fn a_change_whose_client_is_gone_has_its_author() {
    let admin = Admin::new();
    admin.plain("POST", "/v1/consents", CONSENT);
    let request = Request::post(WITHDRAWAL)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .expect("a request");
    admin.runtime.block_on(async {
        let mut call = pin!(admin_router(admin.state.clone()).oneshot(request));
        // It is begun, and the connection is reset.
        let begun =
            std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()));
        assert!(begun.await);
    });
    admin.runtime.block_on(admin.state.calls.ended());
    assert_eq!(admin.status("CANARY", "con_1"), ConsentStatus::Withdrawn);
    assert_eq!(calls(&admin, "/v1/consents/{id}/withdrawal"), [(json!("dpo"), json!(200))]);
    assert_eq!(admin.entries().len(), 2, "and the change is entered");
}

#[test]
fn a_call_that_could_not_be_entered_is_entered_when_the_disk_is_back() {
    let admin = Admin::new();
    admin.plain("POST", "/v1/consents", CONSENT);
    let segment = admin.directory.path().join("ledger/000001.jsonl");
    let aside = admin.directory.path().join("aside");
    std::fs::rename(&segment, &aside).expect("ours");
    assert_eq!(admin.plain("POST", WITHDRAWAL, "").status, 200);
    let told = admin.plain("POST", "/v1/statements/query", r#"{"subject":"CANARY"}"#);
    assert_eq!(told.status, 503);
    std::fs::rename(&aside, &segment).expect("ours");
    assert_eq!(admin.runtime.block_on(admin.state.drain.run()).expect("back"), 1);
    assert_eq!(calls(&admin, "/v1/consents/{id}/withdrawal"), [(json!("dpo"), json!(200))]);
    assert_eq!(calls(&admin, "/v1/statements/query"), [(json!("dpo"), json!(503))]);
    assert!(!format!("{:?}", admin.ledger()).contains("CANARY"));
}

#[test]
fn whoever_does_not_fit_into_a_record_of_a_call_follows_in_others() {
    let admin = Admin::new();
    let note = Note::Call {
        by: "dpo".into(),
        role: Some("dpo"),
        method: "POST",
        route: "/v1/reports/{name}/query".into(),
        status: 200,
        about: (0..2500).map(|number| Personal::new(format!("u{number}").into())).collect(),
    };
    let first = admin.runtime.block_on(admin.state.ledger.note(&note)).expect("durable");
    let entries = admin.ledger();
    let tags: Vec<usize> = entries
        .iter()
        .map(|entry| entry["subjects"][0]["tags"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(tags, [1024, 1024, 452]);
    assert_eq!(entries[0].get("continues"), None);
    for further in &entries[1..] {
        assert_eq!((&further["kind"], &further["by"]), (&json!("call"), &json!("dpo")));
        assert_eq!(further["continues"], first);
    }
    tamis::ledger::verify(&admin.directory.path().join("ledger"), None).expect("whole");
}
