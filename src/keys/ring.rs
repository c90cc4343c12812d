//! Root keys from a file or the environment; see docs/OPERATIONS.md, "Keys".

use std::path::Path;

use jiff::Timestamp;

use crate::decide::Adjustment;
use crate::minimize::Treatments;
use crate::policy::{Plan, Policy};

/// Root keys by version; the highest one makes new pseudonyms.
pub struct KeyRing {
    _private: (),
}

/// The key ring cannot be read or is unsafe.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// Read, permission or format fault; the text names the file, never a key.
    #[error("{0}")]
    Unusable(String),
}

impl KeyRing {
    /// Reads a key file.
    ///
    /// # Errors
    /// Missing, readable by others, malformed, empty.
    pub fn load(path: &Path) -> Result<Self, KeyRingError> {
        let _ = path;
        todo!("keys")
    }

    /// The plan's actions with their keys, tightened by what the subjects' gates adjusted.
    #[must_use]
    pub fn treatments(
        &self,
        policy: &Policy,
        plan: &Plan,
        adjustments: &[Adjustment],
        now: Timestamp,
    ) -> Treatments {
        let _ = (policy, plan, adjustments, now);
        todo!("keys")
    }
}
