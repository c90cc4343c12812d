//! Who asks: client certificate, JSON Web Token or API key → [`Caller`](crate::decide::Caller).

mod api_key;
mod identify;
mod jwks;
mod jwt;
mod mtls;

pub use api_key::ApiKeys;
pub use identify::{Credentials, Identifier, IdentityError};
pub use jwks::{Issuer, IssuerKeys};
pub use mtls::SubjectAlternativeNames;
