//! Many records at once, all of them or none; a change sent again under its key; a long list page by
//! page.

use http::StatusCode;
use serde_json::{Value, json};
use tamis::registers::{RegisterStore, Registers as _, RightRequest};
use tamis::terms::{CategoryPattern, Digest, Personal, Right};

use super::calls::{Answer, As, Desk};

const LINES: &str = concat!(
    r#"{"kind":"objection","subject":"u1","purpose":"share.*","since":"2026-01-01T00:00:00Z"}"#,
    "\n\n",
    r#"{"id":"con_1","subject":"u1","purpose":"share.partner","recipients":["partner"],"status":"given","given_at":"2026-01-01T00:00:00Z"}"#,
    "\n",
);

const ORDER: &str = concat!(
    r#"{"kind":"order","id":"ord-7","recipient":"court","authority":"Invented Court","subjects":["u1"],"#,
    r#""categories":["identity.name"],"from":"2026-01-01T00:00:00Z","until":"2090-01-01T00:00:00Z"}"#,
);

async fn import(desk: &Desk, who: As<'_>, form: &str, text: &str) -> Answer {
    let path = format!("/v1/import?form={form}");
    let lines = |request: &mut http::Request<_>| {
        let kind = "application/x-ndjson".parse().expect("text");
        request.headers_mut().insert("content-type", kind);
    };
    desk.call_with(who, "POST", &path, text, lines).await.expect("an answer")
}

async fn said(desk: &Desk, subject: &str) -> Value {
    let body = json!({"subject": subject}).to_string();
    desk.call(As::Token("reader"), "POST", "/v1/statements/query", &body).await.json()
}

fn wrong(answer: &Answer) -> Vec<(u64, String)> {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    let errors = answer.json()["errors"].as_array().expect("a list").clone();
    let line = |one: &Value| {
        (one["line"].as_u64().expect("a number"), one["why"].as_str().expect("text").to_owned())
    };
    errors.iter().map(line).collect()
}

#[tokio::test]
async fn an_import_takes_every_line_or_none_and_names_the_wrong_ones() {
    let desk = Desk::open().await;
    let who = As::Token("consent-desk");
    let bad =
        format!("{LINES}{{\"CANARY\":1}}\n{}\nCANARY\n", LINES.replace("partner\"]", "CANARY\"]"));
    let answer = import(&desk, who, "records", &bad).await;
    let lines: Vec<u64> = wrong(&answer).iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 7, 9], "{}", answer.text);
    assert!(!answer.text.contains("CANARY"), "{}", answer.text);
    assert_eq!(said(&desk, "u1").await["consents"], json!([]), "nothing half done");

    let taken = import(&desk, who, "records", LINES).await;
    assert_eq!(taken.json(), json!({"records": 2, "new": 2}));
    assert_eq!(import(&desk, who, "records", LINES).await.json()["new"], 0, "again is harmless");
    assert_eq!(said(&desk, "u1").await["consents"][0]["status"], "given");

    // A line that contradicts the registers is found while it is written, and takes the others along.
    let other =
        LINES.replace("\"partner\"", "").replace("survey", "x").replace("2026-01", "2026-02");
    let answer = import(&desk, who, "records", &other).await;
    assert_eq!(wrong(&answer)[0].0, 3, "{}", answer.text);
    assert_eq!(said(&desk, "u1").await["objections"].as_array().map(Vec::len), Some(1));

    for text in ["", "\n \n", "null", "[]"] {
        let answer = import(&desk, who, "records", text).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{text:?}");
    }
    assert_eq!(import(&desk, who, "xml", LINES).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_import_holds_only_what_its_caller_may_enter_one_by_one() {
    let desk = Desk::open().await;
    let both = format!("{LINES}{ORDER}\n");
    let answer = import(&desk, As::Token("consent-desk"), "records", &both).await;
    let found = wrong(&answer);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 4);
    assert!(found[0].1.starts_with("order:"), "{found:?}");
    for role in ["reader", "operator", "auditor"] {
        let answer = import(&desk, As::Token(role), "records", LINES).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role}");
    }
    let taken = import(&desk, As::Token("dpo"), "records", &both).await;
    assert_eq!(taken.json()["new"], 3);
}

