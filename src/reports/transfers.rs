//! What went to which country, and by which mechanism it may. Source: GDPR Art. 44–49.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::tally::Tally;
use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::policy::model::{Mechanism, Transfers};
use crate::terms::Country;

/// Disclosures by country and recipient, with the mechanisms of the rules in force.
pub(super) fn transfers(
    _query: &Query,
    sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let rules = sources.policy.transfers.as_ref();
    let today = basis.as_of.to_zoned_datetime(TimeZone::UTC).date();
    let mut found: BTreeMap<(Option<String>, String), Tally> = BTreeMap::new();
    let mut under_other_rules: u64 = 0;
    let digest = basis.policy.digest.clone();
    basis.disclosures(&mut |one| {
        // A person who asks for their own is no recipient of a transfer.
        if one.role == "self" {
            return;
        }
        found.entry((one.country.clone(), one.recipient.clone())).or_default().add(one);
        under_other_rules += u64::from(one.policy.digest != digest);
    })?;
    let mut table = Table::new(&[
        "country",
        "recipient",
        "allowed_now",
        "mechanisms",
        "disclosures",
        "categories",
        "first",
        "last",
    ]);
    for ((country, recipient), tally) in &found {
        let named = country.as_deref().map(Country::from);
        let (allowed, by) = match (&named, rules) {
            (Some(country), Some(rules)) => (
                json!(rules.allowed.iter().any(|one| rules.is_within(country, one))),
                rules.table.iter().filter(|one| leads_to(rules, one, country)).map(words).collect(),
            ),
            _ => (json!(null), Vec::new()),
        };
        table.rows.push(vec![
            json!(country.as_deref().unwrap_or("not stated in the rules")),
            json!(recipient),
            allowed,
            json!(by),
            json!(tally.disclosures),
            json!(tally.categories),
            tally.first(),
            tally.last(),
        ]);
    }
    let mut mechanisms = Table::new(&["from", "to", "by", "reference", "until", "state"]);
    for one in rules.into_iter().flat_map(|rules| &rules.table) {
        mechanisms.rows.push(vec![
            json!(texts(&one.from)),
            json!(if one.to.is_empty() { vec!["any-allowed".to_owned()] } else { texts(&one.to) }),
            json!(one.by),
            json!(one.reference),
            json!(one.until.map(|until| until.to_string())),
            json!(state(one, today)),
        ]);
    }
    let mut remarks = vec![
        "Mechanisms are those of the rules in force now. Which of them carried a disclosure depends on \
         where the person is, which the ledger does not hold."
            .to_owned(),
    ];
    if rules.is_none() {
        remarks.push("The rules say nothing about transfers.".to_owned());
    }
    let members = vec![
        Member::Said("disclosures_under_other_rules", json!(under_other_rules)),
        Member::Rows("transfers", table),
        Member::Rows("mechanisms", mechanisms),
    ];
    let title = "What went to which country".to_owned();
    Ok(Document { name: "transfers", title, basis, remarks, members })
}

/// Whether data may go to `country` by this mechanism.
pub(super) fn leads_to(rules: &Transfers, mechanism: &Mechanism, country: &Country) -> bool {
    let to = if mechanism.to.is_empty() { &rules.allowed } else { &mechanism.to };
    to.iter().any(|one| rules.is_within(country, one))
}

/// A mechanism in a few words.
pub(super) fn words(one: &Mechanism) -> String {
    let mut text = format!("{} by {}", texts(&one.from).join(", "), one.by);
    let until = one.until.map(|until| format!("until {until}"));
    for part in [one.reference.clone(), until].into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    text
}

fn texts(countries: &[Country]) -> Vec<String> {
    countries.iter().map(ToString::to_string).collect()
}

/// Whether it still carries anything.
pub(super) fn state(one: &Mechanism, today: Date) -> Value {
    let state = match one.until {
        Some(until) if until < today => "ended; nothing passes by it".to_owned(),
        Some(until) => {
            let days = today.until(until).map_or(0, |span| span.get_days());
            format!("{days} days left")
        }
        None => "no end".to_owned(),
    };
    if one.aggregates_only { json!(format!("{state}; for aggregates only")) } else { json!(state) }
}
