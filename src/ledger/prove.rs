//! Takes one record out of a ledger together with what shows that it is in it.

use std::io;

use super::Place;
use super::checkpoint::{Checkpoint, RecordProof};
use super::segment::leaves;
use super::tree::{Frontier, Prover};
use crate::terms::Digest;

/// Why a record cannot be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// It cannot be read.
    #[error("cannot read the ledger")]
    Io(#[from] std::io::Error),
    /// There is no such record, or not yet when the checkpoint was signed.
    #[error("record {0} is not among those that the checkpoint covers")]
    NotCovered(u64),
    /// The record is not kept any more. A proof that was made before still shows it.
    #[error("record {0} was retired; only a proof that was made before shows it")]
    Retired(u64),
    /// The ledger does not hold what the checkpoint states: see `tamis ledger verify`.
    #[error("the ledger is not the one that was signed; see `tamis ledger verify`")]
    NotAsSigned,
}

/// The proof for record `sequence`, counted from 1, under a signed checkpoint of this ledger. Reads the
/// ledger from the record's segment on.
///
/// # Errors
/// See [`ProveError`].
pub fn prove(
    place: impl Into<Place>,
    sequence: u64,
    note: &str,
    checkpoint: &Checkpoint,
) -> Result<RecordProof, ProveError> {
    let not_covered = || ProveError::NotCovered(sequence);
    let index = sequence.checked_sub(1).ok_or_else(not_covered)?;
    let place = place.into();
    let (segments, before) = segments_from(&place, index)?.ok_or(ProveError::Retired(sequence))?;
    let mut prover = Prover::new(index, checkpoint.size, &before).ok_or_else(not_covered)?;
    let (mut seen, mut record) = (before.size(), None);
    for segment in segments {
        leaves(place.open(segment)?, &mut |leaf, line| {
            if seen < checkpoint.size {
                prover.push(leaf);
            }
            if seen == index {
                record = String::from_utf8(line.to_vec()).ok();
            }
            seen += 1;
        })?;
    }
    let record = record.ok_or_else(not_covered)?;
    let hashes = prover.finish().ok_or(ProveError::NotAsSigned)?;
    let proof = RecordProof { record, index, hashes, note: note.to_owned() };
    if proof.leads_to(checkpoint) { Ok(proof) } else { Err(ProveError::NotAsSigned) }
}

/// What shows that the first `size` records of a ledger continue its first `old`. Reads the ledger from the
/// segment on in which the old ones end. Source: RFC 9162 §2.1.4.
///
/// # Errors
/// `Io`; `NotCovered` where there are not so many records; `Retired` where too many of the old ones are gone.
pub fn prove_consistency(
    place: impl Into<Place>,
    old: u64,
    size: u64,
) -> Result<Vec<Digest>, ProveError> {
    if old == 0 {
        return Ok(Vec::new());
    }
    let place = place.into();
    let (segments, before) = segments_from(&place, old)?.ok_or(ProveError::Retired(old))?;
    let not_covered = || ProveError::NotCovered(old.max(size));
    let mut prover = Prover::consistency(old, size, &before).ok_or_else(not_covered)?;
    let mut seen = before.size();
    for segment in segments {
        leaves(place.open(segment)?, &mut |leaf, _| {
            if seen < size {
                prover.push(leaf);
            }
            seen += 1;
        })?;
    }
    prover.finish().ok_or_else(not_covered)
}

/// The segments to read from the last that begins with at most so many records before it, and the tree of
/// those; `None`: they are gone.
fn segments_from(place: &Place, most: u64) -> io::Result<Option<(Vec<u32>, Frontier)>> {
    let mut segments = place.numbers()?;
    let mut found = segments.first().filter(|first| **first == 1).map(|_| (1, Frontier::default()));
    for segment in segments.iter().rev() {
        if let Some(tree) = place.noted_tree(*segment)?.filter(|tree| tree.size() <= most) {
            found = Some((*segment, tree));
            break;
        }
    }
    Ok(found.map(|(first, before)| {
        segments.retain(|segment| *segment >= first);
        (segments, before)
    }))
}
