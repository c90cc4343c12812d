//! The end of a chain on a PostgreSQL server: the only place that writes there.
//!
//! A record counts once the server has answered the transaction that holds it, and the mark of this
//! gateway says so. Each transaction moves the end of the chain from the record that this gateway
//! entered last, or does nothing: a server that has lost records, another process that has written, are
//! seen before anything is written. A lock that lives as long as the connection keeps a second process
//! from beginning at all.
//!
//! After a transaction that was not answered nobody knows whether it took place. The next connection
//! ends the old one, looks, and takes back what stands there: nobody was told that it was entered.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::chained::End;
use super::record::{Body, Head, recovery};
use super::retire::{beginning, time_of};
use super::segment::{head_of, walk};
use super::server::{LedgerServer, PATIENCE, ServerChain, ServerSettings, signed, unavailable};
use super::server_mark::Mark;
use super::tail::{Position, Segmenting};
use super::tree::{Frontier, leaf};
use super::{LedgerUnavailable, Place};
use crate::database::fault::StoreError;
use crate::database::session::Session;
use crate::database::sql::{Datum, Tables as _, data};
use crate::terms::Digest;

/// How often the server is asked while nothing is entered.
const BEAT: Duration = Duration::from_secs(1);

/// How long a start waits for a server, or for the lock of a process that has just ended.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long the connection before this one may take to let go of the lock.
const UNLOCKING: Duration = Duration::from_secs(1);

/// Sets the lock of a chain's writer apart from every other.
const WRITER: &str = "tamis-ledger-writer ";

/// The end of the chain.
pub(super) struct ServerTail {
    server: Arc<LedgerServer>,
    chain: ServerChain,
    /// This process, as the server knows its connection.
    name: String,
    segmenting: Segmenting,
    /// `None` while the connection is gone, or while it is not known in which state it is.
    session: Option<Session>,
    segment: Segment,
    head: Head,
    /// Over all records up to the head.
    tree: Frontier,
    doubt: Option<Doubt>,
    mark: Mark,
    /// Bytes taken back since the last recovery record.
    cut: u64,
}

/// The segment that is written.
#[derive(Clone, Copy)]
struct Segment {
    number: u32,
    bytes: u64,
    /// When its first record was entered.
    begun: Option<Timestamp>,
}

/// A transaction that was not answered.
#[derive(Clone, Copy)]
struct Doubt {
    /// Where the chain ends if it took place.
    head: Head,
    bytes: u64,
    /// Whether taking it back was begun, and not answered either.
    is_taken_back: bool,
}

impl ServerTail {
    /// Opens or begins the chain of the node that `settings` name. Its last segment is checked record by
    /// record, and that it holds what this gateway has acknowledged.
    pub(super) fn open(
        server: &Arc<LedgerServer>,
        settings: &ServerSettings,
        segmenting: Segmenting,
    ) -> Result<Self, LedgerUnavailable> {
        let chain = server.chain(&settings.node);
        let name = format!("tamis ledger {}", Uuid::now_v7());
        let session = first_session(server, &name, chain.node())?;
        // Only now: the process before this one moves it on until it lets go of the chain.
        let mark = Mark::open(&settings.mark)?;
        begin_chain(&session, chain.node(), mark.written())?;
        let stated = end_of(&session, chain.node())?;
        holds(&session, chain.node(), mark.written(), stated)?;
        let found = Found::read(&chain)?;
        if stated != found.head {
            return Err(LedgerUnavailable(format!(
                "the chain ends at record {} and is said to end at {}; see `tamis ledger verify`",
                found.head.sequence, stated.sequence
            )));
        }
        let Found { segment, head, tree } = found;
        let server = Arc::clone(server);
        let (session, doubt, cut) = (Some(session), None, 0);
        Ok(Self { server, chain, name, segmenting, session, segment, head, tree, doubt, mark, cut })
    }

    /// Makes sure of a connection that holds the lock, on a server that has this chain.
    fn ready(&mut self) -> Result<(), LedgerUnavailable> {
        if self.doubt.is_none() && self.session.as_ref().is_some_and(Session::is_alive) {
            return Ok(());
        }
        self.session = None;
        let session = connect(&self.server, &self.name, self.chain.node())?;
        self.settle(&session)?;
        self.session = Some(session);
        if self.cut > 0 {
            let bytes = self.cut;
            self.write(vec![recovery(bytes)])?;
            self.cut = 0;
        }
        Ok(())
    }

