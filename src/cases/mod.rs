//! Cases: what a policy must release, written down as examples and played without a network.
//!
//! A pack is a folder with `rules.yaml`, `promises.yaml` and `cases/*.yaml`. `read` takes the cases
//! in, `play` runs each through the gateway's own walk, `difference` says how an answer differs from
//! the expected one, `coverage` counts promises against rules and cases. The people in cases are
//! invented, so a failure may show their values; nothing else here ever sees a value of a person.

pub mod coverage;
mod difference;
pub mod pack;
mod play;
pub mod promises;
mod read;
mod said;

pub use coverage::Coverage;
pub use pack::{Pack, PackError};
pub use play::{Verdict, play};
pub use read::{Case, Exchange, Expected};
