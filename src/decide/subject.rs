//! What one person's statements permit, gate by gate, in the order of precedence: erasure,
//! restriction, objection, age, transfer, notice and consent.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::gate::cells_of;
use super::{Adjustment, Permit};
use crate::action::Action;
use crate::policy::model::{Limit, Locator, Mechanism, Need, Purpose, Transfers};
use crate::policy::{CellId, Policy};
use crate::terms::{
    AgeClass, CategoryId, Consent, ConsentStatus, Country, DataSubject, Objectable, OneTimeGrant,
    PurposeId, PurposePattern, RecipientId, RefusalReason, Restriction, Role, Statements,
};

/// What one person's statements permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SubjectGate {
    /// Their part leaves, tightened.
    Release(Vec<Adjustment>),
    /// Their members are taken out, the rest goes on.
    Withhold(RefusalReason),
    /// The whole part stays away.
    Drop(RefusalReason),
}

/// Gates one subject in one role.
pub(super) fn gate(
    permit: &Permit,
    role: usize,
    id: &DataSubject,
    said: &Statements,
    whereabouts: &Whereabouts,
    now: Timestamp,
) -> SubjectGate {
    // Other people in an answer to the data subject stay hidden (GDPR Art. 15(4)).
    if permit.plan.only_own && permit.party() != Some(id) {
        return SubjectGate::Withhold(RefusalReason::NotAParty);
    }
    if !is_named(permit, said, now) {
        // The order or case is not about them: where they stand beside somebody whom it is about,
        // only their own members stay away.
        let reason = RefusalReason::NotNamed;
        return if role == 0 { SubjectGate::Drop(reason) } else { SubjectGate::Withhold(reason) };
    }
    let purposes =
        || permit.purposes().iter().map(|purpose| (purpose, &permit.policy.purposes[purpose]));

    let erased = said.erasure.as_ref().filter(|erasure| erasure.effective_at <= now);
    if let Some(erasure) = erased {
        let goes_on = |(id, purpose): (&PurposeId, &Purpose)| {
            purpose.survives_erasure || erasure.except.iter().any(|except| except.covers(id))
        };
        if !purposes().all(goes_on) {
            return SubjectGate::Drop(RefusalReason::Erased);
        }
    }

    // What a recipient is told of itself needs nobody's word: it is who the rules say it is.
    if permit.declared_party() == Some(id) {
        return SubjectGate::Release(Vec::new());
    }

    let mut adjustments = Vec::new();
    // What a law orders does not wait for the person's word (GDPR Art. 18(2), 21(1), 23).
    let ordered = permit.order.is_some();
    if !ordered && let Some(reason) = restricted(permit, role, said, now, &mut adjustments) {
        return SubjectGate::Drop(reason);
    }

    if !ordered && let Some(reason) = disputed(permit, role, said, now, &mut adjustments) {
        return SubjectGate::Drop(reason);
    }

    let objected = purposes().any(|(id, purpose)| match purpose.objectable {
        Objectable::Never => false,
        Objectable::OnGrounds | Objectable::Always => {
            said.objections
                .iter()
                .any(|objection| objection.since <= now && objection.purpose.covers(id))
                || objects_by_gpc(permit, id)
        }
    });
    if objected && !ordered {
        return SubjectGate::Drop(RefusalReason::Objected);
    }

    if adults_only(permit) && said.age != AgeClass::Adult {
        return SubjectGate::Drop(RefusalReason::Minor);
    }

    match transfer(permit, role, said, whereabouts, now) {
        Transfer::Uncovered => return SubjectGate::Drop(RefusalReason::TransferOfSubject),
        Transfer::Covered(mechanisms) => {
            for mechanism in mechanisms {
                measure(permit, role, mechanism, &mut adjustments);
            }
        }
    }

    if let Err(reason) = meets(permit, role, &permit.plan.needs, said, now, &mut adjustments) {
        return SubjectGate::Drop(reason);
    }
    for cell in cells_of(&permit.plan, role) {
        let needs = &permit.plan.cell(cell).needs;
        let mut narrowed = Vec::new();
        let unmet = meets(permit, role, needs, said, now, &mut narrowed).is_err();
        if unmet || !is_listed(permit, cell, said, now) {
            adjustments.push(Adjustment { cell, action: Action::Remove });
        }
        adjustments.extend(narrowed.into_iter().filter(|adjustment| adjustment.cell == cell));
    }
    SubjectGate::Release(adjustments)
}