fn kantara() -> Value {
    json!({
        "version": "KI-CR-v1.1.0", "jurisdiction": "DE", "consentTimestamp": 1_767_225_600,
        "collectionMethod": "web-form", "consentReceiptID": "cr-1", "language": "en",
        "piiPrincipalId": "u1", "policyUrl": "https://example.invalid/policy",
        "piiControllers": [{"piiController": "Beispiel GmbH"}],
        "services": [{"service": "shop", "purposes": [{
            "purpose": "Tell a partner", "purposeCategory": ["share"], "consentType": "EXPLICIT",
            "piiCategory": ["contact.email"], "primaryPurpose": false,
            "thirdPartyDisclosure": true, "thirdPartyName": "partner",
            "termination": "2090-01-01T00:00:00Z",
        }]}],
        "sensitive": false, "spiCat": [],
    })
}

fn iso() -> Value {
    json!({
        "schema_version": "ISO/IEC TS 27560:2023", "record_identifier": "rec-1",
        "pii_principal_identifier": "u2", "privacy_notice": "https://example.invalid/notice",
        "language": "en", "jurisdiction": "DE", "collection_method": "web-form",
        "purposes": [{
            "purpose": "Tell a partner", "lawful_basis": "eu-gdpr:A6-1-a-explicit-consent",
            "pii_information": ["contact.email"], "recipient_third_parties": ["partner"],
        }],
        "events": [
            {"event_time": "2026-02-01T00:00:00Z", "event_state": "dpv:ConsentWithdrawn"},
            {"event_time": "2026-01-01T00:00:00Z", "event_state": "dpv:ConsentGiven",
             "event_type": "dpv:ExplicitlyExpressedConsent"},
        ],
    })
}

#[tokio::test]
async fn a_receipt_is_a_consent_to_the_text_that_it_shows() {
    let desk = Desk::open().await;
    let who = As::Token("consent-desk");
    let taken = import(&desk, who, "kantara", &kantara().to_string()).await;
    assert_eq!(taken.json(), json!({"records": 1, "new": 1}), "{}", taken.text);
    let consent = said(&desk, "u1").await["consents"][0].clone();
    assert_eq!((&consent["id"], &consent["status"]), (&json!("cr-1"), &json!("given")));
    assert_eq!(consent["purpose"], "share.partner");
    assert_eq!(consent["purpose_text_digest"], Digest::of(b"Tell a partner").to_string());
    assert_eq!(consent["recipients"], json!(["partner"]));
    assert_eq!(consent["categories"], json!(["contact.email"]));
    assert_eq!(consent["explicit"], true);
    assert_eq!(consent["expires_at"], "2090-01-01T00:00:00Z");

    // Events in whatever order: what was withdrawn is not revived.
    let taken = import(&desk, who, "iso-27560", &json!([iso()]).to_string()).await;
    assert_eq!(taken.json()["new"], 1, "{}", taken.text);
    let consent = said(&desk, "u2").await["consents"][0].clone();
    assert_eq!((&consent["status"], &consent["explicit"]), (&json!("withdrawn"), &json!(true)));
    let mut earlier = iso();
    earlier["events"].as_array_mut().expect("a list").remove(0);
    assert_eq!(import(&desk, who, "iso-27560", &earlier.to_string()).await.json()["new"], 0);
    assert_eq!(said(&desk, "u2").await["consents"][0]["status"], "withdrawn");

    // An id alone proves no text.
    let mut other = kantara();
    other["consentReceiptID"] = "cr-2".into();
    other["services"][0]["purposes"][0]["purpose"] = "share.partner".into();
    import(&desk, who, "kantara", &other.to_string()).await;
    assert!(said(&desk, "u1").await["consents"][1].get("purpose_text_digest").is_none());
}

