//! How far a pseudonym reaches: who can link what to what. One recipient's always stay its own.

use std::fmt;

/// Within what a recipient can link. Ordered by strictness only in part: a case and a purpose do not
/// compare, and meet at both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One recipient links over time; two recipients cannot compare.
    #[default]
    Recipient,
    /// One recipient's purposes cannot be joined either.
    RecipientAndPurpose,
    /// One recipient links within one case that it works on; the case's id is
    /// [`Domain::extra`](super::Domain::extra).
    Case,
    /// Within one case and one purpose.
    CaseAndPurpose,
    /// Nothing links from one answer to the next; the decision's id is
    /// [`Domain::extra`](super::Domain::extra).
    Response,
}

impl Scope {
    /// Every scope, the widest first.
    pub const ALL: [Self; 5] = [
        Self::Recipient,
        Self::RecipientAndPurpose,
        Self::Case,
        Self::CaseAndPurpose,
        Self::Response,
    ];

    /// The narrower of both: what links by it links by each.
    #[must_use]
    pub const fn join(self, other: Self) -> Self {
        if matches!(self, Self::Response) || matches!(other, Self::Response) {
            return Self::Response;
        }
        match (
            self.ends_with_case() || other.ends_with_case(),
            self.by_purpose() || other.by_purpose(),
        ) {
            (false, false) => Self::Recipient,
            (false, true) => Self::RecipientAndPurpose,
            (true, false) => Self::Case,
            (true, true) => Self::CaseAndPurpose,
        }
    }

    /// Whether what is linked by this scope is linked by `other` as well.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.join(other) == self
    }

    /// Whether two purposes of a recipient are kept apart by name.
    #[must_use]
    pub const fn by_purpose(self) -> bool {
        matches!(self, Self::RecipientAndPurpose | Self::CaseAndPurpose)
    }

    /// Whether two cases are kept apart by name.
    #[must_use]
    pub const fn ends_with_case(self) -> bool {
        matches!(self, Self::Case | Self::CaseAndPurpose)
    }

    /// As it enters the derivation of a key. Part of the format: it can never change.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::RecipientAndPurpose => "recipient+purpose",
            Self::Case => "case",
            Self::CaseAndPurpose => "case+purpose",
            Self::Response => "response",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_meet_at_the_narrower_in_any_order() {
        for one in Scope::ALL {
            assert_eq!(one.join(one), one);
            assert!(one.is_within(Scope::Recipient) && Scope::Response.is_within(one));
            for other in Scope::ALL {
                let both = one.join(other);
                assert_eq!(both, other.join(one));
                assert!(both.is_within(one) && both.is_within(other));
                for third in Scope::ALL {
                    assert_eq!(both.join(third), one.join(other.join(third)));
                }
            }
        }
        assert_eq!(Scope::Case.join(Scope::RecipientAndPurpose), Scope::CaseAndPurpose);
        assert!(!Scope::Case.is_within(Scope::RecipientAndPurpose));
    }
}
