//! Whether a tunnel may open: all that may be in it, or nothing. Nobody looks into it afterwards, so that
//! what would be removed, changed or dropped from an answer here keeps the whole of it shut.

use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::{self, Gate, Part, cells_of};
use super::{KnownSubject, Met, Permit, SubjectIds, age};
use crate::policy::plan::Plan;
use crate::terms::{CategoryId, LegalOrder, RefusalReason};

/// Why this plan opens no tunnel, whoever it is about.
pub(super) fn shut(plan: &Plan, order: Option<&LegalOrder>) -> Option<String> {
    if plan.passes_unseen(order) {
        return None;
    }
    let kept_back = plan.changed_in_tunnel(order).map(CategoryId::as_str);
    Some(match kept_back {
        Some(category) => {
            format!("in a tunnel nothing is minimized, and {category} is not released as it is")
        }
        None => "in a tunnel nothing is minimized, and nobody sees the rows in it".to_owned(),
    })
}

/// Judges what the people whom the request names have said as for a whole answer about them.
///
/// # Errors
/// The first reason for which something of it would be kept back.
pub(super) fn judge(
    permit: &Permit,
    known: &[KnownSubject],
    now: Timestamp,
) -> Result<(), RefusalReason> {
    // What goes on is not one use.
    if !permit.one_time_grants.is_empty() {
        return Err(RefusalReason::ConsentMissing);
    }
    let said = |id: &_| {
        let known = known.iter().find(|subject| subject.id == *id);
        Ok::<_, Infallible>(
            known.map(|subject| Arc::clone(&subject.statements)).unwrap_or_default(),
        )
    };
    let ages = age::ages(permit, Part::Document, &permit.known, now);
    match gate::gate(permit, Part::Document, &permit.known, &ages, said, now) {
        Ok(Gate::Drop(reason)) => Err(reason),
        Ok(Gate::Release(kept_back)) if !kept_back.is_empty() || !permit.adjustments.is_empty() => {
            Err(RefusalReason::ConsentMissing)
        }
        Ok(Gate::Release(_)) => Ok(()),
    }
}

impl Permit {
    /// Everybody whom a tunnel under this permit is about: something of each may be in it.
    #[must_use]
    pub fn told_through(&self) -> Vec<Met> {
        let mut met = Vec::new();
        for (role, ids) in self.known.iter().enumerate() {
            if cells_of(&self.plan, role).next().is_none() {
                continue;
            }
            let people = ids.iter().flat_map(SubjectIds::each);
            met.extend(people.map(|person| Met { role, person: person.clone() }));
        }
        met
    }
}
