//! Chains on a PostgreSQL server, for whoever reads them, and what is kept beside them. One chain a
//! node; the rows hold the lines that a file would hold.
//!
//! A row's column says which record it should be; what counts is what its line says, and whoever
//! verifies looks at the line. A segment is the records after those of the tree noted for it.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};

use super::checkpoint::Notes;
use super::retire::Cut;
use super::tail::SEGMENT_BYTES;
use super::tree::Frontier;
use super::{LedgerUnavailable, server_tables};
use crate::database::fault::{StoreError, chain as with_causes};
use crate::database::session::{Address, Server, Session};
use crate::database::sql::{Tables, data};

/// How long a question or an entry waits for the server.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// How long changing the tables may take.
const MIGRATION_PATIENCE: Duration = Duration::from_hours(1);

/// Rows that are read at a time: some hundred kilobytes as a rule, 20 MB at most.
const PAGE: i64 = 500;

/// Where the server is, and who writes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// A file, its owner's alone, that holds `postgresql://user:password@host:5432/database`.
    pub url_file: PathBuf,
    /// Authorities that the server's certificate must come from; not needed for a Unix socket.
    pub ca: Option<PathBuf>,
    /// The gateway's name, which is its chain's.
    pub node: String,
    /// The file that says how much of its chain this gateway has acknowledged.
    pub mark: PathBuf,
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes: u64,
}

impl ServerSettings {
    /// The usual size of a segment.
    pub const SEGMENT_BYTES: u64 = SEGMENT_BYTES;
}

/// Where a configuration says that the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In a directory of files.
    Directory(PathBuf),
    /// On a PostgreSQL server.
    Postgres(ServerSettings),
}

impl LedgerPlace {
    /// The directory on this machine for what a gateway keeps beside its ledger: that of its files, or of
    /// the mark that says how far it has come on a server.
    #[must_use]
    pub fn beside(&self) -> &Path {
        match self {
            Self::Directory(directory) => directory,
            Self::Postgres(settings) => settings.mark.parent().unwrap_or(Path::new(".")),
        }
    }
}

/// A server with ledgers.
pub struct LedgerServer {
    server: Server,
    reader: Mutex<Option<Session>>,
    /// Apart from who reads the chain: tags are made while somebody reads a report.
    index: Mutex<Option<Session>>,
    /// Drives the connections, apart from those who wait for them.
    runtime: Option<Runtime>,
}

/// Which of the connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seat {
    /// That of who reads chains.
    Reader,
    /// That of the index of data subjects.
    Index,
}

impl fmt::Debug for LedgerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerServer")
    }
}

impl LedgerServer {
    /// The server that `settings` name. It need not answer yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn open(settings: &ServerSettings) -> Result<Arc<Self>, LedgerUnavailable> {
        Self::patient(settings, PATIENCE).map(Arc::new).map_err(unavailable)
    }

    fn patient(settings: &ServerSettings, patience: Duration) -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ledger-server")
            .enable_all()
            .build()?;
        let address = Address { url_file: &settings.url_file, ca: settings.ca.as_deref() };
        let handle = runtime.handle().clone();
        let server = Server::read(address, server_tables::SCHEMA, handle, patience)?;
        let (reader, index) = (Mutex::new(None), Mutex::new(None));
        Ok(Self { server, reader, index, runtime: Some(runtime) })
    }

    /// Brings the tables to `version`; `None`: to the one that this program works with. From which they
    /// came, and to which they went.
    ///
    /// # Errors
    /// The server refuses, or there is no such version.
    pub fn migrate(
        settings: &ServerSettings,
        version: Option<i64>,
    ) -> Result<(i64, i64), LedgerUnavailable> {
        let migrate = || -> Result<(i64, i64), StoreError> {
            let place = Self::patient(settings, MIGRATION_PATIENCE)?;
            let (session, _) = place.server.connect()?;
            server_tables::migrate(&session, version.unwrap_or(server_tables::VERSION))
        };
        migrate().map_err(unavailable)
    }

    /// The chain of one node, whether or not there is one yet.
    #[must_use]
    pub fn chain(self: &Arc<Self>, node: &str) -> ServerChain {
        ServerChain { server: Arc::clone(self), node: node.to_owned() }
    }

    /// Every chain that is there, by the names of the nodes.
    ///
    /// # Errors
    /// The server does not answer, or has no tables of ours.
    pub fn chains(self: &Arc<Self>) -> Result<Vec<ServerChain>, LedgerUnavailable> {
        let nodes = self.read(Seat::Reader, |tables| {
            let rows = tables.rows("SELECT node FROM chains ORDER BY node", data![])?;
            rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()
        });
        Ok(nodes.map_err(unavailable)?.iter().map(|node| self.chain(node)).collect())
    }

    /// A connection of one's own, known to the server by `name`.
    pub(super) fn connect(&self, name: &str) -> Result<Session, StoreError> {
        let (session, _) = self.server.clone().named(name).connect()?;
        server_tables::usable(&session)?;
        Ok(session)
    }

    /// Runs one question after the other on a connection that is kept.
    pub(super) fn read<T>(
        &self,
        seat: Seat,
        ask: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.on(seat, |session| ask(session))
    }

    /// All or nothing; durable on return.
    pub(super) fn write<T, E: From<StoreError>>(
        &self,
        seat: Seat,
        write: impl FnOnce(&dyn Tables) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on(seat, |session| {
            session.batch("BEGIN")?;
            let done = write(session)?;
            // A time-out that cuts off a commit would be answered as one: here only this side waits.
            session.batch("SET LOCAL statement_timeout = 0; COMMIT")?;
            Ok(done)
        })
    }

    /// The session is kept only if it is known in which state it is.
    fn on<T, E: From<StoreError>>(
        &self,
        seat: Seat,
        work: impl FnOnce(&Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let seat = match seat {
            Seat::Reader => &self.reader,
            Seat::Index => &self.index,
        };
        let mut kept = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match kept.take().filter(Session::is_alive) {
            Some(session) => session,
            None => self.connect("tamis ledger")?,
        };
        let done = work(&session)?;
        *kept = Some(session);
        Ok(done)
    }
}