    /// Compares the server's end of the chain with ours, and takes back what was never acknowledged.
    fn settle(&mut self, session: &Session) -> Result<(), LedgerUnavailable> {
        let there = end_of(session, self.chain.node())?;
        let Some(doubt) = self.doubt else { return self.is_ours(there) };
        if there == doubt.head {
            self.doubt = Some(Doubt { is_taken_back: true, ..doubt });
            take_back(session, self.chain.node(), doubt.head, self.head, self.segment.number)
                .map_err(unavailable)?;
            self.cut += doubt.bytes;
        } else {
            self.is_ours(there)?;
            if doubt.is_taken_back {
                self.cut += doubt.bytes;
            }
        }
        self.doubt = None;
        Ok(())
    }

    fn is_ours(&self, there: Head) -> Result<(), LedgerUnavailable> {
        let ours = self.head;
        if there == ours {
            return Ok(());
        }
        Err(LedgerUnavailable(if there.sequence < ours.sequence {
            format!(
                "records that this gateway has acknowledged are missing there: it ends at {}, and {} \
                 were acknowledged",
                there.sequence, ours.sequence
            )
        } else {
            format!("another process has written to this chain, after record {}", ours.sequence)
        }))
    }

    fn write(&mut self, bodies: Vec<Body>) -> Result<(), LedgerUnavailable> {
        let Some(session) = &self.session else {
            return Err(LedgerUnavailable("no connection".into()));
        };
        let (mut head, mut lines) = (self.head, Vec::with_capacity(bodies.len() * 1024));
        for body in bodies {
            head.append(body, self.chain.node(), &mut lines)
                .ok_or_else(|| LedgerUnavailable("no canonical form".into()))?;
        }
        let texts: Vec<String> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let next = self.next_segment();
        let bytes = lines.len() as u64;
        self.doubt = Some(Doubt { head, bytes, is_taken_back: false });
        let (from, tree) = (self.head, self.tree.to_line());
        let moved = Move { from, to: head, segment: next.map(|number| (number, tree)), texts };
        let written = moved.make(session, self.chain.node()).map_err(unavailable);
        match written {
            Ok(true) => {}
            Ok(false) => {
                // Nothing was written; what is there instead is told by the next look.
                self.doubt = None;
                let there = end_of(session, self.chain.node());
                self.session = None;
                self.is_ours(there?)?;
                return Err(LedgerUnavailable("the chain's end was moved meanwhile".into()));
            }
            Err(error) => {
                self.session = None;
                return Err(error);
            }
        }
        if let Err(error) = self.mark.write(head) {
            // What this gateway could not remember it does not acknowledge.
            self.session = None;
            return Err(LedgerUnavailable(format!("the ledger's mark: {}", error.kind())));
        }
        self.doubt = None;
        if let Some(number) = next {
            self.segment = Segment { number, bytes: 0, begun: None };
        }
        self.segment.bytes += bytes;
        self.segment.begun.get_or_insert_with(Timestamp::now);
        self.head = head;
        for line in moved.texts {
            self.tree.push(leaf(line.as_bytes()));
        }
        Ok(())
    }

    /// The number of the segment that the next record begins, if it begins one.
    fn next_segment(&self) -> Option<u32> {
        let Segment { number, bytes, begun } = self.segment;
        let age = |begun: Timestamp| Timestamp::now().duration_since(begun);
        let is_old = begun.is_some_and(|begun| age(begun) >= self.segmenting.age);
        (bytes > 0 && (is_old || bytes >= self.segmenting.bytes)).then_some(number + 1)
    }
}

impl End for ServerTail {
    fn commit(&mut self, bodies: Vec<Body>) -> Result<u64, LedgerUnavailable> {
        self.ready()?;
        let first = self.head.sequence + 1;
        self.write(bodies)?;
        Ok(first)
    }

    fn revive(&mut self) -> Result<(), LedgerUnavailable> {
        self.ready()?;
        let Some(session) = &self.session else {
            return Err(LedgerUnavailable("no connection".into()));
        };
        let there = can_commit(session, self.chain.node()).map_err(unavailable);
        let checked = there.and_then(|there| self.is_ours(there));
        if checked.is_err() {
            self.session = None;
        }
        checked
    }

    fn tree(&self) -> &Frontier {
        &self.tree
    }

    fn position(&self) -> Option<&Position> {
        None
    }

    fn beat(&self) -> Option<Duration> {
        Some(BEAT)
    }
}

