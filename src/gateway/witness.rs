//! Asks a witness to cosign a checkpoint: by the size that it saw last and what shows that the ledger
//! continues it. A witness that has seen more, or something else, knows of another ledger under our name:
//! one that was cut, put back from a backup, or computed anew.
//!
//! Source: C2SP tlog-witness, `add-checkpoint`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::https::{Answer, CallFault};
use crate::keys::WitnessKey;
use crate::ledger::{Place, ProveError, prove_consistency};

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWitnessed {
    /// There was no answer that counts.
    #[error(transparent)]
    Call(#[from] CallFault),
    /// It cosigned a ledger of ours with more records than this one has.
    #[error("the witness has seen {0} records, this ledger has fewer")]
    Ahead(u64),
    /// It does not find that this ledger continues what it has seen.
    #[error("the witness has seen another ledger")]
    Contradicted,
    /// Nothing that it answered is a cosignature by its key.
    #[error("no cosignature by the key of the witness")]
    NotCosigned,
    /// What it has seen last cannot be shown to be continued: records are gone, or the ledger cannot be read.
    #[error("no proof of consistency can be made")]
    Proof(#[source] ProveError),
}

impl NotWitnessed {
    /// The stable code for logs and metrics.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Call(fault) => fault.code(),
            Self::Ahead(_) => "ahead",
            Self::Contradicted => "contradicted",
            Self::NotCosigned => "not-cosigned",
            Self::Proof(_) => "proof",
        }
    }

    /// What it answered, where a status says it all.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Call(CallFault::Status(status)) => Some(status.as_u16()),
            Self::Call(_)
            | Self::Ahead(_)
            | Self::Contradicted
            | Self::NotCosigned
            | Self::Proof(_) => None,
        }
    }
}

/// The size from which on the witness is to be shown the ledger, where it says that it is another than
/// `known`, what it was thought to have seen last.
pub(super) fn seen_instead(
    answer: &Answer,
    known: u64,
    records: u64,
) -> Result<Option<u64>, NotWitnessed> {
    match seen_last(answer) {
        None => Ok(None),
        Some(seen) if seen > records => Err(NotWitnessed::Ahead(seen)),
        // It has this size already, with another root.
        Some(seen) if seen == known => Err(NotWitnessed::Contradicted),
        Some(seen) => Ok(Some(seen)),
    }
}

/// The note with the cosignatures of this witness below it.
pub(super) fn cosigned(
    witness: &WitnessKey,
    note: &str,
    answer: Answer,
) -> Result<String, NotWitnessed> {
    if let 409 | 422 = answer.status.as_u16() {
        return Err(NotWitnessed::Contradicted);
    }
    let answer = answer.success()?;
    let lines = witness.cosignatures(note, &String::from_utf8_lossy(&answer.body));
    if lines.is_empty() { Err(NotWitnessed::NotCosigned) } else { Ok(format!("{note}{lines}")) }
}

/// The body of a request for the note over the first `records` of the ledger, shown to continue its first
/// `old`.
pub(super) async fn asked(
    ledger: &Place,
    old: u64,
    records: u64,
    note: &str,
) -> Result<String, NotWitnessed> {
    let ledger = ledger.clone();
    let proof = tokio::task::spawn_blocking(move || {
        if old == records { Ok(Vec::new()) } else { prove_consistency(&ledger, old, records) }
    });
    let unread = |_| ProveError::NotAsSigned;
    let proof = proof.await.map_err(unread).flatten().map_err(NotWitnessed::Proof)?;
    let hashes = proof.iter().map(|hash| BASE64_STANDARD.encode(hash.as_bytes()) + "\n");
    Ok(format!("old {old}\n{}\n{note}", hashes.collect::<String>()))
}

/// The size of the last tree that the witness cosigned, where it says that it is another than it was told.
fn seen_last(answer: &Answer) -> Option<u64> {
    let of_type = answer.headers.get(http::header::CONTENT_TYPE)?;
    if answer.status.as_u16() != 409 || of_type != "text/x.tlog.size" {
        return None;
    }
    std::str::from_utf8(&answer.body).ok()?.strip_suffix('\n')?.parse().ok()
}
