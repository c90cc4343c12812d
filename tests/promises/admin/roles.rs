//! Who may call what: the table of docs/OPERATIONS.md, run down against a gateway that listens, each
//! role and each route of it; and who nobody is.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use tamis::terms::AdminRole;

use super::calls::{As, Desk};

/// `METHOD /path` → the roles with a mark in the table.
pub(super) fn table() -> BTreeMap<String, Vec<&'static str>> {
    let text = include_str!("../../../docs/OPERATIONS.md");
    let mut rows = text.lines().skip_while(|line| !line.starts_with("| call |"));
    let head = cells(rows.next().expect("the table of calls is there"));
    let roles = AdminRole::ALL.map(AdminRole::as_str);
    assert_eq!(head[1..], roles, "the table has a column for each role");
    rows.skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = cells(line);
            assert_eq!(cells.len(), roles.len() + 1, "{line}");
            let may = cells[1..].iter().zip(roles).filter(|(cell, _)| match **cell {
                "yes" => true,
                "" => false,
                other => panic!("{other}: {line}"),
            });
            (cells[0].trim_matches('`').to_owned(), may.map(|(_, role)| role).collect())
        })
        .collect()
}

fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn call_of(row: &str) -> (&str, String) {
    let (method, template) = row.split_once(' ').expect("a method and a path");
    let filled = template.split('/').map(|part| if part.starts_with('{') { "x-1" } else { part });
    (method, filled.collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn each_role_may_call_what_the_table_says_and_nothing_else() {
    let desk = Desk::open().await;
    let table = table();
    assert!(table.len() >= 20, "the table was read");
    for (row, may) in &table {
        let (method, path) = call_of(row);
        for role in AdminRole::ALL.map(AdminRole::as_str) {
            let answer = desk.call(As::Token(role), method, &path, "").await;
            let refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(!refused, may.contains(&role), "{role}: {row}: {}", answer.text);
            if refused {
                assert!(answer.text.contains("wrong-role"), "{}", answer.text);
            } else {
                // The route is there: what is wrong is the body that was not sent, or the id.
                let code = answer.status;
                assert_ne!(code, StatusCode::METHOD_NOT_ALLOWED, "{row}");
                assert!(answer.status != StatusCode::UNAUTHORIZED, "{row}");
            }
        }
        for nobody in [As::Nobody, As::Token("wrong"), As::Certificate("dns:no.example.invalid")] {
            let answer = desk.call(nobody, method, &path, "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{nobody:?}: {row}");
        }
        for other in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if table.contains_key(&format!("{other} {}", row.split_once(' ').expect("two").1)) {
                continue;
            }
            let answer = desk.call(As::Token("dpo"), other, &path, "").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{other} {path}");
            let allowed = answer.headers["allow"].to_str().expect("text");
            assert!(allowed.split(", ").any(|word| word == method), "{allowed}");
        }
    }
    let ledger = desk.ledger();
    let changes: Vec<_> = ledger.iter().filter(|entry| entry["kind"] == "register").collect();
    // A consent that is not known yet can be withdrawn by its id: it will arrive withdrawn.
    assert_eq!(changes.len(), 1, "nothing else changed the registers: {changes:?}");
    assert_eq!(changes[0]["change"], "withdrawn");
}

#[tokio::test]
async fn a_caller_shows_what_it_is_known_by() {
    let desk = Desk::open().await;
    let (app, both) = ("dns:app.example.invalid", "spiffe://shop/both");
    for (who, expected) in [
        (As::Certificate(app), StatusCode::OK),
        (As::Both(both, "both"), StatusCode::OK),
        (As::Certificate(both), StatusCode::UNAUTHORIZED),
        (As::Token("both"), StatusCode::UNAUTHORIZED),
        (As::Both(app, "both"), StatusCode::UNAUTHORIZED),
        (As::Both(app, "dpo"), StatusCode::UNAUTHORIZED),
        (As::Both(app, "wrong"), StatusCode::UNAUTHORIZED),
    ] {
        let answer = desk.call(who, "GET", "/v1/policy", "").await;
        assert_eq!(answer.status, expected, "{who:?}: {}", answer.text);
    }
    // An authority of recipients vouches for no caller: the handshake ends.
    let answer = desk.call_with(As::Stranger(app), "GET", "/v1/policy", "", |_| {}).await;
    assert!(answer.is_none_or(|answer| answer.status == StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn each_call_of_a_known_caller_is_in_the_ledger_and_no_person_is() {
    let desk = Desk::open().await;
    let subject = r#"{"subject":"CANARY-1"}"#;
    desk.call(As::Token("reader"), "POST", "/v1/statements/query", subject).await;
    desk.call(As::Token("operator"), "POST", "/v1/statements/query", subject).await;
    desk.call(As::Nobody, "POST", "/v1/statements/query", subject).await;
    desk.call(As::Token("dpo"), "GET", "/v1/CANARY-1", "").await;
    let calls: Vec<_> = desk.ledger().into_iter().filter(|entry| entry["kind"] == "call").collect();
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            let word = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            (word("by"), word("role"), word("route"), call["status"].as_u64().unwrap_or_default())
        })
        .collect();
    let text = |by: &str, role: &str, route: &str, status| {
        (by.to_owned(), role.to_owned(), route.to_owned(), status)
    };
    assert_eq!(
        told,
        [
            text("reader", "reader", "/v1/statements/query", 200),
            text("operator", "", "/v1/statements/query", 403),
            text("dpo", "", "-", 404),
        ],
    );
    let tags = &calls[0]["subjects"][0];
    assert_eq!(tags["role"], "looked-up");
    assert!(tags["tags"][0].as_str().is_some_and(|tag| tag.starts_with("t_")), "{tags}");
    assert!(calls[1].get("subjects").is_none(), "who was refused learnt of nobody");
    assert!(!format!("{:?}", desk.ledger()).contains("CANARY"));
}

#[tokio::test]
async fn who_is_erased_gets_no_tag_for_being_looked_up() {
    let desk = Desk::open().await;
    let erasure = r#"{"subject":"u-9","requested_at":"2026-01-01T00:00:00Z"}"#;
    let taken = desk.call(As::Token("dpo"), "PUT", "/v1/erasures", erasure).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text);
    let subject = r#"{"subject":"u-9"}"#;
    let said = desk.call(As::Token("dpo"), "POST", "/v1/statements/query", subject).await;
    assert!(said.json()["erasure"].is_object());
    let last = desk.ledger().pop().expect("entries");
    assert_eq!((&last["kind"], last.get("subjects")), (&"call".into(), None));
}

#[tokio::test]
async fn a_caller_that_calls_too_often_is_told_when_to_come_again() {
    let rules = super::calls::rules();
    let desk = Desk::open_with(&rules, "calls_per_minute: 2").await;
    let policy = |who| desk.call(who, "GET", "/v1/policy", "");
    for _ in 0..2 {
        assert_eq!(policy(As::Token("operator")).await.status, StatusCode::OK);
    }
    let answer = policy(As::Token("operator")).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=31).contains(&wait), "{wait}");
    assert_eq!(policy(As::Token("auditor")).await.status, StatusCode::OK, "another's share");
}