/// One transaction: the chain's end goes `from` one record `to` another, and everything between comes
/// with it.
struct Move {
    from: Head,
    to: Head,
    /// A segment that begins here, with the tree before it.
    segment: Option<(u32, String)>,
    texts: Vec<String>,
}

impl Move {
    /// Whether the chain ended where it was to end, so that this was done; durable on return.
    fn make(&self, session: &Session, node: &str) -> Result<bool, StoreError> {
        let sql = "WITH moved AS (
            UPDATE chains SET records = ?4, hash = ?5 WHERE node = ?1 AND records = ?2 AND hash = ?3
            RETURNING node),
          begun AS (INSERT INTO segments SELECT node, ?6::bigint, ?7::text FROM moved WHERE ?6 > 0)
          INSERT INTO records SELECT moved.node, ?2 + place, line
            FROM moved, unnest(?8::text[]) WITH ORDINALITY AS lines (line, place)";
        let (number, tree) =
            self.segment.as_ref().map_or((0, ""), |(number, tree)| (*number, tree));
        let values = [
            node.into(),
            signed(self.from.sequence).into(),
            self.from.hash.hex().into(),
            signed(self.to.sequence).into(),
            self.to.hash.hex().into(),
            i64::from(number).into(),
            tree.into(),
            Datum::Texts(self.texts.clone()),
        ];
        let count = session.execute(sql, &values)?;
        Ok(count > 0 && count == self.texts.len())
    }
}

/// What a start finds.
struct Found {
    segment: Segment,
    head: Head,
    tree: Frontier,
}

impl Found {
    fn read(chain: &ServerChain) -> Result<Self, LedgerUnavailable> {
        let io = |error: std::io::Error| LedgerUnavailable(format!("the chain: {}", error.kind()));
        let place = Place::Server(chain.clone());
        let numbers = place.numbers().map_err(io)?;
        let (first, number) = match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return Err(LedgerUnavailable("the chain has no segment".into())),
        };
        if let Some((missing, _)) = (first..).zip(&numbers).find(|(at, found)| at != *found) {
            return Err(LedgerUnavailable(format!("segment {missing} is missing")));
        }
        let unusable = |error| LedgerUnavailable(format!("the chain: {error}"));
        let (begins, _) = beginning(&place, first).map_err(unusable)?;
        if first > 1 && !chain.is_noted(begins.sequence).map_err(io)? {
            return Err(LedgerUnavailable("segment 1 is missing".into()));
        }
        let (start, mut tree) = if number == first {
            beginning(&place, first).map_err(unusable)?
        } else {
            let before = place.last_line(number - 1).map_err(io)?.and_then(head_of);
            let tree = place.noted_tree(number).map_err(io)?;
            let both = before.zip(tree).filter(|(head, tree)| head.sequence == tree.size());
            both.ok_or_else(|| broken(number - 1))?
        };
        let mut begun = None;
        let (head, bytes, end) = walk(place.open(number).map_err(io)?, start, &mut |_, line| {
            begun = begun.or_else(|| Some(time_of(line).unwrap_or_else(Timestamp::now)));
            tree.push(leaf(line));
        })
        .map_err(io)?;
        if end.is_some() {
            return Err(broken(number));
        }
        Ok(Self { segment: Segment { number, bytes, begun }, head, tree })
    }
}

fn broken(segment: u32) -> LedgerUnavailable {
    LedgerUnavailable(format!("segment {segment} is broken; see `tamis ledger verify`"))
}

