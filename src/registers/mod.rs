//! What each person has said: consents, notices, objections, restrictions, erasures.

mod embedded;
mod record;

use std::sync::Arc;

use crate::terms::{DataSubject, Statements};

pub use embedded::EmbeddedRegisters;
pub use record::{ConsentRecord, Record, RecordError};

/// Where statements of data subjects are kept.
pub trait Registers: Send + Sync {
    /// All that `subject` has said, as of now. A subject never heard of has said nothing, which is
    /// not an error.
    ///
    /// # Errors
    /// The register cannot answer: everything that rests on it is unknown.
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable>;
}

/// The registers cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("registers unavailable")]
pub struct RegistersUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);
