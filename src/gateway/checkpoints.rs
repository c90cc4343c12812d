//! Signs, from time to time and at the end, how far the ledger has come.
//!
//! Each checkpoint is kept beside the ledger and written as a log line, so that wherever logs go there
//! is a copy that this gateway cannot rewrite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::keys::{NoteKey, NoteSigner};
use crate::ledger::{ChainLedger, Checkpoint, Frontier, keep_note};
use crate::observe::{Event, Metrics};

/// Where the rules name no period.
pub(crate) const USUAL_PERIOD: Duration = Duration::from_mins(5);

/// Signs the state of one ledger.
pub(crate) struct Checkpoints {
    ledger: Arc<ChainLedger>,
    signer: NoteSigner,
    period: watch::Sender<Duration>,
    metrics: Arc<Metrics>,
    /// Records that the last one covers.
    covered: AtomicU64,
}

impl Checkpoints {
    pub(crate) fn new(
        ledger: Arc<ChainLedger>,
        signer: NoteSigner,
        period: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let period = watch::Sender::new(period);
        Self { ledger, signer, period, metrics, covered: AtomicU64::new(0) }
    }

    /// What others check its notes with.
    pub(super) fn key(&self) -> NoteKey {
        self.signer.key()
    }

    /// Signs at every period at which something was entered.
    pub(super) async fn keep_signing(self: Arc<Self>) {
        let mut periods = self.period.subscribe();
        loop {
            // The next period tries again; the log line says so meanwhile.
            let _ = self.sign().await;
            let period = *periods.borrow_and_update();
            // Whatever comes first: the period is over, or it is another one.
            let _ = timeout(period, periods.changed()).await;
        }
    }

    /// Goes on with this period.
    pub(super) fn follow(&self, period: Duration) {
        self.period.send_if_modified(|present| std::mem::replace(present, period) != period);
    }

    /// Signs what was entered until now: at the end of the gateway's life, and before the ledger is cut.
    ///
    /// # Errors
    /// The checkpoint cannot be kept.
    pub(crate) async fn sign_the_end(&self) -> std::io::Result<()> {
        self.ledger.settle().await;
        self.sign().await
    }

    /// Signs a tree that was before: where the ledger is about to be cut.
    pub(crate) async fn sign_tree(&self, tree: &Frontier) -> std::io::Result<()> {
        let note = self.signer.sign(&Checkpoint::of(self.signer.name(), tree).text());
        self.keep(&note).await?;
        Event::CheckpointOfCut { records: tree.size(), note: &note }.emit(&self.metrics);
        Ok(())
    }

    /// Aside, since disk or server may take their time.
    async fn keep(&self, note: &str) -> std::io::Result<()> {
        let (place, note) = (self.ledger.place().clone(), note.to_owned());
        let kept = tokio::task::spawn_blocking(move || {
            keep_note(&place, &Timestamp::now().to_string(), &note)
        });
        kept.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
    }

    async fn sign(&self) -> std::io::Result<()> {
        let tree = self.ledger.tree();
        if tree.size() == self.covered.load(Ordering::Relaxed) {
            return Ok(());
        }
        let note = self.signer.sign(&Checkpoint::of(self.signer.name(), &tree).text());
        let kept = self.keep(&note).await;
        match &kept {
            Ok(()) => {
                self.covered.store(tree.size(), Ordering::Relaxed);
                Event::CheckpointSigned { records: tree.size(), note: &note }.emit(&self.metrics);
            }
            Err(error) => {
                let kind = error.kind().to_string();
                Event::CheckpointFailed { kind: &kind }.emit(&self.metrics);
            }
        }
        kept
    }
}
