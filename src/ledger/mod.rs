//! What was disclosed to whom: append-only, hash-chained, durable before the first released byte.
//!
//! It holds names of the policy, numbers and times: never a value of a person, never the id of a
//! data subject. A chain alone shows accidents and clumsy hands; whoever can write the whole
//! directory can compute a new chain, so keep the last hash somewhere else (docs/OPERATIONS.md).

mod chain;
mod checkpoint;
mod entry;
mod file;
mod prove;
mod record;
mod segment;
mod tail;
mod tree;
mod verify;

#[cfg(test)]
mod faults;

use std::future::Future;
use std::pin::Pin;

pub use chain::{GENESIS, link};
pub use checkpoint::{Checkpoint, RecordProof, keep_note, kept_notes, notes_in};
pub use entry::{Disclosure, Note, Outcome, Receipt, Refused};
pub use file::FileLedger;
pub use prove::{ProveError, prove};
pub use tree::{Frontier, leaf};
pub use verify::{Anchor, Verification, VerifyError, verify, verify_signed};

/// In the ledger's directory; locked by the gateway that writes.
const LOCK_FILE: &str = "ledger.lock";

/// Where disclosures are entered.
pub trait Ledger: Send + Sync {
    /// Enters the opening record. Ready only when the record is durable.
    fn open<'a>(
        &'a self,
        disclosure: &'a Disclosure,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, LedgerUnavailable>> + Send + 'a>>;

    /// Enters how it ended. Not waited for; a failure is counted and stops later openings.
    fn close(&self, receipt: Receipt, outcome: Outcome);

    /// Enters a refusal. Not waited for: nothing was disclosed.
    fn refuse(&self, refused: Refused);

    /// Enters something besides a request; its number once it is durable.
    fn note<'a>(
        &'a self,
        note: &'a Note,
    ) -> Pin<Box<dyn Future<Output = Result<u64, LedgerUnavailable>> + Send + 'a>>;

    /// Whether an opening would be taken now, for readiness.
    ///
    /// # Errors
    /// It would not.
    fn writable(&self) -> Result<(), LedgerUnavailable>;
}

/// The ledger cannot take an entry: nothing personal leaves.
#[derive(Debug, Clone, thiserror::Error)]
#[error("ledger unavailable: {0}")]
pub struct LedgerUnavailable(pub String);
