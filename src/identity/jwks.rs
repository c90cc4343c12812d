//! JWK sets: the keys that tokens may be verified with, and nothing else of what a set may hold.
//! Source: RFC 7517, RFC 7518, RFC 8725 §3.1 (one algorithm a key).

use std::collections::HashMap;
use std::fmt;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

/// Most keys of one set. Issuers have two or three; more is no key set but a burden.
const KEYS: usize = 64;

/// Smallest RSA modulus. Source: RFC 7518 §3.3.
const RSA_MODULUS_BYTES: usize = 256;

/// Algorithms of token signatures. Symmetric ones are not among them: whoever can verify with such a
/// key can sign with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Curve25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// Reads a JOSE name: `RS256`, `ES256`, `EdDSA`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The algorithm that a token's header names, if it is one of ours.
    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::RS256 => Some(Self::Rs256),
            Algorithm::ES256 => Some(Self::Es256),
            Algorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(super) const fn jose(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// A key and the one algorithm that it verifies.
pub(super) struct VerificationKey {
    pub(super) algorithm: TokenAlgorithm,
    pub(super) key: DecodingKey,
}

/// The usable keys of a set, by id.
pub(super) struct KeySet {
    keys: HashMap<Option<String>, VerificationKey>,
}

/// The text is no JWK set with a usable key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JWK set with a usable signature key")]
pub(super) struct NotAKeySet;

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}

impl KeySet {
    /// Reads a set. Keys for other uses, of other kinds or sizes, and symmetric or private ones are
    /// left out. An id that two keys share names neither.
    pub(super) fn parse(text: &[u8]) -> Result<Self, NotAKeySet> {
        #[derive(serde::Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(|_| NotAKeySet)?;
        if set.keys.len() > KEYS {
            return Err(NotAKeySet);
        }
        let mut keys = HashMap::new();
        let mut seen = HashMap::<Option<String>, usize>::new();
        for value in set.keys {
            // Counted before it is judged: of two keys under one id, neither is the right one.
            let id = value.get("kid").and_then(|id| id.as_str()).map(str::to_owned);
            *seen.entry(id.clone()).or_default() += 1;
            if let Some(key) = usable(value) {
                keys.insert(id, key);
            }
        }
        keys.retain(|id, _| seen.get(id) == Some(&1));
        if keys.is_empty() { Err(NotAKeySet) } else { Ok(Self { keys }) }
    }

    /// The key of that id. A token without one is verified with the only key there is, if it is one.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&VerificationKey> {
        match id {
            Some(id) => self.keys.get(&Some(id.to_owned())),
            None => self.keys.values().next().filter(|_| self.keys.len() == 1),
        }
    }
}

fn usable(value: serde_json::Value) -> Option<VerificationKey> {
    // A private key in a published set is known to everybody.
    if value.get("d").is_some() {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature))
        && jwk
            .common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !for_signatures {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (TokenAlgorithm::Rs256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (TokenAlgorithm::Es256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            (TokenAlgorithm::EdDsa, KeyAlgorithm::EdDSA)
        }
        // Other curves, symmetric keys, and what is not known yet.
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|declared| declared != name) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = key.kind()
        && n.iter().skip_while(|byte| **byte == 0).count() < RSA_MODULUS_BYTES
    {
        return None;
    }
    Some(VerificationKey { algorithm, key })
}