/// Whether the request's `Sec-GPC: 1` objects to a purpose, as the rules say, and as far as anybody can
/// object to it.
pub(super) fn objects_by_gpc(permit: &Permit, id: &PurposeId) -> bool {
    permit.gpc
        && covered(&permit.policy.registers.gpc_objects_to, id)
        && permit.policy.purposes[id].objectable != Objectable::Never
}

/// Whether one of the purposes leaves out minors.
pub(super) fn adults_only(permit: &Permit) -> bool {
    permit.purposes().iter().any(|id| is_for_adults(&permit.policy, id))
}

/// Whether a purpose is for adults alone: by itself, or by a limit.
pub(super) fn is_for_adults(policy: &Policy, id: &PurposeId) -> bool {
    policy.purposes.get(id).is_none_or(|purpose| purpose.min_age.is_some())
        || policy.limits.iter().any(|limit| match limit {
            Limit::Minors { purposes, .. } => covered(purposes, id),
            Limit::AtLeast { .. }
            | Limit::ThirdParties { .. }
            | Limit::Sensitive { .. }
            | Limit::Disputed { .. } => false,
        })
}

/// Whether what the request is done under, an order or a case, names this person and is still in
/// force at the moment of release.
fn is_named(permit: &Permit, said: &Statements, now: Timestamp) -> bool {
    let approvers = permit.policy.registers.order_approvers;
    let ordered = permit.order.as_ref().is_none_or(|order| {
        said.orders.iter().any(|one| {
            one.id == order.id
                && one.recipient == *permit.recipient()
                && one.is_in_force(now, approvers)
        })
    });
    let worked_on = permit
        .case
        .as_ref()
        .is_none_or(|case| said.cases.iter().any(|one| one.id == case.id && one.is_open(now)));
    ordered && worked_on
}

/// Whether the person was erased.
pub(super) fn is_erased(said: &Statements, now: Timestamp) -> bool {
    said.erasure.as_ref().is_some_and(|erasure| erasure.effective_at <= now)
}

/// Whether the person has restricted everything.
pub(super) fn restricts_all(said: &Statements, now: Timestamp) -> bool {
    active_restrictions(said, now).any(covers_all)
}

fn covers_all(restriction: &Restriction) -> bool {
    restriction.categories.is_empty()
        || restriction.categories.iter().any(|pattern| pattern.as_str() == "*")
}

fn active(said: &Statements, now: Timestamp) -> impl Iterator<Item = &Restriction> {
    said.restrictions.iter().filter(move |restriction| {
        restriction.since <= now && restriction.until.is_none_or(|until| now < until)
    })
}

fn active_restrictions(said: &Statements, now: Timestamp) -> impl Iterator<Item = &Restriction> {
    active(said, now).filter(|restriction| !restriction.disputed)
}

/// Takes out what the restrictions are of.
fn take_out<'a, I: Iterator<Item = &'a Restriction>>(
    permit: &Permit,
    role: usize,
    restrictions: impl Fn() -> I,
    adjustments: &mut Vec<Adjustment>,
) {
    for cell in cells_of(&permit.plan, role) {
        let Some(category) = &permit.plan.cell(cell).category else { continue };
        let mut patterns = restrictions().flat_map(|restriction| &restriction.categories);
        if patterns.any(|pattern| pattern.covers(category)) {
            adjustments.push(Adjustment { cell, action: Action::Remove });
        }
    }
}

/// What the person disputes is taken out, where a limit says so of the recipient's role.
fn disputed(
    permit: &Permit,
    role: usize,
    said: &Statements,
    now: Timestamp,
    adjustments: &mut Vec<Adjustment>,
) -> Option<RefusalReason> {
    let role_of_recipient = permit.role();
    let binds =
        permit.policy.limits.iter().any(|limit| limit.keeps_disputed_from(role_of_recipient));
    let disputes = || active(said, now).filter(|restriction| restriction.disputed);
    if !binds || disputes().next().is_none() {
        return None;
    }
    if disputes().any(covers_all) {
        return Some(RefusalReason::Restricted);
    }
    take_out(permit, role, disputes, adjustments);
    None
}

