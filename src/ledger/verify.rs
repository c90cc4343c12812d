//! Reads a ledger again and checks every link.
//!
//! What a chain cannot show: that records are missing from its very end, or that the whole of it was
//! computed anew. For that, compare with an [`Anchor`] that was kept elsewhere.

use std::fmt;
use std::str::FromStr;

use super::Place;
use super::checkpoint::Checkpoint;
use super::record::Head;
use super::retire::{Cut, beginning, cut_of};
use super::segment::{Break, Fault, sound_after, walk};
use super::tree::{Frontier, leaf};
use crate::terms::Digest;

/// A record's number and hash, noted somewhere the gateway cannot write. Reads and prints as
/// `17:5f…`, the number and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash.hex())
    }
}

impl FromStr for Anchor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':');
        parts
            .and_then(|(number, hash)| Some((number.parse().ok()?, Digest::parse(hash)?)))
            .filter(|(number, _)| *number > 0)
            .map(|(sequence, hash)| Self { sequence, hash })
            .ok_or("an anchor is a record's number, a colon and 64 hexadecimal digits")
    }
}

/// A ledger that verifies.
#[derive(Debug, PartialEq, Eq)]
pub struct Verification {
    /// Records read.
    pub records: u64,
    /// The last one: note it elsewhere. Number 0 where there is none.
    pub head: Anchor,
    /// The root of the Merkle tree over them.
    pub root: Digest,
    /// Records before the first that is kept were removed as the rules say; what the chain says of it.
    pub retired: Option<Retired>,
    /// Bytes of a record that the running gateway is writing just now.
    pub unfinished_bytes: u64,
}

/// What the chain says about records that are not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Retired {
    /// The last of them that is gone.
    pub up_to: u64,
    /// When the cut was entered.
    pub at: String,
}

/// What is wrong with a ledger. `sequence` is the number of the first record that is not as it must
/// be, `segment` the number of its file.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read the ledger")]
    Io(#[from] std::io::Error),
    /// No segment at all: the wrong directory, or everything was removed.
    #[error("no ledger here")]
    Empty,
    /// The line is no record in canonical form.
    #[error("record {sequence} (segment {segment}, line {line}): not a record")]
    NotARecord {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// The line in the segment, from 1.
        line: u64,
    },
    /// The record was changed.
    #[error(
        "record {sequence} (segment {segment}): its content gives {expected}, it states {found}"
    )]
    Edited {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// The hash that its content gives.
        expected: Digest,
        /// The hash that it states.
        found: String,
    },
    /// The record follows another one than the one before it.
    #[error("record {sequence} (segment {segment}): follows {found}, the one before is {expected}")]
    Unlinked {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// The hash of the record before.
        expected: Digest,
        /// The hash that it says it follows.
        found: String,
    },
    /// The record stands in another place: swapped, repeated, or moved.
    #[error("record {sequence} (segment {segment}): record {found} stands in its place")]
    OutOfOrder {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// The record that stands here.
        found: u64,
    },
    /// Records are missing.
    #[error("record {sequence} (segment {segment}): missing, the next is {found}")]
    Gap {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// The next record that is there.
        found: u64,
    },
    /// A whole segment is missing, and with it the records from `sequence` on.
    #[error("record {sequence}: segment {segment} is missing")]
    SegmentMissing {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
    },
    /// The ledger begins later than it should, and nothing in it says that what is missing was removed as
    /// the rules say.
    #[error("records 1 to {sequence} are missing, and no entry says that they were retired")]
    NotRetired {
        /// The last record that is missing.
        sequence: u64,
    },
    /// The entry that says so lies beyond what was signed: whoever can write the directory could have
    /// removed the records and entered it.
    #[error(
        "records 1 to {sequence} are missing, and no signed checkpoint covers the entry of their retirement"
    )]
    CutNotSigned {
        /// The last record that is missing.
        sequence: u64,
    },
    /// The anchored record was retired, so that the anchor says nothing about what is left.
    #[error("record {sequence}: anchored, and retired since; records up to {up_to} are not kept")]
    AnchorRetired {
        /// The anchored record.
        sequence: u64,
        /// The last record that is gone.
        up_to: u64,
    },
    /// The last write was cut off. Opening the ledger recovers it and enters how much was cut.
    #[error("record {sequence} (segment {segment}): cut off, {bytes} bytes of it")]
    TornTail {
        /// See the type.
        sequence: u64,
        /// See the type.
        segment: u32,
        /// Bytes after the last whole record.
        bytes: u64,
    },
    /// The anchored record has another hash: the chain was computed anew.
    #[error("record {sequence}: anchored as {expected}, here it is {found}")]
    Rewritten {
        /// See the type.
        sequence: u64,
        /// The anchored hash.
        expected: Digest,
        /// The hash it has here.
        found: Digest,
    },
    /// The records up to this one have another root than the one that was signed: the chain was
    /// computed anew.
    #[error(
        "record {sequence}: the records up to it were signed as {expected}, here they give {found}"
    )]
    NotAsSigned {
        /// The number of records that the checkpoint states.
        sequence: u64,
        /// The root it states.
        expected: Digest,
        /// The root they have here.
        found: Digest,
    },
    /// The tree noted for a segment is not that of the records before it.
    #[error("record {sequence}: the tree noted for segment {segment} is not that of the records")]
    TreeNote {
        /// The last record before the segment.
        sequence: u64,
        /// See the type.
        segment: u32,
    },
    /// The ledger ends before the anchored record.
    #[error("record {sequence}: anchored, but the ledger ends at {last}")]
    EndsBeforeAnchor {
        /// The anchored record.
        sequence: u64,
        /// The last record that is there.
        last: u64,
    },
}

