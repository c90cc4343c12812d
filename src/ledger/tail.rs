//! The end of the chain on disk: the only place that writes.
//!
//! A record counts once `sync` has returned. A write or sync that fails makes the handle dead, since
//! after a failed `fsync` the kernel may call pages clean that never reached the disk. The next
//! opening takes a new handle, cuts the file back to the last byte known to be durable, and goes on
//! from there. Bytes that were cut were never acknowledged.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::LedgerUnavailable;
use super::chained::End;
use super::record::{Body, Head, recovery};
use super::retire::{is_noted, time_of};
use super::segment::{
    Fault, first_line, last, leaves, noted_tree, numbers, opened, path_of, sound_after,
    tree_path_of, walk,
};
use super::tree::{Frontier, leaf};

/// A segment that has reached this size is followed by a new one.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;

/// A month: with the usual six years, records stay at most a sixtieth of it too long.
const SEGMENT_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often, and how far apart, it is seen again whether another writer holds the ledger.
const LOOKS: u32 = 5;
const MOMENT: Duration = Duration::from_millis(5);

/// How a ledger falls into segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segmenting {
    /// A segment that has reached this size is followed by a new one,
    pub(super) bytes: u64,
    /// and so is one that was begun longer ago than this: only whole segments are ever removed.
    pub(super) age: SignedDuration,
}

impl Segmenting {
    /// So that records stay at most a twelfth longer than they are kept, and an hour.
    pub(super) fn for_keeping(kept_for: SignedDuration) -> Self {
        let age = (kept_for / 12).clamp(SignedDuration::from_hours(1), SEGMENT_AGE);
        Self { age, ..Self::default() }
    }
}

impl Default for Segmenting {
    fn default() -> Self {
        Self { bytes: SEGMENT_BYTES, age: SEGMENT_AGE }
    }
}

/// What the writer needs of a file; tests put one in between that fails.
pub(super) trait Medium: Send {
    /// Writes all of `bytes` at the end, or fails with any part of them written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes a medium of an opened segment.
pub(super) type Mount = Box<dyn Fn(File) -> Box<dyn Medium> + Send>;

/// Where the last segment is and how much of it counts.
#[derive(Clone, Debug)]
pub(super) struct Position {
    path: PathBuf,
    device_and_inode: (u64, u64),
    durable: u64,
}

impl Position {
    /// The length of the file at the path, if it is still the one that is written and no shorter
    /// than what counts. A file removed or replaced under a running gateway would take entries to
    /// nowhere.
    pub(super) fn in_place(&self) -> Result<u64, LedgerUnavailable> {
        let metadata = std::fs::metadata(&self.path)
            .map_err(|error| LedgerUnavailable(format!("segment: {}", error.kind())))?;
        if (metadata.dev(), metadata.ino()) != self.device_and_inode {
            return Err(LedgerUnavailable("the segment was replaced".into()));
        }
        if metadata.len() < self.durable {
            return Err(LedgerUnavailable("the segment was cut".into()));
        }
        Ok(metadata.len())
    }
}

/// The end of the chain.
pub(super) struct Tail {
    directory: PathBuf,
    node: String,
    mount: Mount,
    segmenting: Segmenting,
    /// When the segment's first record was entered.
    begun: Option<Timestamp>,
    number: u32,
    /// `None` while the handle is dead.
    medium: Option<Box<dyn Medium>>,
    position: Position,
    head: Head,
    /// Over all records up to the head.
    tree: Frontier,
    /// Bytes cut since the last recovery record.
    cut: u64,
    /// Held for as long as this is the ledger's writer.
    lock: File,
}

impl Tail {
    /// Opens or makes the ledger. Recovers a torn tail; a break before it is refused.
    pub(super) fn open(
        directory: &Path,
        node: &str,
        segmenting: Segmenting,
        mount: Mount,
    ) -> Result<Self, LedgerUnavailable> {
        let what = |what: &'static str| {
            move |error: io::Error| LedgerUnavailable(format!("{what}: {}", error.kind()))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(what("directory"))?;
        let lock = lock(directory)?;
        let mut segments = numbers(directory).map_err(what("directory"))?;
        if segments.is_empty() {
            create(directory, 1).map_err(what("segment"))?;
            segments.push(1);
        }
        let number = contiguous(&segments)?;
        begins_as_noted(directory, segments[0])?;
        let start = match number {
            1 => Head::START,
            _ => last(&path_of(directory, number - 1))
                .map_err(what("segment"))?
                .ok_or_else(|| broken(number - 1))?,
        };
        let path = path_of(directory, number);
        let mut tree = tree_before(directory, number, start).map_err(what("segment"))?;
        let (head, valid, cut) = sound_length(&path, start, number, &mut tree)?;
        let file = append_to(&path).map_err(what("segment"))?;
        if cut > 0 {
            file.set_len(valid).map_err(what("segment"))?;
        }
        // Records that a killed process wrote may be in the page cache only.
        file.sync_all().map_err(what("segment"))?;
        let position = position(&path, &file, valid).map_err(what("segment"))?;
        let mut tail = Self {
            directory: directory.to_owned(),
            node: node.to_owned(),
            medium: Some(mount(file)),
            mount,
            segmenting,
            begun: begun(&path).map_err(what("segment"))?,
            number,
            position,
            head,
            tree,
            cut,
            lock,
        };
        tail.enter_recovery()?;
        Ok(tail)
    }