/// A restriction of everything takes the part away; one of some categories takes those out.
fn restricted(
    permit: &Permit,
    role: usize,
    said: &Statements,
    now: Timestamp,
    adjustments: &mut Vec<Adjustment>,
) -> Option<RefusalReason> {
    let stopped = |purpose: &&PurposeId| {
        !permit.policy.purposes[*purpose].survives_restriction
            && consents_for(permit, purpose, Need::ExplicitConsent, said, now).is_err()
    };
    permit.purposes().iter().find(stopped)?;
    if restricts_all(said, now) {
        return Some(RefusalReason::Restricted);
    }
    take_out(permit, role, || active_restrictions(said, now), adjustments);
    None
}

/// Whether every need is met for every purpose; consents that name categories narrow the cells.
fn meets(
    permit: &Permit,
    role: usize,
    needs: &[Need],
    said: &Statements,
    now: Timestamp,
    adjustments: &mut Vec<Adjustment>,
) -> Result<(), RefusalReason> {
    for purpose in permit.purposes() {
        let text_digest = permit.policy.purposes[purpose].text_digest;
        for need in needs {
            match need {
                Need::Consent | Need::ExplicitConsent if permit.order.is_some() => {}
                Need::Notice => {
                    let told = said.notices.iter().any(|notice| {
                        notice.purpose == *purpose
                            && notice.shown_at <= now
                            && notice.purpose_text_digest == Some(text_digest)
                    });
                    if !told {
                        return Err(RefusalReason::NoticeMissing);
                    }
                }
                Need::Consent | Need::ExplicitConsent => {
                    let consents = consents_for(permit, purpose, *need, said, now)?;
                    if consents.iter().any(|consent| consent.categories.is_empty()) {
                        continue;
                    }
                    let listed = |category: &CategoryId| {
                        consents.iter().any(|consent| consent.categories.contains(category))
                    };
                    adjustments.extend(
                        cells_of(&permit.plan, role)
                            .filter(|cell| {
                                let category = permit.plan.cell(*cell).category.as_ref();
                                category.is_some_and(|category| !listed(category))
                            })
                            .map(|cell| Adjustment { cell, action: Action::Remove }),
                    );
                }
                Need::OneTimeGrant => {
                    if one_time_grant(permit, role, purpose, said, now).is_none() {
                        return Err(RefusalReason::ConsentMissing);
                    }
                }
                // Asked of each cell for its own category.
                Need::ListedConsent => {}
            }
        }
    }
    Ok(())
}

/// The grant for one use that this decision may rest on. It can be used up only where the person is
/// known before anything leaves.
pub(super) fn one_time_grant<'a>(
    permit: &Permit,
    role: usize,
    purpose: &PurposeId,
    said: &'a Statements,
    now: Timestamp,
) -> Option<&'a OneTimeGrant> {
    if !is_one_person_asked_for(permit, role) {
        return None;
    }
    said.one_time_grants.iter().find(|grant| {
        grant.purpose == *purpose
            && grant.recipient == *permit.recipient()
            && grant.is_usable(&permit.decision, now)
    })
}

/// Whether the request itself names the person of this role: no list, and nobody beside them.
fn is_one_person_asked_for(permit: &Permit, role: usize) -> bool {
    let route = &permit.policy.routes[permit.plan.route_index];
    let locator = route.subjects.get(role).map(|subject| &subject.locator);
    matches!(locator, Some(Locator::Path(_) | Locator::Query(_) | Locator::Body(_)))
}

/// Whether each purpose has a consent that lists the cell's category, where the cell needs that.
fn is_listed(permit: &Permit, cell: CellId, said: &Statements, now: Timestamp) -> bool {
    let cell = permit.plan.cell(cell);
    if !cell.needs.contains(&Need::ListedConsent) {
        return true;
    }
    let Some(category) = &cell.category else { return false };
    permit.purposes().iter().all(|purpose| {
        consents_for(permit, purpose, Need::ListedConsent, said, now)
            .is_ok_and(|consents| consents.iter().any(|one| one.categories.contains(category)))
    })
}