impl VerifyError {
    /// Whether records are missing, rather than wrong.
    #[must_use]
    pub const fn is_gap(&self) -> bool {
        match self {
            Self::Gap { .. }
            | Self::SegmentMissing { .. }
            | Self::NotRetired { .. }
            | Self::CutNotSigned { .. }
            | Self::AnchorRetired { .. }
            | Self::EndsBeforeAnchor { .. } => true,
            Self::Io(_)
            | Self::Empty
            | Self::NotARecord { .. }
            | Self::Edited { .. }
            | Self::Unlinked { .. }
            | Self::OutOfOrder { .. }
            | Self::TornTail { .. }
            | Self::NotAsSigned { .. }
            | Self::TreeNote { .. }
            | Self::Rewritten { .. } => false,
        }
    }
}

/// Verifies the ledger at `place`, and that it holds `anchor`. Reads line by line; memory does
/// not grow with the ledger. May run while a gateway writes.
///
/// # Errors
/// The first record that is wrong.
pub fn verify(
    place: impl Into<Place>,
    anchor: Option<Anchor>,
) -> Result<Verification, VerifyError> {
    check(&place.into(), anchor, None)
}

/// As [`verify`], and that the records are those of each of the `checkpoints`, whose signatures were
/// checked before. Records that were retired are missing unless one of them covers the entry that says so.
///
/// # Errors
/// As [`verify`].
pub fn verify_signed(
    place: impl Into<Place>,
    anchor: Option<Anchor>,
    checkpoints: &[Checkpoint],
) -> Result<Verification, VerifyError> {
    check(&place.into(), anchor, Some(checkpoints))
}

/// `signed`: the checkpoints; `None` where nobody has a key to check any with.
fn check(
    place: &Place,
    anchor: Option<Anchor>,
    signed: Option<&[Checkpoint]>,
) -> Result<Verification, VerifyError> {
    let segments = place.numbers()?;
    let last = *segments.last().ok_or(VerifyError::Empty)?;
    let live = place.is_written_now();
    let first = segments.first().copied().unwrap_or(1);
    let (mut head, tree) = beginning(place, first)?;
    let start = head.sequence;
    let mut kept = Kept::new(anchor, signed.unwrap_or_default(), tree);
    kept.begin(start)?;
    // Where segments begin, and what cuts the chain speaks of.
    let (mut borders, mut cuts) = (Vec::new(), Vec::new());
    let mut unfinished_bytes = 0;
    kept.compare(head)?;
    for (expected, segment) in (first..).zip(segments) {
        if expected != segment {
            let sequence = head.sequence + 1;
            return Err(VerifyError::SegmentMissing { sequence, segment: expected });
        }
        if place.noted_tree(segment)?.is_some_and(|noted| noted != kept.tree) {
            return Err(VerifyError::TreeNote { sequence: head.sequence, segment });
        }
        if first > 1 {
            borders.push((head, kept.tree.root()));
        }
        let mut differs = Ok(());
        let (reached, valid, end) = walk(place.open(segment)?, head, &mut |passed, line| {
            kept.tree.push(leaf(line));
            if first > 1 {
                cuts.extend(cut_of(line).map(|(cut, at)| (cut, at, passed.sequence)));
            }
            if differs.is_ok() {
                differs = kept.compare(passed);
            }
        })?;
        differs?;
        head = reached;
        let Some(end) = end else { continue };
        let later = sound_after(place.open(segment)?, end.offset)?;
        // Only a file's last line can be in the making, or have been cut off in it.
        let length = place.length(segment)?.filter(|_| segment == last && later.is_empty());
        let Some(length) = length.filter(|_| end.fault == Fault::NotARecord) else {
            return Err(explain(head, segment, end, &later));
        };
        unfinished_bytes = length.saturating_sub(valid);
        if !live {
            let sequence = head.sequence + 1;
            return Err(VerifyError::TornTail { sequence, segment, bytes: unfinished_bytes });
        }
    }
    if let Some(sequence) = kept.beyond(head.sequence) {
        return Err(VerifyError::EndsBeforeAnchor { sequence, last: head.sequence });
    }
    let is_border = |cut: &Cut| {
        let same = |(head, root): &(Head, Digest)| {
            (head.sequence, head.hash, *root) == (cut.records, cut.hash, cut.root)
        };
        cut.records >= start && borders.iter().any(same)
    };
    cuts.retain(|(cut, ..)| is_border(cut));
    let covered = signed.map_or(u64::MAX, |_| kept.covered());
    let said = cuts.iter().rfind(|(_, _, entered)| *entered <= covered);
    let retired = match (start, said) {
        (0, _) => None,
        (_, Some((_, at, _))) => Some(Retired { up_to: start, at: at.clone() }),
        (_, None) if cuts.is_empty() => return Err(VerifyError::NotRetired { sequence: start }),
        (_, None) => return Err(VerifyError::CutNotSigned { sequence: start }),
    };
    let (records, root) = (head.sequence - start, kept.tree.root());
    let head = Anchor { sequence: head.sequence, hash: head.hash };
    Ok(Verification { records, head, root, retired, unfinished_bytes })
}

