//! Reports for people who answer for data, made from the ledger of a gateway that ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use serde_json::{Value, json as value};
use tamis::keys::NoteSigner;
use tamis::ledger::{Checkpoint, FileLedger, keep_note};
use tamis::registers::{Record, RegisterStore, Registers as _, RightRequest};
use tamis::terms::{CategoryPattern, Personal, Right};

use super::backend::json;
use super::stage::{Stage, request};

const RULES: &str = include_str!("../../cases/reports.rules.yaml");

fn person(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","name":"Testina Musterfrau","email":"t@example.invalid","phone":"+49 30 1"}}"#
    )
}

/// A gateway that three people stand behind, of whom the first agreed to sharing.
async fn stage() -> Stage {
    let stage = Stage::embedded(RULES, &[]).await;
    let ids = ["CANARY-1", "CANARY-2", "CANARY-3"];
    for id in ids {
        stage.backend.says(&format!("/people/{id}"), json(&person(id)));
    }
    let all: Vec<String> = ids.iter().map(|id| person(id)).collect();
    stage.backend.says("/people", json(&format!(r#"{{"people":[{}]}}"#, all.join(","))));
    let policy = tamis::policy::Policy::parse("rules.yaml", RULES).expect("it loads");
    let digest = policy.purposes["share"].text_digest;
    stage.record(&format!(
        r#"{{"id":"con_1","subject":"CANARY-1","purpose":"share","purpose_text_digest":"{digest}",
            "recipients":["partner"],"status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
    ));
    stage
}

/// Asks as every recipient, so that each report has something to say; then ends the gateway, so that
/// every outcome is in the ledger.
async fn played() -> Played {
    let stage = stage().await;
    for (recipient, target, status) in [
        ("desk", "/people/CANARY-1", 200),
        ("desk", "/people/CANARY-2", 200),
        ("mailer", "/people", 200),
        ("mailer", "/people/CANARY-1", 200),
        ("partner", "/people/CANARY-1", 200),
        ("partner", "/people/CANARY-2", 404),
        ("partner", "/people/CANARY-3", 404),
    ] {
        assert_eq!(stage.ask(recipient, target).await.status, status, "{recipient} {target}");
    }
    let own = stage.ask_as("CANARY-1", "GET", "/people/CANARY-1", None).await;
    assert_eq!(own.status, 200);
    let asked = stage.ask_as("CANARY-2", "POST", "/me/rectification", None).await;
    assert_eq!(asked.status, 202);
    Played::of(stage).await
}

/// What is left of a gateway.
struct Played {
    config: PathBuf,
    ledger: PathBuf,
    _folder: tempfile::TempDir,
}

impl Played {
    async fn of(stage: Stage) -> Self {
        let (config, ledger) = (stage.path("tamis.yaml"), stage.path("ledger"));
        let folder = stage.stopped().await;
        Self { config, ledger, _folder: folder }
    }

    fn output(&self, arguments: &[&str]) -> Output {
        report(&self.config, arguments)
    }

    /// A report as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        reported(&self.config, arguments)
    }
}

/// A report as JSON, beside a gateway or after it.
pub(super) fn reported(config: &Path, arguments: &[&str]) -> Value {
    let output = report(config, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn report(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tamis"))
        .arg("report")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("the binary is built for the tests")
}

/// One column of a table.
fn column<'a>(report: &'a Value, table: &str, name: &str) -> Vec<&'a Value> {
    let rows = report[table].as_array().unwrap_or_else(|| panic!("{table}: {report:#}"));
    rows.iter().map(|row| &row[name]).collect()
}

/// The row of a table in which `name` is `is`.
fn row<'a>(report: &'a Value, table: &str, name: &str, is: &str) -> &'a Value {
    let rows = report[table].as_array().unwrap_or_else(|| panic!("{table}: {report:#}"));
    rows.iter().find(|row| row[name] == is).unwrap_or_else(|| panic!("{is}: {report:#}"))
}

