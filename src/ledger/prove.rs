//! Takes one record out of a ledger together with what shows that it is in it.

use super::Place;
use super::checkpoint::{Checkpoint, RecordProof};
use super::segment::leaves;
use super::tree::{Frontier, Prover};

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
    let segments = place.numbers()?;
    let mut noted = None;
    for segment in segments.iter().rev() {
        if let Some(tree) = place.noted_tree(*segment)?.filter(|tree| tree.size() <= index) {
            noted = Some((*segment, tree));
            break;
        }
    }
    let (first, before) = noted
        .or_else(|| segments.first().filter(|first| **first == 1).map(|_| (1, Frontier::default())))
        .ok_or(ProveError::Retired(sequence))?;
    let mut prover = Prover::new(index, checkpoint.size, &before).ok_or_else(not_covered)?;
    let (mut seen, mut record) = (before.size(), None);
    for segment in segments.into_iter().filter(|segment| *segment >= first) {
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
