//! Certificates that the gateway gets by itself, from Pebble, an authority for tests (RFC 8555): it looks at
//! names over the network, refuses some nonces and issues certificates that soon end.

mod authority;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::version::TLS13;
use tamis::config::Config;
use tamis::gateway::{Gateway, Running};

use super::super::TESTINA;
use super::super::backend::json;
use super::super::stage::{HOST, Stage, until};
use super::client::{Client, Connection, issued};
use super::openssl::connect;
use authority::{Pebble, Suggesting, Suggests, free_port, suggesting, throttling};

const RULES: &str = include_str!("../../../cases/gateway.rules.yaml");

/// Names that a certificate is asked for.
const NAMES: [&str; 2] = ["first.tamis.invalid", "second.tamis.invalid"];

/// Settings that ask the authority at this port.
fn settings(port: u16, challenge: &str) -> String {
    format!(
        "acme:\n  directory: 'https://127.0.0.1:{port}/dir'\n  ca: ca.pem\n  contact: ['mailto:ops@example.invalid']\n  \
         domains: [{}, {}]\n  storage: acme\n  challenge: {challenge}\n  terms_agreed: true\n  retry: 50ms\n",
        NAMES[0], NAMES[1]
    )
}

/// How often orders came to this.
fn orders(stage: &Stage, labels: &str) -> u64 {
    orders_in(&stage.metrics(), labels)
}

