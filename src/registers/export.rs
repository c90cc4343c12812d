//! Everything that the registers hold, as records that other registers take: to move from a file to a server
//! or back, and to keep a copy that needs no database to be read.
//!
//! What is taken from here decides as it did there. A statement that was lifted is left out, and what only
//! ever ends something (a withdrawal, a lifted order, a closed case, a grant that was used) is not. Approvals
//! of orders are left out: nobody can give another's. So are requests that wait for an answer, which are to be
//! answered where they came in.

use std::collections::HashMap;
use std::io;

use serde_json::{Map, Value};

use super::RegisterStore;
use super::lift::{FOUR_EYES, LIFTED_BY};
use super::read::{HeardWithdrawal, event_of, withdrawal_of};
use super::record::{members, sort_events};
use super::schema::StoreError;
use super::show::{event_to_json, text};
use super::sql::{Datum, Row, Tables, data};
use crate::terms::{ConsentEvent, ConsentStatus, PurposeId, RecipientId};

/// Rows read at a time.
const PAGE: i64 = 1_000;

/// People of a case in one record.
const PEOPLE: usize = 256;

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be written where it is to go.
    #[error("the export cannot be written")]
    Output(#[from] io::Error),
    /// The registers cannot be read.
    #[error("registers unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RegisterStore {
    /// Writes every record, one JSON object a line, as of one moment. How many there are.
    ///
    /// # Errors
    /// See [`ExportError`]; what was written is then not all.
    pub fn export(&self, out: &mut dyn io::Write) -> Result<u64, ExportError> {
        let mut export = Export { out, count: 0, broken: None };
        let read = self.read_apart(|tables| export.everything(tables));
        match (export.broken, read) {
            (Some(error), _) => Err(ExportError::Output(error)),
            (None, Ok(())) => Ok(export.count),
            (None, Err(error)) => Err(ExportError::Unavailable(error.0)),
        }
    }
}

struct Export<'o> {
    out: &'o mut dyn io::Write,
    count: u64,
    broken: Option<io::Error>,
}

