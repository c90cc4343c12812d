//! Who asks: client certificate, JSON Web Token or API key → [`Caller`](crate::decide::Caller).
//!
//! A credential is good only if it verifies and names a recipient of the policy. Every credential
//! that a request presents must be good and all must name the same recipient: one bad one refuses the
//! request, whatever stands beside it. Nothing is taken from a header that is not itself verified.

mod api_key;
pub mod development;
mod fetch;
mod identify;
mod issuer;
mod jwks;
mod jwt;
mod mtls;

pub use api_key::ApiKeys;
pub use identify::{Credentials, Identifier, IdentityError};
pub use issuer::{Issuer, IssuerError, IssuerKeys, KeySource};
pub use jwks::TokenAlgorithm;
pub use mtls::SubjectAlternativeNames;
