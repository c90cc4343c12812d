//! HTTP/2 by the frame: requests that mean two things, and floods. None of it reaches a backend, and
//! other clients are served meanwhile.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::backend::json;
use super::stage::{HOST, Stage};
use super::{FOR_COURIER, TESTINA};

/// Longest that a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GO_AWAY: u8 = 7;
const PRIORITY: u8 = 2;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Source: RFC 9113 §4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as literals that enter no table. Source: RFC 7541 §6.2.2.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short") & 0x7f);
            block.extend(text.as_bytes());
        }
    }
    block
}

fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// With windows of so many bytes for what it is sent. Source: RFC 9113 §6.5.2.
pub(super) fn opening_with_window(window: u8) -> Vec<u8> {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, window]);
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), settings].concat()
}

pub(super) async fn connected(stage: &Stage) -> TlsStream<tokio::net::TcpStream> {
    let mut stream = stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
    stream.write_all(&opening()).await.expect("taken");
    stream
}

/// The next frame: its kind, its stream and what it holds.
pub(super) async fn next(
    stream: &mut TlsStream<tokio::net::TcpStream>,
) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

pub(super) const PSEUDO: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/people/u1")];

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_two_meanings_is_refused_in_its_stream() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let and = |more: &[(&'static str, &'static str)]| [&PSEUDO[..], more].concat();
    let without = |name: &str| -> Vec<(&str, &str)> {
        PSEUDO.into_iter().filter(|(other, _)| *other != name).collect()
    };
    let with = |name: &str, value: &'static str| -> Vec<(&str, &str)> {
        PSEUDO.map(|(other, old)| (other, if other == name { value } else { old })).to_vec()
    };
    let cases = [
        ("two paths", and(&[(":path", "/people/u2")])),
        ("two authorities", and(&[(":authority", "evil.example.invalid")])),
        ("two methods", and(&[(":method", "POST")])),
        ("an unknown pseudo-field", and(&[(":proto", "x")])),
        ("a pseudo-field behind a field", and(&[("x", "y"), (":path", "/people/u2")])),
        ("a status", and(&[(":status", "200")])),
        ("another host", and(&[("host", "evil.example.invalid")])),
        ("two hosts", and(&[("host", HOST), ("host", HOST)])),
        ("a line end in a value", and(&[("x", "y\r\nhost: evil.example.invalid")])),
        ("NUL in a value", and(&[("x", "y\0z")])),
        ("a line end in a name", and(&[("x\r\nhost", "y")])),
        ("an upper-case name", and(&[("X-Up", "y")])),
        ("a blank in a name", and(&[("x y", "z")])),
        ("chunks", and(&[("transfer-encoding", "chunked")])),
        ("connection", and(&[("connection", "x")])),
        ("upgrade", and(&[("upgrade", "websocket")])),
        ("a length without a body", and(&[("content-length", "5")])),
        ("a signed length", and(&[("content-length", "+0")])),
        ("two lengths", and(&[("content-length", "0"), ("content-length", "5")])),
        ("no path", without(":path")),
        ("no method", without(":method")),
        ("no authority", without(":authority")),
        ("an empty path", with(":path", "")),
        ("a blank in the path", with(":path", "/people/u1 HTTP/1.1")),
        ("a line end in the path", with(":path", "/people/u1\r\nx: y")),
        ("a whole URL as path", with(":path", "http://evil.example.invalid/")),
        ("a user in the authority", with(":authority", "x@api.example.invalid")),
        ("a foreign authority", with(":authority", "evil.example.invalid")),
        ("CONNECT", with(":method", "CONNECT")),
    ];
    let (mut answered_all_the_same, mut broken) = (Vec::new(), 0);
    for (name, list) in cases {
        let mut stream = connected(&stage).await;
        let flags = END_STREAM | END_HEADERS;
        stream.write_all(&frame(HEADERS, flags, 1, &fields(&list))).await.expect("taken");
        let answered = timeout(PATIENCE, async {
            loop {
                match next(&mut stream).await {
                    // The status stands in the first byte: an indexed field of the static table for
                    // 200 (8), 400 (12) or 404, a literal for others. Source: RFC 7541 appendix A.
                    Some((HEADERS, 1, block)) => break block.first().copied(),
                    // A goodbye with a reason. Source: RFC 9113 §6.8.
                    Some((GO_AWAY, _, why)) if why.get(4..8) != Some(&[0; 4]) => {
                        broken += 1;
                        break None;
                    }
                    Some((RESET, 1, _) | (GO_AWAY, ..)) | None => break None,
                    Some(_) => {}
                }
            }
        });
        let answered = answered.await.expect("it does not hang");
        if answered == Some(0x88) || !stage.backend.asked().is_empty() {
            answered_all_the_same.push(name);
        }
    }
    assert_eq!(answered_all_the_same, Vec::<&str>::new());
    assert!(broken > 0, "some are faults of the whole connection");
    assert_eq!(
        broken_connections(&stage, broken).await,
        broken,
        "faults of a stream are not counted"
    );
    let answer = stage.ask_http2("courier", "/people/u1").await;
    assert_eq!(answer.body.as_deref(), Some(FOR_COURIER), "a plain one is answered");
}