/// The first connection of a process: it waits for a server that is just starting, and for the lock of a
/// process that has just ended.
fn first_session(
    server: &LedgerServer,
    name: &str,
    node: &str,
) -> Result<Session, LedgerUnavailable> {
    let until = Instant::now() + START_PATIENCE;
    loop {
        match connect(server, name, node) {
            Ok(session) => return Ok(session),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
}

/// A connection that holds the lock of the node's writer. One that this process had before is ended: it
/// may hold the lock still, or be about to carry out what was asked of it.
fn connect(server: &LedgerServer, name: &str, node: &str) -> Result<Session, LedgerUnavailable> {
    let session = server.connect(name).map_err(unavailable)?;
    // A time-out of the server that cuts off a commit would be answered as one: only this side waits.
    // A machine that is gone lets go of its lock soon.
    let patience = PATIENCE.as_millis();
    let settings = format!(
        "SET statement_timeout = 0; SET lock_timeout = {patience}; SET tcp_keepalives_idle = 5;
         SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
    );
    session.batch(settings).map_err(unavailable)?;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
      WHERE application_name = ?1 AND pid <> pg_backend_pid()";
    session.rows(end, data![name]).map_err(unavailable)?;
    let key = Digest::of(format!("{WRITER}{node}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&key.as_bytes()[..8]);
    let key = i64::from_be_bytes(first);
    let until = Instant::now() + UNLOCKING;
    loop {
        let taken = session.row("SELECT pg_try_advisory_lock(?1)", data![key]);
        let taken = taken.and_then(|row| row.ok_or(StoreError::Garbage("lock"))?.flag(0));
        if taken.map_err(unavailable)? {
            return Ok(session);
        }
        if Instant::now() >= until {
            return Err(LedgerUnavailable(super::HELD_ON_SERVER.into()));
        }
        sleep(Duration::from_millis(20));
    }
}

/// Begins the chain if there is none; but not in the place of one that this gateway has written.
fn begin_chain(
    session: &Session,
    node: &str,
    acknowledged: Option<Head>,
) -> Result<(), LedgerUnavailable> {
    if acknowledged.is_some_and(|head| head.sequence > 0) {
        return Ok(());
    }
    let begin = "WITH begun AS (
        INSERT INTO chains VALUES (?1, 0, ?2) ON CONFLICT DO NOTHING RETURNING node)
      INSERT INTO segments SELECT node, 1, '0' FROM begun";
    session.execute(begin, data![node, Head::START.hash.hex()]).map(drop).map_err(unavailable)
}

/// Where the server says that the chain ends.
fn end_of(session: &Session, node: &str) -> Result<Head, LedgerUnavailable> {
    let query = "SELECT records, hash FROM chains WHERE node = ?1";
    let row = session.row(query, data![node]).map_err(unavailable)?;
    // An empty server: whoever has acknowledged nothing has begun its chain before.
    row.map_or(Ok(Head::START), |row| head(&row)).map_err(unavailable)
}

/// As [`end_of`], where a transaction must be possible and durable for the answer.
fn can_commit(session: &Session, node: &str) -> Result<Head, StoreError> {
    let beat = "UPDATE chains SET records = records WHERE node = ?1 RETURNING records, hash";
    session.row(beat, data![node])?.map_or(Ok(Head::START), |row| head(&row))
}

fn head(row: &crate::database::sql::Row) -> Result<Head, StoreError> {
    let hash = Digest::parse(&row.text(1)?).ok_or(StoreError::Garbage("hash"))?;
    Ok(Head { sequence: row.number(0)?.unsigned_abs(), hash })
}

/// Whether the chain holds what this gateway has acknowledged. One that has noted nothing believes what
/// it meets first.
fn holds(
    session: &Session,
    node: &str,
    acknowledged: Option<Head>,
    there: Head,
) -> Result<(), LedgerUnavailable> {
    let Some(ours) = acknowledged.filter(|head| head.sequence > 0) else { return Ok(()) };
    let query = "SELECT line FROM records WHERE node = ?1 AND seq = ?2";
    let row = session.row(query, data![node, signed(ours.sequence)]).map_err(unavailable)?;
    let line = row.map(|row| row.text(0)).transpose().map_err(unavailable)?;
    let is_there = line.and_then(|line| head_of(line.into_bytes())) == Some(ours);
    if is_there {
        return Ok(());
    }
    Err(LedgerUnavailable(format!(
        "records that this gateway has acknowledged are missing there: record {} is not the one of its \
         mark, and the chain ends at {}",
        ours.sequence, there.sequence
    )))
}

/// Takes back what a transaction wrote that nobody was told of.
fn take_back(
    session: &Session,
    node: &str,
    from: Head,
    to: Head,
    segment: u32,
) -> Result<(), StoreError> {
    let sql = "WITH moved AS (
        UPDATE chains SET records = ?4, hash = ?5 WHERE node = ?1 AND records = ?2 AND hash = ?3
        RETURNING node),
      segment AS (DELETE FROM segments USING moved WHERE segments.node = moved.node AND number > ?6)
      DELETE FROM records USING moved WHERE records.node = moved.node AND seq > ?4";
    let values = data![
        node,
        signed(from.sequence),
        from.hash.hex(),
        signed(to.sequence),
        to.hash.hex(),
        i64::from(segment)
    ];
    session.execute(sql, values).map(drop)
}
