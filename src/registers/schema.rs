//! The file: who may read it, how it is opened, which tables it has.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub(super) use super::fault::StoreError;

/// Marks the file as ours, so that another program's database is never taken for registers.
const APPLICATION_ID: i32 = 0x5461_6d69;

/// The version of the tables that this program reads and writes.
const VERSION: i32 = 6;

/// How long a command waits for another one to finish writing.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a request waits for the registers before what rests on them is refused. Readers wait
/// only while the file is being recovered after a crash.
const READ_PATIENCE: Duration = Duration::from_millis(250);

/// Version 1. Times are RFC 3339 text and lists JSON text, so that an auditor can read the file with
/// any SQLite tool. `recorded` is the number of the change that brought the row, `content` the digest
/// of what its sender said.
const TABLES: &str = "
CREATE TABLE consents (
  id TEXT PRIMARY KEY, subject TEXT NOT NULL, purpose TEXT NOT NULL, purpose_text_digest TEXT,
  recipients TEXT NOT NULL, categories TEXT NOT NULL, explicit INTEGER NOT NULL,
  expires_at TEXT, expires_stated_at TEXT NOT NULL, evidence TEXT NOT NULL, recorded INTEGER NOT NULL
) STRICT;
CREATE TABLE consent_events (
  consent TEXT NOT NULL, at TEXT NOT NULL, status TEXT NOT NULL, recorded_at TEXT NOT NULL,
  PRIMARY KEY (consent, at, status)
) STRICT, WITHOUT ROWID;
CREATE TABLE withdrawals (
  subject TEXT NOT NULL, purpose TEXT NOT NULL, recipient TEXT NOT NULL, at TEXT NOT NULL,
  recorded INTEGER NOT NULL, PRIMARY KEY (subject, purpose, recipient, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE notices (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, subject TEXT NOT NULL, purpose TEXT NOT NULL,
  purpose_text_digest TEXT, shown_at TEXT NOT NULL
) STRICT;
CREATE TABLE objections (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, subject TEXT NOT NULL, purpose TEXT NOT NULL,
  since TEXT NOT NULL, channel TEXT, source TEXT, lifted_at TEXT
) STRICT;
CREATE TABLE restrictions (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, subject TEXT NOT NULL, categories TEXT NOT NULL,
  ground TEXT, since TEXT NOT NULL, until TEXT, lifted_at TEXT
) STRICT;
CREATE TABLE erasures (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, subject TEXT NOT NULL, requested_at TEXT NOT NULL,
  effective_at TEXT NOT NULL, except_for TEXT NOT NULL
) STRICT;
CREATE TABLE subjects (subject TEXT PRIMARY KEY, age TEXT, region TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, register TEXT NOT NULL,
  change TEXT NOT NULL, purpose TEXT
) STRICT;
CREATE TABLE entered (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO entered VALUES (1, 0);
CREATE INDEX consents_by_subject ON consents (subject);
CREATE INDEX notices_by_subject ON notices (subject);
CREATE INDEX objections_by_subject ON objections (subject);
CREATE INDEX restrictions_by_subject ON restrictions (subject);
CREATE INDEX erasures_by_subject ON erasures (subject);
";

/// What version 2 adds.
const FILES: &str = "
CREATE TABLE orders (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, recipient TEXT NOT NULL, authority TEXT NOT NULL,
  type TEXT, document TEXT, categories TEXT NOT NULL, from_at TEXT NOT NULL, until TEXT NOT NULL,
  gag_until TEXT, lifted_at TEXT
) STRICT;
CREATE TABLE order_subjects (
  order_id TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (order_id, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE order_approvals (
  order_id TEXT NOT NULL, approver TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (order_id, approver)
) STRICT, WITHOUT ROWID;
CREATE TABLE cases (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, purposes TEXT NOT NULL, opened_at TEXT NOT NULL,
  until TEXT, closed_at TEXT
) STRICT;
CREATE TABLE case_subjects (
  case_id TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (case_id, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE one_time_grants (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, subject TEXT NOT NULL, purpose TEXT NOT NULL,
  recipient TEXT NOT NULL, granted_at TEXT NOT NULL, expires_at TEXT, used_at TEXT, used_by TEXT
) STRICT;
CREATE INDEX one_time_grants_by_subject ON one_time_grants (subject);
CREATE INDEX order_subjects_by_subject ON order_subjects (subject);
CREATE INDEX case_subjects_by_subject ON case_subjects (subject);
";

/// What version 3 adds.
const REQUESTS: &str = "
CREATE TABLE requests (
  id TEXT PRIMARY KEY, subject TEXT NOT NULL, asked_for TEXT NOT NULL, categories TEXT NOT NULL,
  received_at TEXT NOT NULL, answered_at TEXT
) STRICT;
CREATE TABLE settled_erasures (id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_subject ON requests (subject);
";

/// What version 4 adds. Erasures whose consequences were done with before there were notices are not
/// told of.
const ERASURES: &str = "
CREATE TABLE planned_erasures (id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE erasure_notices (
  id TEXT PRIMARY KEY, erasure TEXT NOT NULL, recipient TEXT NOT NULL, created_at TEXT NOT NULL,
  attempts INTEGER NOT NULL, next_at TEXT NOT NULL, state TEXT NOT NULL, entered TEXT,
  ended_at TEXT,
  UNIQUE (erasure, recipient)
) STRICT;
INSERT INTO planned_erasures SELECT id, at FROM settled_erasures;
CREATE INDEX erasure_notices_by_state ON erasure_notices (state, next_at);
CREATE TABLE erasure_lifts (
  erasure TEXT NOT NULL, approver TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (erasure, approver)
) STRICT, WITHOUT ROWID;
";

/// What version 5 adds: answers to calls under a key, by digests. `at` is in seconds of Unix time.
const ANSWERS: &str = "
CREATE TABLE answered_calls (
  key TEXT PRIMARY KEY, caller TEXT NOT NULL, turn INTEGER NOT NULL, asked TEXT NOT NULL,
  at INTEGER NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL, UNIQUE (caller, turn)
) STRICT, WITHOUT ROWID;
CREATE INDEX answered_calls_by_at ON answered_calls (at);
";

/// What version 6 adds: everybody of whom any of these tables holds a row, in the order in which they were
/// first heard of. See `heard.rs`, which rests on numbers that only grow.
const PEOPLE: &str = "
CREATE TABLE people (number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL UNIQUE) STRICT;
";

/// The tables of which a person's statements are read.
const OF_PEOPLE: [&str; 10] = [
    "consents",
    "withdrawals",
    "notices",
    "objections",
    "restrictions",
    "erasures",
    "subjects",
    "one_time_grants",
    "order_subjects",
    "case_subjects",
];

/// Has the file itself enter people: other programs write into it too, and some know nothing of this.
fn enters_people() -> String {
    let mut all = PEOPLE.to_owned();
    for table in OF_PEOPLE {
        let _ = write!(
            all,
            "INSERT INTO people (subject) SELECT DISTINCT subject FROM {table}
               WHERE subject NOT IN (SELECT subject FROM people);"
        );
        for (which, on) in [("new", "INSERT"), ("other", "UPDATE OF subject")] {
            // Not by `OR IGNORE`: what a writer says of conflicts would hold in here too.
            let _ = write!(
                all,
                "CREATE TRIGGER {table}_of_{which}_people AFTER {on} ON {table} BEGIN
                   INSERT INTO people (subject) SELECT new.subject
                     WHERE NOT EXISTS (SELECT 1 FROM people WHERE subject = new.subject);
                 END;"
            );
        }
    }
    all
}

/// Which file is open.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl Place {
    /// Whether the path still leads to the file that is open. Otherwise commands would write into
    /// one file while the gateway reads another, and a withdrawal would have no effect.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        let metadata = std::fs::metadata(&self.path)?;
        if (metadata.dev(), metadata.ino()) == self.device_and_inode {
            Ok(())
        } else {
            Err(StoreError::Replaced)
        }
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let connection = connect(&self.path, READ_PATIENCE)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

/// Opens or makes the file, with the tables of [`VERSION`], and gives the connection that writes.
pub(super) fn open(path: &Path) -> Result<(Place, Connection), StoreError> {
    // Made here and not by SQLite, so that it is never readable by others. SQLite gives the files
    // beside it the same mode.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.mode() & 0o007 != 0 {
        return Err(StoreError::Exposed);
    }
    let place = Place { path: path.to_owned(), device_and_inode: (metadata.dev(), metadata.ino()) };
    // Closing a descriptor of a file drops this process' locks on it (POSIX), so that it must happen
    // before SQLite opens it.
    drop::<File>(file);
    let mut connection = connect(path, WRITE_PATIENCE)?;
    migrate(&mut connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    place.in_place()?;
    Ok((place, connection))
}

fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    // A statement is acknowledged only once it is on the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let number = |pragma| transaction.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let version = number("PRAGMA user_version")?;
    let application = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, version) {
        (0, 0) if tables == 0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(FILES)?;
            transaction.execute_batch(REQUESTS)?;
            transaction.execute_batch(ERASURES)?;
            transaction.execute_batch(ANSWERS)?;
            transaction.execute_batch(&enters_people())?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, earlier @ 1..=5) => {
            let people = enters_people();
            let steps = [(2, FILES), (3, REQUESTS), (4, ERASURES), (5, ANSWERS), (6, &people)];
            for (version, added) in steps {
                if earlier < version {
                    transaction.execute_batch(added)?;
                }
            }
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (APPLICATION_ID, newer) if newer > VERSION => return Err(StoreError::Newer(newer)),
        _ => return Err(StoreError::Foreign),
    }
    transaction.commit()?;
    Ok(())
}

/// Whether the tables are those of this version, for readiness.
pub(super) fn usable(connection: &Connection) -> Result<(), StoreError> {
    match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        VERSION => {}
        newer if newer > VERSION => return Err(StoreError::Newer(newer)),
        _ => return Err(StoreError::Foreign),
    }
    connection.query_row("SELECT count(*) FROM entered", [], |row| row.get::<_, i64>(0))?;
    Ok(())
}
