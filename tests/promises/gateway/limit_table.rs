//! docs/OPERATIONS.md, "Limits", row by row: what it says happens beyond each limit is what happens at
//! the wire, each key of the configuration has a row, and each row the default that holds.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use tamis::config::{Config, ConfigError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::backend::{Reply, answer, json};
use super::http2::{
    END_HEADERS, END_STREAM, GO_AWAY, HEADERS, PATIENCE, PSEUDO, RESET, connected, fields, frame,
    next,
};
use super::stage::{Answer, HOST, Stage, changed, until};
use super::{TESTINA, budget, patience, tunnels};

const PAGE: &str = include_str!("../../../docs/OPERATIONS.md");
const RULES: &str = include_str!("../../cases/gateway.rules.yaml");
const WIRE: &str = include_str!("../../cases/wire.rules.yaml");

/// The only limit that stands in the rules.
const OF_THE_RULES: &str = "subjects_per_hour";

struct Row {
    key: String,
    /// `None`: there is none.
    default: Option<String>,
    /// What happens beyond the limit, in one word.
    beyond: String,
    counted: Vec<String>,
}

/// What stands between back-quotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let (_, rest) = PAGE.split_once("\n## Limits\n").expect("it has this heading");
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Row {
            key: quoted(cells[1]).concat(),
            default: quoted(cells[2]).pop(),
            beyond: quoted(cells[4]).swap_remove(0),
            counted: quoted(cells[5]),
        }
    };
    table.take_while(|line| line.starts_with('|')).map(row).collect()
}

/// A configuration with these limits, or what is said against it.
fn configured(limits: &str) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("tamis.yaml");
    let text = format!(
        "rules: rules.yaml\ncertificates: [{{chain: a, key: b}}]\nkey_ring: keys\n\
         upstreams: {{people: {{url: 'http://127.0.0.1:9000'}}}}\n{limits}"
    );
    std::fs::write(&file, text).expect("writable");
    Config::load(&file).map_err(|error| match error {
        ConfigError::Rejected(found) => found.to_string(),
        ConfigError::Unreadable(..) => panic!("{error}"),
    })
}

