//! The ledger: every tampering is seen and named, every crash is recovered, nothing is lost that
//! was acknowledged.

mod signed;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tamis::ledger::{
    Anchor, Disclosure, FileLedger, GENESIS, Ledger, Note, Outcome, Refused, VerifyError, verify,
};
use tamis::terms::RefusalReason;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

pub(crate) fn disclosure(number: usize) -> Disclosure {
    Disclosure {
        decision: format!("d_{number}").into(),
        policy: ("marketplace".into(), "2018-05".into(), GENESIS),
        route: "GET /v2/users/{user_id}".into(),
        recipient: "loyalty-partner".into(),
        role: "third-party",
        category_of_recipient: Some("partner.loyalty".into()),
        country: Some("DE".into()),
        purposes: vec!["share.partner".into()],
        basis: vec!["consent"],
        case: None,
        order: None,
        aggregated: None,
        tunnel: None,
        released: vec![("contact.email".into(), "keep".into())],
        withheld: vec![("contact.phone".into(), "no grant".into())],
        people: vec![],
    }
}

fn outcome() -> Outcome {
    Outcome {
        complete: true,
        refusal: None,
        status: 200,
        bytes: 1834,
        elements: Some((19, 1)),
        unlisted: 2,
        tunnel: None,
    }
}

/// A ledger of `count` openings, one record each, in a fresh directory.
fn ledger(count: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    let ledger = FileLedger::open(directory.path(), "gw-1").expect("opens");
    for number in 1..=count {
        block_on(ledger.open(&disclosure(number))).expect("durable");
    }
    directory
}

fn segment(directory: &Path) -> PathBuf {
    directory.join("000001.jsonl")
}

fn records(directory: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(segment(directory))
        .expect("readable")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record is JSON"))
        .collect()
}

#[test]
fn an_opening_is_durable_with_all_that_an_auditor_needs_and_nobody_s_name() {
    let directory = ledger(1);
    let record = &records(directory.path())[0];
    for (member, expected) in [
        ("kind", "disclosure"),
        ("id", "d_1"),
        ("node", "gw-1"),
        ("route", "GET /v2/users/{user_id}"),
        ("recipient", "loyalty-partner"),
        ("role", "third-party"),
        ("country", "DE"),
    ] {
        assert_eq!(record[member], expected);
    }
    assert_eq!(record["seq"], 1);
    assert_eq!(record["released"]["contact.email"], "keep");
    assert_eq!(record["withheld"]["contact.phone"], "no grant");
    assert_eq!(record["policy"]["digest"], GENESIS.to_string());
    assert!(record.get("case").is_none(), "what is not known is left out");
}

#[test]
fn what_nobody_waits_for_is_entered_when_the_ledger_has_settled_however_much_it_is() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let ledger = FileLedger::open(directory.path(), "gw-1").expect("opens");
    let receipt = block_on(ledger.open(&disclosure(1))).expect("durable");
    // Several times as many as are made durable together.
    for _ in 0..1000 {
        ledger.close(receipt.clone(), outcome());
    }
    block_on(ledger.settle());
    assert_eq!(ledger.tree().size(), 1001);
    assert_eq!(verify(directory.path(), None).expect("whole").records, 1001);
}

#[test]
fn outcomes_refusals_and_notes_are_entered_in_order_and_kept_when_the_gateway_stops() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let ledger = FileLedger::open(directory.path(), "gw-1").expect("opens");
    let receipt = block_on(ledger.open(&disclosure(1))).expect("durable");
    assert_eq!(receipt.sequence, 1);
    ledger.close(receipt, outcome());
    ledger.refuse(Refused {
        decision: "d_2".into(),
        reason: RefusalReason::ConsentMissing,
        policy: GENESIS,
        route: Some("GET /v2/users/{user_id}".into()),
        recipient: Some("loyalty-partner".into()),
        role: Some("third-party"),
        purposes: vec!["share.partner".into()],
    });
    let change = Note::Register {
        number: 7,
        recorded_at: "2026-11-02T00:00:00Z".into(),
        register: "consent".into(),
        change: "withdrawn".into(),
        purpose: Some("share.partner".into()),
    };
    assert_eq!(block_on(ledger.note(&change)).expect("durable"), 4);
    drop(ledger);

    let records = records(directory.path());
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["disclosure", "outcome", "refusal", "register"]);
    assert_eq!(records[1]["opening"], 1);
    assert_eq!(records[1]["elements"]["dropped"], 1);
    assert_eq!(records[2]["reason"], "consent-missing");
    assert_eq!(records[3]["number"], 7);
    assert_eq!(verify(directory.path(), None).expect("whole").records, 4);
}

