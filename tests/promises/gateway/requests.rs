//! What comes in: one reading or none.

use super::backend::json;
use super::stage::{HOST, Stage, request};
use super::{FOR_COURIER, TESTINA};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_both_versions_of_http() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    for answer in
        [stage.ask("courier", "/people/u1").await, stage.ask_http2("courier", "/people/u1").await]
    {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_is_what_is_forwarded() {
    #[derive(serde::Deserialize)]
    struct Case {
        target: String,
        expect: String,
    }
    let cases = include_str!("../../data/route-matching/cases.json");
    let cases: Vec<Case> = serde_json::from_str(cases).expect("vendored");
    assert_eq!(cases.len(), 24);
    let stage = Stage::set().await;
    stage.backend.says("/people/7", json(TESTINA));
    for case in cases {
        let target = case.target.replace("/api/users", "/people");
        let text = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        let answer = stage.raw("courier", text.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        let asked = stage.backend.asked();
        assert!(!answer.contains("CANARY"), "{target}: {answer}");
        if case.expect == "same" {
            assert_eq!(status, "200", "{target}: {answer}");
        } else {
            assert!(["400", "403", "404"].contains(&status.as_str()), "{target}: {answer}");
            assert!(asked.is_empty() || case.expect.starts_with("same"), "{target}: {asked:?}");
        }
        if case.expect == "400" {
            assert_eq!(status, "400", "{target}: {answer}");
        }
        for head in asked {
            let judged = target.trim_end_matches('?');
            assert!(head.starts_with(&format!("GET {judged} HTTP/1.1\r\n")), "{target}: {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_two_readings_is_refused_and_nothing_is_asked() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let host = format!("Host: {HOST}\r\n");
    let get = "GET /people/u1 HTTP/1.1\r\n";
    let cases = [
        (
            "two lengths",
            format!("{get}{host}Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
            400,
        ),
        (
            "length and chunks",
            format!("{get}{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            413,
        ),
        ("chunks", format!("{get}{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 413),
        ("odd coding", format!("{get}{host}Transfer-Encoding: xchunked\r\n\r\n"), 400),
        ("signed length", format!("{get}{host}Content-Length: +5\r\n\r\nhello"), 400),
        ("body", format!("{get}{host}Content-Length: 5\r\n\r\nhello"), 413),
        ("bare LF", format!("GET /people/u1 HTTP/1.1\n{host}\r\n"), 400),
        ("bare LF in a field", format!("{get}Host: {HOST}\nX: y\r\n\r\n"), 400),
        ("folded field", format!("{get}{host}X: a\r\n b\r\n\r\n"), 400),
        ("blank before colon", format!("{get}{host}X : a\r\n\r\n"), 400),
        ("NUL", format!("{get}{host}X: a\0b\r\n\r\n"), 400),
        ("fragment", format!("GET /people/u1#x HTTP/1.1\r\n{host}\r\n"), 400),
        ("two hosts", format!("{get}{host}{host}\r\n"), 400),
        ("no host", format!("{get}\r\n"), 400),
        ("foreign host", format!("{get}Host: evil.example.invalid\r\n\r\n"), 421),
        ("another of ours", format!("{get}Host: other.example.invalid\r\n\r\n"), 421),
        (
            "foreign target",
            format!("GET http://evil.example.invalid/people/u1 HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        ("HTTP/1.0", format!("GET /people/u1 HTTP/1.0\r\n{host}\r\n"), 505),
        ("HTTP/0.9", "GET /people/u1\r\n\r\n".to_owned(), 400),
        ("CONNECT", format!("CONNECT {HOST}:443 HTTP/1.1\r\n{host}\r\n"), 400),
        ("asterisk", format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"), 400),
        ("purpose", format!("{get}{host}Tamis-Purpose: a;b\r\nConnection: close\r\n\r\n"), 400),
        ("case", format!("{get}{host}Tamis-Case: a\r\nConnection: close\r\n\r\n"), 400),
    ];
    for (name, bytes, status) in cases {
        let answer = stage.raw("courier", bytes.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default().to_owned();
        assert!(first.contains(&format!(" {status}")), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{name}: {answer}");
        assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_catalogued_methods_and_known_callers() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FROB"] {
        let answer = stage.send(Some("courier"), request(method, "/people/u1", &[])).await;
        assert_eq!(answer.status, 403, "{method}");
    }
    let nobody = stage.send(None, request("GET", "/people/u1", &[])).await;
    assert_eq!(nobody.status, 401);
    let stranger = stage.ask("stranger", "/people/u1").await;
    assert_eq!(stranger.status, 401);
    let route = stage.ask("courier", "/nothing").await;
    assert_eq!(route.status, 403);
    let wider = request("GET", "/people/u1", &[("tamis-purpose", "share.partner")]);
    assert_eq!(stage.send(Some("courier"), wider).await.status, 403);
    let query = stage.ask("courier", "/people/u1?email=CANARY").await;
    assert_eq!(query.status, 403);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_gets_none_of_the_clients_claims() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let claims = [
        ("x-forwarded-for", "CANARY"),
        ("x-forwarded-host", "CANARY"),
        ("forwarded", "for=CANARY"),
        ("x-original-url", "/CANARY"),
        ("x-http-method-override", "CANARY"),
        ("tamis-purpose", "service.parcel"),
        ("tamis-recipient", "CANARY"),
        ("x-request-id", "CANARY"),
        ("traceparent", "CANARY"),
        ("connection", "x-secret"),
        ("x-secret", "CANARY"),
        ("upgrade", "CANARY"),
        ("te", "trailers"),
        ("range", "bytes=0-1"),
        ("if-range", "\"CANARY\""),
        ("if-none-match", "\"CANARY\""),
        ("if-modified-since", "CANARY"),
        ("expect", "CANARY"),
        ("user-agent", "CANARY"),
        ("referer", "https://CANARY.example.invalid/"),
        ("accept-encoding", "br"),
        ("accept", "text/CANARY"),
        ("cookie", "session=1; ads=CANARY; other=CANARY"),
        ("accept-language", "de"),
        ("sec-gpc", "1"),
    ];
    let answer = stage.send(Some("courier"), request("GET", "/people/u1?lang=de", &claims)).await;
    assert_eq!(answer.status, 200);
    let head = stage.backend.asked().concat().to_ascii_lowercase();
    assert!(!head.contains("canary"), "{head}");
    let mut names: Vec<&str> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split(':').next())
        .filter(|n| !n.is_empty())
        .collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "accept-language",
        "cookie",
        "host",
        "sec-gpc",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    ];
    assert_eq!(names, expected, "{head}");
    for line in ["accept-encoding: identity", "x-forwarded-for: 127.0.0.0", "cookie: session=1"] {
        assert!(head.contains(&format!("{line}\r\n")), "{line}: {head}");
    }
    assert!(head.starts_with("get /people/u1?lang=de http/1.1\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_only_says_where_https_is() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let port = stage.running.addresses.https.port();
    let moved = format!("location: https://{HOST}:{port}/people/u1\r\n");
    let cases = [
        (format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"), true),
        (format!("HEAD /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"), true),
        (format!("POST /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"), false),
        ("GET /people/u1 HTTP/1.1\r\nHost: evil.example.invalid\r\n\r\n".to_owned(), false),
        (format!("GET //evil.example.invalid HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), false),
        (format!("GET /people/u1 HTTP/1.0\r\nHost: {HOST}\r\n\r\n"), false),
    ];
    for (bytes, is_moved) in cases {
        let answer = stage.plaintext(bytes.as_bytes()).await;
        let status = if is_moved { "HTTP/1.1 308 " } else { " 403 " };
        assert!(answer.contains(status), "{bytes}: {answer}");
        assert_eq!(answer.contains(&moved), is_moved, "{bytes}: {answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_certificate_carries_gets_no_handshake() {
    let stage = Stage::set().await;
    assert!(stage.connect(None, "evil.example.invalid", None).await.is_err());
    assert!(stage.connect(None, "other.example.invalid", None).await.is_ok());
    assert!(stage.connect(None, HOST, Some(b"http/0.9")).await.is_err());
}
