//! Registers in PostgreSQL, for many gateways.
//!
//! The server is the truth and each gateway answers from a snapshot that it keeps in memory
//! ([`snapshot`], [`follow`]); commands, which live for one question, ask the server. Transactions that
//! write come one after the other, so that their numbers say in which order they are seen: the first of
//! a transaction locks the head of the history and the last moves it. A change is acknowledged when the
//! server says that it is durable, and by a gateway when its own snapshot has it.

mod compact;
mod follow;
mod history;
mod mark;
mod migrations;
mod snapshot;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::{Builder, Handle, Runtime};
use uuid::Uuid;

use super::change::signed;
use super::lift::LIFTED_BY;
use super::read::statements;
use super::request::{UnsettledErasure, in_force};
use super::schema::StoreError;
use super::sql::{Datum, Tables, data};
use super::write::{Touched, WriteError, Writer};
use crate::database::session;
use crate::observe::Metrics;
use crate::terms::{Case, DataSubject, LegalOrder, Statements};
use follow::Follower;
use history::{LastRead, recognise};
use mark::MarkFile;
use session::{Address, Server, Session};
use snapshot::Snapshot;

/// How long a question or a change waits for the server.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long changing the tables may take.
const MIGRATION_PATIENCE: Duration = Duration::from_hours(1);

/// How long the server keeps a transaction for a reader that does not take what was read.
const APART_PATIENCE: Duration = Duration::from_mins(2);

/// How long a change that is durable waits to be seen here as well, before it is acknowledged anyway.
const EFFECT_PATIENCE: Duration = Duration::from_secs(1);

/// Where the server is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// A file, its owner's alone, that holds `postgresql://user:password@host:5432/database`.
    pub url_file: PathBuf,
    /// Authorities that the server's certificate must come from; not needed for a Unix socket.
    pub ca: Option<PathBuf>,
    /// The gateway's name, which keeps apart what each has entered in its own ledger.
    pub node: String,
    /// The file that says how far this gateway has read.
    pub mark: PathBuf,
    /// What was last known to be true longer ago is not known.
    pub max_staleness: Duration,
}

/// The store.
pub struct PostgresRegisters {
    server: Server,
    node: String,
    writer: Mutex<Option<Session>>,
    reader: Mutex<Option<Session>>,
    /// A gateway's; commands have none.
    snapshot: Option<Arc<Snapshot>>,
    /// How far a gateway has read. A command asks whatever server it meets: whoever enters again what a
    /// server has lost does so before any gateway believes it.
    last_read: LastRead,
    is_over: Arc<AtomicBool>,
    /// Drives the connections, apart from those who wait for them.
    runtime: Option<Runtime>,
}

