//! The key ring: root keys by version, and the domain keys derived from them.

mod ring;

pub use ring::{KeyRing, KeyRingError};
