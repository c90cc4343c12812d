//! What may happen to a value, and how strict each is.
//!
//! [`Action`] is the word of the rules; [`Action::join`] the lattice; [`Treatment`] an action with
//! its key, ready to be applied to values by [`transform`]. Pure: the key, the date and the value
//! are arguments.

mod lattice;
pub mod link;
pub mod pseudonym;
pub mod transform;
mod words;

pub use lattice::Action;
pub use lattice::{Generalisation, Mask, Period};
pub use link::Link;
pub use transform::{Applied, Incremental, Scalar, Treatment, write_string};
pub use words::UnknownAction;
pub(crate) use words::distance;
