//! Credentials → caller, by the authenticators the policy declares.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{ApiKeys, IssuerKeys, SubjectAlternativeNames};
use crate::decide::Caller;
use crate::policy::Policy;

/// What a request carries to say who asks. Borrowed: nothing here outlives the request.
#[derive(Default)]
pub struct Credentials<'a> {
    /// Names of the verified client certificate, if there is one.
    pub certificate: Option<&'a SubjectAlternativeNames>,
    /// Every `Authorization` header, as it came.
    pub authorization: Vec<&'a [u8]>,
    /// Every `Tamis-Api-Key` header, as it came.
    pub api_keys: Vec<&'a [u8]>,
}

/// Establishes who asks.
pub struct Identifier {
    /// Keys by issuer.
    pub issuers: HashMap<String, Arc<IssuerKeys>>,
    /// API keys by reference.
    pub api_keys: ApiKeys,
}

/// Why nobody was recognised. For the operator; the client learns only `recipient-unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No credential at all.
    #[error("no credential")]
    Missing,
    /// A credential that no recipient declares.
    #[error("credential of no recipient")]
    Unknown,
    /// A malformed credential.
    #[error("malformed credential")]
    Malformed,
    /// A token that does not verify.
    #[error("token refused")]
    TokenRefused,
    /// Two credentials, or two headers, that name different recipients.
    #[error("credentials contradict each other")]
    Contradictory,
    /// The issuer's keys are not there.
    #[error("keys of the issuer are missing")]
    KeysMissing,
}

impl Identifier {
    /// Who asks, at `now`.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn identify(
        &self,
        policy: &Policy,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Caller, IdentityError> {
        let _ = (policy, credentials, now);
        todo!("identity")
    }
}
