//! Rows → [`Statements`]. A row that cannot be read makes the whole answer fail: half of what a
//! person has said is not what they have said.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::file_rows;
use super::lift::{FOUR_EYES, LIFTED_BY};
use super::record::{EVERYTHING, sort_events};
use super::schema::StoreError;
use super::sql::{Datum, Row, Tables, data};
use crate::terms::{
    AgeClass, CategoryPattern, Consent, ConsentEvent, ConsentStatus, Country, Digest, Erasure,
    Notice, Objection, PurposePattern, RecipientId, Restriction, Statements, Withdrawal,
};

/// Whom a reading is about.
#[derive(Clone, Copy)]
pub(super) enum Whom<'a> {
    One(&'a str),
    Many(&'a [String]),
    /// Everybody behind the first, up to the second, in the order of their ids by bytes.
    Between(&'a str, &'a str),
}

/// All that `subject` has said, as one transaction sees it: a consent and its withdrawal together or
/// not at all.
pub(super) fn statements(snapshot: &dyn Tables, subject: &str) -> Result<Statements, StoreError> {
    let mut said = statements_of(snapshot, Whom::One(subject))?;
    Ok(said.remove(subject).unwrap_or_default())
}

/// As [`statements`], by subject. Whoever has said nothing is not there.
pub(super) fn statements_of(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<HashMap<String, Statements>, StoreError> {
    let mut said: HashMap<String, Statements> = HashMap::new();
    let (consents, withdrawals) = consents(snapshot, whom)?;
    for (subject, consents) in consents {
        said.entry(subject).or_default().consents = consents;
    }
    for (subject, withdrawals) in withdrawals {
        let stated = withdrawals.into_iter().map(|withdrawal| withdrawal.stated).collect();
        said.entry(subject).or_default().withdrawals = stated;
    }
    let columns = "purpose, purpose_text_digest, shown_at";
    each(snapshot, columns, "notices", "shown_at, id", whom, |subject, row| {
        said.entry(subject).or_default().notices.push(Notice {
            purpose: row.text(1)?.into(),
            purpose_text_digest: digest(row, 2)?,
            shown_at: row.time(3)?,
        });
        Ok(())
    })?;
    let columns = "purpose, since, lifted_at IS NOT NULL";
    each(snapshot, columns, "objections", "since, id", whom, |subject, row| {
        if !row.flag(3)? {
            let purpose = PurposePattern::new(&row.text(1)?);
            let objection = Objection { purpose, since: row.time(2)? };
            said.entry(subject).or_default().objections.push(objection);
        }
        Ok(())
    })?;
    let columns = "categories, since, until, lifted_at IS NOT NULL, id LIKE 'dispute:%'";
    each(snapshot, columns, "restrictions", "since, id", whom, |subject, row| {
        if !row.flag(4)? {
            said.entry(subject).or_default().restrictions.push(Restriction {
                categories: row.list(1)?.iter().map(|text| CategoryPattern::new(text)).collect(),
                since: row.time(2)?,
                until: row.maybe_time(3)?,
                disputed: row.flag(5)?,
            });
        }
        Ok(())
    })?;
    for (subject, erasure) in erasures(snapshot, whom)? {
        said.entry(subject).or_default().erasure = Some(erasure);
    }
    for (subject, grant) in file_rows::one_time_grants_of(snapshot, whom)? {
        said.entry(subject).or_default().one_time_grants.push(grant);
    }
    for (subject, order) in file_rows::orders_about(snapshot, whom)? {
        said.entry(subject).or_default().orders.push(order);
    }
    for (subject, case) in file_rows::cases_about(snapshot, whom)? {
        said.entry(subject).or_default().cases.push(case);
    }
    each(snapshot, "age, region", "subjects", "subject", whom, |subject, row| {
        let said = said.entry(subject).or_default();
        said.age = age(row)?;
        said.region = row.maybe_text(2)?.map(Country::from);
        Ok(())
    })?;
    Ok(said)
}

/// Reads rows of `table` about `whom`; column 0 is the subject, `columns` begin at 1.
fn each(
    snapshot: &dyn Tables,
    columns: &str,
    table: &str,
    order: &str,
    whom: Whom<'_>,
    mut read: impl FnMut(String, &Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let query =
        format!("SELECT subject, {columns} FROM {table} WHERE subject = ?1 ORDER BY {order}");
    rows(snapshot, &query, whom)?.iter().try_for_each(|row| read(row.text(0)?, row))
}

/// The rows of a query whose `= ?1` is replaced where it is about many.
pub(super) fn rows(
    snapshot: &dyn Tables,
    query: &str,
    whom: Whom<'_>,
) -> Result<Vec<Row>, StoreError> {
    match whom {
        Whom::One(subject) => snapshot.rows(query, data![subject]),
        Whom::Many(subjects) => {
            let subjects = Datum::Texts(subjects.to_vec());
            snapshot.rows(&query.replace("= ?1", snapshot.is_among()), &[subjects])
        }
        Whom::Between(after, until) => {
            let query = query.replace("= ?1", "> ?1 AND subject <= ?2");
            snapshot.rows(&query, data![after, until])
        }
    }
}

/// A withdrawal of everything for a purpose, which also ends consents that arrive after it; and the number
/// of the change that brought it.
pub(super) struct HeardWithdrawal {
    pub(super) stated: Withdrawal,
    pub(super) recorded: i64,
}

type BySubject<T> = HashMap<String, Vec<T>>;

fn consents(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<(BySubject<Consent>, BySubject<HeardWithdrawal>), StoreError> {
    let mut withdrawals: BySubject<HeardWithdrawal> = HashMap::new();
    let columns = "purpose, recipient, at, recorded";
    each(snapshot, columns, "withdrawals", "at", whom, |subject, row| {
        withdrawals.entry(subject).or_default().push(withdrawal_of(row)?);
        Ok(())
    })?;
    let mut events = events(snapshot, whom)?;
    let mut found: HashMap<String, Vec<Consent>> = HashMap::new();
    let columns = "id, purpose, purpose_text_digest, recipients, categories, explicit, expires_at,
      recorded";
    each(snapshot, columns, "consents", "recorded, id", whom, |subject, row| {
        let id = row.text(1)?;
        let mut consent = Consent {
            events: events.remove(&id).unwrap_or_default(),
            id: id.into(),
            purpose: row.text(2)?.into(),
            purpose_text_digest: digest(row, 3)?,
            recipients: row.list(4)?.into_iter().map(Into::into).collect(),
            categories: row.list(5)?.into_iter().map(Into::into).collect(),
            explicit: row.flag(6)?,
            expires_at: row.maybe_time(7)?,
        };
        let withdrawals = withdrawals.get(&subject).map_or(&[][..], Vec::as_slice);
        apply(withdrawals, &mut consent, row.number(8)?);
        sort_events(&mut consent.events);
        found.entry(subject).or_default().push(consent);
        Ok(())
    })?;
    Ok((found, withdrawals))
}

/// The history of each consent, by its id.
fn events(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<HashMap<String, Vec<ConsentEvent>>, StoreError> {
    let query = "SELECT consent, at, status, recorded_at FROM consent_events
      JOIN consents ON consents.id = consent WHERE subject = ?1";
    let mut events: HashMap<String, Vec<ConsentEvent>> = HashMap::new();
    for row in rows(snapshot, query, whom)? {
        events.entry(row.text(0)?).or_default().push(event_of(&row)?);
    }
    Ok(events)
}

/// Of a row with its consent, time, status and the time of recording.
pub(super) fn event_of(row: &Row) -> Result<ConsentEvent, StoreError> {
    let status =
        ConsentStatus::parse(&row.text(2)?).ok_or(StoreError::Garbage("status of a consent"))?;
    let (stated, recorded_at) = (row.time(1)?, row.time(3)?);
    // What takes a consent away counts from when we heard of it at the latest: a sender whose clock is
    // ahead must not put it off.
    let at = if status.is_valid() { stated } else { stated.min(recorded_at) };
    Ok(ConsentEvent { at, status })
}

/// Of a row with the person, purpose, recipient, time and number.
pub(super) fn withdrawal_of(row: &Row) -> Result<HeardWithdrawal, StoreError> {
    let recipient = row.text(2)?;
    let stated = Withdrawal {
        purpose: PurposePattern::new(&row.text(1)?),
        recipient: (!recipient.is_empty()).then(|| recipient.into()),
        at: row.time(3)?,
    };
    Ok(HeardWithdrawal { stated, recorded: row.number(4)? })
}

/// Ends `consent` as far as `withdrawals` cover it: given before one of them, by the sender's clock
/// or by the order in which we heard.
fn apply(withdrawals: &[HeardWithdrawal], consent: &mut Consent, recorded: i64) {
    let Some(given) = first_given(consent) else { return };
    for withdrawal in withdrawals {
        if given <= withdrawal.stated.at || recorded < withdrawal.recorded {
            take_back(&withdrawal.stated, consent);
        }
    }
}

/// When a consent was given first, if ever.
pub(super) fn first_given(consent: &Consent) -> Option<Timestamp> {
    let given = consent.events.iter().filter(|event| event.status.is_valid());
    given.map(|event| event.at).min()
}

/// Ends `consent` as far as `withdrawal` covers it.
pub(super) fn take_back(withdrawal: &Withdrawal, consent: &mut Consent) {
    if !withdrawal.purpose.covers(&consent.purpose) {
        return;
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

/// Several erasures are one: from the earliest on, and only what all of them except goes on. An exception
/// of everything, which is not taken any more, excepts nothing: who is erased is not in the ledger, so
/// that nothing may leave of them.
fn erasures(snapshot: &dyn Tables, whom: Whom<'_>) -> Result<HashMap<String, Erasure>, StoreError> {
    let mut all: HashMap<String, Vec<(Timestamp, Vec<String>)>> = HashMap::new();
    let columns = format!("effective_at, except_for, {LIFTED_BY}");
    each(snapshot, &columns, "erasures", "id", whom, |subject, row| {
        if row.number(3)? < FOUR_EYES {
            all.entry(subject).or_default().push((row.time(1)?, row.list(2)?));
        }
        Ok(())
    })?;
    let strictest = |all: Vec<(Timestamp, Vec<String>)>| {
        let excepted = all.first().map(|(_, except)| except.clone()).unwrap_or_default();
        let except = excepted
            .into_iter()
            .filter(|except| except != EVERYTHING)
            .filter(|except| all.iter().all(|(_, others)| others.contains(except)))
            .map(|except| PurposePattern::new(&except))
            .collect();
        let earliest = all.iter().map(|(at, _)| *at).min();
        earliest.map(|effective_at| Erasure { effective_at, except })
    };
    Ok(all.into_iter().filter_map(|(who, all)| Some((who, strictest(all)?))).collect())
}

fn digest(row: &Row, column: usize) -> Result<Option<Digest>, StoreError> {
    let text = row.maybe_text(column)?;
    text.map(|text| Digest::parse(&text).ok_or(StoreError::Garbage("digest"))).transpose()
}

fn age(row: &Row) -> Result<AgeClass, StoreError> {
    match row.maybe_text(1)?.as_deref() {
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
