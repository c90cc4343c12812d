//! Can time tell "refused" from "no such person"? Asks a gateway over TLS about people who are refused
//! for one reason or another and about nobody, in random order, and compares how long each takes.
//!
//! `cargo run --release --example refusals` prints a table for backends of three kinds. *Distance* is
//! the largest difference between two cumulative distributions (Kolmogorov and Smirnov): 0 where they
//! are one, 1 where a single answer tells them apart. *Noise* is the distance that 95 of 100 random
//! divisions of the same times stay below: what is under it tells nothing.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tamis::policy::Policy;

#[path = "../../tests/promises/gateway/stage.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod stage;
#[path = "../../tests/promises/gateway/stores.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod stores;

use stage::{HOST, Stage};

const RULES: &str = include_str!("../../tests/cases/gateway.rules.yaml");

/// Requests for each kind.
const TIMES: usize = 1_000;
/// Connections at once.
const CONNECTIONS: usize = 8;

/// What is asked, and why nothing comes of it. The first is what all others are compared with.
const KINDS: [(&str, &str); 6] = [
    ("no such person", "/people/u9"),
    ("no consent", "/people/u1"),
    ("restricted", "/people/u2"),
    ("erased", "/people/u3"),
    ("no such order", "/orders/o9"),
    ("erased, named in an order", "/orders/o3"),
];

/// A backend that takes its time: it sleeps before each answer.
mod backend {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    pub(super) struct Backend {
        pub(super) address: SocketAddr,
    }

