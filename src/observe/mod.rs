//! What the operator sees: one [`Event`] is one log line and its metrics, in one place.
//!
//! Nothing here can take a personal value: fields of an event are names of the policy, closed enums
//! and numbers. The one exception is [`AccessLine`], which takes the client's address and two of its
//! headers, and writes a network, a family and an origin.

mod access_log;
mod agent;
mod bodies;
mod checkpoint;
mod cold;
mod consent_service;
mod event;
mod log;
mod log_file;
mod log_writer;
mod metrics;
mod tunnel;
mod upstream;
mod visitor;

pub use access_log::{AccessDecision, AccessLine, TlsVersion};
pub use checkpoint::{CheckpointEvent, CheckpointHappening};
pub(crate) use cold::coarser;
pub use consent_service::ConsentServiceEvent;
pub use event::Event;
pub use log::{FILTER_VARIABLE, LogFormat, init_tracing};
pub use log_writer::AccessLog;
pub use metrics::{Metrics, OpenConnection, outward_code};
pub use tunnel::{TunnelEvent, TunnelHappening};
pub use upstream::{BreakerState, UpstreamEvent, UpstreamHappening};
pub use visitor::Salt;
