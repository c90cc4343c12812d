//! Calls that their callers sent under a key: what was answered is kept in the transaction of the change,
//! so that the same call again, at whatever gateway and after whatever crash, is answered as before and
//! never made a second time.
//!
//! Kept are the caller's name, digests of key and request, and the answer, which says whether something was
//! new and how many: no key, no request and no person. The digest of the request has the key in it, so that
//! a copy of the registers is no help in guessing what was asked.
//! Source: draft-ietf-httpapi-idempotency-key-header.

use std::time::Duration;

use jiff::Timestamp;

use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use super::write::WriteError;
use super::{Changing, RecordError, RegisterStore, RegistersUnavailable};
use crate::terms::Digest;

/// How long an answer is kept: longer than any program tries again.
pub const ANSWERS_KEPT: Duration = Duration::from_hours(1);

/// The same in seconds.
const KEPT_SECONDS: i64 = ANSWERS_KEPT.as_secs().cast_signed();

/// Most answers of one caller: more than it may make calls in [`ANSWERS_KEPT`] by the usual pace. Beyond
/// it a call with a key is refused, since a promise that is forgotten is none.
const ANSWERS: i64 = 65_536;

/// A call under a key.
#[derive(Clone, Debug)]
pub struct KeyedCall {
    caller: String,
    key: Digest,
    asked: Digest,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status of a success.
    pub status: u16,
    /// JSON, about nobody.
    pub body: String,
}

/// What a call under a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// The change was made now.
    Now(KeptAnswer),
    /// It was made before, and answered so.
    Before(KeptAnswer),
}

/// Why a call under a key is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOnce {
    /// The key was used for another request.
    #[error("the key was used for another request")]
    OtherRequest,
    /// As many answers are kept for the caller as there may be.
    #[error("too many answers are kept for the caller")]
    TooMany,
}

impl KeyedCall {
    /// A request of `caller` under `key`: everything that makes it this one and no other.
    #[must_use]
    pub fn new(caller: &str, key: &str, request: &[&[u8]]) -> Self {
        let key = [caller.as_bytes(), key.as_bytes()];
        let asked: Vec<&[u8]> = key.iter().chain(request).copied().collect();
        Self {
            caller: caller.to_owned(),
            key: Digest::of_parts(&key),
            asked: Digest::of_parts(&asked),
        }
    }

    /// What was answered under the key as of `now`.
    fn answered(
        &self,
        tables: &dyn Tables,
        now: Timestamp,
    ) -> Result<Option<Result<KeptAnswer, NotOnce>>, StoreError> {
        let query = "SELECT asked, status, answer FROM answered_calls WHERE key = ?1 AND at > ?2";
        let found = tables.row(query, data![self.key.to_string(), forgotten(now)])?;
        let answer = |row: Row| {
            if row.text(0)? != self.asked.to_string() {
                return Ok(Err(NotOnce::OtherRequest));
            }
            let status =
                u16::try_from(row.number(1)?).map_err(|_| StoreError::Garbage("status"))?;
            Ok(Ok(KeptAnswer { status, body: row.text(2)? }))
        };
        found.map(answer).transpose()
    }

    /// The number that the answer will have among those of its caller; `None`: there are too many. They
    /// are numbered in order and forgotten in order, so that nobody has to count them.
    fn number(&self, tables: &dyn Tables) -> Result<Option<i64>, StoreError> {
        let end = |order: &str| {
            let query = format!(
                "SELECT turn FROM answered_calls WHERE caller = ?1 ORDER BY turn {order} LIMIT 1"
            );
            tables.row(&query, data![&self.caller])?.map(|row| row.number(0)).transpose()
        };
        let Some((first, last)) = end("ASC")?.zip(end("DESC")?) else { return Ok(Some(1)) };
        Ok((last - first + 1 < ANSWERS).then_some(last + 1))
    }

    fn keep(
        &self,
        tables: &dyn Tables,
        number: i64,
        answer: &KeptAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // One that is forgotten and not yet gone makes room.
        tables.execute(
            "INSERT INTO answered_calls (key, caller, turn, asked, at, status, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE
             SET caller = excluded.caller, turn = excluded.turn, asked = excluded.asked,
               at = excluded.at, status = excluded.status, answer = excluded.answer",
            data![
                self.key.to_string(),
                &self.caller,
                number,
                self.asked.to_string(),
                now.as_second(),
                i64::from(answer.status),
                &answer.body
            ],
        )?;
        Ok(())
    }
}

impl RegisterStore {
    /// What was answered to this call before, if it was.
    ///
    /// # Errors
    /// The registers cannot be asked; or, inside, the key was used for another request.
    pub fn answered(
        &self,
        call: &KeyedCall,
    ) -> Result<Option<Result<KeptAnswer, NotOnce>>, RegistersUnavailable> {
        self.read(|tables| call.answered(tables, Timestamp::now()))
    }

    /// Makes the changes of `change`, unless the call was answered before, and keeps what `answer` makes of
    /// them with them: all of it in one transaction. Two at a time come one after the other.
    ///
    /// # Errors
    /// Whatever `change` says, and then nothing is kept; [`NotOnce`]; or the store cannot write.
    pub fn once<T, E: From<RecordError> + From<NotOnce>>(
        &self,
        call: &KeyedCall,
        change: impl FnOnce(&Changing<'_>) -> Result<T, E>,
        answer: impl FnOnce(T) -> KeptAnswer,
    ) -> Result<Once, E> {
        self.changing(|changing| {
            let before = changing.with(|writer| Ok(call.answered(writer.tables, writer.now)?))?;
            if let Some(before) = before {
                return Ok(Once::Before(before?));
            }
            let number = changing.with(|writer| Ok(call.number(writer.tables)?))?;
            let number = number.ok_or(NotOnce::TooMany)?;
            let answer = answer(change(changing)?);
            let keep = |tables, now| Ok::<_, WriteError>(call.keep(tables, number, &answer, now)?);
            changing.with(|writer| keep(writer.tables, writer.now))?;
            Ok(Once::Now(answer))
        })
    }

    /// Takes out the answers that were kept for long enough, whosesoever.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn forget_answers(&self, now: Timestamp) -> Result<(), RecordError> {
        let due = "SELECT key FROM answered_calls WHERE at <= ?1 LIMIT 1";
        let due = self.read(|tables| tables.row(due, data![forgotten(now)]));
        if due.map_err(|error| RecordError::Unavailable(error.0))?.is_none() {
            return Ok(());
        }
        let forget = match self {
            Self::Embedded(_) => "DELETE FROM answered_calls WHERE at <= ?1",
            // A gateway's role takes nothing out of the registers; this is the owner's function.
            Self::Postgres(_) => "SELECT forget_answers(?1)",
        };
        self.quietly(|tables| tables.execute(forget, data![forgotten(now)]).map(drop))
    }
}

/// Answers of this second and before are forgotten at `now`.
fn forgotten(now: Timestamp) -> i64 {
    now.as_second().saturating_sub(KEPT_SECONDS)
}
