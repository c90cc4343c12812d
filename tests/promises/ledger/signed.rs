//! Signed checkpoints, proofs of single records, and a second verifier that shares nothing with ours.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tamis::keys::{NoteKey, NoteSigner};
use tamis::ledger::{
    Anchor, Checkpoint, FileLedger, Ledger as _, VerifyError, keep_note, kept_notes, verify,
    verify_signed,
};

use super::{block_on, disclosure, segment};

const NAME: &str = "ledger.example.invalid/gw-1";

/// A ledger with ten openings, a checkpoint after four, one after seven, and the key beside it.
fn signed_ledger() -> (tempfile::TempDir, NoteKey) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let signer = NoteSigner::generate(&directory.path().join("key"), NAME).expect("makes a key");
    let place = directory.path().join("ledger");
    let ledger = FileLedger::open(&place, "gw-1").expect("opens");
    for number in 1..=10 {
        block_on(ledger.open(&disclosure(number))).expect("durable");
        if [4, 7].contains(&number) {
            let note = signer.sign(&Checkpoint::of(NAME, &ledger.tree()).text());
            keep_note(&place, "2026-11-24T12:00:00Z", &note).expect("kept");
        }
    }
    (directory, signer.key())
}

fn checkpoints(place: &Path, key: &NoteKey) -> Vec<Checkpoint> {
    let notes = kept_notes(place).expect("readable");
    let read = |note: &String| Checkpoint::parse(key.open(note).expect("signed"));
    notes.notes.iter().map(|note| read(note).expect("a checkpoint")).collect()
}

fn tamis(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.arg("ledger").args(arguments).current_dir(directory).output().expect("runs")
}

fn python(place: &Path, key: &NoteKey) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_ledger.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(place).arg(key.to_string()).output().expect("python3 is installed")
}

/// Computes the whole chain anew after a change, as whoever can write the directory could.
fn forge(place: &Path, change: impl Fn(String) -> String) {
    let forged = tempfile::tempdir().expect("temporary directory");
    let ledger = FileLedger::open(forged.path(), "gw-1").expect("opens");
    for number in 1..=10 {
        let mut entry = disclosure(number);
        entry.recipient = change(entry.recipient.as_str().to_owned()).as_str().into();
        block_on(ledger.open(&entry)).expect("durable");
    }
    drop(ledger);
    fs::copy(segment(forged.path()), segment(place)).expect("ours");
}

#[test]
fn a_chain_computed_anew_or_cut_is_seen_by_what_was_signed() {
    let (directory, key) = signed_ledger();
    let place = directory.path().join("ledger");
    let signed = checkpoints(&place, &key);
    assert_eq!(verify_signed(&place, None, &signed).expect("whole").records, 10);

    let whole = fs::read_to_string(segment(&place)).expect("ours");
    let cut: String = whole.split_inclusive('\n').take(5).collect();
    fs::write(segment(&place), cut).expect("ours");
    assert!(verify(&place, None).is_ok(), "a chain alone does not show a cut end");
    let cut = verify_signed(&place, None, &signed).expect_err("cut");
    assert!(matches!(cut, VerifyError::EndsBeforeAnchor { sequence: 7, last: 5 }), "{cut}");

    forge(&place, |recipient| recipient.replace("loyalty", "harmless"));
    assert!(verify(&place, None).is_ok(), "a chain alone does not show that it was computed anew");
    let forged = verify_signed(&place, None, &signed).expect_err("forged");
    assert!(matches!(forged, VerifyError::NotAsSigned { sequence: 4, .. }), "{forged}");
}

#[test]
fn one_record_is_shown_without_the_others() {
    let (directory, key) = signed_ledger();
    let (at, key) = (directory.path(), key.to_string());
    for record in 1..=7 {
        let proof = tamis(at, &["prove", "ledger", "--key", &key, "--record", &record.to_string()]);
        assert!(proof.status.success(), "{proof:?}");
        fs::write(at.join("proof"), &proof.stdout).expect("ours");
        let shown = tamis(at, &["check-proof", "--key", &key, "proof"]);
        assert!(shown.status.success(), "{shown:?}");
        let shown = String::from_utf8(shown.stdout).expect("a record");
        assert!(shown.contains(&format!("\"seq\":{record},")), "{shown}");

        let text = String::from_utf8(proof.stdout).expect("text");
        let other = text.replacen(&format!("index {}", record - 1), "index 9", 1);
        fs::write(at.join("proof"), other).expect("ours");
        assert_eq!(tamis(at, &["check-proof", "--key", &key, "proof"]).status.code(), Some(1));
        fs::write(
            at.join("proof"),
            text.replacen("\n7\n", "\n8\n", 1).replacen("\n4\n", "\n5\n", 1),
        )
        .expect("ours");
        assert_eq!(tamis(at, &["check-proof", "--key", &key, "proof"]).status.code(), Some(3));
    }
    let later = tamis(at, &["prove", "ledger", "--key", &key, "--record", "8"]);
    assert_eq!(later.status.code(), Some(1), "signed by no checkpoint yet");
    let other = tamis(at, &["new-key", "--name", NAME, "--out", "other"]);
    let other = String::from_utf8(other.stdout).expect("a key");
    let again = tamis(at, &["show-key", "other"]);
    assert_eq!(String::from_utf8(again.stdout).expect("a key"), other);
    let foreign = tamis(at, &["prove", "ledger", "--key", other.trim_end(), "--record", "1"]);
    assert_eq!(foreign.status.code(), Some(3));
}

