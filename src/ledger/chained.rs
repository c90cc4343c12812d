//! The ledger as a chain that one thread writes, in a directory of append-only files or on a server.
//!
//! Openings queue up while the disk or the server is busy and are made durable together: one write and
//! one sync, or one transaction, for whatever waits, at most [`BATCH_RECORDS`]. While that fails,
//! openings are refused; entries that nobody waits for are kept, up to a bound, and what is beyond it is
//! counted and the count entered.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, oneshot};

use super::record::{self, Body};
use super::server_tail::ServerTail;
use super::tail::{Mount, Position, Segmenting, Tail};
use super::told::about;
use super::tree::Frontier;
use super::{
    Concerned, Disclosure, Ledger, LedgerServer, LedgerUnavailable, Note, Outcome, Place, Receipt,
    Refused, ServerSettings, SubjectIndex, ToldToOthers,
};
use crate::observe::Metrics;
use crate::terms::DataSubject;

/// Most records of one sync: a longer batch only adds to the wait of its first opening.
const BATCH_RECORDS: usize = 256;

/// How long entries that nobody waits for may wait for an opening, so that they need no sync of their own.
const LINGER: Duration = Duration::from_millis(5);

/// Most entries kept that nobody waits for, about 32 MiB. Refusals come at the pace of whoever sends
/// requests, so that there must be a bound.
const WAITING_ENTRIES: usize = 65_536;

/// The role of people whom a call of the admin API is about.
const LOOKED_UP: &str = "looked-up";

/// Most look-ups in the index at once.
const TAGGING: usize = 128;

/// Most tags in one record, some 40 KB.
const TAGS: usize = 1024;

/// How long an attempt may take before those who asked meanwhile are refused with it: each would have to
/// wait as long in its turn.
const SLOW: Duration = Duration::from_secs(1);

/// The end of a chain, wherever it is kept: the only thing that writes there.
pub(super) trait End: Send {
    /// Enters `bodies` and returns the number of the first, once all are durable.
    fn commit(&mut self, bodies: Vec<Body>) -> Result<u64, LedgerUnavailable>;

    /// Makes sure that an entry would be taken now.
    fn revive(&mut self) -> Result<(), LedgerUnavailable>;

    /// The tree over all records that are durable.
    fn tree(&self) -> &Frontier;

    /// Where a file can be looked at without the writer; `None` where there is none.
    fn position(&self) -> Option<&Position>;

    /// How often it is to be revived while nothing is entered; `None`: never.
    fn beat(&self) -> Option<Duration>;
}

/// A ledger of one gateway; a second process that writes the same chain is refused.
pub struct ChainLedger {
    place: Place,
    index: Option<Arc<SubjectIndex>>,
    queue: Option<mpsc::Sender<Job>>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    /// So many at once look people up in the index: each holds a thread for as long as it is slow.
    tagging: Arc<Semaphore>,
}

/// What the callers and the writer both see.
struct Shared {
    state: Mutex<State>,
    /// Entries that nobody waits for. The first of them is announced; more only join it, since whoever
    /// wakes the writer for each pays more for that than for what is written.
    unawaited: Mutex<Vec<Body>>,
    /// How many there are, with those that are kept.
    waiting: AtomicUsize,
    /// Entries that were beyond the bound and are not entered yet.
    omitted: AtomicU64,
}

impl Shared {
    fn unawaited(&self) -> MutexGuard<'_, Vec<Body>> {
        self.unawaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    trouble: Option<LedgerUnavailable>,
    position: Option<Position>,
    /// Over all records that are durable.
    tree: Frontier,
}

enum Job {
    /// Somebody waits for this one.
    Awaited(Body, oneshot::Sender<Result<u64, LedgerUnavailable>>),
    /// There is something that nobody waits for.
    Unawaited,
    /// See whether disk or server are back.
    Probe,
    /// Say when everything before this is entered, or could not be.
    Settle(oneshot::Sender<()>),
}

