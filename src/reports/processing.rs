//! The record of processing: what the rules provide for, against what happened. Source: GDPR Art. 30(1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::tally::Tally;
use super::transfers::{leads_to, words};
use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::policy::Policy;
use crate::terms::{PurposeId, RecipientId};

/// Who may get what for what: purpose → recipient → categories.
type Provided = BTreeMap<PurposeId, BTreeMap<RecipientId, BTreeSet<String>>>;

/// What the rules provide for, by the plans of their routes: what a limit withholds is not in it.
struct Rules {
    provided: Provided,
    /// Purpose → roles of the people concerned.
    people: BTreeMap<PurposeId, BTreeSet<String>>,
}

impl Rules {
    fn of(policy: &Policy) -> Self {
        let mut rules = Self { provided: BTreeMap::new(), people: BTreeMap::new() };
        for (recipient, known) in &policy.recipients {
            for purpose in &known.purposes {
                for (index, route) in policy.routes.iter().enumerate() {
                    let is_meant = route.purposes.as_ref().is_none_or(|all| all.contains(purpose));
                    if !is_meant {
                        continue;
                    }
                    let one = std::slice::from_ref(purpose);
                    // Rules whose plan cannot be made release nothing on that route.
                    let Ok(plan) = policy.plan(index, recipient, one) else { continue };
                    for cell in plan.cells.iter().filter(|cell| cell.action.releases()) {
                        let Some(category) = &cell.category else { continue };
                        let by_recipient = rules.provided.entry(purpose.clone()).or_default();
                        let categories = by_recipient.entry(recipient.clone()).or_default();
                        categories.insert(category.to_string());
                        let role = route.subjects.get(cell.of.map_or(0, |of| usize::from(of.0)));
                        let people = rules.people.entry(purpose.clone()).or_default();
                        people.extend(role.map(|subject| subject.role.to_string()));
                    }
                }
            }
        }
        rules
    }
}

/// What was observed.
#[derive(Default)]
struct Observed {
    /// Purpose → recipient → what of it.
    by_purpose: BTreeMap<(String, String), Tally>,
    routes: BTreeMap<String, u64>,
    rules: BTreeMap<String, u64>,
}

impl Observed {
    fn of(basis: &mut Basis) -> Result<Self, ReportError> {
        let mut observed = Self::default();
        basis.disclosures(&mut |one| {
            for purpose in &one.purposes {
                let key = (purpose.clone(), one.recipient.clone());
                observed.by_purpose.entry(key).or_default().add(one);
            }
            *observed.routes.entry(one.route.clone()).or_default() += 1;
            *observed.rules.entry(one.policy.digest.clone()).or_default() += 1;
        })?;
        Ok(observed)
    }

    fn disclosures(&self, purpose: &PurposeId) -> u64 {
        let of = self.by_purpose.iter().filter(|((name, _), _)| name == purpose.as_str());
        of.map(|(_, tally)| tally.disclosures).sum()
    }
}

/// The record of processing, with what differs both ways.
pub(super) fn art30(
    _query: &Query,
    sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let policy = sources.policy;
    let rules = Rules::of(policy);
    let observed = Observed::of(&mut basis)?;
    let mut unused_routes = Table::new(&["route"]);
    for route in policy.routes.iter().filter(|route| route.serve.is_none()) {
        if !observed.routes.contains_key(route.id.as_str()) {
            unused_routes.rows.push(vec![json!(route.id.as_str())]);
        }
    }
    let mut by_rules = Table::new(&["policy_digest", "disclosures"]);
    by_rules
        .rows
        .extend(observed.rules.iter().map(|(digest, count)| vec![json!(digest), json!(count)]));
    let contact = policy.about.contact.as_deref().unwrap_or("not stated in the rules");
    let members = vec![
        Member::Said("contact", json!(contact)),
        Member::Said("security_measures", json!(measures(policy))),
        Member::Rows("processing", processing(policy, &rules, &observed)),
        Member::Rows("provided_and_never_used", never_used(&rules, &observed)),
        Member::Rows("used_and_not_provided", not_provided(&rules, &observed, policy)),
        Member::Rows("routes_without_traffic", unused_routes),
        Member::Rows("rules", by_rules),
    ];
    let remarks = vec![
        "Made from the rules in force and from what passed this gateway; processing that no gateway \
         sees is to be added by hand."
            .to_owned(),
        "What was used and is not provided for was decided by other rules than those in force, or in \
         the person's own name by an order: see the digests."
            .to_owned(),
    ];
    let title = format!("Record of processing activities of {}", policy.about.controller);
    Ok(Document { name: "art30", title, basis, remarks, members })
}

