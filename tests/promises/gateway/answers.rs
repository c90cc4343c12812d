//! What comes back: minimized, our own words, or a stream that everyone can tell is broken.

use std::io::Write as _;
use std::sync::atomic::Ordering;

use flate2::Compression;

use super::backend::{Reply, answer, json};
use super::stage::{Stage, request};
use super::{FOR_COURIER, TESTINA};

const JSON: &str = "Content-Type: application/json\r\n";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    brotli::CompressorWriter::new(&mut encoded, 4096, 5, 20).write_all(body).expect("memory");
    encoded
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).expect("memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn codings_are_undone_whole_or_refused() {
    let stage = Stage::set().await;
    let body = TESTINA.as_bytes();
    let bomb = [b"{\"x\":\"".as_slice(), &vec![b' '; 2 << 20], b"\"}"].concat();
    let cases: [(&str, &str, Vec<u8>, bool); 19] = [
        ("gzip", "gzip", gzip(body), true),
        ("x-gzip", "x-gzip", gzip(body), true),
        ("br", "br", brotli(body), true),
        ("zstd", "zstd", zstd(body), true),
        ("deflate", "deflate", zlib(body), true),
        ("identity", "identity", body.to_vec(), true),
        (
            "several members of one body",
            "gzip",
            [gzip(&body[..9]), gzip(&body[9..])].concat(),
            true,
        ),
        ("second member", "gzip", [gzip(body), gzip(body)].concat(), false),
        ("trailing bytes", "gzip", [gzip(body), b"CANARY".to_vec()].concat(), false),
        ("trailing bytes after br", "br", [brotli(body), b"CANARY".to_vec()].concat(), false),
        ("cut", "gzip", gzip(body)[..40].to_vec(), false),
        ("lying", "gzip", body.to_vec(), false),
        ("hidden", "identity", gzip(body), false),
        ("double", "gzip, gzip", gzip(&gzip(body)), false),
        ("two lines", "gzip\r\nContent-Encoding: br", gzip(body), false),
        ("unknown", "compress", body.to_vec(), false),
        ("bomb", "gzip", gzip(&bomb), false),
        ("bomb in zstd", "zstd", zstd(&bomb), false),
        ("too large", "identity", bomb.clone(), false),
    ];
    for (name, coding, bytes, is_released) in cases {
        stage
            .backend
            .says("/people/u1", answer(&format!("{JSON}Content-Encoding: {coding}\r\n"), &bytes));
        let answer = stage.ask("courier", "/people/u1").await;
        let body = answer.body.expect("short answers are held until they are whole");
        if is_released {
            assert_eq!((answer.status.as_u16(), body.as_str()), (200, FOR_COURIER), "{name}");
        } else {
            assert_eq!(answer.status, 502, "{name}: {body}");
            assert!(!body.contains("CANARY") && !body.contains("Testina"), "{name}: {body}");
        }
        assert!(!answer.headers.contains_key("content-encoding"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_minimized_are_replaced() {
    let stage = Stage::set().await;
    let raw = |text: String| Reply::Last(text.into_bytes());
    let status = |status: &str, headers: &str| {
        let length = TESTINA.len();
        raw(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{TESTINA}"))
    };
    let of_type = |header: &str| answer(header, TESTINA.as_bytes());
    let length = TESTINA.len();
    let cases: [(&str, Reply, u16); 33] = [
        ("html", of_type("Content-Type: text/html\r\n"), 502),
        ("no type", of_type(""), 502),
        (
            "two types",
            of_type("Content-Type: application/json\r\nContent-Type: text/html\r\n"),
            502,
        ),
        ("utf-16", of_type("Content-Type: application/json; charset=utf-16\r\n"), 502),
        ("ndjson", of_type("Content-Type: application/x-ndjson\r\n"), 502),
        ("event stream", of_type("Content-Type: text/event-stream\r\n"), 502),
        ("206", status("206 Partial Content", JSON), 502),
        ("201", status("201 Created", JSON), 502),
        ("299", status("299 CANARY", JSON), 502),
        ("301", status("301 Moved Permanently", "Location: /CANARY\r\n"), 502),
        ("304", raw("HTTP/1.1 304 Not Modified\r\nETag: \"CANARY\"\r\n\r\n".into()), 502),
        ("400", status("400 CANARY", JSON), 502),
        ("401", status("401 Unauthorized", "WWW-Authenticate: CANARY\r\n"), 502),
        ("500", status("500 Internal Server Error", JSON), 502),
        ("404", status("404 Not Found", JSON), 404),
        ("410", status("410 Gone", JSON), 404),
        (
            "101",
            raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: CANARY\r\n\r\nCANARY".into()),
            502,
        ),
        ("cut", raw(format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 999\r\n\r\n{TESTINA}")), 502),
        (
            "no last chunk",
            raw(format!(
                "HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{TESTINA}\r\n"
            )),
            502,
        ),
        (
            "length and chunks",
            raw(format!(
                "HTTP/1.1 200 OK\r\n{JSON}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {length:x}\r\n{TESTINA}\r\n0\r\n\r\n"
            )),
            502,
        ),
        (
            "two lengths",
            raw(format!(
                "HTTP/1.1 200 OK\r\n{JSON}Content-Length: {length}\r\nContent-Length: 7\r\n\r\n{TESTINA}"
            )),
            502,
        ),
        ("no HTTP", raw(TESTINA.to_owned()), 502),
        ("nothing", raw(String::new()), 502),
        ("slow head", Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), 504),
        (
            "slow body",
            Reply::Stall(
                format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: {length}\r\n\r\n{{").into_bytes(),
            ),
            504,
        ),
        ("not JSON", json("{\"id\":'CANARY'}"), 502),
        ("trailing text", json("{\"id\":\"u1\"} CANARY"), 502),
        ("two documents", json("{\"id\":\"u1\"}{\"email\":\"CANARY\"}"), 502),
        ("prefix", json(")]}',\n{\"email\":\"CANARY\"}"), 502),
        ("empty", json(""), 502),
        ("cut JSON", json("{\"id\":\"u1\",\"name\":\"CANA"), 502),
        ("not UTF-8", answer(JSON, b"{\"id\":\"u1\",\"name\":\"CANARY\xff\"}"), 502),
        ("too deep", json(&"[".repeat(200)), 502),
    ];
    for (name, reply, expected) in cases {
        stage.backend.says("/people/u1", reply);
        let answer = stage.ask("courier", "/people/u1").await;
        let body = answer.body.expect("short answers are held until they are whole");
        assert_eq!(answer.status, expected, "{name}: {body}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{name}");
        let all = format!("{:?}{body}", answer.headers);
        assert!(!all.contains("CANARY") && !all.contains("Testina"), "{name}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_backend_stay_behind() {
    let stage = Stage::set().await;
    let headers = "Content-Type: application/vnd.people+json; charset=utf-8\r\n\
        ETag: \"CANARY\"\r\nDigest: sha-256=CANARY\r\nRepr-Digest: CANARY\r\nContent-MD5: CANARY\r\n\
        Last-Modified: CANARY\r\nAccept-Ranges: bytes\r\nContent-Range: bytes 0-1/2\r\n\
        Location: /CANARY\r\nLink: </CANARY>\r\nContent-Location: /CANARY\r\nRefresh: 0; CANARY\r\n\
        Content-Disposition: attachment; filename=CANARY\r\nServer: CANARY\r\nX-User: CANARY\r\n\
        Server-Timing: CANARY\r\nSet-Cookie: ads=CANARY\r\nSet-Cookie: session=1; Secure\r\n\
        WWW-Authenticate: CANARY\r\nTrailer: X-CANARY\r\nTamis-Decision: CANARY\r\n\
        Cache-Control: public, max-age=99\r\nContent-Language: de\r\nVary: CANARY\r\n";
    stage.backend.says("/people/u1", answer(headers, TESTINA.as_bytes()));
    let answer = stage.ask("courier", "/people/u1").await;
    assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
    let all = format!("{:?}", answer.headers);
    assert!(!all.contains("CANARY"), "{all}");
    let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept-ranges",
        "cache-control",
        "content-language",
        "content-type",
        "date",
        "etag",
        "set-cookie",
        "strict-transport-security",
        "tamis-terms",
        "transfer-encoding",
        "vary",
        "x-content-type-options",
    ];
    assert_eq!(names, expected);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "private, no-store");
    assert_eq!(answer.headers["set-cookie"], "session=1; Secure; HttpOnly; SameSite=Lax");

    let inside = stage.ask("desk", "/people/u1").await;
    assert!(inside.headers.contains_key("tamis-decision"), "{:?}", inside.headers);
    assert!(inside.headers.contains_key("tamis-minimized"), "{:?}", inside.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_early_heads_stay_behind() {
    let stage = Stage::set().await;
    let length = TESTINA.len();
    let text = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </CANARY>\r\n\r\nHTTP/1.1 200 CANARY\r\n{JSON}\
         Transfer-Encoding: chunked\r\n\r\n{length:x};x=CANARY\r\n{TESTINA}\r\n0\r\nX-T: CANARY\r\n\r\n"
    );
    stage.backend.says("/people/u1", Reply::Bytes(text.into_bytes()));
    let get = "GET /people/u1 HTTP/1.1\r\nHost: api.example.invalid\r\nConnection: close\r\n\r\n";
    let answer = stage.raw("courier", get.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(FOR_COURIER) && answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(!answer.contains("CANARY") && !answer.contains("103"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_about_a_person_look_like_nobody() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    // `partner` needs a consent that nobody has given; to `courier` the backend has no `u9`.
    let refused = stage.ask("partner", "/people/u1").await;
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "refused before the backend is asked");
    let missing = stage.ask("courier", "/people/u9").await;
    let strip = |answer: &super::stage::Answer| {
        let body = answer.body.clone().expect("whole");
        let at = body.find("d_").expect("an instance");
        let mut headers = answer.headers.clone();
        headers.remove("date");
        (answer.status, headers, body.len(), body[..at].to_owned())
    };
    assert_eq!(refused.status, 404);
    assert_eq!(strip(&refused), strip(&missing));
    assert_ne!(refused.body, missing.body, "the instance is fresh");
    let inside = stage.ask("desk", "/people/u9").await;
    assert!(inside.body.is_some_and(|body| body.contains("not-found")), "insiders are told");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_tells_no_more_than_get() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage.backend.says("/orders/o1", json("{\"order\":\"o1\",\"buyer\":{\"id\":\"u1\"}}"));
    let answer = stage.send(Some("courier"), request("HEAD", "/people/u1", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_deref()), (200, Some("")));
    assert!(!answer.headers.contains_key("content-length"), "{:?}", answer.headers);
    for method in ["HEAD", "GET"] {
        let refused = stage.send(Some("partner"), request(method, "/orders/o1", &[])).await;
        assert!(refused.status.is_client_error(), "{method}: {}", refused.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_that_fails_breaks_off_visibly() {
    let stage = Stage::set().await;
    let person =
        |n: usize| format!("{{\"id\":\"u{n}\",\"name\":\"Testina {n}\",\"email\":\"CANARY\"}}");
    let people: Vec<String> = (0..6000).map(person).collect();
    let whole = format!("{{\"people\":[{}]}}", people.join(","));
    stage.backend.says("/people", json(&whole));
    for answer in
        [stage.ask("courier", "/people").await, stage.ask_http2("courier", "/people").await]
    {
        let body = answer.body.expect("whole");
        let parsed: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(parsed["people"].as_array().map(Vec::len), Some(6000));
        assert!(!body.contains("CANARY"));
    }
    let broken = format!("{{\"people\":[{},{{\"id\":'CANARY'}}]}}", people.join(","));
    stage.backend.says("/people", json(&broken));
    for answer in
        [stage.ask("courier", "/people").await, stage.ask_http2("courier", "/people").await]
    {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, None, "the client can tell");
    }
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: {}\r\n\r\n", whole.len());
    let cut = [head.as_bytes(), &whole.as_bytes()[..whole.len() - 9]].concat();
    stage.backend.says("/people", Reply::Last(cut));
    assert_eq!(stage.ask("courier", "/people").await.body, None, "the client can tell");
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_fail_release_nothing() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage.backend.says("/people", json("{\"people\":[{\"id\":\"u1\",\"name\":\"Testina\"}]}"));
    for switch in [&stage.switches.registers_fail, &stage.switches.ledger_fails] {
        switch.store(true, Ordering::SeqCst);
        for target in ["/people/u1", "/people"] {
            let answer = stage.ask("courier", target).await;
            assert_eq!(answer.status, 503, "{target}");
            assert!(answer.body.is_some_and(|body| !body.contains("Testina")), "{target}");
        }
        switch.store(false, Ordering::SeqCst);
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 200, "it recovers by itself");
    }
}