const ALL: [&[&str]; 9] = [
    &["subject", "--person", "CANARY-1"],
    &["notify", "--person", "CANARY-1"],
    &["art30"],
    &["transfers"],
    &["consents"],
    &["refusals"],
    &["overdue"],
    &["recipient", "--recipient", "mailer"],
    &["breach", "--recipient", "mailer"],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_report_says_what_it_rests_on_in_every_form_and_names_nobody() {
    let played = played().await;
    let verified = tamis::ledger::verify(&played.ledger, None).expect("whole");
    for arguments in ALL {
        let report = played.json(arguments);
        assert_eq!(report["report"], arguments[0]);
        assert_eq!(report["basis"]["chain_holds"], true);
        assert_eq!(report["basis"]["tree_size"], verified.records);
        assert_eq!(report["basis"]["root"], verified.root.hex());
        let policy = tamis::policy::Policy::parse("rules.yaml", RULES).expect("it loads");
        assert_eq!(report["basis"]["policy_digest"], policy.digest.to_string());
        assert!(report["basis"]["completeness"].as_str().expect("said").contains("law forbids"));
        for format in ["json", "csv", "html"] {
            let mut arguments = arguments.to_vec();
            arguments.extend(["--format", format]);
            let output = played.output(&arguments);
            assert!(output.status.success(), "{arguments:?}");
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(!text.contains("CANARY"), "{arguments:?}: {text}");
            assert!(text.contains(&verified.root.hex()), "{arguments:?}");
            if format == "html" {
                assert!(text.contains("default-src 'none'") && !text.contains("<them>"));
                assert!(!text.contains("<script") && !text.contains("://"), "{arguments:?}");
            }
            if format == "csv" {
                let starts = text.split(['\n', ',']).filter(|cell| cell.starts_with("\"="));
                assert_eq!(starts.count(), 0, "{arguments:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_is_told_by_people_categories_and_routes_within_its_window() {
    let played = played().await;
    let breach = played.json(&["breach", "--recipient", "mailer"]);
    assert_eq!(breach["people"], "3");
    assert_eq!(breach["disclosures"], 2);
    assert_eq!(breach["elements"], 4);
    assert_eq!(breach["contract"], "C-1");
    let email = row(&breach, "categories", "category", "contact.email");
    assert_eq!((&email["people"], &email["forms"]), (&value!("3"), &value!(["keep"])));
    let token = row(&breach, "categories", "category", "account.id");
    assert_eq!(token["forms"], value!(["token"]), "a pseudonym is in it, and said to be one");
    let routes = column(&breach, "routes", "route");
    assert_eq!(routes, [&value!("GET /people"), &value!("GET /people/{id}")]);

    let candidates = played.config.with_file_name("candidates.txt");
    fs::write(&candidates, "CANARY-1\nCANARY-9\nCANARY-3\n").expect("writable");
    let of = ["breach", "--recipient", "partner", "--among", candidates.to_str().expect("UTF-8")];
    let among = played.json(&of);
    assert_eq!(among["people"], "1");
    assert_eq!(column(&among, "people_concerned", "person"), [&value!("CANARY-1")]);
    assert_eq!(among["candidates"], 3);

    let today = Timestamp::now().to_string()[..10].to_owned();
    let on = |from: &str, to: &str| {
        played.json(&["breach", "--recipient", "mailer", "--from", from, "--to", to])
    };
    assert_eq!(on(&today, &today)["disclosures"], 2);
    assert_eq!(on("2020-01-01", "2020-12-31")["disclosures"], 0);
    assert_eq!(on("2020-01-01", "2020-12-31")["people"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_to_tell_of_an_erasure_is_each_recipient_and_no_part_of_the_controller() {
    let played = played().await;
    let notify = played.json(&["notify", "--person", "CANARY-1"]);
    let tell = column(&notify, "recipients_to_tell", "recipient");
    assert_eq!(tell, [&value!("mailer"), &value!("partner")]);
    let partner = row(&notify, "recipients_to_tell", "recipient", "partner");
    assert_eq!(partner["categories"], value!({"contact.email": ["keep"]}));
    assert_eq!(column(&notify, "within_the_controller", "recipient"), [&value!("desk")]);
    let nobody = played.json(&["notify", "--person", "CANARY-9"]);
    assert!(column(&nobody, "recipients_to_tell", "recipient").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_processing_shows_what_differs_from_the_traffic_both_ways() {
    let played = played().await;
    let art30 = played.json(&["art30"]);
    let service = row(&art30, "processing", "purpose", "service");
    assert_eq!(service["recipients"], value!({"desk": "internal", "mailer": "processor.email"}));
    assert_eq!(service["disclosures"], 4);
    assert!(service["safeguards"].to_string().contains("SCC-1"), "{service}");
    let unused = art30["provided_and_never_used"].as_array().expect("a table");
    assert!(unused.iter().all(|row| row["recipient"] != "desk"), "{unused:?}");
    assert!(column(&art30, "used_and_not_provided", "purpose").is_empty(), "{art30:#}");
    assert!(column(&art30, "routes_without_traffic", "route").is_empty(), "{art30:#}");

    // Rules that grant less: what left under the former ones is shown, with their digest.
    let rules = played.config.with_file_name("rules.yaml");
    let narrower = RULES.replace(", contact.phone: keep}", "}");
    assert_ne!(narrower, RULES);
    let wider =
        narrower.replace("{contact.email: keep}}", "{contact.email: keep, identity.name: keep}}");
    fs::write(&rules, wider).expect("writable");
    let art30 = played.json(&["art30"]);
    let extra = row(&art30, "used_and_not_provided", "recipient", "desk");
    assert_eq!(extra["categories"], value!(["contact.phone"]));
    let unused = row(&art30, "provided_and_never_used", "recipient", "partner");
    assert_eq!(unused["categories"], value!(["identity.name"]));
    let dpv = played.json(&["art30", "--dpv"]);
    let process = dpv["@graph"].as_array().expect("a graph").iter();
    let share = process.clone().find(|one| one["@id"] == "urn:tamis:reports:process:share");
    let basis = &share.expect("there")["dpv:hasLegalBasis"]["@id"];
    assert_eq!(basis, "eu-gdpr:A6-1-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_consents_refusals_and_what_is_late_are_told() {
    let played = played().await;
    let transfers = played.json(&["transfers"]);
    let abroad = row(&transfers, "transfers", "country", "US");
    assert_eq!((&abroad["recipient"], &abroad["disclosures"]), (&value!("mailer"), &value!(2)));
    assert_eq!(abroad["mechanisms"], value!(["EEA by scc, SCC-1, until 2090-10-01"]));
    assert!(!transfers.to_string().contains("\"self\""), "one's own access is no transfer");

    let consents = played.json(&["consents"]);
    let relied = row(&consents, "relied_on", "purpose", "share");
    assert_eq!((&relied["disclosures"], &relied["people"]), (&value!(1), &value!("1")));
    assert_eq!(column(&consents, "relied_on", "recipient").len(), 1);

    let refusals = played.json(&["refusals"]);
    let missing = row(&refusals, "refusals", "reason", "consent-missing");
    assert_eq!((&missing["recipient"], &missing["requests"]), (&value!("partner"), &value!(2)));

    let overdue = played.json(&["overdue"]);
    assert_eq!((&overdue["requests_open"], &overdue["requests_late"]), (&value!(1), &value!(0)));
    assert_eq!(column(&overdue, "requests", "right"), [&value!("rectification")]);

    let recipient = played.json(&["recipient", "--recipient", "partner"]);
    assert_eq!(row(&recipient, "refusals", "reason", "consent-missing")["requests"], 2);
    let unknown = played.output(&["recipient", "--recipient", "partnr"]);
    assert_eq!(unknown.status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_waits_is_told_by_its_receipt_and_by_no_id() {
    let played = played().await;
    let registers = RegisterStore::embedded(&played.config.with_file_name("registers.sqlite"));
    let registers = registers.expect("opens");
    let categories = vec![CategoryPattern::new("*")];
    let subject = Personal::new("CANARY-3".into());
    let request = RightRequest { subject, right: Right::Erasure, categories };
    let receipt = registers.request(&request).expect("taken").expect("not too many");
    for id in ["", r#""id":"rq_CANARY","#] {
        let record = format!(
            r#"{{"kind":"erasure",{id}"subject":"CANARY-1","requested_at":"2026-01-01T00:00:00Z"}}"#
        );
        let record = Record::parse(record.as_bytes()).expect("a record");
        registers.record(&record).expect("taken");
    }
    let overdue = played.json(&["overdue"]);
    let receipts = column(&overdue, "erasures_not_settled", "receipt");
    assert_eq!(receipts, [&value!(null), &value!(null), &value!(receipt.id)]);
    let since = column(&overdue, "erasures_not_settled", "in_force_since");
    assert_eq!(since[..2], [&value!("2026-01-01T00:00:00Z"); 2]);
    let waiting = column(&overdue, "erasures_not_settled", "days_waiting");
    assert!(waiting[0].as_i64() > Some(0) && waiting[2] == &value!(0), "{waiting:?}");
    // Not even a digest, which whoever has ids could compute.
    let text = overdue["erasures_not_settled"].to_string();
    assert!(!text.contains("CANARY") && !text.contains("sha-256"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_ledger_is_said_in_the_head_and_by_the_exit_code() {
    let played = played().await;
    let segment = played.ledger.join("000001.jsonl");
    let whole = fs::read_to_string(&segment).expect("ours");
    let spoilt = whole.replacen("\"recipient\":\"mailer\"", "\"recipient\":\"desk\"", 1);
    assert_ne!(spoilt, whole);
    fs::write(&segment, spoilt).expect("ours");
    for format in ["json", "csv", "html"] {
        let output = played.output(&["refusals", "--format", format]);
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains("broken: record"), "{text}");
        assert!(!text.contains("every link holds"), "{text}");
    }
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&segment, lines[2..].join("\n") + "\n").expect("ours");
    assert_eq!(played.output(&["refusals"]).status.code(), Some(2));
    fs::remove_file(&segment).expect("ours");
    assert_eq!(played.output(&["refusals"]).status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_cannot_be_read_are_said_and_never_taken_for_none() {
    let played = played().await;
    let name = "ledger.example.invalid/gw-1";
    let signer = NoteSigner::generate(&played.config.with_file_name("ledger.key"), name);
    let signer = signer.expect("makes a key");
    let tree = FileLedger::open(&played.ledger, "gw-1").expect("opens").tree();
    let note = signer.sign(&Checkpoint::of(name, &tree).text());
    keep_note(&played.ledger, "2026-11-24T12:00:00Z", &note).expect("kept");
    let key = signer.key().to_string();
    let arguments = ["refusals", "--key", key.as_str()];
    let sound = played.json(&arguments);
    assert_eq!(sound["basis"].get("checkpoints_unreadable"), None);
    let checkpoint = sound["basis"]["signed_checkpoint"].clone();
    assert!(checkpoint.as_str().expect("said").contains(name));

    let file = played.ledger.join("checkpoints.jsonl");
    let whole = fs::read_to_string(&file).expect("ours");
    fs::write(&file, format!("{}\n{whole}", &whole[..20])).expect("ours");
    let torn = played.json(&arguments);
    assert_eq!(torn["basis"]["checkpoints_unreadable"], 1);
    assert_eq!(torn["basis"]["signed_checkpoint"], checkpoint);

    fs::write(&file, b"{\xff\n").expect("ours");
    for format in ["json", "csv", "html"] {
        let output = played.output(&[&arguments[..], &["--format", format]].concat());
        assert_eq!(output.status.code(), Some(3), "{format}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains("the checkpoints beside the ledger cannot be read"), "{text}");
        assert!(!text.contains("every link holds"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_court_forbids_to_tell_is_in_no_report_until_it_may_be() {
    for (hours, is_told) in [(-1, true), (1, false)] {
        let stage = stage().await;
        let gag_until = Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        stage.record(&format!(
            r#"{{"kind":"order","id":"ord-1","recipient":"court","authority":"a court","subjects":["CANARY-1"],
                "categories":["identity.name"],"from":"2020-01-01T00:00:00Z","until":"2090-01-01T00:00:00Z",
                "gag_until":"{gag_until}"}}"#
        ));
        for approver in ["anna", "ben"] {
            stage.stores.registers.approve_order("ord-1", approver).expect("there is one");
        }
        let asked = request("GET", "/people/CANARY-1", &[("tamis-order", "\"ord-1\"")]);
        assert_eq!(stage.send(Some("court"), asked).await.status, 200);
        let played = Played::of(stage).await;
        let breach = played.json(&["breach", "--recipient", "court"]);
        assert_eq!(breach["disclosures"], u64::from(is_told));
        let notify = played.json(&["notify", "--person", "CANARY-1"]);
        let told = column(&notify, "authorities_in_an_inquiry", "recipient").len();
        assert_eq!(told, usize::from(is_told));
        let art30 = played.json(&["art30"]);
        let order = row(&art30, "processing", "purpose", "legal.order");
        assert_eq!(order["disclosures"], u64::from(is_told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_to_tell_is_known_after_an_erasure_and_nothing_else_is() {
    let stage = stage().await;
    assert_eq!(stage.ask("mailer", "/people/CANARY-1").await.status, 200);
    assert_eq!(stage.ask("desk", "/people/CANARY-1").await.status, 200);
    assert_eq!(stage.ask_as("CANARY-1", "POST", "/me/erasure", None).await.status, 202);
    // The gateway settles erasures beside its requests.
    while !stage.stores.registers.unsettled_erasures(Timestamp::now()).expect("readable").is_empty()
    {
        tokio::task::yield_now().await;
    }
    let played = Played::of(stage).await;
    let notify = played.json(&["notify", "--person", "CANARY-1"]);
    assert_eq!(column(&notify, "recipients_to_tell", "recipient"), [&value!("mailer")]);
    assert_eq!(column(&notify, "within_the_controller", "recipient"), [&value!("desk")]);
    assert_eq!(notify["erased"], true);
    assert_eq!(notify["kept_until"].as_array().map(Vec::len), Some(1));
    let subject = played.json(&["subject", "--person", "CANARY-1"]);
    assert_eq!(subject["disclosures"], value!([]), "the ledger knows them no more");
    let other = played.json(&["notify", "--person", "CANARY-2"]);
    assert!(column(&other, "recipients_to_tell", "recipient").is_empty());
}
