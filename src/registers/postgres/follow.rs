//! Keeps a snapshot as the server has it: reads it once, then what is new.
//!
//! A notice says that something changed, and never what: what is new is found by number, so that a notice
//! that is lost costs no more than the time until the next beat. With each beat the server proves that
//! it can still commit, and the snapshot is as old as the last beat that was answered. A server whose
//! history does not contain the last number that was read (a replica that took over with less, an empty
//! one, an old copy) is not followed, and the snapshot is given up at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::super::file_rows;
use super::super::read::{Whom, statements_of};
use super::super::schema::StoreError;
use super::super::sql::{Tables as _, data};
use super::history::{LastRead, Recognised, head, recognise};
use super::mark::{Mark, MarkFile};
use super::migrations;
use super::session::{Server, Session};
use super::snapshot::Snapshot;
use crate::observe::{Event, Metrics};

/// People read at a time.
const PAGE: i64 = 2_000;

/// How long after a failure the server is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// What follows the server, on a thread of its own.
pub(super) struct Follower {
    pub(super) server: Server,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) file: MarkFile,
    pub(super) metrics: Arc<Metrics>,
    pub(super) is_over: Arc<AtomicBool>,
    pub(super) max_staleness: Duration,
    /// How far the snapshot was read; `None`: it was not made yet.
    pub(super) at: Option<Mark>,
    /// How far this gateway has read, in this run or an earlier one.
    pub(super) last_read: LastRead,
}

