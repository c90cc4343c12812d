//! Signed checkpoints are handed to places that the gateway cannot rewrite: each waits until it is taken,
//! and one that was taken convicts a ledger that was cut afterwards.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tamis::config::Config;
use tamis::gateway::{Gateway, Running, StartError};
use tamis::keys::{NoteKey, NoteSigner};
use tamis::ledger::{Checkpoint, Outbox, verify};

use super::TESTINA;
use super::backend::json;
use super::stage::{Stage, until};
use crate::outside::service::{Call, Reply, Service};
use crate::outside::witness::Witness;

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

const NAME: &str = "ledger.example.invalid/gw-1";

const TOKEN: &str = "CANARY-token-of-the-auditor";

/// A target that answers with a status that can be changed.
struct Auditor {
    service: Service,
    answers: Arc<AtomicU16>,
}

impl Auditor {
    async fn start(answers: u16) -> Self {
        let answers = Arc::new(AtomicU16::new(answers));
        let says = Arc::clone(&answers);
        let service =
            Service::start(move |_: &Call| Reply::status(says.load(Ordering::SeqCst))).await;
        Self { service, answers }
    }

    /// A gateway that signs checkpoints and sends them here.
    async fn stage(&self, rules: &str, path: &str, more: &str) -> (Stage, NoteKey) {
        let (signer, text) = key();
        let url = self.service.url(path);
        let settings = format!(
            "checkpoint_key: ledger.key\n\
             checkpoint_targets: {{auditor: {{url: '{url}', token_file: token, ca: audit.pem{more}}}}}\n"
        );
        let files =
            [("ledger.key", &*text), ("token", TOKEN), ("audit.pem", self.service.authority())];
        let stage = Stage::embedded_with(rules, &files, &settings).await;
        stage.backend.says("/people/u1", json(TESTINA));
        (stage, signer)
    }

    /// The checkpoints that came, in their order.
    fn checkpoints(&self, key: &NoteKey) -> Vec<u64> {
        let calls = self.service.calls();
        calls.iter().map(|call| checkpoint(key, call.text()).size).collect()
    }
}

fn key() -> (NoteKey, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let signer = NoteSigner::generate(&path, NAME).expect("a key");
    (signer.key(), fs::read_to_string(path).expect("ours"))
}

fn checkpoint(key: &NoteKey, note: &str) -> Checkpoint {
    Checkpoint::parse(key.open(note).expect("signed")).expect("a checkpoint")
}

fn ledger_command(at: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.arg("ledger").args(arguments).current_dir(at).output().expect("the program starts")
}

