//! What a request can be done under besides a person's own word: a legal order, or a case.
//!
//! Both are entered beforehand, name the people they are about, and end. An order is the only thing
//! that widens what is disclosed, and it does so for its own people and categories only.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{CategoryId, PurposeId, RecipientId};

/// An order of a court, a regulator or the police, as it stands in the register. Which people it
/// names stands with them. Source: GDPR Art. 6(1)(c), 23.
#[derive(Clone, PartialEq, Eq)]
pub struct LegalOrder {
    /// Its id in the register; no personal value.
    pub id: Arc<str>,
    /// The recipient that may rely on it.
    pub recipient: RecipientId,
    /// What it asks for, one by one; never a subtree.
    pub categories: Vec<CategoryId>,
    /// From when on.
    pub from: Timestamp,
    /// Until when; an order without an end is none.
    pub until: Timestamp,
    /// Until when the people it names must not be told.
    pub gag_until: Option<Timestamp>,
    /// Who has approved it; each counts once.
    pub approved_by: BTreeSet<Arc<str>>,
    /// It was lifted.
    pub lifted: bool,
}

impl LegalOrder {
    /// Whether it may be relied on at `now`, with the number of different approvers the rules ask for.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp, approvers: usize) -> bool {
        !self.lifted
            && self.from <= now
            && now < self.until
            && !self.categories.is_empty()
            && self.approved_by.len() >= approvers
    }
}

/// A case that somebody works on: an investigation, a claim.
#[derive(Clone, PartialEq, Eq)]
pub struct Case {
    /// Its id in the register; no personal value.
    pub id: Arc<str>,
    /// The purposes it was opened for.
    pub purposes: Vec<PurposeId>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when; `None`: until it is closed.
    pub until: Option<Timestamp>,
    /// It was closed.
    pub closed: bool,
}

impl Case {
    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.closed && self.opened_at <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Longest id of an order or a case.
const ID_BYTES: usize = 64;

/// Whether `text` can be the id of an order or a case: what stands in ledger and header.
#[must_use]
pub fn is_file_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/#-".contains(&byte);
    !text.is_empty() && text.len() <= ID_BYTES && text.bytes().all(plain)
}

impl fmt::Debug for LegalOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}", self.id)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case {}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("small")
    }

    #[test]
    fn an_order_needs_its_window_its_approvers_and_not_to_be_lifted() {
        let order = LegalOrder {
            id: "ord-7".into(),
            recipient: "authority".into(),
            categories: vec!["identity.name".into()],
            from: at(10),
            until: at(20),
            gag_until: None,
            approved_by: ["legal".into(), "dpo".into()].into(),
            lifted: false,
        };
        let one = LegalOrder { approved_by: ["legal".into()].into(), ..order.clone() };
        let lifted = LegalOrder { lifted: true, ..order.clone() };
        let cases = [
            (&order, 9, false),
            (&order, 10, true),
            (&order, 19, true),
            (&order, 20, false),
            (&one, 15, false),
            (&lifted, 15, false),
        ];
        for (order, now, expected) in cases {
            assert_eq!(order.is_in_force(at(now), 2), expected, "{order:?} at {now}");
        }
    }

    #[test]
    fn a_case_is_open_from_its_opening_to_its_end() {
        let case = Case {
            id: "C-1".into(),
            purposes: vec!["claims".into()],
            opened_at: at(10),
            until: Some(at(20)),
            closed: false,
        };
        for (now, expected) in [(9, false), (10, true), (20, false)] {
            assert_eq!(case.is_open(at(now)), expected, "{now}");
        }
        assert!(!Case { closed: true, ..case }.is_open(at(15)));
    }

    #[test]
    fn an_id_holds_nothing_that_a_person_could_be_named_with() {
        for (text, expected) in
            [("C-2026/114", true), ("", false), ("Testina Musterfrau", false), ("a@b", false)]
        {
            assert_eq!(is_file_id(text), expected, "{text}");
        }
    }
}
