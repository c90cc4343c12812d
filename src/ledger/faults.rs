//! What the writer does when the disk fails: every write, every sync, with a part written or none.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::chained::{End as _, plain};
use super::record::omission;
use super::tail::{Medium, Mount, SEGMENT_BYTES, Segmenting, Tail};
use super::{FileLedger, Ledger as _, verify};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The write fails after this many bytes, as on a full disk.
    Write(usize),
    /// The sync fails with everything written.
    Sync,
}

/// Fails the `at`-th commit, and `times` commits from there on.
struct Failing {
    file: File,
    plan: Arc<Plan>,
}

struct Plan {
    commits: AtomicUsize,
    failing: Mutex<(std::ops::Range<usize>, Fault)>,
}

impl Plan {
    fn now(&self) -> Option<Fault> {
        let (range, fault) = self.failing.lock().expect("no test panics here").clone();
        range.contains(&self.commits.load(Ordering::Relaxed)).then_some(fault)
    }
}

impl Medium for Failing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.plan.commits.fetch_add(1, Ordering::Relaxed);
        if let Some(Fault::Write(part)) = self.plan.now() {
            self.file.append(&bytes[..part.min(bytes.len())])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.plan.now() {
            Some(Fault::Sync) => Err(io::Error::other("injected")),
            _ => self.file.sync(),
        }
    }
}

fn failing(range: std::ops::Range<usize>, fault: Fault) -> (Mount, Arc<Plan>) {
    let plan = Arc::new(Plan { commits: AtomicUsize::new(0), failing: Mutex::new((range, fault)) });
    let shared = Arc::clone(&plan);
    (Box::new(move |file| Box::new(Failing { file, plan: Arc::clone(&shared) })), plan)
}

fn small(bytes: u64) -> Segmenting {
    Segmenting { bytes, ..Segmenting::default() }
}

fn open(directory: &Path, segment_bytes: u64, mount: Mount) -> Tail {
    Tail::open(directory, "gw-1", small(segment_bytes), mount)
        .expect("the directory is fresh and ours")
}

#[test]
fn a_failed_write_or_sync_loses_and_doubles_nothing() {
    for fault in [Fault::Write(0), Fault::Write(1), Fault::Write(150), Fault::Sync] {
        for at in 1..6 {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mount, _plan) = failing(at..at + 2, fault);
            let mut tail = open(directory.path(), SEGMENT_BYTES, mount);
            let acknowledged: Vec<u64> =
                (0..12).filter_map(|_| tail.commit(vec![omission(1)]).ok()).collect();
            drop(tail);
            let verified = verify(directory.path(), None).expect("the chain is whole");
            let text =
                std::fs::read_to_string(directory.path().join("000001.jsonl")).expect("text");
            let entered: Vec<u64> = text
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
                .filter(|record| record["kind"] == "omission")
                .filter_map(|record| record["seq"].as_u64())
                .collect();
            assert_eq!(entered, acknowledged, "{fault:?} at {at}");
            assert!(verified.records >= acknowledged.len() as u64, "{fault:?} at {at}");
            assert!(acknowledged.len() >= 9, "{fault:?} at {at}: it recovers by itself");
        }
    }
}

#[test]
fn rotation_keeps_one_chain_over_all_segments() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut tail = open(directory.path(), 1000, plain());
    for _ in 0..40 {
        tail.commit(vec![omission(1)]).expect("the disk works");
    }
    drop(tail);
    assert!(directory.path().join("000003.jsonl").exists());
    assert_eq!(verify(directory.path(), None).expect("whole").records, 40);

    // A crash between making a segment and writing to it leaves an empty one.
    let numbers = super::segment::numbers(directory.path()).expect("readable");
    let next = numbers.last().expect("at least one") + 1;
    File::create(super::segment::path_of(directory.path(), next)).expect("ours");
    let mut tail = open(directory.path(), 1000, plain());
    assert_eq!(tail.commit(vec![omission(1)]).ok(), Some(41));
    drop(tail);
    assert_eq!(verify(directory.path(), None).expect("whole").records, 41);
}

#[test]
fn a_missing_segment_is_seen_at_the_start_and_by_verify() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut tail = open(directory.path(), 1000, plain());
    for _ in 0..40 {
        tail.commit(vec![omission(1)]).expect("the disk works");
    }
    drop(tail);
    std::fs::remove_file(directory.path().join("000002.jsonl")).expect("ours");
    assert!(Tail::open(directory.path(), "gw-1", small(1000), plain()).is_err());
    let found = verify(directory.path(), None).expect_err("a segment is missing");
    assert!(found.is_gap(), "{found}");
    assert!(found.to_string().contains("segment 2 is missing"), "{found}");
}

#[test]
fn a_file_that_is_removed_replaced_or_cut_stops_entries_until_it_is_back() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("000001.jsonl");
    let aside = directory.path().join("aside");
    let mut tail = open(directory.path(), SEGMENT_BYTES, plain());
    tail.commit(vec![omission(1), omission(2)]).expect("the disk works");

    std::fs::rename(&path, &aside).expect("ours");
    assert!(tail.commit(vec![omission(3)]).is_err(), "removed");
    std::fs::copy(&aside, &path).expect("ours");
    assert!(tail.commit(vec![omission(3)]).is_err(), "replaced");
    std::fs::rename(&aside, &path).expect("ours");
    assert_eq!(tail.commit(vec![omission(3)]).ok(), Some(3), "back");

    let text = std::fs::read(&path).expect("ours");
    std::fs::write(&path, &text[..text.len() - 1]).expect("ours");
    assert!(tail.commit(vec![omission(4)]).is_err(), "cut");
    std::fs::write(&path, &text).expect("ours");
    assert_eq!(tail.commit(vec![omission(4)]).ok(), Some(4), "whole again");

    std::fs::write(
        &path,
        [&std::fs::read(&path).expect("ours")[..], b"written by another"].concat(),
    )
    .expect("ours");
    assert_eq!(tail.commit(vec![omission(5)]).ok(), Some(6), "after a recovery record");
    drop(tail);
    assert_eq!(verify(directory.path(), None).expect("whole").records, 6);
}

#[test]
fn what_nobody_waits_for_survives_a_disk_that_is_away() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (mount, plan) = failing(1..usize::MAX, Fault::Write(7));
    let ledger = FileLedger::start(
        directory.path().into(),
        Box::new(open(directory.path(), SEGMENT_BYTES, mount)),
        None,
    )
    .expect("threads can be started");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let note =
        super::Note::Policy { id: "demo".into(), revision: "1".into(), digest: super::GENESIS };
    let receipt = super::Receipt { sequence: 1, decision: "d_1".into() };
    let outcome = super::Outcome {
        complete: true,
        refusal: None,
        status: 200,
        bytes: 10,
        elements: None,
        unlisted: 0,
        tunnel: None,
    };
    ledger.close(receipt, outcome);
    assert!(runtime.block_on(ledger.note(&note)).is_err());
    assert!(ledger.writable().is_err());

    plan.failing.lock().expect("no test panics here").0 = 0..0;
    assert!(runtime.block_on(ledger.note(&note)).is_ok());
    assert!(ledger.writable().is_ok());
    drop(ledger);
    let text = std::fs::read_to_string(directory.path().join("000001.jsonl")).expect("text");
    let kinds: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|record| record["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["recovery", "outcome", "policy"]);
}
