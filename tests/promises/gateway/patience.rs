//! Clients that are slow on purpose, and defects of our own: each costs its own connection or answer,
//! and nobody else anything.

use std::fs;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::backend::{Reply, json};
use super::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PATIENCE, PING, PSEUDO, RESET, connected, fields,
    frame, next, opening_with_window,
};
use super::stage::{HOST, Stage, until};
use super::{FOR_COURIER, TESTINA};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// Waits until the gateway has counted this.
async fn counted(stage: &Stage, metric: &str) {
    until(metric, || stage.metrics().contains(metric)).await;
}

/// A client that asks for a long answer and reads none of it. Gives what was counted.
pub(super) async fn slow_reader() -> String {
    let stage = Stage::limited(RULES, "idle_timeout: 300ms").await;
    // More than the buffers of both ends hold.
    let long = format!(r#"{{"id":"u1","name":"{}"}}"#, "a".repeat(32 << 20));
    stage.backend.says("/people/u1", json(&long));
    stage.backend.says("/people/u2", json(TESTINA));
    let mut slow =
        stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let asks = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    slow.write_all(asks.as_bytes()).await.expect("taken");
    let meanwhile = stage.ask("courier", "/people/u2").await;
    assert_eq!(meanwhile.body.as_deref(), Some(FOR_COURIER), "others are served meanwhile");
    counted(&stage, "tamis_connections_ended_total{kind=\"stalled\"} 1").await;
    let mut said = Vec::new();
    let _ = slow.read_to_end(&mut said).await;
    assert!(!said.ends_with(b"0\r\n\r\n"), "the answer does not look whole");
    let metrics = stage.metrics();
    let directory = stage.stopped().await;
    let ledger = fs::read_to_string(directory.path().join("ledger/000001.jsonl")).expect("begun");
    assert!(ledger.contains("\"complete\":false"), "{ledger}");
    metrics
}

/// Clients that take a long answer so slowly that it would take minutes, and never pause. Gives what
/// happened to them, and what was counted.
pub(super) async fn steadily_slow() -> (String, String) {
    let stage = Stage::limited(RULES, "answer_time: 500ms").await;
    let long = format!(r#"{{"id":"u1","name":"{}"}}"#, "a".repeat(32 << 20));
    stage.backend.says("/people/u1", json(&long));
    let mut pace = tokio::time::interval(Duration::from_millis(10));

    let mut slow =
        stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let asks = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    slow.write_all(asks.as_bytes()).await.expect("taken");
    let takes = async {
        let (mut last, mut piece) = (Vec::new(), vec![0; 4096]);
        while let Ok(count @ 1..) = slow.read(&mut piece).await {
            last = piece[..count].to_vec();
            pace.tick().await;
        }
        last
    };
    let last = timeout(PATIENCE, takes).await.expect("it ends");
    assert!(!last.ends_with(b"0\r\n\r\n"), "the answer does not look whole");
    counted(&stage, "tamis_connections_ended_total{kind=\"late-answer\"} 1").await;

    let (mut sender, driver) = courier(&stage).await;
    let request = Request::get(format!("https://{HOST}/people/u1")).body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.expect("a target")).await.expect("an answer");
    let mut body = answer.into_body();
    let takes = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return "breaks off";
            }
            pace.tick().await;
        }
        "whole"
    };
    let happened = timeout(PATIENCE, takes).await.expect("it ends");
    stage.backend.says("/people/u2", json(TESTINA));
    let request = Request::get(format!("https://{HOST}/people/u2")).body(Empty::<Bytes>::new());
    let other = sender.send_request(request.expect("a target")).await.expect("an answer");
    assert_eq!(other.status(), 200, "over HTTP/2 the connection goes on");
    driver.abort();
    counted(&stage, "tamis_late_answers_total{route=\"GET /people/{id}\"} 2").await;
    let metrics = stage.metrics();
    let directory = stage.stopped().await;
    let ledger = fs::read_to_string(directory.path().join("ledger/000001.jsonl")).expect("begun");
    assert_eq!(ledger.matches("answer-late").count(), 2, "{ledger}");
    (happened.to_owned(), metrics)
}

