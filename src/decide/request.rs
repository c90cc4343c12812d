//! The decision for a request: one walk from top to bottom, the first reason that applies refuses.

use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::{self, Gate, Part};
use super::subject::{Transfer, mechanism, today};
use super::{Facts, Permit, Refusal, SubjectIds, query};
use crate::policy::Policy;
use crate::policy::model::{Recipient, Route};
use crate::terms::{DecisionId, PurposeId, RefusalReason, Role};

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
    let mut refusal = Refusal {
        reason: RefusalReason::RecipientUnknown,
        decision: decision.clone(),
        recipient: None,
        role: None,
        purposes: Vec::new(),
        detail: None,
    };
    let Some(recipient) = policy.recipients.get(&facts.caller.recipient) else {
        return Err(refusal);
    };
    let Some(route) = policy.routes.get(facts.route.index) else {
        return Err(refusal.because(RefusalReason::RouteNotCatalogued));
    };
    refusal.recipient = Some(facts.caller.recipient.clone());
    refusal.role = Some(recipient.role);

    if let Some(unenforced) = recipient.refuses.as_ref().or(route.refuses.as_ref()) {
        return Err(refusal.because(RefusalReason::NotEnforced).in_words(&unenforced.what));
    }
    let in_date = recipient.contract.as_ref().is_some_and(|contract| today(now) <= contract.until);
    if recipient.role.needs_contract() && !in_date {
        return Err(refusal.because(RefusalReason::ContractExpired));
    }

    let purposes = effective_purposes(recipient, route, facts)
        .map_err(|reason| refusal.clone().because(reason))?;
    refusal.purposes.clone_from(&purposes);
    for purpose in &purposes {
        let Some(rules) = policy.purposes.get(purpose) else {
            return Err(refusal.because(RefusalReason::PurposeNotAllowed));
        };
        if rules.internal_only && recipient.role != Role::Internal {
            return Err(refusal.because(RefusalReason::PurposeNotAllowed));
        }
        if rules.needs_case {
            // A case id counts only when a register of cases knows it, and there is none.
            let detail = if facts.case.is_some() {
                "no register of cases knows this case"
            } else {
                "name the case"
            };
            return Err(refusal.because(RefusalReason::CaseRequired).in_words(detail));
        }
        if recipient.role == Role::Authority {
            return Err(refusal
                .because(RefusalReason::OrderRequired)
                .in_words("no register of orders holds one"));
        }
    }

    let asks_for_case = purposes.iter().any(|purpose| policy.purposes[purpose].needs_case);
    let Ok(plan) = policy.plan(facts.route.index, &facts.caller.recipient, &purposes) else {
        return Err(refusal.because(RefusalReason::PolicyInvalid));
    };
    if !plan.releases_personal_data() {
        return Err(refusal.because(RefusalReason::NothingGranted));
    }
    let queried = query::check(route, &plan, facts.query)
        .map_err(|(reason, detail)| refusal.clone().because(reason).in_words(&detail))?;
    if !reachable(policy, recipient, now) {
        return Err(refusal.because(RefusalReason::TransferNotCovered));
    }
    if route.subjects.is_empty() {
        return Err(refusal
            .because(RefusalReason::ConsentMissing)
            .in_words("the route names no data subject"));
    }

    let mut known = vec![None; route.subjects.len()];
    for subject in facts.known {
        let Some(slot) = known.get_mut(subject.role) else { continue };
        // The same role twice, as in `?id=a&id=b`: nobody can say who is meant.
        *slot = Some(match slot {
            None => SubjectIds::One(subject.id.clone()),
            Some(SubjectIds::One(id)) if *id == subject.id => SubjectIds::One(subject.id.clone()),
            Some(_) => SubjectIds::Unresolved,
        });
    }
    let mut permit = Permit {
        policy: Arc::clone(policy),
        plan,
        decision,
        person: facts.caller.person.clone(),
        gpc: facts.gpc,
        // The header is the client's own text, and what is entered cannot be erased again: a case
        // that no purpose asks for is not kept.
        case: asks_for_case.then(|| facts.case.map(str::to_owned)).flatten(),
        known,
        queried,
        adjustments: Vec::new(),
    };
    let said = |id: &_| {
        let known = facts.known.iter().find(|subject| subject.id == *id);
        Ok::<_, Infallible>(
            known.map(|subject| Arc::clone(&subject.statements)).unwrap_or_default(),
        )
    };
    match gate::gate(&permit, Part::Request, &permit.known, said, now) {
        Ok(Gate::Release(adjustments)) => permit.adjustments = adjustments,
        Ok(Gate::Drop(reason)) => return Err(refusal.because(reason)),
    }
    Ok(permit)
}

/// What the request is for: what the header names, within what the credential and the route carry;
/// else what the token is bound to; else the recipient's default. The header can only narrow.
fn effective_purposes(
    recipient: &Recipient,
    route: &Route,
    facts: &Facts<'_>,
) -> Result<Vec<PurposeId>, RefusalReason> {
    let carried = |purpose: &&PurposeId| {
        recipient.purposes.contains(purpose)
            && facts.caller.purposes.as_ref().is_none_or(|bound| bound.contains(purpose))
    };
    let allowed = |purpose: &&PurposeId| {
        carried(purpose)
            && route.purposes.as_ref().is_none_or(|of_route| of_route.contains(purpose))
    };
    let mut purposes: Vec<PurposeId> = if !facts.declared_purposes.is_empty() {
        if !facts.declared_purposes.iter().all(|purpose| allowed(&purpose)) {
            return Err(RefusalReason::PurposeNotAllowed);
        }
        facts.declared_purposes.to_vec()
    } else if let Some(of_route) = &route.purposes {
        of_route.iter().filter(carried).cloned().collect()
    } else if let Some(bound) = &facts.caller.purposes {
        bound.iter().filter(allowed).cloned().collect()
    } else {
        recipient.default_purpose.iter().filter(allowed).cloned().collect()
    };
    purposes.sort();
    purposes.dedup();
    if purposes.is_empty() { Err(RefusalReason::PurposeRequired) } else { Ok(purposes) }
}

/// Whether the data of anyone at all could go to the recipient's country. Where it depends on the
/// subject, the subject's gate decides and the refusal is concealed.
fn reachable(policy: &Policy, recipient: &Recipient, now: Timestamp) -> bool {
    let Some(transfers) = &policy.transfers else { return true };
    if recipient.role.is_person() {
        return true;
    }
    let Some(country) = &recipient.country else { return false };
    let mut regions = transfers.table.iter().flat_map(|mechanism| &mechanism.from);
    regions.any(|region| {
        matches!(mechanism(transfers, region, country, today(now)), Transfer::Covered(_))
    })
}

impl Refusal {
    fn because(mut self, reason: RefusalReason) -> Self {
        self.reason = reason;
        self
    }

    fn in_words(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }
}
