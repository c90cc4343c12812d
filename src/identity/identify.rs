//! Credentials → caller, by the authenticators the policy declares.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::jwt::{self, TokenFault, Verified};
use super::{ApiKeys, IssuerKeys, SubjectAlternativeNames};
use crate::decide::Caller;
use crate::policy::Policy;
use crate::policy::model::Authenticator;
use crate::terms::{DataSubject, Personal, PurposeId, RecipientId, Role};

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

/// Recipients that one credential can stand for.
type Candidates<'p> = BTreeSet<&'p RecipientId>;

impl Identifier {
    /// Who asks, at `now`. `declared_purposes` is what `Tamis-Purpose` says; it never gives a right
    /// here, it only tells apart recipients that declare the very same credential (an app's user who
    /// sees their own data, and the same user who looks at others). Then the recipient is
    ///
    /// 1. the one that may pursue a purpose which the token is bound to,
    /// 2. of those, the one that may pursue all declared purposes,
    /// 3. of those, the one of role `self`;
    ///
    /// if that is still not one, nobody. A step that would leave none is passed over: the decision
    /// then refuses the purpose, which says more than that nobody was recognised.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn identify(
        &self,
        policy: &Policy,
        credentials: &Credentials<'_>,
        declared_purposes: &[PurposeId],
        now: Timestamp,
    ) -> Result<Caller, IdentityError> {
        let mut named: Vec<Candidates<'_>> = Vec::with_capacity(1);
        if let Some(certificate) = credentials.certificate {
            named.push(by_certificate(policy, certificate)?);
        }
        if let Some(key) = only_one(&credentials.api_keys)? {
            named.push(self.by_api_key(policy, key)?);
        }
        let mut token = None;
        if let Some(header) = only_one(&credentials.authorization)? {
            let (issuer, verified) = self.verified(bearer(header)?, now)?;
            named.push(by_token(policy, &issuer, &verified)?);
            token = Some(verified);
        }
        let all_name = named
            .into_iter()
            .reduce(|all, next| all.intersection(&next).copied().collect())
            .ok_or(IdentityError::Missing)?;
        let bound = token.as_ref().and_then(|token| token.purposes.as_deref());
        let recipient = told_apart(policy, &all_name, bound, declared_purposes)
            .ok_or(IdentityError::Contradictory)?;
        Ok(caller(policy, recipient, token))
    }

    fn by_api_key<'p>(
        &self,
        policy: &'p Policy,
        key: &[u8],
    ) -> Result<Candidates<'p>, IdentityError> {
        let references = self.api_keys.references(key);
        declaring(policy, |authenticator| match authenticator {
            Authenticator::ApiKey { reference } => references.contains(&reference.as_str()),
            Authenticator::MtlsDns(_) | Authenticator::MtlsUri(_) | Authenticator::Jwt { .. } => {
                false
            }
        })
    }

    fn verified(&self, token: &str, now: Timestamp) -> Result<(String, Verified), IdentityError> {
        let fault = |fault| match fault {
            TokenFault::Malformed => IdentityError::Malformed,
            TokenFault::Refused | TokenFault::UnknownKey => IdentityError::TokenRefused,
        };
        let issuer = jwt::claimed_issuer(token).map_err(fault)?;
        let keys = self.issuers.get(&issuer).ok_or(IdentityError::Unknown)?;
        let verified = keys.verify(token, now).ok_or(IdentityError::KeysMissing)?;
        Ok((issuer, verified.map_err(fault)?))
    }
}

/// The one value of a header that must not stand there twice: of two, each reader takes another.
fn only_one<'a>(values: &[&'a [u8]]) -> Result<Option<&'a [u8]>, IdentityError> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        [_, _, ..] => Err(IdentityError::Contradictory),
    }
}

/// The token of `Authorization: Bearer …`. Source: RFC 6750 §2.1.
fn bearer(header: &[u8]) -> Result<&str, IdentityError> {
    let text = std::str::from_utf8(header).map_err(|_| IdentityError::Malformed)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(IdentityError::Malformed)?;
    let token = token.trim_start();
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(of_token) {
        Ok(token)
    } else {
        Err(IdentityError::Malformed)
    }
}

