//! May this person be given what the gateway itself has for them: a report about themselves, or a
//! receipt for what they ask.

use std::sync::Arc;

use super::request::standing;
use super::{Facts, Refusal};
use crate::policy::Policy;
use crate::terms::{DataSubject, DecisionId, PurposeId, RecipientId, RefusalReason, Role};

/// The right of one person to what the gateway has for them. As with a permit, only
/// [`decide_service`] makes one.
#[derive(Debug)]
pub struct Service {
    person: DataSubject,
    recipient: RecipientId,
    purposes: Vec<PurposeId>,
    decision: DecisionId,
}

impl Service {
    /// The person who asks, about themselves.
    #[must_use]
    pub const fn person(&self) -> &DataSubject {
        &self.person
    }

    /// The recipient that they are to the rules.
    #[must_use]
    pub const fn recipient(&self) -> &RecipientId {
        &self.recipient
    }

    /// What for; sorted.
    #[must_use]
    pub fn purposes(&self) -> &[PurposeId] {
        &self.purposes
    }

    /// The decision's id.
    #[must_use]
    pub const fn decision(&self) -> &DecisionId {
        &self.decision
    }
}

/// Decides about a route that the gateway answers itself, for one authenticated person. What they have
/// said does not matter: nobody loses these rights by a restriction or an erasure.
///
/// # Errors
/// [`Refusal`] with the first reason that applies, as for other routes; and for everybody who is no
/// data subject.
pub fn decide_service(
    policy: &Arc<Policy>,
    facts: &Facts<'_>,
    decision: DecisionId,
    now: jiff::Timestamp,
) -> Result<Service, Refusal> {
    let (refusal, recipient, _, purposes) = standing(policy, facts, decision.clone(), now)?;
    if !facts.query.is_empty() {
        return Err(refusal.because(RefusalReason::QueryNotCatalogued));
    }
    let own = recipient.role == Role::Own;
    match &facts.caller.person {
        Some(person) if own => Ok(Service {
            person: person.clone(),
            recipient: facts.caller.recipient.clone(),
            purposes,
            decision,
        }),
        Some(_) | None => Err(refusal.because(RefusalReason::NotAParty)),
    }
}
