//! Rows → [`Statements`]. A row that cannot be read makes the whole answer fail: half of what a
//! person has said is not what they have said.

use std::sync::Arc;

use jiff::Timestamp;

use super::file_rows;
use super::record::sort_events;
use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use crate::terms::{
    AgeClass, CategoryPattern, Consent, ConsentEvent, ConsentStatus, Country, Digest, Erasure,
    Notice, Objection, PurposePattern, RecipientId, Restriction, Statements,
};

/// All that `subject` has said, as one transaction sees it: a consent and its withdrawal together or
/// not at all.
pub(super) fn statements(snapshot: &dyn Tables, subject: &str) -> Result<Statements, StoreError> {
    let withdrawals = rows(
        snapshot,
        "SELECT purpose, recipient, at, recorded FROM withdrawals WHERE subject = ?1",
        subject,
        |row| {
            let recipient = row.text(1)?;
            Ok(Withdrawal {
                purpose: PurposePattern::new(&row.text(0)?),
                recipient: (!recipient.is_empty()).then(|| recipient.into()),
                at: row.time(2)?,
                recorded: row.number(3)?,
            })
        },
    )?;
    let (age, region) =
        rows(snapshot, "SELECT age, region FROM subjects WHERE subject = ?1", subject, |row| {
            Ok((age(row)?, row.maybe_text(1)?.map(Country::from)))
        })?
        .pop()
        .unwrap_or_default();
    Ok(Statements {
        consents_unknown: false,
        consents: consents(snapshot, subject, &withdrawals)?,
        notices: rows(
            snapshot,
            "SELECT purpose, purpose_text_digest, shown_at FROM notices WHERE subject = ?1
             ORDER BY shown_at, id",
            subject,
            |row| {
                Ok(Notice {
                    purpose: row.text(0)?.into(),
                    purpose_text_digest: digest(row, 1)?,
                    shown_at: row.time(2)?,
                })
            },
        )?,
        objections: rows(
            snapshot,
            "SELECT purpose, since FROM objections WHERE subject = ?1 AND lifted_at IS NULL
             ORDER BY since, id",
            subject,
            |row| {
                let purpose = PurposePattern::new(&row.text(0)?);
                Ok(Objection { purpose, since: row.time(1)? })
            },
        )?,
        restrictions: rows(
            snapshot,
            "SELECT categories, since, until FROM restrictions
             WHERE subject = ?1 AND lifted_at IS NULL ORDER BY since, id",
            subject,
            |row| {
                let categories = row.list(0)?;
                Ok(Restriction {
                    categories: categories.iter().map(|text| CategoryPattern::new(text)).collect(),
                    since: row.time(1)?,
                    until: row.maybe_time(2)?,
                })
            },
        )?,
        erasure: erasure(snapshot, subject)?,
        one_time_grants: file_rows::one_time_grants_of(snapshot, subject)?,
        orders: file_rows::orders_about(snapshot, subject)?,
        cases: file_rows::cases_about(snapshot, subject)?,
        age,
        region,
    })
}

/// A withdrawal of everything for a purpose, which also ends consents that arrive after it.
struct Withdrawal {
    purpose: PurposePattern,
    recipient: Option<RecipientId>,
    at: Timestamp,
    recorded: i64,
}

fn consents(
    snapshot: &dyn Tables,
    subject: &str,
    withdrawals: &[Withdrawal],
) -> Result<Vec<Consent>, StoreError> {
    let found = rows(
        snapshot,
        "SELECT id, purpose, purpose_text_digest, recipients, categories, explicit, expires_at,
         recorded FROM consents WHERE subject = ?1 ORDER BY recorded, id",
        subject,
        |row| {
            let consent = Consent {
                id: row.text(0)?.into(),
                purpose: row.text(1)?.into(),
                purpose_text_digest: digest(row, 2)?,
                recipients: row.list(3)?.into_iter().map(Into::into).collect(),
                categories: row.list(4)?.into_iter().map(Into::into).collect(),
                explicit: row.flag(5)?,
                expires_at: row.maybe_time(6)?,
                events: Vec::new(),
            };
            Ok((consent, row.number(7)?))
        },
    )?;
    found
        .into_iter()
        .map(|(mut consent, recorded)| {
            consent.events = events(snapshot, &consent.id)?;
            apply(withdrawals, &mut consent, recorded);
            sort_events(&mut consent.events);
            Ok(consent)
        })
        .collect()
}