#[tokio::test]
async fn reports_are_given_in_every_form_and_about_people_by_body_alone() {
    let desk = Desk::open().await;
    for name in ["art30", "transfers", "consents", "refusals", "overdue"] {
        let path = format!("/v1/reports/{name}");
        let answer = desk.call(As::Token("auditor"), "GET", &path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text);
        assert_eq!(answer.json()["report"], name);
        assert_eq!(answer.json()["basis"]["chain_holds"], true);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let get = |path| desk.call(As::Token("dpo"), "GET", path, "");
    let page = get("/v1/reports/overdue?format=html").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text.starts_with("<!DOCTYPE html>"));
    let sheet = get("/v1/reports/refusals?format=csv&from=2026-01-01").await;
    assert!(sheet.text.starts_with("\"What was refused"), "{}", sheet.text);
    assert!(get("/v1/reports/art30?format=jsonld").await.json()["@graph"].is_array());
    for (path, status) in [
        ("/v1/reports/unknown", StatusCode::NOT_FOUND),
        ("/v1/reports/subject", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/breach", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/breach?recipient=CANARY-1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/refusals?subject=CANARY-1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/refusals?from=CANARY-1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/refusals?format=jsonld", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/reports/refusals?from=2026-02-01&to=2026-01-01", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(!answer.text.contains("CANARY"), "{}", answer.text);
    }
    let about = |body| desk.call(As::Token("dpo"), "POST", "/v1/reports/subject/query", body);
    let answer = about(r#"{"subject":"CANARY-1"}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["disclosures"], serde_json::json!([]));
    assert_eq!(about("{}").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(about(r#"{"subject":""}"#).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!format!("{:?}", desk.ledger()).contains("CANARY"));
}

#[tokio::test]
async fn a_connection_is_worth_no_more_than_the_callers_authorities_in_force() {
    let desk = Desk::open().await;
    let app = As::Certificate("dns:app.example.invalid");
    let mut open = desk.connected(app).await.expect("a handshake");
    let [ours, other] = desk.authorities();
    let both = format!("{ours}{other}");
    for (authorities, is_known) in [(ours, true), (&both, true), (other, false), (ours, true)] {
        desk.trusts(authorities).await;
        open.ready().await.expect("it stays open");
        let request = http::Request::get("/v1/policy").header("host", "api.example.invalid");
        let request = request.body(http_body_util::Full::default()).expect("a request");
        let response = open.send_request(request).await.expect("an answer");
        let status = response.status();
        assert_eq!(status != StatusCode::UNAUTHORIZED, is_known, "{status}");
        response.into_body().collect().await.expect("whole");
    }
}

#[tokio::test]
async fn a_caller_is_nobody_once_the_list_of_its_authority_is_over() {
    let desk = Desk::open().await;
    let app = As::Certificate("dns:app.example.invalid");
    desk.asks_what_was_revoked(1, 3).await;
    let mut open = desk.connected(app).await.expect("a handshake");
    let is_known = async |open: &mut SendRequest<Full<Bytes>>| {
        open.ready().await.expect("it stays open");
        let request = http::Request::get("/v1/policy").header("host", "api.example.invalid");
        let request = request.body(Full::default()).expect("a request");
        let response = open.send_request(request).await.expect("an answer");
        let status = response.status();
        response.into_body().collect().await.expect("whole");
        status != StatusCode::UNAUTHORIZED
    };
    assert!(is_known(&mut open).await);
    let over = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while is_known(&mut open).await {}
    });
    assert!(over.await.is_ok(), "whoever is open is nobody");
    desk.asks_what_was_revoked(2, 3600).await;
    assert!(is_known(&mut open).await);
}