impl Export<'_> {
    fn everything(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        // First, so that they are older than every consent, as their times alone must say what they end.
        self.withdrawals(tables)?;
        self.consents(tables)?;
        self.ended_before_they_came(tables)?;
        self.plain(tables)?;
        self.orders(tables)?;
        self.cases(tables)
    }

    /// One record. A place that takes no more ends the reading.
    fn put<const N: usize>(
        &mut self,
        kind: &'static str,
        record: [(&str, Option<Value>); N],
    ) -> Result<(), StoreError> {
        let mut all = members([("kind", Some(kind.into()))]);
        all.extend(members(record));
        self.line(all)
    }

    fn line(&mut self, record: Map<String, Value>) -> Result<(), StoreError> {
        if let Err(error) = writeln!(self.out, "{}", Value::Object(record)) {
            self.broken = Some(error);
            return Err(StoreError::Garbage("export"));
        }
        self.count += 1;
        Ok(())
    }

    /// Each row that `query` finds after the place `?1, …`, which is its first `keys` columns.
    fn each(
        &mut self,
        tables: &dyn Tables,
        query: &str,
        keys: usize,
        mut row: impl FnMut(&mut Self, &Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        pages(tables, query, keys, |page| page.iter().try_for_each(|found| row(self, found)))
    }

    fn withdrawals(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query = "SELECT subject, purpose, recipient, at FROM withdrawals
          WHERE (subject, purpose, recipient, at) > (?1, ?2, ?3, ?4)
          ORDER BY subject, purpose, recipient, at LIMIT ?5";
        self.each(tables, query, 4, |export, row| {
            let recipient = row.text(2)?;
            export.put(
                "withdrawal",
                [
                    ("subject", text(row, 0)?),
                    ("purpose", text(row, 1)?),
                    ("recipient", (!recipient.is_empty()).then(|| recipient.into())),
                    ("at", text(row, 3)?),
                ],
            )
        })
    }

    fn consents(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query =
            "SELECT id, subject, purpose, purpose_text_digest, recipients, categories, explicit,
            expires_at, evidence, recorded FROM consents WHERE id > ?1 ORDER BY id LIMIT ?2";
        pages(tables, query, 1, |page| {
            let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(()) };
            let bounds = [Datum::from(first.text(0)?), Datum::from(last.text(0)?)];
            let mut events = histories(tables, &bounds)?;
            let withdrawals = withdrawals_about(tables, &bounds)?;
            for row in page {
                let events = events.remove(&row.text(0)?).unwrap_or_default();
                let withdrawals = withdrawals.get(&row.text(1)?).map_or(&[][..], Vec::as_slice);
                self.consent(row, events, withdrawals)?;
            }
            Ok(())
        })
    }

    fn consent(
        &mut self,
        row: &Row,
        mut events: Vec<ConsentEvent>,
        withdrawals: &[HeardWithdrawal],
    ) -> Result<(), StoreError> {
        let mut recipients: Vec<RecipientId> = row.list(4)?.into_iter().map(Into::into).collect();
        let purpose = PurposeId::from(row.text(2)?);
        let given =
            events.iter().filter(|event| event.status.is_valid()).map(|event| event.at).min();
        for withdrawal in withdrawals {
            // Ended by the order in which both were heard of, which is not handed on: so it is said.
            let heard_before = row.number(9)? < withdrawal.recorded;
            let withdrawal = &withdrawal.stated;
            let is_ended = heard_before
                && given.is_some_and(|given| given > withdrawal.at)
                && withdrawal.purpose.covers(&purpose);
            if !is_ended {
                continue;
            }
            let names_others = withdrawal.recipient.as_ref().is_some_and(|recipient| {
                recipients.retain(|named| named != recipient);
                !recipients.is_empty()
            });
            if !names_others {
                let (at, status) = (withdrawal.at, ConsentStatus::Withdrawn);
                events.push(ConsentEvent { at, status });
            }
        }
        sort_events(&mut events);
        let events = events.iter().map(event_to_json);
        let evidence: Map<String, Value> = serde_json::from_str(&row.text(8)?)
            .map_err(|_| StoreError::Garbage("evidence of a consent"))?;
        let names: Vec<&str> = recipients.iter().map(RecipientId::as_str).collect();
        let mut record = members([
            ("kind", Some("consent".into())),
            ("id", text(row, 0)?),
            ("subject", text(row, 1)?),
            ("purpose", text(row, 2)?),
            ("purpose_text_digest", text(row, 3)?),
            ("recipients", Some(names.into())),
            ("categories", Some(row.list(5)?.into())),
            ("explicit", Some(row.flag(6)?.into())),
            ("expires_at", text(row, 7)?),
            ("events", Some(Value::Array(events.collect()))),
        ]);
        record.extend(evidence);
        self.line(record)
    }

    /// Withdrawals of consents that were never delivered: they would arrive withdrawn.
    fn ended_before_they_came(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query = "SELECT consent, at, status, recorded_at FROM consent_events
          WHERE (consent, at, status) > (?1, ?2, ?3)
            AND NOT EXISTS (SELECT 1 FROM consents WHERE consents.id = consent_events.consent)
          ORDER BY consent, at, status LIMIT ?4";
        self.each(tables, query, 3, |export, row| {
            let at = event_of(row)?.at.to_string();
            export.put("withdrawal", [("id", text(row, 0)?), ("at", Some(at.into()))])
        })
    }

    /// What is one row each.
    fn plain(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query = "SELECT id, subject, purpose, purpose_text_digest, shown_at FROM notices
          WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.each(tables, query, 1, |export, row| {
            export.put(
                "notice",
                [
                    ("id", given_id(row)?),
                    ("subject", text(row, 1)?),
                    ("purpose", text(row, 2)?),
                    ("purpose_text_digest", text(row, 3)?),
                    ("shown_at", text(row, 4)?),
                ],
            )
        })?;
        let query = "SELECT id, subject, purpose, since, channel, source FROM objections
          WHERE id > ?1 AND lifted_at IS NULL ORDER BY id LIMIT ?2";
        self.each(tables, query, 1, |export, row| {
            export.put(
                "objection",
                [
                    ("id", given_id(row)?),
                    ("subject", text(row, 1)?),
                    ("purpose", text(row, 2)?),
                    ("since", text(row, 3)?),
                    ("channel", text(row, 4)?),
                    ("source", text(row, 5)?),
                ],
            )
        })?;
        let query = "SELECT id, subject, categories, since, ground, until FROM restrictions
          WHERE id > ?1 AND lifted_at IS NULL ORDER BY id LIMIT ?2";
        self.each(tables, query, 1, |export, row| {
            let common = [
                ("subject", text(row, 1)?),
                ("categories", Some(row.list(2)?.into())),
                ("since", text(row, 3)?),
            ];
            if row.text(0)?.starts_with("dispute:") {
                return export.put("dispute", common);
            }
            let [subject, categories, since] = common;
            let (id, ground, until) = (given_id(row)?, text(row, 4)?, text(row, 5)?);
            export.put(
                "restriction",
                [("id", id), subject, categories, since, ("ground", ground), ("until", until)],
            )
        })?;
        let query = format!(
            "SELECT id, subject, requested_at, effective_at, except_for,
               EXISTS (SELECT 1 FROM planned_erasures p WHERE p.id = erasures.id)
                 AND NOT EXISTS (SELECT 1 FROM erasure_notices n
                   WHERE n.erasure = erasures.id AND n.state = 'waiting')
             FROM erasures
             WHERE id > ?1 AND {LIFTED_BY} < {FOUR_EYES} ORDER BY id LIMIT ?2"
        );
        self.each(tables, &query, 1, |export, row| {
            export.put(
                "erasure",
                [
                    ("id", given_id(row)?),
                    ("subject", text(row, 1)?),
                    ("requested_at", text(row, 2)?),
                    ("effective_at", text(row, 3)?),
                    ("except", Some(row.list(4)?.into())),
                    ("told", row.flag(5)?.then_some(true.into())),
                ],
            )
        })?;
        let query = "SELECT subject, age, region FROM subjects
          WHERE subject > ?1 ORDER BY subject LIMIT ?2";
        self.each(tables, query, 1, |export, row| {
            export.put(
                "subject",
                [("subject", text(row, 0)?), ("age", text(row, 1)?), ("region", text(row, 2)?)],
            )
        })?;
        let query = "SELECT id, subject, purpose, recipient, granted_at, expires_at, used_by
          FROM one_time_grants WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.each(tables, query, 1, |export, row| {
            export.put(
                "one-time-grant",
                [
                    ("id", text(row, 0)?),
                    ("subject", text(row, 1)?),
                    ("purpose", text(row, 2)?),
                    ("recipient", text(row, 3)?),
                    ("granted_at", text(row, 4)?),
                    ("expires_at", text(row, 5)?),
                    ("used_by", text(row, 6)?),
                ],
            )
        })
    }

    fn orders(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query = "SELECT id, recipient, authority, type, document, categories, from_at, until,
            gag_until, lifted_at FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2";
        let people = "SELECT subject FROM order_subjects WHERE order_id = ?1 ORDER BY subject";
        self.each(tables, query, 1, |export, row| {
            let people = subjects(tables, people, &row.text(0)?)?;
            export.put(
                "order",
                [
                    ("id", text(row, 0)?),
                    ("recipient", text(row, 1)?),
                    ("authority", text(row, 2)?),
                    ("type", text(row, 3)?),
                    ("document", text(row, 4)?),
                    ("subjects", Some(people.into())),
                    ("categories", Some(row.list(5)?.into())),
                    ("from", text(row, 6)?),
                    ("until", text(row, 7)?),
                    ("gag_until", text(row, 8)?),
                    ("lifted_at", text(row, 9)?),
                ],
            )
        })
    }

    fn cases(&mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let query = "SELECT id, purposes, opened_at, until, closed_at FROM cases
          WHERE id > ?1 ORDER BY id LIMIT ?2";
        let people = "SELECT subject FROM case_subjects WHERE case_id = ?1 ORDER BY subject";
        self.each(tables, query, 1, |export, row| {
            for people in subjects(tables, people, &row.text(0)?)?.chunks(PEOPLE) {
                export.put(
                    "case",
                    [
                        ("id", text(row, 0)?),
                        ("purposes", Some(row.list(1)?.into())),
                        ("subjects", Some(people.into())),
                        ("opened_at", text(row, 2)?),
                        ("until", text(row, 3)?),
                        ("closed_at", text(row, 4)?),
                    ],
                )?;
            }
            Ok(())
        })
    }
}

