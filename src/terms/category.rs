//! Categories of personal data and the patterns that rules use to name several of them.

use std::fmt;

use super::name::name;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

name!(
    /// A category of personal data, a dotted path such as `contact.email`.
    /// Source: W3C DPV-PD; GDPR Art. 13(1), 30(1)(c).
    CategoryId
);

/// One category, a subtree (`contact.*`) or all (`*`), as written in `release` and `limits`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryPattern(Arc<str>);

impl CategoryPattern {
    /// Takes the pattern as written. Whether it names a declared category is the compiler's question.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this covers `category`: equal, beneath `prefix.*`, or `*`.
    #[must_use]
    pub fn covers(&self, category: &CategoryId) -> bool {
        covers(&self.0, category.as_str())
    }

    /// How specific the pattern is; the most specific one of a `show` map decides.
    /// An exact name beats every subtree, a longer subtree beats a shorter, `*` is last.
    #[must_use]
    pub fn specificity(&self) -> usize {
        match self.0.strip_suffix('*') {
            Some(prefix) => prefix.len(),
            None => usize::MAX,
        }
    }
}

impl fmt::Display for CategoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CategoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Dotted-path matching shared by categories and purposes: `a.*` covers what lies beneath `a`,
/// not `a` itself and not `ab`.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) if prefix.ends_with('.') => name.starts_with(prefix),
        Some(_) => false,
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::{CategoryId, CategoryPattern};

    #[test]
    fn a_pattern_covers_its_subtree_and_nothing_beside_it() {
        let cases = [
            ("*", "contact.email", true),
            ("contact.*", "contact.email", true),
            ("contact.*", "contact", false),
            ("contact.*", "contacts.email", false),
            ("con*", "contact.email", false),
            ("contact.email", "contact.email", true),
        ];
        for (pattern, category, expected) in cases {
            let covered = CategoryPattern::new(pattern).covers(&CategoryId::from(category));
            assert_eq!(covered, expected, "{pattern} on {category}");
        }
    }
}
