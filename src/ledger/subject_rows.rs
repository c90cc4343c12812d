//! Rows of the index of data subjects: where a person's secret stands, wrapped, and how the file is
//! laid out. A row is found by a keyed pseudonym of the person's id, so that without the key ring nobody
//! can tell whose it is, or whether somebody has one.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};
use zeroize::Zeroizing;

use super::last_account::LAST_ACCOUNTS;
use super::subjects::{IndexKey, Secret};
use crate::action::pseudonym::Canonical;
use crate::terms::{DataSubject, read_hex, write_hex};

/// Marks the file as ours: "Tams".
const APPLICATION_ID: i32 = 0x5461_6d73;

/// The version of the table that this program reads and writes.
const VERSION: i32 = 3;

/// How long one process waits for another to finish writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows that are read at a time by whoever reads all of them: nobody who writes waits for longer.
const ROWS: u32 = 1000;

/// What is wrong with the index. None of it says whose row it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("it holds what it cannot hold, or a key is missing")]
    Garbage,
    #[error("no random bytes")]
    NoRandomness,
}

pub(super) fn connect(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // What is deleted is overwritten, and no log of pages keeps it.
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |pragma| transaction.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, version) {
        (0, 0) if tables == 0 => {
            transaction.execute_batch(
                "CREATE TABLE secrets (
                   row TEXT PRIMARY KEY, secret TEXT NOT NULL, month TEXT NOT NULL
                 ) STRICT, WITHOUT ROWID;",
            )?;
            transaction.execute_batch(LAST_ACCOUNTS)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, 1) => {
            // When they were last used nobody noted: as if it were now.
            transaction.execute_batch(
                "ALTER TABLE secrets ADD COLUMN month TEXT NOT NULL DEFAULT '';
                 UPDATE secrets SET month = strftime('%Y-%m', 'now');",
            )?;
            transaction.execute_batch(LAST_ACCOUNTS)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (APPLICATION_ID, 2) => {
            transaction.execute_batch(LAST_ACCOUNTS)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        _ => return Err(IndexError::Garbage),
    }
    transaction.commit()?;
    Ok(connection)
}

/// The next rows, with what is wrapped in them.
pub(super) fn rows_after(
    connection: &Connection,
    reached: &str,
) -> Result<Vec<(String, String)>, rusqlite::Error> {
    let query = "SELECT row, secret FROM secrets WHERE row > ?1 ORDER BY row LIMIT ?2";
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map((reached, ROWS), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(super) fn row(key: &IndexKey, person: &DataSubject) -> Option<String> {
    key.rows.pseudonym(Canonical::Text, person.expose())
}

pub(super) fn keep(
    transaction: &Transaction<'_>,
    key: &IndexKey,
    person: &DataSubject,
    secret: &Secret,
    month: &str,
) -> Result<(), IndexError> {
    let mut digits = Zeroizing::new(String::with_capacity(64));
    write_hex(secret.0.as_slice(), &mut digits);
    let row = row(key, person).ok_or(IndexError::Garbage)?;
    let wrapped = key.secrets.token(Canonical::Text, &digits).ok_or(IndexError::Garbage)?;
    transaction.execute("INSERT INTO secrets VALUES (?1, ?2, ?3)", [&row, &wrapped, month])?;
    Ok(())
}

pub(super) fn unwrap(key: &IndexKey, wrapped: &str) -> Option<Secret> {
    let digits = key.secrets.open_token(Canonical::Text, wrapped)?;
    let mut bytes = Zeroizing::new([0; 32]);
    read_hex(digits.expose().as_bytes(), bytes.as_mut_slice())?;
    Some(Secret(bytes))
}

/// With the position of the key under which the row was made.
pub(super) fn find(
    keys: &[IndexKey],
    transaction: &Transaction<'_>,
    person: &DataSubject,
) -> Result<Option<(Secret, usize)>, IndexError> {
    for (at, key) in keys.iter().enumerate() {
        let row = row(key, person).ok_or(IndexError::Garbage)?;
        let wrapped: Option<String> = transaction
            .query_row("SELECT secret FROM secrets WHERE row = ?1", [row], |row| row.get(0))
            .optional()?;
        if let Some(wrapped) = wrapped {
            let secret = unwrap(key, &wrapped).ok_or(IndexError::Garbage)?;
            return Ok(Some((secret, at)));
        }
    }
    Ok(None)
}
