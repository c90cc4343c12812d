//! JSON Web Tokens. Source: RFC 7519, RFC 8725 (best current practices), RFC 9068, RFC 9396.
//!
//! The algorithm is pinned by the issuer's configuration and by the key; the header only has to agree.
//! Keys come from the issuer's set and never from the token. Errors say nothing of what was in it.

use jiff::Timestamp;
use jsonwebtoken::{Header, crypto, decode_header};
use serde::Deserialize;

use super::jwks::{KeySet, TokenAlgorithm};
use crate::terms::{Personal, PurposeId};

/// Largest token. Real ones have one or two KiB; header limits of servers are beyond this.
pub(super) const TOKEN_BYTES: usize = 16 * 1024;

/// How far the clocks of issuer and gateway may be apart.
const LEEWAY_SECONDS: f64 = 60.0;

/// What a scope word or an authorization detail must begin with or be, to name purposes.
const SCOPE_PREFIX: &str = "purpose:";
const DETAIL_TYPE: &str = "tamis";

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    /// Not a token, or one that contradicts itself.
    #[error("malformed token")]
    Malformed,
    /// Wrong signature, algorithm, audience or time.
    #[error("token refused")]
    Refused,
    /// Its key is not in the issuer's set.
    #[error("token of an unknown key")]
    UnknownKey,
}

/// Claims that decide, of a token that verified.
#[derive(Debug)]
pub(super) struct Verified {
    /// `azp` or `client_id`.
    pub(super) client: Option<String>,
    /// `sub`.
    pub(super) subject: Option<Personal<String>>,
    /// The purposes that the token is bound to; `None`: it names none.
    pub(super) purposes: Option<Vec<PurposeId>>,
}

/// Claims as they stand. Members that are not named here say nothing to us.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    sub: Option<String>,
    azp: Option<String>,
    client_id: Option<String>,
    scope: Option<OneOrMany>,
    authorization_details: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn words(&self) -> impl Iterator<Item = &str> {
        let words = match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        };
        words.iter().map(String::as_str)
    }
}

/// The issuer that an unverified token names: only to find the keys that may verify it.
pub(super) fn claimed_issuer(token: &str) -> Result<String, TokenFault> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > TOKEN_BYTES {
        return Err(TokenFault::Malformed);
    }
    let claims: Issuer = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| TokenFault::Malformed)?;
    Ok(claims.iss)
}

/// Verifies `token`, whose issuer the caller has looked up by [`claimed_issuer`].
pub(super) fn verify(
    token: &str,
    keys: &KeySet,
    algorithms: &[TokenAlgorithm],
    audience: &str,
    issuer: &str,
    now: Timestamp,
) -> Result<Verified, TokenFault> {
    verify_signature(token, keys, algorithms)?;
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| TokenFault::Malformed)?;
    // Whole seconds up to the year 9999 are exact in a double.
    #[allow(clippy::cast_precision_loss, reason = "seconds of this era have 34 bits")]
    let now = now.as_second() as f64;
    let in_time = claims.exp.is_finite()
        && now < claims.exp + LEEWAY_SECONDS
        && claims.nbf.is_none_or(|begins| now + LEEWAY_SECONDS >= begins);
    let for_us = claims.aud.words().any(|word| word == audience);
    if claims.iss != issuer || !for_us || !in_time {
        return Err(TokenFault::Refused);
    }
    let purposes = purposes(&claims)?;
    let client = match (claims.azp, claims.client_id) {
        (Some(one), Some(other)) if one != other => return Err(TokenFault::Malformed),
        (one, other) => one.or(other),
    };
    let subject = claims.sub.filter(|subject| !subject.is_empty()).map(Personal::new);
    Ok(Verified { client, subject, purposes })
}

/// Verifies header and signature.
pub(super) fn verify_signature(
    token: &str,
    keys: &KeySet,
    algorithms: &[TokenAlgorithm],
) -> Result<(), TokenFault> {
    if token.len() > TOKEN_BYTES {
        return Err(TokenFault::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    if message.matches('.').count() != 1 || signature.is_empty() {
        return Err(TokenFault::Malformed);
    }
    let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
    let algorithm = TokenAlgorithm::of(header.alg).ok_or(TokenFault::Refused)?;
    if !algorithms.contains(&algorithm) || !is_plain(&header) {
        return Err(TokenFault::Refused);
    }
    let key = keys.find(header.kid.as_deref()).ok_or(TokenFault::UnknownKey)?;
    if key.algorithm != algorithm {
        return Err(TokenFault::Refused);
    }
    match crypto::verify(signature, message.as_bytes(), &key.key, algorithm.jose()) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(TokenFault::Refused),
    }
}

/// Whether a header asks for nothing that we do not do. One that brings or points to a key, demands
/// an extension, or says that it is another kind of token is not ours (RFC 7515 §4.1.11, RFC 8725
/// §3.10, §3.11).
fn is_plain(header: &Header) -> bool {
    let kind = header.typ.as_deref().map(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned)
    });
    matches!(kind.as_deref(), None | Some("jwt" | "at+jwt"))
        && header.jku.is_none()
        && header.jwk.is_none()
        && header.x5u.is_none()
        && header.crit.is_none()
        && header.enc.is_none()
        && header.zip.is_none()
        && !header.extras.inner().contains_key("b64")
}

