//! Heads and bodies that two readers would divide differently. From a client: one answer, and the
//! backend is asked nothing. From a backend: what it says too much belongs to nobody.

use super::backend::{Reply, json};
use super::stage::{HOST, Stage};
use super::{FOR_COURIER, TESTINA};

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_second_request_rides_behind_the_first() {
    let stage = Stage::with_rules(include_str!("../../cases/wire.rules.yaml")).await;
    for path in ["/accounts", "/people/u1", "/touch"] {
        stage.backend.says(path, json(r#"{"id":"u1","number":7}"#));
    }
    let smuggled = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let length = smuggled.len();
    let whole = format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n");
    let cases = [
        (
            "CL.TE",
            format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", 5 + length),
            format!("0\r\n\r\n{smuggled}"),
        ),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".into(), whole.clone()),
        ("TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n".into(), whole.clone()),
        ("TE list", "Transfer-Encoding: chunked, identity\r\n".into(), whole.clone()),
        ("TE tab", "Transfer-Encoding:\tchunked\r\n".into(), whole.clone()),
        ("TE vertical tab", "Transfer-Encoding: \x0bchunked\r\n".into(), whole.clone()),
        ("TE folded", "Transfer-Encoding:\r\n chunked\r\n".into(), whole.clone()),
        ("TE blank before colon", "Transfer-Encoding : chunked\r\n".into(), whole.clone()),
        ("two lengths", format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), {
            smuggled.clone()
        }),
        ("a list of lengths", format!("Content-Length: 0, {length}\r\n"), smuggled.clone()),
        ("+0", "Content-Length: +0\r\n".into(), smuggled.clone()),
        ("-1", "Content-Length: -1\r\n".into(), smuggled.clone()),
        ("0x0", "Content-Length: 0x0\r\n".into(), smuggled.clone()),
        ("a length without end", format!("Content-Length: {}\r\n", "9".repeat(40)), {
            smuggled.clone()
        }),
        (
            "chunk extension",
            "Transfer-Encoding: chunked\r\n".into(),
            format!("0;a=\"\n\r\n\r\n{smuggled}"),
        ),
        (
            "chunk overflow",
            "Transfer-Encoding: chunked\r\n".into(),
            format!("10000000000000000\r\n{smuggled}"),
        ),
        ("chunk sign", "Transfer-Encoding: chunked\r\n".into(), format!("+0\r\n\r\n{smuggled}")),
        ("chunk bare LF", "Transfer-Encoding: chunked\r\n".into(), format!("0\n\n{smuggled}")),
        (
            "trailers",
            "Transfer-Encoding: chunked\r\nTrailer: Host\r\n".into(),
            format!("0\r\nHost: evil.example.invalid\r\n\r\n{smuggled}"),
        ),
        ("CR alone", "X: a\rContent-Length: 0\r\n".into(), smuggled.clone()),
        ("NUL", "X: a\0b\r\n".into(), smuggled.clone()),
        ("NUL in a name", "Content-Length\0: 0\r\n".into(), smuggled.clone()),
        ("no name", ": a\r\n".into(), smuggled.clone()),
        ("blank first", " X: a\r\n".into(), smuggled.clone()),
    ];
    for path in ["/accounts", "/touch"] {
        for (name, fields, body) in &cases {
            let head = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{JSON}{fields}\r\n");
            let answers = stage.raw("desk", format!("{head}{body}").as_bytes()).await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{path} {name}: {answers}");
            assert!(answers.starts_with("HTTP/1.1 4"), "{path} {name}: {answers}");
            assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{path} {name}");
        }
    }
    for version in ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "] {
        let fields = format!("Host: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{whole}");
        let answers =
            stage.raw("desk", format!("POST /touch {version}\r\n{fields}").as_bytes()).await;
        assert!(answers.matches("HTTP/1.").count() <= 1, "{version}: {answers}");
        assert!(!answers.contains(" 200 "), "{version}: {answers}");
        assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_logged_and_counted() {
    let stage = Stage::set().await;
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "CANARY".repeat(20_000));
    for text in ["CANARY\r\n\r\n", "GET /CANARY HTTP/1.1\r\nHost : CANARY\r\n\r\n", &large] {
        let answer = stage.raw("courier", text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("CANARY"), "{answer}");
    }
    // What HTTP/2 begins with, where HTTP/1.1 was agreed: there is no answer that both would read.
    assert_eq!(stage.raw("courier", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "");
    let metrics = stage.metrics();
    for line in [
        "tamis_unread_requests_total{kind=\"malformed\"} 2",
        "tamis_unread_requests_total{kind=\"too-large\"} 1",
        "tamis_unread_requests_total{kind=\"preface\"} 1",
        "tamis_requests_total{route=\"-\",status=\"400\"} 2",
        "tamis_requests_total{route=\"-\",status=\"431\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // An idle connection that is closed is none of them.
    drop(stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await);
    let directory = stage.stopped().await;
    let log = std::fs::read_to_string(directory.path().join("access.log")).expect("written");
    assert_eq!(log.lines().count(), 4, "{log}");
    assert_eq!(log.matches("refused:request-malformed").count(), 4, "{log}");
    assert_eq!(log.matches("\"status\":0").count(), 1, "{log}");
    assert!(!log.contains("CANARY"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_says_too_much_is_nobody_s_answer() {
    let stage = Stage::set().await;
    let length = TESTINA.len();
    let poison = format!(
        "HTTP/1.1 200 OK\r\n{JSON}Content-Length: 27\r\n\r\n{{\"id\":\"u1\",\"name\":\"CANARY\"}}"
    );
    let whole = format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: {length}\r\n\r\n{TESTINA}");
    let cases = [
        ("bytes after the length", format!("{whole}CANARY"), 200),
        ("an answer that nobody asked for", format!("{whole}{poison}"), 200),
        ("a body on 204", format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"), 204),
        (
            "a length on 204",
            format!("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n{poison}"),
            204,
        ),
        ("a body on 304", format!("HTTP/1.1 304 Not Modified\r\n\r\n{poison}"), 502),
        (
            "an answer behind the last chunk",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n\
                 {length:x}\r\n{TESTINA}\r\n0\r\n\r\n{poison}"
            ),
            200,
        ),
        (
            "a chunk that overflows",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n\
                 10000000000000002\r\n{TESTINA}\r\n0\r\n\r\n"
            ),
            502,
        ),
        (
            "a signed length",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: +{length}\r\n\r\n{TESTINA}"),
            502,
        ),
        (
            "a blank before the colon",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length : {length}\r\n\r\n{TESTINA}{poison}"),
            502,
        ),
        (
            "a folded field",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}X: a\r\n b\r\nContent-Length: {length}\r\n\r\n{TESTINA}"
            ),
            502,
        ),
        ("a status of two digits", format!("HTTP/1.1 20 OK\r\n{JSON}\r\n{TESTINA}"), 502),
        ("a status of four digits", format!("HTTP/1.1 2000 OK\r\n{JSON}\r\n{TESTINA}"), 502),
        ("a status line of another protocol", format!("ICY 200 OK\r\n{JSON}\r\n{TESTINA}"), 502),
    ];
    for (name, bytes, status) in cases {
        stage.backend.says("/people/u1", Reply::Bytes(bytes.clone().into_bytes()));
        let answer = stage.ask("courier", "/people/u1").await;
        let body = answer.body.expect("short answers are held until they are whole");
        assert!(!format!("{:?}{body}", answer.headers).contains("CANARY"), "{name}: {body}");
        let expected = match status {
            200 => Some(FOR_COURIER),
            204 => Some(""),
            _ => None,
        };
        assert_eq!(answer.status, status, "{name}: {body}");
        assert!(expected.is_none_or(|expected| body == expected), "{name}: {body}");
        // Whoever asks next gets the answer to what was asked, on another connection.
        stage.backend.says("/people/u2", json(r#"{"id":"u2","name":"Imagina"}"#));
        for _ in 0..3 {
            let next = stage.ask("courier", "/people/u2").await;
            let expected = r#"{"id":"u2","name":"Imagina"}"#;
            assert_eq!(next.body.as_deref(), Some(expected), "after {name}");
        }
    }
}
