//! A recipient with a good credential that asks for more than it may have: by saying an id twice or
//! otherwise, by headers that mean more or less than they say, by sizes. Whatever it tries, nothing of
//! `u1` leaves, who is erased and whose backend would tell everything.

use super::backend::json;
use super::stage::{Answer, HOST, Stage, request};

/// What nobody may get of u1.
const U1: &str = r#"{"id":"u1","name":"CANARY","email":"CANARY"}"#;
const U2: &str = r#"{"id":"u2","name":"Imagina","email":"i@example.invalid"}"#;

fn rules() -> String {
    let rules = include_str!("../../cases/gateway.rules.yaml");
    let more = "  - match: GET /person
    upstream: people
    subjects: {person: \"query:id\"}
    query: {id: account.id, lang: open}
    fields: {\"$.id\": account.id, \"$.name\": identity.name}
release:";
    let rules = rules.replacen("release:", more, 1);
    rules.replacen(
        "objection: {from: api}",
        "objection: {from: api, gpc: {objects_to: [share.*]}}",
        1,
    )
}

async fn stage() -> Stage {
    let stage = Stage::with_rules(&rules()).await;
    stage.record(
        r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2026-01-02T00:00:00Z","except":[]}"#,
    );
    stage.backend.says("/people/u1", json(U1));
    stage.backend.says("/people/u2", json(U2));
    stage
}

fn refuses(name: &str, answer: &Answer) {
    let body = answer.body.as_deref().unwrap_or_default();
    assert!(answer.status.is_client_error(), "{name}: {} {body}", answer.status);
    let all = format!("{:?}{body}", answer.headers);
    assert!(!all.contains("CANARY"), "{name}: {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_said_twice_or_otherwise_is_nobodys() {
    let stage = stage().await;
    // A backend that takes the first, the last, or whatever it likes.
    stage.backend.says("/person", json(U1));
    for query in [
        "id=u1",
        "id=u2&id=u1",
        "id=u1&id=u2",
        "id=u2&id=u2&id=u1",
        "id=u2&ID=u1",
        "id=u2&id[]=u1",
        "id=u2&id%5B%5D=u1",
        "id=u2&lang=de%26id=u1;",
        "id=u2;id=u1",
        "id=",
        "id",
        "lang=de",
        "",
        "=u1",
        "id=u2&=u1",
        "id=u%31",
        "id=u2%00&id=u1",
        "id=u2+",
    ] {
        let answer = stage.ask("courier", &format!("/person?{query}")).await;
        refuses(query, &answer);
        assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{query}");
    }
    stage.backend.says("/person", json(U2));
    let answer = stage.ask("courier", "/person?id=u2&id=u2").await;
    assert_eq!(answer.body.as_deref(), Some(r#"{"id":"u2","name":"Imagina"}"#), "the same twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_an_answer_is_a_text_or_an_integer_as_written() {
    let stage = stage().await;
    stage.record(
        r#"{"kind":"erasure","subject":"100","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2026-01-02T00:00:00Z","except":[]}"#,
    );
    // Each of them may mean the person whose id is 100, and who is erased.
    for id in [
        "100",
        "\"100\"",
        "1e2",
        "1E+2",
        "100.0",
        "10000e-2",
        "\"\\u0031\\u0030\\u0030\"",
        "[100]",
        "{\"id\":100}",
        "null",
        "\"\"",
        "true",
        "7,\"id\":100",
        "100,\"id\":7",
        "7,\"i\\u0064\":100",
    ] {
        let order = format!(r#"{{"order":"CANARY","buyer":{{"name":"CANARY","id":{id}}}}}"#);
        stage.backend.says("/orders/o1", json(&order));
        refuses(id, &stage.ask("courier", "/orders/o1").await);
        refuses(id, &stage.ask_http2("courier", "/orders/o1").await);
    }
    stage.backend.says("/orders/o1", json(r#"{"order":"o1","buyer":{"id":101}}"#));
    assert_eq!(stage.ask("courier", "/orders/o1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_ask_for_less_and_never_for_more() {
    let stage = stage().await;
    let ask = async |headers: &[(&str, &str)]| {
        stage.send(Some("courier"), request("GET", "/people/u2", headers)).await
    };
    let long = "a".repeat(129);
    let case = format!("\"{long}\"");
    let many = vec!["service.parcel"; 17].join(", ");
    for headers in [
        &[("tamis-purpose", "share.partner")][..],
        &[("tamis-purpose", "service.parcel, share.partner")],
        // Carried, and nothing is granted for the second.
        &[("tamis-purpose", "service.parcel, service.support")],
        &[("tamis-purpose", "service.parcel"), ("tamis-purpose", "share.partner")],
        &[("tamis-purpose", "Service.Parcel")],
        &[("tamis-purpose", "*")],
        &[("tamis-purpose", "service.*")],
        &[("tamis-purpose", "service")],
        &[("tamis-purpose", "")],
        &[("tamis-purpose", "service.parcel,")],
        &[("tamis-purpose", "service.parcel;q=1")],
        &[("tamis-purpose", "\"service.parcel\"")],
        &[("tamis-purpose", &many)],
        &[("tamis-case", "\"a\""), ("tamis-case", "\"b\"")],
        &[("tamis-case", &case)],
        &[("tamis-order", "ord-1")],
        &[("tamis-order", "\"ord-1")],
    ] {
        refuses(&format!("{headers:?}"), &ask(headers).await);
        assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{headers:?}");
    }
    for headers in [
        &[][..],
        &[("tamis-purpose", "service.parcel")],
        &[("tamis-recipient", "desk"), ("tamis-role", "internal"), ("tamis-decision", "d_1")],
        &[("x-forwarded-client-cert", "dns:desk.example.invalid")],
    ] {
        let answer = ask(headers).await;
        let expected = r#"{"id":"u2","name":"Imagina"}"#;
        assert_eq!(answer.body.as_deref(), Some(expected), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_by_header_counts_however_often_it_is_said() {
    let stage = stage().await;
    let policy = tamis::policy::Policy::parse("rules", &rules()).expect("it loads");
    let digest = policy.purposes["share.partner"].text_digest;
    stage.record(&format!(
        r#"{{"id":"con_2","subject":"u2","purpose":"share.partner","recipients":["partner"],
            "purpose_text_digest":"{digest}","status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
    ));
    let ask = async |headers: &[(&str, &str)]| {
        stage.send(Some("partner"), request("GET", "/people/u2", headers)).await
    };
    for headers in [
        &[("sec-gpc", "1")][..],
        &[("sec-gpc", "0"), ("sec-gpc", "1")],
        &[("sec-gpc", "1"), ("sec-gpc", "0")],
        &[("sec-gpc", " 1 ")],
    ] {
        refuses(&format!("{headers:?}"), &ask(headers).await);
    }
    // Source: W3C Global Privacy Control: any other value is no preference.
    for value in ["0", "true", "11", ""] {
        assert_eq!(ask(&[("sec-gpc", value)]).await.status, 200, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_refused_before_it_is_looked_at() {
    let stage = stage().await;
    let long = "a".repeat(9 * 1024);
    for target in [
        format!("/people/{long}"),
        format!("/people/u2?lang={long}"),
        format!("/people/u2?{}", vec!["lang=de"; 2000].join("&")),
    ] {
        refuses("long", &stage.ask("courier", &target).await);
    }
    let head = format!("GET /people/u2 HTTP/1.1\r\nHost: {HOST}\r\n");
    // More fields than a request has; few enough bytes to be taken at once.
    let answer =
        stage.raw("courier", format!("{head}{}\r\n", "X: a\r\n".repeat(200)).as_bytes()).await;
    assert!(!answer.contains("Imagina") && answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    assert_eq!(stage.ask("courier", "/people/u2").await.status, 200, "it goes on");
}
