//! Rules text → [`Policy`]: parsed into syntax, compiled once, immutable from then on.
//!
//! `syntax` mirrors the YAML and keeps where each thing stands; `compile` resolves names and turns
//! every finding into a [`Diagnostic`]; `model` is what the rest of the gateway reads; `plan` is one
//! (route, recipient, purposes) as cells and an automaton. Nothing here does I/O: the text comes in,
//! a policy or all of its errors come out.

mod about;
mod access_log;
pub mod aggregate;
mod answer_headers;
pub mod automaton;
mod cell;
mod channels;
mod codes;
pub mod company;
pub mod compile;
mod consents;
pub mod diagnostic;
pub mod difference;
mod matching;
mod mode;
pub mod model;
mod notices;
mod overlap;
pub mod path;
pub mod plan;
mod plans;
mod region;
pub mod retention;
mod sources;
mod syntax;
pub mod target;
mod transfers;
pub mod tunnel;

pub use automaton::{Automaton, CellId, Mark, RoleIndex, StateId, Unlisted};
pub use codes::{CODES, Code};
pub use diagnostic::{Diagnostic, Diagnostics, Look, Place, Severity, render};
pub use matching::Matched;
pub use mode::Mode;
pub use model::Policy;
pub use path::Selector;
pub use plan::Plan;
pub use plans::Plans;
pub use sources::{Source, Sources};
pub(crate) use syntax::closest;
