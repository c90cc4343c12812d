//! The decision for a request: one walk from top to bottom, the first reason that applies refuses.

use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::{self, Gate, Part};
use super::subject::{self, Transfer, What, mechanism, today};
use super::{
    Adjustment, Caller, Facts, KnownSubject, Named, Permit, Refusal, SubjectIds, counts, query,
    tunnel,
};
use crate::policy::Policy;
use crate::policy::model::{Need, Recipient, Route};
use crate::policy::plan::Cell;
use crate::terms::{Case, CategoryId, DecisionId, LegalOrder, PurposeId, RefusalReason, Role};

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
    let (refusal, recipient, route, purposes) = standing(policy, facts, decision.clone(), now)?;
    let case = case(policy, &purposes, facts, now)
        .map_err(|detail| refusal.clone().because(RefusalReason::CaseRequired).in_words(detail))?;
    let order = order(policy, recipient, facts, now)
        .map_err(|detail| refusal.clone().because(RefusalReason::OrderRequired).in_words(detail))?;

    let Ok(plan) = policy.plan(facts.route.index, &facts.caller.recipient, &purposes) else {
        return Err(refusal.because(RefusalReason::PolicyInvalid));
    };
    let listed = |category: &CategoryId| {
        order.as_ref().is_none_or(|order| order.categories.contains(category))
    };
    let releases =
        |cell: &Cell| cell.action.releases() && cell.category.as_ref().is_some_and(listed);
    // A route that only takes something in discloses nothing of anybody: what it answers is reduced
    // to what is open, and nobody stands in a link of its head.
    let tells = plan.cells.iter().any(releases);
    let only_takes = route.only_takes() && !tells;
    if !only_takes && !tells {
        return Err(refusal.because(RefusalReason::NothingGranted));
    }
    if route.tunnel.is_some()
        && let Some(why) = tunnel::shut(&plan, order.as_deref())
    {
        return Err(refusal.because(RefusalReason::NothingGranted).in_words(&why));
    }
    let queried = query::check(route, &plan, facts.query)
        .map_err(|(reason, detail)| refusal.clone().because(reason).in_words(&detail))?;
    if !only_takes && !reachable(policy, route, recipient, now) {
        return Err(refusal.because(RefusalReason::TransferNotCovered));
    }
    if !only_takes && route.aggregate.is_none() && route.subjects.is_empty() {
        return Err(refusal
            .because(RefusalReason::ConsentMissing)
            .in_words("the route names no data subject"));
    }

    let beyond =
        plan.only_where.len() + plan.regions.len() + plan.dated.len() + plan.companions.len();
    let mut known = vec![None; route.subjects.len() + beyond];
    name(&mut known, facts.known);
    let mut permit = Permit {
        policy: Arc::clone(policy),
        plan,
        decision,
        person: facts.caller.person.clone(),
        gpc: facts.gpc,
        case,
        order,
        one_time_grants: Vec::new(),
        known,
        queried,
        adjustments: Vec::new(),
    };
    permit.adjustments =
        asked_of(&permit, facts.known, now).map_err(|reason| refusal.clone().because(reason))?;
    if route.aggregate.is_some() {
        let tightened =
            counts::gate(&permit, now).map_err(|reason| refusal.clone().because(reason))?;
        permit.adjustments.extend(tightened);
    }
    permit.one_time_grants = one_time_grants(&permit, facts.known, now);
    if route.tunnel.is_some() {
        tunnel::judge(&permit, facts.known, now).map_err(|reason| refusal.because(reason))?;
    }
    Ok(permit)
}

/// Decides again, now that the request's body was read and names these people beside `known`, who were
/// known before.
///
/// # Errors
/// [`Refusal`] with the first reason that applies to one of them.
pub fn decide_named(
    permit: &Permit,
    known: &[KnownSubject],
    now: Timestamp,
) -> Result<Permit, Refusal> {
    let refusal = Refusal {
        reason: RefusalReason::ConsentMissing,
        decision: permit.decision.clone(),
        recipient: Some(permit.recipient().clone()),
        role: Some(permit.role()),
        purposes: permit.purposes().to_vec(),
        detail: None,
    };
    let mut slots = vec![None; permit.known.len()];
    name(&mut slots, known);
    let mut named = Permit {
        policy: Arc::clone(&permit.policy),
        plan: Arc::clone(&permit.plan),
        decision: permit.decision.clone(),
        person: permit.person.clone(),
        gpc: permit.gpc,
        case: permit.case.clone(),
        order: permit.order.clone(),
        one_time_grants: Vec::new(),
        known: slots,
        queried: permit.queried.clone(),
        adjustments: Vec::new(),
    };
    if !named.is_whole() {
        return Err(refusal);
    }
    named.adjustments = asked_of(&named, known, now).map_err(|reason| refusal.because(reason))?;
    named.one_time_grants = one_time_grants(&named, known, now);
    Ok(named)
}

