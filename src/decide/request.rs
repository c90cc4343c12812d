//! The decision for a request.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Facts, Permit, Refusal};
use crate::policy::Policy;
use crate::terms::DecisionId;

/// Decides. `decision` is the fresh id under which it is entered.
///
/// # Errors
/// [`Refusal`] with the first reason that applies, in the order of precedence of docs/RULES.md.
pub fn decide(
    policy: &Arc<Policy>,
    facts: &Facts<'_>,
    decision: DecisionId,
    now: Timestamp,
) -> Result<Permit, Refusal> {
    let _ = (policy, facts, decision, now);
    todo!("decide")
}
