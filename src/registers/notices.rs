//! Who is still to be told of erasures: the outbox.
//!
//! The row of an erasure is its own order to tell: it is written with the erasure, by whatever command,
//! and stands until a gateway made notices of it by the rules in force, in one transaction, once over all
//! gateways. A notice holds no id of a person; it is read through the erasure. Whoever sends one takes it
//! first, by moving its next attempt ahead, so that of several gateways one sends and a crash in between
//! costs a wait and no notice.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use super::store::RegisterStore;
use super::write::WriteError;
use super::{RecordError, Recorded, RegistersUnavailable};
use crate::terms::{DataSubject, Erasure, Personal, PurposePattern, RecipientId};

/// The longest pause between two attempts.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(6);

/// The pause after the first attempt; longer than an attempt may take, so that no two overlap. Each
/// further one is three times as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// Attempts before a notice is given up: six within three hours, then every six hours for a week, which
/// outlasts a long weekend.
pub const NOTICE_ATTEMPTS: u32 = 36;

/// A notice that waits.
#[derive(Clone, Debug)]
pub struct ErasureNotification {
    /// Its id, which says nothing and stays the same over all attempts.
    pub id: String,
    /// To whom.
    pub recipient: RecipientId,
    /// Attempts before this one.
    pub attempts: u32,
    /// What of it a ledger holds as being sent, in words; `None`: nothing yet.
    pub entered: Option<String>,
    /// Of whom.
    pub person: DataSubject,
    /// When the person asked for it.
    pub requested_at: Timestamp,
    /// The erasure itself.
    pub erasure: Erasure,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeEnd {
    /// The recipient took it.
    Delivered,
    /// It did not, too often.
    GivenUp,
}

impl NoticeEnd {
    /// The word for it, in the registers and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::GivenUp => "given-up",
        }
    }
}

/// A notice that its recipient has not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndeliveredNotice {
    /// Its id.
    pub id: String,
    /// To whom.
    pub recipient: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether it was given up.
    pub given_up: bool,
}

impl RegisterStore {
    /// Makes notices to these recipients of each erasure in force of which none were made yet. How many
    /// erasures that were. An erasure is done with once, whoever is listed later.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn plan_notices(
        &self,
        recipients: &[RecipientId],
        now: Timestamp,
    ) -> Result<usize, RecordError> {
        // Mostly there are none, and asking costs no lock.
        let planned: Result<_, RegistersUnavailable> = self.read(|tables| unplanned(tables, now));
        let found = planned.map_err(|error| RecordError::Unavailable(error.0))?;
        let mut count = 0;
        for erasure in found {
            count += usize::from(self.quietly(|tables| plan(tables, &erasure, recipients, now))?);
        }
        Ok(count)
    }

    /// The next notices whose attempt is due, at most `limit` to each recipient, who are in order.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn due_notices(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ErasureNotification>, RegistersUnavailable> {
        self.read(|tables| due(tables, now, limit))
    }

    /// Takes a notice for one attempt; false: somebody else has taken it meanwhile.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn take_notice(
        &self,
        notice: &ErasureNotification,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        self.quietly(|tables| {
            let next = now.checked_add(pause(notice.attempts)).unwrap_or(Timestamp::MAX);
            let taken = tables.execute(
                "UPDATE erasure_notices SET attempts = attempts + 1, next_at = ?3
                 WHERE id = ?1 AND attempts = ?2 AND state = 'waiting'",
                data![&notice.id, i64::from(notice.attempts), sortable(next)],
            )?;
            Ok(taken == 1)
        })
    }

    /// Notes what of this notice a ledger holds as being sent, in words without a name of a person.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn notice_entered(&self, id: &str, what: &str) -> Result<(), RecordError> {
        self.quietly(|tables| {
            let note = "UPDATE erasure_notices SET entered = ?2 WHERE id = ?1";
            tables.execute(note, data![id, what])?;
            Ok(())
        })
    }

    /// Notes what became of a notice.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn end_notice(&self, id: &str, end: NoticeEnd, now: Timestamp) -> Result<(), RecordError> {
        self.quietly(|tables| {
            tables.execute(
                "UPDATE erasure_notices SET state = ?2, ended_at = ?3
                 WHERE id = ?1 AND state = 'waiting'",
                data![id, end.as_str(), sortable(now)],
            )?;
            Ok(())
        })
    }

    /// All notices about one person, by recipient.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn notices_of(
        &self,
        person: &DataSubject,
    ) -> Result<Vec<NoticeOfPerson>, RegistersUnavailable> {
        self.read(|tables| {
            let query = "SELECT n.recipient, n.state, coalesce(n.ended_at, n.created_at)
              FROM erasure_notices n JOIN erasures e ON e.id = n.erasure
              WHERE e.subject = ?1 ORDER BY n.recipient, n.id";
            let found = tables.rows(query, data![person.expose().as_ref()])?;
            let one = |row: &Row| {
                let (recipient, state) = (row.text(0)?, row.text(1)?);
                Ok(NoticeOfPerson { recipient, state, since: row.text(2)? })
            };
            found.iter().map(one).collect()
        })
    }

    /// How many notices wait, and how many were given up.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn count_notices(&self) -> Result<(u64, u64), RegistersUnavailable> {
        self.read(|tables| {
            let count = |state: &str| {
                let query = "SELECT count(*) FROM erasure_notices WHERE state = ?1";
                let row = tables.row(query, data![state])?;
                row.ok_or(StoreError::Garbage("count"))?.number(0)
            };
            Ok((
                count("waiting")?.unsigned_abs(),
                count(NoticeEnd::GivenUp.as_str())?.unsigned_abs(),
            ))
        })
    }

    /// Notices that their recipients have not taken, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn undelivered_notices(
        &self,
        limit: usize,
    ) -> Result<Vec<UndeliveredNotice>, RegistersUnavailable> {
        self.read(|tables| undelivered(tables, limit))
    }
}