#[test]
fn openings_that_wait_together_are_each_entered_once() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let ledger = std::sync::Arc::new(FileLedger::open(directory.path(), "gw-1").expect("opens"));
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("runtime");
    let openings: Vec<_> = (0..300)
        .map(|number| {
            let ledger = std::sync::Arc::clone(&ledger);
            runtime.spawn(async move { ledger.open(&disclosure(number)).await })
        })
        .collect();
    let mut sequences: Vec<u64> = openings
        .into_iter()
        .map(|opening| runtime.block_on(opening).expect("no panic").expect("durable").sequence)
        .collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=300).collect::<Vec<u64>>());
    drop(ledger);
    assert_eq!(verify(directory.path(), None).expect("whole").records, 300);
}

/// Whoever verifies sees by the lock whether there is a writer, and so once held it for a moment: a gateway
/// that began then was refused.
#[test]
fn who_looks_at_a_ledger_keeps_no_gateway_from_it() {
    let directory = ledger(1);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let _ = verify(directory.path(), None);
            }
        });
        let opened: Vec<_> =
            (0..300).map(|_| FileLedger::open(directory.path(), "gw-1").map(drop)).collect();
        is_done.store(true, Ordering::Relaxed);
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    });
}

#[test]
fn a_second_gateway_on_the_same_ledger_is_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let first = FileLedger::open(directory.path(), "gw-1").expect("opens");
    assert!(FileLedger::open(directory.path(), "gw-2").is_err());
    drop(first);
    assert!(FileLedger::open(directory.path(), "gw-2").is_ok());
}

/// What happens to the lines of a ledger.
type Edit = fn(&mut Vec<String>);

/// One way to tamper with a ledger of eight records, and what `verify` must say of it.
struct Tampering {
    what: &'static str,
    how: Edit,
    sequence: u64,
    finds: fn(&VerifyError) -> bool,
}

fn sequence(error: &VerifyError) -> Option<u64> {
    match error {
        VerifyError::Io(_) | VerifyError::Empty => None,
        VerifyError::NotARecord { sequence, .. }
        | VerifyError::Edited { sequence, .. }
        | VerifyError::Unlinked { sequence, .. }
        | VerifyError::OutOfOrder { sequence, .. }
        | VerifyError::Gap { sequence, .. }
        | VerifyError::SegmentMissing { sequence, .. }
        | VerifyError::TornTail { sequence, .. }
        | VerifyError::Rewritten { sequence, .. }
        | VerifyError::NotAsSigned { sequence, .. }
        | VerifyError::TreeNote { sequence, .. }
        | VerifyError::NotRetired { sequence }
        | VerifyError::AnchorRetired { sequence, .. }
        | VerifyError::CutNotSigned { sequence, .. }
        | VerifyError::EndsBeforeAnchor { sequence, .. } => Some(*sequence),
    }
}

/// Changes the record and gives it the hash of its new content, as a careful hand would.
fn rehash(line: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
    change(&mut record);
    let members = record.as_object_mut().expect("an object");
    members.remove("hash");
    let previous = members.remove("prev").expect("there");
    let previous = tamis::terms::Digest::parse(previous.as_str().expect("text")).expect("hex");
    // Members of these records sort alike by bytes and by UTF-16.
    let hash = tamis::ledger::link(&previous, record.to_string().as_bytes());
    record["prev"] = previous.hex().into();
    record["hash"] = hash.hex().into();
    record.to_string()
}