/// A ledger in a directory: the same type, opened by a path.
pub type FileLedger = ChainLedger;

impl ChainLedger {
    /// Opens or makes the ledger in `directory`, recovering a torn tail. `node` is this gateway's
    /// name in each record.
    ///
    /// The last segment is checked record by record, and that it follows the one before; the whole
    /// chain is [`verify`](super::verify)'s business, so that a start does not read years.
    ///
    /// # Errors
    /// The directory cannot be used, is locked, or its chain is broken.
    pub fn open(directory: &Path, node: &str) -> Result<Self, LedgerUnavailable> {
        let tail = Tail::open(directory, node, Segmenting::default(), plain())?;
        Self::start(directory.into(), Box::new(tail), None)
    }

    /// As [`open`](Self::open), with the time of each commit in `metrics`, and with segments of which
    /// twelve make up the time for which records are kept.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_observed(
        directory: &Path,
        node: &str,
        metrics: Arc<Metrics>,
        kept_for: Option<SignedDuration>,
    ) -> Result<Self, LedgerUnavailable> {
        let segmenting = kept_for.map_or_else(Segmenting::default, Segmenting::for_keeping);
        let tail = Tail::open(directory, node, segmenting, plain())?;
        Self::start(directory.into(), Box::new(tail), Some(metrics))
    }

    /// Opens or begins the chain of this node on `server`, as [`open_observed`](Self::open_observed) does
    /// in a directory.
    ///
    /// # Errors
    /// The server does not answer; another process writes the chain, or it is broken, or lacks what
    /// this gateway has acknowledged.
    pub fn open_on_server(
        server: &Arc<LedgerServer>,
        settings: &ServerSettings,
        metrics: Arc<Metrics>,
        kept_for: Option<SignedDuration>,
    ) -> Result<Self, LedgerUnavailable> {
        let segmenting = kept_for.map_or_else(Segmenting::default, Segmenting::for_keeping);
        let segmenting = Segmenting { bytes: settings.segment_bytes, ..segmenting };
        let tail = ServerTail::open(server, settings, segmenting)?;
        Self::start(Place::Server(server.chain(&settings.node)), Box::new(tail), Some(metrics))
    }

    /// As [`open`](Self::open), with segments of this size.
    #[cfg(test)]
    pub(crate) fn open_in_segments(
        directory: &Path,
        bytes: u64,
    ) -> Result<Self, LedgerUnavailable> {
        let segmenting = Segmenting { bytes, ..Segmenting::default() };
        let tail = Tail::open(directory, "gw-test", segmenting, plain())?;
        Self::start(directory.into(), Box::new(tail), None)
    }

    /// With the index of data subjects that is kept with it.
    #[must_use]
    pub fn with_index(mut self, index: Arc<SubjectIndex>) -> Self {
        self.index = Some(index);
        self
    }

    /// Where it is kept.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn start(
        place: Place,
        end: Box<dyn End>,
        metrics: Option<Arc<Metrics>>,
    ) -> Result<Self, LedgerUnavailable> {
        let (queue, jobs) = mpsc::channel();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                trouble: None,
                position: end.position().cloned(),
                tree: end.tree().clone(),
            }),
            unawaited: Mutex::default(),
            waiting: AtomicUsize::new(0),
            omitted: AtomicU64::new(0),
        });
        let writer = Writer {
            end,
            shared: Arc::clone(&shared),
            kept: VecDeque::new(),
            settling: Vec::new(),
            metrics,
        };
        let writer = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run(&jobs))
            .map_err(|error| LedgerUnavailable(format!("thread: {}", error.kind())))?;
        let index = None;
        let (queue, writer, tagging) =
            (Some(queue), Some(writer), Arc::new(Semaphore::new(TAGGING)));
        Ok(Self { place, index, queue, shared, writer, tagging })
    }

    /// The tree over all records that are durable now.
    #[must_use]
    pub fn tree(&self) -> Frontier {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).tree.clone()
    }

    /// Returns once everything that was queued before is entered, or could not be.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.send(Job::Settle(done)).is_ok() {
            // A writer that is gone settles nothing more.
            let _ = settled.await;
        }
    }

    async fn await_entry(&self, body: Body) -> Result<u64, LedgerUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Awaited(body, answer))?;
        // A writer that is gone drops the answer: no entry, no disclosure.
        answered.await.unwrap_or_else(|_| Err(writer_gone()))
    }

    async fn enter_further(
        &self,
        receipt: &Receipt,
        parts: Vec<Concerned>,
    ) -> Result<(), LedgerUnavailable> {
        for part in parts {
            let body = self.tagged(record::subjects(receipt), vec![part]).await?;
            self.await_entry(body).await?;
        }
        Ok(())
    }

    /// The body with tags of these people.
    async fn tagged(
        &self,
        mut body: Body,
        people: Vec<Concerned>,
    ) -> Result<Body, LedgerUnavailable> {
        if people.is_empty() {
            return Ok(body);
        }
        // Where disk or server are known to be away, nobody waits for an index that is there too.
        self.known_trouble()?;
        let turn = Arc::clone(&self.tagging).acquire_owned().await.map_err(|_| writer_gone())?;
        self.known_trouble()?;
        let index = self.index.clone().ok_or_else(|| LedgerUnavailable(super::NO_INDEX.into()))?;
        let tagged = tokio::task::spawn_blocking(move || {
            // Held for as long as the thread is, whoever has left meanwhile.
            let _turn = turn;
            record::tag(&mut body, &people, &index).map(|()| body)
        });
        tagged.await.map_err(|_| LedgerUnavailable("the index of subjects failed".into()))?
    }

    /// What was wrong at the last attempt; the next one is made now.
    fn known_trouble(&self) -> Result<(), LedgerUnavailable> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trouble) = state.trouble.clone() else { return Ok(()) };
        drop(state);
        self.send(Job::Probe)?;
        Err(trouble)
    }

    fn add(&self, body: Body) {
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_ENTRIES {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.omitted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut unawaited = self.shared.unawaited();
        unawaited.push(body);
        if unawaited.len() == 1 {
            // A writer that is gone takes nothing more, and says so to whoever waits.
            let _ = self.send(Job::Unawaited);
        }
    }

    fn send(&self, job: Job) -> Result<(), LedgerUnavailable> {
        let queue = self.queue.as_ref().ok_or_else(writer_gone)?;
        queue.send(job).map_err(|_| writer_gone())
    }
}

