//! One process after another: the next one waits for the ledger, which only one may write.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ledgers::{self, KeptLedger};
use super::start::StartError;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::ledger::LedgerPlace;
use crate::observe::{Event, Metrics};
use crate::policy::Policy;

/// How long a start waits for the ledger, besides the time in which the process before it may finish
/// its requests.
const TAKING_OVER: Duration = Duration::from_secs(10);

/// How often it looks meanwhile: at a lock beside it, or on a server, of which each look asks for a
/// connection of its own.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_ON_SERVER: Duration = Duration::from_millis(100);

/// Opens the ledger that `config` names, to write it. `takes_over`: where another process writes it, that
/// one is about to end. Whatever else is wrong with it does not pass by waiting.
pub(super) async fn kept_ledger(
    config: &Config,
    policy: &Policy,
    keys: &KeyRing,
    metrics: &Arc<Metrics>,
    takes_over: bool,
) -> Result<KeptLedger, StartError> {
    let until = Instant::now() + config.limits.drain_timeout + TAKING_OVER;
    let look = match &config.ledger {
        LedgerPlace::Directory(_) => LOOK,
        LedgerPlace::Postgres(_) => LOOK_ON_SERVER,
    };
    let mut has_told = false;
    loop {
        let kept = ledgers::kept_ledger(config, policy, keys, metrics);
        let is_held = matches!(&kept, Err(StartError::Ledger(error)) if error.is_held_by_another());
        if !is_held || !takes_over || Instant::now() >= until {
            return kept;
        }
        if !mem::replace(&mut has_told, true) {
            Event::TakingOver.emit(metrics);
        }
        sleep(look).await;
    }
}
