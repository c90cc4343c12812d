//! Retention on a server: segments go after the chain says so and it is signed.

use std::sync::Arc;

use jiff::Timestamp;
use tamis::keys::NoteSigner;
use tamis::ledger::{
    ChainLedger, Checkpoint, GENESIS, Ledger as _, LedgerServer, Note, ProveError, RecordProof,
    Retired, ServerSettings, keep_note, kept_notes, prove, retirable, verify, verify_signed,
};
use tamis::observe::Metrics;

use super::super::server::shared;
use super::{NAME, Scene, block_on, checkpoints, exported, note, open, python};

fn much_later() -> Timestamp {
    "2090-01-01T00:00:00Z".parse().expect("a time")
}

fn enter(ledger: &ChainLedger, count: usize) {
    for _ in 0..count {
        block_on(ledger.note(&note("p"))).expect("durable");
    }
}

#[test]
fn what_is_too_old_goes_and_the_rest_verifies_from_the_cut_on() {
    let scene = Scene::new("ledger_retired");
    let settings = scene.settings(shared(), shared().port, "gw-1");
    let settings = ServerSettings { segment_bytes: 1000, ..settings };
    let signer = NoteSigner::generate(&scene.seat.path().join("key"), NAME).expect("makes a key");
    let key = signer.key();
    let server = LedgerServer::open(&settings).expect("settings");
    let ledger = ChainLedger::open_on_server(&server, &settings, Arc::new(Metrics::new()), None);
    let ledger = ledger.expect("opens");
    let sign = |ledger: &ChainLedger| {
        let text = signer.sign(&Checkpoint::of(NAME, &ledger.tree()).text());
        keep_note(ledger.place(), &Timestamp::now().to_string(), &text).expect("kept");
    };
    enter(&ledger, 10);
    sign(&ledger);
    enter(&ledger, 10);
    let place = ledger.place().clone();
    let whole = verify_signed(&place, None, &checkpoints(&place, &key)).expect("whole");
    assert_eq!(whole.records, 20);
    let segments: u32 =
        scene.sql("SELECT count(*) FROM tamis_ledger.segments").parse().expect("one");
    assert!(segments > 4, "{segments}");
    assert!(
        retirable(&place, Timestamp::now() - jiff::SignedDuration::from_hours(1))
            .expect("looked")
            .is_none(),
        "what is young stays"
    );

    let notes = kept_notes(&place).expect("readable").notes;
    let early = Checkpoint::parse(key.open(&notes[0]).expect("signed")).expect("a checkpoint");
    let old = prove(&place, 3, &notes[0], &early).expect("it is there");

    let found = retirable(&place, much_later()).expect("whole").expect("old enough");
    let text = signer.sign(&Checkpoint::of(NAME, &found.tree).text());
    keep_note(&place, "2090-01-01T00:00:00Z", &text).expect("kept");
    let entry = Note::Retired { cut: found.cut.clone(), before: much_later(), policy: GENESIS };
    block_on(ledger.note(&entry)).expect("durable");
    found.remove(&place, Timestamp::now()).expect("ours");
    assert!(verify(&place, None).is_ok(), "a chain alone does not show it");
    let unsigned = verify_signed(&place, None, &checkpoints(&place, &key));
    assert!(unsigned.expect_err("no signature covers the entry").is_gap());
    sign(&ledger);

    let left = verify_signed(&place, None, &checkpoints(&place, &key)).expect("from the cut on");
    let gone = found.cut.records;
    assert!(gone > 3, "{gone}");
    assert!(matches!(&left.retired, Some(Retired { up_to, .. }) if *up_to == gone), "{left:?}");
    assert_eq!(left.head.sequence, 21);
    let folder = exported(&place);
    let agreed = python(&folder.path().join("ledger"), &key);
    assert!(agreed.status.success(), "{agreed:?}");
    assert!(RecordProof::parse(&old.to_string()).expect("a proof").leads_to(&early));
    assert!(matches!(prove(&place, 3, &notes[0], &early), Err(ProveError::Retired(3))));
    let notes = kept_notes(&place).expect("readable").notes;
    let last = notes.last().expect("one");
    let newest = Checkpoint::parse(key.open(last).expect("signed")).expect("a checkpoint");
    prove(&place, gone + 1, last, &newest).expect("what is left is proven as before");

    // The gateway goes on after a restart; not where rows went that no cut speaks of.
    drop(ledger);
    enter(&open(&settings).expect("opens"), 3);
    assert_eq!(verify(&place, None).expect("whole").head.sequence, 24);
    scene.sql("DELETE FROM tamis_ledger.cuts");
    assert!(open(&settings).is_err(), "segments are missing");
}
