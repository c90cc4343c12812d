//! The two reports about one person: what they may ask (Art. 15), and whom to tell what was changed at
//! their request (Art. 19).

use serde_json::{Value, json};

use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::ledger::{ToldToOthers, about, by_recipient, subject_report};
use crate::registers::Registers as _;
use crate::terms::{DataSubject, RecipientId};

/// The columns of a person's report, by its members.
const TABLES: [(&str, &[&str]); 4] = [
    (
        "recipients",
        &["recipient", "role", "category", "country", "contract", "first", "last", "disclosures"],
    ),
    ("purposes", &["purpose", "text", "basis"]),
    (
        "disclosures",
        &[
            "at",
            "recipient",
            "category_of_recipient",
            "country",
            "purposes",
            "basis",
            "categories",
            "by_order",
            "policy",
            "record",
        ],
    ),
    ("storage_periods", &["categories", "period"]),
];

/// The texts of a person's report, in the order in which they are read.
const TEXTS: [&str; 7] = [
    "controller",
    "categories",
    "own_accesses",
    "source",
    "automated_decisions",
    "rights",
    "completeness",
];

fn person(query: &Query) -> Result<&DataSubject, ReportError> {
    query.person.as_ref().ok_or(ReportError::NoPerson)
}

/// What all ledgers say of one person, by time.
fn told(
    sources: &Sources<'_>,
    person: &DataSubject,
    basis: &mut Basis,
) -> Result<ToldToOthers, ReportError> {
    let each = sources.ledgers.iter();
    let accounts = each.map(|source| about(&source.place, &source.index, person, basis.as_of));
    let told = ToldToOthers::merged(accounts.collect::<Result<Vec<_>, _>>()?);
    basis.decided_by.extend(told.disclosures.iter().map(|one| one.policy.clone()));
    Ok(told)
}

/// What the person gets from the gateway, with what it rests on.
pub(super) fn subject(
    query: &Query,
    sources: &Sources<'_>,
    basis: Basis,
) -> Result<Document, ReportError> {
    let mut basis = basis;
    let told = told(sources, person(query)?, &mut basis)?;
    let mut report = Value::Object(subject_report(sources.policy, &told, basis.as_of));
    let texts = TEXTS.iter().map(|key| Member::Said(key, report[*key].take()));
    let mut members: Vec<Member> = texts.collect();
    for (key, columns) in TABLES {
        let mut columns = columns.to_vec();
        if key == "disclosures" && basis.chains.len() > 1 {
            columns.push("node");
        }
        members.push(Member::Rows(key, Table::of(&columns, &report[key])));
    }
    let title = format!("What {} disclosed about you", basis.controller);
    Ok(Document { name: "subject", title, basis, remarks: Vec::new(), members })
}

/// Whom to tell that the person's data were rectified, erased or restricted.
pub(super) fn notify(
    query: &Query,
    sources: &Sources<'_>,
    basis: Basis,
) -> Result<Document, ReportError> {
    let person = person(query)?;
    let mut basis = basis;
    let told = told(sources, person, &mut basis)?;
    let columns = ["recipient", "role", "country", "contract", "categories", "disclosures", "last"];
    let (mut tell, mut inside, mut inquiries) =
        (Table::new(&columns), Table::new(&columns), Table::new(&columns));
    let mut all = by_recipient(&told.disclosures);
    let mut last = Vec::new();
    for source in sources.ledgers {
        last.extend(source.index.last_accounts(person, basis.as_of)?);
    }
    let kept_until: Vec<String> = last.iter().map(|one| format!("{:.0}", one.until)).collect();
    all.extend(last.into_iter().flat_map(|one| one.recipients));
    for got in all {
        let known = sources.policy.recipients.get(&RecipientId::from(got.recipient.as_str()));
        let contract = known.and_then(|known| Some(known.contract.as_ref()?.reference.as_str()));
        let row = vec![
            json!(got.recipient),
            json!(got.role),
            json!(got.country),
            json!(contract),
            json!(got.categories),
            json!(got.disclosures),
            json!(got.last),
        ];
        match (got.ordered, got.role.as_str()) {
            (true, "authority") => inquiries.rows.push(row),
            (_, "internal") => inside.rows.push(row),
            _ => tell.rows.push(row),
        }
    }
    let mut remarks = vec![
        "Each recipient here is to be told of the rectification, erasure or restriction, unless that \
         is impossible or a disproportionate effort; and the person, if they ask (GDPR Art. 19)."
            .to_owned(),
        "What left as a pseudonym or token is listed too: whoever got it holds personal data."
            .to_owned(),
    ];
    let said = sources.registers.statements(person)?;
    let erased = said.erasure.as_ref().is_some_and(|one| one.effective_at <= basis.as_of);
    if erased {
        remarks.push(match kept_until.last() {
            Some(until) => format!(
                "The person was erased. This is what the ledger said of them at that moment; it is \
                 kept until {until}, for the telling, and then removed."
            ),
            None => {
                "The person was erased, and no list of recipients is kept: nothing had left, or \
                     the time for telling is over."
                    .to_owned()
            }
        });
    }
    let mut told_already = Table::new(&["recipient", "state", "since"]);
    let notices = sources.registers.notices_of(person)?;
    told_already.rows.extend(
        notices.iter().map(|one| vec![json!(one.recipient), json!(one.state), json!(one.since)]),
    );
    let members = vec![
        Member::Said("erased", json!(erased)),
        Member::Said("kept_until", json!(kept_until)),
        Member::Rows("recipients_to_tell", tell),
        Member::Rows("told_by_the_gateway", told_already),
        Member::Rows("within_the_controller", inside),
        Member::Rows("authorities_in_an_inquiry", inquiries),
    ];
    let title = "Recipients to tell of a rectification, erasure or restriction".to_owned();
    Ok(Document { name: "notify", title, basis, remarks, members })
}