/// The consents that cover this purpose and recipient now, at least one; or why there is none.
fn consents_for<'a>(
    permit: &Permit,
    purpose: &PurposeId,
    need: Need,
    said: &'a Statements,
    now: Timestamp,
) -> Result<Vec<&'a Consent>, RefusalReason> {
    let rules = &permit.policy.purposes[purpose];
    let asker = Asker {
        policy: &permit.policy,
        recipient: permit.recipient(),
        // Disclosure to a third party is approved recipient by recipient.
        must_be_named: rules.consent_names_recipient || permit.role() == Role::ThirdParty,
    };
    valid_consents(&asker, purpose, need, said, now)
}

/// To whom a consent must have been given.
pub(super) struct Asker<'a> {
    pub(super) policy: &'a Policy,
    pub(super) recipient: &'a RecipientId,
    /// A consent that names no recipient is not enough.
    pub(super) must_be_named: bool,
}

/// The consents to this purpose that hold now, at least one; or why there is none.
pub(super) fn valid_consents<'a>(
    asker: &Asker<'_>,
    purpose: &PurposeId,
    need: Need,
    said: &'a Statements,
    now: Timestamp,
) -> Result<Vec<&'a Consent>, RefusalReason> {
    let mut missing = RefusalReason::ConsentMissing;
    let mut found = Vec::new();
    let rules = asker.policy.purposes.get(purpose).filter(|_| asker.policy.registers.consent);
    let Some(rules) = rules else { return Err(missing) };
    if said.consents_unknown {
        return Err(RefusalReason::ConsentUnknown);
    }
    for consent in said.consents.iter().filter(|consent| consent.purpose == *purpose) {
        let names_recipient = consent.recipients.contains(asker.recipient);
        let covers_recipient =
            names_recipient || (!asker.must_be_named && consent.recipients.is_empty());
        if !consent.status(now).is_valid()
            || !covers_recipient
            || (need == Need::ExplicitConsent && !consent.explicit)
            || withdrawn_above(consent, said, now)
        {
            continue;
        }
        if consent.purpose_text_digest == Some(rules.text_digest) {
            found.push(consent);
        } else {
            missing = RefusalReason::ConsentStale;
        }
    }
    if found.is_empty() { Err(missing) } else { Ok(found) }
}

/// Withdrawal flows down the tree of purposes: whoever takes back `marketing` takes back
/// `marketing.email`, unless they gave that one afresh later.
fn withdrawn_above(consent: &Consent, said: &Statements, now: Timestamp) -> bool {
    let given = consent
        .events
        .iter()
        .filter(|event| event.at <= now && event.status.is_valid())
        .map(|event| event.at)
        .max();
    said.consents
        .iter()
        .filter(|above| {
            above.purpose != consent.purpose
                && PurposePattern::new(above.purpose.as_str()).covers(&consent.purpose)
        })
        .flat_map(|above| &above.events)
        .any(|event| {
            matches!(event.status, ConsentStatus::Withdrawn | ConsentStatus::Revoked)
                && event.at <= now
                && given.is_none_or(|given| event.at >= given)
        })
}

/// What an answer says of where a person is.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// It has not been read yet; before it was, nothing leaves.
    Later,
    /// These regions; none where the answer says nothing.
    Said(Vec<Country>),
    /// Several at once at one place: nobody can say which.
    Contradictory,
}

/// Whether a region's data may go to the recipient's country.
#[derive(Debug)]
pub(super) enum Transfer<'a> {
    /// They may, with the measures of these mechanisms; none where one needs no measure.
    Covered(Vec<&'a Mechanism>),
    /// They may not.
    Uncovered,
}

