//! Everything that is counted or logged besides the access log.

use crate::terms::{RefusalReason, Role};

/// Something that happened. Emitting it writes at most one log line and moves its metrics.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request was decided.
    Decided {
        /// Role of the recipient, where known.
        role: Option<Role>,
        /// The purpose, where exactly one is known and declared by the policy.
        purpose: Option<&'a str>,
        /// `None`: released.
        refusal: Option<RefusalReason>,
    },
}
