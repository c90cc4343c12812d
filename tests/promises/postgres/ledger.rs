//! The ledger on a server: one chain a node, the same lines as in files, so that every tampering is seen
//! and named; two writers never share a chain; nothing that was acknowledged is lost, whatever becomes of
//! the server, and nothing is taken by a server that lacks it.

mod faults;
mod people;
mod retired;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use tamis::keys::{NoteKey, NoteSigner};
use tamis::ledger::{
    ChainLedger, Checkpoint, GENESIS, Ledger as _, LedgerServer, Note, Place, ServerSettings,
    VerifyError, export, keep_note, kept_notes, verify, verify_signed,
};
use tamis::observe::Metrics;
use tempfile::{TempDir, tempdir};

use super::server::{Server, shared};
use crate::ledger::{block_on, disclosure};

const NAME: &str = "ledger.example.invalid/gw-1";

fn note(id: &str) -> Note {
    Note::Policy { id: id.into(), revision: "1".into(), digest: GENESIS }
}

/// A database of a server, and gateways' places on it.
struct Scene {
    name: String,
    seat: TempDir,
}

impl Scene {
    /// On the server that all tests share.
    fn new(name: &str) -> Self {
        Self::on(shared(), name)
    }

    fn on(server: &Server, name: &str) -> Self {
        server.sql("postgres", &format!("CREATE DATABASE {name} OWNER gateway"));
        let scene = Self { name: name.into(), seat: tempdir().expect("a folder") };
        let settings = scene.settings(server, server.port, "owner");
        assert_eq!(LedgerServer::migrate(&settings, None).expect("migrates"), (0, 1));
        scene
    }

    /// Of the gateway `node`, which reaches `server` through `port`.
    fn settings(&self, server: &Server, port: u16, node: &str) -> ServerSettings {
        let seat = self.seat.path().join(node);
        fs::create_dir_all(&seat).expect("ours");
        let words = server.settings(&self.name, &seat, port);
        ServerSettings {
            url_file: words.url_file,
            ca: words.ca,
            node: node.into(),
            mark: seat.join("ledger.mark"),
            segment_bytes: ServerSettings::SEGMENT_BYTES,
        }
    }

    fn sql(&self, statements: &str) -> String {
        shared().sql(&self.name, statements)
    }

    /// The gateway `node` on the shared server, as it opens its ledger.
    fn open(&self, node: &str) -> ChainLedger {
        open(&self.settings(shared(), shared().port, node)).expect("opens")
    }

    /// The chain of `node` on the shared server, as whoever reads it sees it.
    fn chain(&self, node: &str) -> Place {
        chain(&self.settings(shared(), shared().port, node))
    }
}

fn open(settings: &ServerSettings) -> Result<ChainLedger, String> {
    let server = LedgerServer::open(settings).map_err(|error| error.to_string())?;
    ChainLedger::open_on_server(&server, settings, Arc::new(Metrics::new()), None)
        .map_err(|error| error.to_string())
}

fn chain(settings: &ServerSettings) -> Place {
    let server = LedgerServer::open(settings).expect("settings");
    Place::Server(server.chain(&settings.node))
}

/// Writes the chain into a new directory.
fn exported(place: &Place) -> TempDir {
    let Place::Server(chain) = place else { panic!("a server's") };
    let folder = tempdir().expect("a folder");
    export(chain, &folder.path().join("ledger")).expect("written");
    folder
}

fn python(place: &Path, key: &NoteKey) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_ledger.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(place).arg(key.to_string()).output().expect("python3 is installed")
}

/// A chain of ten openings, signed after seven.
fn signed(scene: &Scene) -> NoteKey {
    let signer = NoteSigner::generate(&scene.seat.path().join("key"), NAME).expect("makes a key");
    let ledger = scene.open("gw-1");
    for number in 1..=10 {
        let receipt = block_on(ledger.open(&disclosure(number))).expect("durable");
        assert_eq!(receipt.sequence, number as u64);
        if number == 7 {
            let text = signer.sign(&Checkpoint::of(NAME, &ledger.tree()).text());
            keep_note(ledger.place(), "2026-11-24T12:00:00Z", &text).expect("kept");
        }
    }
    signer.key()
}

fn checkpoints(place: &Place, key: &NoteKey) -> Vec<Checkpoint> {
    let notes = kept_notes(place).expect("readable").notes;
    let read = |note: &String| Checkpoint::parse(key.open(note).expect("signed"));
    notes.iter().map(|note| read(note).expect("a checkpoint")).collect()
}

