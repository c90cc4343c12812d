//! Segment files: their names, their lines, and the walk along the chain in one of them.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chain::{canonical, link};
use super::record::Head;
use super::tree::{Frontier, leaf};
use crate::terms::Digest;

/// No record is longer: its names come from one policy. It bounds the search for a segment's last line.
pub(super) const LONGEST_LINE: u64 = 1 << 20;

/// The file of segment `number`, counted from 1.
pub(super) fn path_of(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.jsonl"))
}

/// The tree over all records before segment `number`, noted when the segment was begun so that a
/// start need not read years. Whoever reads it without recomputing must check what it leads to.
pub(super) fn tree_path_of(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.tree"))
}

/// The noted tree before segment `number`, if there is one that can be read.
pub(super) fn noted_tree(directory: &Path, number: u32) -> Option<Frontier> {
    Frontier::parse(fs::read_to_string(tree_path_of(directory, number)).ok()?.trim_end())
}

/// The file of a segment, to be read from its beginning.
pub(super) fn opened(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 16, File::open(path)?))
}

/// The leaves of a segment in their order, with their lines; nothing is checked.
pub(super) fn leaves(
    segment: impl BufRead,
    passed: &mut dyn FnMut(Digest, &[u8]),
) -> io::Result<()> {
    lines(segment, |error| error, &mut |record| {
        passed(leaf(record), record);
        Ok(())
    })
}

/// The whole lines of a segment in their order, without their line feeds. A last line that has none
/// is not a record yet: the gateway may be writing it. `unreadable` says what an error means to the
/// caller; a line longer than any record is `InvalidData`.
pub(super) fn lines<E>(
    mut segment: impl BufRead,
    unreadable: impl Fn(io::Error) -> E,
    look: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = segment.by_ref().take(LONGEST_LINE);
        bounded.read_until(b'\n', &mut line).map_err(&unreadable)?;
        match line.strip_suffix(b"\n") {
            Some(text) => look(text)?,
            None if line.len() as u64 == LONGEST_LINE => {
                return Err(unreadable(io::ErrorKind::InvalidData.into()));
            }
            None => return Ok(()),
        }
    }
}

/// The numbers of the segments in `directory`, ascending. Other files are not looked at.
pub(super) fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl"))
            .filter(|digits| digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not a whole record in canonical form: cut off, or touched by an editor.
    NotARecord,
    /// It is a record whose content does not give its hash.
    Edited {
        /// The hash its content gives.
        computed: Digest,
        /// The hash it states.
        stated: String,
    },
    /// It is a sound record with another number than the next.
    OutOfOrder {
        /// The number it has.
        found: u64,
    },
    /// It is a sound record that follows another one than the last.
    Unlinked {
        /// The hash it says it follows.
        stated: String,
    },
}

/// Where a chain stops being one.
#[derive(Debug)]
pub(super) struct Break {
    /// Bytes of the segment before the bad line.
    pub(super) offset: u64,
    /// The number of the bad line in the segment, from 1.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) fault: Fault,
}

/// A record that is sound in itself.
struct Sound {
    sequence: u64,
    previous: String,
    hash: Digest,
}

/// Reads one line with its line feed.
fn read(line: &[u8]) -> Result<Sound, Fault> {
    let text = line.strip_suffix(b"\n").ok_or(Fault::NotARecord)?;
    let mut record: Value = serde_json::from_slice(text).map_err(|_| Fault::NotARecord)?;
    if canonical(&record).as_deref() != Some(text) {
        return Err(Fault::NotARecord);
    }
    let members = record.as_object_mut().ok_or(Fault::NotARecord)?;
    let mut take = |name| match members.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Fault::NotARecord),
    };
    let (previous, stated) = (take("prev")?, take("hash")?);
    let sequence = members.get("seq").and_then(Value::as_u64).ok_or(Fault::NotARecord)?;
    // Compared as text: a digest in capitals is the same digest, but not the same ledger.
    let parsed = Digest::parse(&previous).filter(|digest| digest.hex() == previous);
    let content = canonical(&record).ok_or(Fault::NotARecord)?;
    let hash = link(&parsed.ok_or(Fault::NotARecord)?, &content);
    if hash.hex() != stated {
        return Err(Fault::Edited { computed: hash, stated });
    }
    Ok(Sound { sequence, previous, hash })
}

/// Follows the chain from `head` to the segment's end or to the first break, and tells `passed` of
/// every record and its line, without the line feed. Gives the head at that place, the bytes up to it, and the break.
pub(super) fn walk(
    mut segment: impl BufRead,
    mut head: Head,
    passed: &mut dyn FnMut(Head, &[u8]),
) -> io::Result<(Head, u64, Option<Break>)> {
    let (mut offset, mut number, mut line) = (0, 1, Vec::new());
    loop {
        line.clear();
        let length = segment.read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok((head, offset, None));
        }
        match follow(&line, head) {
            Ok(next) => head = next,
            Err(fault) => return Ok((head, offset, Some(Break { offset, line: number, fault }))),
        }
        passed(head, line.strip_suffix(b"\n").unwrap_or(&line));
        offset += length as u64;
        number += 1;
    }
}

fn follow(line: &[u8], head: Head) -> Result<Head, Fault> {
    let Sound { sequence, previous, hash } = read(line)?;
    if sequence != head.sequence + 1 {
        return Err(Fault::OutOfOrder { found: sequence });
    }
    if previous != head.hash.hex() {
        return Err(Fault::Unlinked { stated: previous });
    }
    Ok(Head { sequence, hash })
}

/// The numbers of all records from `offset` on that are sound in themselves.
pub(super) fn sound_after(mut segment: impl BufRead, offset: u64) -> io::Result<Vec<u64>> {
    io::copy(&mut segment.by_ref().take(offset), &mut io::sink())?;
    let (mut found, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if segment.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        found.extend(read(&line).ok().map(|sound| sound.sequence));
    }
}

/// The head that a finished segment ends with; `None` where its last line is no sound record.
pub(super) fn last(path: &Path) -> io::Result<Option<Head>> {
    Ok(last_line(path)?.and_then(head_of))
}

/// The head that a chain has after this line; `None` where it is no sound record.
pub(super) fn head_of(mut line: Vec<u8>) -> Option<Head> {
    line.push(b'\n');
    read(&line).ok().map(|sound| Head { sequence: sound.sequence, hash: sound.hash })
}

/// The last line of a finished segment, without its line feed; nothing of it is checked.
pub(super) fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
    let mut tail = Vec::new();
    file.take(LONGEST_LINE).read_to_end(&mut tail)?;
    let Some(text) = tail.strip_suffix(b"\n") else { return Ok(None) };
    let start = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(Some(text[start..].to_vec()))
}

/// The first whole line of a segment, without its line feed; nothing of it is checked.
pub(super) fn first_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let file = BufReader::new(File::open(path)?);
    file.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(<[u8]>::to_vec))
}
