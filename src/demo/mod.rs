//! Three small backends with invented people, and the stage on which the demo shows them.
//!
//! The backends are careless on purpose: they send members that nobody catalogued, headers that
//! hold an e-mail address, error pages that say too much, and JSON spelt in odd but lawful ways.
//! They are for the demo and the tests; nothing below this layer may use them.

mod backend;
mod client;
mod dice;
mod indent;
mod json_text;
mod locks;
mod marketplace;
mod payments;
mod people;
mod script;
mod settings;
mod stage;
mod statements;
mod tour;

pub use backend::{Backend, BackendKind};
pub use client::{Answer, Client, ClientError};
pub use people::{Corner, DEMO_COUNT, DEMO_SEED, FIRST_NUMBER, People, Person};
pub use script::Show;
pub use settings::StageListen;
pub use stage::{Credential, Stage, StageError};
pub use tour::{Addresses, TourError, tour};