#[test]
fn a_chain_on_a_server_is_that_of_files_and_verifies_like_it() {
    let scene = Scene::new("ledger_like_files");
    let key = signed(&scene);
    let place = scene.chain("gw-1");
    let found = verify_signed(&place, None, &checkpoints(&place, &key)).expect("whole");
    assert_eq!((found.records, found.unfinished_bytes), (10, 0));

    let folder = exported(&place);
    let directory = folder.path().join("ledger");
    let same = verify_signed(&directory, None, &checkpoints(&Place::from(&directory), &key));
    assert_eq!(same.expect("whole"), found);
    let agreed = python(&directory, &key);
    let said = String::from_utf8_lossy(&agreed.stdout);
    assert_eq!(said.trim_end(), format!("10 records, head {}", found.head), "{agreed:?}");

    // It goes on where it ended, under the lines that a file would have.
    let ledger = scene.open("gw-1");
    assert_eq!(block_on(ledger.note(&note("p"))).expect("durable"), 11);
    drop(ledger);
    assert_eq!(verify(&place, Some(found.head)).expect("whole").records, 11);
}

#[test]
fn whatever_is_done_to_rows_is_seen_at_the_first_bad_record() {
    let scene = Scene::new("ledger_tampered");
    let key = signed(&scene);
    let place = scene.chain("gw-1");
    scene.sql("CREATE TABLE kept AS SELECT * FROM tamis_ledger.records");
    let swap = "UPDATE tamis_ledger.records SET line = (SELECT line FROM kept WHERE kept.seq =
      CASE records.seq WHEN 3 THEN 4 ELSE 3 END) WHERE seq IN (3, 4)";
    let second = "UPDATE tamis_ledger.records SET line = (SELECT line FROM kept WHERE seq = 4)
      WHERE seq = 5";
    let cases = [
        (
            "flipped",
            "UPDATE tamis_ledger.records SET line = replace(line, 'loyalty', 'harmless')
          WHERE seq = 6",
            6,
            false,
        ),
        (
            "cut short",
            "UPDATE tamis_ledger.records SET line = left(line, 40) WHERE seq = 2",
            2,
            false,
        ),
        (
            "the last cut short",
            "UPDATE tamis_ledger.records SET line = left(line, 40) WHERE seq = 10",
            10,
            false,
        ),
        ("deleted", "DELETE FROM tamis_ledger.records WHERE seq = 5", 5, true),
        ("the first deleted", "DELETE FROM tamis_ledger.records WHERE seq = 1", 1, true),
        ("swapped", swap, 3, false),
        ("twice", second, 5, false),
        (
            "two in one row",
            "UPDATE tamis_ledger.records SET line = line || chr(10) || line
          WHERE seq = 8",
            9,
            false,
        ),
        ("the end deleted", "DELETE FROM tamis_ledger.records WHERE seq > 5", 7, true),
        (
            "the segment moved",
            "UPDATE tamis_ledger.segments SET tree = '1 ' || repeat('0', 64)",
            1,
            true,
        ),
        ("the segment deleted", "DELETE FROM tamis_ledger.segments", 0, false),
    ];
    for (what, tamper, first, is_gap) in cases {
        scene.sql(tamper);
        let error = verify_signed(&place, None, &checkpoints(&place, &key)).expect_err(what);
        let said = error.to_string();
        let named = said.contains(&format!("record {first} "))
            || said.contains(&format!("record {first}:"))
            || matches!(error, VerifyError::Empty)
            || matches!(error, VerifyError::SegmentMissing { .. } | VerifyError::TreeNote { .. });
        assert!(named, "{what}: {said}");
        assert!(
            error.is_gap() == is_gap || matches!(error, VerifyError::TreeNote { .. }),
            "{what}: {said}"
        );
        scene.sql(
            "TRUNCATE tamis_ledger.records; INSERT INTO tamis_ledger.records SELECT * FROM kept;
             DELETE FROM tamis_ledger.segments;
             INSERT INTO tamis_ledger.segments VALUES ('gw-1', 1, '0')",
        );
        verify_signed(&place, None, &checkpoints(&place, &key)).expect("whole again");
    }
}

