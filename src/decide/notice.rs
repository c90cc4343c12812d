//! By which forms of their id a person is named to a recipient that is told of their erasure.
//!
//! A notice is a disclosure of that id, so it goes where a transfer may go and no further, and in a form
//! at least as strict as the measures on the way.

use jiff::Timestamp;

use super::subject::{Transfer, What, mechanism, today};
use crate::action::{Action, Period};
use crate::policy::Policy;
use crate::policy::model::{ErasureNotice, Mechanism};
use crate::terms::{RecipientId, Statements};

/// The forms that may be told of whoever said this, the most open first. Beside the one in force for them
/// each stricter one that the recipient may have got: in which region a person was taken to be may have
/// changed. Empty: nothing may be told there.
#[must_use]
pub fn notice_forms(
    policy: &Policy,
    recipient: &RecipientId,
    notice: &ErasureNotice,
    said: &Statements,
    now: Timestamp,
) -> Vec<Action> {
    let Some(transfers) = &policy.transfers else { return vec![notice.action.clone()] };
    let country = policy.recipients.get(recipient).and_then(|one| one.country.as_ref());
    let Some(country) = country else { return Vec::new() };
    let region = said.region.as_ref().filter(|_| transfers.sources.directory);
    let region = region.unwrap_or(&transfers.unknown_region);
    let today = today(now);
    // Nobody agrees to a transfer by asking to be erased.
    let covered = match mechanism(transfers, region, country, today, |_| false, What::Data) {
        Transfer::Covered(mechanisms) => mechanisms,
        Transfer::Uncovered => return Vec::new(),
    };
    let with = |form: Action, mechanism: &Mechanism| {
        let measures = mechanism.measure.iter();
        let measures = measures.filter(|measure| measure.pattern.covers(&notice.category));
        measures.fold(form, |form, measure| form.join(measure.action.clone()))
    };
    let in_force = covered.into_iter().fold(notice.action.clone(), with);
    let mut forms = vec![in_force.clone()];
    let leads_there = transfers.table.iter().filter(|mechanism| {
        mechanism.to.is_empty() || mechanism.to.iter().any(|to| transfers.is_within(country, to))
    });
    for mechanism in leads_there {
        let form = with(in_force.clone(), mechanism);
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms.retain(names_somebody);
    forms
}

/// Whether whoever has the value in this form finds it again.
fn names_somebody(form: &Action) -> bool {
    matches!(form, Action::Keep | Action::Token | Action::Pseudonym(Period::Unlimited))
}
