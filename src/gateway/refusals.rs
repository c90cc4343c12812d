//! Why an exchange releases nothing, from wherever in it that turned out.

use super::account::Account;
use super::fault::RequestFault;
use super::respond;
use super::transit::TransitError;
use crate::decide::{Caller, Permit, Refusal};
use crate::terms::{DecisionId, RefusalReason, Role};

/// Why nothing is released.
pub(super) enum NotReleased {
    /// The request is not understood.
    Fault(RequestFault),
    /// It is refused.
    Refused(Box<Refusal>),
}

impl From<RequestFault> for NotReleased {
    fn from(fault: RequestFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for NotReleased {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// A refusal before there is a permit.
pub(super) fn refusal(
    account: &Account,
    reason: RefusalReason,
    caller: Option<(&Caller, Option<Role>)>,
) -> Refusal {
    Refusal {
        reason,
        decision: account.decision.clone(),
        recipient: caller.map(|(caller, _)| caller.recipient.clone()),
        role: caller.and_then(|(_, role)| role),
        purposes: Vec::new(),
        detail: None,
    }
}

pub(super) fn not_understood(fault: RequestFault, decision: &DecisionId) -> Refusal {
    Refusal {
        reason: respond::reason_of(fault),
        decision: decision.clone(),
        recipient: None,
        role: None,
        purposes: Vec::new(),
        detail: None,
    }
}

/// A refusal although there was a permit.
pub(super) fn permitted_but(permit: &Permit, reason: RefusalReason) -> Refusal {
    Refusal {
        reason,
        decision: permit.decision().clone(),
        recipient: Some(permit.recipient().clone()),
        role: Some(permit.role()),
        purposes: permit.purposes().to_vec(),
        detail: None,
    }
}

pub(super) fn failed(permit: &Permit, account: &Account, error: &TransitError) -> Refusal {
    error.tell(permit, account);
    permitted_but(permit, error.reason())
}