/// Puts ids in the places of their roles.
fn name(slots: &mut [Option<SubjectIds>], known: &[KnownSubject]) {
    for subject in known {
        let Some(slot) = slots.get_mut(subject.role) else { continue };
        // The same role twice, as in `?id=a&id=b`: nobody can say who is meant.
        *slot = Some(match slot {
            None => SubjectIds::One(subject.id.clone()),
            Some(SubjectIds::One(id)) if *id == subject.id => SubjectIds::One(subject.id.clone()),
            Some(_) => SubjectIds::Unresolved,
        });
    }
}

/// What the gates of those whom the request names tighten, or why nothing leaves.
fn asked_of(
    permit: &Permit,
    known: &[KnownSubject],
    now: Timestamp,
) -> Result<Vec<Adjustment>, RefusalReason> {
    let said = |id: &_| {
        let known = known.iter().find(|subject| subject.id == *id);
        Ok::<_, Infallible>(
            known.map(|subject| Arc::clone(&subject.statements)).unwrap_or_default(),
        )
    };
    match gate::gate(permit, Part::Request, &permit.known, &[], said, now) {
        Ok(Gate::Release(adjustments)) => Ok(adjustments),
        Ok(Gate::Drop(reason)) => Err(reason),
    }
}

/// Who asks, for which route and for what, with the refusal that later reasons fill in.
type Standing<'a> = (Refusal, &'a Recipient, &'a Route, Vec<PurposeId>);

/// The first steps, which every route has in common: recipient, route, contract, purposes.
pub(super) fn standing<'a>(
    policy: &'a Policy,
    facts: &Facts<'_>,
    decision: DecisionId,
    now: Timestamp,
) -> Result<Standing<'a>, Refusal> {
    let mut refusal = Refusal {
        reason: RefusalReason::RecipientUnknown,
        decision,
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
    // What a person has said is known by one spelling of their id; whoever signs people in has it.
    let person = facts.caller.person.as_ref();
    if person.is_some_and(|person| !policy.registers.ids.admits(person.expose())) {
        return Err(refusal);
    }
    refusal.recipient = Some(facts.caller.recipient.clone());
    refusal.role = Some(recipient.role);

    let in_date = recipient.contract.as_ref().is_some_and(|contract| today(now) <= contract.until);
    if recipient.role.needs_contract() && !in_date {
        return Err(refusal.because(RefusalReason::ContractExpired));
    }

    let purposes = effective_purposes(recipient, route, facts.caller, facts.declared_purposes)
        .map_err(|reason| refusal.clone().because(reason))?;
    refusal.purposes.clone_from(&purposes);
    for purpose in &purposes {
        let Some(rules) = policy.purposes.get(purpose) else {
            return Err(refusal.because(RefusalReason::PurposeNotAllowed));
        };
        if rules.internal_only && recipient.role != Role::Internal {
            return Err(refusal.because(RefusalReason::PurposeNotAllowed));
        }
    }
    Ok((refusal, recipient, route, purposes))
}

/// The grants for one use that the answer rests on: one for each person known so far and purpose.
fn one_time_grants(permit: &Permit, known: &[KnownSubject], now: Timestamp) -> Vec<Arc<str>> {
    let needs = |needs: &[Need]| needs.contains(&Need::OneTimeGrant);
    let needed = needs(&permit.plan.needs)
        || permit.plan.cells.iter().any(|cell| cell.action.releases() && needs(&cell.needs));
    if !needed {
        return Vec::new();
    }
    let mut ids = Vec::new();
    for subject in known {
        for purpose in permit.purposes() {
            let grant =
                subject::one_time_grant(permit, subject.role, purpose, &subject.statements, now);
            ids.extend(grant.map(|grant| Arc::clone(&grant.id)));
        }
    }
    ids.sort();
    ids.dedup();
    ids
}