#[test]
fn a_chain_that_was_touched_is_not_gone_on_with() {
    let scene = Scene::new("ledger_touched");
    signed(&scene);
    scene.sql("CREATE TABLE kept AS SELECT * FROM tamis_ledger.records");
    let settings = scene.settings(shared(), shared().port, "gw-1");
    for tamper in [
        "UPDATE tamis_ledger.records SET line = replace(line, 'loyalty', 'harmless') WHERE seq = 6",
        "DELETE FROM tamis_ledger.records WHERE seq = 10",
        "UPDATE tamis_ledger.chains SET records = 9",
        "DELETE FROM tamis_ledger.segments",
    ] {
        scene.sql("CREATE TABLE chains_kept AS SELECT * FROM tamis_ledger.chains");
        scene.sql(tamper);
        assert!(open(&settings).is_err(), "{tamper}");
        scene.sql(
            "TRUNCATE tamis_ledger.records; INSERT INTO tamis_ledger.records SELECT * FROM kept;
             TRUNCATE tamis_ledger.chains; INSERT INTO tamis_ledger.chains SELECT * FROM chains_kept;
             DROP TABLE chains_kept; DELETE FROM tamis_ledger.segments;
             INSERT INTO tamis_ledger.segments VALUES ('gw-1', 1, '0')",
        );
    }
    open(&settings).expect("whole again");
}

#[test]
fn two_processes_never_write_one_chain() {
    let scene = Scene::new("ledger_two_writers");
    let first = scene.open("gw-1");
    assert_eq!(block_on(first.note(&note("p"))).expect("durable"), 1);
    let second = open(&scene.settings(shared(), shared().port, "gw-1"));
    let refused = second.err().expect("the chain is taken");
    assert!(refused.contains("another process writes this chain"), "{refused}");
    let beside = scene.open("gw-2");
    assert_eq!(block_on(beside.note(&note("p"))).expect("durable"), 1, "a chain of its own");

    // Somebody writes all the same, as where the lock was lost with a connection.
    scene.sql(
        "UPDATE tamis_ledger.chains SET records = 2, hash = repeat('a', 64) WHERE node = 'gw-1'",
    );
    let error = block_on(first.note(&note("p"))).expect_err("it finds another's record");
    assert!(error.to_string().contains("another process has written"), "{error}");
    assert!(block_on(first.open(&disclosure(1))).is_err(), "and discloses no more");
    assert!(first.writable().is_err());
    let count = "SELECT count(*) FROM tamis_ledger.records WHERE node = 'gw-1'";
    assert_eq!(scene.sql(count), "1", "it wrote nothing");
    drop(first);
    assert_eq!(block_on(beside.note(&note("p"))).expect("durable"), 2);
    drop(beside);
    assert_eq!(verify(scene.chain("gw-2"), None).expect("whole").records, 2);
}

#[test]
fn many_openings_at_once_are_one_chain_and_few_transactions() {
    let scene = Scene::new("ledger_at_once");
    let settings = scene.settings(shared(), shared().port, "gw-1");
    let server = LedgerServer::open(&settings).expect("settings");
    let metrics = Arc::new(Metrics::new());
    let ledger = ChainLedger::open_on_server(&server, &settings, Arc::clone(&metrics), None);
    let ledger = Arc::new(ledger.expect("opens"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build();
    let runtime = runtime.expect("runtime");
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            runtime.spawn(async move { ledger.open(&disclosure(number)).await })
        })
        .collect();
    let mut numbers: Vec<u64> = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).expect("no panic").expect("durable").sequence)
        .collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=500));
    drop(ledger);
    let text = metrics.text();
    let count =
        text.lines().find_map(|line| line.strip_prefix("tamis_ledger_commit_seconds_count "));
    let count: u64 = count.expect("it is counted").parse().expect("a number");
    assert!(count < 250, "{count} transactions");
    assert_eq!(verify(scene.chain("gw-1"), None).expect("whole").records, 500);
}

#[test]
fn tables_of_another_version_are_not_used() {
    let scene = Scene::new("ledger_versions");
    let settings = scene.settings(shared(), shared().port, "gw-1");
    assert_eq!(LedgerServer::migrate(&settings, None).expect("nothing to do"), (1, 1));
    assert!(LedgerServer::migrate(&settings, Some(2)).is_err(), "there is no such version");
    scene.sql("UPDATE tamis_ledger.version SET number = 7");
    assert!(open(&settings).is_err());
    assert!(LedgerServer::migrate(&settings, None).is_err());
    scene.sql("UPDATE tamis_ledger.version SET number = 1");
    assert_eq!(LedgerServer::migrate(&settings, Some(0)).expect("down"), (1, 0));
    let error = open(&settings).err().expect("no tables");
    assert!(error.contains("tamis ledger migrate"), "{error}");
}