/// What was kept elsewhere, compared with the records as they pass.
struct Kept<'a> {
    anchor: Option<Anchor>,
    /// By the number of records.
    checkpoints: Vec<&'a Checkpoint>,
    at: usize,
    tree: Frontier,
}

impl<'a> Kept<'a> {
    fn new(anchor: Option<Anchor>, checkpoints: &'a [Checkpoint], tree: Frontier) -> Self {
        let mut checkpoints: Vec<&Checkpoint> = checkpoints.iter().collect();
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        Self { anchor, checkpoints, at: 0, tree }
    }

    /// Passes over checkpoints of which the records are gone; those after them bear them out, since
    /// their roots are made from the same tree.
    fn begin(&mut self, start: u64) -> Result<(), VerifyError> {
        self.at = self.checkpoints.partition_point(|checkpoint| checkpoint.size < start);
        match self.anchor {
            Some(Anchor { sequence, .. }) if sequence < start => {
                Err(VerifyError::AnchorRetired { sequence, up_to: start })
            }
            _ => Ok(()),
        }
    }

    fn compare(&mut self, passed: Head) -> Result<(), VerifyError> {
        let sequence = passed.sequence;
        if let Some(Anchor { hash: expected, .. }) =
            self.anchor.filter(|anchor| anchor.sequence == sequence && anchor.hash != passed.hash)
        {
            return Err(VerifyError::Rewritten { sequence, expected, found: passed.hash });
        }
        while let Some(checkpoint) = self.checkpoints.get(self.at)
            && checkpoint.size == sequence
        {
            let (expected, found) = (checkpoint.root, self.tree.root());
            if expected != found {
                return Err(VerifyError::NotAsSigned { sequence, expected, found });
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The last record of the checkpoints that were compared.
    fn covered(&self) -> u64 {
        self.checkpoints[..self.at].last().map_or(0, |checkpoint| checkpoint.size)
    }

    /// The first record that something speaks of, and that the ledger does not reach.
    fn beyond(&self, last: u64) -> Option<u64> {
        let anchored = self.anchor.map(|anchor| anchor.sequence).filter(|number| *number > last);
        let signed = self.checkpoints.get(self.at).map(|checkpoint| checkpoint.size);
        anchored.into_iter().chain(signed).min()
    }
}

/// The error for a break after `head`; `later` are the sound records from the break on.
fn explain(head: Head, segment: u32, end: Break, later: &[u64]) -> VerifyError {
    let sequence = head.sequence + 1;
    match end.fault {
        Fault::NotARecord => VerifyError::NotARecord { sequence, segment, line: end.line },
        Fault::Edited { computed, stated } => {
            VerifyError::Edited { sequence, segment, expected: computed, found: stated }
        }
        Fault::Unlinked { stated } => {
            VerifyError::Unlinked { sequence, segment, expected: head.hash, found: stated }
        }
        // A number ahead is a gap only if the record that belongs here is not further down.
        Fault::OutOfOrder { found } if found > sequence && !later.contains(&sequence) => {
            VerifyError::Gap { sequence, segment, found }
        }
        Fault::OutOfOrder { found } => VerifyError::OutOfOrder { sequence, segment, found },
    }
}
