//! Balancers that say where a connection comes from: only those that are listed, and all of those.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::json;
use super::http2::PATIENCE;
use super::stage::{HOST, Stage, until};
use super::{FOR_COURIER, TESTINA};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// A line of version 1.
const LINE: &[u8] = b"PROXY TCP4 203.0.113.77 192.0.2.1 12345 443\r\n";

/// Version 2, from 203.0.113.77, with a part that nobody knows.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x4d\xc0\0\x02\x01\x30\x39\x01\xbb\xee\0\x02??";

async fn balanced(listed: &str, limits: &str) -> Stage {
    let more = format!(
        "forwarding: {{address: full}}\n\
         listen: {{https: '127.0.0.1:0', http: '127.0.0.1:0', admin: off, metrics: '127.0.0.1:0', \
         proxy_protocol: {{https: [{listed}], http: [{listed}]}}}}\n"
    );
    let stage = Stage::limited_with(RULES, limits, &more).await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage
}

/// What a client gets whose connection begins with these bytes, sent in pieces of this size.
async fn asks(stage: &Stage, header: &[u8], piece: usize) -> Option<String> {
    let mut stream = TcpStream::connect(stage.running.addresses.https).await.expect("it listens");
    stream.set_nodelay(true).expect("ours");
    for piece in header.chunks(piece) {
        if stream.write_all(piece).await.is_err() {
            return None;
        }
        tokio::task::yield_now().await;
    }
    let stream = stage.handshake(stream, Some("courier"), HOST, Some(b"http/1.1")).await;
    let mut stream = stream.ok()?;
    let request = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await;
    Some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_a_listed_balancer_names_counts() {
    let stage = balanced("127.0.0.0/8", "concealed_after: 1ms").await;
    for (header, named) in [
        (LINE, "203.0.113.77"),
        (BINARY, "203.0.113.77"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
    ] {
        for piece in [1, 4096] {
            let said = asks(&stage, header, piece).await.expect("it is served");
            assert!(said.ends_with(&format!("{FOR_COURIER}\r\n0\r\n\r\n")), "{said}");
            let asked = stage.backend.asked().concat();
            assert!(asked.contains(&format!("x-forwarded-for: {named}\r\n")), "{asked}");
        }
    }
    // The redirect's listener reads one too.
    let mut plain = LINE.to_vec();
    plain.extend(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n").bytes());
    let said = stage.plaintext(&plain).await;
    assert!(said.starts_with("HTTP/1.1 308"), "{said}");
    let directory = stage.stopped().await;
    let log = fs::read_to_string(directory.path().join("access.log")).expect("written");
    // The network in the log is that of the client.
    assert_eq!(log.matches("203.0.113.0").count(), 4, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_on_an_address_is_one_of_the_client_s_and_not_of_the_balancer_s() {
    let stage = balanced("127.0.0.1", "connections_per_address: 1").await;
    let of = |host: u8| format!("PROXY TCP4 203.0.113.{host} 192.0.2.1 12345 443\r\n");
    let connect = async |host: u8| {
        let mut stream =
            TcpStream::connect(stage.running.addresses.https).await.expect("it listens");
        stream.write_all(of(host).as_bytes()).await.expect("taken");
        stage.handshake(stream, Some("courier"), HOST, None).await
    };
    let held = [connect(1).await, connect(2).await, connect(3).await];
    assert!(held.iter().all(Result::is_ok), "three clients of one balancer");
    assert!(connect(2).await.is_err(), "one of them has its connection already");
    let counted = "tamis_connections_refused_total{kind=\"address\"} 1";
    until(counted, || stage.metrics().contains(counted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_balancer_that_does_not_say_so_as_it_must_is_closed() {
    let stage = balanced("127.0.0.0/8", "head_timeout: 300ms").await;
    let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat();
    let large = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", &[0; 64][..]].concat();
    let cases: [(&[u8], &str); 6] = [
        // A handshake, where a header must stand.
        (b"", "proxy-missing"),
        (b"GET / HTTP/1.1\r\n\r\n", "proxy-missing"),
        (b"PROXY TCP4 CANARY 192.0.2.1 12345 443\r\n", "proxy-malformed"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xcb\0\x71\x4d\xc0\0\x02\x01\x30\x39\x01\xbb",
            "proxy-malformed",
        ),
        (&long, "proxy-too-long"),
        (&large, "proxy-too-long"),
    ];
    for (number, (header, kind)) in cases.into_iter().enumerate() {
        let ended = timeout(PATIENCE, asks(&stage, header, 4096)).await.expect("it is closed");
        assert_eq!(ended, None, "{number}: {kind}");
        let counted = format!("tamis_connections_refused_total{{kind=\"{kind}\"}}");
        until(&counted, || stage.metrics().contains(&counted)).await;
    }
    // Slow: half of one, and then nothing.
    let mut stream = TcpStream::connect(stage.running.addresses.https).await.expect("it listens");
    stream.write_all(&LINE[..20]).await.expect("taken");
    let mut said = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok() && said.is_empty());
    let metrics = stage.metrics();
    assert!(metrics.contains("kind=\"proxy-late\"} 1"), "{metrics}");
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    assert!(!metrics.contains("CANARY") && !metrics.contains("203.0.113"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_listed_says_nothing_about_addresses() {
    let stage = balanced("192.0.2.0/24, 'fd00::/8'", "concealed_after: 1ms").await;
    for header in [LINE, BINARY] {
        let ended = timeout(PATIENCE, asks(&stage, header, 4096)).await.expect("it is closed");
        assert_eq!(ended, None, "a header is no handshake");
        let said = stage.plaintext(header).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    }
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    let said = asks(&stage, b"", 1).await.expect("it is served without");
    assert!(said.ends_with(&format!("{FOR_COURIER}\r\n0\r\n\r\n")), "{said}");
    assert!(stage.backend.asked().concat().contains("x-forwarded-for: 127.0.0.1\r\n"));
}