/// The mechanisms for one subject. What the sources say holds together: data leave only if they
/// could leave from each of the regions, with the measures of all. A subject of whom no source
/// knows anything has the rules' `unknown` region.
fn transfer<'a>(
    permit: &'a Permit,
    role: usize,
    said: &Statements,
    whereabouts: &Whereabouts,
    now: Timestamp,
) -> Transfer<'a> {
    let Some(transfers) = &permit.policy.transfers else { return Transfer::Covered(Vec::new()) };
    // People see their own data and each other's public card wherever they are: no export by the
    // controller to a recipient's country.
    if permit.role().is_person() {
        return Transfer::Covered(Vec::new());
    }
    let Some(country) = &permit.policy.recipients[permit.recipient()].country else {
        return Transfer::Uncovered;
    };
    let mut regions: Vec<&Country> =
        said.region.iter().filter(|_| transfers.sources.directory).collect();
    match whereabouts {
        // What the answer will say is asked for again before anything of it leaves.
        Whereabouts::Later if regions.is_empty() => return Transfer::Covered(Vec::new()),
        Whereabouts::Later => {}
        Whereabouts::Said(said) => regions.extend(said),
        Whereabouts::Contradictory => return Transfer::Uncovered,
    }
    if regions.is_empty() {
        regions.push(&transfers.unknown_region);
    }
    let consented = |purpose: &PurposeId| {
        is_one_person_asked_for(permit, role) && agreed_to_transfer(permit, purpose, said, now)
    };
    let mut measures = Vec::new();
    for region in regions {
        match mechanism(transfers, region, country, today(now), consented, What::Data) {
            Transfer::Uncovered => return Transfer::Uncovered,
            Transfer::Covered(mechanisms) => measures.extend(mechanisms),
        }
    }
    Transfer::Covered(measures)
}

/// Whether this person's explicit consent to the transfer itself names the recipient. One that lists
/// categories was given for those alone and does not carry an answer.
fn agreed_to_transfer(
    permit: &Permit,
    purpose: &PurposeId,
    said: &Statements,
    now: Timestamp,
) -> bool {
    consents_for(permit, purpose, Need::ExplicitConsent, said, now).is_ok_and(|consents| {
        consents.iter().any(|consent| {
            consent.recipients.contains(permit.recipient()) && consent.categories.is_empty()
        })
    })
}

/// What is to be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Data about one person.
    Data,
    /// Counts of groups.
    Counts,
}

/// A mechanism in force without a supplementary measure, else all in force with the measures of
/// each, so that the order of the table means nothing.
pub(super) fn mechanism<'a>(
    transfers: &'a Transfers,
    region: &Country,
    country: &Country,
    today: Date,
    consented: impl Fn(&PurposeId) -> bool,
    what: What,
) -> Transfer<'a> {
    let counts = what == What::Counts;
    let is_within = |country, of| transfers.is_within(country, of);
    if !transfers.allowed.iter().any(|allowed| is_within(country, allowed)) {
        return Transfer::Uncovered;
    }
    let in_force = || {
        transfers.table.iter().filter(|mechanism| {
            (counts || !mechanism.aggregates_only)
                && mechanism.until.is_none_or(|until| today <= until)
                && mechanism.from.iter().any(|from| is_within(region, from))
                && (mechanism.to.is_empty() || mechanism.to.iter().any(|to| is_within(country, to)))
                && mechanism.consent.as_ref().is_none_or(&consented)
        })
    };
    if in_force().any(|mechanism| mechanism.measure.is_empty()) {
        return Transfer::Covered(Vec::new());
    }
    let mechanisms: Vec<&Mechanism> = in_force().collect();
    if mechanisms.is_empty() { Transfer::Uncovered } else { Transfer::Covered(mechanisms) }
}

fn measure(permit: &Permit, role: usize, mechanism: &Mechanism, adjustments: &mut Vec<Adjustment>) {
    for cell in cells_of(&permit.plan, role) {
        let Some(category) = &permit.plan.cell(cell).category else { continue };
        for measure in mechanism.measure.iter().filter(|measure| measure.pattern.covers(category)) {
            adjustments.push(Adjustment { cell, action: measure.action.clone() });
        }
    }
}

pub(super) fn covered(patterns: &[PurposePattern], purpose: &PurposeId) -> bool {
    patterns.iter().any(|pattern| pattern.covers(purpose))
}

/// The calendar day of a decision, in UTC.
pub(super) fn today(now: Timestamp) -> Date {
    now.to_zoned_datetime(TimeZone::UTC).date()
}
