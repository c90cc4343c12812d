//! Calls to services outside: the one HTTPS client for all of them, but for backends.
//!
//! What is called is an address of the settings or the rules; TLS proves who answers, a redirect is never
//! followed, and neither time nor the size of an answer is without a bound.

mod client;
pub mod pem;
mod trust;

pub use client::{Answer, Bounds, CallFault, HttpsClient, Schemes};
pub use pem::PemError;
pub use trust::{CertificateFiles, Trust, TrustError};
