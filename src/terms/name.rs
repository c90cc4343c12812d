//! Names of things in a policy: cheap to clone, compared by text, safe to log. Never a person's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hex::{hex, read_hex};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as it stands in the rules.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<Arc<str>> for $type {
            fn from(text: Arc<str>) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(super) use name;

name!(
    /// A recipient: whoever personal data are disclosed to. Source: GDPR Art. 4(9).
    RecipientId
);
name!(
    /// A purpose of processing, a dotted path such as `service.support`. Source: GDPR Art. 5(1)(b).
    PurposeId
);
name!(
    /// A role a data subject plays on a route: `buyer`, `seller`, `member`.
    SubjectRole
);
name!(
    /// A backend, by the name that routes use.
    UpstreamId
);
name!(
    /// A route, as `METHOD /path/{template}`. Holds no value of a request, so it may be logged.
    RouteId
);
name!(
    /// An ISO 3166-1 alpha-2 country code, or the name of a region that the rules declare (`EEA`).
    Country
);
name!(
    /// The id of one decision, `d_` and a UUIDv7: joins log, ledger and answer.
    DecisionId
);

/// A SHA-256 digest. Prints as `sha-256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`. Source: FIPS 180-4.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of several texts, each behind its length: no two lists of texts are alike.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let add = |hash: sha2::Sha256, part: &&[u8]| {
            hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
        };
        Self(parts.iter().fold(sha2::Sha256::new(), add).finalize().into())
    }

    /// Wraps 32 bytes that already are a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hexadecimal digits, without the prefix.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads what [`Display`](fmt::Display) prints; also the bare digits. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            text.strip_prefix("sha-256:").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text);
        let mut bytes = [0; 32];
        read_hex(digits.as_bytes(), &mut bytes)?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha-256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn a_digest_reads_back_what_it_prints() {
        let digest = Digest::of(b"tamis");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.hex()), Some(digest));
        assert_eq!(Digest::parse("sha-256:00"), None);
    }
}
