//! API keys, kept as SHA-256 and compared in constant time. They are 256 random bits, so a fast hash
//! is enough: there is nothing to guess.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq;

use crate::terms::Digest;

/// Longest key that is looked at. Ours have 43 characters.
const KEY_BYTES: usize = 512;

/// Hashes of API keys by reference.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    digests: BTreeMap<String, Digest>,
}

impl ApiKeys {
    /// Takes the SHA-256 of each key by the name that the rules call it.
    #[must_use]
    pub const fn new(digests: BTreeMap<String, Digest>) -> Self {
        Self { digests }
    }

    /// The references of `key`; more than one if the same key was entered twice. Every entry is
    /// compared, each in constant time, so that neither which one matched nor how far a guess agreed
    /// can be timed.
    #[must_use]
    pub fn references(&self, key: &[u8]) -> Vec<&str> {
        if key.is_empty() || key.len() > KEY_BYTES {
            return Vec::new();
        }
        let digest = Digest::of(key);
        let matches = |entry: &Digest| bool::from(entry.as_bytes().ct_eq(digest.as_bytes()));
        self.digests
            .iter()
            .map(|(reference, entry)| (reference, matches(entry)))
            .filter(|(_, matches)| *matches)
            .map(|(reference, _)| reference.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_hash_only() {
        let digests =
            [("advertiser", "key-one"), ("web-analytics", "key-two"), ("twin", "key-two")]
                .map(|(reference, key)| (reference.to_owned(), Digest::of(key.as_bytes())));
        let keys = ApiKeys::new(digests.into());
        let long = [b'x'; KEY_BYTES + 1];
        let cases: [(&[u8], &[&str]); 6] = [
            (b"key-one", &["advertiser"]),
            (b"key-two", &["twin", "web-analytics"]),
            (b"key-one ", &[]),
            (b"advertiser", &[]),
            (b"", &[]),
            (&long, &[]),
        ];
        for (key, expected) in cases {
            assert_eq!(keys.references(key), expected);
        }
        assert!(!format!("{keys:?}").contains("key-one"));
    }
}