/// Sends until the gateway takes no more or ends the connection. True: it ended it.
pub(super) async fn is_ended_by(stage: &Stage, flood: Vec<u8>, times: usize) -> bool {
    let stream = connected(stage).await;
    let (mut reads, mut writes) = tokio::io::split(stream);
    let sends = async {
        for _ in 0..times {
            if writes.write_all(&flood).await.is_err() {
                return;
            }
        }
        let _ = writes.flush().await;
        std::future::pending::<()>().await;
    };
    let ended = async {
        let mut sink = vec![0; 64 * 1024];
        while matches!(reads.read(&mut sink).await, Ok(1..)) {}
    };
    let both = timeout(PATIENCE, async {
        tokio::select! {
            () = ended => {}
            () = sends => {}
        }
    });
    both.await.is_ok()
}

/// How many connections were ended for their frames, once there are so many: a client may see the end
/// a moment before it is counted.
async fn broken_connections(stage: &Stage, expected: u64) -> u64 {
    let counted = || {
        let metrics = stage.metrics();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("tamis_unread_requests_total{kind=\"frames\"} "));
        line.map_or(0, |count| count.parse().expect("a number"))
    };
    let enough = timeout(PATIENCE, async {
        while counted() < expected {
            tokio::task::yield_now().await;
        }
    });
    let _ = enough.await;
    counted()
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_their_connection_and_nobody_else_s() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let plain = fields(&PSEUDO);
    let flags = END_STREAM | END_HEADERS;

    // Rapid reset: each stream is opened and given up at once.
    let resets: Vec<u8> = (0..400)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let cancel = 8_u32.to_be_bytes();
            [frame(HEADERS, flags, stream, &plain), frame(RESET, 0, stream, &cancel)].concat()
        })
        .collect();
    assert!(is_ended_by(&stage, resets, 1).await, "rapid reset");
    assert!(stage.backend.asked().len() < 200, "most were given up before anybody was asked");

    // Streams that the gateway is made to reset: a window that grows by nothing. Source: CVE-2025-8671.
    let faults: Vec<u8> = (0..400)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let nothing = 0_u32.to_be_bytes();
            let asks = frame(HEADERS, flags, stream, &plain);
            [asks, frame(WINDOW_UPDATE, 0, stream, &nothing)].concat()
        })
        .collect();
    assert!(is_ended_by(&stage, faults, 1).await, "faults of streams");
    assert!(stage.backend.asked().len() < 300, "most were given up before anybody was asked");
    // A window beyond what there may be.
    let all = 0x7fff_ffff_u32.to_be_bytes();
    assert!(is_ended_by(&stage, frame(WINDOW_UPDATE, 0, 0, &all), 2).await, "window of all");

    // A head that never ends.
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x", "y")]));
    let endless = [frame(HEADERS, END_STREAM, 1, &plain), more.repeat(100_000)].concat();
    assert!(is_ended_by(&stage, endless, 1).await, "continuation");

    // A name and value of 4 kB in the table, called up a few thousand times by a byte each.
    let mut bomb = fields(&PSEUDO);
    bomb.extend([0x40, 1, b'x', 0x7f, 0xd9, 0x1e]);
    bomb.extend(vec![b'a'; 0x7f + 0x59 + (0x1e << 7)]);
    bomb.extend(vec![0xbe; 8_000]);
    let mut stream = connected(&stage).await;
    stream.write_all(&frame(HEADERS, flags, 1, &bomb)).await.expect("taken");
    let refused = timeout(PATIENCE, async {
        loop {
            match next(&mut stream).await {
                Some((HEADERS, 1, block)) => break block.first() != Some(&0x88),
                Some((RESET, 1, _) | (GO_AWAY, ..)) | None => break true,
                Some(_) => {}
            }
        }
    });
    assert!(refused.await.expect("it does not hang"), "the bomb is refused");

    // Frames of a stream that is not there, and of no stream.
    assert!(is_ended_by(&stage, frame(DATA, 0, 1, b"x"), 1).await, "data of an idle stream");
    assert!(is_ended_by(&stage, frame(CONTINUATION, 4, 1, b""), 1).await, "continuation of none");
    assert!(is_ended_by(&stage, frame(SETTINGS, 0, 1, b""), 1).await, "settings of a stream");
    assert!(is_ended_by(&stage, frame(PING, 0, 0, b"1"), 1).await, "a ping of one byte");

    let asked = stage.backend.asked();
    assert_eq!(asked, Vec::<String>::new());
    // Five floods and four frames that have no place, each once.
    assert_eq!(broken_connections(&stage, 9).await, 9);
    let answer = stage.ask_http2("courier", "/people/u1").await;
    assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_streams_end_each_its_own_and_too_many_the_connection() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let fault = fields(&[&PSEUDO[..], &[("connection", "x")]].concat());
    let mut stream = connected(&stage).await;
    let mut ended = 0;
    for id in (1..).step_by(2) {
        let asks = frame(HEADERS, END_STREAM | END_HEADERS, id, &fault);
        let _ = stream.write_all(&asks).await;
        let of_it = timeout(PATIENCE, async {
            loop {
                match next(&mut stream).await {
                    Some((RESET, of, _)) if of == id => break true,
                    Some((GO_AWAY, ..)) | None => break false,
                    Some(_) => {}
                }
            }
        });
        if !of_it.await.expect("it does not hang") {
            break;
        }
        ended += 1;
        if ended == 256 {
            assert_eq!(broken_connections(&stage, 0).await, 0);
        }
    }
    assert_eq!(ended, 256);
    assert_eq!(broken_connections(&stage, 1).await, 1);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_frames_without_a_request_keeps_nobody_waiting() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let post = PSEUDO.map(|(name, value)| (name, if name == ":method" { "POST" } else { value }));
    let begun = frame(HEADERS, END_HEADERS, 1, &fields(&post));
    let one = 1_u32.to_be_bytes();
    for (before, flood) in [
        (Vec::new(), frame(PING, 0, 0, b"12345678")),
        (Vec::new(), frame(SETTINGS, 0, 0, &[])),
        (Vec::new(), frame(WINDOW_UPDATE, 0, 0, &one)),
        // Of a stream that is not there.
        (Vec::new(), frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9])),
        // A kind that nobody knows.
        (Vec::new(), frame(0x42, 0, 0, b"12345678")),
        // Of a body that is empty and goes on.
        (begun.clone(), frame(DATA, 0, 1, &[])),
        (begun.clone(), frame(WINDOW_UPDATE, 0, 1, &one)),
    ] {
        let mut stream = connected(&stage).await;
        stream.write_all(&before).await.expect("taken");
        // The answers are never read: the gateway stops reading before it has stored many of them.
        let (_reads, mut writes) = tokio::io::split(stream);
        let flooding = tokio::spawn(async move {
            let flood = flood.repeat(1_000);
            while writes.write_all(&flood).await.is_ok() {}
        });
        for _ in 0..5 {
            let answer = timeout(PATIENCE, stage.ask_http2("courier", "/people/u1")).await;
            let answer = answer.expect("others are served meanwhile");
            assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
        }
        flooding.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_no_window_loses_its_answer() {
    let rules = include_str!("../../cases/gateway.rules.yaml");
    let stage = Stage::with(rules, "1ms, idle_timeout: 200ms").await;
    let person = |n: usize| format!("{{\"id\":\"u{n}\",\"name\":\"Testina {n}\"}}");
    let people: Vec<String> = (0..9000).map(person).collect();
    stage.backend.says("/people", json(&format!("{{\"people\":[{}]}}", people.join(","))));
    let mut stream = stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // Initial window size: 0. Source: RFC 9113 §6.5.2.
    let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let list = PSEUDO.map(|(name, value)| (name, if name == ":path" { "/people" } else { value }));
    let asks = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&list));
    stream.write_all(&[&preface[..], &closed, &asks].concat()).await.expect("taken");
    let ended = timeout(PATIENCE, async {
        loop {
            match next(&mut stream).await {
                Some((DATA, 1, payload)) => assert!(payload.is_empty(), "there is no window"),
                Some((RESET, 1, _) | (GO_AWAY, ..)) | None => break,
                Some(_) => {}
            }
        }
    });
    assert!(ended.await.is_ok(), "the answer is not kept for ever");
}
