//! What is kept of a person whose secret is shredded: to whom their data went, so that the recipients
//! can be told of the erasure. Source: GDPR Art. 19.
//!
//! After the shredding nobody can find that in the ledger any more, and the duty to tell begins with
//! the erasure. So the list is made before, sealed under the key ring in a row that nobody finds without
//! the person's id, and removed when the time for telling is over. It names recipients and categories;
//! no record, so that it leads back to none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::subject_rows::IndexError;
use super::subjects::IndexKey;
use super::{Told, ToldToOthers};
use crate::action::pseudonym::Canonical;
use crate::database::sql::{Tables, data};
use crate::terms::{DataSubject, hex, read_hex};

/// Where they stand.
pub(super) const LAST_ACCOUNTS: &str = "
CREATE TABLE last_accounts (
  row TEXT NOT NULL, until TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (row, until)
) STRICT, WITHOUT ROWID;";

/// Days that recipients can still be told: the longest time for an answer, one month and two more.
/// Source: GDPR Art. 12(3).
const DAYS: i64 = 92;

/// To whom a person's data went, as of their erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAccount {
    /// Until when it is kept.
    pub until: Timestamp,
    /// Each recipient, and each inquiry of an authority apart.
    pub recipients: Vec<LastTold>,
}

/// One recipient in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTold {
    /// Who.
    pub recipient: String,
    /// What they are to the controller.
    pub role: String,
    /// Where they are.
    pub country: Option<String>,
    /// Whether it rested on an order of an authority.
    pub ordered: bool,
    /// Category → the forms in which it left.
    pub categories: BTreeMap<String, BTreeSet<String>>,
    /// When something left last.
    pub last: String,
    /// How often.
    pub disclosures: u64,
}

impl LastAccount {
    /// Of what is told of a person now; `None` where nothing is, or past the end of time.
    #[must_use]
    pub fn of(told: &ToldToOthers, now: Timestamp) -> Option<Self> {
        let recipients = by_recipient(&told.disclosures);
        let until = now.checked_add(Span::new().hours(24 * DAYS)).ok()?;
        (!recipients.is_empty()).then_some(Self { until, recipients })
    }
}

/// The disclosures to others, recipient by recipient.
#[must_use]
pub fn by_recipient(told: &[Told]) -> Vec<LastTold> {
    let mut found: BTreeMap<(&str, bool), LastTold> = BTreeMap::new();
    for one in told.iter().filter(|one| one.role != "self") {
        let entry = found.entry((&one.recipient, one.ordered)).or_insert_with(|| LastTold {
            recipient: one.recipient.clone(),
            role: one.role.clone(),
            country: one.country.clone(),
            ordered: one.ordered,
            categories: BTreeMap::new(),
            last: one.at.clone(),
            disclosures: 0,
        });
        for (category, form) in &one.categories {
            entry.categories.entry(category.clone()).or_default().insert(form.clone());
        }
        // In the order of the ledger, so that the last is the latest.
        entry.last.clone_from(&one.at);
        entry.role.clone_from(&one.role);
        entry.country.clone_from(&one.country);
        entry.disclosures += 1;
    }
    found.into_values().collect()
}

pub(super) fn keep(
    tables: &dyn Tables,
    key: &IndexKey,
    person: &DataSubject,
    last: &LastAccount,
) -> Result<(), IndexError> {
    let text = serde_json::to_string(last).map_err(|_| IndexError::Garbage)?;
    // As digits: what is sealed must come out byte for byte.
    let sealed =
        key.secrets.token(Canonical::Text, &hex(text.as_bytes())).ok_or(IndexError::Garbage)?;
    let row = row(key, person).ok_or(IndexError::Garbage)?;
    let insert = "INSERT INTO last_accounts VALUES (?1, ?2, ?3)
      ON CONFLICT (row, until) DO UPDATE SET sealed = excluded.sealed";
    tables.execute(insert, data![row, last.until, sealed])?;
    Ok(())
}

pub(super) fn find(
    tables: &dyn Tables,
    keys: &[IndexKey],
    person: &DataSubject,
    now: Timestamp,
) -> Result<Vec<LastAccount>, IndexError> {
    let mut found = Vec::new();
    for key in keys {
        let row = row(key, person).ok_or(IndexError::Garbage)?;
        let query = "SELECT sealed FROM last_accounts WHERE row = ?1 ORDER BY until";
        for sealed in tables.rows(query, data![row])? {
            found.push(opened(key, &sealed.text(0)?).ok_or(IndexError::Garbage)?);
        }
    }
    found.retain(|last: &LastAccount| now < last.until);
    Ok(found)
}

pub(super) fn forget(tables: &dyn Tables, now: Timestamp) -> Result<usize, IndexError> {
    let all = tables.rows("SELECT DISTINCT until FROM last_accounts", data![])?;
    let all: Vec<String> = all.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let mut count = 0;
    // A time that cannot be read is over.
    for until in all.iter().filter(|text| text.parse().map_or(true, |end: Timestamp| end <= now)) {
        count += tables.execute("DELETE FROM last_accounts WHERE until = ?1", data![until])?;
    }
    Ok(count)
}

/// Another row than the person's secret had: a new secret after the erasure has nothing to do with it.
fn row(key: &IndexKey, person: &DataSubject) -> Option<String> {
    key.rows.pseudonym(Canonical::Text, &format!("erased {}", person.expose()))
}

fn opened(key: &IndexKey, sealed: &str) -> Option<LastAccount> {
    let digits = key.secrets.open_token(Canonical::Text, sealed)?;
    let digits = digits.expose().as_bytes();
    let mut bytes = vec![0; digits.len() / 2];
    read_hex(digits, &mut bytes)?;
    serde_json::from_slice(&bytes).ok()
}