fn processing(policy: &Policy, rules: &Rules, observed: &Observed) -> Table {
    let mut table = Table::new(&[
        "purpose",
        "text",
        "basis",
        "people",
        "categories",
        "recipients",
        "countries",
        "safeguards",
        "storage",
        "disclosures",
    ]);
    let none = BTreeMap::new();
    for (id, purpose) in &policy.purposes {
        let provided = rules.provided.get(id).unwrap_or(&none);
        let categories: BTreeSet<&String> = provided.values().flatten().collect();
        let known = || provided.keys().filter_map(|name| policy.recipients.get(name));
        let countries: BTreeSet<_> = known().filter_map(|one| one.country.as_ref()).collect();
        let transfers = policy.transfers.as_ref();
        let safeguards: BTreeSet<String> = transfers
            .into_iter()
            .flat_map(|rules| rules.table.iter().map(move |one| (rules, one)))
            .filter(|(rules, one)| countries.iter().any(|country| leads_to(rules, one, country)))
            .map(|(_, one)| words(one))
            .collect();
        let storage: BTreeSet<String> = policy
            .retention
            .iter()
            .filter(|period| {
                categories
                    .iter()
                    .any(|name| period.binds(&name.as_str().into(), std::slice::from_ref(id)))
            })
            .map(|period| format!("{}: {}", period.categories, period.written))
            .collect();
        let recipients: BTreeMap<&str, Value> = provided
            .keys()
            .map(|name| {
                let known = policy.recipients.get(name);
                let category = known.and_then(|known| known.category.clone());
                let role = known.map(|known| known.role.as_str().to_owned());
                (name.as_str(), json!(category.or(role)))
            })
            .collect();
        table.rows.push(vec![
            json!(id.as_str()),
            json!(purpose.text),
            json!(purpose.basis.as_str()),
            json!(rules.people.get(id)),
            json!(categories),
            json!(recipients),
            json!(countries.iter().map(ToString::to_string).collect::<Vec<_>>()),
            json!(safeguards),
            json!(storage),
            json!(observed.disclosures(id)),
        ]);
    }
    table
}

fn never_used(rules: &Rules, observed: &Observed) -> Table {
    let mut table = Table::new(&["purpose", "recipient", "categories"]);
    for (purpose, by_recipient) in &rules.provided {
        for (recipient, categories) in by_recipient {
            let key = (purpose.to_string(), recipient.to_string());
            let seen = observed.by_purpose.get(&key).map(|tally| &tally.categories);
            let unused: Vec<&String> = categories
                .iter()
                .filter(|name| !seen.is_some_and(|seen| seen.contains_key(*name)))
                .collect();
            if !unused.is_empty() {
                let (purpose, recipient) = (json!(purpose.as_str()), json!(recipient.as_str()));
                table.rows.push(vec![purpose, recipient, json!(unused)]);
            }
        }
    }
    table
}

fn not_provided(rules: &Rules, observed: &Observed, policy: &Policy) -> Table {
    let mut table = Table::new(&["purpose", "recipient", "categories", "disclosures", "last"]);
    for ((purpose, recipient), tally) in &observed.by_purpose {
        let provided = rules
            .provided
            .get(purpose.as_str())
            .and_then(|by_recipient| by_recipient.get(recipient.as_str()));
        let is_there = |name: &String| provided.is_some_and(|provided| provided.contains(name));
        let extra: Vec<&String> = tally.categories.keys().filter(|name| !is_there(name)).collect();
        let is_gone = !policy.purposes.contains_key(purpose.as_str());
        if !extra.is_empty() || is_gone {
            table.rows.push(vec![
                json!(purpose),
                json!(recipient),
                json!(extra),
                json!(tally.disclosures),
                tally.last(),
            ]);
        }
    }
    table
}

/// What the gateway does whatever the rules say, and what these rules add. Source: GDPR Art. 30(1)(g).
fn measures(policy: &Policy) -> Vec<&'static str> {
    let mut measures = vec![
        "TLS towards every client",
        "only what is catalogued and granted leaves, by recipient and purpose",
        "every disclosure is entered in a hash-chained ledger before its first byte leaves",
    ];
    let said = [
        (policy.tls.upstream_required, "TLS towards every backend"),
        (
            policy.ledger.subject_index,
            "people stand in the ledger by tags under secrets of their own",
        ),
        (policy.checkpoint_every.is_some(), "signed checkpoints of the ledger"),
    ];
    measures.extend(said.iter().filter(|(is_said, _)| *is_said).map(|(_, words)| *words));
    measures
}