impl PostgresRegisters {
    /// For one question at a time, asked of the server.
    pub(super) fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        Self::patient(settings, PATIENCE)
    }

    fn patient(settings: &PostgresSettings, patience: Duration) -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("registers")
            .enable_all()
            .build()?;
        let server = server(settings, runtime.handle().clone(), patience)?;
        Ok(Self {
            server,
            node: settings.node.clone(),
            writer: Mutex::new(None),
            reader: Mutex::new(None),
            snapshot: None,
            last_read: LastRead::default(),
            is_over: Arc::default(),
            runtime: Some(runtime),
        })
    }

    /// For a gateway, which answers from a snapshot.
    /// The server need not answer yet: until it has, nothing is.
    pub(super) fn follow(
        settings: &PostgresSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let max_staleness = settings.max_staleness;
        // One that does not answer must not use up the time in which another would.
        let patience = PATIENCE.min(max_staleness / 2).max(Duration::from_millis(100));
        let mut store = Self::patient(settings, PATIENCE)?;
        let handle = store.runtime.as_ref().ok_or(StoreError::Late)?.handle().clone();
        let snapshot = Arc::new(Snapshot::new(max_staleness));
        let file = MarkFile::open(&settings.mark)?;
        store.last_read = LastRead::new(file.written().cloned());
        let follower = Follower {
            server: server(settings, handle, patience)?,
            snapshot: Arc::clone(&snapshot),
            file,
            metrics,
            is_over: Arc::clone(&store.is_over),
            max_staleness,
            at: None,
            last_read: store.last_read.clone(),
        };
        std::thread::Builder::new().name("follow".into()).spawn(move || follower.run())?;
        store.snapshot = Some(snapshot);
        Ok(store)
    }

    pub(super) fn wait_until_known(&self, patience: Duration) {
        if let Some(snapshot) = &self.snapshot {
            snapshot.wait_until_whole(patience);
        }
    }

    /// Brings the tables to `version`; `None`: to the one that this program works with. From which they
    /// came, and to which they went.
    pub(super) fn migrate(
        settings: &PostgresSettings,
        version: Option<i64>,
    ) -> Result<(i64, i64), StoreError> {
        let store = Self::patient(settings, MIGRATION_PATIENCE)?;
        let to = version.unwrap_or(migrations::VERSION);
        if !(0..=migrations::VERSION).contains(&to) {
            return Err(StoreError::Settings("there is no such version of the tables"));
        }
        let (session, _) = store.server.connect()?;
        Ok((migrations::migrate(&session, to)?, to))
    }

    /// Says that what the server holds now counts for gateways that have read another history: the one
    /// that it had so far, and `instead_of`. The id of the new history.
    pub(super) fn accept(&self, instead_of: Option<&str>) -> Result<String, WriteError> {
        let history = Uuid::now_v7().to_string();
        self.transaction(|writer| {
            let tables = writer.tables;
            let head = tables.row("SELECT history FROM head", data![])?;
            let before = head.ok_or(StoreError::Garbage("head"))?.text(0)?;
            for earlier in [Some(before.as_str()), instead_of].into_iter().flatten() {
                let insert = "INSERT INTO histories VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                tables.execute(insert, data![&history, earlier, writer.now])?;
            }
            tables.execute("UPDATE head SET history = ?1", data![&history])?;
            writer.changed(true, "register", "accepted", None)?;
            Ok(())
        })?;
        Ok(history)
    }

    /// What the server and this gateway's file say of the history, in words.
    pub(super) fn status(&self, settings: &PostgresSettings) -> Result<String, StoreError> {
        let here = match MarkFile::open(&settings.mark)?.written() {
            Some(mark) => format!("this gateway: history {}, number {}", mark.history, mark.number),
            None => "this gateway: has read nothing yet".to_owned(),
        };
        self.read(|tables| {
            let head = tables.row("SELECT history, number FROM head", data![])?;
            let head = head.ok_or(StoreError::Garbage("head"))?;
            let there =
                format!("the server: history {}, number {}", head.text(0)?, head.number(1)?);
            Ok(format!("{there}\n{here}"))
        })
    }

    /// Since when what it answers is true.
    pub(super) fn available(&self) -> Result<Instant, StoreError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.as_of(),
            None => self.read(|_| Ok(Instant::now())),
        }
    }

    /// All or nothing, one after the other over all gateways; durable on return.
    pub(super) fn transaction<T>(
        &self,
        write: impl FnOnce(&Writer<'_>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let mut kept = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self.begin(&mut kept, "BEGIN")?;
        // From here on the session is kept only if it is known in which state it is.
        let lock = "SELECT number FROM head FOR UPDATE";
        let number = session.row(lock, data![])?.ok_or(StoreError::Garbage("head"))?.number(0)?;
        if let Some(before) = self.last_read.get() {
            recognise(&session, &before)?;
        }
        // Taken inside, so that what is recorded later is never recorded as earlier.
        let writer = Writer::new(&session, Timestamp::now());
        let result = match write(&writer) {
            Ok(result) => result,
            Err(error @ WriteError::Invalid(_)) => {
                session.batch("ROLLBACK")?;
                *kept = Some(session);
                return Err(error);
            }
            Err(error @ WriteError::Store(_)) => return Err(error),
        };
        publish(&session, number + 1, &writer.touched.take())?;
        session.batch("COMMIT")?;
        *kept = Some(session);
        drop(kept);
        if let Some(snapshot) = &self.snapshot {
            snapshot.wait_for(number + 1, EFFECT_PATIENCE);
        }
        Ok(result)
    }

    /// As one transaction sees it.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self.begin(&mut kept, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let result = read(&session)?;
        session.batch("COMMIT")?;
        *kept = Some(session);
        Ok(result)
    }

    /// As [`read`](Self::read), on a connection of its own, which may wait between two questions for
    /// whoever takes what was read. Only where the server has all that was read here before.
    pub(super) fn read_apart<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (session, _) = self.server.connect()?;
        migrations::usable(&session)?;
        let patience = APART_PATIENCE.as_millis();
        session.batch(format!("SET idle_in_transaction_session_timeout = {patience}"))?;
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        if let Some(before) = self.last_read.get() {
            recognise(&session, &before)?;
        }
        let result = read(&session)?;
        session.batch("COMMIT")?;
        Ok(result)
    }

    /// A change that no snapshot has to hear of.
    pub(super) fn quietly<T>(
        &self,
        write: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut kept = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self.begin(&mut kept, "BEGIN")?;
        let result = write(&session)?;
        session.batch("COMMIT")?;
        *kept = Some(session);
        Ok(result)
    }

    /// The session that is kept, or a new one where it broke meanwhile; nothing was done on it yet.
    fn begin(&self, kept: &mut Option<Session>, how: &str) -> Result<Session, StoreError> {
        if let Some(session) = kept.take().filter(Session::is_alive)
            && session.batch(how).is_ok()
        {
            return Ok(session);
        }
        let (session, _) = self.server.connect()?;
        migrations::usable(&session)?;
        session.batch(how)?;
        Ok(session)
    }

    pub(super) fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, StoreError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.statements(subject),
            None => self.read(|tables| statements(tables, subject.expose())).map(Arc::new),
        }
    }

    pub(super) fn order(&self, id: &str) -> Result<Option<LegalOrder>, StoreError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.order(id),
            None => self.read(|tables| super::file_rows::order(tables, id)),
        }
    }

    pub(super) fn case(&self, id: &str) -> Result<Option<Case>, StoreError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.case(id),
            None => self.read(|tables| super::file_rows::case(tables, id)),
        }
    }

    /// The number of the last change that this gateway entered in its ledger. One that is new begins
    /// where another has come to.
    pub(super) fn entered(&self) -> Result<u64, StoreError> {
        self.read(|tables| {
            let query = "SELECT coalesce((SELECT number FROM entered WHERE node = ?1),
              (SELECT max(number) FROM entered), 0)";
            let row = tables.row(query, data![&self.node])?;
            Ok(row.ok_or(StoreError::Garbage("entered"))?.number(0)?.unsigned_abs())
        })
    }

    pub(super) fn mark_entered(&self, number: u64) -> Result<(), StoreError> {
        self.quietly(|tables| {
            let write = "INSERT INTO entered VALUES (?1, ?2) ON CONFLICT (node) DO UPDATE
              SET number = greatest(entered.number, excluded.number)";
            tables.execute(write, data![&self.node, signed(number)])?;
            Ok(())
        })
    }

    /// Erasures in force of which nothing followed on this gateway: each has secrets of its own.
    pub(super) fn unsettled_erasures(
        &self,
        now: Timestamp,
    ) -> Result<Vec<UnsettledErasure>, StoreError> {
        self.read(|tables| {
            let query = format!(
                "SELECT id, subject, effective_at, {LIFTED_BY} FROM erasures WHERE NOT EXISTS
                 (SELECT FROM settled_erasures s WHERE s.id = erasures.id AND node = ?1) ORDER BY id"
            );
            in_force(&tables.rows(&query, data![&self.node])?, now)
        })
    }

    pub(super) fn settle_erasure(&self, id: &str) -> Result<(), StoreError> {
        self.quietly(|tables| {
            let write = "INSERT INTO settled_erasures VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            tables.execute(write, data![id, &self.node, Timestamp::now()])?;
            Ok(())
        })
    }
}