#[tokio::test]
async fn a_receipt_that_says_what_cannot_be_kept_is_refused() {
    let desk = Desk::open().await;
    let purpose = "/services/0/purposes/0";
    for (at, value) in [
        ("/version", json!("KI-CR-v2")),
        ("/consentTimestamp", json!("CANARY")),
        ("/piiPrincipalId", json!("")),
        ("/services", json!([])),
        (&*format!("{purpose}/purpose"), json!("CANARY")),
        (&*format!("{purpose}/consentType"), json!("IMPLICIT")),
        (&*format!("{purpose}/thirdPartyName"), json!("CANARY")),
        (&*format!("{purpose}/thirdPartyDisclosure"), json!(false)),
        (&*format!("{purpose}/termination"), json!("when CANARY leaves")),
        (&*format!("{purpose}/piiCategory"), json!(["CANARY"])),
    ] {
        let mut receipt = kantara();
        *receipt.pointer_mut(at).expect("it is there") = value;
        let answer = import(&desk, As::Token("dpo"), "kantara", &receipt.to_string()).await;
        assert_eq!(wrong(&answer)[0].0, 1, "{at}");
        assert!(!answer.text.contains("CANARY"), "{at}: {}", answer.text);
    }
    for (at, value) in [
        ("/schema_version", json!("1")),
        ("/events", json!([])),
        ("/events/0/event_state", json!("CANARY")),
        ("/events/1/event_type", json!("dpv:ImpliedConsent")),
        ("/purposes/0/lawful_basis", json!("eu-gdpr:A6-1-f")),
        ("/purposes/0/purpose", json!("CANARY")),
    ] {
        let mut record = iso();
        *record.pointer_mut(at).expect("it is there") = value;
        let answer = import(&desk, As::Token("dpo"), "iso-27560", &record.to_string()).await;
        assert_eq!(wrong(&answer)[0].0, 1, "{at}");
        assert!(!answer.text.contains("CANARY"), "{at}: {}", answer.text);
    }
    let mut receipt = kantara();
    receipt["CANARY"] = 1.into();
    wrong(&import(&desk, As::Token("dpo"), "kantara", &receipt.to_string()).await);
    assert_eq!(said(&desk, "u1").await["consents"], json!([]));
}

