//! Signs, from time to time and at the end, how far the ledger has come.
//!
//! Each checkpoint is kept beside the ledger and written as a log line, so that wherever logs go there
//! is a copy that this gateway cannot rewrite. Targets of the settings are sent it as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use super::respond;
use super::start::StartError;
use super::targets::{Signed, Targets};
use crate::config::Config;
use crate::keys::{NoteKey, NoteSigner};
use crate::ledger::{ChainLedger, Checkpoint, Frontier, keep_note};
use crate::observe::{Event, Metrics};
use crate::policy::Policy;

/// Where the rules name no period.
const USUAL_PERIOD: Duration = Duration::from_mins(5);

/// Signs the state of one ledger.
pub(crate) struct Checkpoints {
    ledger: Arc<ChainLedger>,
    signer: NoteSigner,
    targets: Arc<Targets>,
    period: watch::Sender<Duration>,
    metrics: Arc<Metrics>,
    /// Records that the last one covers.
    covered: AtomicU64,
}

impl Checkpoints {
    /// What signs the ledger that `config` names. Rules that promise checkpoints are not served without
    /// a key.
    pub(super) fn of(
        config: &Config,
        policy: &Policy,
        ledger: &Arc<ChainLedger>,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Arc<Self>>, StartError> {
        let Some(key) = &config.checkpoint_key else {
            // Nothing is removed that no signature covers.
            return match (policy.checkpoint_every, policy.ledger.keep) {
                (None, None) => Ok(None),
                _ => Err(StartError::NoCheckpointKey),
            };
        };
        let signing = (NoteSigner::open(key)?, Targets::open(config, ledger.place(), metrics)?);
        let ledger = Arc::clone(ledger);
        let checkpoints = Self::new(ledger, signing, period(policy), Arc::clone(metrics));
        Ok(Some(Arc::new(checkpoints)))
    }

    pub(crate) fn new(
        ledger: Arc<ChainLedger>,
        (signer, targets): (NoteSigner, Targets),
        period: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let period = watch::Sender::new(period);
        let (targets, covered) = (Arc::new(targets), AtomicU64::new(0));
        Self { ledger, signer, targets, period, metrics, covered }
    }

    /// What others check its notes with.
    pub(super) fn key(&self) -> NoteKey {
        self.signer.key()
    }

    /// Where its notes are sent.
    pub(super) fn targets(&self) -> &Arc<Targets> {
        &self.targets
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
    pub(crate) async fn sign_the_end(&self) -> io::Result<()> {
        self.ledger.settle().await;
        self.sign().await
    }

    /// Signs a tree that was before: where the ledger is about to be cut.
    pub(crate) async fn sign_tree(&self, tree: &Frontier) -> io::Result<()> {
        let note = self.signer.sign(&Checkpoint::of(self.signer.name(), tree).text());
        self.keep(Signed::Part, tree.size(), &note).await?;
        Event::CheckpointOfCut { records: tree.size(), note: &note }.emit(&self.metrics);
        Ok(())
    }

    async fn sign(&self) -> io::Result<()> {
        let tree = self.ledger.tree();
        if tree.size() == self.covered.load(Ordering::Relaxed) {
            return Ok(());
        }
        let note = self.signer.sign(&Checkpoint::of(self.signer.name(), &tree).text());
        let kept = self.keep(Signed::Whole, tree.size(), &note).await;
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

    /// Beside the ledger and for each target, aside, since disk or server may take their time. What could
    /// not be kept for one of them is signed again.
    async fn keep(&self, of: Signed, records: u64, note: &str) -> io::Result<()> {
        let (place, note) = (self.ledger.place().clone(), note.to_owned());
        let targets = Arc::clone(&self.targets);
        let kept = tokio::task::spawn_blocking(move || {
            targets.put(of, records, &note)?;
            keep_note(&place, &Timestamp::now().to_string(), &note)
        });
        kept.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}

/// How often checkpoints are signed under these rules.
pub(super) fn period(policy: &Policy) -> Duration {
    let seconds = policy.checkpoint_every.and_then(respond::seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(USUAL_PERIOD, Duration::from_secs)
}