async fn readiness(running: &Running) -> Value {
    let address = running.addresses.metrics.expect("it is on").to_string();
    let asked = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args(["status", "--metrics", &address, "--format", "json"])
            .output()
            .expect("the program starts")
    });
    serde_json::from_slice(&asked.await.expect("no panic").stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_at_a_target_convicts_a_ledger_that_was_cut_afterwards() {
    let auditor = Auditor::start(204).await;
    let (stage, key) = auditor.stage(RULES, "/tamis", "").await;
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    let folder = stage.stopped().await;
    let place = folder.path().join("ledger");
    let records = verify(&place, None).expect("whole").records;
    let sizes = auditor.checkpoints(&key);
    assert!(sizes.contains(&records), "the end of the gateway's life too: {sizes:?}");
    for call in auditor.service.calls() {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/tamis"));
        assert_eq!(call.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(call.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(call.header("idempotency-key").map(str::len), Some(66), "a digest in quotes");
    }
    let outbox = Outbox::open(&place, "auditor").expect("there");
    assert_eq!(outbox.waiting().expect("readable"), Vec::<u64>::new());
    assert_eq!(outbox.taken().expect("readable").map(|taken| taken.records), Some(records));

    let calls = auditor.service.calls();
    let fetched = calls.iter().find(|call| checkpoint(&key, call.text()).size == records);
    let fetched = fetched.expect("it came").text();
    fs::write(folder.path().join("fetched"), fetched).expect("ours");
    let (signed_by, key) = (key.clone(), key.to_string());
    let by_target = ["verify", "ledger", "--key", &key, "--checkpoints", "fetched"];
    let whole = ledger_command(folder.path(), &by_target);
    assert!(whole.status.success(), "{whole:?}");
    // Somebody who can write the directory takes the last record away, and every trace of it.
    let segment = place.join("000001.jsonl");
    let text = fs::read_to_string(&segment).expect("ours");
    let kept = text.lines().count() - 1;
    let cut: String = text.split_inclusive('\n').take(kept).collect();
    fs::write(&segment, cut).expect("ours");
    let notes = fs::read_to_string(place.join("checkpoints.jsonl")).expect("ours");
    let covers = |line: &&str| {
        let line: Value = serde_json::from_str(line).expect("ours");
        checkpoint(&signed_by, line["note"].as_str().expect("text")).size == records
    };
    let older: String = notes.split_inclusive('\n').filter(|line| !covers(line)).collect();
    fs::write(place.join("checkpoints.jsonl"), older).expect("ours");
    fs::remove_dir_all(place.join("outbox")).expect("ours");
    let alone = ledger_command(folder.path(), &["verify", "ledger", "--key", &key]);
    assert!(alone.status.success(), "alone it does not show: {alone:?}");
    let cut = ledger_command(folder.path(), &by_target);
    assert_eq!(cut.status.code(), Some(2), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_waits_over_a_restart_and_is_said_meanwhile() {
    let auditor = Auditor::start(503).await;
    let (stage, key) = auditor.stage(RULES, "/tamis", "").await;
    until("it was tried", || auditor.service.count() > 0).await;
    let failed = "tamis_checkpoint_deliveries_total{outcome=\"status\",target=\"auditor\"} 1";
    until("it is counted", || stage.metrics().contains(failed)).await;
    assert!(stage.metrics().contains("tamis_checkpoints_waiting{target=\"auditor\"} 1"));
    let said = readiness(&stage.running).await;
    assert_eq!(said["readiness"]["ready"], true, "a warning: {said}");
    let warning = said["readiness"]["checks"]["checkpoint_targets"].as_str().expect("text");
    assert!(warning.contains("auditor") && warning.contains("status"), "{warning}");
    let standing = &said["status"]["checkpoint_targets"]["auditor"];
    assert_eq!((&standing["waiting"], &standing["delivered"]), (&1.into(), &Value::Null));
    assert!(!said.to_string().contains("CANARY") && !stage.metrics().contains("CANARY"));
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200, "nobody waits for it");

    let folder = stage.stopped().await;
    let outbox = Outbox::open(&folder.path().join("ledger"), "auditor").expect("there");
    let waiting = outbox.waiting().expect("readable");
    assert_eq!(waiting.len(), 2, "that of the start and that of the end: {waiting:?}");
    let tried = auditor.checkpoints(&key).len();
    auditor.answers.store(200, Ordering::SeqCst);
    let config = Config::load(&folder.path().join("tamis.yaml")).expect("ours");
    let running = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"));
    until("all are taken", || outbox.waiting().is_ok_and(|waiting| waiting.is_empty())).await;
    let sizes = auditor.checkpoints(&key).split_off(tried);
    assert!(waiting.iter().all(|records| sizes.contains(records)), "{sizes:?} of {waiting:?}");
    assert!(sizes[0] >= waiting[1], "the newest first: {sizes:?} of {waiting:?}");
    let none = "tamis_checkpoints_waiting{target=\"auditor\"} 0";
    until("it is counted", || running.metrics().contains(none)).await;
    let said = readiness(&running).await;
    assert_eq!(said["readiness"]["checks"]["checkpoint_targets"], "ok");
    let delivered = &said["status"]["checkpoint_targets"]["auditor"]["delivered"];
    assert_eq!(delivered["records"].as_u64(), sizes.iter().max().copied());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_checkpoint_may_be_put_at_a_place_of_its_own() {
    let auditor = Auditor::start(201).await;
    let (stage, key) = auditor.stage(RULES, "/gw-1/{records}?v=1", ", method: put").await;
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    drop(stage.stopped().await);
    let calls = auditor.service.calls();
    assert!(calls.len() >= 2, "at the start and at the end");
    for call in calls {
        let records = checkpoint(&key, call.text()).size;
        assert_eq!((call.method.as_str(), &*call.path), ("PUT", &*format!("/gw-1/{records}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_is_told_by_how() {
    let auditor = Auditor::start(204).await;
    let (stage, _key) = auditor.stage(RULES, "/tamis", "").await;
    until("it is taken", || auditor.service.count() > 0).await;
    let folder = stage.stopped().await;
    let settings = fs::read_to_string(folder.path().join("tamis.yaml")).expect("ours");
    let place = |name: &str| format!("{settings}ledger: {name}\nregisters: {name}.sqlite\n");
    let load = |text: &str| {
        fs::write(folder.path().join("other.yaml"), text).expect("ours");
        Config::load(&folder.path().join("other.yaml")).expect("ours")
    };
    let port = auditor.service.address.port();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = nobody.local_addr().expect("bound").port();
    drop(nobody);
    let cases = [
        ("tls", place("tls").replace("ca: audit.pem", "ca: ca.pem")),
        ("connect", place("connect").replace(&format!(":{port}/"), &format!(":{closed}/"))),
    ];
    for (code, text) in cases {
        assert_ne!(text, place(code), "{code}");
        let running = Gateway::start(load(&text)).await.unwrap_or_else(|e| panic!("{e:?}"));
        let counted =
            format!("tamis_checkpoint_deliveries_total{{outcome=\"{code}\",target=\"auditor\"}}");
        until(code, || running.metrics().contains(&counted)).await;
        running.stop().await;
    }
    // What could never work is no start.
    fs::remove_file(folder.path().join("token")).expect("ours");
    let refused = Gateway::start(load(&place("token"))).await.err().expect("no token");
    assert!(matches!(refused, StartError::ServiceToken(_)), "{refused}");
    let absent = place("ca").replace("ca: audit.pem", "ca: absent.pem");
    let refused = Gateway::start(load(&absent)).await.err().expect("no authorities");
    assert!(matches!(refused, StartError::Outside(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_what_continues_all_that_it_has_seen_and_tells_of_another_ledger() {
    let (key, text) = key();
    let witness = Witness::of(&key).await;
    let (url, verifier) = (witness.service.url("/witness/"), witness.verifier_key());
    let settings = format!(
        "checkpoint_key: ledger.key\n\
         checkpoint_targets: {{w1: {{url: '{url}', witness: '{verifier}', ca: witness.pem}}}}\n"
    );
    let files = [("ledger.key", &*text), ("witness.pem", witness.service.authority())];
    let stage = Stage::embedded_with(RULES, &files, &settings).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let counted = |outcome: &str| {
        format!("tamis_checkpoint_deliveries_total{{outcome=\"{outcome}\",target=\"w1\"}}")
    };
    until("the first is cosigned", || stage.metrics().contains(&counted("delivered"))).await;
    for _ in 0..5 {
        assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    }
    let folder = stage.stopped().await;
    let (place, key) = (folder.path().join("ledger"), key.to_string());
    let seen = |of: &Witness| *of.seen.lock().expect("ours").values().next().expect("one");
    let records = verify(&place, None).expect("whole").records;
    assert_eq!(seen(&witness).0, records, "by a proof from the first to the last");
    let by_witness = ["verify", "ledger", "--key", &key, "--witness-key", &verifier];
    let whole = ledger_command(folder.path(), &by_witness);
    let said = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(whole.status.success(), "{whole:?}");
    assert!(said.contains(&format!("the last of record {records} at 2026-12-01T")), "{said}");

    // One that forgot says what it has seen, and is told from there on.
    witness.seen.lock().expect("ours").clear();
    let load = || Config::load(&folder.path().join("tamis.yaml")).expect("ours");
    let running = Gateway::start(load()).await.unwrap_or_else(|error| panic!("{error:?}"));
    let more =
        |of: &Witness| of.seen.lock().expect("ours").values().any(|(size, _)| *size > records);
    until("it is told anew", || more(&witness)).await;
    running.stop().await;

    // Somebody cuts the ledger, and takes away what says so here. The witness knows better.
    let last = seen(&witness);
    let segment = place.join("000001.jsonl");
    let text = fs::read_to_string(&segment).expect("ours");
    let cut: String = text.split_inclusive('\n').take(3).collect();
    fs::write(&segment, cut).expect("ours");
    fs::remove_file(place.join("checkpoints.jsonl")).expect("ours");
    fs::remove_dir_all(place.join("outbox")).expect("ours");
    let running = Gateway::start(load()).await.unwrap_or_else(|error| panic!("{error:?}"));
    until("it is told", || running.metrics().contains(&counted("ahead"))).await;
    let warning = readiness(&running).await;
    let warning = &warning["readiness"]["checks"]["checkpoint_targets"];
    assert!(warning.as_str().is_some_and(|text| text.contains("ahead")), "{warning}");
    running.stop().await;
    let alone = ledger_command(folder.path(), &["verify", "ledger", "--key", &key]);
    assert!(alone.status.success(), "alone it does not show: {alone:?}");
    let unseen = ledger_command(folder.path(), &by_witness);
    assert_eq!(unseen.status.code(), Some(3), "nothing is cosigned: {unseen:?}");

    // And where the forged one has grown beyond it, no proof leads there.
    witness.seen.lock().expect("ours").values_mut().for_each(|seen| *seen = (4, last.1));
    fs::remove_dir_all(place.join("outbox")).expect("ours");
    let running = Gateway::start(load()).await.unwrap_or_else(|error| panic!("{error:?}"));
    until("it is told", || running.metrics().contains(&counted("contradicted"))).await;
    running.stop().await;
    assert_eq!(seen(&witness), (4, last.1), "nothing more is cosigned");
}
