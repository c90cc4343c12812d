//! Registers in one SQLite file: crash-safe, no server, shared by processes on one machine.

use std::path::Path;
use std::sync::Arc;

use super::{Record, RecordError, Registers, RegistersUnavailable};
use crate::terms::{DataSubject, Statements};

/// The embedded store.
pub struct EmbeddedRegisters {
    _private: (),
}

impl EmbeddedRegisters {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(path: &Path) -> Result<Self, RegistersUnavailable> {
        let _ = path;
        todo!("registers")
    }

    /// Takes one record; durable on return. Doing it twice changes nothing.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn record(&self, record: &Record) -> Result<(), RecordError> {
        let _ = record;
        todo!("registers")
    }
}

impl Registers for EmbeddedRegisters {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        let _ = subject;
        todo!("registers")
    }
}
