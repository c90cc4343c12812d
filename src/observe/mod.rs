//! What the operator sees: one [`Event`] is one log line and its metrics, in one place.
//!
//! Nothing here can take a personal value: fields of an event are names of the policy, closed enums
//! and numbers.

mod access_log;
mod event;
mod metrics;

pub use access_log::{AccessLine, AccessLog};
pub use event::Event;
pub use metrics::Metrics;