/// Recipients that declare one of a certificate's names. Two names of one certificate that belong to
/// different recipients contradict each other.
fn by_certificate<'p>(
    policy: &'p Policy,
    names: &SubjectAlternativeNames,
) -> Result<Candidates<'p>, IdentityError> {
    let of_dns = names.dns.iter().map(|name| {
        declaring(policy, |authenticator| match authenticator {
            Authenticator::MtlsDns(declared) => declared.eq_ignore_ascii_case(name),
            Authenticator::MtlsUri(_)
            | Authenticator::Jwt { .. }
            | Authenticator::ApiKey { .. } => false,
        })
    });
    let of_uris = names.uris.iter().map(|uri| {
        declaring(policy, |authenticator| match authenticator {
            Authenticator::MtlsUri(declared) => declared == uri,
            Authenticator::MtlsDns(_)
            | Authenticator::Jwt { .. }
            | Authenticator::ApiKey { .. } => false,
        })
    });
    let mut found = of_dns.chain(of_uris).filter_map(Result::ok);
    let first = found.next().ok_or(IdentityError::Unknown)?;
    if found.all(|other| other == first) { Ok(first) } else { Err(IdentityError::Contradictory) }
}

/// Recipients that declare the token's issuer and client. One that declares the issuer without a
/// client takes tokens of every client that no other recipient declares, so that an app's token never
/// passes for its user's own.
fn by_token<'p>(
    policy: &'p Policy,
    token_issuer: &str,
    token: &Verified,
) -> Result<Candidates<'p>, IdentityError> {
    let of_client = |wanted: Option<&str>| {
        declaring(policy, |authenticator| match authenticator {
            Authenticator::Jwt { issuer, client, .. } => {
                issuer == token_issuer && client.as_deref() == wanted
            }
            Authenticator::MtlsDns(_)
            | Authenticator::MtlsUri(_)
            | Authenticator::ApiKey { .. } => false,
        })
    };
    match token.client.as_deref() {
        Some(client) => of_client(Some(client)).or_else(|_| of_client(None)),
        None => of_client(None),
    }
}

fn declaring(
    policy: &Policy,
    is_it: impl Fn(&Authenticator) -> bool,
) -> Result<Candidates<'_>, IdentityError> {
    let candidates: Candidates<'_> = policy
        .recipients
        .iter()
        .filter(|(_, recipient)| recipient.authenticate.iter().any(&is_it))
        .map(|(id, _)| id)
        .collect();
    if candidates.is_empty() { Err(IdentityError::Unknown) } else { Ok(candidates) }
}

/// The steps that [`Identifier::identify`] documents.
fn told_apart<'p>(
    policy: &Policy,
    candidates: &Candidates<'p>,
    bound: Option<&[PurposeId]>,
    declared: &[PurposeId],
) -> Option<&'p RecipientId> {
    let may = |id: &RecipientId, purpose: &PurposeId| {
        policy.recipients.get(id).is_some_and(|found| found.purposes.contains(purpose))
    };
    let steps: [&dyn Fn(&RecipientId) -> bool; 3] = [
        &|id| bound.is_none_or(|bound| bound.iter().any(|purpose| may(id, purpose))),
        &|id| declared.iter().all(|purpose| may(id, purpose)),
        &|id| policy.recipients.get(id).is_some_and(|found| found.role == Role::Own),
    ];
    let mut left: Vec<&RecipientId> = candidates.iter().copied().collect();
    for step in steps {
        if left.len() < 2 {
            break;
        }
        let fitting: Vec<_> = left.iter().copied().filter(|id| step(id)).collect();
        if !fitting.is_empty() {
            left = fitting;
        }
    }
    match left[..] {
        [recipient] => Some(recipient),
        _ => None,
    }
}

fn caller(policy: &Policy, recipient: &RecipientId, token: Option<Verified>) -> Caller {
    let declared = policy.recipients.get(recipient);
    // The `sub` of a token that an app or a partner holds for itself is no person who asks.
    let speaks_for_a_person = declared.is_some_and(|found| match found.role {
        Role::Own | Role::User | Role::Internal => true,
        Role::Processor
        | Role::Joint
        | Role::ThirdParty
        | Role::Authority
        | Role::Successor
        | Role::Public => false,
    });
    let (subject, bound) = token.map_or((None, None), |token| (token.subject, token.purposes));
    let person: Option<DataSubject> = subject
        .filter(|_| speaks_for_a_person)
        .map(|subject| Personal::new(Arc::from(subject.expose().as_str())));
    // A token that names purposes of which the recipient has none leaves it with none.
    let purposes = bound.map(|bound| {
        let theirs =
            |purpose: &PurposeId| declared.is_some_and(|found| found.purposes.contains(purpose));
        bound.into_iter().filter(theirs).collect()
    });
    Caller { recipient: recipient.clone(), person, purposes }
}
