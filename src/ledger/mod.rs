//! What was disclosed to whom: append-only, hash-chained, durable before the first released byte.

mod chain;
mod entry;
mod file;
mod verify;

use std::future::Future;
use std::pin::Pin;

pub use chain::{GENESIS, link};
pub use entry::{Disclosure, Outcome, Receipt};
pub use file::FileLedger;
pub use verify::{Verification, VerifyError, verify};

/// Where disclosures are entered.
pub trait Ledger: Send + Sync {
    /// Enters the opening record. Ready only when the record is durable.
    fn open<'a>(
        &'a self,
        disclosure: &'a Disclosure,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, LedgerUnavailable>> + Send + 'a>>;

    /// Enters how it ended. Not waited for; a failure is counted and stops later openings.
    fn close(&self, receipt: Receipt, outcome: Outcome);

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