#[test]
fn every_tampering_is_seen_and_the_first_bad_record_named() {
    use VerifyError::{Edited, Gap, NotARecord, OutOfOrder, TornTail, Unlinked};
    let edited: fn(&VerifyError) -> bool = |error| matches!(error, Edited { .. });
    let no_record: fn(&VerifyError) -> bool = |error| matches!(error, NotARecord { .. });
    let cases = [
        Tampering {
            what: "a recipient is changed",
            how: |lines| lines[2] = lines[2].replace("loyalty-partner", "courier"),
            sequence: 3,
            finds: edited,
        },
        Tampering {
            what: "a member is removed",
            how: |lines| lines[2] = lines[2].replace("\"country\":\"DE\",", ""),
            sequence: 3,
            finds: edited,
        },
        Tampering {
            what: "a member is added",
            how: |lines| lines[2] = lines[2].replacen('{', "{\"a\":1,", 1),
            sequence: 3,
            finds: edited,
        },
        Tampering {
            what: "a number is changed",
            how: |lines| lines[3] = lines[3].replace("\"seq\":4", "\"seq\":5"),
            sequence: 4,
            finds: edited,
        },
        Tampering {
            what: "the hash is changed",
            how: |lines| {
                let at = lines[4].find("\"hash\":\"").expect("there") + 8;
                let digit = if lines[4][at..].starts_with('0') { "1" } else { "0" };
                lines[4].replace_range(at..=at, digit);
            },
            sequence: 5,
            finds: edited,
        },
        Tampering {
            what: "white space is added",
            how: |lines| lines[2] = lines[2].replace(':', ": "),
            sequence: 3,
            finds: no_record,
        },
        Tampering {
            what: "a member is repeated",
            how: |lines| lines[2] = lines[2].replacen("\"v\":2", "\"v\":2,\"v\":2", 1),
            sequence: 3,
            finds: no_record,
        },
        Tampering {
            what: "a line is emptied",
            how: |lines| lines[2].clear(),
            sequence: 3,
            finds: no_record,
        },
        Tampering {
            what: "a line is cut in its middle",
            how: |lines| lines[2].truncate(100),
            sequence: 3,
            finds: no_record,
        },
        Tampering {
            what: "two lines are joined",
            how: |lines| {
                let next = lines.remove(3);
                lines[2].push_str(&next);
            },
            sequence: 3,
            finds: no_record,
        },
        Tampering {
            what: "a foreign line is put in",
            how: |lines| lines.insert(4, "{\"kind\":\"note\"}".into()),
            sequence: 5,
            finds: no_record,
        },
        Tampering {
            what: "a record is removed",
            how: |lines| drop(lines.remove(3)),
            sequence: 4,
            finds: |error| matches!(error, Gap { found: 5, .. }),
        },
        Tampering {
            what: "the first record is removed",
            how: |lines| drop(lines.remove(0)),
            sequence: 1,
            finds: |error| matches!(error, Gap { found: 2, .. }),
        },
        Tampering {
            what: "three records are removed",
            how: |lines| drop(lines.drain(2..5)),
            sequence: 3,
            finds: |error| matches!(error, Gap { found: 6, .. }),
        },
        Tampering {
            what: "two records are swapped",
            how: |lines| lines.swap(3, 4),
            sequence: 4,
            finds: |error| matches!(error, OutOfOrder { found: 5, .. }),
        },
        Tampering {
            what: "a record is repeated",
            how: |lines| lines.insert(4, lines[3].clone()),
            sequence: 5,
            finds: |error| matches!(error, OutOfOrder { found: 4, .. }),
        },
        Tampering {
            what: "a record is moved to the end",
            how: |lines| {
                let moved = lines.remove(1);
                lines.push(moved);
            },
            sequence: 2,
            finds: |error| matches!(error, OutOfOrder { found: 3, .. }),
        },
        Tampering {
            what: "a record is rewritten with its own hash, not the next one",
            how: |lines| {
                lines[2] = rehash(&lines[2], |record| record["recipient"] = "courier".into());
            },
            sequence: 4,
            finds: |error| matches!(error, Unlinked { .. }),
        },
        Tampering {
            what: "a record is removed and the rest numbered anew",
            how: |lines| {
                lines.remove(3);
                for (at, line) in lines.iter_mut().enumerate().skip(3) {
                    *line = rehash(line, |record| record["seq"] = (at as u64 + 1).into());
                }
            },
            sequence: 4,
            finds: |error| matches!(error, Unlinked { .. }),
        },
        Tampering {
            what: "the last record is edited",
            how: |lines| lines[7] = lines[7].replace("loyalty-partner", "courier"),
            sequence: 8,
            finds: edited,
        },
        Tampering {
            what: "the last line is cut",
            how: |lines| lines[7].truncate(50),
            sequence: 8,
            finds: |error| matches!(error, TornTail { .. }),
        },
    ];
    let directory = ledger(8);
    let whole = fs::read_to_string(segment(directory.path())).expect("readable");
    assert_eq!(verify(directory.path(), None).expect("whole").records, 8);
    for case in cases {
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        (case.how)(&mut lines);
        fs::write(segment(directory.path()), lines.join("\n") + "\n").expect("ours");
        let error = verify(directory.path(), None).expect_err(case.what);
        assert_eq!(sequence(&error), Some(case.sequence), "{}: {error}", case.what);
        assert!((case.finds)(&error), "{}: {error}", case.what);
    }
}

