//! Tokens on their way back in: what a recipient was given, as it sends it.

use std::fmt;

use super::{Canonical, DomainKey};
use crate::terms::Personal;

/// Whether a text has the look of a token: `tk`, a version, `_`. Such a text is opened, or stands for
/// nobody; it is never taken for a value of its own.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let Some((mark, rest)) = text.split_at_checked(2) else { return false };
    let version = rest.split_once('_').map(|(version, _)| version);
    mark.eq_ignore_ascii_case("tk")
        && version.is_some_and(|version| {
            !version.is_empty() && version.bytes().all(|figure| figure.is_ascii_digit())
        })
}

/// What opens the tokens of one category: the keys of those whose tokens may be sent, in every version
/// that the key ring still has.
pub struct TokenKeys {
    canonical: Canonical,
    keys: Vec<DomainKey>,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys(‹withheld›)")
    }
}

impl TokenKeys {
    /// Takes the keys; `canonical` is the category's.
    #[must_use]
    pub const fn new(canonical: Canonical, keys: Vec<DomainKey>) -> Self {
        Self { canonical, keys }
    }

    /// The value, in its canonical form. `None` for a token of somebody else, of another category or
    /// policy, of a retired key, changed, or made up: nothing tells these apart.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<Personal<String>> {
        self.keys.iter().find_map(|key| key.open_token(self.canonical, token))
    }
}

#[cfg(test)]
mod tests {
    use super::is_token;

    #[test]
    fn what_looks_like_a_token_is_one_or_nothing() {
        for (text, expected) in [
            ("tk1_mgvzygkk", true),
            ("TK12_MGVZ", true),
            ("tk1_", true),
            ("tk1_not!base32", true),
            ("tk0_a", true),
            ("tk1", false),
            ("tk_a", false),
            ("tk+1_a", false),
            ("tkx_a", false),
            ("ps1_mgvzygkk", false),
            ("t", false),
            ("", false),
            ("ẗk1_a", false),
            ("u1", false),
        ] {
            assert_eq!(is_token(text), expected, "{text}");
        }
    }
}
