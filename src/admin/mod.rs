//! Admin API and metrics, as two services for listeners of their own.
//!
//! The API is for programs of the controller, never for browsers: whatever carries a sign of one is
//! refused, and so is a host name that is not ours. Every request names its caller, by a client
//! certificate or a bearer token, and the caller's roles say what it may do; no subject's id stands in
//! a URL. What it changes is in the registers before it answers, and in the
//! ledger right after; a ledger that cannot be written does not stop a withdrawal.

mod access;
mod api;
mod calls;
mod cursor;
mod drain;
mod guard;
mod health;
mod openapi;
mod problem;
mod repeat;
mod roles;
mod standing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use axum::Router;

use crate::ledger::Ledger;
use crate::observe::Metrics;
use crate::policy::Policy;
use crate::registers::RegisterStore;

pub use access::Access;
pub use api::Reporting;
pub use calls::Calls;
pub use drain::{ChangeDrain, DrainError, drain_register_changes};
pub use repeat::keep_forgetting_answers;
pub use standing::{Material, Standing};

/// What both services work with.
#[derive(Clone)]
pub struct AdminState {
    /// The policy in force.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The registers.
    pub registers: Arc<RegisterStore>,
    /// Consents are asked for at a service: what is not here cannot be withdrawn here by its id.
    pub consents_elsewhere: bool,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Enters changes of the registers in the ledger.
    pub drain: Arc<ChangeDrain>,
    /// The metrics of this process.
    pub metrics: Arc<Metrics>,
    /// Who may call, by which names of this host.
    pub access: Arc<ArcSwap<Access>>,
    /// The calls that are being made.
    pub calls: Arc<Calls>,
    /// What reports are made from.
    pub reports: Arc<Reporting>,
    /// When the files were last good, and what was refused since.
    pub standing: Arc<Standing>,
    /// Set when the gateway stops taking requests.
    pub stopping: Arc<AtomicBool>,
}

/// The admin API: `/v1/…`. Needs TLS around it, which is the listener's business.
pub fn admin_router(state: AdminState) -> Router {
    api::router(state)
}

/// `/metrics`, `/livez`, `/readyz` and `/status`, without tokens: nothing there is about anybody.
pub fn metrics_router(state: AdminState) -> Router {
    health::router(state)
}
