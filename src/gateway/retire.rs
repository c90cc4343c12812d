//! Removes what the rules do not keep any longer: whole segments of the ledger, and with them the
//! secrets of people of whom nothing is left in it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::checkpoints::Checkpoints;
use crate::ledger::{
    ChainLedger, Ledger as _, LedgerUnavailable, Note, Retirable, SubjectIndex, VerifyError,
    retirable,
};
use crate::observe::{Event, Metrics};
use crate::terms::Digest;

/// How often it is looked.
const EVERY: Duration = Duration::from_hours(1);

/// Why nothing was removed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRetired {
    /// What would go does not verify, so that it stays as evidence.
    #[error(transparent)]
    Ledger(#[from] VerifyError),
    /// The cut cannot be entered.
    #[error(transparent)]
    Unavailable(#[from] LedgerUnavailable),
    /// A checkpoint cannot be kept or a file cannot be removed.
    #[error("{}", .0.kind())]
    Io(#[from] std::io::Error),
    /// The period reaches to before the beginning of time.
    #[error("the period is longer than time")]
    Period,
}

/// Keeps one ledger no longer than the rules say.
pub(crate) struct Retirement {
    pub(crate) ledger: Arc<ChainLedger>,
    pub(crate) index: Arc<SubjectIndex>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// How long records are kept.
    pub(crate) keep: Span,
    /// The rules that say so.
    pub(crate) policy: ArcSwap<Digest>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Retirement {
    /// Looks at the start and from time to time.
    pub(super) async fn keep_retiring(self: Arc<Self>) {
        let mut hour = tokio::time::interval(EVERY);
        hour.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            hour.tick().await;
            if let Err(error) = self.retire(Timestamp::now()).await {
                let why = error.to_string();
                Event::LedgerNotRetired { why: &why }.emit(&self.metrics);
            }
        }
    }

    /// Removes what is too old at `now`; how many records went.
    pub(crate) async fn retire(&self, now: Timestamp) -> Result<u64, NotRetired> {
        let before = before(now, self.keep).ok_or(NotRetired::Period)?;
        let place = self.ledger.place().clone();
        let found = aside(move || Ok(retirable(&place, before)?)).await?;
        // Whoever has nothing left that is kept is forgotten, also where a younger record keeps a segment.
        let index = Arc::clone(&self.index);
        aside(move || Ok(index.shred_unused(before)?)).await?;
        let Some(Retirable { segments, cut, tree }) = found else { return Ok(0) };
        // Signed first, so that the log holds where the cut is before anything is gone.
        self.checkpoints.sign_tree(&tree).await?;
        let note = Note::Retired { cut: cut.clone(), before, policy: *self.policy.load_full() };
        self.ledger.note(&note).await?;
        // And the entry of the cut, without which the cut is nobody's word.
        self.checkpoints.sign_the_end().await?;
        let records = cut.records;
        let place = self.ledger.place().clone();
        let count = segments.len() as u64;
        aside(move || Ok(Retirable { segments, cut, tree }.remove(&place, now)?)).await?;
        Event::LedgerRetired { records, segments: count }.emit(&self.metrics);
        Ok(records)
    }
}

/// What is older than this goes.
pub(crate) fn before(now: Timestamp, keep: Span) -> Option<Timestamp> {
    Some(now.to_zoned_datetime(TimeZone::UTC).checked_sub(keep).ok()?.timestamp())
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotRetired> + Send + 'static,
) -> Result<T, NotRetired> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| LedgerUnavailable("the ledger was not read".into()))?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::gateway::subject_index;
    use crate::gateway::targets::Targets;
    use crate::keys::{KeyRing, NoteKey, NoteSigner};
    use crate::ledger::{
        Checkpoint, FileLedger, GENESIS, ProveError, RecordProof, Retired, kept_notes, prove,
        verify, verify_signed,
    };

    /// A ledger of many small segments, signed now and then.
    struct Kept {
        retirement: Retirement,
        key: NoteKey,
        folder: TempDir,
    }

    fn open(at: &Path, signer: NoteSigner, keys: &KeyRing) -> Retirement {
        let directory = at.join("ledger");
        let index = subject_index(&directory, keys).expect("opens");
        let ledger = FileLedger::open_in_segments(&directory, 1000).expect("opens");
        let ledger = Arc::new(ledger.with_index(Arc::clone(&index)));
        let metrics = Arc::new(Metrics::new());
        let checkpoints = Arc::new(Checkpoints::new(
            Arc::clone(&ledger),
            (signer, Targets::default()),
            Duration::from_mins(5),
            Arc::clone(&metrics),
        ));
        let (keep, policy) = (Span::new().years(6), ArcSwap::from_pointee(GENESIS));
        Retirement { ledger, index, checkpoints, keep, policy, metrics }
    }

    impl Kept {
        async fn new() -> Self {
            let folder = tempdir().expect("a folder");
            let keys = KeyRing::generate(&folder.path().join("keys")).expect("a ring");
            let signer =
                NoteSigner::generate(&folder.path().join("key"), "ledger.example.invalid/1")
                    .expect("a key");
            let key = signer.key();
            let kept = Self { retirement: open(folder.path(), signer, &keys), key, folder };
            kept.enter(10).await;
            kept.retirement.checkpoints.sign_the_end().await.expect("kept");
            kept.enter(10).await;
            kept
        }

        async fn enter(&self, count: usize) {
            for _ in 0..count {
                let note = Note::Policy { id: "p".into(), revision: "1".into(), digest: GENESIS };
                self.retirement.ledger.note(&note).await.expect("durable");
            }
        }

        fn directory(&self) -> std::path::PathBuf {
            self.folder.path().join("ledger")
        }

        fn checkpoints(&self) -> Vec<(String, Checkpoint)> {
            let notes = kept_notes(&self.directory()).expect("readable");
            let read = |note: String| {
                let text = self.key.open(&note).expect("signed");
                let checkpoint = Checkpoint::parse(text).expect("a checkpoint");
                (note, checkpoint)
            };
            notes.notes.into_iter().map(read).collect()
        }

        fn verified(&self) -> Result<crate::ledger::Verification, VerifyError> {
            let all: Vec<Checkpoint> = self.checkpoints().into_iter().map(|(_, one)| one).collect();
            verify_signed(&self.directory(), None, &all)
        }
    }

    fn by_the_second_verifier(kept: &Kept) -> bool {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_ledger.py");
        let mut python = std::process::Command::new("python3");
        python.arg(script).arg(kept.directory()).arg(kept.key.to_string());
        python.output().expect("python3 is installed").status.success()
    }

    /// A moment at which everything of today is too old.
    fn much_later() -> Timestamp {
        "2090-01-01T00:00:00Z".parse().expect("a time")
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_the_rest_verifies_from_the_cut_on() {
        let kept = Kept::new().await;
        let directory = kept.directory();
        let directory = directory.as_path();
        let whole = kept.verified().expect("whole");
        assert_eq!(kept.retirement.retire(Timestamp::now()).await.expect("looked"), 0);
        assert_eq!(kept.verified().expect("whole"), whole, "what is young stays");
        let (note, early) = kept.checkpoints().swap_remove(0);
        let old = prove(directory, 3, &note, &early).expect("it is there");

        let gone = kept.retirement.retire(much_later()).await.expect("retired");
        assert!(gone > 3, "{gone}");
        assert!(!directory.join("000001.jsonl").exists());
        let left = kept.verified().expect("it verifies from the cut on");
        assert!(matches!(&left.retired, Some(Retired { up_to, .. }) if *up_to == gone), "{left:?}");
        assert_eq!(left.head.sequence, whole.head.sequence + 1, "the cut is an entry");
        assert!(kept.checkpoints().iter().any(|(_, one)| one.size == gone), "and signed");
        assert!(by_the_second_verifier(&kept), "it agrees");
        // A proof that was made before shows its record still; a new one cannot be made.
        let proof = RecordProof::parse(&old.to_string()).expect("a proof");
        assert!(proof.leads_to(&early));
        assert!(matches!(prove(directory, 3, &note, &early), Err(ProveError::Retired(3))));
        let (note, last) = kept.checkpoints().pop().expect("one");
        prove(directory, gone + 1, &note, &last).expect("what is left is proven as before");

        // The gateway goes on, after a restart too, and cuts again.
        kept.enter(20).await;
        let Kept { retirement, key, folder } = kept;
        drop(retirement);
        let keys = KeyRing::open(&folder.path().join("keys")).expect("a ring");
        let signer = NoteSigner::open(&folder.path().join("key")).expect("a key");
        let kept = Kept { retirement: open(folder.path(), signer, &keys), key, folder };
        kept.enter(1).await;
        let further = kept.retirement.retire(much_later()).await.expect("retired");
        assert!(further > gone);
        let left = kept.verified().expect("it verifies");
        assert!(matches!(left.retired, Some(Retired { up_to, .. }) if up_to == further));
    }

    #[tokio::test]
    async fn segments_that_somebody_removed_are_missing_and_not_retired() {
        let kept = Kept::new().await;
        let directory = kept.directory();
        std::fs::remove_file(directory.join("000001.jsonl")).expect("ours");
        let found = kept.verified().expect_err("nothing says that it was to go");
        assert!(matches!(found, VerifyError::NotRetired { .. }) && found.is_gap(), "{found}");
        assert!(!by_the_second_verifier(&kept), "it agrees");
        drop(kept.retirement);
        assert!(FileLedger::open(&directory, "gw-test").is_err(), "no gateway goes on with it");

        // One more than was retired.
        let kept = Kept::new().await;
        let directory = kept.directory();
        let directory = directory.as_path();
        kept.retirement.retire(much_later()).await.expect("retired");
        kept.enter(10).await;
        let mut left: Vec<_> = std::fs::read_dir(directory)
            .expect("ours")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .filter(|path| path.file_stem().is_some_and(|stem| stem.len() == 6))
            .collect();
        left.sort();
        std::fs::remove_file(&left[0]).expect("ours");
        assert!(kept.verified().is_err(), "the cut that was entered is another one");
    }

    /// Whoever can write the directory can remove segments and enter that they were retired.
    #[tokio::test]
    async fn a_cut_that_nobody_signed_is_records_that_are_missing() {
        let kept = Kept::new().await;
        let directory = kept.directory();
        kept.retirement.checkpoints.sign_the_end().await.expect("kept");
        let found = retirable(&directory, much_later()).expect("whole").expect("old enough");
        let policy = *kept.retirement.policy.load_full();
        let note = Note::Retired { cut: found.cut.clone(), before: much_later(), policy };
        kept.retirement.ledger.note(&note).await.expect("durable");
        found.remove(&directory, Timestamp::now()).expect("ours");
        assert!(verify(&directory, None).is_ok(), "a chain alone does not show it");
        let unsigned = kept.verified().expect_err("no signature covers the entry");
        let up_to = found.cut.records;
        assert!(matches!(unsigned, VerifyError::CutNotSigned { sequence } if sequence == up_to));
        assert!(unsigned.is_gap());
        assert!(!by_the_second_verifier(&kept), "it agrees");
        // Without any checkpoint, all the less.
        std::fs::write(directory.join("checkpoints.jsonl"), "").expect("ours");
        assert!(kept.verified().is_err());
        assert!(!by_the_second_verifier(&kept), "it agrees");
        kept.retirement.checkpoints.sign_the_end().await.expect("kept");
        assert!(kept.verified().is_ok());
        assert!(by_the_second_verifier(&kept), "it agrees");
    }

    #[tokio::test]
    async fn nothing_goes_while_no_checkpoint_can_be_kept() {
        let kept = Kept::new().await;
        let notes = kept.directory().join("checkpoints.jsonl");
        std::fs::remove_file(&notes).expect("ours");
        std::fs::create_dir(&notes).expect("ours");
        assert!(kept.retirement.checkpoints.sign_the_end().await.is_err());
        assert!(kept.retirement.retire(much_later()).await.is_err());
        assert!(kept.directory().join("000001.jsonl").exists());
    }

    #[tokio::test]
    async fn what_does_not_verify_stays() {
        let kept = Kept::new().await;
        let first = kept.directory().join("000001.jsonl");
        let text = std::fs::read_to_string(&first).expect("ours");
        std::fs::write(&first, text.replacen("\"p\"", "\"q\"", 1)).expect("ours");
        assert!(kept.retirement.retire(much_later()).await.is_err());
        assert!(first.exists(), "it is evidence");
        assert!(verify(&kept.directory(), None).is_err());
    }
}
