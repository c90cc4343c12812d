//! Answers that are encoded: for whom, as what, and what no length tells.

use std::io::Read as _;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, VARY};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::TESTINA;
use super::backend::{Reply, json};
use super::http2::PATIENCE;
use super::stage::{HOST, Stage};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");
const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

async fn set(more: &str) -> Stage {
    Stage::limited_with(RULES, "concealed_after: 1ms", more).await
}

/// What the backend knows of somebody with a long name, and with this secret.
fn person(name: &str, secret: &str) -> String {
    format!(r#"{{"secret":"CANARY {secret}","id":"u1","name":"{name}","email":"CANARY"}}"#)
}

fn undone(coding: &str, encoded: &[u8]) -> std::io::Result<String> {
    let mut plain = String::new();
    match coding {
        "gzip" => flate2::read::MultiGzDecoder::new(encoded).read_to_string(&mut plain),
        "br" => brotli::Decompressor::new(encoded, 4096).read_to_string(&mut plain),
        "zstd" => zstd::stream::read::Decoder::new(encoded)?.read_to_string(&mut plain),
        other => panic!("{other}"),
    }?;
    Ok(plain)
}

/// One answer: its head, and its bytes if it is whole.
struct Raw {
    status: u16,
    head: HeaderMap,
    body: Option<Bytes>,
}

impl Raw {
    fn coding(&self) -> Option<&str> {
        self.head.get(CONTENT_ENCODING).map(|coding| coding.to_str().expect("visible"))
    }

    fn plain(&self) -> String {
        let body = self.body.as_deref().expect("it is whole");
        match self.coding() {
            None => String::from_utf8(body.to_vec()).expect("UTF-8"),
            Some(coding) => undone(coding, body).expect("it can be undone"),
        }
    }
}

/// Asks as a recipient with a certificate, or with a token of `u1`.
async fn ask(stage: &Stage, who: Option<&str>, method: Method, lines: &[(&str, &str)]) -> Raw {
    tried(stage, who, method, lines).await.expect("an answer")
}

/// The same; an error where the connection ends before there is a head.
async fn tried(
    stage: &Stage,
    who: Option<&str>,
    method: Method,
    lines: &[(&str, &str)],
) -> Result<Raw, hyper::Error> {
    let stream = stage.connect(who, HOST, Some(b"http/1.1")).await.expect("a handshake");
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    let driver = tokio::spawn(driver);
    let mut request = Request::builder().method(method).uri("/people/u1").header("host", HOST);
    if who.is_none() {
        request = request.header("authorization", format!("Bearer {}", stage.token("u1")));
    }
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request of ours");
    let answer = sender.send_request(request).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
    driver.abort();
    Ok(Raw { status: head.status.as_u16(), head: head.headers, body })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_its_answer_in_the_coding_that_it_asks_for() {
    let stage = set("").await;
    // At hand before the head leaves, and longer than what is held back.
    for length in [2000, 300_000] {
        let name = "Testina ".repeat(length / 8);
        stage.backend.says("/people/u1", json(&person(&name, "x")));
        let expected = format!(r#"{{"id":"u1","name":"{name}"}}"#);
        for coding in CODINGS {
            let got = ask(&stage, None, Method::GET, &[("accept-encoding", coding)]).await;
            assert_eq!((got.status, got.coding()), (200, Some(coding)));
            assert_eq!(got.plain(), expected, "{coding} {length}");
            let sent = got.body.as_ref().expect("whole").len();
            assert!(sent * 4 < expected.len(), "{coding}: {sent} of {}", expected.len());
            assert!(!got.head.contains_key(CONTENT_LENGTH), "no length, of whatever");
            let vary = got.head[VARY].to_str().expect("visible").to_ascii_lowercase();
            assert!(["accept-encoding", "cookie", "origin"].iter().all(|it| vary.contains(it)));
            let head = ask(&stage, None, Method::HEAD, &[("accept-encoding", coding)]).await;
            assert_eq!((head.coding(), head.body.as_deref()), (Some(coding), Some(&b""[..])));
        }
        let best = ask(&stage, None, Method::GET, &[("accept-encoding", "gzip;q=0.2, br;q=0.7")]);
        assert_eq!(best.await.coding(), Some("br"));
        for none in ["identity", "gzip;q=0", "*;q=0", "deflate", "gzip;q=x"] {
            let got = ask(&stage, None, Method::GET, &[("accept-encoding", none)]).await;
            assert_eq!((got.coding(), got.plain()), (None, expected.clone()), "{none}");
        }
    }
    assert!(stage.metrics().contains("tamis_encoded_answers_total{coding=\"zstd\"} 4"));
    stage.backend.says("/people/u1", json(TESTINA));
    let short = ask(&stage, None, Method::GET, &[("accept-encoding", "gzip")]).await;
    assert_eq!(short.coding(), None, "a short one is not encoded");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_page_may_make_ask_gets_no_encoded_answer() {
    let long = json(&person(&"Testina ".repeat(400), "x"));
    let asks = ("accept-encoding", "gzip");
    let of_browsers: [&[(&str, &str)]; 5] = [
        &[asks, ("cookie", "session=1")],
        &[asks, ("origin", "https://evil.example.invalid")],
        &[asks, ("referer", "https://shop.example.invalid/?q=guess")],
        &[asks, ("sec-fetch-site", "cross-site")],
        &[asks, ("sec-fetch-site", "same-origin")],
    ];
    for (more, of_program, of_certificate, of_browser) in [
        ("", true, false, false),
        ("encoding: auto", true, false, false),
        ("encoding: off", false, false, false),
        ("encoding: dangerous_always", true, true, true),
    ] {
        let stage = set(more).await;
        stage.backend.says("/people/u1", long.clone());
        let is_encoded = async |who, lines: &[(&str, &str)]| {
            let got = ask(&stage, who, Method::GET, lines).await;
            assert_eq!(got.status, 200);
            assert!(got.plain().contains("Testina") && !got.plain().contains("CANARY"));
            got.coding().is_some()
        };
        assert_eq!(is_encoded(None, &[asks]).await, of_program, "{more}: a token");
        assert_eq!(is_encoded(Some("courier"), &[asks]).await, of_certificate, "{more}");
        for lines in of_browsers {
            assert_eq!(is_encoded(None, lines).await, of_browser, "{more}: {lines:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_leaves_no_trace_in_the_bytes_that_are_sent() {
    let stage = set("").await;
    let name = "Testina Musterfrau ".repeat(200);
    for coding in CODINGS {
        let mut sent = Vec::new();
        // A secret that repeats what is shown would make an encoder that sees it send less.
        for secret in ["x", "Testina Musterfrau", &name, &"qzj".repeat(900)] {
            stage.backend.says("/people/u1", json(&person(&name, secret)));
            let got = ask(&stage, None, Method::GET, &[("accept-encoding", coding)]).await;
            assert_eq!(got.coding(), Some(coding));
            sent.push(got.body.expect("whole"));
        }
        assert!(sent.windows(2).all(|two| two[0] == two[1]), "{coding}: the same bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_coding_has_a_tag_of_its_own() {
    let stage = set("").await;
    stage.backend.says("/people/u1", json(&person(&"Testina ".repeat(400), "x")));
    let mut tags = Vec::new();
    for coding in ["identity", "gzip", "br", "zstd"] {
        let got = ask(&stage, None, Method::GET, &[("accept-encoding", coding)]).await;
        let tag = got.head[ETAG].to_str().expect("visible").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let lines = [("accept-encoding", coding), ("if-none-match", tag.as_str())];
        let same = ask(&stage, None, Method::GET, &lines).await;
        assert_eq!((same.status, same.coding(), same.body.as_deref()), (304, None, Some(&b""[..])));
        assert_eq!(same.head[ETAG], tag.as_str());
        assert!(same.head.contains_key(VARY));
        assert!(!tags.contains(&tag), "{coding}");
        tags.push(tag);
    }
    let other = [("accept-encoding", "br"), ("if-none-match", tags[1].as_str())];
    let other = ask(&stage, None, Method::GET, &other).await;
    assert_eq!((other.status, other.coding()), (200, Some("br")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_can_be_read_before_the_rest_is_there_and_a_cut_can_be_told() {
    let stage = set("").await;
    let Reply::Bytes(mut first) = json(&person(&"Testina ".repeat(40_000), "x")) else {
        unreachable!()
    };
    let rest = first.split_off(first.len() - 1000);
    let go = Arc::new(Notify::new());
    stage.backend.says("/people/u1", Reply::InTwo(first.clone(), Arc::clone(&go), rest));
    let stream = stage.connect(None, HOST, Some(b"http/1.1")).await.expect("a handshake");
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    let driver = tokio::spawn(driver);
    let request = Request::get("/people/u1")
        .header("host", HOST)
        .header("accept-encoding", "gzip")
        .header("authorization", format!("Bearer {}", stage.token("u1")));
    let request = request.body(Empty::<Bytes>::new()).expect("a request of ours");
    let answer = sender.send_request(request).await.expect("an answer");
    let mut body = answer.into_body();
    let mut encoded = Vec::new();
    let begun = async {
        let mut plain = Vec::new();
        // Nearly all that the backend has sent.
        while plain.len() < 310_000 {
            let frame = body.frame().await.expect("more").expect("no error");
            encoded.extend(frame.into_data().expect("bytes"));
            plain.clear();
            let _ = flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut plain);
        }
    };
    timeout(PATIENCE, begun).await.expect("it does not wait for the rest");
    go.notify_one();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.expect("it goes on") {
        encoded.extend(frame.expect("no error").into_data().expect("bytes"));
    }
    assert!(undone("gzip", &encoded).expect("whole").ends_with("Testina \"}"));
    driver.abort();

    // The backend breaks off.
    let text = String::from_utf8(first).expect("ASCII");
    stage.backend.says("/people/u1", Reply::Last(text.into_bytes()));
    for coding in CODINGS {
        // On a busy machine the end may overtake the head: that tells as well.
        let got = tried(&stage, None, Method::GET, &[("accept-encoding", coding)]).await;
        let Ok(got) = got else { continue };
        assert_eq!((got.status, got.coding(), &got.body), (200, Some(coding), &None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reads_what_it_asks_for() {
    let stage = set("").await;
    let name = "Testina ".repeat(400);
    stage.backend.says("/people/u1", json(&person(&name, "x")));
    let port = stage.running.addresses.https.port();
    let bearer = format!("authorization: Bearer {}", stage.token("u1"));
    for version in ["--http1.1", "--http2"] {
        let output = Command::new("curl")
            .args(["-sS", "--compressed", "-D", "-", "-H", &bearer, version, "--cacert"])
            .arg(stage.path("ca.pem"))
            .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
            .arg(format!("https://{HOST}:{port}/people/u1"))
            .output()
            .expect("curl");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (head, body) = said.split_once("\r\n\r\n").expect("a head");
        assert!(head.to_ascii_lowercase().contains("\r\ncontent-encoding: "), "{head}");
        assert_eq!(body, format!(r#"{{"id":"u1","name":"{name}"}}"#));
    }
}
