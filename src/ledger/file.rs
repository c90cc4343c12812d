//! The ledger in a directory of append-only files.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use super::{Disclosure, Ledger, LedgerUnavailable, Outcome, Receipt};

/// A ledger of one gateway; a second process on the same directory is refused.
pub struct FileLedger {
    _private: (),
}

impl FileLedger {
    /// Opens or makes the ledger in `directory`, recovering a torn tail.
    ///
    /// # Errors
    /// The directory cannot be used, is locked, or its chain is broken.
    pub fn open(directory: &Path, node: &str) -> Result<Self, LedgerUnavailable> {
        let _ = (directory, node);
        todo!("ledger")
    }
}

impl Ledger for FileLedger {
    fn open<'a>(
        &'a self,
        disclosure: &'a Disclosure,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, LedgerUnavailable>> + Send + 'a>> {
        let _ = disclosure;
        todo!("ledger")
    }

    fn close(&self, receipt: Receipt, outcome: Outcome) {
        let _ = (receipt, outcome);
        todo!("ledger")
    }

    fn writable(&self) -> Result<(), LedgerUnavailable> {
        todo!("ledger")
    }
}
