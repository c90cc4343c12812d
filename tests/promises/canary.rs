//! Canaries: values that occur nowhere else are put into every part of a request and into every
//! member of the backend's records, and then looked for in everything that the gateway lets out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Request;
use hyper_util::client::legacy::Client as PlainClient;
use hyper_util::rt::TokioExecutor;
use tamis::demo::{Answer, Backend, BackendKind, People, Show, Stage, StageListen};

/// What a request carries and nothing may repeat.
const ASKED: [&str; 7] = [
    "canary-path-5d1f",
    "canary-query-5d1f",
    "canary-header-5d1f",
    "canary-body-5d1f",
    "canary-cookie-5d1f",
    "canary-agent-5d1f",
    "canary-referrer-5d1f",
];

/// People whose every value is a canary of its own: `canary-‹member›-‹number›`.
fn planted() -> People {
    let mut people = People::from_seed(11, 40);
    for person in people.all_mut() {
        let canary = |member: &str| format!("canary-{member}-{}", person.number);
        let (email, phone) = (canary("email") + "@example.invalid", canary("phone"));
        let (given, family) = (canary("given"), canary("family"));
        let (nickname, street, city) = (canary("nickname"), canary("street"), canary("city"));
        let (card, account) = (canary("card"), canary("account"));
        let (ip, public_id) = (canary("ip"), canary("handle"));
        (person.email, person.phone, person.given_name, person.family_name) =
            (email, phone, given, family);
        (person.nickname, person.street, person.city) = (nickname, street, city);
        (person.card_number, person.bank_account) = (card, account);
        (person.ip, person.public_id) = (ip, public_id);
    }
    people
}

/// A gateway in a process of its own, so that everything it writes can be read.
struct Gateway {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    said: String,
    https: SocketAddr,
    metrics: SocketAddr,
}

impl Gateway {
    fn start(stage: &Stage, errors: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args(["run", "--config"])
            .arg(stage.config_file())
            .env("TAMIS_LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(errors).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (mut said, mut https) = (String::new(), None);
        loop {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).expect("readable");
            assert!(read > 0, "the gateway ended: {}", fs::read_to_string(errors).expect("read"));
            said.push_str(&line);
            let mut words = line.split_whitespace();
            let (name, address) = (words.next(), words.next().and_then(|word| word.parse().ok()));
            match name {
                Some("https") => https = address,
                // The last line that is printed.
                Some("metrics") => {
                    let https = https.expect("https comes first");
                    let metrics = address.expect("an address");
                    return Self { child, stdout, said, https, metrics };
                }
                _ => {}
            }
        }
    }

    /// Stops it as an operator would, and returns all that it printed.
    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.child.wait().expect("it ends").success(), "it drains and ends well");
        std::io::Read::read_to_string(&mut self.stdout, &mut self.said).expect("UTF-8");
        self.said
    }
}

/// A request with a canary in each of its parts.
fn loaded(path: &str, purpose: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::get(path)
        .header("tamis-purpose", purpose)
        .header("x-custom", "canary-header-5d1f")
        .header("cookie", "sid=canary-cookie-5d1f")
        .header("user-agent", "Mozilla/5.0 (canary-agent-5d1f) Firefox/142.0")
        .header("referer", "https://shop.example/u/canary-referrer-5d1f?q=canary-referrer-5d1f")
        .body(Full::from(body))
        .expect("a request")
}

/// All that a client sees of an answer.
fn seen(answer: &Answer) -> String {
    format!("{:?} {:?} {}", answer.status, answer.headers, answer.text())
}

async fn metrics(address: SocketAddr) -> String {
    let client = PlainClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url = format!("http://{address}/metrics").parse().expect("a URL");
    let answer = client.get(url).await.expect("metrics answer");
    let body = answer.into_body().collect().await.expect("whole").to_bytes();
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

fn all_files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        text += &String::from_utf8_lossy(&fs::read(entry.path()).expect("readable"));
    }
    text
}

#[tokio::test]
async fn nothing_personal_is_anywhere_but_in_what_was_granted() {
    let folder = tempfile::tempdir().expect("a folder");
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let backend = Backend::start(BackendKind::Marketplace, Arc::new(planted()), loopback)
        .await
        .expect("a backend");
    let url = format!("http://{}", backend.address());
    let dir = folder.path().join("demo");
    let listen = StageListen::around(loopback);
    let stage = Stage::prepare(Show::Letsmasak, &dir, &url, listen).expect("a stage");
    let errors = folder.path().join("stderr");
    let gateway = Gateway::start(&stage, &errors);

    // (recipient, purpose, path, body, canaries that are granted there)
    let granted_to_courier = ["given", "family", "street", "city", "phone"];
    let cases: [(&str, &str, &str, &str, &[&str]); 10] = [
        ("courier", "service.delivery", "/v2/users/u-1001", "", &granted_to_courier),
        ("courier", "service.delivery", "/v2/orders/o-1002", "", &granted_to_courier),
        ("loyalty-partner", "share.partner", "/v2/users/u-1001", "", &["email"]),
        ("loyalty-partner", "share.partner", "/v2/users?limit=30", "", &["email"]),
        ("loyalty-partner", "share.partner", "/v2/users/u-1002", "", &[]),
        ("ads-engine", "personalise.ads", "/v2/users/u-1001", "", &[]),
        ("ads-engine", "personalise.ads", "/v2/users/u-1001/activity", "", &[]),
        ("courier", "service.delivery", "/v2/users/canary-path-5d1f", "", &[]),
        ("courier", "service.delivery", "/v2/users/u-1001?q=canary-query-5d1f", "", &[]),
        ("courier", "service.delivery", "/v2/users/u-1001", "canary-body-5d1f", &[]),
    ];
    let mut released = 0;
    for (recipient, purpose, path, body, granted) in cases {
        let client = stage.client(recipient).expect("a client");
        let answer = client.send(gateway.https, loaded(path, purpose, body)).await;
        let shown = seen(&answer.expect("an answer"));
        for canary in ASKED {
            assert!(!shown.contains(canary), "{recipient} {path}: {canary} came back: {shown}");
        }
        for (at, _) in shown.match_indices("canary-") {
            let rest = &shown[at + "canary-".len()..];
            let member = rest.split('-').next().expect("a word");
            assert!(granted.contains(&member), "{recipient} {path} shows {member}: {shown}");
            released += 1;
        }
    }
    assert!(released >= 8, "the granted values did arrive: {released}");

    let metrics = metrics(gateway.metrics).await;
    assert!(metrics.contains("tamis_decisions_total"), "{metrics}");
    let stdout = gateway.stop();
    let places = [
        ("metrics", metrics),
        ("standard output", stdout),
        ("standard error", fs::read_to_string(&errors).expect("readable")),
        ("access log", fs::read_to_string(dir.join("access.log")).expect("readable")),
        ("ledger", all_files(&dir.join("ledger"))),
    ];
    for (place, text) in &places {
        assert!(!text.contains("canary"), "{place} holds a canary: {text}");
        // Ids of people are personal too.
        assert!(!text.contains("u-10") && !text.contains("o-10"), "{place} holds an id: {text}");
    }
    // The places were really looked into.
    assert!(places[3].1.lines().count() >= 8, "{}", places[3].1);
    assert!(places[4].1.contains("\"kind\":\"disclosure\""));
}