#[test]
fn verify_takes_the_checkpoints_beside_the_ledger_or_those_kept_elsewhere() {
    let (directory, key) = signed_ledger();
    let (at, key) = (directory.path(), key.to_string());
    let whole = tamis(at, &["verify", "ledger", "--key", &key]);
    let said = String::from_utf8(whole.stdout).expect("text");
    assert!(said.contains("2 signed checkpoints hold, the last of record 7"), "{said}");

    fs::rename(at.join("ledger/checkpoints.jsonl"), at.join("elsewhere")).expect("ours");
    forge(&at.join("ledger"), |recipient| recipient.replace("loyalty", "harmless"));
    let elsewhere = ["verify", "ledger", "--key", &key, "--checkpoints", "elsewhere"];
    assert_eq!(tamis(at, &elsewhere).status.code(), Some(1));
    let text = fs::read_to_string(at.join("elsewhere")).expect("ours");
    fs::write(at.join("elsewhere"), text.replacen("\\n4\\n", "\\n5\\n", 1)).expect("ours");
    assert_eq!(tamis(at, &elsewhere).status.code(), Some(3));
}

#[test]
fn a_second_verifier_comes_to_the_same_conclusions() {
    let (directory, key) = signed_ledger();
    let place = directory.path().join("ledger");
    let found = verify(&place, None).expect("whole");
    let agreed = python(&place, &key);
    assert!(agreed.status.success(), "{agreed:?}");
    let said = String::from_utf8(agreed.stdout).expect("text");
    assert_eq!(said.trim_end(), format!("10 records, head {}", found.head));

    let whole = fs::read_to_string(segment(&place)).expect("ours");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    let tampered = [
        ("edited", whole.replacen("loyalty", "harmless", 1)),
        ("deleted", without(4)),
        ("swapped", [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat().concat()),
        ("twice", [&lines[..3], &[lines[2]], &lines[3..]].concat().concat()),
        ("cut", lines[..6].concat()),
    ];
    for (what, text) in tampered {
        fs::write(segment(&place), text).expect("ours");
        let seen = python(&place, &key);
        assert!(!seen.status.success(), "{what}");
        assert!(verify_signed(&place, None, &checkpoints(&place, &key)).is_err(), "{what}");
    }
    forge(&place, |recipient| recipient.replace("loyalty", "harmless"));
    let seen = python(&place, &key);
    assert!(
        String::from_utf8_lossy(&seen.stderr).contains("not those that were signed"),
        "{seen:?}"
    );
    let other = NoteSigner::generate(&directory.path().join("other"), NAME).expect("makes a key");
    assert!(!python(&place, &other.key()).status.success(), "another key");
}

/// Segments are begun with the tree so far, so that a start reads the last one only; what is noted
/// there is compared when everything is read.
#[test]
fn the_tree_goes_on_over_starts_and_its_notes_are_verified() {
    let (directory, _key) = signed_ledger();
    let place = directory.path().join("ledger");
    let before = FileLedger::open(&place, "gw-1").expect("opens").tree();
    assert_eq!(before.size(), 10);
    let ledger = FileLedger::open(&place, "gw-1").expect("opens again");
    block_on(ledger.open(&disclosure(11))).expect("durable");
    let tree = ledger.tree();
    assert_eq!(tree.size(), 11);
    drop(ledger);
    let head = verify(&place, None).expect("whole").head;
    assert_eq!(verify(&place, Some(Anchor { ..head })).expect("whole").records, 11);

    fs::write(place.join("000001.tree"), format!("{}\n", before.to_line())).expect("ours");
    let wrong = verify(&place, None).expect_err("the first segment begins with nothing");
    assert!(matches!(wrong, VerifyError::TreeNote { sequence: 0, segment: 1 }), "{wrong}");
}
