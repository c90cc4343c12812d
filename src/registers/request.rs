//! Requests of people: what was asked, under a receipt, until somebody has answered it.
//!
//! An erasure and a restriction hold from the moment they are asked for, in the same transaction as the
//! request. Asking again while a request is open is the same request, under the same receipt.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::lift::{FOUR_EYES, LIFTED_BY};
use super::record::{ErasureRecord, RestrictionRecord};
use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use super::write::{WriteError, Writer, sorted};
use crate::terms::{CategoryPattern, DataSubject, Personal, Right, read_hex};

/// Open requests of one person. More say nothing that these do not.
const OPEN_REQUESTS: i64 = 16;

/// What receipts begin with; 32 hexadecimal digits follow.
const RECEIPT: &str = "rq_";

/// What one person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightRequest {
    /// Who asks, about themselves.
    pub subject: DataSubject,
    /// What for.
    pub right: Right,
    /// Of which data; at least one pattern.
    pub categories: Vec<CategoryPattern>,
}

/// That a request was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestReceipt {
    /// Its id; says nothing of the person.
    pub id: String,
    /// When it was taken first.
    pub received_at: Timestamp,
}

impl RequestReceipt {
    /// The last day on which it is answered in time: a month after it came. `None` at the end of time.
    /// Source: GDPR Art. 12(3).
    #[must_use]
    pub fn answer_by(&self) -> Option<Date> {
        let received = self.received_at.to_zoned_datetime(TimeZone::UTC);
        received.checked_add(1.month()).ok().map(|at| at.date())
    }
}

/// A request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Its receipt.
    pub receipt: RequestReceipt,
    /// Who asked.
    pub subject: DataSubject,
    /// `erasure`, `restriction` or `rectification`.
    pub right: String,
    /// Of which data.
    pub categories: Vec<String>,
}

/// An erasure of which what follows outside the registers is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsettledErasure {
    /// Its id in the registers, for them alone: it may be made of whom it is about.
    pub id: String,
    /// Who.
    pub person: DataSubject,
    /// Since when it is in force.
    pub effective_at: Timestamp,
}

impl UnsettledErasure {
    /// The receipt of the request that it came with; an id that somebody else made is none.
    #[must_use]
    pub fn receipt(&self) -> Option<&str> {
        let receipt = self.id.strip_prefix("id:")?;
        let digits = receipt.strip_prefix(RECEIPT)?;
        read_hex(digits.as_bytes(), &mut [0; 16]).map(|()| receipt)
    }
}

