//! What rested on consent: the controller must be able to show it. Source: GDPR Art. 7(1).

use std::collections::BTreeMap;

use serde_json::json;

use super::persons::Persons;
use super::recipient::COUNTING;
use super::tally::Tally;
use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::terms::PurposeId;

#[derive(Default)]
struct Relied {
    basis: String,
    tally: Tally,
    people: Persons,
}

/// Disclosures whose basis was consent, by purpose and recipient.
pub(super) fn consents(
    _query: &Query,
    sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let mut found: BTreeMap<(String, String), Relied> = BTreeMap::new();
    basis.disclosures(&mut |one| {
        for (purpose, why) in one.purposes.iter().zip(&one.basis) {
            if why != "consent" && why != "explicit-consent" {
                continue;
            }
            let key = (purpose.clone(), one.recipient.clone());
            let relied = found.entry(key).or_default();
            relied.basis.clone_from(why);
            relied.tally.add(one);
            relied.people.add(one);
        }
    })?;
    let mut table = Table::new(&[
        "purpose",
        "text",
        "text_digest",
        "basis",
        "recipient",
        "disclosures",
        "people",
        "categories",
        "first",
        "last",
    ]);
    let people: Vec<Persons> =
        found.values_mut().map(|relied| std::mem::take(&mut relied.people)).collect();
    let is_named: Vec<bool> = people.iter().map(|people| !people.is_empty()).collect();
    let counted = Persons::count_each(people, sources)?.into_iter().zip(is_named);
    for (((purpose, recipient), Relied { basis, tally, .. }), (counted, is_named)) in
        found.into_iter().zip(counted)
    {
        let known = sources.policy.purposes.get(&PurposeId::from(purpose.as_str()));
        let people = is_named.then(|| counted.all.to_string());
        table.rows.push(vec![
            json!(purpose),
            json!(known.map(|known| known.text.as_str())),
            json!(known.map(|known| known.text_digest.to_string())),
            json!(basis),
            json!(recipient),
            json!(tally.disclosures),
            json!(people),
            json!(tally.categories.keys().collect::<Vec<_>>()),
            tally.first(),
            tally.last(),
        ]);
    }
    let remarks = vec![
        "Whatever is listed here left only for people of whom the registers held a valid consent to \
         this purpose, this recipient and this text at that moment. The consent itself, with its \
         history, is in the registers: `tamis consent show`."
            .to_owned(),
        COUNTING.to_owned(),
    ];
    let members = vec![Member::Rows("relied_on", table)];
    let title = "Disclosures that rested on consent".to_owned();
    Ok(Document { name: "consents", title, basis, remarks, members })
}
