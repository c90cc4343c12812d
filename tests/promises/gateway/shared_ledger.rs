//! The ledger on a server that gateways share, at the wire: no entry, no byte; and reports over all of
//! them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tamis::ledger::{LedgerServer, ServerSettings};
use tempfile::{TempDir, tempdir};

use super::backend::json;
use super::stage::Stage;
use crate::postgres::proxy::Proxy;
use crate::postgres::server::shared;

const RULES: &str = include_str!("../../cases/reports.rules.yaml");

/// A database for ledgers, and the address of its server by way of a proxy.
pub(super) struct Shared {
    name: &'static str,
    proxy: Proxy,
    seat: TempDir,
}

impl Shared {
    pub(super) fn new(name: &'static str) -> Self {
        shared().sql("postgres", &format!("CREATE DATABASE {name} OWNER gateway"));
        let (proxy, seat) = (Proxy::to(shared().port), tempdir().expect("a folder"));
        let words = shared().settings(name, seat.path(), shared().port);
        let settings = ServerSettings {
            url_file: words.url_file,
            ca: words.ca,
            node: "owner".into(),
            mark: seat.path().join("ledger.mark"),
            segment_bytes: ServerSettings::SEGMENT_BYTES,
        };
        LedgerServer::migrate(&settings, None).expect("migrates");
        Self { name, proxy, seat }
    }

    /// A gateway as `tamis run` starts it, that enters here as `node` under this key ring.
    pub(super) async fn gateway(&self, node: &str, ring: Option<&str>) -> Stage {
        let words = shared().settings(self.name, self.seat.path(), self.proxy.port);
        let url = fs::read_to_string(&words.url_file).expect("ours");
        let ca = words.ca.expect("there is one");
        let more = format!(
            "node: {node}\nledger: {{store: postgres, url_file: ledger.url, ca: '{}'}}\n",
            ca.display()
        );
        let mut files = vec![("ledger.url", url.as_str())];
        files.extend(ring.map(|ring| ("keys", ring)));
        let stage = Stage::embedded_with(RULES, &files, &more).await;
        set(&stage);
        stage
    }

    fn sql(&self, statements: &str) -> String {
        shared().sql(self.name, statements)
    }
}

