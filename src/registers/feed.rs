//! Consents from a file that another system appends to: one JSON object a line, taken into the
//! embedded registers as it grows.
//!
//! What cannot be read makes every consent unknown until it can: a line that is skipped may be the
//! withdrawal. A line is taken once its line feed is there, and a file that does not end with one is
//! not read to its end. What was taken stays taken: the registers keep a withdrawal whatever the file
//! says later, in whatever order its lines come.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::elsewhere::{ConsentSource, ConsentsFrom};
use super::{Record, RecordError, RegisterStore, check_record};
use crate::policy::Policy;
use crate::terms::{DataSubject, Statements};

/// No consent is longer; a longer line is no consent, and must not fill the memory.
const LONGEST_LINE: u64 = 64 << 10;

/// How long consents are known after a reading where the rules do not say it.
pub const USUAL_STALENESS: Duration = Duration::from_mins(5);

/// Lines of one transaction: few enough that commands and the admin API get their turn between.
const BATCH: usize = 512;

/// A file of consents, and how far it was read.
pub struct ConsentFile {
    path: PathBuf,
    max_staleness: Duration,
    progress: Mutex<Progress>,
}

/// How far the file was read, and when.
#[derive(Default)]
struct Progress {
    /// The file as it was at the last reading.
    seen: Option<Seen>,
    /// Bytes and lines taken, from its beginning.
    taken: Taken,
    /// When it was last read from its beginning.
    whole: Option<Instant>,
    /// When everything in it was last taken; `None` also after a fault.
    complete: Option<Instant>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device_and_inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

/// A place in the file, after whole lines.
#[derive(Clone, Copy, Default)]
struct Taken {
    bytes: u64,
    lines: u64,
}

/// What a reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing had changed.
    Unchanged,
    /// Everything in the file is taken; so many of the lines read said something new.
    Complete {
        /// How many.
        new: usize,
    },
    /// The last line has no line feed yet.
    Unfinished,
}

/// Why every consent is unknown. None of it says what stands in the file.
#[derive(Debug, thiserror::Error)]
pub enum ConsentFileError {
    /// It cannot be read.
    #[error("the file of consents cannot be read")]
    Unreadable(#[from] io::Error),
    /// Everybody on the machine can read or write it.
    #[error("the file of consents can be read or written by everybody: chmod o-rwx")]
    Exposed,
    /// A line is no consent by these rules.
    #[error("line {line} of the file of consents: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it, by field and without a value.
        what: String,
    },
    /// The registers cannot be written.
    #[error("registers unavailable")]
    Registers(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConsentFileError {
    /// A word for metrics: `unreadable`, `exposed`, `line` or `registers`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Exposed => "exposed",
            Self::Line { .. } => "line",
            Self::Registers(_) => "registers",
        }
    }
}

impl ConsentFile {
    /// A file that was not read yet. What it says is unknown once it was last read to its end longer
    /// than `max_staleness` ago.
    #[must_use]
    pub fn new(path: PathBuf, max_staleness: Duration) -> Self {
        Self { path, max_staleness, progress: Mutex::new(Progress::default()) }
    }

    /// Whether what the file says is known at `now`.
    #[must_use]
    pub fn is_known(&self, now: Instant) -> bool {
        let complete = self.progress().complete;
        complete.is_some_and(|at| now.saturating_duration_since(at) <= self.max_staleness)
    }

    /// Takes what is new in the file into `registers`, if it changed; the whole file anew where it is
    /// another one, was rewritten, had a fault, or was not read as a whole for `max_staleness`.
    ///
    /// # Errors
    /// See [`ConsentFileError`]. Until a reading succeeds no consent is known.
    pub fn read(
        &self,
        registers: &RegisterStore,
        policy: &Policy,
        now: Instant,
    ) -> Result<Reading, ConsentFileError> {
        let read = self.read_from(registers, policy, now);
        if read.is_err() {
            *self.progress() = Progress::default();
        }
        read
    }

