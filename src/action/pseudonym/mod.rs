//! Pseudonyms and tokens: keyed, per domain. A pseudonym is still personal data (GDPR Art. 4(5)).
//!
//! A [`RootKey`] and a [`Domain`] give a [`DomainKey`]; a domain key and a value, brought to one form
//! by [`Canonical`], give a pseudonym (one way) or a token (which the gateway can open again); for numbers
//! that must stay numbers there is a permutation of digits. Keys
//! come in as arguments: nothing here reads a file, a clock or a source of randomness.
//! Source: docs/OPERATIONS.md, "Keys"; ENISA, Pseudonymisation techniques and best practices.

pub(crate) mod base32;
mod canonical;
mod ff1;
mod key;
mod punycode;
mod returned;
mod scope;
mod short;

pub use canonical::Canonical;
pub use key::{Domain, DomainKey, RootKey, Use};
pub use returned::{TokenKeys, is_token};
pub use scope::Scope;
pub(super) use short::ShortValue;
