//! What is signed about a chain, and the proof that one record is in it.
//!
//! Source: C2SP tlog-checkpoint and tlog-proof, so that tools and witnesses of other transparency logs
//! can read both.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Place;
use super::tree::{Frontier, leaf, root_by_proof};
use crate::terms::Digest;

/// The first line of a proof.
const PROOF: &str = "c2sp.org/tlog-proof@v1";

/// In the ledger's directory: every checkpoint that was signed, one JSON object a line.
const KEPT: &str = "checkpoints.jsonl";

/// Signed checkpoints as they were found, their signatures unchecked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Oldest first.
    pub notes: Vec<String>,
    /// Lines that hold none: spoilt, or cut off by a crash.
    pub unreadable: u64,
}

/// Keeps a signed checkpoint beside the ledger, durably. A copy that the gateway cannot rewrite is
/// worth more.
///
/// # Errors
/// It cannot be written.
pub fn keep_note(place: impl Into<Place>, at: &str, note: &str) -> io::Result<()> {
    match place.into() {
        Place::Directory(directory) => keep_in_file(&directory, at, note),
        Place::Server(chain) => chain.keep_note(at, note),
    }
}

pub(super) fn keep_in_file(directory: &Path, at: &str, note: &str) -> io::Result<()> {
    let path = directory.join(KEPT);
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    // One write, so that a crash leaves a line or a part of one at the end; which stays alone in its line.
    let mut line = format!("{}\n", serde_json::json!({"at": at, "note": note}));
    if is_cut_off(&mut file)? {
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

/// Whether the last line has no end.
fn is_cut_off(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The signed checkpoints in `text`: either one note as it is, or lines as [`keep_note`] writes them. A
/// last line without an end is being written, and passed over.
#[must_use]
pub fn notes_in(text: &str) -> Notes {
    if !text.starts_with(['{', '\n']) {
        return Notes { notes: vec![text.to_owned()], unreadable: 0 };
    }
    let read = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("note")?.as_str().map(str::to_owned)
    };
    let mut found = Notes::default();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        match read(line) {
            Some(note) => found.notes.push(note),
            None => found.unreadable += 1,
        }
    }
    found
}

/// The signed checkpoints kept beside the ledger.
///
/// # Errors
/// They are there and cannot be read.
pub fn kept_notes(place: impl Into<Place>) -> io::Result<Notes> {
    let directory = match place.into() {
        Place::Directory(directory) => directory,
        Place::Server(chain) => return chain.notes(),
    };
    match fs::read_to_string(directory.join(KEPT)) {
        // Made, and not written yet.
        Ok(text) if text.is_empty() => Ok(Notes::default()),
        Ok(text) => Ok(notes_in(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Notes::default()),
        Err(error) => Err(error),
    }
}

/// How long a chain was and what its tree's root was, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain's name; it should be unique in the world.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The state of a tree.
    #[must_use]
    pub fn of(origin: &str, tree: &Frontier) -> Self {
        Self { origin: origin.to_owned(), size: tree.size(), root: tree.root() }
    }

    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Reads a text whose signature was checked. Lines after the third are extensions, and not looked
    /// at.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let size = whole(lines.next()?)?;
        let root = hash(lines.next()?)?;
        lines.all(|extension| !extension.is_empty()).then_some(Self { origin, size, root })
    }
}

/// One record, and what shows that it is in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The record as it stands in the ledger, without the line feed.
    pub record: String,
    /// Its place, from 0.
    pub index: u64,
    /// Roots of the trees beside its way, from the leaf up.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint that they lead to.
    pub note: String,
}

impl RecordProof {
    /// Reads what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PROOF)?.strip_prefix("\nextra ")?;
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let record = String::from_utf8(BASE64_STANDARD.decode(lines.next()?).ok()?).ok()?;
        let index = whole(lines.next()?.strip_prefix("index ")?)?;
        let hashes = lines.map(hash).collect::<Option<_>>()?;
        Some(Self { record, index, hashes, note: note.to_owned() })
    }

    /// Whether the record is in the tree that `checkpoint` states; its signature was checked before.
    #[must_use]
    pub fn leads_to(&self, checkpoint: &Checkpoint) -> bool {
        let leaf = leaf(self.record.as_bytes());
        root_by_proof(leaf, self.index, checkpoint.size, &self.hashes) == Some(checkpoint.root)
    }
}

impl fmt::Display for RecordProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{PROOF}\nextra {}", BASE64_STANDARD.encode(&self.record))?;
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", BASE64_STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// Decimal digits without leading zeroes.
fn whole(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

fn hash(text: &str) -> Option<Digest> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(records: &[&str]) -> Frontier {
        records.iter().fold(Frontier::default(), |mut tree, record| {
            tree.push(leaf(record.as_bytes()));
            tree
        })
    }

    #[test]
    fn a_checkpoint_reads_as_it_was_written() {
        let checkpoint = Checkpoint::of("ledger.example.invalid/gw-1", &tree(&["a", "b"]));
        assert_eq!(Checkpoint::parse(&checkpoint.text()).as_ref(), Some(&checkpoint));
        let extended = format!("{}an extension\n", checkpoint.text());
        assert_eq!(Checkpoint::parse(&extended), Some(checkpoint.clone()));
        for (from, to) in [("\n2\n", "\n02\n"), ("\n2\n", "\n-2\n"), ("ledger", "\n"), ("=", "")] {
            let spoilt = checkpoint.text().replacen(from, to, 1);
            assert_eq!(Checkpoint::parse(&spoilt), None, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_checkpoint_after_one_that_was_cut_off_is_read_and_the_torn_one_counted() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = || kept_notes(directory.path()).expect("readable");
        assert_eq!(notes(), Notes::default());
        keep_note(directory.path(), "2026-11-24T12:00:00Z", "one").expect("kept");
        let path = directory.path().join(KEPT);
        let whole = fs::read_to_string(&path).expect("ours");
        fs::write(&path, format!("{whole}{}", &whole[..9])).expect("ours");
        assert_eq!(notes(), Notes { notes: vec!["one".into()], unreadable: 0 }, "being written");
        keep_note(directory.path(), "2026-11-24T12:05:00Z", "two").expect("kept");
        assert_eq!(notes(), Notes { notes: vec!["one".into(), "two".into()], unreadable: 1 });
        fs::write(&path, b"{\xff\n").expect("ours");
        assert!(kept_notes(directory.path()).is_err(), "not text");
    }

    #[test]
    fn a_proof_shows_its_record_and_no_other() {
        let checkpoint = Checkpoint::of("ledger.example.invalid/gw-1", &tree(&["{}", "[]"]));
        let proof = RecordProof {
            record: "{}".into(),
            index: 0,
            hashes: vec![leaf(b"[]")],
            note: format!("{}\n— ledger.example.invalid/gw-1 AAAA\n", checkpoint.text()),
        };
        assert!(proof.leads_to(&checkpoint));
        assert_eq!(RecordProof::parse(&proof.to_string()).as_ref(), Some(&proof));
        assert!(!RecordProof { record: "[]".into(), ..proof.clone() }.leads_to(&checkpoint));
        assert!(!RecordProof { index: 1, ..proof.clone() }.leads_to(&checkpoint));
        assert!(!RecordProof { hashes: vec![], ..proof.clone() }.leads_to(&checkpoint));
        let shorter = Checkpoint::of("ledger.example.invalid/gw-1", &tree(&["{}"]));
        assert!(!proof.leads_to(&shorter));
    }
}