#[test]
fn any_byte_that_is_changed_is_found_in_its_record() {
    let directory = ledger(3);
    let whole = fs::read(segment(directory.path())).expect("readable");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        // Case is flipped where there is one, which the hexadecimal digits must not survive either.
        bytes[at] ^= 0x20;
        let record = whole[..at].split(|byte| *byte == b'\n').count() as u64;
        fs::write(segment(directory.path()), &bytes).expect("ours");
        let error = verify(directory.path(), None).expect_err("a byte was changed");
        assert_eq!(sequence(&error), Some(record), "byte {at}: {error}");
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_cut_entered() {
    let directory = ledger(3);
    let whole = fs::read(segment(directory.path())).expect("readable");
    let second = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1);
    let start = second.expect("three lines").0 + 1;
    for length in start..whole.len() {
        fs::write(segment(directory.path()), &whole[..length]).expect("ours");
        let torn = (length - start) as u64;
        let found = verify(directory.path(), None);
        assert_eq!(found.is_err(), torn > 0, "{torn} bytes");

        let ledger = FileLedger::open(directory.path(), "gw-1").expect("recovers");
        block_on(ledger.open(&disclosure(9))).expect("durable");
        drop(ledger);
        let records = records(directory.path());
        if torn == 0 {
            assert_eq!(records.len(), 3);
        } else {
            assert_eq!(records[2]["kind"], "recovery");
            assert_eq!(records[2]["bytes_cut"], torn);
            assert_eq!(records.len(), 4);
        }
        verify(directory.path(), None).expect("whole again");
    }
}

#[test]
fn zeros_after_a_power_cut_are_a_torn_tail() {
    let directory = ledger(2);
    let mut bytes = fs::read(segment(directory.path())).expect("readable");
    bytes.extend([0; 4096]);
    fs::write(segment(directory.path()), bytes).expect("ours");
    drop(FileLedger::open(directory.path(), "gw-1").expect("recovers"));
    assert_eq!(records(directory.path())[2]["bytes_cut"], 4096);
}

#[test]
fn a_ledger_broken_before_its_tail_does_not_open() {
    let directory = ledger(4);
    let whole = fs::read_to_string(segment(directory.path())).expect("readable");
    let broken: [Edit; 4] = [
        |lines| lines[1].truncate(20),
        |lines| drop(lines.remove(1)),
        |lines| lines[1] = lines[1].replace("loyalty-partner", "courier"),
        // Edited, not torn: a write that was cut off cannot leave a whole record.
        |lines| lines[3] = lines[3].replace("loyalty-partner", "courier"),
    ];
    for how in broken {
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        how(&mut lines);
        fs::write(segment(directory.path()), lines.join("\n") + "\n").expect("ours");
        assert!(FileLedger::open(directory.path(), "gw-1").is_err());
    }
}

#[test]
fn an_anchor_kept_elsewhere_shows_a_cut_tail_and_a_chain_computed_anew() {
    let directory = ledger(5);
    let head = verify(directory.path(), None).expect("whole").head;
    let anchor: Anchor = head.to_string().parse().expect("reads what it prints");
    assert_eq!(verify(directory.path(), Some(anchor)).expect("whole").head, anchor);

    let whole = fs::read_to_string(segment(directory.path())).expect("readable");
    let cut: Vec<&str> = whole.lines().take(4).collect();
    fs::write(segment(directory.path()), cut.join("\n") + "\n").expect("ours");
    assert!(verify(directory.path(), None).is_ok(), "a chain alone cannot show this");
    let error = verify(directory.path(), Some(anchor)).expect_err("cut");
    assert!(matches!(error, VerifyError::EndsBeforeAnchor { sequence: 5, last: 4 }), "{error}");

    let other = ledger(5);
    let error = verify(other.path(), Some(anchor)).expect_err("another chain");
    assert!(matches!(error, VerifyError::Rewritten { sequence: 5, .. }), "{error}");
}

#[test]
fn verify_runs_beside_the_gateway_that_writes() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let ledger = FileLedger::open(directory.path(), "gw-1").expect("opens");
    block_on(ledger.open(&disclosure(1))).expect("durable");
    let mut bytes = fs::read(segment(directory.path())).expect("readable");
    bytes.extend(b"{\"at\":\"2026");
    // As a reader sees it while the next write is under way.
    fs::write(segment(directory.path()), &bytes).expect("ours");
    let found = verify(directory.path(), None).expect("whole so far");
    assert_eq!((found.records, found.unfinished_bytes), (1, 11));
}

#[test]
fn an_empty_directory_is_no_ledger() {
    let directory = tempfile::tempdir().expect("temporary directory");
    assert!(matches!(verify(directory.path(), None), Err(VerifyError::Empty)));
}