/// What the request is for: what the header names, within what the credential and the route carry;
/// else what the token is bound to; else the recipient's default. The header can only narrow.
///
/// # Errors
/// `PurposeNotAllowed`, `PurposeRequired`.
pub fn effective_purposes(
    recipient: &Recipient,
    route: &Route,
    caller: &Caller,
    declared: &[PurposeId],
) -> Result<Vec<PurposeId>, RefusalReason> {
    let carried = |purpose: &&PurposeId| {
        recipient.purposes.contains(purpose)
            && caller.purposes.as_ref().is_none_or(|bound| bound.contains(purpose))
    };
    let allowed = |purpose: &&PurposeId| {
        carried(purpose)
            && route.purposes.as_ref().is_none_or(|of_route| of_route.contains(purpose))
    };
    let mut purposes: Vec<PurposeId> = if !declared.is_empty() {
        if !declared.iter().all(|purpose| allowed(&purpose)) {
            return Err(RefusalReason::PurposeNotAllowed);
        }
        declared.to_vec()
    } else if let Some(of_route) = &route.purposes {
        of_route.iter().filter(carried).cloned().collect()
    } else if let Some(bound) = &caller.purposes {
        bound.iter().filter(allowed).cloned().collect()
    } else {
        recipient.default_purpose.iter().filter(allowed).cloned().collect()
    };
    purposes.sort();
    purposes.dedup();
    if purposes.is_empty() { Err(RefusalReason::PurposeRequired) } else { Ok(purposes) }
}

/// The case that the request is done for, where one of its purposes asks for a case; it must have
/// been opened for each purpose that does. One that no purpose asks for is not kept.
fn case(
    policy: &Policy,
    purposes: &[PurposeId],
    facts: &Facts<'_>,
    now: Timestamp,
) -> Result<Option<Arc<Case>>, &'static str> {
    let mut asking = purposes.iter().filter(|id| policy.purposes[*id].needs_case).peekable();
    if asking.peek().is_none() {
        return Ok(None);
    }
    match facts.case {
        Named::Nothing => Err("name the case"),
        Named::Unknown => Err("the register of cases does not know this case"),
        Named::Known(case) if !case.is_open(now) => Err("the case is not open"),
        Named::Known(case) if !asking.all(|id| case.purposes.contains(id)) => {
            Err("the case was not opened for this purpose")
        }
        Named::Known(case) => Ok(Some(Arc::clone(case))),
    }
}

/// The order that an authority relies on. Nobody else's request rests on one.
fn order(
    policy: &Policy,
    recipient: &Recipient,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Result<Option<Arc<LegalOrder>>, &'static str> {
    if recipient.role != Role::Authority {
        return Ok(None);
    }
    let approvers = policy.registers.order_approvers;
    match facts.order {
        Named::Nothing => Err("name the order"),
        Named::Unknown => Err("the register of orders does not know this order"),
        Named::Known(order) if order.recipient != facts.caller.recipient => {
            Err("the order is for another recipient")
        }
        Named::Known(order) if !order.is_in_force(now, approvers) => {
            Err("the order is not in force: its window, its approvals, or it was lifted")
        }
        Named::Known(order) => Ok(Some(Arc::clone(order))),
    }
}

/// Whether the data of anyone at all could go to the recipient's country. Where it depends on the
/// subject, the subject's gate decides and the refusal is concealed.
fn reachable(policy: &Policy, route: &Route, recipient: &Recipient, now: Timestamp) -> bool {
    let Some(transfers) = &policy.transfers else { return true };
    if recipient.role.is_person() {
        return true;
    }
    let Some(country) = &recipient.country else { return false };
    // Nobody says of groups where their people are: see `counts`.
    if route.aggregate.is_some() {
        return counts::mechanisms(policy, recipient, now).is_some();
    }
    let mut regions = transfers.table.iter().flat_map(|mechanism| &mechanism.from);
    regions.any(|region| {
        let agreed = |_: &PurposeId| true;
        let found = mechanism(transfers, region, country, today(now), agreed, What::Data);
        matches!(found, Transfer::Covered(_))
    })
}

impl Refusal {
    pub(super) fn because(mut self, reason: RefusalReason) -> Self {
        self.reason = reason;
        self
    }

    fn in_words(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }
}
