//! What every exchange shares.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::at_once::{AtOnce, OfRecipients};
use super::budget::Budgets;
use super::conditions::Tags;
use super::pace::Pace;
use super::rates::Rates;
use super::tls::Tls;
use super::told::Told;
use super::upstream::Upstreams;
use super::waits::Waits;
use super::webhook::Webhooks;
use crate::config::{AnswerCoding, Limits};
use crate::identity::Identifier;
use crate::keys::KeyRing;
use crate::ledger::Ledger;
use crate::minimize::link::Origins;
use crate::observe::{AccessLog, Metrics};
use crate::policy::Policy;
use crate::registers::Registers;

/// A gateway that is set up. [`Gateway::start`] opens its listeners.
///
/// It never changes: a reload makes another one, which shares what goes on, and exchanges begin with
/// that from then on.
#[derive(Clone)]
pub struct Gateway {
    pub(super) policy: Arc<Policy>,
    pub(super) identifier: Arc<Identifier>,
    pub(super) registers: Arc<dyn Registers>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) upstreams: Arc<Upstreams>,
    /// What backends are told of callers.
    pub(super) told: Arc<Told>,
    /// Who is told of erasures.
    pub(super) webhooks: Arc<Webhooks>,
    /// What handshakes are made with, and the hosts that are served.
    pub(super) tls: Arc<Tls>,
    /// Where backends and the gateway itself are, for links.
    pub(super) origins: Origins,
    /// For whom answers are encoded.
    pub(super) encoding: AnswerCoding,
    pub(super) limits: Limits,
    /// How long backends take to know nobody.
    pub(super) waits: Arc<Waits>,
    /// Tags of answers.
    pub(super) tags: Arc<Tags>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: Arc<AccessLog>,
    pub(super) pace: Arc<Pace>,
    /// How often each recipient may ask.
    pub(super) rates: Arc<Rates>,
    /// Of how many people each recipient may be told.
    pub(super) budgets: Arc<Budgets>,
    /// Requests that are being answered.
    pub(super) at_once: Arc<AtOnce>,
    /// Those of each recipient.
    pub(super) of_recipients: Arc<OfRecipients>,
    /// Turns for reading the ledger.
    pub(super) reports: Arc<Semaphore>,
}
