//! One process after another: the next one waits for the ledger, which only one may write.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ledgers::{self, KeptLedger};
use super::start::StartError;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::ledger::{LedgerPlace, Place};
use crate::observe::{Event, Metrics};
use crate::policy::Policy;

/// How long a start waits for the ledger, besides the time in which the process before it may finish
/// its requests.
const TAKING_OVER: Duration = Duration::from_secs(10);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Opens the ledger that `config` names, to write it. `takes_over`: where another process writes it, that
/// one is about to end.
pub(super) async fn kept_ledger(
    config: &Config,
    policy: &Policy,
    keys: &KeyRing,
    metrics: &Arc<Metrics>,
    takes_over: bool,
) -> Result<KeptLedger, StartError> {
    let until = Instant::now() + config.limits.drain_timeout + TAKING_OVER;
    let mut has_told = false;
    loop {
        // Who has the chain on a server is seen only when it is asked for.
        let was_held = match &config.ledger {
            LedgerPlace::Directory(directory) => Place::from(directory).is_written_now(),
            LedgerPlace::Postgres(_) => true,
        };
        let kept = ledgers::kept_ledger(config, policy, keys, metrics);
        let waits = takes_over && was_held && matches!(kept, Err(StartError::Ledger(_)));
        if !waits || Instant::now() >= until {
            return kept;
        }
        if !mem::replace(&mut has_told, true) {
            Event::TakingOver.emit(metrics);
        }
        sleep(LOOK).await;
    }
}