    impl Backend {
        pub(super) async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            let address = listener.local_addr().expect("bound");
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(talk(stream));
                }
            });
            Self { address }
        }
    }

    async fn talk(mut stream: TcpStream) {
        let mut read = Vec::new();
        loop {
            while !read.ends_with(b"\r\n\r\n") {
                if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                    return;
                }
            }
            let head = String::from_utf8_lossy(&read).into_owned();
            read.clear();
            tokio::time::sleep(super::delay()).await;
            let path = head.split(' ').nth(1).unwrap_or_default();
            let number = path.rsplit(['u', 'o', '/']).next().unwrap_or_default();
            let body = if path.starts_with("/orders") {
                format!(r#"{{"order":"o{number}","buyer":{{"id":"u{number}","name":"N"}}}}"#)
            } else {
                format!(r#"{{"id":"u{number}","name":"N","email":"n@example.invalid"}}"#)
            };
            let answer = if number == "9" {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    impl Drop for Backend {
        fn drop(&mut self) {}
    }
}

/// Least and most that the backend sleeps, in microseconds.
static LEAST: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);
static DRAWS: AtomicU64 = AtomicU64::new(1);

/// A number that looks drawn by lot; the same in each run.
fn draw(below: u64) -> u64 {
    let mut at = DRAWS.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    at = (at ^ (at >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    at = (at ^ (at >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (at ^ (at >> 31)) % below.max(1)
}

fn delay() -> Duration {
    let (least, most) = (LEAST.load(Ordering::Relaxed), MOST.load(Ordering::Relaxed));
    Duration::from_micros(least + draw(most - least))
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for (name, least, most) in [
        ("a backend that answers at once", 0, 0),
        ("a backend that takes 20 to 60 ms", 20_000, 60_000),
        ("a backend that takes 80 to 120 ms", 80_000, 120_000),
    ] {
        LEAST.store(least, Ordering::Relaxed);
        MOST.store(most, Ordering::Relaxed);
        let times = runtime.block_on(measured());
        report(name, &times)?;
    }
    Ok(())
}

/// Times of each kind, in microseconds, sorted.
async fn measured() -> Vec<Vec<u64>> {
    let stage = Arc::new(Stage::with(RULES, "50ms").await);
    let policy = Policy::parse("gateway.rules.yaml", RULES).expect("rules of ours");
    let digest = policy.purposes["share.partner"].text_digest;
    for id in ["u2", "u3", "u9"] {
        stage.record(&format!(
            r#"{{"id":"con_{id}","subject":"{id}","purpose":"share.partner","recipients":["partner"],
                "purpose_text_digest":"{digest}","status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    stage.record(
        r#"{"kind":"restriction","subject":"u2","categories":["*"],
            "ground":"accuracy-contested","since":"2026-01-02T00:00:00Z","until":null}"#,
    );
    stage.record(
        r#"{"kind":"erasure","subject":"u3","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2026-01-02T00:00:00Z","except":[]}"#,
    );
    let mut workers = Vec::new();
    for _ in 0..CONNECTIONS {
        let stage = Arc::clone(&stage);
        workers.push(tokio::spawn(async move { asked(&stage, TIMES / CONNECTIONS).await }));
    }
    let mut times = vec![Vec::new(); KINDS.len()];
    for worker in workers {
        for (kind, took) in worker.await.expect("no panic") {
            times[kind].push(took);
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    times
}

/// Asks on one connection, each kind so many times, in random order.
async fn asked(stage: &Stage, times: usize) -> Vec<(usize, u64)> {
    let stream =
        stage.connect(Some("partner"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let mut order: Vec<usize> = (0..KINDS.len() * times).map(|at| at % KINDS.len()).collect();
    for at in (1..order.len()).rev() {
        let other = usize::try_from(draw(at as u64 + 1)).expect("small");
        order.swap(at, other);
    }
    let mut found = Vec::new();
    for (at, kind) in order.into_iter().enumerate() {
        let request = Request::get(KINDS[kind].1).header("host", HOST).body(Empty::<Bytes>::new());
        sender.ready().await.expect("the connection stays");
        let began = Instant::now();
        let answer = sender.send_request(request.expect("a target")).await.expect("an answer");
        assert_eq!(answer.status(), 404, "{}", KINDS[kind].0);
        answer.into_body().collect().await.expect("whole");
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // The first ones open connections to the backend.
        if at >= 2 * KINDS.len() {
            found.push((kind, took));
        }
    }
    found
}

fn report(name: &str, times: &[Vec<u64>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{name}; milliseconds\n")?;
    writeln!(out, "| answer | p1 | p10 | p50 | p90 | p99 | distance | noise |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for (kind, own) in times.iter().enumerate() {
        // Each with "no such thing" of its own route.
        let reference = if kind < 4 { 0 } else { 4 };
        write!(out, "| {} |", KINDS[kind].0)?;
        for percent in [1, 10, 50, 90, 99] {
            let at = (own.len() * percent / 100).min(own.len() - 1);
            #[allow(clippy::cast_precision_loss, reason = "microseconds of a second at most")]
            let ms = own[at] as f64 / 1000.0;
            write!(out, " {ms:.1} |")?;
        }
        if kind == reference {
            writeln!(out, " | |")?;
        } else {
            let (apart, noise) = (distance(own, &times[reference]), noise(own, &times[reference]));
            writeln!(out, " {apart:.3} | {noise:.3} |")?;
        }
    }
    Ok(())
}

/// The largest difference of two cumulative distributions; both sorted.
#[allow(clippy::cast_precision_loss, reason = "counts of a few thousand")]
fn distance(one: &[u64], two: &[u64]) -> f64 {
    let share = |times: &[u64], at: u64| {
        times.partition_point(|took| *took <= at) as f64 / times.len() as f64
    };
    let apart = |at: &u64| (share(one, *at) - share(two, *at)).abs();
    one.iter().chain(two).map(apart).fold(0.0, f64::max)
}

/// The distance that 95 of 100 random divisions of all these times stay below.
fn noise(one: &[u64], two: &[u64]) -> f64 {
    let mut all: Vec<u64> = one.iter().chain(two).copied().collect();
    let mut found: Vec<f64> = (0..200)
        .map(|_| {
            for at in (1..all.len()).rev() {
                all.swap(at, usize::try_from(draw(at as u64 + 1)).expect("small"));
            }
            let (mut left, mut right) = (all[..one.len()].to_vec(), all[one.len()..].to_vec());
            left.sort_unstable();
            right.sort_unstable();
            distance(&left, &right)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    found[found.len() * 95 / 100]
}