impl Ledger for ChainLedger {
    fn open<'a>(
        &'a self,
        disclosure: &'a Disclosure,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, LedgerUnavailable>> + Send + 'a>> {
        Box::pin(async move {
            // No line grows with an answer: whoever does not fit into the opening follows it.
            let mut people = parts(&disclosure.people);
            let mut room = TAGS;
            let fits = |part: &&Concerned| {
                let fits = part.people.len() <= room;
                room = room.saturating_sub(part.people.len());
                fits
            };
            let first = people.iter().take_while(fits).count();
            let further = people.split_off(first);
            let body = self.tagged(record::disclosure(disclosure), people).await?;
            let sequence = self.await_entry(body).await?;
            let receipt = Receipt { sequence, decision: disclosure.decision.clone() };
            self.enter_further(&receipt, further).await?;
            Ok(receipt)
        })
    }

    fn close(&self, receipt: Receipt, outcome: Outcome) {
        self.add(record::outcome(&receipt, &outcome));
    }

    fn refuse(&self, refused: Refused) {
        self.add(record::refused(&refused));
    }

    fn note<'a>(
        &'a self,
        note: &'a Note,
    ) -> Pin<Box<dyn Future<Output = Result<u64, LedgerUnavailable>> + Send + 'a>> {
        Box::pin(async move {
            let mut parts = called_about(note).into_iter();
            let first = parts.next().into_iter().collect();
            let body = self.tagged(record::note(note), first).await?;
            let sequence = self.await_entry(body).await?;
            // No line grows with a call: whoever does not fit into its record follows in others.
            for part in parts {
                let body = self.tagged(record::continued(note, sequence), vec![part]).await?;
                self.await_entry(body).await?;
            }
            Ok(sequence)
        })
    }

    fn later(&self, note: &Note) {
        self.add(record::note(note));
    }

    fn also<'a>(
        &'a self,
        receipt: &'a Receipt,
        people: &'a [Concerned],
    ) -> Pin<Box<dyn Future<Output = Result<(), LedgerUnavailable>> + Send + 'a>> {
        Box::pin(self.enter_further(receipt, parts(people)))
    }

    fn about<'a>(
        &'a self,
        person: &'a DataSubject,
    ) -> Pin<Box<dyn Future<Output = Result<ToldToOthers, LedgerUnavailable>> + Send + 'a>> {
        let (place, index, person) = (self.place.clone(), self.index.clone(), person.clone());
        Box::pin(async move {
            let index = index.ok_or_else(|| LedgerUnavailable(super::NO_INDEX.into()))?;
            let read = tokio::task::spawn_blocking(move || {
                about(&place, &index, &person, Timestamp::now())
            });
            read.await.map_err(|_| LedgerUnavailable("the ledger was not read".into()))?
        })
    }

    fn writable(&self) -> Result<(), LedgerUnavailable> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &state.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => state.position.as_ref().map_or(Ok(()), |at| at.in_place().map(drop)),
        };
        drop(state);
        if self.writer.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(writer_gone());
        }
        if found.is_err() {
            // A gateway that is not ready gets no requests, and so no opening would ever try again.
            self.send(Job::Probe)?;
        }
        found
    }
}