#[test]
fn each_key_has_a_row_and_each_row_the_default_that_holds() {
    let said = configured("limits: {misspelt-beyond-any-guess: 1}\n").expect_err("no such key");
    let (_, known) = said.split_once("known here: ").expect("it says which there are");
    let known: BTreeSet<String> = known
        .lines()
        .next()
        .unwrap_or_default()
        .split(", ")
        .map(|key| key.trim().to_owned())
        .collect();
    let rows = rows();
    let told: BTreeSet<String> =
        rows.iter().map(|row| row.key.clone()).filter(|key| key != OF_THE_RULES).collect();
    assert_eq!(told, known, "the rows of the table and the keys of `limits`");
    assert_eq!(told.len() + 1, rows.len(), "each once");
    let defaults = format!("{:?}", configured("").expect("it loads").limits);
    for Row { key, default, .. } in rows {
        let Some(default) = default else { continue };
        let written = configured(&format!("limits: {{{key}: {default}}}\n"));
        let written = written.unwrap_or_else(|said| panic!("{key}: {said}"));
        assert_eq!(format!("{:?}", written.limits), defaults, "{key}: {default}");
        let other =
            configured(&format!("limits: {{{key}: {}}}\n", default.replace(['1', '2'], "3")));
        let is_other = other.map(|other| format!("{:?}", other.limits) != defaults);
        // Where a limit cannot be raised beyond its default, nor can another number be read for it.
        assert!(is_other.unwrap_or(true) || !default.contains(['1', '2']), "{key} changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_each_limit_happens_what_the_table_says() {
    for Row { key, beyond, counted, .. } in rows() {
        let (happened, metrics) = go_beyond(&key).await;
        assert_eq!(happened, beyond, "{key}");
        for metric in counted {
            let is_counted = |line: &str| line.contains(&metric) && !line.ends_with(" 0");
            let lines = metrics.lines().filter(|line| !line.starts_with('#'));
            assert!(lines.into_iter().any(is_counted), "{key}: no {metric} in {metrics}");
        }
    }
}

fn list(people: usize) -> Reply {
    let person = |n: usize| format!(r#"{{"id":"u{n}","name":"Testina {n}"}}"#);
    let people: Vec<String> = (0..people).map(person).collect();
    json(&format!(r#"{{"people":[{}]}}"#, people.join(",")))
}

/// What one request for this answer comes to under this limit.
async fn answered(limit: &str, path: &str, reply: Reply) -> (String, String) {
    let stage = Stage::limited(RULES, &format!("concealed_after: 1ms, {limit}")).await;
    stage.backend.says(path, reply);
    let answer = stage.ask("courier", path).await;
    (answer.status.as_str().to_owned(), stage.metrics())
}

/// Many requests in one go, and what is said to the last of them that is not answered with 200.
async fn hasty(limit: &str) -> (String, String) {
    let stage = Stage::limited(RULES, limit).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let one = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n");
    let all = format!("{}{one}Connection: close\r\n\r\n", format!("{one}\r\n").repeat(7));
    let said = stage.raw("courier", all.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "the first is answered: {said}");
    let refused = said.split("HTTP/1.1 ").skip(1).find(|said| !said.starts_with("200"));
    let refused = refused.unwrap_or_default().to_ascii_lowercase();
    assert!(refused.contains("retry-after: 1\r\n") && !refused.contains("testina"), "{refused}");
    assert!(!stage.ledger().contains("recipient-rate"), "haste does not fill the ledger");
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200, "nobody else is hasty");
    (refused[..3].to_owned(), stage.metrics())
}

/// A connection more than there may be.
async fn crowded(limit: &str) -> (String, String) {
    let stage = Stage::limited(RULES, limit).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(stage.connect(Some("courier"), HOST, None).await.expect("there is room"));
    }
    let one_more = stage.connect(Some("courier"), HOST, None).await;
    let happened = if one_more.is_err() { "closed" } else { "taken" };
    let metrics = stage.metrics();
    drop(held);
    let again = timeout(PATIENCE, async {
        while stage.connect(Some("courier"), HOST, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok(), "there is room again");
    (happened.to_owned(), metrics)
}

/// Asks while another request waits for the backend.
async fn busy() -> (String, String) {
    let stage = Stage::limited(RULES, "requests: 1").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = json(TESTINA) else { unreachable!() };
    stage.backend.says("/people/u1", Reply::InTwo(Vec::new(), Arc::clone(&go), whole));
    let refused: Answer = tokio::select! {
        answer = stage.ask("courier", "/people/u1") => panic!("the backend waits: {}", answer.status),
        answer = async {
            until("the backend is asked", || !stage.backend.asked().is_empty()).await;
            stage.ask("courier", "/people/u1").await
        } => answer,
    };
    assert_eq!(refused.headers["retry-after"], "5");
    (refused.status.as_str().to_owned(), stage.metrics())
}

/// Asks while another request of the same recipient waits for the backend.
async fn busy_with_one() -> (String, String) {
    let stage = Stage::limited(RULES, "recipient_requests: 1").await;
    stage.backend.says("/people/u1", Reply::Stall(Vec::new()));
    stage.backend.says("/people/u2", json(TESTINA));
    let (refused, other): (Answer, Answer) = tokio::select! {
        answer = stage.ask("courier", "/people/u1") => panic!("the backend waits: {}", answer.status),
        answers = async {
            until("the backend is asked", || !stage.backend.asked().is_empty()).await;
            (stage.ask("courier", "/people/u2").await, stage.ask("desk", "/people/u2").await)
        } => answers,
    };
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(!stage.ledger().contains("recipient-rate"), "it does not fill the ledger");
    assert_eq!(other.status, 200, "others have turns of their own");
    let again = async { while stage.ask("courier", "/people/u2").await.status != 200 {} };
    assert!(timeout(PATIENCE, again).await.is_ok(), "whoever left holds nothing");
    (refused.status.as_str().to_owned(), stage.metrics())
}

/// A stream more than there may be.
async fn streams() -> (String, String) {
    let stage = Stage::limited(RULES, "streams: 2").await;
    stage.backend.says("/people/u1", Reply::Stall(Vec::new()));
    let mut stream = connected(&stage).await;
    let plain = fields(&PSEUDO);
    for id in [1, 3, 5] {
        let asks = frame(HEADERS, END_STREAM | END_HEADERS, id, &plain);
        stream.write_all(&asks).await.expect("taken");
    }
    let happened = timeout(PATIENCE, async {
        loop {
            match next(&mut stream).await {
                // REFUSED_STREAM. Source: RFC 9113 §7.
                Some((RESET, 5, code)) if code == 7_u32.to_be_bytes() => break "refused stream",
                Some((RESET | GO_AWAY, ..)) | None => break "ended",
                Some(_) => {}
            }
        }
    });
    (happened.await.expect("it does not hang").to_owned(), stage.metrics())
}

/// More of a head than is read, over HTTP/1.1 and HTTP/2.
async fn large_head(limit: &str, more: &[(&str, &str)]) -> (String, String) {
    let stage = Stage::limited(RULES, limit).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let lines: Vec<String> =
        more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let lines = lines.concat();
    let head = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n");
    let said = stage.raw("courier", head.as_bytes()).await;
    let mut stream = connected(&stage).await;
    let block = fields(&[&PSEUDO[..], more].concat());
    let asks = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    stream.write_all(&asks).await.expect("taken");
    let is_refused = timeout(PATIENCE, async {
        loop {
            match next(&mut stream).await {
                Some((HEADERS, 1, block)) => break block.first() != Some(&0x88),
                Some((RESET | GO_AWAY, ..)) | None => break true,
                Some(_) => {}
            }
        }
    });
    assert!(is_refused.await.expect("it does not hang"), "{limit}: over HTTP/2 it is answered");
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{limit}");
    (said.split(' ').nth(1).unwrap_or_default().to_owned(), stage.metrics())
}

async fn long_target() -> (String, String) {
    let stage = Stage::limited(RULES, "target: 100B").await;
    let target = format!("/people/u1?lang={}", "a".repeat(100));
    let answer = stage.ask("courier", &target).await;
    assert_eq!(stage.ask_http2("courier", &target).await.status, answer.status);
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    (answer.status.as_str().to_owned(), stage.metrics())
}

/// A handshake that is not made, and a head that does not get whole.
async fn slow_head() -> (String, String) {
    let stage = Stage::limited(RULES, "head_timeout: 200ms").await;
    let mut silent =
        tokio::net::TcpStream::connect(stage.running.addresses.https).await.expect("on");
    let mut slow = stage.connect(Some("courier"), HOST, None).await.expect("a handshake");
    slow.write_all(b"GET /people/u1 HTTP/1.1\r\nHost: a").await.expect("taken");
    let (mut of_silent, mut of_slow) = (Vec::new(), Vec::new());
    let ended = timeout(PATIENCE, async {
        let _ = silent.read_to_end(&mut of_silent).await;
        let _ = slow.read_to_end(&mut of_slow).await;
    });
    let happened = if ended.await.is_ok() { "closed" } else { "kept" };
    assert_eq!((of_silent, of_slow), (Vec::new(), Vec::new()));
    (happened.to_owned(), stage.metrics())
}

async fn slow_body() -> (String, String) {
    let stage = Stage::limited(WIRE, "idle_timeout: 200ms").await;
    let head = format!(
        "POST /accounts HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n\
         Content-Length: 50\r\n\r\n{{\"nick\":"
    );
    let said = stage.raw("desk", head.as_bytes()).await;
    assert!(said.to_ascii_lowercase().contains("connection: close\r\n"), "{said}");
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    let mut metrics = stage.metrics();
    metrics.push_str(&patience::slow_reader().await);
    metrics.push_str(&patience::nothing_asked().await);
    (said.split(' ').nth(1).unwrap_or_default().to_owned(), metrics)
}

async fn large_body() -> (String, String) {
    let stage = Stage::limited(WIRE, "request_body: 100B").await;
    let body = format!(r#"{{"age_confirmed":true,"nick":"{}"}}"#, "x".repeat(100));
    let answer = stage.post("desk", "/accounts", &body).await;
    assert_eq!(stage.backend.asked(), Vec::<String>::new());
    (answer.status.as_str().to_owned(), stage.metrics())
}

async fn bomb() -> (String, String) {
    let body = format!(r#"{{"id":"u1","name":"{}"}}"#, "a".repeat(100_000));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).expect("into memory");
    let small = encoder.finish().expect("into memory");
    let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    answered("decompression_ratio: 10", "/people/u1", answer(headers, &small)).await
}

async fn long_value() -> (String, String) {
    let masked = changed(
        RULES,
        &[(
            "{to: [courier], for: [service.parcel], show: {account.id: keep, identity.name: keep}}",
            "{to: [courier], for: [service.parcel], show: {account.id: keep, identity.name: mask last 1}}",
        )],
    );
    let stage = Stage::limited(&masked, "scalar: 8B").await;
    stage.backend.says("/people/u1", json(TESTINA));
    let answer = stage.ask("courier", "/people/u1").await;
    let body: serde_json::Value =
        serde_json::from_str(&answer.body.unwrap_or_default()).expect("JSON");
    let name = body["name"].as_str().unwrap_or("no text");
    let happened = if name.is_empty() { "blanked" } else { name };
    (happened.to_owned(), stage.metrics())
}

/// Of a person who has not consented, and of one where no consent is needed.
async fn concealed() -> (String, String) {
    let stage = Stage::limited(RULES, "concealed_after: 24h").await;
    stage.backend.says("/people/u1", json(TESTINA));
    let happened = tokio::select! {
        _ = stage.ask("partner", "/people/u1") => "at once",
        answer = stage.ask("courier", "/people/u1") => {
            assert_eq!(answer.status, 200);
            "later"
        }
    };
    (happened.to_owned(), stage.metrics())
}

async fn drained() -> (String, String) {
    let stage = Stage::limited(RULES, "drain_timeout: 200ms").await;
    stage.backend.says("/people/u1", Reply::Stall(Vec::new()));
    let mut stream =
        stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let asks = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(asks.as_bytes()).await.expect("taken");
    until("the backend is asked", || !stage.backend.asked().is_empty()).await;
    let metrics = stage.metrics();
    let happened = if stage.running.stop().await == 1 { "cut off" } else { "finished" };
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert_eq!(said, Vec::<u8>::new());
    (happened.to_owned(), metrics)
}

async fn told_of_two() -> (String, String) {
    let rules = budget::of(2);
    let stage = Stage::limited(&rules, "concealed_after: 1ms").await;
    let mut last = None;
    for person in ["u1", "u2", "u3"] {
        let path = format!("/people/{person}");
        stage.backend.says(&path, json(&format!(r#"{{"id":"{person}"}}"#)));
        last = Some(stage.ask("courier", &path).await.status);
    }
    (last.expect("three were asked about").as_str().to_owned(), stage.metrics())
}

/// Goes beyond a limit. Gives what happened, in the table's word, and what is counted then.
async fn go_beyond(key: &str) -> (String, String) {
    match key {
        "connections" => crowded("connections: 2").await,
        "connections_per_address" => crowded("connections_per_address: 2").await,
        "streams" => streams().await,
        "requests" => busy().await,
        "recipient_requests" => busy_with_one().await,
        "recipient_rate" => hasty("recipient_rate: 1, recipient_burst: 2").await,
        "recipient_burst" => hasty("recipient_burst: 1, recipient_rate: 1").await,
        OF_THE_RULES => told_of_two().await,
        "target" => long_target().await,
        "headers" => large_head("headers: 10", &[("x", "y"); 11]).await,
        "head" => {
            let long = "a".repeat(120);
            large_head("head: 8KiB, headers: 1000", &vec![("x", long.as_str()); 70]).await
        }
        "head_timeout" => slow_head().await,
        "idle_timeout" => slow_body().await,
        "request_body" => large_body().await,
        "response_body" => answered("response_body: 10KiB", "/people", list(1000)).await,
        "decompression_ratio" => bomb().await,
        "json_depth" => {
            let deep = json(r#"{"a":[[[[1]]]],"id":"u1"}"#);
            answered("json_depth: 4", "/people/u1", deep).await
        }
        "members" => answered("members: 20", "/people", list(20)).await,
        "member_name" => {
            let named = json(r#"{"a-name-of-23-characters":1,"id":"u1"}"#);
            answered("member_name: 20B", "/people/u1", named).await
        }
        "element" => {
            let person = format!(r#"{{"people":[{{"id":"u1","name":"{}"}}]}}"#, "a".repeat(200));
            answered("element: 100B", "/people", json(&person)).await
        }
        "scalar" => long_value().await,
        "concealed_after" => concealed().await,
        "drain_timeout" => drained().await,
        "tunnel_idle" => tunnels::beyond("tunnel_idle: 100ms", "idle").await,
        "tunnel_time" => tunnels::beyond("tunnel_time: 100ms", "late").await,
        "tunnel_check" => tunnels::judged_again().await,
        "answer_time" => patience::steadily_slow().await,
        other => panic!("nothing goes beyond `{other}`: write what does"),
    }
}
