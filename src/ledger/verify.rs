//! Reads a ledger again and checks every link.

use std::path::Path;

/// A ledger that verifies.
#[derive(Debug, PartialEq, Eq)]
pub struct Verification {
    /// Records read.
    pub records: u64,
}

/// What is wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read the ledger")]
    Io(#[from] std::io::Error),
}

/// Verifies the ledger in `directory`.
///
/// # Errors
/// The first record that is wrong.
pub fn verify(directory: &Path) -> Result<Verification, VerifyError> {
    let _ = directory;
    todo!("ledger")
}
