//! What every exchange shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::authority::Names;
use super::pace::Pace;
use super::upstream::Upstreams;
use super::waits::Waits;
use crate::config::Limits;
use crate::identity::Identifier;
use crate::keys::KeyRing;
use crate::ledger::Ledger;
use crate::minimize::link::Origins;
use crate::observe::{AccessLog, Metrics};
use crate::policy::Policy;
use crate::registers::Registers;

/// A gateway that is set up. [`Gateway::start`] opens its listeners.
pub struct Gateway {
    /// The policy in force; an exchange keeps the one it began with.
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) identifier: Identifier,
    pub(super) registers: Arc<dyn Registers>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) upstreams: Upstreams,
    /// Hosts that are served.
    pub(super) names: Names,
    /// Where backends and the gateway itself are, for links.
    pub(super) origins: Origins,
    pub(super) limits: Limits,
    /// How long backends take to know nobody.
    pub(super) waits: Waits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: Arc<AccessLog>,
    pub(super) pace: Pace,
    /// Turns for reading the ledger.
    pub(super) reports: Semaphore,
}