fn orders_in(metrics: &str, labels: &str) -> u64 {
    let name = format!("tamis_acme_orders_total{{{labels}}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
    count.map_or(0, |count| count.parse().expect("a number"))
}

const ISSUED: &str = "kind=\"none\",outcome=\"issued\"";

/// Who issued the certificate that is shown under this name; `None`: there is none.
async fn issuer(stage: &Stage, name: &str) -> Option<String> {
    let said = connect(stage.running.addresses.https, name, &[]).await;
    said.lines().find_map(|line| line.strip_prefix("issuer=")).map(str::to_owned)
}

async fn first_certificate(challenge: &str) {
    let port = free_port();
    let stage = Stage::embedded_with(RULES, &[], &settings(port, challenge)).await;
    stage.backend.says("/people/u1", json(TESTINA));
    // Nobody is there: it is tried again, and the rest goes on.
    until("it has been tried", || orders(&stage, "kind=\"call\",outcome=\"failed\"") >= 2).await;
    assert_eq!(issuer(&stage, NAMES[0]).await, None);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    let ready = stage.health("/readyz").await;
    assert!(ready.contains("certificate.pem is not used: there is none yet"), "{ready}");
    assert!(ready.contains("\"ready\":true"), "another certificate serves: {ready}");

    let _pebble = Pebble::start(&stage, port, &Pebble::usual(&stage)).await;
    until("it is issued", || orders(&stage, ISSUED) >= 1).await;
    for name in NAMES {
        until_shown(&stage, name).await;
    }
    assert!(stage.health("/readyz").await.contains("\"certificates\":\"ok\""));
    for file in fs::read_dir(stage.path("acme")).expect("made") {
        let file = file.expect("readable");
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
    }
    assert_eq!(fs::metadata(stage.path("acme")).expect("made").permissions().mode() & 0o777, 0o700);
}

async fn until_shown(stage: &Stage, name: &str) {
    let shown = tokio::time::timeout(Duration::from_secs(30), async {
        while !issuer(stage, name).await.is_some_and(|issuer| issuer.contains("Pebble")) {}
    });
    assert!(shown.await.is_ok(), "{name} has its certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_certificate_comes_by_the_plaintext_listener() {
    first_certificate("http-01").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_certificate_comes_by_a_handshake() {
    first_certificate("tls-alpn-01").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_any_certificate_waits_for_one_and_keeps_it_over_a_restart() {
    let port = free_port();
    let stage = Stage::embedded(RULES, &[]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let text = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let line = text.lines().find(|line| line.starts_with("certificates:")).expect("ours");
    // The authority takes only accounts that belong to one elsewhere.
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    fs::write(stage.path("eab.key"), format!("{key}\n")).expect("ours");
    let alone = text.replace(line, "")
        + &settings(port, "tls-alpn-01")
        + "  eab: {kid: kid-1, key: eab.key}\nledger: other-ledger\nregisters: other.sqlite\n";
    fs::write(stage.path("other.yaml"), alone).expect("ours");
    let config = || Config::load(&stage.path("other.yaml")).expect("a configuration of ours");
    let running = Gateway::start(config()).await.unwrap_or_else(|error| panic!("{error:?}"));
    let Some(metrics) = running.addresses.metrics else { panic!("it is on") };
    assert!(authority::get(metrics, "/readyz").await.contains("\"ready\":false"));
    let at = running.addresses.https;
    let client = Client::new(&stage, Some(&issued(&stage, "desk")), &[&TLS13]);
    assert!(connect(at, NAMES[0], &[]).await.contains("no peer certificate available"));

    let ports = (running.addresses.http.expect("on").port(), at.port());
    let mut config_of_pebble = Pebble::config(&stage, ports, 0);
    config_of_pebble["externalAccountBindingRequired"] = true.into();
    config_of_pebble["externalAccountMACKeys"] = serde_json::json!({"kid-1": key});
    let pebble = Pebble::start(&stage, port, &config_of_pebble).await;
    until("it is issued", || running.metrics().contains(&format!("{{{ISSUED}}} 1"))).await;
    until_in_force(&running).await;
    let client = client.trusting(&pebble.root(&stage).await).named(NAMES[1]);
    assert_eq!(client.to(at).ask("/people/u1").await, Some(200));
    running.stop().await;
    drop(pebble);

    // The authority is away, and nobody has to ask it.
    let before = fs::read(stage.path("acme/certificate.pem")).expect("kept");
    let running = Gateway::start(config()).await.unwrap_or_else(|error| panic!("{error:?}"));
    let at = running.addresses.https;
    assert!(connect(at, NAMES[1], &[]).await.contains("Pebble"));
    assert!(!running.metrics().contains("tamis_acme_orders_total{"), "nothing was ordered");
    assert_eq!(fs::read(stage.path("acme/certificate.pem")).expect("kept"), before);
    running.stop().await;

    // What others may use is no secret.
    fs::set_permissions(stage.path("acme/certificate.pem"), fs::Permissions::from_mode(0o644))
        .expect("ours");
    let refused = Gateway::start(config()).await.err().expect("it is refused");
    assert!(refused.to_string().contains("cannot hold a certificate"), "{refused}");
}

async fn until_in_force(running: &tamis::gateway::Running) {
    let is_there = || {
        running
            .metrics()
            .contains("tamis_reloads_total{outcome=\"activated\",what=\"certificates\"} 1")
    };
    until("it is in force", is_there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_without_a_connection_the_worse() {
    let port = free_port();
    let stage = Stage::embedded_with(RULES, &[], &settings(port, "http-01")).await;
    stage.backend.says("/people/u1", json(TESTINA));
    // Twenty-four seconds each: a new one after sixteen.
    let ports = Pebble::ports(&stage);
    let pebble = Pebble::start(&stage, port, &Pebble::config(&stage, ports, 24)).await;
    until("it is issued", || orders(&stage, ISSUED) >= 1).await;
    until_shown(&stage, NAMES[0]).await;
    let shown = issued(&stage, "desk");
    let client = Client::new(&stage, Some(&shown), &[&TLS13]);
    let client = client.trusting(&pebble.root(&stage).await).named(NAMES[0]);
    let open = Connection::over(client.connect().await.expect("in")).await.expect("HTTP");
    let mut open = open.named(NAMES[0]);
    let account = || {
        let mut files = fs::read_dir(stage.path("acme")).expect("made").filter_map(Result::ok);
        let account = files.find(|file| file.path().extension() == Some("json".as_ref()));
        fs::read(account.expect("kept").path()).expect("readable")
    };
    let (mine, mut answers) = (account(), 0);
    let renewed = tokio::time::timeout(Duration::from_mins(1), async {
        while orders(&stage, ISSUED) < 2 {
            assert_eq!(open.ask("/people/u1").await, Some(200), "a connection that is open");
            assert_eq!(client.ask("/people/u1").await, Some(200), "a new one");
            answers += 2;
        }
    });
    assert!(renewed.await.is_ok(), "renewed in time");
    assert!(answers > 10, "{answers}");
    assert_eq!(orders(&stage, "kind=\"none\",outcome=\"failed\""), 0);
    assert_eq!(account(), mine, "one account for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_authority_does_not_see_to_be_ours_leaves_in_force_what_is() {
    let port = free_port();
    let stage = Stage::embedded_with(RULES, &[], &settings(port, "http-01")).await;
    stage.backend.says("/people/u1", json(TESTINA));
    // The authority looks where somebody else answers.
    let (_, https) = Pebble::ports(&stage);
    let elsewhere = (stage.backend.address.port(), https);
    let pebble = Pebble::start(&stage, port, &Pebble::config(&stage, elsewhere, 0)).await;
    until("it has looked", || orders(&stage, "kind=\"not-ours\",outcome=\"failed\"") >= 1).await;
    assert_eq!(orders(&stage, ISSUED), 0);
    assert!(!stage.path("acme/certificate.pem").exists());
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    // What no order waits for is answered as anything else is: by a redirect for our own hosts.
    let asked = format!(
        "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    );
    let said = stage.plaintext(asked.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 308"), "{said}");
    drop(pebble);

    // An authority that has lost its accounts: another one is made, and all goes well.
    let _pebble = Pebble::start(&stage, port, &Pebble::usual(&stage)).await;
    until("it is issued", || orders(&stage, ISSUED) >= 1).await;
    until_shown(&stage, NAMES[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_handshake_nothing_is_shown_that_no_order_waits_for() {
    let port = free_port();
    for (challenge, agreed) in [("tls-alpn-01", "acme-tls/1"), ("http-01", "acme-tls/1")] {
        let stage = Stage::embedded_with(RULES, &[], &settings(port, challenge)).await;
        let at = stage.running.addresses.https;
        let said = connect(at, HOST, &["-alpn", agreed]).await;
        assert!(said.contains("no peer certificate available"), "{challenge}: {said}");
        // Whoever also speaks HTTP is no authority.
        let said = connect(at, HOST, &["-alpn", "acme-tls/1,http/1.1"]).await;
        assert!(said.contains("ALPN protocol: http/1.1"), "{challenge}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_wants_to_be_left_alone_is() {
    let stage = Stage::embedded(RULES, &[]).await;
    let asked = throttling(&stage, "7200").await;
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let own = settings
        + &self::settings(asked.port, "http-01")
        + "ledger: other\nregisters: other.sqlite\n";
    fs::write(stage.path("other.yaml"), own).expect("ours");
    let config = Config::load(&stage.path("other.yaml")).expect("a configuration of ours");
    let running = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"));
    let failed = "tamis_acme_orders_total{kind=\"call\",outcome=\"failed\"} 1";
    until("it has asked", || running.metrics().contains(failed)).await;
    let now = Timestamp::now().as_second();
    until("it says when", || next_order(&running.metrics()) > now + 7000).await;
    assert_eq!(asked.times(), 1);
    running.stop().await;
}

/// When a certificate is asked for next, in seconds since 1970.
fn next_order(metrics: &str) -> i64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tamis_acme_next_order_timestamp_seconds "));
    line.and_then(|second| second.parse().ok()).expect("a gauge")
}

/// A gateway whose authority says this of when to renew.
struct Suggested {
    running: Running,
    suggesting: Suggesting,
    _pebble: Pebble,
    _stage: Stage,
}

impl Suggested {
    async fn by(says: Vec<Suggests>) -> Self {
        let stage = Stage::embedded(RULES, &[]).await;
        let port = free_port();
        let suggesting = suggesting(&stage, port, says).await;
        let text = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
        let own = text
            + &settings(suggesting.port, "http-01")
            + "ledger: other\nregisters: other.sqlite\n";
        fs::write(stage.path("other.yaml"), own).expect("ours");
        let config = Config::load(&stage.path("other.yaml")).expect("a configuration of ours");
        let running = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"));
        let ports = (running.addresses.http.expect("on").port(), running.addresses.https.port());
        let pebble = Pebble::start(&stage, port, &Pebble::config(&stage, ports, 0)).await;
        Self { running, suggesting, _pebble: pebble, _stage: stage }
    }

    fn issued(&self) -> u64 {
        orders_in(&self.running.metrics(), ISSUED)
    }

    fn next(&self) -> i64 {
        next_order(&self.running.metrics())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_when_its_authority_suggests_it() {
    let now = Timestamp::now();
    let hours = |hours| now + SignedDuration::from_hours(hours);
    // As before a revocation of many; then far away, and long before its age says so.
    let later = (hours(24 * 100), hours(24 * 101));
    let says = vec![Suggests::Window(hours(-48), hours(-24)), Suggests::Window(later.0, later.1)];
    let gateway = Suggested::by(says).await;
    until("it is renewed at once", || gateway.issued() >= 2).await;
    let window = later.0.as_second()..=later.1.as_second();
    until("it waits for the window", || window.contains(&gateway.next())).await;
    assert_eq!(gateway.issued(), 2);
    let asked = gateway.suggesting.asked();
    assert_eq!(asked.len(), 2, "once for each certificate: {asked:?}");
    assert_ne!(asked[0], asked[1]);
    for of in asked {
        // The key of its authority, and its number.
        assert_eq!(of.split('.').filter(|part| !part.is_empty()).count(), 2, "{of}");
    }
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_suggestion_of_use_a_certificate_is_renewed_by_its_age() {
    let now = Timestamp::now();
    let century = now + SignedDuration::from_hours(24 * 365 * 100);
    for says in [Suggests::Broken, Suggests::Window(now, century), Suggests::Window(century, now)] {
        let gateway = Suggested::by(vec![says]).await;
        until("it is issued", || gateway.issued() >= 1).await;
        // Certificates of years: two thirds of one are more than a year away.
        let year = 24 * 3600 * 365;
        until("it says when", || gateway.next() > now.as_second() + year).await;
        assert_eq!((gateway.issued(), gateway.suggesting.asked().len()), (1, 1));
        gateway.running.stop().await;
    }
}

/// All files were read for a certificate that was renewed: half-written rules were refused by it, and rules
/// that somebody was about to look at took effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_and_no_other_file_is_read() {
    let port = free_port();
    let stage = Stage::embedded_with(RULES, &[], &settings(port, "http-01")).await;
    stage.edit("rules.yaml", "keep", "keeep");
    let _pebble = Pebble::start(&stage, port, &Pebble::usual(&stage)).await;
    until("it is issued", || orders(&stage, ISSUED) >= 1).await;
    until_in_force(&stage.running).await;
    until_shown(&stage, NAMES[0]).await;
    let reloads = |metrics: String| {
        let lines = metrics.lines().filter(|line| line.starts_with("tamis_reloads_total{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let one = "tamis_reloads_total{outcome=\"activated\",what=\"certificates\"} 1";
    assert_eq!(reloads(stage.metrics()), [one]);
    // The next look finds what changed besides, and only that.
    assert_eq!(stage.running.look_at_files().await, None);
    let found = stage.running.look_at_files().await.expect("rules have changed");
    assert_eq!((found.activated, found.refused.len()), (vec![], 1));
    stage.edit("rules.yaml", "keeep", "keep");
    assert_eq!(stage.running.look_at_files().await, None);
    let found = stage.running.look_at_files().await.expect("rules have changed");
    assert_eq!((found.activated, found.refused), (vec![], vec![]));
    assert_eq!(stage.running.look_at_files().await, None);
}