/// A client of HTTP/2 that asks once and then never. Gives what was counted.
pub(super) async fn nothing_asked() -> String {
    let stage = Stage::limited(RULES, "idle_timeout: 200ms").await;
    stage.backend.says("/people/u1", json(TESTINA));
    let mut stream = connected(&stage).await;
    let asks = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&PSEUDO));
    stream.write_all(&asks).await.expect("taken");
    let ended = timeout(PATIENCE, async { while next(&mut stream).await.is_some() {} });
    assert!(ended.await.is_ok(), "it is not kept");
    stage.metrics()
}

/// A connection of HTTP/2 of the courier, and what drives it.
async fn courier(
    stage: &Stage,
) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<Result<(), hyper::Error>>) {
    let stream = stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.expect("HTTP");
    (sender, tokio::spawn(connection))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_not_kept_however_short_it_is() {
    for window in [0, 1] {
        let stage = Stage::limited(RULES, "idle_timeout: 200ms").await;
        stage.backend.says("/people/u1", json(TESTINA));
        let mut stream =
            stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
        let asks = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&PSEUDO));
        stream.write_all(&[opening_with_window(window), asks].concat()).await.expect("taken");
        let mut taken = 0;
        let ended = timeout(PATIENCE, async {
            while let Some((kind, _, payload)) = next(&mut stream).await {
                match kind {
                    DATA => taken += payload.len(),
                    // It is there, and asks for answers that are no sign of life.
                    PING if stream.write_all(&frame(PING, 1, 0, &payload)).await.is_err() => break,
                    RESET => break,
                    _ => {}
                }
                let _ = stream.write_all(&frame(PING, 0, 0, b"12345678")).await;
            }
        });
        assert!(ended.await.is_ok(), "the connection is not kept for ever");
        assert_eq!(taken, usize::from(window), "no more than there was room for");
        counted(&stage, "tamis_connections_ended_total{kind=\"stalled\"} 1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_on_asking_has_no_answers_kept_either() {
    // With room for nothing the answer waits for its turn, with room for a byte it has had it.
    for window in [0, 1] {
        let stage = Stage::limited(RULES, "idle_timeout: 200ms").await;
        stage.backend.says("/people/u1", json(TESTINA));
        let mut stream =
            stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
        let asks = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&PSEUDO));
        let opens = [opening_with_window(window), asks].concat();
        stream.write_all(&opens).await.expect("taken");
        // Whatever is answered, it asks again, for what needs no window.
        let more = PSEUDO.map(|(name, said)| (name, if name == ":method" { "HEAD" } else { said }));
        let (mut last, mut answered) = (1, 0);
        let ended = timeout(PATIENCE, async {
            while let Some((kind, ..)) = next(&mut stream).await {
                if kind == HEADERS {
                    answered += 1;
                    last += 2;
                    let more = frame(HEADERS, END_STREAM | END_HEADERS, last, &fields(&more));
                    let _ = stream.write_all(&more).await;
                }
            }
        });
        assert!(ended.await.is_ok(), "the connection is not kept for ever");
        assert!(answered > 1, "it was served until then");
        counted(&stage, "tamis_connections_ended_total{kind=\"stalled\"} 1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_under_way_until_its_answer_is_taken() {
    let stage = Stage::limited(RULES, "requests: 2").await;
    stage.backend.says("/people/u1", json(TESTINA));
    for window in [0, 1] {
        let mut stream =
            stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
        let mut opens = opening_with_window(window);
        for id in [1, 3] {
            opens.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, &fields(&PSEUDO)));
        }
        stream.write_all(&opens).await.expect("taken");
        let begun = timeout(PATIENCE, async {
            let mut begun = 0;
            while begun < 2 {
                let (kind, ..) = next(&mut stream).await.expect("it goes on");
                begun += usize::from(kind == HEADERS);
            }
        });
        assert!(begun.await.is_ok(), "both are answered");
        assert_eq!(stage.ask("desk", "/people/u1").await.status, 503, "and nobody took them");
        drop(stream);
        let again = async { while stage.ask("desk", "/people/u1").await.status != 200 {} };
        assert!(timeout(PATIENCE, again).await.is_ok(), "nobody is left to take them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_answer_and_a_backend_that_is_slow_are_not_stalled() {
    let stage = Stage::limited(RULES, "idle_timeout: 100ms").await;
    let people: Vec<String> = (0..9000).map(|n| format!(r#"{{"id":"u{n}"}}"#)).collect();
    let Reply::Bytes(mut first) = json(&format!(r#"{{"people":[{}]}}"#, people.join(","))) else {
        unreachable!()
    };
    let rest = first.split_off(first.len() - 10);
    let go = Arc::new(Notify::new());
    stage.backend.says("/people", Reply::InTwo(first, Arc::clone(&go), rest));
    // Much longer than the patience: what waits for us is nobody's fault.
    let mut asked = pin!(stage.ask_http2("courier", "/people"));
    let meanwhile = timeout(Duration::from_millis(700), &mut asked).await;
    assert!(meanwhile.is_err(), "the backend has not sent the rest");
    counted(&stage, "tamis_connections_ended_total{kind=\"idle\"} 1").await;
    go.notify_one();
    let answer = asked.await;
    let body = answer.body.expect("it is whole");
    assert!(body.ends_with("\"u8999\"}]}"), "{}", body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_frames_that_dribble_in_end_their_connection_and_nobody_else_s() {
    let stage = Stage::limited(RULES, "idle_timeout: 200ms, head_timeout: 200ms").await;
    stage.backend.says("/people/u1", json(TESTINA));
    // A byte at a time is no progress: the time runs from the head's first byte.
    let mut slow =
        stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let dribbles = async {
        let head = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nX: {}", "a".repeat(9999));
        for byte in head.bytes() {
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            // It says nothing until it has had enough.
            let mut said = [0; 1];
            let ended = timeout(Duration::from_millis(20), slow.read(&mut said)).await;
            if ended.is_ok_and(|read| !matches!(read, Ok(1..))) {
                return;
            }
        }
        panic!("all of it was taken");
    };
    assert!(timeout(PATIENCE, dribbles).await.is_ok());
    counted(&stage, "tamis_connections_ended_total{kind=\"late-head\"} 1").await;
    // Half a ping; a head of HTTP/2 that goes on and on.
    let half = frame(PING, 0, 0, b"12345678")[..12].to_vec();
    let unended = frame(HEADERS, END_STREAM, 1, &fields(&PSEUDO));
    for bytes in [half, unended] {
        let mut stream = connected(&stage).await;
        stream.write_all(&bytes).await.expect("taken");
        let answer = stage.ask_http2("courier", "/people/u1").await;
        assert_eq!(answer.body.as_deref(), Some(FOR_COURIER), "others are served meanwhile");
        let ended = timeout(PATIENCE, async { while next(&mut stream).await.is_some() {} });
        assert!(ended.await.is_ok(), "it is not kept");
    }
    assert_eq!(stage.backend.asked().len(), 2, "only of the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_answer_without_a_value_and_nobody_else_s() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let (mut sender, driver) = courier(&stage).await;
    let mut ask = async |id: &str| {
        let request = Request::get(format!("https://{HOST}/people/{id}"));
        let request = request.body(Empty::<Bytes>::new()).expect("a target");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    stage.switches.registers_panic.store(true, Ordering::SeqCst);
    let (status, body) = ask("canary-1").await;
    assert_eq!(status, 500);
    assert!(body.contains("/problems/policy-invalid") && !body.contains("canary"), "{body}");
    stage.switches.registers_panic.store(false, Ordering::SeqCst);
    let (status, body) = ask("u1").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, FOR_COURIER), "on the same connection");
    driver.abort();
    assert!(stage.metrics().contains("tamis_internal_errors_total{kind=\"panic\"} 1"));
    assert!(!stage.metrics().contains("canary") && !stage.ledger().contains("canary"));
    let directory = stage.stopped().await;
    let log = fs::read_to_string(directory.path().join("access.log")).expect("written");
    let statuses = ["\"status\":500", "\"status\":200"].map(|status| log.matches(status).count());
    assert!(statuses == [1, 1] && !log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_middle_of_an_answer_breaks_it_off() {
    let stage = Stage::limited(RULES, "concealed_after: 1ms").await;
    let person = |n: usize| format!(r#"{{"id":"u{n}","name":"Testina {n}"}}"#);
    let people = |from, to| (from..to).map(person).collect::<Vec<_>>().join(",");
    let Reply::Bytes(whole) =
        json(&format!(r#"{{"people":[{},{}]}}"#, people(0, 6000), people(6000, 8000)))
    else {
        unreachable!()
    };
    let mut first = whole;
    let rest = first.split_off(first.len() - 20_000);
    let go = Arc::new(Notify::new());
    stage.backend.says("/people", Reply::InTwo(first, Arc::clone(&go), rest));
    let breaks = async {
        // The head is on its way once the opening record is there.
        until("it is opened", || stage.ledger().contains("\"kind\":\"disclosure\"")).await;
        stage.switches.registers_panic.store(true, Ordering::SeqCst);
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(stage.ask("courier", "/people"), breaks);
    stage.switches.registers_panic.store(false, Ordering::SeqCst);
    assert_eq!(
        (answer.status.as_u16(), answer.body),
        (200, None),
        "it can be told from a whole one"
    );
    stage.backend.says("/people/u1", json(TESTINA));
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200, "it goes on");
}

/// What a metrics listener answers on a connection that is open already.
async fn scraped(metrics: &mut TcpStream) -> String {
    let asks = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    metrics.write_all(asks).await.expect("taken");
    let mut said = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&said);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
            if body.len() >= length {
                return body.to_owned();
            }
        }
        let more = metrics.read_buf(&mut said).await.expect("it answers");
        assert!(more > 0, "it ended: {}", String::from_utf8_lossy(&said));
    }
}

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often no connection could be accepted.
fn not_accepted(metrics: &str) -> u64 {
    let name = "tamis_internal_errors_total{kind=\"accept\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(name));
    count.map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_the_gateway_waits_and_then_goes_on() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let own = format!("{settings}ledger: other-ledger\nregisters: other.sqlite\n");
    fs::write(stage.path("other.yaml"), own).expect("ours");
    let child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["run", "--config"])
        .arg(stage.path("other.yaml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut child = Ended(child);
    let printed = child.0.stdout.take().expect("piped");
    let addresses = tokio::task::spawn_blocking(move || {
        use std::io::BufRead as _;
        let mut found = std::collections::BTreeMap::new();
        for line in std::io::BufReader::new(printed).lines() {
            let line = line.expect("UTF-8");
            let (name, address) = line.split_once(' ').expect("a name and an address");
            found.insert(name.to_owned(), address.trim().parse().expect("an address"));
            if name == "metrics" {
                break;
            }
        }
        found
    });
    let addresses = timeout(PATIENCE, addresses).await.expect("it starts").expect("it prints");
    let [https, metrics]: [std::net::SocketAddr; 2] =
        ["https", "metrics"].map(|name| addresses[name]);
    let mut metrics = TcpStream::connect(metrics).await.expect("it listens");
    assert_eq!(not_accepted(&scraped(&mut metrics).await), 0);

    let pid = Pid::from_raw(i32::try_from(child.0.id()).expect("small")).expect("a process");
    let maximum = getrlimit(Resource::Nofile).maximum;
    let may_open = |most| {
        let limit = Rlimit { current: Some(most), maximum };
        prlimit(Some(pid), Resource::Nofile, limit).expect("ours to set");
    };
    // What is open stays so; nothing more can be.
    may_open(3);
    let waiting = stage.connect_to(https, Some("courier"), HOST, Some(b"http/1.1"));
    let goes_on = async {
        let mut seen = 0;
        while seen < 3 {
            seen = not_accepted(&scraped(&mut metrics).await);
        }
        may_open(256);
    };
    let (stream, ()) = timeout(PATIENCE, async { tokio::join!(waiting, goes_on) })
        .await
        .expect("whoever waited is taken");
    let mut stream = stream.expect("a handshake");
    let asks = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(asks.as_bytes()).await.expect("taken");
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("Testina"), "{said}");
    let tries = not_accepted(&scraped(&mut metrics).await);
    // A loop that only tries again comes to thousands before it is even asked.
    assert!(tries < 100, "it waits between tries: {tries}");
}