/// People behind a gateway.
fn set(stage: &Stage) {
    let person = |id: &str| {
        format!(
            r#"{{"id":"{id}","name":"Testina Musterfrau","email":"t@example.invalid","phone":"+49 30 1"}}"#
        )
    };
    let ids = ["CANARY-1", "CANARY-2", "CANARY-3"];
    for id in ids {
        stage.backend.says(&format!("/people/{id}"), json(&person(id)));
    }
    let all: Vec<String> = ids.iter().map(|id| person(id)).collect();
    stage.backend.says("/people", json(&format!(r#"{{"people":[{}]}}"#, all.join(","))));
}

async fn asked(stage: &Stage, recipient: &str, targets: &[&str]) {
    for target in targets {
        assert_eq!(stage.ask(recipient, target).await.status, 200, "{recipient} {target}");
    }
}

async fn gets(stage: &Stage, status: u16) {
    let until = Instant::now() + Duration::from_mins(1);
    while stage.ask("desk", "/people/CANARY-1").await.status != status {
        assert!(Instant::now() < until, "never {status}");
    }
}

fn tamis(arguments: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(arguments).arg("--config").arg(config).output().expect("it is built for the tests")
}

fn reported(arguments: &[&str], config: &Path) -> Value {
    let output = tamis(arguments, config);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_leaves_while_the_ledgers_server_is_away_and_all_of_it_afterwards() {
    let shared_ledger = Shared::new("ledger_at_the_wire");
    let stage = shared_ledger.gateway("gw-1", None).await;
    asked(&stage, "desk", &["/people/CANARY-1"]).await;
    shared_ledger.proxy.stall();
    gets(&stage, 503).await;
    let refused = stage.ask("desk", "/people/CANARY-2").await;
    assert!(refused.body.is_some_and(|body| !body.contains("Testina")));
    assert_eq!(stage.ask("desk", "/nowhere").await.status, 403, "what is not personal goes on");
    let metrics = stage.running.metrics();
    assert!(!metrics.contains("tamis_ledger_unavailable_total 0\n"), "{metrics}");
    shared_ledger.proxy.go_on();
    gets(&stage, 200).await;
    let config = stage.path("tamis.yaml");
    let kept = stage.stopped().await;
    let verified = tamis(&["ledger", "verify"], &config);
    assert!(verified.status.success(), "{verified:?}");
    let lines = shared_ledger.sql("SELECT string_agg(line, '') FROM tamis_ledger.records");
    assert!(!lines.contains("CANARY") && !lines.contains("Testina"));
    assert!(lines.contains("\"node\":\"gw-1\""));
    assert!(!kept.path().join("ledger").exists(), "nothing of it is in files");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_over_two_gateways_are_one_by_time_and_say_which_chain_is_broken() {
    let shared_ledger = Shared::new("ledger_of_two_gateways");
    let first = shared_ledger.gateway("gw-1", None).await;
    let ring = fs::read_to_string(first.path("keys")).expect("ours");
    let second = shared_ledger.gateway("gw-2", Some(&ring)).await;
    asked(&first, "mailer", &["/people"]).await;
    asked(&second, "mailer", &["/people", "/people/CANARY-1"]).await;
    asked(&first, "desk", &["/people/CANARY-1"]).await;
    let config = first.path("tamis.yaml");
    let (kept, kept_of_second) = (first.stopped().await, second.stopped().await);

    let breach = reported(&["report", "breach", "--recipient", "mailer"], &config);
    assert_eq!((&breach["people"], &breach["disclosures"]), (&"3".into(), &3.into()), "{breach:#}");
    let basis = &breach["basis"];
    assert_eq!(basis["chain_holds"], true);
    let ledgers = basis["ledgers"].as_array().expect("two of them");
    let nodes: Vec<&str> = ledgers.iter().filter_map(|one| one["node"].as_str()).collect();
    assert_eq!(nodes, ["gw-1", "gw-2"]);
    for one in ledgers {
        assert!(one["root"].is_string() && one["signed_checkpoint"].is_string(), "{one:#}");
    }
    let policy = tamis::policy::Policy::parse("rules.yaml", RULES).expect("it loads");
    assert_eq!(basis["decided_by"], Value::from(vec![policy.digest.to_string()]));

    let subject = reported(&["report", "subject", "--person", "CANARY-1"], &config);
    let told = subject["disclosures"].as_array().expect("rows");
    let nodes: Vec<&str> = told.iter().filter_map(|one| one["node"].as_str()).collect();
    assert_eq!(nodes, ["gw-1", "gw-2", "gw-2", "gw-1"], "{subject:#}");
    let times: Vec<&str> = told.iter().filter_map(|one| one["at"].as_str()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for form in ["csv", "html"] {
        let printed =
            tamis(&["report", "subject", "--person", "CANARY-1", "--format", form], &config);
        assert!(String::from_utf8_lossy(&printed.stdout).contains("gw-2"), "{form}");
    }

    // The chain of one gateway is named, verified and exported from the seat of another.
    let out = kept.path().join("exported");
    let out = out.to_str().expect("UTF-8");
    let exported = tamis(&["ledger", "export", "--node", "gw-2", "--out", out], &config);
    assert!(exported.status.success(), "{exported:?}");
    assert!(tamis::ledger::verify(Path::new(out), None).is_ok());

    shared_ledger.sql(
        "UPDATE tamis_ledger.records SET line = replace(line, 'mailer', 'nobody')
         WHERE node = 'gw-2' AND line LIKE '%mailer%'",
    );
    let output = tamis(&["report", "breach", "--recipient", "mailer"], &config);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("gw-2: broken: record"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is printed all the same");
    assert_eq!(report["basis"]["ledgers"][0]["chain"], "every link holds", "{report:#}");
    assert!(tamis(&["ledger", "verify"], &config).status.success());
    let broken = tamis(&["ledger", "verify", "--node", "gw-2"], &config);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    drop((kept, kept_of_second));
}

/// Directories have an index each: nobody can tell who is the same, so that there are bounds.
#[tokio::test(flavor = "multi_thread")]
async fn reports_over_several_directories_are_one_by_time_with_bounds_for_people() {
    let first = Stage::embedded(RULES, &[]).await;
    set(&first);
    let ring = fs::read_to_string(first.path("keys")).expect("ours");
    let second = Stage::embedded_with(RULES, &[("keys", &ring)], "node: gw-2\n").await;
    set(&second);
    asked(&first, "mailer", &["/people"]).await;
    asked(&second, "mailer", &["/people"]).await;
    asked(&first, "desk", &["/people/CANARY-1"]).await;
    let config = first.path("tamis.yaml");
    let ledgers = [first.path("ledger"), second.path("ledger")];
    let kept = (first.stopped().await, second.stopped().await);
    let [one, other] = ledgers.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let both = ["--ledger", one, "--ledger", other];

    let breach = [&["report", "breach", "--recipient", "mailer"][..], &both].concat();
    let breach = reported(&breach, &config);
    assert_eq!(breach["people"], "3 to 6", "{breach:#}");
    assert_eq!(breach["disclosures"], 2);
    let subject = [&["report", "subject", "--person", "CANARY-1"][..], &both].concat();
    let told = &reported(&subject, &config)["disclosures"];
    let nodes: Vec<&str> =
        told.as_array().expect("rows").iter().filter_map(|one| one["node"].as_str()).collect();
    assert_eq!(nodes, ["tamis", "gw-2", "tamis"]);

    let segment = Path::new(other).join("000001.jsonl");
    let text = fs::read_to_string(&segment).expect("ours");
    let without: String = text
        .split_inclusive('\n')
        .enumerate()
        .filter_map(|(at, line)| (at != 1).then_some(line))
        .collect();
    fs::write(&segment, without).expect("ours");
    let breach = [&["report", "breach", "--recipient", "mailer"][..], &both].concat();
    let output = tamis(&breach, &config);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("gw-2: broken: record 2"), "{said}");
    let nowhere = ["report", "art30", "--ledger", "/nowhere/at/all"];
    assert_eq!(tamis(&nowhere, &config).status.code(), Some(4));
    drop(kept);
}