impl Writer<'_> {
    /// Takes a request; `None` where the person has too many open.
    pub(super) fn request(
        &self,
        request: &RightRequest,
    ) -> Result<Option<RequestReceipt>, WriteError> {
        let subject = request.subject.expose();
        let categories = sorted(request.categories.iter().map(CategoryPattern::as_str));
        let known = self.tables.row(
            "SELECT id, received_at FROM requests WHERE subject = ?1 AND asked_for = ?2
             AND categories = ?3 AND answered_at IS NULL",
            data![subject.as_ref(), request.right.as_str(), &categories],
        )?;
        if let Some(row) = known {
            return Ok(Some(RequestReceipt { id: row.text(0)?, received_at: row.time(1)? }));
        }
        let open = self.tables.row(
            "SELECT count(*) FROM requests WHERE subject = ?1 AND answered_at IS NULL",
            data![subject.as_ref()],
        )?;
        if open.ok_or(StoreError::Garbage("count"))?.number(0)? >= OPEN_REQUESTS {
            return Ok(None);
        }
        let receipt = RequestReceipt {
            id: format!("{RECEIPT}{}", Uuid::now_v7().simple()),
            received_at: self.now,
        };
        self.tables.execute(
            "INSERT INTO requests VALUES (?1, ?2, ?3, ?4, ?5, NULL)",
            data![
                &receipt.id,
                subject.as_ref(),
                request.right.as_str(),
                categories,
                receipt.received_at
            ],
        )?;
        self.changed(true, "request", "recorded", None)?;
        match request.right {
            Right::Erasure => {
                let changed = self.erasure(&ErasureRecord {
                    id: Some(receipt.id.clone()),
                    subject: request.subject.clone(),
                    requested_at: self.now,
                    effective_at: self.now,
                    except: Vec::new(),
                    told: false,
                })?;
                self.touch(subject);
                self.changed(changed, "erasure", "recorded", None)?;
            }
            Right::Restriction => {
                let changed = self.restriction(&RestrictionRecord {
                    id: Some(receipt.id.clone()),
                    subject: request.subject.clone(),
                    categories: request.categories.clone(),
                    ground: Some("asked for by the person".into()),
                    since: self.now,
                    until: None,
                })?;
                self.touch(subject);
                self.changed(changed, "restriction", "recorded", None)?;
            }
            // What is right instead is not for the registers.
            Right::Rectification => {}
        }
        Ok(Some(receipt))
    }

    /// Notes that open requests were answered: of what they asked for nothing is in force any more.
    pub(super) fn answer_open(&self, which: &str, value: &str) -> Result<(), WriteError> {
        let answer =
            format!("UPDATE requests SET answered_at = ?2 WHERE answered_at IS NULL AND {which}");
        let count = self.tables.execute(&answer, data![value, self.now])?;
        self.changed(count > 0, "request", "answered", None)?;
        Ok(())
    }

    /// Notes that the request of this receipt was answered.
    pub(super) fn answer_request(&self, id: &str) -> Result<super::Recorded, WriteError> {
        if self.tables.row("SELECT id FROM requests WHERE id = ?1", data![id])?.is_none() {
            return Err(WriteError::Invalid("id"));
        }
        let count = self.tables.execute(
            "UPDATE requests SET answered_at = ?2 WHERE id = ?1 AND answered_at IS NULL",
            data![id, self.now],
        )?;
        self.changed(count > 0, "request", "answered", None)
    }

    /// Notes that what follows from an erasure outside the registers is done.
    pub(super) fn settle_erasure(&self, id: &str) -> Result<(), WriteError> {
        self.tables.execute(
            "INSERT INTO settled_erasures VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            data![id, self.now],
        )?;
        Ok(())
    }
}

/// The oldest requests that are not answered, at most `limit`, of those after a place in their order:
/// a time as text, and an id.
pub(super) fn open_requests(
    tables: &dyn Tables,
    after: (&str, &str),
    limit: usize,
) -> Result<Vec<OpenRequest>, StoreError> {
    let query = "SELECT id, subject, asked_for, categories, received_at FROM requests
      WHERE answered_at IS NULL AND (received_at, id) > (?1, ?2)
      ORDER BY received_at, id LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = tables.rows(query, data![after.0, after.1, limit])?;
    found
        .iter()
        .map(|row| {
            Ok(OpenRequest {
                receipt: RequestReceipt { id: row.text(0)?, received_at: row.time(4)? },
                subject: Personal::new(row.text(1)?.into()),
                right: row.text(2)?,
                categories: row.list(3)?,
            })
        })
        .collect()
}

/// Erasures in force at `now` of which nothing outside the registers followed yet.
pub(super) fn unsettled_erasures(
    tables: &dyn Tables,
    now: Timestamp,
) -> Result<Vec<UnsettledErasure>, StoreError> {
    let query = format!(
        "SELECT id, subject, effective_at, {LIFTED_BY} FROM erasures
         WHERE id NOT IN (SELECT id FROM settled_erasures) ORDER BY id"
    );
    in_force(&tables.rows(&query, data![])?, now)
}

/// The erasures of these rows that are in force at `now`; the last column says how many lift them.
pub(super) fn in_force(rows: &[Row], now: Timestamp) -> Result<Vec<UnsettledErasure>, StoreError> {
    let mut found = Vec::new();
    for row in rows {
        let effective_at = row.time(2)?;
        if effective_at <= now && row.number(3)? < FOUR_EYES {
            let person = Personal::new(row.text(1)?.into());
            found.push(UnsettledErasure { id: row.text(0)?, person, effective_at });
        }
    }
    Ok(found)
}