impl Drop for LedgerServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed everywhere, and nothing is left to wait for.
            runtime.shutdown_background();
        }
    }
}

/// The chain of one node.
#[derive(Clone, Debug)]
pub struct ServerChain {
    server: Arc<LedgerServer>,
    node: String,
}

impl ServerChain {
    /// Whose it is.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    pub(super) const fn server(&self) -> &Arc<LedgerServer> {
        &self.server
    }

    pub(super) fn numbers(&self) -> io::Result<Vec<u32>> {
        let query = "SELECT number FROM segments WHERE node = ?1 ORDER BY number";
        let numbers = self.read(|tables| {
            let rows = tables.rows(query, data![&self.node])?;
            rows.iter().map(|row| row.number(0)).collect::<Result<Vec<_>, _>>()
        })?;
        let number = |number: i64| u32::try_from(number).map_err(|_| garbage());
        numbers.into_iter().map(number).collect()
    }

    pub(super) fn noted_tree(&self, number: u32) -> io::Result<Option<Frontier>> {
        let query = "SELECT tree FROM segments WHERE node = ?1 AND number = ?2";
        let row = self.read(|tables| tables.row(query, data![&self.node, i64::from(number)]))?;
        let Some(row) = row else { return Ok(None) };
        let text = row.text(0).map_err(to_io)?;
        // One that cannot be read is not passed over: the row says where the segment begins.
        Frontier::parse(&text).map(Some).ok_or_else(garbage)
    }

    /// The records of a segment: after the first number, up to the second.
    fn range(&self, number: u32) -> io::Result<(i64, i64)> {
        let begin = self.noted_tree(number)?.ok_or(io::ErrorKind::NotFound)?;
        let next = number.checked_add(1).map(|next| self.noted_tree(next)).transpose()?.flatten();
        let end = next.map_or(i64::MAX, |next| signed(next.size()));
        Ok((signed(begin.size()), end))
    }

    pub(super) fn lines(&self, number: u32) -> io::Result<Lines> {
        let (after, until) = self.range(number)?;
        Ok(Lines { chain: self.clone(), after, until, page: Vec::new(), at: 0 })
    }

    pub(super) fn first_line(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        self.one_line(number, "ASC")
    }

    pub(super) fn last_line(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        self.one_line(number, "DESC")
    }

    fn one_line(&self, number: u32, order: &str) -> io::Result<Option<Vec<u8>>> {
        let (after, until) = self.range(number)?;
        let query = format!(
            "SELECT line FROM records WHERE node = ?1 AND seq > ?2 AND seq <= ?3
             ORDER BY seq {order} LIMIT 1"
        );
        let row = self.read(|tables| tables.row(&query, data![&self.node, after, until]))?;
        row.map(|row| row.text(0).map(String::into_bytes).map_err(to_io)).transpose()
    }

    pub(super) fn keep_note(&self, at: &str, note: &str) -> io::Result<()> {
        let add = "INSERT INTO checkpoints (node, at, note) VALUES (?1, ?2, ?3)";
        let kept = self
            .server
            .write(Seat::Reader, |tables| tables.execute(add, data![&self.node, at, note]));
        kept.map(drop).map_err(to_io)
    }

    pub(super) fn notes(&self) -> io::Result<Notes> {
        let notes = self.dated_notes()?.into_iter().map(|(_, note)| note).collect();
        Ok(Notes { notes, unreadable: 0 })
    }

    /// Every checkpoint, oldest first, each with when it was kept.
    pub(super) fn dated_notes(&self) -> io::Result<Vec<(String, String)>> {
        let query = "SELECT at, note FROM checkpoints WHERE node = ?1 ORDER BY number";
        self.read(|tables| {
            let rows = tables.rows(query, data![&self.node])?;
            rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
        })
    }

    /// Whether a cut was noted that goes as far as record `records`.
    pub(super) fn is_noted(&self, records: u64) -> io::Result<bool> {
        let query = "SELECT count(*) FROM cuts WHERE node = ?1 AND records >= ?2";
        let row = self.read(|tables| tables.row(query, data![&self.node, signed(records)]))?;
        Ok(row.ok_or_else(garbage)?.number(0).map_err(to_io)? > 0)
    }

    /// Every cut that was noted, with when.
    pub(super) fn cuts(&self) -> io::Result<Vec<(Cut, String)>> {
        let query = "SELECT records, cut_hash, cut_root, at FROM cuts WHERE node = ?1
          ORDER BY records";
        let rows = self.read(|tables| tables.rows(query, data![&self.node]))?;
        let mut cuts = Vec::with_capacity(rows.len());
        for row in rows {
            let digest = |column| {
                let text = row.text(column).map_err(to_io)?;
                crate::terms::Digest::parse(&text).ok_or_else(garbage)
            };
            let records = row.number(0).map_err(to_io)?.unsigned_abs();
            let cut = Cut { records, hash: digest(1)?, root: digest(2)? };
            cuts.push((cut, row.text(3).map_err(to_io)?));
        }
        Ok(cuts)
    }

    /// Notes a cut and removes what lies before it: the oldest segment first, each in a transaction of its
    /// own, so that none takes long and what is left is whole at every moment.
    pub(super) fn remove(&self, segments: &[u32], cut: &Cut, now: Timestamp) -> io::Result<()> {
        let note = "INSERT INTO cuts VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let (records, hash, root) = (signed(cut.records), cut.hash.hex(), cut.root.hex());
        let noted = self.server.write(Seat::Reader, |tables| {
            tables.execute(note, data![&self.node, records, hash, root, now])
        });
        noted.map_err(to_io)?;
        for segment in segments {
            let (_, end) = self.range(*segment)?;
            let removed = self.server.write(Seat::Reader, |tables| {
                let remove = "DELETE FROM segments WHERE node = ?1 AND number = ?2";
                tables.execute(remove, data![&self.node, i64::from(*segment)])?;
                let remove = "DELETE FROM records WHERE node = ?1 AND seq <= ?2";
                tables.execute(remove, data![&self.node, end.min(records)])
            });
            removed.map_err(to_io)?;
        }
        Ok(())
    }

    fn read<T>(&self, ask: impl FnOnce(&dyn Tables) -> Result<T, StoreError>) -> io::Result<T> {
        self.server.read(Seat::Reader, ask).map_err(to_io)
    }
}

