//! Whether the server's history goes on from what this gateway has read of it.
//!
//! Each commit has a number and a random salt. A server that does not have the salt of the last number that
//! was read is another one, or has lost changes: it is not read, and nothing is written there, since what
//! is acknowledged must not be lost when the right one is back.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::schema::StoreError;
use super::super::sql::{Tables as _, data};
use super::mark::Mark;
use super::session::Session;

/// How far a gateway has read, as its follower and its writer both know it.
#[derive(Clone, Default)]
pub(super) struct LastRead(Arc<Mutex<Option<Mark>>>);

impl LastRead {
    pub(super) fn new(mark: Option<Mark>) -> Self {
        Self(Arc::new(Mutex::new(mark)))
    }

    pub(super) fn get(&self) -> Option<Mark> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, mark: Mark) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark);
    }
}

/// The server's newest commit, and the salt that it has for the number that was read last.
pub(super) struct Head {
    pub(super) newest: Mark,
    ours: Option<String>,
}

impl Head {
    /// Whether the server's history went on from `before`.
    pub(super) fn contains(&self, before: &Mark) -> Result<(), StoreError> {
        if self.newest.number < before.number
            || (before.number > 0 && self.ours.as_ref() != Some(&before.salt))
        {
            return Err(StoreError::History(
                "changes that the server had before are missing there",
            ));
        }
        Ok(())
    }
}

/// What a history that may be relied on is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recognised {
    /// The one that was read before, and what came after it.
    Same,
    /// Another one, of which somebody has said that it counts instead.
    Instead,
}

/// Compares the server with what was read from it before.
pub(super) fn recognise(session: &Session, before: &Mark) -> Result<Recognised, StoreError> {
    let head = head(session, before.number)?;
    if head.newest.history == before.history {
        return head.contains(before).map(|()| Recognised::Same);
    }
    if takes_the_place_of(session, &head.newest.history, &before.history)? {
        return Ok(Recognised::Instead);
    }
    Err(StoreError::History("the server holds other registers than before"))
}

pub(super) fn head(session: &Session, number: i64) -> Result<Head, StoreError> {
    let query = "SELECT head.history, head.number, coalesce(newest.salt, ''), ours.salt FROM head
      LEFT JOIN commits newest ON newest.number = head.number
      LEFT JOIN commits ours ON ours.number = ?1";
    let row = session.row(query, data![number])?.ok_or(StoreError::Garbage("head"))?;
    let newest = Mark { history: row.text(0)?, number: row.number(1)?, salt: row.text(2)? };
    Ok(Head { newest, ours: row.maybe_text(3)? })
}

/// Whether somebody has said that `history` counts instead of `before`, at once or by way of others.
fn takes_the_place_of(session: &Session, history: &str, before: &str) -> Result<bool, StoreError> {
    let query = "WITH RECURSIVE earlier (id) AS (
        SELECT instead_of FROM histories WHERE id = ?1
        UNION SELECT instead_of FROM histories JOIN earlier ON histories.id = earlier.id)
      SELECT id FROM earlier WHERE id = ?2 LIMIT 1";
    Ok(session.row(query, data![history, before])?.is_some())
}
