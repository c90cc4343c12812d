//! The gate of an aggregate: nobody in it is named, so nobody can be asked. What would depend on what a
//! person has said refuses the whole, or takes the category out.

use jiff::Timestamp;

use super::subject::{Transfer, What, adults_only, mechanism, objects_by_gpc, today};
use super::{Adjustment, Permit};
use crate::action::Action;
use crate::policy::model::{Mechanism, Need, Recipient};
use crate::policy::{CellId, Policy};
use crate::terms::{Country, PurposeId, RefusalReason};

/// What of an aggregate leaves beyond its plan, or why nothing does.
pub(super) fn gate(permit: &Permit, now: Timestamp) -> Result<Vec<Adjustment>, RefusalReason> {
    let plan = &permit.plan;
    // An order and a case are about the people they name, and counts are about others too.
    if permit.order.is_some() || permit.case.is_some() {
        return Err(RefusalReason::NotNamed);
    }
    if plan.only_own || plan.own_lines || !plan.only_where.is_empty() {
        return Err(RefusalReason::NotAParty);
    }
    // Which members stand beside others is asked of elements, and a group is none.
    if !plan.company.is_empty() {
        return Err(RefusalReason::NothingGranted);
    }
    if permit.purposes().iter().any(|id| objects_by_gpc(permit, id)) {
        return Err(RefusalReason::Objected);
    }
    if adults_only(permit) {
        return Err(RefusalReason::Minor);
    }
    match plan.needs.first() {
        None => {}
        Some(Need::Notice) => return Err(RefusalReason::NoticeMissing),
        Some(_) => return Err(RefusalReason::ConsentMissing),
    }

    let recipient = &permit.policy.recipients[permit.recipient()];
    let mechanisms = mechanisms(&permit.policy, recipient, now);
    let mechanisms = mechanisms.ok_or(RefusalReason::TransferNotCovered)?;
    let mut adjustments = Vec::new();
    for (at, cell) in (0_u16..).zip(&plan.cells) {
        let Some(category) = &cell.category else { continue };
        let measures = mechanisms.iter().flat_map(|mechanism| &mechanism.measure);
        let measures = measures.filter(|measure| measure.pattern.covers(category));
        adjustments.extend(measures.map(|measure| (at, measure.action.clone())));
        // Nobody in the group has agreed to this category.
        if !cell.needs.is_empty() {
            adjustments.push((at, Action::Remove));
        }
    }
    let adjusted = |(at, action)| Adjustment { cell: CellId(at), action };
    Ok(adjustments.into_iter().map(adjusted).collect())
}

/// The mechanisms by which counts go to the recipient's country. People of every region that the rules
/// know may be counted, so data must be allowed to leave from each. `None`: from one they may not.
pub(super) fn mechanisms<'a>(
    policy: &'a Policy,
    recipient: &Recipient,
    now: Timestamp,
) -> Option<Vec<&'a Mechanism>> {
    let Some(transfers) = &policy.transfers else { return Some(Vec::new()) };
    if recipient.role.is_person() {
        return Some(Vec::new());
    }
    let country = recipient.country.as_ref()?;
    let known = transfers.table.iter().flat_map(|mechanism| &mechanism.from);
    let regions: Vec<&Country> = known.chain([&transfers.unknown_region]).collect();
    let nobody_agreed = |_: &PurposeId| false;
    let mut found = Vec::new();
    for region in regions {
        match mechanism(transfers, region, country, today(now), nobody_agreed, What::Counts) {
            Transfer::Uncovered => return None,
            Transfer::Covered(mechanisms) => found.extend(mechanisms),
        }
    }
    Some(found)
}
