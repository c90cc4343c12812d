//! The two outcomes. A permit cannot be forged: its fields are private and only `decide` makes one.

use std::sync::Arc;

use crate::policy::model::Locator;
use crate::policy::{Plan, Policy};
use crate::terms::{
    Case, CategoryId, DataSubject, DecisionId, LegalOrder, PurposeId, RecipientId, RefusalReason,
    Role,
};

use super::SubjectIds;
use super::gate::Adjustment;

/// The right to fetch, minimize, enter and release one answer.
///
/// ```compile_fail
/// // There is no way to make one but to ask `decide`.
/// let permit = tamis::decide::Permit { decision: "d_1".into() };
/// ```
#[derive(Debug)]
pub struct Permit {
    pub(super) policy: Arc<Policy>,
    pub(super) plan: Arc<Plan>,
    pub(super) decision: DecisionId,
    pub(super) person: Option<DataSubject>,
    pub(super) gpc: bool,
    pub(super) case: Option<Arc<Case>>,
    pub(super) order: Option<Arc<LegalOrder>>,
    pub(super) one_time_grants: Vec<Arc<str>>,
    pub(super) known: Vec<Option<SubjectIds>>,
    /// Categories that the query filters on.
    pub(super) queried: Vec<CategoryId>,
    pub(super) adjustments: Vec<Adjustment>,
}

impl Permit {
    /// The policy that was decided by; the request keeps it to its end.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// What leaves and how, before any subject inside the body was asked about.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The decision's id.
    #[must_use]
    pub fn decision(&self) -> &DecisionId {
        &self.decision
    }

    /// To whom.
    #[must_use]
    pub fn recipient(&self) -> &RecipientId {
        &self.plan.recipient
    }

    /// The id by which the recipient itself stands in documents: that of the token's person, else
    /// what the rules say.
    pub(super) fn party(&self) -> Option<&DataSubject> {
        self.person.as_ref().or_else(|| self.declared_party())
    }

    /// Which party the rules say that the recipient is.
    pub(super) fn declared_party(&self) -> Option<&DataSubject> {
        self.policy.recipients[self.recipient()].party.as_ref()
    }

    /// The recipient's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.policy.recipients[self.recipient()].role
    }

    /// What for; sorted.
    #[must_use]
    pub fn purposes(&self) -> &[PurposeId] {
        &self.plan.purposes
    }

    /// The case that it is done for, where a purpose asks for one.
    #[must_use]
    pub fn case(&self) -> Option<&Case> {
        self.case.as_deref()
    }

    /// The order that it rests on; always there for authorities.
    #[must_use]
    pub fn order(&self) -> Option<&LegalOrder> {
        self.order.as_deref()
    }

    /// Grants for one use that the answer rests on, to be used up before its first byte leaves.
    #[must_use]
    pub fn one_time_grants(&self) -> &[Arc<str>] {
        &self.one_time_grants
    }

    /// Whether everybody whom the request names has been asked about, those in its body too.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let route = &self.policy.routes[self.plan.route_index];
        let mut roles = route.subjects.iter().zip(&self.known);
        roles
            .all(|(subject, known)| !matches!(subject.locator, Locator::Body(_)) || known.is_some())
    }

    /// What the gates of subjects known from the request tightened.
    #[must_use]
    pub fn adjustments(&self) -> &[Adjustment] {
        &self.adjustments
    }
}

/// Nothing is disclosed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The decision's id.
    pub decision: DecisionId,
    /// The recipient, where known.
    pub recipient: Option<RecipientId>,
    /// Its role, where known: decides what it may learn.
    pub role: Option<Role>,
    /// The purposes, as far as they were established.
    pub purposes: Vec<PurposeId>,
    /// For operators and internal recipients: what is missing, in words, without any value.
    pub detail: Option<String>,
}
