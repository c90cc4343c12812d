//! "How a decision is made", steps 1 to 6, and what becomes of the document.

use std::collections::BTreeMap;

use super::act::Act;
use super::cell::{Cell, cell};
use super::dates::has_date;
use super::person::Asker;
use super::text::{OneOrMany, Text, covers};
use super::{Outcome, walk};
use crate::properties::world::{CATEGORIES, World};

/// The day of the question.
pub(super) const TODAY: &str = "2026-06-01";

pub(super) fn judge(text: &Text, world: &World) -> Result<Outcome, Outcome> {
    let refused = |code| Err(Outcome::Refused(code));
    let ask = &world.ask;
    let route = &text.routes[ask.route];
    // 1. Who asks.
    let Some(recipient) = text.recipients.get(ask.recipient) else {
        return refused("recipient-unknown");
    };
    // 2. The contract.
    let role = recipient.role.as_str();
    if matches!(role, "processor" | "joint" | "third-party" | "successor")
        && recipient.contract.as_ref().is_none_or(|contract| contract.until.as_str() < TODAY)
    {
        return refused("contract-expired");
    }
    // 3. The purposes: carried by credential, recipient and route; the header only narrows.
    let carried = |purpose: &str| {
        recipient.purposes.iter().any(|one| one == purpose)
            && ask.bound.as_ref().is_none_or(|bound| bound.contains(&purpose))
            && route.purpose.as_ref().is_none_or(|one| one == purpose)
    };
    let purposes: Vec<&str> = if !ask.declared.is_empty() {
        ask.declared.clone()
    } else if let Some(purpose) = &route.purpose {
        if !carried(purpose) {
            return refused("purpose-required");
        }
        vec![purpose]
    } else if let Some(bound) = &ask.bound {
        let bound: Vec<&str> = bound.iter().copied().filter(|one| carried(one)).collect();
        if bound.is_empty() {
            return refused("purpose-required");
        }
        bound
    } else if let Some(default) = &recipient.default_purpose {
        vec![default]
    } else {
        return refused("purpose-required");
    };
    if !purposes.iter().all(|purpose| carried(purpose)) {
        return refused("purpose-not-allowed");
    }
    // 4. Cases and orders.
    let (of_case, is_open) = &world.files.case;
    for purpose in &purposes {
        let fits = ask.case && *is_open && of_case.contains(purpose);
        if text.purposes[*purpose].needs_case && !fits {
            return refused("case-required");
        }
    }
    let (of_order, listed, in_force) = &world.files.order;
    let order = (role == "authority").then_some(listed.as_slice());
    if order.is_some() && !(ask.order && *in_force && *of_order == ask.recipient) {
        return refused("order-required");
    }
    // 5. Something personal is granted; parameters are declared, and filter on what is in clear.
    let mut cells: BTreeMap<&str, Cell> = CATEGORIES
        .iter()
        .map(|category| (*category, cell(text, ask, &purposes, category, order)))
        .collect();
    // Nobody consents to see what is their own.
    let own = role == "self" && cells.values().any(|cell| cell.only_self);
    let limits = text.limits.iter().filter_map(|limit| limit.sensitive.as_ref());
    for need in limits.filter(|_| !own).flat_map(|limit| &limit.needs) {
        let sensitive = cells.iter_mut().filter(|(name, _)| text.categories[**name].sensitive);
        for (_, cell) in sensitive {
            cell.needs.insert(need.clone());
        }
    }
    let in_a_row = |selector: &str| {
        recipient.only_where.is_empty() || route.each.is_none() || selector.starts_with('@')
    };
    // What has a period, and no date on this route, does not leave.
    let is_dated =
        |selector: &str, category: &str| has_date(text, route, &purposes, selector, category);
    let here: Vec<&str> = route
        .fields
        .iter()
        .filter(|(selector, field)| in_a_row(selector) && is_dated(selector, field.category()))
        .filter(|(selector, field)| {
            let beside = route.each.is_some() && !selector.starts_with('@');
            !(beside && cells[field.category()].act == Act::OwnLines)
        })
        .map(|(_, field)| field.category())
        .collect();
    if !here.iter().any(|category| cells[category].act.tells()) {
        return refused("nothing-granted");
    }
    // In clear on this route, wherever it stands there.
    let leaves_as = |category: &str, act: Act| {
        let mut fields = route.fields.iter().filter(|(_, field)| field.category() == category);
        let mut all = fields.clone().all(|(selector, _)| {
            in_a_row(selector) && is_dated(selector, category) && act == Act::Keep
        });
        all &= fields.next().is_some();
        all
    };
    let mut filters = Vec::new();
    for parameter in &ask.query {
        match route.query.get(*parameter).map(String::as_str) {
            None => return refused("query-not-catalogued"),
            Some("open") => {}
            Some(category) if leaves_as(category, cells[category].act) => {
                filters.push(category.to_owned());
            }
            // The order does not list it: the same as a person who is not found.
            Some(category) if leaves_as(category, cells[category].by_rules) => {
                return Err(Outcome::Concealed);
            }
            Some(_) => return refused("query-on-withheld-field"),
        }
    }
    // 6. The country can be reached from somewhere.
    let transfers = &text.transfers;
    let reaches = |mechanism: &super::text::Mechanism, country: &str| {
        mechanism.until.as_deref().is_none_or(|until| until >= TODAY)
            && within(text, &mechanism.to, country)
    };
    if let Some(country) = &recipient.country {
        let is_allowed =
            transfers.allowed_countries.iter().any(|one| in_region(text, one, country));
        if !is_allowed || !transfers.table.iter().any(|one| reaches(one, country)) {
            return refused("transfer-not-covered");
        }
    }
    // 7 and 8: person by person.
    let asker =
        Asker { text, world, recipient, purposes: &purposes, cells: &cells, filters, order };
    walk::document(&asker, route)
}

/// Whether a country is in one of these regions, or is one of these countries.
pub(super) fn within(text: &Text, regions: &OneOrMany, country: &str) -> bool {
    regions.list().iter().any(|region| in_region(text, region, country))
}

fn in_region(text: &Text, region: &str, country: &str) -> bool {
    let builtin = ["DE", "FR"];
    match text.transfers.regions.get(region) {
        Some(OneOrMany::Many(countries)) => countries.iter().any(|one| one == country),
        Some(OneOrMany::One(_)) => region == country || builtin.contains(&country),
        None => region == country,
    }
}

/// A purpose that a pattern covers: a plain name covers what lies beneath it too.
pub(super) fn reaches_purpose(pattern: &str, purpose: &str) -> bool {
    covers(pattern, purpose)
        || purpose.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('.'))
}
