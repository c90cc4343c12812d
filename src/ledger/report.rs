//! The answer to "what do you have about me, and who was told?", as JSON. Source: GDPR Art. 15.
//!
//! Recipients are named one by one, not by category alone (CJEU C-154/21). That a law may forbid to
//! tell of some disclosures is said in every report, so that its being said tells nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Told, ToldToOthers};
use crate::policy::Policy;
use crate::terms::{PurposeId, RecipientId};

/// What every report says of its own limits, so that its being said tells nothing.
pub const COMPLETENESS: &str = "Complete for what passed this gateway, except for disclosures whose \
    notification the law forbids for the time being, for records that are not kept any more, and for \
    people whose key was retired since.";

/// What people may ask for besides. Source: GDPR Art. 15(1)(e), (f).
const RIGHTS: [&str; 6] = [
    "rectification (Art. 16)",
    "erasure (Art. 17)",
    "restriction of processing (Art. 18)",
    "objection (Art. 21)",
    "withdrawal of consent at any time (Art. 7(3))",
    "complaint to a supervisory authority (Art. 77)",
];

/// The report to one person. Who they are is not part of it.
#[must_use]
pub fn subject_report(
    policy: &Policy,
    account: &ToldToOthers,
    now: Timestamp,
) -> Map<String, Value> {
    let (own, others): (Vec<&Told>, Vec<&Told>) =
        account.disclosures.iter().partition(|told| told.role == "self");
    let categories: BTreeSet<&str> =
        others.iter().flat_map(|told| told.categories.keys()).map(String::as_str).collect();
    let mut document = Map::new();
    document.insert("as_of".into(), json!(format!("{now:.0}")));
    document.insert("controller".into(), controller(policy));
    document.insert(
        "policy".into(),
        json!({"id": &*policy.id, "title": policy.title, "revision": policy.revision,
            "digest": policy.digest.to_string()}),
    );
    document.insert("completeness".into(), json!(COMPLETENESS));
    document.insert("categories".into(), json!(categories));
    document.insert("recipients".into(), recipients(policy, &others));
    document.insert("purposes".into(), purposes(policy, &others));
    document.insert(
        "disclosures".into(),
        others.iter().map(|told| disclosure(told, account.up_to.len() > 1)).collect(),
    );
    document.insert("own_accesses".into(), json!(own.len()));
    let periods: Vec<Value> = policy
        .about
        .periods
        .iter()
        .map(|(categories, after)| json!({"categories": categories, "period": after}))
        .collect();
    document.insert("storage_periods".into(), periods.into());
    document.insert("source".into(), said(policy.about.data_sources.as_deref()));
    let automated = said(policy.about.automated_decisions.as_deref());
    document.insert("automated_decisions".into(), automated);
    document.insert("rights".into(), json!(RIGHTS));
    document.insert(
        "ledger".into(),
        match account.up_to.as_slice() {
            [] => Value::Null,
            [(_, anchor)] => json!(anchor.to_string()),
            several => {
                several.iter().map(|(node, anchor)| json!(format!("{node} {anchor}"))).collect()
            }
        },
    );
    document
}

/// What the rules do not say is not guessed.
fn said(text: Option<&str>) -> Value {
    json!(text.unwrap_or("not stated in the policy; ask the controller"))
}

fn controller(policy: &Policy) -> Value {
    json!({"name": policy.about.controller, "contact": said(policy.about.contact.as_deref())})
}

fn recipients(policy: &Policy, told: &[&Told]) -> Value {
    let mut by_name: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for one in told {
        by_name.entry(&one.recipient).or_default().push(one);
    }
    let recipients = by_name.into_iter().map(|(name, told)| {
        let known = policy.recipients.get(&RecipientId::from(name));
        let last = told[told.len() - 1];
        json!({
            "recipient": name,
            "role": last.role,
            "category": last.category_of_recipient,
            "country": last.country,
            "contract": known.and_then(|known| Some(&known.contract.as_ref()?.reference)),
            "first": told[0].at,
            "last": last.at,
            "disclosures": told.len(),
        })
    });
    recipients.collect::<Vec<_>>().into()
}

fn purposes(policy: &Policy, told: &[&Told]) -> Value {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for one in told {
        found.extend(
            one.purposes.iter().map(String::as_str).zip(one.basis.iter().map(String::as_str)),
        );
    }
    let purposes = found.into_iter().map(|(id, basis)| {
        let text = policy.purposes.get(&PurposeId::from(id)).map(|purpose| &purpose.text);
        json!({"purpose": id, "text": text, "basis": basis})
    });
    purposes.collect::<Vec<_>>().into()
}

/// The number of a record is one of its gateway; which that is, is said where there are several.
fn disclosure(told: &Told, is_one_of_several: bool) -> Value {
    let mut disclosure = json!({
        "at": told.at,
        "recipient": told.recipient,
        "category_of_recipient": told.category_of_recipient,
        "country": told.country,
        "purposes": told.purposes,
        "basis": told.basis,
        "categories": told.categories,
        "by_order": told.ordered,
        "policy": told.policy,
        "record": told.sequence,
    });
    if is_one_of_several {
        disclosure["node"] = json!(told.node);
    }
    disclosure
}
