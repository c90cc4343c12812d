//! The key ring: root keys by version, and the domain keys derived from them.
//!
//! A key never appears in an error, a log or a `Debug` text. A ring that cannot be read, that others
//! can read, or that has no key is refused: there is no default key to fall back to.

mod cosignature;
mod derived;
mod entries;
mod index;
mod life;
mod note;
mod place;
mod ring;
mod sealed;
mod token;
mod treatments;
mod vault;
mod webhook;

pub use cosignature::WitnessKey;
pub use life::{Standing, VersionStatus};
pub use note::{NoteError, NoteKey, NoteSigner};
pub use place::KeyRingPlace;
pub use ring::{ENVIRONMENT, KeyRing, KeyRingError};
pub use token::{ServiceToken, ServiceTokenError};
pub use treatments::Treating;
pub use vault::{VaultTransit, WrapError};
pub use webhook::{WebhookSecret, WebhookSecretError};