/// The lines of a segment, page by page.
pub(super) struct Lines {
    chain: ServerChain,
    /// The last record that was read.
    after: i64,
    until: i64,
    page: Vec<u8>,
    /// How much of the page has been taken.
    at: usize,
}

impl Lines {
    fn next_page(&mut self) -> io::Result<()> {
        let query = "SELECT seq, line FROM records WHERE node = ?1 AND seq > ?2 AND seq <= ?3
          ORDER BY seq LIMIT ?4";
        let (node, after, until) = (&self.chain.node, self.after, self.until);
        let rows = self.chain.read(|tables| tables.rows(query, data![node, after, until, PAGE]))?;
        self.page.clear();
        self.at = 0;
        for row in rows {
            self.after = row.number(0).map_err(to_io)?;
            self.page.extend_from_slice(row.text(1).map_err(to_io)?.as_bytes());
            self.page.push(b'\n');
        }
        Ok(())
    }
}

impl Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(out)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.page.len() {
            self.next_page()?;
        }
        Ok(&self.page[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.page.len());
    }
}

/// PostgreSQL has no unsigned numbers; records stay below 2⁵³.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` asks for")]
pub(super) fn unavailable(error: StoreError) -> LedgerUnavailable {
    LedgerUnavailable(with_causes(&error))
}

fn garbage() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Of a kind that can be told without the server's words.
fn to_io(error: StoreError) -> io::Error {
    let kind = match &error {
        StoreError::Late => io::ErrorKind::TimedOut,
        StoreError::Unreachable(_) => io::ErrorKind::NotConnected,
        StoreError::Garbage(_) => io::ErrorKind::InvalidData,
        StoreError::Settings(_) => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