    fn enter_recovery(&mut self) -> Result<(), LedgerUnavailable> {
        if self.cut > 0 {
            self.write(vec![recovery(self.cut)])?;
            self.cut = 0;
        }
        Ok(())
    }

    fn write(&mut self, bodies: Vec<Body>) -> Result<(), LedgerUnavailable> {
        let Some(medium) = self.medium.as_mut() else {
            return Err(LedgerUnavailable("no live handle".into()));
        };
        let (mut head, mut lines) = (self.head, Vec::with_capacity(bodies.len() * 1024));
        for body in bodies {
            head.append(body, &self.node, &mut lines)
                .ok_or_else(|| LedgerUnavailable("no canonical form".into()))?;
        }
        let written = medium.append(&lines).and_then(|()| medium.sync());
        if let Err(error) = written {
            self.medium = None;
            return Err(LedgerUnavailable(error.kind().to_string()));
        }
        self.position.durable += lines.len() as u64;
        self.begun.get_or_insert_with(Timestamp::now);
        self.head = head;
        lines.split_inclusive(|byte| *byte == b'\n').for_each(|line| {
            self.tree.push(leaf(line.strip_suffix(b"\n").unwrap_or(line)));
        });
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), LedgerUnavailable> {
        let number = self.number + 1;
        let noted = note_tree(&self.directory, number, &self.tree);
        let made = noted.and_then(|()| create(&self.directory, number)).and_then(|path| {
            let file = append_to(&path)?;
            let position = position(&path, &file, 0)?;
            Ok((file, position))
        });
        let (file, position) =
            made.map_err(|error| LedgerUnavailable(format!("segment: {}", error.kind())))?;
        self.medium = Some((self.mount)(file));
        self.position = position;
        self.begun = None;
        self.number += 1;
        Ok(())
    }
}

impl End for Tail {
    fn commit(&mut self, bodies: Vec<Body>) -> Result<u64, LedgerUnavailable> {
        self.revive()?;
        let is_old = self
            .begun
            .is_some_and(|begun| Timestamp::now().duration_since(begun) >= self.segmenting.age);
        let is_begun = self.position.durable > 0;
        if is_begun && (is_old || self.position.durable >= self.segmenting.bytes) {
            self.rotate()?;
        }
        let first = self.head.sequence + 1;
        self.write(bodies)?;
        Ok(first)
    }

    /// Makes sure of a live handle on the file at its path.
    fn revive(&mut self) -> Result<(), LedgerUnavailable> {
        match self.position.in_place() {
            Ok(length) if length == self.position.durable => {}
            // Somebody else wrote behind the last record, or a write of ours failed half-way.
            Ok(_) => self.medium = None,
            Err(trouble) => {
                self.medium = None;
                return Err(trouble);
            }
        }
        if self.medium.is_some() {
            return Ok(());
        }
        let path = self.position.path.clone();
        let mut reopen = || -> io::Result<File> {
            let file = append_to(&path)?;
            let length = file.metadata()?.len();
            if length > self.position.durable {
                file.set_len(self.position.durable)?;
                self.cut += length - self.position.durable;
            }
            file.sync_all()?;
            Ok(file)
        };
        let file = reopen().map_err(|error| LedgerUnavailable(error.kind().to_string()))?;
        let expected = match (self.position.durable, self.number) {
            (0, 1) => Some(Head::START),
            (0, number) => last(&path_of(&self.directory, number - 1)).ok().flatten(),
            _ => last(&path).ok().flatten(),
        };
        if expected != Some(self.head) {
            return Err(broken(self.number));
        }
        self.medium = Some((self.mount)(file));
        self.enter_recovery()
    }

    fn tree(&self) -> &Frontier {
        &self.tree
    }

    fn position(&self) -> Option<&Position> {
        Some(&self.position)
    }

    fn beat(&self) -> Option<Duration> {
        None
    }
}

impl Drop for Tail {
    /// Closing the file alone would not do: a child that is being started at this moment still holds
    /// a copy of it.
    fn drop(&mut self) {
        // Closing it, which comes next, unlocks it too in all other cases.
        let _ = self.lock.unlock();
    }
}

/// One gateway writes a ledger. The lock goes away with the process, however it ends.
fn lock(directory: &Path) -> Result<File, LedgerUnavailable> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join(super::LOCK_FILE))
        .map_err(|error| LedgerUnavailable(format!("lock: {}", error.kind())))?;
    let mut looks = 0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Perhaps only of somebody who looks whether there is a writer, for a moment.
            Err(std::fs::TryLockError::WouldBlock) if looks < LOOKS => {
                looks += 1;
                std::thread::sleep(MOMENT);
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(LedgerUnavailable(super::HELD.into()));
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(LedgerUnavailable(format!("lock: {}", error.kind())));
            }
        }
    }
}