/// A notice about one person, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeOfPerson {
    /// To whom.
    pub recipient: String,
    /// `waiting`, `delivered` or `given-up`.
    pub state: String,
    /// Since when it is so; RFC 3339.
    pub since: String,
}

/// The pause after so many earlier attempts and one more.
fn pause(attempts: u32) -> SignedDuration {
    let factor = 3_i32.checked_pow(attempts).unwrap_or(i32::MAX);
    FIRST_PAUSE.checked_mul(factor).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

/// A time that sorts as text.
fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn unplanned(tables: &dyn Tables, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let query = "SELECT id, effective_at FROM erasures
      WHERE id NOT IN (SELECT id FROM planned_erasures) ORDER BY id";
    let mut found = Vec::new();
    for row in tables.rows(query, data![])? {
        if row.time(1)? <= now {
            found.push(row.text(0)?);
        }
    }
    Ok(found)
}

/// Whether it was for us to do.
fn plan(
    tables: &dyn Tables,
    erasure: &str,
    recipients: &[RecipientId],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let at = sortable(now);
    let first = tables.execute(
        "INSERT INTO planned_erasures VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        data![erasure, &at],
    )?;
    if first == 0 {
        return Ok(false);
    }
    for recipient in recipients {
        let id = format!("en_{}", Uuid::now_v7().simple());
        tables.execute(
            "INSERT INTO erasure_notices VALUES (?1, ?2, ?3, ?4, 0, ?4, 'waiting', NULL, NULL)",
            data![id, erasure, recipient.as_str(), &at],
        )?;
    }
    Ok(true)
}

fn due(
    tables: &dyn Tables,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<ErasureNotification>, StoreError> {
    let query = "SELECT n.id, n.recipient, n.attempts, e.subject, e.requested_at, e.effective_at,
        e.except_for, n.entered
      FROM (SELECT id, erasure, recipient, attempts, entered, next_at,
          row_number() OVER (PARTITION BY recipient ORDER BY next_at, id) AS place
        FROM erasure_notices WHERE state = 'waiting' AND next_at <= ?1) n
      JOIN erasures e ON e.id = n.erasure
      WHERE n.place <= ?2 ORDER BY n.recipient, n.next_at, n.id";
    let found = tables.rows(query, data![sortable(now), limited(limit)])?;
    found.iter().map(notification).collect()
}

fn notification(row: &Row) -> Result<ErasureNotification, StoreError> {
    Ok(ErasureNotification {
        id: row.text(0)?,
        recipient: row.text(1)?.into(),
        attempts: attempts(row, 2)?,
        entered: row.maybe_text(7)?,
        person: Personal::new(row.text(3)?.into()),
        requested_at: row.time(4)?,
        erasure: Erasure {
            effective_at: row.time(5)?,
            except: row.list(6)?.iter().map(|one| PurposePattern::new(one)).collect(),
        },
    })
}

fn undelivered(tables: &dyn Tables, limit: usize) -> Result<Vec<UndeliveredNotice>, StoreError> {
    let query = "SELECT id, recipient, created_at, attempts, state FROM erasure_notices
      WHERE state <> 'delivered' ORDER BY created_at, id LIMIT ?1";
    let found = tables.rows(query, data![limited(limit)])?;
    found
        .iter()
        .map(|row| {
            Ok(UndeliveredNotice {
                id: row.text(0)?,
                recipient: row.text(1)?,
                since: row.time(2)?,
                attempts: attempts(row, 3)?,
                given_up: row.text(4)? == NoticeEnd::GivenUp.as_str(),
            })
        })
        .collect()
}

fn attempts(row: &Row, column: usize) -> Result<u32, StoreError> {
    u32::try_from(row.number(column)?).map_err(|_| StoreError::Garbage("attempts"))
}

/// Lets the notice of this id be tried again from the beginning, where it was given up.
pub(super) fn retry(tables: &dyn Tables, id: &str, now: Timestamp) -> Result<Recorded, WriteError> {
    let known = "SELECT id FROM erasure_notices WHERE id = ?1";
    if tables.row(known, data![id])?.is_none() {
        return Err(WriteError::Invalid("id"));
    }
    let revived = tables.execute(
        "UPDATE erasure_notices SET state = 'waiting', attempts = 0, next_at = ?2,
           entered = NULL, ended_at = NULL
         WHERE id = ?1 AND state = 'given-up'",
        data![id, sortable(now)],
    )?;
    Ok(if revived == 1 { Recorded::New } else { Recorded::Known })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_six_hours_and_a_notice_is_tried_for_a_week() {
        let pauses: Vec<i64> = (0..NOTICE_ATTEMPTS).map(|n| pause(n).as_secs()).collect();
        assert_eq!(pauses[..6], [30, 90, 270, 810, 2430, 7290]);
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE.as_secs()));
        let days = pauses.iter().sum::<i64>() / 86_400;
        assert_eq!(days, 7);
    }
}
