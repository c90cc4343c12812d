//! `tamis consent` and `tamis ledger verify`, as people type them.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tamis::ledger::FileLedger;
use tamis::registers::{RegisterStore, Registers as _};
use tamis::terms::{ConsentStatus, Personal};

fn tamis(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/letsmasak/rules.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(arguments).current_dir(directory);
    if arguments[0] == "consent" {
        command.args(["--registers", "r.db", "--rules"]).arg(rules);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("taken");
    child.wait_with_output().expect("ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_consent_given_and_withdrawn_by_command_is_seen_by_a_running_gateway() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let gateway = RegisterStore::embedded(&directory.path().join("r.db")).expect("opens");
    let u1 = Personal::new("u1".into());
    let give = ["consent", "give", "--subject", "u1", "--purpose", "share.partner"];
    let given =
        tamis(directory.path(), &[&give[..], &["--recipient", "loyalty-partner"]].concat(), "");
    assert!(given.status.success(), "{}", text(&given.stderr));
    let said = gateway.statements(&u1).expect("available");
    let now = jiff::Timestamp::now();
    assert_eq!(said.consents[0].status(now), ConsentStatus::Given);
    assert!(said.consents[0].purpose_text_digest.is_some(), "bound to the present text");

    let withdraw = ["consent", "withdraw", "--subject", "-", "--purpose", "share.*"];
    let withdrawn = tamis(directory.path(), &withdraw, "u1\n");
    assert_eq!(text(&withdrawn.stdout), "withdrawn: 1 consents\n", "{}", text(&withdrawn.stderr));
    let said = gateway.statements(&u1).expect("available");
    assert_eq!(said.consents[0].status(now), ConsentStatus::Withdrawn);
}

#[test]
fn a_misspelt_name_is_refused_with_a_suggestion() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let arguments = ["consent", "withdraw", "--subject", "u1", "--purpose", "share.partnr"];
    let refused = tamis(directory.path(), &arguments, "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("did you mean `share.partner`?"));
}

#[test]
fn a_withdrawal_under_another_spelling_of_an_id_is_not_taken_in_silence() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let arguments = ["consent", "withdraw", "--subject", "-", "--purpose", "share.*"];
    let refused = tamis(directory.path(), &arguments, "CANARY\n");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
    let said = text(&refused.stderr);
    assert!(said.contains("subject: not how `registers: {ids: …}`"), "{said}");
    assert!(!said.contains("CANARY"), "{said}");
}

#[test]
fn an_erasure_by_command_is_lifted_by_two_names_and_never_taken_for_everything() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let gateway = RegisterStore::embedded(&directory.path().join("r.db")).expect("opens");
    let erased = || {
        let said = gateway.statements(&Personal::new("u1".into())).expect("available");
        said.erasure.is_some()
    };
    let erase = ["consent", "erase", "--subject", "u1"];
    let nothing = tamis(directory.path(), &[&erase[..], &["--except", "*"]].concat(), "");
    assert_eq!((nothing.status.code(), erased()), (Some(1), false), "it would end nothing");
    assert!(tamis(directory.path(), &erase, "").status.success() && erased());
    for (by, said, is_erased) in [
        ("anna", "lifted: 0, waiting for somebody else: 1\n", true),
        ("anna", "lifted: 0, waiting for somebody else: 1\n", true),
        ("ben", "lifted: 1, waiting for somebody else: 0\n", false),
    ] {
        let arguments = ["consent", "lift-erasure", "--subject", "-", "--by", by];
        let lifted = tamis(directory.path(), &arguments, "u1\n");
        assert_eq!(text(&lifted.stdout), said, "{}", text(&lifted.stderr));
        assert_eq!(erased(), is_erased);
    }
}

#[test]
fn an_import_with_wrong_lines_names_them_all_and_takes_nothing() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let good = r#"{"id":"c1","subject":"u1","purpose":"share.partner","status":"given","given_at":"2026-01-01T00:00:00Z"}"#;
    let lines =
        format!("{good}\n{{\"CANARY\":1}}\n\n{}\n", good.replace("share.partner", "CANARY"));
    std::fs::write(directory.path().join("in.jsonl"), lines).expect("ours");
    let refused = tamis(directory.path(), &["consent", "import", "in.jsonl"], "");
    let complaint = text(&refused.stderr);
    assert!(complaint.contains("line 2:") && complaint.contains("line 4:"), "{complaint}");
    assert!(!complaint.contains("CANARY"), "{complaint}");
    let registers = RegisterStore::embedded(&directory.path().join("r.db")).expect("opens");
    let said = registers.statements(&Personal::new("u1".into())).expect("available");
    assert!(said.consents.is_empty());

    std::fs::write(directory.path().join("in.jsonl"), good).expect("ours");
    let taken = tamis(directory.path(), &["consent", "import", "in.jsonl"], "");
    assert_eq!(text(&taken.stdout), "imported: 1 records, 1 of them new\n");

    let exported = tamis(directory.path(), &["consent", "export", "out.jsonl"], "");
    assert_eq!(text(&exported.stdout), "exported: 1 records\n", "{}", text(&exported.stderr));
    let out = directory.path().join("out.jsonl");
    let mode = std::fs::metadata(&out).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is its owner's alone");
    let taken = tamis(directory.path(), &["consent", "import", "out.jsonl"], "");
    assert_eq!(text(&taken.stdout), "imported: 1 records, 0 of them new\n");
    let again = tamis(directory.path(), &["consent", "export", "out.jsonl"], "");
    assert_eq!(again.status.code(), Some(1), "a file that is there is not written over");
}

#[test]
fn verify_says_by_its_exit_code_what_it_found() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let verify = |path: &str| tamis(directory.path(), &["ledger", "verify", path], "");
    assert_eq!(verify("ledger").status.code(), Some(4), "nothing there");
    drop(FileLedger::open(&directory.path().join("ledger"), "gw-1").expect("opens"));
    let whole = verify("ledger");
    assert!(whole.status.success());
    assert!(text(&whole.stdout).starts_with("0 records, head 0:"));
    let segment = directory.path().join("ledger/000001.jsonl");
    std::fs::write(&segment, "{}\n{}\n").expect("ours");
    assert_eq!(verify("ledger").status.code(), Some(1));
    std::fs::rename(&segment, directory.path().join("ledger/000002.jsonl")).expect("ours");
    assert_eq!(verify("ledger").status.code(), Some(2));
}
