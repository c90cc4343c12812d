//! Rules text → [`Policy`]: parsed into syntax, compiled once, immutable from then on.
//!
//! `syntax` mirrors the YAML and keeps where each thing stands; `compile` resolves names and turns
//! every finding into a [`Diagnostic`]; `model` is what the rest of the gateway reads; `plan` is one
//! (route, recipient, purposes) as cells and an automaton. Nothing here does I/O: the text comes in,
//! a policy or all of its errors come out.

pub mod automaton;
pub mod compile;
pub mod diagnostic;
pub mod model;
pub mod path;
pub mod plan;
mod plans;
pub mod syntax;

pub use automaton::{Automaton, CellId, Mark, RoleIndex};
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use model::Policy;
pub use path::Selector;
pub use plan::Plan;
pub use plans::Plans;