impl Drop for ChainLedger {
    /// Ends the writer and waits for it: whatever was queued is durable, if disk or server let it.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    end: Box<dyn End>,
    shared: Arc<Shared>,
    /// Entries that nobody waits for and that no batch has taken, or one that failed; oldest first.
    kept: VecDeque<Body>,
    /// Whoever waits until they are entered, or cannot be.
    settling: Vec<oneshot::Sender<()>>,
    metrics: Option<Arc<Metrics>>,
}

impl Writer {
    fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let beat = self.end.beat();
        let mut is_well = true;
        loop {
            // What was kept does not wait for the next beat.
            let is_behind = is_well && self.has_more();
            let next = match beat {
                _ if is_behind => jobs.recv_timeout(Duration::ZERO),
                Some(beat) => jobs.recv_timeout(beat),
                None => jobs.recv().map_err(RecvTimeoutError::from),
            };
            let first = match next {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let batch = first.map_or_else(Vec::new, |first| gather(first, jobs));
            let began = Instant::now();
            let entered = self.enter(batch);
            is_well = entered.is_ok();
            if let Err(trouble) = entered
                && began.elapsed() >= SLOW
            {
                refuse_waiting(jobs, &trouble);
            }
        }
        // What cannot be entered now is lost with the process.
        while self.has_more() && self.enter(Vec::new()).is_ok() {}
    }

    /// Whether there is something left that nobody waits for.
    fn has_more(&self) -> bool {
        !self.kept.is_empty() || !self.shared.unawaited().is_empty()
    }

