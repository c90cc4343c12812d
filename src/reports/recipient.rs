//! What one recipient got; and what that means if it was broken into.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::persons::Persons;
use super::tally::Tally;
use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::ledger::{Counted, Disclosed, Entry};
use crate::policy::Policy;
use crate::terms::RecipientId;

/// Said wherever people are counted.
pub(super) const COUNTING: &str = "People are counted by their tags, which change every month. Over \
    several months the index of data subjects tells who is the same; of people who were erased since, \
    who have no secret any more, of those whose secret lies under a retired key, and of people in several \
    ledgers that do not share an index, there is a lower and an upper bound.";

/// What the ledger says about one recipient.
#[derive(Default)]
struct Account {
    all: Tally,
    by_use: BTreeMap<(String, String), Tally>,
    by_category: BTreeMap<String, Tally>,
    refusals: BTreeMap<String, u64>,
    /// Digest of rules → disclosures under them.
    rules: BTreeMap<String, u64>,
    people: Persons,
    /// Disclosures that named nobody.
    unnamed: u64,
    elements: u64,
    roles: Vec<String>,
}

impl Account {
    fn read(
        name: &RecipientId,
        sources: &Sources<'_>,
        basis: &mut Basis,
    ) -> Result<Self, ReportError> {
        let mut account = Self::default();
        basis.scan(&mut |entry| match entry {
            Entry::Disclosure(one) if one.recipient == name.as_str() => account.add(&one),
            Entry::Refusal(refusal) if refusal.recipient.as_deref() == Some(name.as_str()) => {
                *account.refusals.entry(refusal.reason).or_default() += 1;
            }
            Entry::Disclosure(_) | Entry::Refusal(_) | Entry::Lost(_) => {}
        })?;
        let is_known = sources.policy.recipients.contains_key(name)
            || account.all.disclosures > 0
            || !account.refusals.is_empty();
        if is_known { Ok(account) } else { Err(ReportError::UnknownRecipient) }
    }

    fn add(&mut self, one: &Disclosed) {
        self.all.add(one);
        let key = (one.route.clone(), one.purposes.join(", "));
        self.by_use.entry(key).or_default().add(one);
        for category in one.released.keys() {
            self.by_category.entry(category.clone()).or_default().add(one);
        }
        *self.rules.entry(one.policy.digest.clone()).or_default() += 1;
        self.people.add(one);
        self.unnamed += u64::from(one.subjects.iter().all(|part| part.tags.is_empty()));
        // Nobody knows how much left of an answer without an outcome: it is at least one.
        self.elements += one.outcome.as_ref().map_or(1, crate::ledger::Ended::elements);
        if !self.roles.contains(&one.role) {
            self.roles.push(one.role.clone());
        }
    }

    fn uses(&self) -> Table {
        let mut table = Table::new(&[
            "route",
            "purposes",
            "disclosures",
            "cut_off",
            "without_outcome",
            "bytes",
            "first",
            "last",
        ]);
        for ((route, purposes), tally) in &self.by_use {
            table.rows.push(vec![
                json!(route),
                json!(purposes),
                json!(tally.disclosures),
                json!(tally.cut_off),
                json!(tally.without_outcome),
                json!(tally.bytes),
                tally.first(),
                tally.last(),
            ]);
        }
        table
    }

    fn categories(&self, policy: &Policy, counted: &Counted) -> Table {
        let mut table = Table::new(&[
            "category",
            "sensitive",
            "forms",
            "people",
            "disclosures",
            "first",
            "last",
        ]);
        for (category, tally) in &self.by_category {
            let known = policy.categories.get(category.as_str());
            let people = counted.by_category.get(category).map(ToString::to_string);
            table.rows.push(vec![
                json!(category),
                json!(known.is_some_and(|known| known.sensitive)),
                json!(tally.categories.get(category)),
                json!(people),
                json!(tally.disclosures),
                tally.first(),
                tally.last(),
            ]);
        }
        table
    }

    fn rules(&self) -> Table {
        counts(["policy_digest", "disclosures"], &self.rules)
    }

    fn refusals(&self) -> Table {
        counts(["reason", "requests"], &self.refusals)
    }
}

