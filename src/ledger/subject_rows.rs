//! Rows of the index of data subjects: where a person's secret stands, wrapped, and how the file is
//! laid out. A row is found by a keyed pseudonym of the person's id, so that without the key ring nobody
//! can tell whose it is, or whether somebody has one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use zeroize::Zeroizing;

use super::LedgerServer;
use super::last_account::LAST_ACCOUNTS;
use super::server::Seat;
use super::subjects::{IndexKey, Secret};
use crate::action::pseudonym::Canonical;
use crate::database::fault::{StoreError, chain};
use crate::database::sql::{Tables, data};
use crate::terms::{DataSubject, read_hex, write_hex};

/// Marks the file as ours: "Tams".
const APPLICATION_ID: i32 = 0x5461_6d73;

/// The version of the table that this program reads and writes.
const VERSION: i32 = 3;

/// How long one process waits for another to finish writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows that are read at a time by whoever reads all of them: nobody who writes waits for longer.
const ROWS: i64 = 1000;

/// What is hashed under a key to tell it from others of its version.
const PROVEN: &str = "the key ring of this index";

/// What is wrong with the index. None of it says whose row it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", chain(.0))]
    Store(#[from] StoreError),
    #[error("it holds what it cannot hold, or a key is missing")]
    Garbage,
    #[error("no random bytes")]
    NoRandomness,
    #[error("it is under another key ring; all gateways on one server share one")]
    OtherRing,
}

/// Where the rows stand: beside the files of a chain, or on the server that has the chains of all nodes,
/// which share them there.
pub(super) enum IndexPlace {
    File { path: PathBuf, connection: Connection },
    Server(Arc<LedgerServer>),
}

impl IndexPlace {
    pub(super) fn file(path: PathBuf) -> Result<Self, IndexError> {
        let connection = connect(&path)?;
        Ok(Self::File { path, connection })
    }

    /// Changes whenever another has committed, or has forgotten somebody.
    pub(super) fn version(&self) -> Result<i64, IndexError> {
        let row = match self {
            Self::File { connection, .. } => connection.row("PRAGMA data_version", data![])?,
            Self::Server(server) => server.read(Seat::Index, |tables| {
                tables.row("SELECT number FROM index_version", data![])
            })?,
        };
        Ok(row.ok_or(IndexError::Garbage)?.number(0)?)
    }

    /// Whether rows here are under the keys of this ring. On a server the first gateway says which ring
    /// that is: one with another could not read the rows of the others, nor they its.
    pub(super) fn recognise(&mut self, keys: &[IndexKey]) -> Result<(), IndexError> {
        if matches!(self, Self::File { .. }) {
            return Ok(());
        }
        self.write(|tables| keys.iter().try_for_each(|key| is_of_the_ring(tables, key)))
    }

    /// As one transaction sees it.
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&dyn Tables) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        match self {
            Self::File { connection, .. } => read(&*connection.transaction()?),
            Self::Server(server) => server.write(Seat::Index, read),
        }
    }

    /// All or nothing, durable on return.
    pub(super) fn write<T>(
        &mut self,
        write: impl FnOnce(&dyn Tables) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        match self {
            Self::File { connection, .. } => {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = write(&*transaction)?;
                transaction.commit()?;
                Ok(done)
            }
            Self::Server(server) => server.write(Seat::Index, write),
        }
    }

    /// As [`write`](Self::write), where secrets go: whoever has them in memory is told.
    pub(super) fn shred<T>(
        &mut self,
        shred: impl FnOnce(&dyn Tables) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let is_shared = matches!(self, Self::Server(_));
        self.write(|tables| {
            let done = shred(tables)?;
            if is_shared {
                tables.execute("UPDATE index_version SET number = number + 1", data![])?;
            }
            Ok(done)
        })
    }

    /// To read all rows, page by page, while others write.
    pub(super) fn pages(&self) -> Result<Pages, IndexError> {
        Ok(match self {
            Self::File { path, .. } => Pages::File(connect(path)?),
            Self::Server(server) => Pages::Server(Arc::clone(server)),
        })
    }
}

fn is_of_the_ring(tables: &dyn Tables, key: &IndexKey) -> Result<(), IndexError> {
    let proof = key.rows.pseudonym(Canonical::Text, PROVEN).ok_or(IndexError::Garbage)?;
    let (version, _) = proof.split_once('_').ok_or(IndexError::Garbage)?;
    let query = "SELECT proof FROM index_keys WHERE version = ?1";
    let mut known = tables.row(query, data![version])?;
    if known.is_none() {
        let insert = "INSERT INTO index_keys VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        tables.execute(insert, data![version, &proof])?;
        known = tables.row(query, data![version])?;
    }
    if known.ok_or(IndexError::Garbage)?.text(0)? == proof {
        return Ok(());
    }
    Err(IndexError::OtherRing)
}

/// Reads all rows.
pub(super) enum Pages {
    File(Connection),
    Server(Arc<LedgerServer>),
}

impl Pages {
    /// The next rows, with what is wrapped in them.
    pub(super) fn after(&self, reached: &str) -> Result<Vec<(String, String)>, IndexError> {
        let query = "SELECT row, secret FROM secrets WHERE row > ?1 ORDER BY row LIMIT ?2";
        let values = data![reached, ROWS];
        let rows = match self {
            Self::File(connection) => connection.rows(query, values)?,
            Self::Server(server) => {
                server.read(Seat::Reader, |tables| tables.rows(query, values))?
            }
        };
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }
}

fn connect(path: &Path) -> Result<Connection, IndexError> {
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

pub(super) fn row(key: &IndexKey, person: &DataSubject) -> Option<String> {
    key.rows.pseudonym(Canonical::Text, person.expose())
}

/// Whether it is kept now; `false`: another gateway has just kept one of the same person.
pub(super) fn keep(
    tables: &dyn Tables,
    key: &IndexKey,
    person: &DataSubject,
    secret: &Secret,
    month: &str,
) -> Result<bool, IndexError> {
    let mut digits = Zeroizing::new(String::with_capacity(64));
    write_hex(secret.0.as_slice(), &mut digits);
    let row = row(key, person).ok_or(IndexError::Garbage)?;
    let wrapped = key.secrets.token(Canonical::Text, &digits).ok_or(IndexError::Garbage)?;
    let insert = "INSERT INTO secrets VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    Ok(tables.execute(insert, data![row, wrapped, month])? == 1)
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
    tables: &dyn Tables,
    person: &DataSubject,
) -> Result<Option<(Secret, usize)>, IndexError> {
    for (at, key) in keys.iter().enumerate() {
        let row = row(key, person).ok_or(IndexError::Garbage)?;
        let found = tables.row("SELECT secret FROM secrets WHERE row = ?1", data![row])?;
        if let Some(found) = found {
            let secret = unwrap(key, &found.text(0)?).ok_or(IndexError::Garbage)?;
            return Ok(Some((secret, at)));
        }
    }
    Ok(None)
}