fn events(snapshot: &dyn Tables, consent: &str) -> Result<Vec<ConsentEvent>, StoreError> {
    rows(
        snapshot,
        "SELECT at, status, recorded_at FROM consent_events WHERE consent = ?1",
        consent,
        |row| {
            let status = ConsentStatus::parse(&row.text(1)?)
                .ok_or(StoreError::Garbage("status of a consent"))?;
            let (stated, recorded_at) = (row.time(0)?, row.time(2)?);
            // What takes a consent away counts from when we heard of it at the latest: a sender
            // whose clock is ahead must not put it off.
            let at = if status.is_valid() { stated } else { stated.min(recorded_at) };
            Ok(ConsentEvent { at, status })
        },
    )
}

/// Ends `consent` as far as `withdrawals` cover it: given before one of them, by the sender's clock
/// or by the order in which we heard.
fn apply(withdrawals: &[Withdrawal], consent: &mut Consent, recorded: i64) {
    let given = consent.events.iter().filter(|event| event.status.is_valid()).map(|event| event.at);
    let Some(given) = given.min() else { return };
    for withdrawal in withdrawals {
        let before = given <= withdrawal.at || recorded < withdrawal.recorded;
        if !before || !withdrawal.purpose.covers(&consent.purpose) {
            continue;
        }
        // A consent that names nobody cannot be narrowed, and ends.
        let remaining = match &withdrawal.recipient {
            Some(recipient) => {
                consent.recipients.retain(|named| named != recipient);
                !consent.recipients.is_empty()
            }
            None => false,
        };
        if !remaining {
            let (at, status) = (withdrawal.at, ConsentStatus::Withdrawn);
            consent.events.push(ConsentEvent { at, status });
        }
    }
}

/// Several erasures are one: from the earliest on, and only what all of them except goes on.
fn erasure(snapshot: &dyn Tables, subject: &str) -> Result<Option<Erasure>, StoreError> {
    let all = rows(
        snapshot,
        "SELECT effective_at, except_for FROM erasures WHERE subject = ?1",
        subject,
        |row| Ok((row.time(0)?, row.list(1)?)),
    )?;
    let excepted = all.first().map(|(_, except)| except.clone()).unwrap_or_default();
    let except = excepted
        .into_iter()
        .filter(|except| all.iter().all(|(_, others)| others.contains(except)))
        .map(|except| PurposePattern::new(&except))
        .collect();
    Ok(all.iter().map(|(at, _)| *at).min().map(|effective_at| Erasure { effective_at, except }))
}

pub(super) fn rows<T>(
    snapshot: &dyn Tables,
    query: &str,
    key: &str,
    read: impl FnMut(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    snapshot.rows(query, data![key])?.iter().map(read).collect()
}

fn digest(row: &Row, column: usize) -> Result<Option<Digest>, StoreError> {
    let text = row.maybe_text(column)?;
    text.map(|text| Digest::parse(&text).ok_or(StoreError::Garbage("digest"))).transpose()
}

fn age(row: &Row) -> Result<AgeClass, StoreError> {
    match row.maybe_text(0)?.as_deref() {
        Some("adult") => Ok(AgeClass::Adult),
        Some("minor") => Ok(AgeClass::Minor),
        Some("unknown") | None => Ok(AgeClass::Unknown),
        Some(_) => Err(StoreError::Garbage("age")),
    }
}

/// The id of a consent and the recipients it names.
pub(super) type ValidConsent = (Arc<str>, Vec<RecipientId>);

/// Each consent of `subject` that is valid at `now`, for counting what a
/// withdrawal ends.
pub(super) fn valid_consents(
    tables: &dyn Tables,
    subject: &str,
    now: Timestamp,
) -> Result<Vec<ValidConsent>, StoreError> {
    let consents = statements(tables, subject)?.consents.into_iter();
    Ok(consents
        .filter(|consent| consent.status(now).is_valid())
        .map(|consent| (consent.id, consent.recipients))
        .collect())
}