/// How often each of some words.
fn counts(columns: [&'static str; 2], all: &BTreeMap<String, u64>) -> Table {
    let mut table = Table::new(&columns);
    table.rows.extend(all.iter().map(|(word, count)| vec![json!(word), json!(count)]));
    table
}

fn about(policy: &Policy, name: &RecipientId) -> Vec<Member> {
    let Some(known) = policy.recipients.get(name) else {
        let gone = "not in the rules in force";
        return vec![
            Member::Said("recipient", json!(name.as_str())),
            Member::Said("in_the_rules", json!(gone)),
        ];
    };
    let contract = known.contract.as_ref();
    let purposes: Vec<&str> = known.purposes.iter().map(crate::terms::PurposeId::as_str).collect();
    vec![
        Member::Said("recipient", json!(name.as_str())),
        Member::Said("role", json!(known.role.as_str())),
        Member::Said("category_of_recipient", json!(known.category)),
        Member::Said("country", json!(known.country.as_ref().map(ToString::to_string))),
        Member::Said("contract", json!(contract.map(|contract| contract.reference.as_str()))),
        Member::Said("contract_until", json!(contract.map(|one| one.until.to_string()))),
        Member::Said("may_use_for", json!(purposes)),
    ]
}

/// What both reports are made of.
struct Got<'a> {
    name: &'a RecipientId,
    account: Account,
    counted: Counted,
    /// Those of the candidates whom it concerns.
    concerned: Table,
}

impl<'a> Got<'a> {
    fn read(
        query: &'a Query,
        sources: &Sources<'_>,
        basis: &mut Basis,
    ) -> Result<Self, ReportError> {
        let name = query.recipient.as_ref().ok_or(ReportError::NoRecipient)?;
        let mut account = Account::read(name, sources, basis)?;
        let mut concerned = Table::new(&["person"]);
        for candidate in &query.among {
            if account.people.concerns(sources, candidate)? {
                concerned.rows.push(vec![json!(candidate.expose())]);
            }
        }
        let people = vec![std::mem::take(&mut account.people)];
        let counted = Persons::count_each(people, sources)?.pop().unwrap_or_default();
        Ok(Self { name, account, counted, concerned })
    }

    /// The number of people, in words where the ledger names none.
    fn people(&self) -> Value {
        if self.account.unnamed == self.account.all.disclosures && self.account.unnamed > 0 {
            return json!("not known: no disclosure here names people");
        }
        json!(self.counted.all.to_string())
    }
}

/// All that one recipient got.
pub(super) fn recipient(
    query: &Query,
    sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let got = Got::read(query, sources, &mut basis)?;
    let people = got.people();
    let Got { name, account, counted, concerned: _ } = got;
    let mut members = about(sources.policy, name);
    members.extend([
        Member::Said("disclosures", json!(account.all.disclosures)),
        Member::Said("people", people),
        Member::Rows("uses", account.uses()),
        Member::Rows("categories", account.categories(sources.policy, &counted)),
        Member::Rows("refusals", account.refusals()),
        Member::Rows("rules", account.rules()),
    ]);
    let title = format!("What {name} got");
    let remarks = vec![COUNTING.to_owned()];
    Ok(Document { name: "recipient", title, basis, remarks, members })
}

/// What a breach at one recipient concerns.
pub(super) fn breach(
    query: &Query,
    sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let got = Got::read(query, sources, &mut basis)?;
    let people = got.people();
    let Got { name, account, counted, concerned } = got;
    let mut members = about(sources.policy, name);
    members.extend([
        Member::Said("people", people),
        Member::Said("disclosures", json!(account.all.disclosures)),
        Member::Said("elements", json!(account.elements)),
        Member::Said("disclosures_without_people", json!(account.unnamed)),
        Member::Said("disclosures_without_outcome", json!(account.all.without_outcome)),
        Member::Said("first", account.all.first()),
        Member::Said("last", account.all.last()),
        Member::Rows("categories", account.categories(sources.policy, &counted)),
        Member::Rows("routes", account.uses()),
        Member::Rows("rules", account.rules()),
    ]);
    if !query.among.is_empty() {
        members.push(Member::Said("candidates", json!(query.among.len())));
        members.push(Member::Rows("people_concerned", concerned));
    }
    let mut remarks = vec![
        "A supervisory authority is told within 72 hours of becoming aware, with the approximate \
         number of people and records and the likely consequences (GDPR Art. 33); the people \
         without undue delay where the risk is high (Art. 34)."
            .to_owned(),
        "This is what went to the recipient through this gateway. What it kept, and what it got by \
         another way, only it can say. What left as a pseudonym or token is personal data."
            .to_owned(),
        COUNTING.to_owned(),
    ];
    if account.unnamed > 0 {
        remarks.push(format!(
            "{} disclosures name nobody: the number of people is too low by those they were about.",
            account.unnamed
        ));
    }
    if !query.among.is_empty() {
        remarks.push(
            "Of the candidates, those who were erased cannot be found any more, nor those whose secret \
             lies under a retired key; they are in the numbers and not among the people concerned."
                .to_owned(),
        );
    }
    let title = format!("What a breach at {name} concerns");
    Ok(Document { name: "breach", title, basis, remarks, members })
}
