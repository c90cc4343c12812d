//! Where data may go, as it is: whether one of two tables is stricter depends on who asks about whom, so
//! a person must look.

use super::Change;
use super::conditions::other_of;
use crate::policy::Policy;
use crate::policy::model::{Mechanism, ShowCell, Transfers};
use crate::terms::Country;

/// Changes of it.
pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    other_of(changes, "transfers", "as a whole", &in_words(old), &in_words(new));
    let (Some(old), Some(new)) = (&old.transfers, &new.transfers) else { return };
    let members = |members: &[Country]| {
        let mut names: Vec<&str> = members.iter().map(Country::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    };
    for (name, is) in &new.regions {
        // A name that no rule used before leads nowhere by itself.
        if let Some(was) = old.regions.get(name) {
            other_of(changes, &format!("region {name}"), "members", &members(was), &members(is));
        }
    }
}

fn in_words(policy: &Policy) -> String {
    let Some(transfers) = &policy.transfers else { return "none: data go anywhere".to_owned() };
    let Transfers { sources, unknown_region, allowed, regions: _, table } = transfers;
    let mut rows: Vec<String> = table.iter().map(row).collect();
    rows.sort();
    format!(
        "regions from {sources:?}; unknown {unknown_region}; allowed {allowed:?}; {}",
        rows.join("; ")
    )
}

fn row(mechanism: &Mechanism) -> String {
    // The reference is for whoever reads; only aggregates go by a mechanism of that name.
    let Mechanism {
        from,
        to,
        by,
        reference: _,
        until,
        measure,
        consent,
        aggregates_only: _,
        place: _,
    } = mechanism;
    let measure: Vec<String> = measure
        .iter()
        .map(|ShowCell { pattern, action, place: _ }| format!("{pattern} {action}"))
        .collect();
    let consent = consent.as_ref().map(|purpose| format!(" with consent to {purpose}"));
    let consent = consent.unwrap_or_default();
    format!("{from:?} to {to:?} by {by} until {until:?}{consent} {}", measure.join(", "))
}
