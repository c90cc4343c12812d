//! Retention of the ledger itself: whole segments of which every record is older than the rules keep
//! records are removed, after the chain says so and a checkpoint is signed of where the cut is.
//!
//! What stays of them: the checkpoints, the tree over their records, and the entry of the cut. So the
//! chain can be verified from the cut on, and whoever holds the proof of an old record can show it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Place;
use super::record::Head;
use super::segment::{path_of, tree_path_of, walk};
use super::tree::{Frontier, leaf};
use super::verify::VerifyError;
use crate::terms::Digest;

/// In the ledger's directory: every cut, one JSON object a line. A start compares it with what is there.
const CUTS: &str = "retired.jsonl";

/// Segments that never go: the one that is written, and the one before it, from which a start takes the
/// last hash.
const STAY: usize = 2;

/// Where a ledger is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last record that goes.
    pub records: u64,
    /// Its hash.
    pub hash: Digest,
    /// The root over it and all before it.
    pub root: Digest,
}

/// Segments that can go.
#[derive(Debug)]
pub struct Retirable {
    /// Their numbers, ascending.
    pub segments: Vec<u32>,
    /// Where the cut is.
    pub cut: Cut,
    /// The tree over all that goes and went before.
    pub tree: Frontier,
}

/// The oldest segments of which every record is older than `before`; `None` where there are none. What
/// goes is verified first.
///
/// # Errors
/// It cannot be read, or what would go does not verify: evidence of that must not go.
pub fn retirable(
    place: impl Into<Place>,
    before: Timestamp,
) -> Result<Option<Retirable>, VerifyError> {
    let place = place.into();
    let all = place.numbers()?;
    let (first, end) = match (all.first(), all.len().checked_sub(STAY)) {
        (Some(first), Some(end)) => (*first, end),
        _ => return Ok(None),
    };
    let (mut head, mut tree) = beginning(&place, first)?;
    let mut found: Option<Retirable> = None;
    for (expected, segment) in (first..).zip(all.into_iter().take(end)) {
        let newest = place.last_line(segment)?.and_then(|line| time_of(&line));
        if expected != segment || newest.is_none_or(|newest| newest >= before) {
            break;
        }
        let mut is_old = true;
        let (reached, _, fault) = walk(place.open(segment)?, head, &mut |_, line| {
            tree.push(leaf(line));
            is_old &= time_of(line).is_some_and(|at| at < before);
        })?;
        if let Some(fault) = fault {
            return Err(VerifyError::NotARecord {
                sequence: reached.sequence + 1,
                segment,
                line: fault.line,
            });
        }
        // A clock that was set back: some record is younger than the last one.
        if !is_old {
            break;
        }
        head = reached;
        let mut segments = found.map(|found| found.segments).unwrap_or_default();
        segments.push(segment);
        let cut = Cut { records: head.sequence, hash: head.hash, root: tree.root() };
        found = Some(Retirable { segments, cut, tree: tree.clone() });
    }
    Ok(found)
}

impl Retirable {
    /// Removes them, the oldest first, so that what is left is whole at every moment. The entry of the
    /// cut must be durable in the chain, and its checkpoint signed.
    ///
    /// # Errors
    /// A file cannot be removed; what is left can be verified all the same.
    pub fn remove(&self, place: impl Into<Place>, now: Timestamp) -> io::Result<()> {
        match place.into() {
            Place::Directory(directory) => self.remove_files(&directory, now),
            Place::Server(chain) => chain.remove(&self.segments, &self.cut, now),
        }
    }

    fn remove_files(&self, directory: &Path, now: Timestamp) -> io::Result<()> {
        note_cut(directory, &self.cut, &now.to_string())?;
        for segment in &self.segments {
            fs::remove_file(path_of(directory, *segment))?;
            remove_if_there(&tree_path_of(directory, *segment))?;
            let torn = format!("{segment:06}.cut-at-");
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(&torn)) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        File::open(directory)?.sync_all()
    }
}

/// The head and tree that a ledger begins with whose first segment is `first`. Where earlier ones are
/// gone, both are claims, which a checkpoint or the entry of the cut must bear out.
pub(super) fn beginning(place: &Place, first: u32) -> Result<(Head, Frontier), VerifyError> {
    if first == 1 {
        return Ok((Head::START, Frontier::default()));
    }
    let missing = || VerifyError::SegmentMissing { sequence: 1, segment: 1 };
    let tree = place.noted_tree(first)?.filter(|tree| tree.size() > 0).ok_or_else(missing)?;
    let line = place.first_line(first)?.ok_or_else(missing)?;
    let record: Value = serde_json::from_slice(&line).map_err(|_| missing())?;
    let hash = record["prev"].as_str().and_then(Digest::parse).ok_or_else(missing)?;
    Ok((Head { sequence: tree.size(), hash }, tree))
}

/// The cut that a record in the chain states, if it is one.
pub(super) fn cut_of(line: &[u8]) -> Option<(Cut, String)> {
    memchr::memmem::find(line, b"\"kind\":\"retired\"")?;
    let record: Value = serde_json::from_slice(line).ok()?;
    if record["kind"] != "retired" {
        return None;
    }
    let at = record["at"].as_str()?.to_owned();
    Some((read_cut(&record)?, at))
}

/// Whether a cut was noted that goes as far as record `records`.
pub(super) fn is_noted(directory: &Path, records: u64) -> bool {
    let Ok(text) = fs::read_to_string(directory.join(CUTS)) else { return false };
    text.lines()
        .filter_map(|line| read_cut(&serde_json::from_str(line).ok()?))
        .any(|cut| cut.records >= records)
}

fn read_cut(value: &Value) -> Option<Cut> {
    let digest = |name: &str| value[name].as_str().and_then(Digest::parse);
    Some(Cut {
        records: value["records"].as_u64()?,
        hash: digest("cut_hash")?,
        root: digest("cut_root")?,
    })
}

pub(super) fn note_cut(directory: &Path, cut: &Cut, at: &str) -> io::Result<()> {
    let path = directory.join(CUTS);
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let line = json!({
        "at": at,
        "records": cut.records,
        "cut_hash": cut.hash.hex(),
        "cut_root": cut.root.hex(),
    });
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

/// A record's `at`. The first `"at":"` is the record's own: nothing before it is a map with free names.
pub(super) fn time_of(line: &[u8]) -> Option<Timestamp> {
    let at = memchr::memmem::find(line, b"\"at\":\"")? + 6;
    let rest = &line[at..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()?.parse().ok()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