#[tokio::test]
async fn a_change_sent_again_under_its_key_is_answered_as_before_and_made_once() {
    let desk = Desk::open().await;
    let send = async |who, key: &str, body: &str| {
        let keyed = |request: &mut http::Request<_>| {
            request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
        };
        desk.call_with(who, "PUT", "/v1/objections", body, keyed).await.expect("an answer")
    };
    let body = r#"{"subject":"u1","purpose":"share.*","since":"2026-01-01T00:00:00Z"}"#;
    let other = body.replace("u1", "u2");
    let who = As::Token("consent-desk");
    let first = send(who, "k-1", body).await;
    let lift = r#"{"subject":"u1","purpose":"share.*"}"#;
    desk.call(who, "POST", "/v1/objections/lift", lift).await;
    let again = send(who, "k-1", body).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(again.text, first.text);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(said(&desk, "u1").await["objections"], json!([]), "it was not made again");
    let reused = send(who, "k-1", &other).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reused.text.contains("key-reused"), "{}", reused.text);
    assert_eq!(send(As::Token("dpo"), "k-1", &other).await.status, StatusCode::CREATED);
    assert_eq!(send(who, "no key", body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    // A caller without the role does not learn what was answered under a key.
    assert_eq!(send(As::Token("reader"), "k-1", body).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn orders_and_cases_are_listed_by_their_ids_and_without_the_people_they_name() {
    let desk = Desk::open().await;
    let mut lines = Vec::new();
    for number in 1..=5 {
        lines.push(ORDER.replace("ord-7", &format!("ord-{number}")).replace("u1", "CANARY-1"));
        let case = json!({
            "kind": "case", "id": format!("C-{number}"), "purposes": ["legal.claims"],
            "subjects": ["CANARY-2"], "opened_at": "2026-01-01T00:00:00Z",
        });
        lines.push(case.to_string());
    }
    let taken = import(&desk, As::Token("dpo"), "records", &lines.join("\n")).await;
    assert_eq!(taken.json()["new"], 10, "{}", taken.text);
    for (caller, id) in [("dpo", "ord-2"), ("second-dpo", "ord-2"), ("dpo", "ord-3")] {
        desk.call(As::Token(caller), "POST", &format!("/v1/orders/{id}/approval"), "").await;
    }
    desk.call(As::Token("dpo"), "POST", "/v1/cases/C-4/closure", "").await;
    let list = async |what: &str, query: &str| {
        let path = format!("/v1/{what}?{query}");
        let answer = desk.call(As::Token("auditor"), "GET", &path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert!(!answer.text.contains("CANARY"), "{}", answer.text);
        answer.json()
    };
    for (what, prefix, state, expected) in [
        ("orders", "ord", "in_force", [false, true, false, false, false]),
        ("cases", "C", "open", [true, true, true, false, true]),
    ] {
        let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
        loop {
            let page = list(what, &query).await;
            let rows = page[what].as_array().expect("a list");
            assert!(rows.len() <= 2);
            seen.extend(rows.iter().map(|one| (one["id"].clone(), one[state].clone())));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit=2&cursor={next}");
        }
        let all: Vec<_> = (1..=5)
            .zip(expected)
            .map(|(number, state)| (json!(format!("{prefix}-{number}")), json!(state)))
            .collect();
        assert_eq!(seen, all);
        assert_eq!(list(what, "").await[what].as_array().map(Vec::len), Some(5));

        let by_command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args([what.trim_end_matches('s'), "list", "--config"])
            .arg(desk.path("tamis.yaml"))
            .output()
            .expect("the binary is built for the tests");
        assert!(by_command.status.success(), "{by_command:?}");
        let text = String::from_utf8(by_command.stdout).expect("UTF-8");
        assert!(!text.contains("CANARY"), "{text}");
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let told: Vec<_> = rows.map(|one| (one["id"].clone(), one[state].clone())).collect();
        assert_eq!(told, all);
    }
    let orders = list("orders", "limit=1").await;
    let cursor = orders["next"].as_str().expect("there are more");
    for path in [format!("/v1/cases?cursor={cursor}"), "/v1/orders?limit=0".to_owned()] {
        let answer = desk.call(As::Token("auditor"), "GET", &path, "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
}

#[tokio::test]
async fn a_long_list_comes_page_by_page_and_none_is_passed_over() {
    let desk = Desk::open().await;
    let registers = RegisterStore::embedded(&desk.path("registers.sqlite")).expect("opens");
    let ask = |number: usize| {
        let request = RightRequest {
            subject: Personal::new(format!("u{number}").into()),
            right: Right::Rectification,
            categories: vec![CategoryPattern::new("contact.*")],
        };
        registers.request(&request).expect("taken").expect("not too many").id
    };
    let mut expected: Vec<String> = (0..7).map(ask).collect();
    let page = async |who, query: String| {
        desk.call(who, "GET", &format!("/v1/requests?{query}"), "").await
    };
    let (mut seen, mut query, mut first) = (Vec::new(), "limit=3".to_owned(), None);
    loop {
        let answer = page(As::Token("dpo"), query.clone()).await.json();
        let open = answer["requests"].as_array().expect("a list");
        seen.extend(open.iter().map(|one| one["receipt"].as_str().expect("text").to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        query = format!("limit=3&cursor={next}");
        if first.is_none() {
            first = Some(next.to_owned());
            // One that was shown goes, one that was not comes: the rest stands where it stood.
            registers.changing(|changing| changing.answer_request(&expected[0])).expect("taken");
            expected.push(ask(7));
        }
    }
    assert_eq!(seen, expected);
    let cursor = first.expect("there were pages");
    assert!(!cursor.contains("rq_"));
    for (who, query) in [
        (As::Token("reader"), format!("cursor={cursor}")),
        (As::Token("dpo"), format!("cursor={}x", &cursor[1..])),
        (As::Token("dpo"), "limit=0".to_owned()),
        (As::Token("dpo"), "limit=501".to_owned()),
        (As::Token("dpo"), "offset=3".to_owned()),
    ] {
        let answer = page(who, query.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
}