    fn read_from(
        &self,
        registers: &RegisterStore,
        policy: &Policy,
        now: Instant,
    ) -> Result<Reading, ConsentFileError> {
        let mut file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.mode() & 0o007 != 0 {
            return Err(ConsentFileError::Exposed);
        }
        let seen = Seen {
            device_and_inode: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        let (from, whole) = {
            let mut progress = self.progress();
            let due = progress
                .whole
                .is_none_or(|at| now.saturating_duration_since(at) >= self.max_staleness);
            match progress.seen {
                Some(before) if before == seen && !due => {
                    let is_complete = progress.taken.bytes == seen.length;
                    if is_complete {
                        progress.complete = Some(now);
                    }
                    return Ok(if is_complete { Reading::Unchanged } else { Reading::Unfinished });
                }
                // It only grew: what was taken is still there.
                Some(before)
                    if before.device_and_inode == seen.device_and_inode
                        && before.length < seen.length
                        && !due =>
                {
                    (progress.taken, progress.whole)
                }
                Some(_) | None => (Taken::default(), Some(now)),
            }
        };
        file.seek(SeekFrom::Start(from.bytes))?;
        // No further than the length that was looked at: what is appended meanwhile comes next time.
        let lines = file.take(seen.length.saturating_sub(from.bytes));
        let (taken, new) = take(BufReader::new(lines), from, registers, policy)?;
        let is_complete = taken.bytes == seen.length;
        let mut progress = self.progress();
        progress.seen = Some(seen);
        progress.taken = taken;
        progress.whole = whole;
        if is_complete {
            progress.complete = Some(now);
        }
        Ok(if is_complete { Reading::Complete { new } } else { Reading::Unfinished })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes whole lines, and gives the place after the last of them and how many said something new.
fn take(
    mut lines: impl io::BufRead,
    from: Taken,
    registers: &RegisterStore,
    policy: &Policy,
) -> Result<(Taken, usize), ConsentFileError> {
    let mut taken = from;
    let mut new = 0;
    let mut records: Vec<(u64, Record)> = Vec::with_capacity(BATCH);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        let number = taken.lines + 1;
        let whole = line.strip_suffix(b"\n");
        if whole.is_none() && line.len() as u64 == LONGEST_LINE {
            return Err(ConsentFileError::Line { line: number, what: "too long".into() });
        }
        if let Some(text) = whole {
            records.push((number, consent(text, number, policy)?));
            taken = Taken { bytes: taken.bytes + length as u64, lines: number };
        }
        if records.len() == BATCH || whole.is_none() {
            new += enter(registers, &mut records)?;
        }
        if whole.is_none() {
            return Ok((taken, new));
        }
    }
}

fn consent(text: &[u8], line: u64, policy: &Policy) -> Result<Record, ConsentFileError> {
    let wrong = |what: String| ConsentFileError::Line { line, what };
    let record = Record::parse_as("consent", text).map_err(|error| wrong(error.to_string()))?;
    check_record(policy, &record).map_err(|unknown| wrong(unknown.to_string()))?;
    Ok(record)
}

fn enter(
    registers: &RegisterStore,
    batch: &mut Vec<(u64, Record)>,
) -> Result<usize, ConsentFileError> {
    let (numbers, records): (Vec<u64>, Vec<Record>) = batch.drain(..).unzip();
    if records.is_empty() {
        return Ok(0);
    }
    registers.record_all(&records).map_err(|(at, error)| match error {
        RecordError::Unavailable(error) => ConsentFileError::Registers(error),
        invalid @ RecordError::Invalid(_) => {
            ConsentFileError::Line { line: numbers[at], what: invalid.to_string() }
        }
    })
}

/// Our own registers, with consents that a file feeds. While the file is not known, nobody's consents are.
pub type FedRegisters = ConsentsFrom<ConsentFile>;

impl ConsentSource for ConsentFile {
    fn whole(&self, own: Arc<Statements>, _: &DataSubject) -> Arc<Statements> {
        if self.is_known(Instant::now()) { own } else { Arc::new(own.without_consents()) }
    }
}