/// The purposes that the token names: scope words `purpose:‹id›` and authorization details of type
/// `tamis`. Where it names some in both ways, those that stand in both.
fn purposes(claims: &Claims) -> Result<Option<Vec<PurposeId>>, TokenFault> {
    let scope = claims.scope.as_ref().map(|scope| {
        scope
            .words()
            .flat_map(str::split_ascii_whitespace)
            .filter_map(|word| word.strip_prefix(SCOPE_PREFIX))
            .map(PurposeId::from)
            .collect::<Vec<_>>()
    });
    let scope = scope.filter(|purposes| !purposes.is_empty());
    let mut details: Option<Vec<PurposeId>> = None;
    for detail in claims.authorization_details.iter().flatten() {
        let kind =
            detail.get("type").and_then(|kind| kind.as_str()).ok_or(TokenFault::Malformed)?;
        if kind != DETAIL_TYPE {
            continue;
        }
        // A detail of ours that cannot be read was meant to narrow; ignoring it would widen.
        let named = detail.get("purposes").and_then(|list| list.as_array());
        for purpose in named.ok_or(TokenFault::Malformed)? {
            let purpose = purpose.as_str().ok_or(TokenFault::Malformed)?;
            details.get_or_insert_default().push(PurposeId::from(purpose));
        }
        details.get_or_insert_default();
    }
    Ok(match (scope, details) {
        (None, named) | (named, None) => named,
        (Some(scope), Some(details)) => {
            Some(scope.into_iter().filter(|purpose| details.contains(purpose)).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Suite {
        #[serde(rename = "testGroups")]
        groups: Vec<Group>,
    }

    #[derive(Deserialize)]
    struct Group {
        public: Option<serde_json::Value>,
        private: Option<serde_json::Value>,
        tests: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        #[serde(rename = "tcId")]
        id: u32,
        comment: String,
        jws: String,
        result: String,
    }

    const ALL: [TokenAlgorithm; 3] =
        [TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa];

    /// Runs a file; returns which tokens were accepted and how many were refused.
    fn run(suite: &str) -> (Vec<u32>, usize) {
        let suite: Suite = serde_json::from_str(suite).expect("a vendored file");
        let (mut accepted, mut refused) = (Vec::new(), 0);
        for group in suite.groups {
            // Symmetric groups have no public key: what a verifier would hold is the secret itself.
            let Some(key) = group.public.or(group.private) else { continue };
            let set =
                if key.get("keys").is_some() { key } else { serde_json::json!({"keys": [key]}) };
            let keys = KeySet::parse(set.to_string().as_bytes());
            for case in group.tests {
                let keys = keys.as_ref().map_err(|_| TokenFault::UnknownKey);
                let verified = keys.and_then(|keys| verify_signature(&case.jws, keys, &ALL));
                match verified {
                    Ok(()) => {
                        assert_eq!(case.result, "valid", "{} {}", case.id, case.comment);
                        accepted.push(case.id);
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        (accepted, refused)
    }

    #[test]
    fn wycheproof_signatures_that_are_invalid_are_refused() {
        let suite = include_str!("../../tests/data/wycheproof/json_web_signature_test.json");
        let (accepted, refused) = run(suite);
        // The valid ones of RS256 and ES256 on P-256; other algorithms are refused whatever they say.
        assert_eq!(accepted, [18, 33, 259, 260, 261, 262, 349, 378]);
        assert_eq!(accepted.len() + refused, 296);
    }

    #[test]
    fn wycheproof_keys_that_are_unfit_verify_nothing() {
        let suite = include_str!("../../tests/data/wycheproof/json_web_key_test.json");
        let (accepted, refused) = run(suite);
        assert_eq!(accepted, [0; 0], "all of them are symmetric or unfit");
        assert_eq!(refused, 19);
    }

    /// Headers that are signed and true, and still ask for what we do not do.
    #[test]
    fn a_signed_header_that_brings_a_key_or_demands_an_extension_is_refused() {
        use jsonwebtoken::{Algorithm, EncodingKey};

        let key = rcgen::KeyPair::generate().expect("a key");
        let encoding = EncodingKey::from_ec_der(key.serialized_der());
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&encoding, Algorithm::ES256);
        let jwk = jwk.expect("a key");
        let set = jsonwebtoken::jwk::JwkSet { keys: vec![jwk.clone()] };
        let set = serde_json::to_vec(&set).expect("JSON");
        let keys = KeySet::parse(&set).expect("a set");
        let verified = |change: &dyn Fn(&mut Header), algorithms: &[TokenAlgorithm]| {
            let mut header = Header::new(Algorithm::ES256);
            change(&mut header);
            let body = serde_json::json!({});
            let token = jsonwebtoken::encode(&header, &body, &encoding).expect("signs");
            verify_signature(&token, &keys, algorithms)
        };
        let fine: [&dyn Fn(&mut Header); 3] = [&|_| {}, &|header| header.typ = None, &|header| {
            header.typ = Some("application/at+JWT".to_owned());
        }];
        for change in fine {
            assert_eq!(verified(change, &ALL), Ok(()));
        }
        let address = || Some("https://evil.example/keys".to_owned());
        let refused: [&dyn Fn(&mut Header); 5] = [
            &|header| header.jku = address(),
            &|header| header.x5u = address(),
            &|header| header.jwk = Some(jwk.clone()),
            &|header| header.crit = Some(vec!["exp".to_owned()]),
            &|header| header.typ = Some("logout+jwt".to_owned()),
        ];
        for change in refused {
            assert_eq!(verified(change, &ALL), Err(TokenFault::Refused));
        }
        let other_key: &dyn Fn(&mut Header) = &|header| header.kid = Some("other".to_owned());
        assert_eq!(verified(other_key, &ALL), Err(TokenFault::UnknownKey));
        assert_eq!(verified(&|_| {}, &[TokenAlgorithm::Rs256]), Err(TokenFault::Refused));
    }
}