    fn enter(&mut self, batch: Vec<Job>) -> Result<(), LedgerUnavailable> {
        let mut bodies: Vec<Body> = Vec::with_capacity(batch.len() + self.kept.len() + 1);
        let omitted = self.shared.omitted.swap(0, Ordering::Relaxed);
        if omitted > 0 {
            bodies.push(record::omission(omitted));
        }
        // In the order in which things happened: first what earlier batches could not enter.
        self.kept.extend(std::mem::take(&mut *self.shared.unawaited()));
        let earlier = self.kept.len().min(BATCH_RECORDS);
        let unawaited: Vec<Body> = self.kept.drain(..earlier).collect();
        let mut awaited = Vec::new();
        for job in batch {
            match job {
                Job::Awaited(body, answer) => awaited.push((body, answer)),
                Job::Unawaited | Job::Probe => {}
                Job::Settle(done) => self.settling.push(done),
            }
        }
        bodies.extend(unawaited.iter().cloned());
        let before = bodies.len() as u64;
        let (opening, answers): (Vec<Body>, Vec<_>) = awaited.into_iter().unzip();
        bodies.extend(opening);
        let committed = self.commit(bodies);
        match &committed {
            Ok(first) => {
                self.shared.waiting.fetch_sub(unawaited.len(), Ordering::Relaxed);
                for (sequence, answer) in (*first + before..).zip(answers) {
                    // Whoever asked may be gone; the entry stands all the same.
                    let _ = answer.send(Ok(sequence));
                }
            }
            Err(trouble) => {
                self.shared.omitted.fetch_add(omitted, Ordering::Relaxed);
                for body in unawaited.into_iter().rev() {
                    self.kept.push_front(body);
                }
                for answer in answers {
                    let _ = answer.send(Err(trouble.clone()));
                }
            }
        }
        if self.kept.is_empty() || committed.is_err() {
            for done in self.settling.drain(..) {
                let _ = done.send(());
            }
        }
        committed.map(drop)
    }

    fn commit(&mut self, bodies: Vec<Body>) -> Result<u64, LedgerUnavailable> {
        let started = Instant::now();
        let result = if bodies.is_empty() {
            self.end.revive().map(|()| 0)
        } else {
            let result = self.end.commit(bodies);
            if let (Ok(_), Some(metrics)) = (&result, &self.metrics) {
                metrics.ledger_commit(started.elapsed());
            }
            result
        };
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trouble = result.as_ref().err().cloned();
        state.position = self.end.position().cloned();
        state.tree.clone_from(self.end.tree());
        result
    }
}

/// Refuses whoever has asked meanwhile.
fn refuse_waiting(jobs: &mpsc::Receiver<Job>, trouble: &LedgerUnavailable) {
    for job in jobs.try_iter() {
        match job {
            Job::Awaited(_, answer) => drop(answer.send(Err(trouble.clone()))),
            Job::Unawaited | Job::Probe => {}
            Job::Settle(done) => drop(done.send(())),
        }
    }
}

/// What waits now; and where nobody waits for any of it, what comes until somebody does.
fn gather(first: Job, jobs: &mpsc::Receiver<Job>) -> Vec<Job> {
    let until = Instant::now() + LINGER;
    let mut batch = vec![first];
    batch.extend(jobs.try_iter().take(BATCH_RECORDS - 1));
    while batch.iter().all(|job| matches!(job, Job::Unawaited)) {
        match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => batch.push(job),
            Err(_) => break,
        }
    }
    batch
}

/// The same people in parts, each of which fits into a record.
fn parts(people: &[Concerned]) -> Vec<Concerned> {
    let of_one = |concerned: &Concerned| -> Vec<Concerned> {
        let part = |people: &[DataSubject]| Concerned {
            role: concerned.role.clone(),
            categories: concerned.categories.clone(),
            people: people.to_vec(),
        };
        concerned.people.chunks(TAGS).map(part).collect()
    };
    people.iter().flat_map(of_one).collect()
}

/// Whom a call of the admin API is about, in parts that fit into a record each.
fn called_about(note: &Note) -> Vec<Concerned> {
    let Note::Call { about, .. } = note else { return Vec::new() };
    let concerned =
        Concerned { role: LOOKED_UP.into(), categories: Vec::new(), people: about.clone() };
    parts(&[concerned])
}

fn writer_gone() -> LedgerUnavailable {
    LedgerUnavailable("the writer ended".into())
}

pub(super) fn plain() -> Mount {
    Box::new(|file| Box::new(file))
}
