//! Tunnels at the wire: who may open one, what is entered of it, that nothing passes before, and all that
//! ends one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tamis::policy::Policy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::backend::{AGREES, Reply, accept, answer, json};
use super::stage::{HOST, Stage, changed, until};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

const ROUTE: &str = "  - match: GET /people/{id}/live
    upstream: people
    tunnel: websocket
    origins: [\"https://app.example.invalid\"]
    subjects: {person: \"path:id\"}
    discloses: [account.id, contact.email]
";

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const LIVE: &str = "/people/u1/live";

/// Longest that a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

fn rules() -> String {
    changed(RULES, &[("\nrelease:\n", &format!("\n{ROUTE}\nrelease:\n"))])
}

/// A gateway whose tunnels have these limits, in front of a backend that says back what it is told.
pub(super) async fn set(limits: &str) -> Stage {
    let limits = format!("concealed_after: 1ms, {limits}");
    let limits = limits.trim_end_matches([',', ' ']);
    // Another tunnel is another disclosure, which a reload asks to confirm.
    let stage = Stage::limited_with(&rules(), limits, "reload: {widening: accept}").await;
    stage.backend.says(LIVE, Reply::Echo(AGREES));
    stage
}

fn asks(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

type Stream = TlsStream<TcpStream>;

async fn connected(stage: &Stage, recipient: &str) -> Stream {
    stage.connect(Some(recipient), HOST, Some(b"http/1.1")).await.expect("a handshake")
}

/// A head, in lower case.
async fn head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match timeout(PATIENCE, stream.read_u8()).await.expect("something comes") {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).to_ascii_lowercase()
}

/// Asks, and gives the connection with what was answered.
pub(super) async fn asked(stage: &Stage, recipient: &str, bytes: &str) -> (Stream, String) {
    let mut stream = connected(stage, recipient).await;
    stream.write_all(bytes.as_bytes()).await.expect("taken");
    let answered = head(&mut stream).await;
    (stream, answered)
}

/// A tunnel of the desk's that is open.
pub(super) async fn opened(stage: &Stage) -> Stream {
    let (stream, answered) = asked(stage, "desk", &asks(LIVE, "")).await;
    assert!(answered.starts_with("http/1.1 101"), "{answered}");
    stream
}

async fn echoes(stream: &mut Stream, said: &[u8]) {
    stream.write_all(said).await.expect("taken");
    let mut heard = vec![0; said.len()];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("it comes").expect("it comes");
    assert_eq!(heard, said);
}

/// Nothing comes any more. Says whether anything did before.
pub(super) async fn ended(stream: &mut Stream) -> Vec<u8> {
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "it is still open");
    rest
}

fn consents(stage: &Stage, recipient: &str) {
    let digest =
        Policy::parse("rules", &rules()).expect("it loads").purposes["share.partner"].text_digest;
    stage.record(&format!(
        r#"{{"id":"con_1","subject":"u1","purpose":"share.partner","recipients":["{recipient}"],
            "purpose_text_digest":"{digest}","status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
    ));
}

/// The line of the ledger in which this stands.
async fn entry(stage: &Stage, text: &str) -> String {
    stage.entered(text).await;
    let ledger = stage.ledger();
    ledger.lines().find(|line| line.contains(text)).map(str::to_owned).expect("it is entered")
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_as_they_are_and_the_ledger_says_so_before_and_after() {
    let stage = set("").await;
    let (mut stream, answered) =
        asked(&stage, "desk", &asks(LIVE, "Sec-WebSocket-Extensions: permessage-deflate\r\n"))
            .await;
    assert!(answered.starts_with("http/1.1 101"), "{answered}");
    let signed = accept(KEY).to_ascii_lowercase();
    assert!(answered.contains(&format!("sec-websocket-accept: {signed}\r\n")), "{answered}");
    assert!(answered.contains("upgrade: websocket\r\n") && !answered.contains("extensions"));
    // The client has heard that it is open: the entry is there, and says what may be in it.
    let ledger = stage.ledger();
    let line = ledger.lines().last().expect("it has begun");
    for said in [
        "\"kind\":\"disclosure\"",
        "\"tunnel\":\"websocket\"",
        "\"released\":{\"account.id\":\"keep\",\"contact.email\":\"keep\"}",
        "\"recipient\":\"desk\"",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
    // What would be a fault in a head passes, and so does whatever else there is.
    echoes(&mut stream, b"\x81\x03\n\r#\n\0\xff").await;
    echoes(&mut stream, &vec![b'\n'; 100_000]).await;
    assert!(stage.metrics().contains("tamis_tunnels_open{route=\"GET /people/{id}/live\"} 1"));
    stream.shutdown().await.expect("said");
    assert_eq!(ended(&mut stream).await, b"");
    let line = entry(&stage, "\"kind\":\"outcome\"").await;
    for said in [
        "\"bytes\":100008",
        "\"tunnel\":{\"ended\":\"client\",\"received\":100008}",
        "\"status\":101",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
    assert!(line.contains("\"complete\":true") && !line.contains("refusal"), "{line}");
    let metrics = stage.metrics();
    assert!(metrics.contains("tamis_tunnels_open{route=\"GET /people/{id}/live\"} 0"), "{metrics}");
    assert!(metrics.contains(
        "tamis_tunnel_bytes_total{route=\"GET /people/{id}/live\",towards=\"client\"} 100008"
    ));
    let asked = stage.backend.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    let is_there = |text: &str| asked.to_ascii_lowercase().contains(text);
    assert!(is_there("upgrade: websocket\r\n") && is_there("sec-websocket-version: 13\r\n"));
    assert!(!is_there("extensions") && !asked.contains(KEY), "a key of its own: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_tunnel_is_one_stream_among_others() {
    let stage = set("idle_timeout: 300ms").await;
    stage.backend.says("/people/u1", json(super::TESTINA));
    let stream = stage.connect(Some("desk"), HOST, Some(b"h2")).await.expect("a handshake");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP");
    let driver = tokio::spawn(connection);
    let request = |path: &str| {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://{HOST}{path}"))
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "chat.v2, chat.v1");
        let request = request.extension(Protocol::from_static("websocket"));
        request.body(Empty::<Bytes>::new()).expect("a request of ours")
    };
    let agrees = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
                  Sec-WebSocket-Protocol: chat.v1\r\n";
    stage.backend.says(LIVE, Reply::Echo(agrees));
    // The gateway's settings say that it is taken; they come before the first answer.
    let get = Request::get(format!("https://{HOST}/people/u1")).body(Empty::<Bytes>::new());
    let plain = sender.send_request(get.expect("a request")).await.expect("an answer");
    assert_eq!(plain.status(), StatusCode::OK);
    drop(plain);
    let answered = sender.send_request(request(LIVE)).await.expect("an answer");
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(answered.headers()["sec-websocket-protocol"], "chat.v1");
    assert!(!answered.headers().contains_key("sec-websocket-accept"));
    let tunnel = hyper::upgrade::on(answered).await.expect("it is open");
    let mut tunnel = TokioIo::new(tunnel);
    let mut heard = [0; 6];
    for _ in 0..2 {
        tunnel.write_all(b"hello\n").await.expect("taken");
        tunnel.read_exact(&mut heard).await.expect("it comes");
        assert_eq!(&heard, b"hello\n");
    }
    // The same on a route that is no tunnel, and a CONNECT for no WebSocket.
    let other = sender.send_request(request("/people/u1")).await.expect("an answer");
    assert_eq!(other.status(), StatusCode::BAD_REQUEST);
    // It outlasts what a connection without requests has.
    let quiet = "tamis_connections_ended_total{kind=\"idle\"} 1";
    until("the connection takes no more", || stage.metrics().contains(quiet)).await;
    tunnel.write_all(b"hello\n").await.expect("taken");
    tunnel.read_exact(&mut heard).await.expect("it comes");
    tunnel.shutdown().await.expect("said");
    let line = entry(&stage, "\"ended\":\"client\"").await;
    assert!(line.contains("\"bytes\":18") && line.contains("\"status\":200"), "{line}");
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_opens_one_who_may_not_have_all_that_may_be_in_it() {
    let stage = set("").await;
    let refused = [
        // Of the courier's grant the e-mail address is no part.
        ("courier", LIVE, "403"),
        // It needs a consent that is not there, and that looks as if nothing was there.
        ("partner", LIVE, "404"),
        ("stranger", LIVE, "401"),
        ("desk", "/people/u1/dead", "403"),
    ];
    for (recipient, path, status) in refused {
        let (_, answered) = asked(&stage, recipient, &asks(path, "")).await;
        assert!(answered.starts_with(&format!("http/1.1 {status}")), "{recipient}: {answered}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "nobody was asked");
    consents(&stage, "partner");
    let (mut stream, answered) = asked(&stage, "partner", &asks(LIVE, "")).await;
    assert!(answered.starts_with("http/1.1 101"), "{answered}");
    echoes(&mut stream, b"hello").await;
    // Where the entry cannot be made nothing passes.
    stage.switches.ledger_fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let (_, answered) = asked(&stage, "desk", &asks(LIVE, "")).await;
    assert!(answered.starts_with("http/1.1 503"), "{answered}");
    stage.switches.ledger_fails.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.switches.registers_fail.store(true, std::sync::atomic::Ordering::SeqCst);
    let (_, answered) = asked(&stage, "desk", &asks(LIVE, "")).await;
    assert!(answered.starts_with("http/1.1 503"), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_handshake_of_a_page_that_may_ask_is_one() {
    let stage = set("").await;
    stage.backend.says("/people/u1", json(super::TESTINA));
    let whole = asks(LIVE, "");
    let without = |line: &str| whole.replacen(line, "", 1);
    let cases = [
        ("no upgrade", without("Upgrade: websocket\r\n"), "426"),
        ("no connection", without("Connection: Upgrade\r\n"), "426"),
        ("no key", without(&format!("Sec-WebSocket-Key: {KEY}\r\n")), "426"),
        ("a short key", whole.replacen(KEY, "c2hvcnQ=", 1), "426"),
        ("another version", whole.replacen(": 13", ": 8", 1), "426"),
        ("another protocol", whole.replacen(": websocket", ": h2c", 1), "426"),
        ("HEAD", whole.replacen("GET", "HEAD", 1), "426"),
        ("POST", whole.replacen("GET", "POST", 1), "403"),
        ("a body", asks(LIVE, "Content-Length: 5\r\n"), "413"),
        ("a foreign page", asks(LIVE, "Origin: https://evil.example.invalid\r\n"), "403"),
        ("no page", asks(LIVE, "Origin: null\r\n"), "403"),
        ("two pages", asks(LIVE, "Origin: https://app.example.invalid\r\nOrigin: null\r\n"), "403"),
        ("protocols", asks(LIVE, "Sec-WebSocket-Protocol: a, a\r\n"), "426"),
        ("CONNECT", format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), "400"),
    ];
    for (name, bytes, status) in cases {
        let (_, answered) = asked(&stage, "desk", &bytes).await;
        assert!(answered.starts_with(&format!("http/1.1 {status}")), "{name}: {answered}");
        if status == "426" {
            assert!(answered.contains("upgrade: websocket\r\n"), "{name}: {answered}");
        }
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "nobody was asked");
    for origin in ["https://app.example.invalid", &format!("https://{HOST}")] {
        let (_, answered) =
            asked(&stage, "desk", &asks(LIVE, &format!("Origin: {origin}\r\n"))).await;
        assert!(answered.starts_with("http/1.1 101"), "{origin}: {answered}");
    }
    // On any other route what a client says of protocols is dropped as ever.
    stage.backend.asked();
    let (_, answered) = asked(&stage, "desk", &asks("/people/u1", "")).await;
    assert!(answered.starts_with("http/1.1 200"), "{answered}");
    let asked = stage.backend.asked().concat().to_ascii_lowercase();
    assert!(!asked.contains("upgrade") && !asked.contains("websocket"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_agreement_of_the_backend_opens_nothing() {
    const NO_BODY: &[u8] = b"CANARY";
    let stage = set("").await;
    let offers = "Sec-WebSocket-Protocol: chat.v1\r\n";
    let spoilt = |fields: &'static str| Reply::Agrees(fields, NO_BODY);
    let cases = [
        (
            "a wrong signature",
            spoilt(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            ),
            "502",
        ),
        ("no signature", spoilt("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "502"),
        (
            "two signatures",
            spoilt(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Accept: {accept}\r\n",
            ),
            "502",
        ),
        (
            "another protocol",
            spoilt("Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: {accept}\r\n"),
            "502",
        ),
        (
            "an extension",
            spoilt(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
            ),
            "502",
        ),
        (
            "what was not offered",
            spoilt(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat.v2\r\n",
            ),
            "502",
        ),
        ("200", json(r#"{"secret":"CANARY"}"#), "502"),
        ("200 of a page", answer("Content-Type: text/html\r\n", b"CANARY"), "502"),
        (
            "403",
            Reply::Bytes(b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\nCANARY".to_vec()),
            "502",
        ),
        (
            "404",
            Reply::Bytes(b"HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\nCANARY".to_vec()),
            "404",
        ),
        (
            "302",
            Reply::Bytes(
                b"HTTP/1.1 302 No\r\nLocation: /CANARY\r\nContent-Length: 0\r\n\r\n".to_vec(),
            ),
            "502",
        ),
        ("nothing", Reply::Last(Vec::new()), "502"),
    ];
    for (name, reply, status) in cases {
        stage.backend.says(LIVE, reply);
        let bytes = asks(LIVE, &format!("{offers}Connection: close\r\n"));
        let (mut stream, answered) = asked(&stage, "desk", &bytes).await;
        assert!(answered.starts_with(&format!("http/1.1 {status}")), "{name}: {answered}");
        let rest = String::from_utf8_lossy(&ended(&mut stream).await).into_owned();
        assert!(!answered.contains("canary") && !rest.contains("CANARY"), "{name}: {rest}");
    }
    assert!(!stage.ledger().contains("\"kind\":\"disclosure\""), "nothing was disclosed");
    let metrics = stage.metrics();
    assert!(metrics.contains("kind=\"handshake\",route=\"GET /people/{id}/live\"} 6"), "{metrics}");
}

/// Two readers that disagree about where a request ends are how one is smuggled past the rules: what came
/// behind a handshake before its answer was once passed on by other proxies (CVE-2026-2833).
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_before_the_answer_reaches_no_backend() {
    let stage = set("").await;
    let smuggled = format!("GET /people/u2 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    for behind in [smuggled.as_str(), "\x01\x02", "\r\n", "\n", "x"] {
        let whole = format!("{}{behind}", asks(LIVE, ""));
        // In two pieces, of which the second has the end of the head and what is behind it.
        let (first, rest) = whole.split_at(asks(LIVE, "").len() - 1);
        let mut stream = connected(&stage, "desk").await;
        for piece in [first, rest] {
            stream.write_all(piece.as_bytes()).await.expect("taken");
            stream.flush().await.expect("sent");
        }
        let answered = head(&mut stream).await;
        assert!(answered.starts_with("http/1.1 400"), "{behind:?}: {answered}");
        let rest = ended(&mut stream).await;
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "one answer: {behind:?}");
    }
    let asked_for = stage.backend.asked();
    assert_eq!(asked_for, Vec::<String>::new(), "it came with the handshake");

    // While the backend is being asked: it is refused, or it is the first that passes when it may.
    let go = Arc::new(tokio::sync::Notify::new());
    stage.backend.says(LIVE, Reply::Late(Arc::clone(&go)));
    let mut stream = connected(&stage, "desk").await;
    stream.write_all(asks(LIVE, "").as_bytes()).await.expect("taken");
    until("the backend is asked", || stage.backend.asked().len() == 1).await;
    stream.write_all(smuggled.as_bytes()).await.expect("taken");
    stream.flush().await.expect("sent");
    go.notify_one();
    let answered = head(&mut stream).await;
    let opens = answered.starts_with("http/1.1 101");
    assert!(opens || answered.starts_with("http/1.1 400"), "{answered}");
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "nothing came before its answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_when_what_permitted_it_no_longer_holds() {
    let stage = set("tunnel_check: 20ms").await;
    consents(&stage, "partner");
    let (mut stream, _) = asked(&stage, "partner", &asks(LIVE, "")).await;
    echoes(&mut stream, b"hello").await;
    let withdraws = |changing: &tamis::registers::Changing| {
        changing.withdraw_consent("con_1", jiff::Timestamp::now())
    };
    stage.stores.registers.changing(withdraws).expect("taken");
    assert_eq!(ended(&mut stream).await, b"");
    let line = entry(&stage, "\"ended\":\"refused\"").await;
    assert!(line.contains("\"refusal\":\"consent-missing\""), "{line}");
    assert!(line.contains("\"complete\":false"), "{line}");
    let counted = "tamis_tunnels_ended_total{ended=\"refused\",route=\"GET /people/{id}/live\"} 1";
    assert!(stage.metrics().contains(counted), "{}", stage.metrics());

    // Registers that cannot be asked: undecided is closed.
    let mut stream = opened(&stage).await;
    stage.switches.registers_fail.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(ended(&mut stream).await, b"");
    entry(&stage, "\"refusal\":\"register-stale\"").await;
    stage.switches.registers_fail.store(false, std::sync::atomic::Ordering::SeqCst);

    // Rules by which it would be another one, or none.
    let mut stream = opened(&stage).await;
    stage.edit(
        "rules.yaml",
        "discloses: [account.id, contact.email]",
        "discloses: [account.id, contact.email, identity.name]",
    );
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["rules"]);
    assert_eq!(ended(&mut stream).await, b"");
    entry(&stage, "\"refusal\":\"not-in-force\"").await;
    // And by these another is opened.
    drop(opened(&stage).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_when_the_gateway_stops() {
    let stage = set("drain_timeout: 1s").await;
    let mut stream = opened(&stage).await;
    echoes(&mut stream, b"hello").await;
    let (folder, rest) = tokio::join!(stage.stopped(), ended(&mut stream));
    assert_eq!(rest, b"");
    let ledger = std::fs::read_to_string(folder.path().join("ledger/000001.jsonl")).expect("ours");
    let is_told = |line: &str| line.contains("\"tunnel\":{\"ended\":\"stopping\",\"received\":5}");
    assert!(ledger.lines().any(is_told), "{ledger}");
}

/// One that nothing passes through, and one that lasts too long. Gives what happened in the words of the
/// table of limits.
pub(super) async fn beyond(limit: &str, ended_by: &str) -> (String, String) {
    let stage = set(limit).await;
    let mut stream = opened(&stage).await;
    assert_eq!(ended(&mut stream).await, b"");
    entry(&stage, &format!("\"ended\":\"{ended_by}\"")).await;
    ("closed".to_owned(), stage.metrics())
}

/// One whose person was erased meanwhile.
pub(super) async fn judged_again() -> (String, String) {
    let stage = set("tunnel_check: 20ms").await;
    let mut stream = opened(&stage).await;
    stage.record(
        r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-02T00:00:00Z","effective_at":"2026-01-02T00:00:00Z"}"#,
    );
    assert_eq!(ended(&mut stream).await, b"");
    entry(&stage, "\"refusal\":\"erased\"").await;
    ("closed".to_owned(), stage.metrics())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_counts_as_a_connection_and_as_a_request_to_its_end() {
    let stage = set("recipient_requests: 1").await;
    stage.backend.says("/people/u1", json(super::TESTINA));
    let mut tunnel = opened(&stage).await;
    echoes(&mut tunnel, b"hello").await;
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 429, "its recipient has one request");
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200, "others have theirs");
    until("only its own is left", || stage.metrics().contains("tamis_connections 1\n")).await;
    echoes(&mut tunnel, b"hello").await;
    drop(tunnel);
    until("it is over", || stage.metrics().contains("tamis_connections 0\n")).await;
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_its_backend_a_tunnel_holds_one_connection_over_http1_and_one_request() {
    let stage = set("").await;
    stage.backend.says("/people/u1", json(super::TESTINA));
    // Over HTTP/2 this backend says nothing.
    let narrow = "breaker: off, protocol: h2c, max_requests: 1, connect_timeout: 50ms";
    stage.edit("tamis.yaml", "breaker: off", narrow);
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    let mut tunnel = opened(&stage).await;
    echoes(&mut tunnel, b"hello").await;
    assert_eq!(stage.backend.connections(), 1);
    let busy = stage.ask("desk", "/people/u1").await;
    assert_eq!(busy.status, 503, "the backend has one request at once");
    let (_, busy) = asked(&stage, "desk", &asks(LIVE, "")).await;
    assert!(busy.starts_with("http/1.1 503"), "{busy}");
    tunnel.shutdown().await.expect("said");
    assert_eq!(ended(&mut tunnel).await, b"");
    until("its turn is over", || stage.metrics().contains("ended=\"client\"")).await;
    drop(opened(&stage).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_is_observed_or_gone_asks_nobody() {
    let rules = rules().replace("tunnel: websocket\n", "tunnel: websocket\n    mode: observe\n");
    let stage = Stage::with_rules(&rules).await;
    stage.backend.says(LIVE, Reply::Echo(AGREES));
    let (_, answered) = asked(&stage, "desk", &asks(LIVE, "")).await;
    assert!(answered.starts_with("http/1.1 403"), "{answered}");
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    let counted = "tamis_observed_total{mode=\"observe\",outcome=\"permitted\"";
    assert!(stage.metrics().contains(counted), "{}", stage.metrics());
}