impl Drop for PostgresRegisters {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed everywhere, and nothing is left to wait for.
            runtime.shutdown_background();
        }
    }
}

fn server(
    settings: &PostgresSettings,
    handle: Handle,
    patience: Duration,
) -> Result<Server, StoreError> {
    let address = Address { url_file: &settings.url_file, ca: settings.ca.as_deref() };
    Server::read(address, "tamis", handle, patience)
}

/// Moves the head of the history to `number` and says whom and what it touched.
fn publish(session: &Session, number: i64, touched: &Touched) -> Result<(), StoreError> {
    let texts =
        |ids: &std::collections::BTreeSet<String>| Datum::Texts(ids.iter().cloned().collect());
    let salt = Uuid::now_v7().to_string();
    // A time-out that cuts off a commit would be answered as one: from here on only this side waits.
    let write = "WITH moved AS (UPDATE head SET number = ?1 RETURNING number),
        marked AS (INSERT INTO commits SELECT number, ?2 FROM moved),
        people AS (INSERT INTO people SELECT unnest(?3::text[]), ?1
          ON CONFLICT (subject) DO UPDATE SET touched = excluded.touched),
        orders AS (INSERT INTO files SELECT 'order', unnest(?4::text[]), ?1
          ON CONFLICT (kind, id) DO UPDATE SET touched = excluded.touched),
        cases AS (INSERT INTO files SELECT 'case', unnest(?5::text[]), ?1
          ON CONFLICT (kind, id) DO UPDATE SET touched = excluded.touched)
      SELECT pg_notify('tamis_registers', ''), set_config('statement_timeout', '0', true)";
    let people = texts(&touched.subjects);
    let values =
        [number.into(), salt.into(), people, texts(&touched.orders), texts(&touched.cases)];
    session.rows(write, &values)?;
    Ok(())
}
