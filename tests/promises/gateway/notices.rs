//! Recipients are told of erasures: by the name under which they know the person, signed, once the ledger
//! holds it; again until they take it; and by one gateway of several.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json as value};
use tamis::gateway::StartError;
use tamis::identity::development::Authority;
use tamis::keys::WebhookSecret;
use tamis::registers::{NOTICE_ATTEMPTS, RecordError, Recorded, RegisterPlace};
use tempfile::tempdir;
use tokio::net::TcpListener;

use super::backend::{Backend, answer, json};
use super::stage::{Stage, changed};
use crate::postgres::server::{Database, shared};

const RULES: &str = include_str!("../../cases/rights.rules.yaml");

/// What all receivers of these tests share.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Settings by which two recipients are reached.
const WEBHOOKS: &str = "webhooks: {desk: {secret: hook.secret, ca: hook.pem}, \
                        printer: {secret: hook.secret, ca: hook.pem}}\n";

const PAYMENTS: &str = r#"{"payments":[
    {"payer":"CANARY-1","amount":12,"payee":{"id":"CANARY-2","name":"Max Beispiel"}}]}"#;

/// One call.
struct Call {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    fn said(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Where notices go: keeps what it was called with.
struct Receiver {
    address: SocketAddr,
    authority: Authority,
    calls: Arc<Mutex<Vec<Call>>>,
    /// What it answers next; when there is nothing, 204.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

impl Receiver {
    async fn start() -> Self {
        let authority = Authority::generate(Timestamp::now()).expect("an authority");
        let issued = authority.issue_server(&["localhost"], Timestamp::now()).expect("names");
        let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("a pair of ours");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (heard, says) = (Arc::clone(&calls), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let (heard, says) = (Arc::clone(&heard), Arc::clone(&says));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (heard, says) = (Arc::clone(&heard), Arc::clone(&says));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.expect("whole").to_bytes().to_vec();
                        let path = parts.uri.path().to_owned();
                        heard.lock().expect("ours").push(Call {
                            path,
                            headers: parts.headers,
                            body,
                        });
                        let status = says.lock().expect("ours").pop_front();
                        let mut answer = Response::new(Empty::<Bytes>::new());
                        *answer.status_mut() = status.unwrap_or(StatusCode::NO_CONTENT);
                        let elsewhere = "https://localhost/elsewhere";
                        answer.headers_mut().insert("location", elsewhere.parse().expect("text"));
                        Ok::<_, std::convert::Infallible>(answer)
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let served = http.serve_connection(TokioIo::new(stream), service).await;
                drop(served);
            }
        });
        Self { address, authority, calls, answers }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    fn rules(&self) -> String {
        let (desk, printer) = (self.url("/desk"), self.url("/printer"));
        let webhook = format!(
            "erasure:     {{from: api, webhook: {{\
               desk: {{url: \"{desk}\", show: {{account.id: keep}}}}, \
               printer: {{url: \"{printer}\", show: {{account.id: token}}}}}}}}"
        );
        changed(RULES, &[("erasure:     {from: api}", &webhook)])
    }

    fn count(&self) -> usize {
        self.calls.lock().expect("ours").len()
    }

    fn take(&self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut *self.calls.lock().expect("ours"));
        calls.sort_by(|one, other| one.path.cmp(&other.path));
        calls
    }

    fn answers(&self, statuses: &[StatusCode]) {
        self.answers.lock().expect("ours").extend(statuses);
    }

    async fn stage(&self, more: &str) -> Stage {
        let settings = format!("{WEBHOOKS}{more}");
        let files = [("hook.secret", SECRET), ("hook.pem", self.authority.certificate())];
        let stage = Stage::embedded_with(&self.rules(), &files, &settings).await;
        stage.backend.says("/payments", json(PAYMENTS));
        stage
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// Says of every notice that its next attempt is due, as when its pause is over.
fn sql(stage: &Stage, statements: &str) {
    let connection = rusqlite::Connection::open(stage.path("registers.sqlite")).expect("opens");
    connection.busy_timeout(Duration::from_secs(10)).expect("set");
    connection.execute_batch(statements).expect("ours");
}

const DUE: &str = "UPDATE erasure_notices SET next_at = '2000-01-01T00:00:00.000Z'";

fn entries(of: &Stage, state: &str) -> Vec<Value> {
    let ledger = of.ledger();
    // The last line may be half written.
    let lines = ledger.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.filter(|one| one["kind"] == "erasure-notice" && one["state"] == state).collect()
}

fn report(stage: &Stage, arguments: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"))
        .arg("report")
        .args(arguments)
        .arg("--config")
        .arg(stage.path("tamis.yaml"))
        .output()
        .expect("the binary is built for the tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_told_to_each_listed_recipient_by_the_name_it_knows() {
    let receiver = Receiver::start().await;
    let stage = receiver.stage("").await;
    let payments = stage.ask("printer", "/payments").await.body.expect("whole");
    let payments: Value = serde_json::from_str(&payments).expect("JSON");
    let token = payments["payments"][0]["payer"].as_str().expect("shown").to_owned();
    assert!(token.starts_with("tk1_"));
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    eventually("both are told", || entries(&stage, "delivered").len() == 2).await;

    let calls = receiver.take();
    let told: Vec<(&str, Value)> = calls
        .iter()
        .map(|call| (call.path.as_str(), call.said()["data"]["subject"].clone()))
        .collect();
    let known_as = |id: &str| value!({"category": "account.id", "ids": [id]});
    assert_eq!(told, [("/desk", known_as("CANARY-1")), ("/printer", known_as(&token))]);
    for call in &calls {
        let said = call.said();
        assert_eq!(said["type"], "erasure");
        assert_eq!(said["data"]["policy"], "rights");
        assert_eq!(said["data"]["may_be_kept_for"], value!([]));
        let at: Timestamp =
            said["data"]["effective_at"].as_str().expect("text").parse().expect("one");
        assert!(at <= Timestamp::now());
        assert_eq!(call.header("content-type"), "application/json");
    }
    let printer = String::from_utf8_lossy(&calls[1].body).into_owned();
    assert!(!printer.contains("CANARY"), "the printer never knew that id: {printer}");
    assert_ne!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));

    let ledger = stage.ledger();
    assert!(!ledger.contains("CANARY") && !ledger.contains(&token), "no name is in the ledger");
    for state in ["sending", "delivered"] {
        let mut to: Vec<Value> =
            entries(&stage, state).into_iter().map(|one| one["recipient"].clone()).collect();
        to.sort_by_key(ToString::to_string);
        assert_eq!(to, ["desk", "printer"], "{state}");
    }
    let sending = entries(&stage, "sending");
    let of = |recipient| {
        let mut all = sending.iter();
        all.find(|one| one["recipient"] == recipient).map(|one| one["released"].clone())
    };
    assert_eq!(of("desk"), Some(value!({"account.id": "keep"})));
    assert_eq!(of("printer"), Some(value!({"account.id": "token"})));
    for recipient in ["desk", "printer"] {
        let counted = format!(
            "tamis_erasure_notices_total{{outcome=\"delivered\",recipient=\"{recipient}\"}} 1"
        );
        eventually("it is counted", || stage.metrics().contains(&counted)).await;
    }
    let overdue = report(&stage, &["overdue"]);
    assert_eq!(overdue["erasure_notices_not_delivered"], value!([]));
    let notify = report(&stage, &["notify", "--person", "CANARY-1"]);
    let told = notify["told_by_the_gateway"].as_array().expect("a table");
    let states: Vec<&Value> = told.iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["delivered", "delivered"]);
    tamis::ledger::verify(&stage.path("ledger"), None).expect("the chain holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_can_tell_who_called_and_that_it_was_told_before() {
    let receiver = Receiver::start().await;
    let stage = receiver.stage("").await;
    receiver.answers(&[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND]);
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    eventually("both were tried", || receiver.count() == 2).await;
    let failed = "tamis_erasure_notices_total{outcome=\"failed\",recipient=\"desk\"} 1";
    eventually("a redirect is no delivery", || stage.metrics().contains(failed)).await;
    let waiting = "tamis_erasure_notices_undelivered{state=\"waiting\"} 2";
    eventually("both wait", || stage.metrics().contains(waiting)).await;
    assert!(entries(&stage, "delivered").is_empty());
    let overdue = report(&stage, &["overdue"]);
    let rows = overdue["erasure_notices_not_delivered"].as_array().expect("a table").clone();
    assert_eq!(rows.len(), 2, "{overdue}");
    assert!(rows.iter().all(|row| row["state"] == "waiting" && row["attempts"] == 1), "{rows:?}");
    assert!(!overdue.to_string().contains("CANARY"));
    let first = receiver.take();

    sql(&stage, DUE);
    eventually("both are told", || entries(&stage, "delivered").len() == 2).await;
    let second = receiver.take();
    assert_eq!(second.len(), 2, "nobody is told again");
    let secret = WebhookSecret::open(&stage.path("hook.secret")).expect("a secret");
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"), "one notice");
        for call in [first, second] {
            let second = call.header("webhook-timestamp").parse().expect("a number");
            let signed = secret.sign(call.header("webhook-id"), second, &call.body);
            assert_eq!(call.header("webhook-signature"), signed);
        }
    }
    assert_eq!(entries(&stage, "sending").len(), 2, "once for each notice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_given_up_reported_and_told_again_only_when_somebody_says_so() {
    let receiver = Receiver::start().await;
    let stage = receiver.stage("").await;
    receiver.answers(&[StatusCode::BAD_GATEWAY; 4]);
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    eventually("both were tried", || receiver.count() == 2).await;
    let last = NOTICE_ATTEMPTS - 1;
    sql(&stage, &format!("{DUE}, attempts = {last}"));
    eventually("both are given up", || entries(&stage, "given-up").len() == 2).await;
    let given_up = "tamis_erasure_notices_undelivered{state=\"given-up\"} 2";
    eventually("it is counted", || stage.metrics().contains(given_up)).await;
    let overdue = report(&stage, &["overdue"]);
    let rows = overdue["erasure_notices_not_delivered"].as_array().expect("a table").clone();
    assert!(rows.iter().all(|row| row["state"] == "given-up"), "{rows:?}");
    assert_eq!((receiver.take().len(), rows.len()), (4, 2));

    let id = rows[0]["notice"].as_str().expect("an id");
    let retry = |id: &str| {
        stage.stores.registers.changing(|changing| changing.retry_notice(id, Timestamp::now()))
    };
    assert_eq!(retry(id).expect("written"), Recorded::New);
    assert_eq!(retry(id).expect("asked"), Recorded::Known);
    assert!(matches!(retry("en_0"), Err(RecordError::Invalid("id"))));
    eventually("it is told", || entries(&stage, "delivered").len() == 1).await;
    let calls = receiver.take();
    assert_eq!((calls.len(), calls[0].header("webhook-id")), (1, id));

    // Whoever took the last attempt and did not come back: it is not made once more.
    let other = rows[1]["notice"].as_str().expect("an id");
    assert_eq!(retry(other).expect("written"), Recorded::New);
    let undelivered = || stage.stores.registers.undelivered_notices(9).expect("readable");
    eventually("it is told", || undelivered().is_empty()).await;
    sql(&stage, &format!("{DUE}, attempts = {NOTICE_ATTEMPTS}, state = 'waiting'"));
    eventually("it is given up", || entries(&stage, "given-up").len() == 4).await;
    assert_eq!(receiver.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_notice_leaves_before_the_ledger_holds_it() {
    let receiver = Receiver::start().await;
    let stage = receiver.stage("").await;
    let segment = stage.path("ledger/000001.jsonl");
    std::fs::rename(&segment, stage.path("aside.jsonl")).expect("ours");
    let erased = r#"{"kind":"erasure","subject":"CANARY-1","requested_at":"2026-01-01T00:00:00Z"}"#;
    stage.record(erased);
    let failed = "tamis_erasure_notices_total{outcome=\"failed\",recipient=\"printer\"} 1";
    eventually("the ledger is not there", || stage.metrics().contains(failed)).await;
    assert_eq!(receiver.count(), 0);
    let undelivered = stage.stores.registers.undelivered_notices(9).expect("readable");
    assert_eq!(undelivered.len(), 2, "it waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasures_are_told_when_they_take_effect_by_the_rules_that_hold_then() {
    let receiver = Receiver::start().await;
    let stage = receiver.stage("reload: {widening: accept}\n").await;
    let erase = |id: &str, at: &str| {
        stage.record(&format!(
            r#"{{"kind":"erasure","subject":"{id}","requested_at":"2026-01-01T00:00:00Z",
                "effective_at":"{at}","except":["service"]}}"#
        ));
    };
    erase("CANARY-2", "2090-01-01T00:00:00Z");
    receiver.answers(&[StatusCode::BAD_GATEWAY; 2]);
    erase("CANARY-1", "2026-01-01T00:00:00Z");
    eventually("both were tried", || receiver.count() == 2).await;
    receiver.take();

    stage.edit("rules.yaml", "/printer\"", "/moved\"");
    let desk =
        format!("desk: {{url: \"{}\", show: {{account.id: keep}}}}, ", receiver.url("/desk"));
    stage.edit("rules.yaml", &desk, "");
    assert_eq!(stage.running.reload().await.activated, ["rules"]);
    sql(&stage, DUE);
    eventually("the printer is told", || entries(&stage, "delivered").len() == 1).await;
    let failed = "tamis_erasure_notices_total{outcome=\"failed\",recipient=\"desk\"} 2";
    eventually("the desk is not", || stage.metrics().contains(failed)).await;
    let calls = receiver.take();
    assert_eq!(calls.len(), 1, "the other erasure is of 2090");
    let sending = entries(&stage, "sending");
    let by: std::collections::BTreeSet<String> = sending
        .iter()
        .filter(|one| one["recipient"] == "printer")
        .map(|one| one["policy"].to_string())
        .collect();
    assert_eq!(by.len(), 2, "what is sent by other rules is entered by them: {sending:?}");
    assert_eq!(calls[0].path, "/moved");
    assert_eq!(calls[0].said()["data"]["may_be_kept_for"], value!(["service"]));
    assert_eq!(calls[0].said()["data"]["requested_at"], "2026-01-01T00:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_could_not_tell_does_not_start_and_takes_no_such_rules() {
    let receiver = Receiver::start().await;
    let refused = Stage::try_embedded(&receiver.rules(), &[], "").await;
    assert!(matches!(refused.err(), Some(StartError::NoWebhook(recipient)) if recipient == "desk"));
    let files = [("hook.secret", "secret\n"), ("hook.pem", receiver.authority.certificate())];
    let refused = Stage::try_embedded(&receiver.rules(), &files, WEBHOOKS).await;
    assert!(matches!(refused.err(), Some(StartError::WebhookSecret(_))));

    let stage = Stage::embedded_with(RULES, &[], "reload: {widening: accept}\n").await;
    std::fs::write(stage.path("rules.yaml"), receiver.rules()).expect("ours");
    let reloaded = stage.running.reload().await;
    assert!(reloaded.activated.is_empty(), "{reloaded:?}");
    assert_eq!(reloaded.refused[0].0, "settings");
    assert!(reloaded.refused[0].1.contains("webhooks: {desk"), "{reloaded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_another_authority_vouches_for_hears_nothing() {
    let (receiver, stranger) = (Receiver::start().await, Receiver::start().await);
    let files = [("hook.secret", SECRET), ("hook.pem", stranger.authority.certificate())];
    let stage = Stage::embedded_with(&receiver.rules(), &files, WEBHOOKS).await;
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    let failed = "tamis_erasure_notices_total{outcome=\"failed\",recipient=\"desk\"} 1";
    eventually("it fails", || stage.metrics().contains(failed)).await;
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_is_spoken_where_the_rules_call_it_dangerous() {
    let plain = Backend::start().await;
    plain.says("/erase", answer("", b""));
    let webhook = format!(
        "erasure: {{from: api, webhook: {{desk: {{url: \"http://{}/erase\", \
         show: {{account.id: keep}}, dangerous_plaintext: true}}}}}}",
        plain.address
    );
    let rules = changed(RULES, &[("erasure:     {from: api}", &webhook)]);
    let settings = "webhooks: {desk: {secret: hook.secret}}\n";
    let stage = Stage::embedded_with(&rules, &[("hook.secret", SECRET)], settings).await;
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    eventually("it is told", || entries(&stage, "delivered").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_gateways_one_tells() {
    let receiver = Receiver::start().await;
    let seats = [tempdir().expect("a folder"), tempdir().expect("a folder")];
    let database = Database::on(shared(), "telling", seats[0].path(), shared().port);
    let other = shared().settings("telling", seats[1].path(), shared().port);
    let other = tamis::registers::PostgresSettings { node: "gw-2".into(), ..other };
    let files = [("hook.secret", SECRET), ("hook.pem", receiver.authority.certificate())];
    let rules = receiver.rules();
    let place = RegisterPlace::Postgres(database.settings.clone());
    let one = Stage::on_with(&rules, place, &files, WEBHOOKS).await;
    let two = Stage::on_with(&rules, RegisterPlace::Postgres(other), &files, WEBHOOKS).await;
    for number in 0..20 {
        one.record(&format!(
            r#"{{"kind":"erasure","subject":"CANARY-{number}","requested_at":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    let delivered = || entries(&one, "delivered").len() + entries(&two, "delivered").len();
    eventually("all are told", || delivered() == 40).await;
    let calls = receiver.take();
    let mut ids: Vec<&str> = calls.iter().map(|call| call.header("webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), calls.len()), (40, 40), "each once");
    let left = one.stores.registers.undelivered_notices(9).expect("readable");
    assert!(left.is_empty(), "{left:?}");
}