impl Follower {
    /// Follows until it is over, through every fault. What is told is told once.
    pub(super) fn run(mut self) {
        let mut told: Option<String> = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let Err(error) = self.follow(&mut told) else { return };
            if matches!(error, StoreError::History(_)) {
                self.snapshot.lose();
            }
            let why = super::super::fault::chain(&error);
            if told.as_ref() != Some(&why) && !self.is_over.load(Ordering::Relaxed) {
                Event::RegistersUnfollowed { why: &why }.emit(&self.metrics);
                told = Some(why);
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    fn follow(&mut self, told: &mut Option<String>) -> Result<(), StoreError> {
        let (session, hears) = self.server.connect()?;
        migrations::usable(&session)?;
        session.batch("LISTEN tamis_registers")?;
        self.recognise(&session)?;
        if self.at.is_none() {
            self.read_everything(&session)?;
        }
        // A quarter, so that one beat may be lost and another be late.
        let beat = BEAT.min(self.max_staleness / 4);
        loop {
            let asked = Instant::now();
            prove_commit(&session, beat)?;
            self.catch_up(&session)?;
            // Another gateway's commit may stand in for the proof, if it is not older than that.
            let proven = asked.checked_sub(beat / 2).unwrap_or(asked);
            self.snapshot.complete(proven);
            if let Some(at) = &self.at {
                self.file.write(at)?;
            }
            self.metrics.registers_answered(proven);
            if told.take().is_some() {
                Event::RegistersFollowed { people: self.snapshot.people() }.emit(&self.metrics);
            }
            if self.listen(&session, &hears, asked + beat)? {
                return Ok(());
            }
        }
    }

    /// Catches up with what is heard of until it is time for the next beat. Whether it is over.
    fn listen(
        &mut self,
        session: &Session,
        hears: &Receiver<()>,
        until: Instant,
    ) -> Result<bool, StoreError> {
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return Ok(true);
            }
            match hears.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) => self.catch_up(session)?,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Err(StoreError::Late),
            }
        }
    }

    /// Compares the server with what was read from it before, in this run or an earlier one.
    fn recognise(&mut self, session: &Session) -> Result<(), StoreError> {
        let Some(before) = self.last_read.get() else { return Ok(()) };
        if recognise(session, &before)? == Recognised::Instead {
            // Nothing of the other one is left.
            self.snapshot.clear();
            self.at = None;
        }
        Ok(())
    }

    /// Reads all people, page by page. What changes meanwhile has a higher number than the one that was
    /// the newest at the beginning, and is read again.
    fn read_everything(&mut self, session: &Session) -> Result<(), StoreError> {
        let from = head(session, 0)?.newest;
        let begun = Instant::now();
        let mut last = String::new();
        loop {
            session.batch(format!("{SNAPSHOT}; {IN_ORDER}"))?;
            let query = "SELECT subject FROM people WHERE subject > ?1 ORDER BY subject LIMIT ?2";
            let page = session.rows(query, data![&last, PAGE])?;
            let page: Vec<String> = page.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
            // By where they begin and end: one look into each index, and not one for each person.
            if let Some(until) = page.last() {
                self.read_people(session, &page, Whom::Between(&last, until))?;
            }
            session.batch("COMMIT")?;
            match page.last() {
                Some(subject) if !self.is_over.load(Ordering::Relaxed) => last.clone_from(subject),
                Some(_) => return Err(StoreError::NotYet),
                None => break,
            }
        }
        self.read_files(session, 0)?;
        self.is_read_up_to(from);
        let people = self.snapshot.people();
        Event::RegistersRead { people, took: begun.elapsed() }.emit(&self.metrics);
        Ok(())
    }

    /// Reads what is new since the last number, in one snapshot of the server.
    fn catch_up(&mut self, session: &Session) -> Result<(), StoreError> {
        let Some(at) = self.at.clone() else { return Err(StoreError::NotYet) };
        session.batch(SNAPSHOT)?;
        let head = head(session, at.number)?;
        if head.newest.history != at.history {
            session.batch("COMMIT")?;
            // Whether it takes the place of ours is asked when it is met anew.
            return Err(StoreError::History("the server holds other registers than before"));
        }
        head.contains(&at)?;
        if head.newest.number > at.number {
            // A page may end within a number. Nobody's id is empty.
            let (mut number, mut subject) = (at.number + 1, String::new());
            loop {
                let query = "SELECT subject, touched FROM people
                  WHERE (touched, subject) > (?1, ?2) ORDER BY touched, subject LIMIT ?3";
                let rows = session.rows(query, data![number, &subject, PAGE])?;
                let Some(last) = rows.last() else { break };
                (number, subject) = (last.number(1)?, last.text(0)?);
                let page: Vec<String> =
                    rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
                self.read_people(session, &page, Whom::Many(&page))?;
            }
            self.read_files(session, at.number)?;
        }
        session.batch("COMMIT")?;
        self.is_read_up_to(head.newest);
        Ok(())
    }

    fn is_read_up_to(&mut self, mark: Mark) {
        self.last_read.set(mark.clone());
        self.snapshot.reach(mark.number);
        self.at = Some(mark);
    }

    /// Puts in what `people` have said, who are those of `whom`.
    fn read_people(
        &self,
        session: &Session,
        people: &[String],
        whom: Whom<'_>,
    ) -> Result<(), StoreError> {
        let mut said = statements_of(session, whom)?;
        for person in people {
            self.snapshot.put(person, &said.remove(person).unwrap_or_default());
        }
        Ok(())
    }

    fn read_files(&self, session: &Session, since: i64) -> Result<(), StoreError> {
        let (mut orders, mut cases) = (Vec::new(), Vec::new());
        for row in session.rows("SELECT kind, id FROM files WHERE touched > ?1", data![since])? {
            match row.text(0)?.as_str() {
                "order" => orders.push(row.text(1)?),
                "case" => cases.push(row.text(1)?),
                _ => return Err(StoreError::Garbage("kind of file")),
            }
        }
        if !orders.is_empty() {
            self.snapshot.put_orders(file_rows::orders(session, Whom::Many(&orders))?);
        }
        if !cases.is_empty() {
            self.snapshot.put_cases(file_rows::cases(session, Whom::Many(&cases))?);
        }
        Ok(())
    }
}

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A page is few rows of many, whatever the server believes that it is: without statistics it would read
/// whole tables for each.
const IN_ORDER: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
  SET LOCAL enable_mergejoin = off";

/// Has the server commit something, unless it did so within `period`, for whoever asked. A server that
/// was set aside, or waits for a replica in vain, cannot.
fn prove_commit(session: &Session, period: Duration) -> Result<(), StoreError> {
    let milliseconds = period.as_millis() / 2;
    let write = format!(
        "UPDATE beat SET at = now() WHERE at < now() - interval '{milliseconds} milliseconds'
         OR at > now()"
    );
    session.execute(&write, data![])?;
    Ok(())
}