fn create(directory: &Path, number: u32) -> io::Result<PathBuf> {
    let path = path_of(directory, number);
    // Not `create_new`: an empty file left by a rotation that failed half-way is taken over.
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    if file.metadata()?.len() > 0 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    file.sync_all()?;
    // The name of a new file is durable only once its directory is.
    File::open(directory)?.sync_all()?;
    Ok(path)
}

/// Durable before the segment that it belongs to has a name.
fn note_tree(directory: &Path, number: u32, tree: &Frontier) -> io::Result<()> {
    let path = tree_path_of(directory, number);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{}", tree.to_line())?;
    file.sync_all()
}

/// The tree over the records before segment `number`, of which `start` is the last: as noted, or, for
/// a ledger that has no such note, computed from all of them.
fn tree_before(directory: &Path, number: u32, start: Head) -> io::Result<Frontier> {
    if let Some(tree) = noted_tree(directory, number).filter(|tree| tree.size() == start.sequence) {
        return Ok(tree);
    }
    let first = numbers(directory)?.first().copied().unwrap_or(1);
    let mut tree = match first {
        1 => Frontier::default(),
        // What is gone cannot be computed.
        later => noted_tree(directory, later).ok_or(io::ErrorKind::NotFound)?,
    };
    for earlier in first..number {
        leaves(opened(&path_of(directory, earlier))?, &mut |leaf, _| tree.push(leaf))?;
    }
    Ok(tree)
}

/// When the segment's first record was entered; a time that cannot be read is now.
fn begun(path: &Path) -> io::Result<Option<Timestamp>> {
    let line = first_line(path)?;
    Ok(line.map(|line| time_of(&line).unwrap_or_else(Timestamp::now)))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).open(path)
}

fn position(path: &Path, file: &File, durable: u64) -> io::Result<Position> {
    let metadata = file.metadata()?;
    Ok(Position {
        path: path.to_owned(),
        device_and_inode: (metadata.dev(), metadata.ino()),
        durable,
    })
}

/// A ledger that does not begin with its first segment must have been cut as noted.
fn begins_as_noted(directory: &Path, first: u32) -> Result<(), LedgerUnavailable> {
    let is_cut =
        || noted_tree(directory, first).is_some_and(|tree| is_noted(directory, tree.size()));
    if first == 1 || is_cut() {
        return Ok(());
    }
    Err(LedgerUnavailable("segment 1 is missing".into()))
}

/// The number of the last segment, if none between it and the first is missing.
fn contiguous(segments: &[u32]) -> Result<u32, LedgerUnavailable> {
    for (expected, found) in (segments[0]..).zip(segments) {
        if expected != *found {
            return Err(LedgerUnavailable(format!("segment {expected} is missing")));
        }
    }
    Ok(segments[segments.len() - 1])
}

/// The head and length of the part of the last segment that counts, and how many bytes come after.
fn sound_length(
    path: &Path,
    start: Head,
    number: u32,
    tree: &mut Frontier,
) -> Result<(Head, u64, u64), LedgerUnavailable> {
    let io = |error: io::Error| LedgerUnavailable(format!("segment: {}", error.kind()));
    let segment = opened(path).map_err(io)?;
    let (head, valid, end) =
        walk(segment, start, &mut |_, line| tree.push(leaf(line))).map_err(io)?;
    let Some(end) = end else { return Ok((head, valid, 0)) };
    // Only a write that was cut off leaves no record at all at the end, and nothing sound after it.
    let torn = end.fault == Fault::NotARecord
        && opened(path).and_then(|it| sound_after(it, end.offset)).map_err(io)?.is_empty();
    if !torn {
        return Err(LedgerUnavailable(format!(
            "the chain is broken after record {}; see `tamis ledger verify`",
            head.sequence
        )));
    }
    let length = std::fs::metadata(path).map_err(io)?.len();
    keep_cut_bytes(path, valid, number).map_err(io)?;
    Ok((head, valid, length - valid))
}

/// Nothing is destroyed: what is cut off is kept beside the segment for whoever wants to look.
fn keep_cut_bytes(path: &Path, offset: u64, number: u32) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let kept = path.with_file_name(format!("{number:06}.cut-at-{offset}"));
    let mut copy =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(kept)?;
    copy.write_all(&bytes)?;
    copy.sync_all()
}

fn broken(number: u32) -> LedgerUnavailable {
    LedgerUnavailable(format!("segment {number} is broken; see `tamis ledger verify`"))
}