/// Pages of the rows that `query` finds; each begins after the last row's first `keys` columns.
fn pages(
    tables: &dyn Tables,
    query: &str,
    keys: usize,
    mut take: impl FnMut(&[Row]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Vec<Datum> = vec![Datum::from(""); keys];
    loop {
        let values: Vec<Datum> = after.iter().cloned().chain([Datum::from(PAGE)]).collect();
        let page = tables.rows(query, &values)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = (0..keys).map(|at| last.text(at).map(Datum::from)).collect::<Result<_, _>>()?;
        take(&page)?;
    }
}

/// The history of each consent from one id to another, as it counts.
fn histories(
    tables: &dyn Tables,
    bounds: &[Datum],
) -> Result<HashMap<String, Vec<ConsentEvent>>, StoreError> {
    let query = "SELECT consent, at, status, recorded_at FROM consent_events
      WHERE consent >= ?1 AND consent <= ?2";
    let mut histories: HashMap<String, Vec<_>> = HashMap::new();
    for row in tables.rows(query, bounds)? {
        histories.entry(row.text(0)?).or_default().push(event_of(&row)?);
    }
    Ok(histories)
}

/// Withdrawals of the people whose consents lie from one id to another.
fn withdrawals_about(
    tables: &dyn Tables,
    bounds: &[Datum],
) -> Result<HashMap<String, Vec<HeardWithdrawal>>, StoreError> {
    let query = "SELECT subject, purpose, recipient, at, recorded FROM withdrawals
      WHERE subject IN (SELECT subject FROM consents WHERE id >= ?1 AND id <= ?2)";
    let mut found: HashMap<String, Vec<_>> = HashMap::new();
    for row in tables.rows(query, bounds)? {
        found.entry(row.text(0)?).or_default().push(withdrawal_of(&row)?);
    }
    Ok(found)
}

fn subjects(tables: &dyn Tables, query: &str, id: &str) -> Result<Vec<String>, StoreError> {
    tables.rows(query, data![id])?.iter().map(|row| row.text(0)).collect()
}

/// The id that a statement came with; none where it was made of its content.
fn given_id(row: &Row) -> Result<Option<Value>, StoreError> {
    Ok(row.text(0)?.strip_prefix("id:").map(Value::from))
}
