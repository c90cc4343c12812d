//! Actions, their order, and what each does to a value, as docs/RULES.md tells them.

use crate::oracle::Tree;

/// Stands for any pseudonym of the first key.
pub(crate) const PSEUDONYM: &str = "\u{0}ps1_";
/// Stands for any token of the first key.
pub(crate) const TOKEN: &str = "\u{0}tk1_";

/// What happens to a value. A kind of its own for each line of the page; within a kind, the larger
/// number shows less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Keep,
    /// `mask last N` by how little it shows, `redact` as the last.
    Mask(u8),
    /// `generalise …`, in the order of the page.
    Generalise(u8),
    /// `token`, `pseudonym`.
    Key(u8),
    /// Only where the caller is a party.
    OwnLines,
    Blank,
    Remove,
    Drop,
}

const REDACT: u8 = u8::MAX;
const MONTH: u8 = 2;
const YEAR: u8 = 4;

impl Act {
    pub(super) fn read(text: &str) -> Self {
        match text {
            "keep" => Self::Keep,
            "redact" => Self::Mask(REDACT),
            "generalise month" => Self::Generalise(MONTH),
            "generalise year" => Self::Generalise(YEAR),
            "token" => Self::Key(0),
            "pseudonym" => Self::Key(1),
            "own lines" => Self::OwnLines,
            "blank" => Self::Blank,
            "remove" => Self::Remove,
            "drop" => Self::Drop,
            other => {
                let last = other.strip_prefix("mask last ").and_then(|n| n.parse::<u8>().ok());
                Self::Mask(100 - last.unwrap_or_else(|| panic!("the oracle knows no `{other}`")))
            }
        }
    }

    /// The strictest of two.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keep, one) | (one, Self::Keep) => one,
            (Self::Drop, _) | (_, Self::Drop) => Self::Drop,
            (Self::Remove, _) | (_, Self::Remove) => Self::Remove,
            (Self::Mask(a), Self::Mask(b)) => Self::Mask(a.max(b)),
            (Self::Generalise(a), Self::Generalise(b)) => Self::Generalise(a.max(b)),
            (Self::Key(a), Self::Key(b)) => Self::Key(a.max(b)),
            (Self::OwnLines, Self::OwnLines) => Self::OwnLines,
            _ => Self::Blank,
        }
    }

    pub(super) fn at_least(self, other: Self) -> bool {
        self.join(other) == self
    }

    /// Something of the value leaves.
    pub(super) fn tells(self) -> bool {
        self.releases() && self != Self::Blank
    }

    /// Something of the value, or its place, leaves.
    pub(super) fn releases(self) -> bool {
        !matches!(self, Self::Remove | Self::Drop)
    }

    /// What becomes of a scalar.
    pub(super) fn treat(self, value: &Tree) -> Tree {
        let text = match value {
            Tree::String(text) => Some(text.clone()),
            Tree::Number(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.clone())
            }
            _ => None,
        };
        let blank = || match value {
            Tree::String(_) => Tree::String(String::new()),
            _ => Tree::Null,
        };
        match (self, text) {
            // Who is no party was left out before.
            (Self::Keep | Self::OwnLines, _) => value.clone(),
            (Self::Mask(REDACT), Some(_)) => Tree::String("****".into()),
            (Self::Mask(code), Some(text)) => {
                let shown = usize::from(100 - code);
                // Of a number that is written in groups, the digits count and not what is between them.
                let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '-');
                let counts = |c: &char| !is_number || c.is_ascii_digit();
                let length = text.chars().count();
                if text.chars().filter(counts).count() <= 2 * shown {
                    return Tree::String("****".into());
                }
                let last: String = text.chars().skip(length - shown).collect();
                Tree::String(format!("****{last}"))
            }
            (Self::Generalise(level), Some(text)) if matches!(value, Tree::String(_)) => {
                if is_date(&text) {
                    Tree::String(text[..if level == YEAR { 4 } else { 7 }].to_owned())
                } else {
                    blank()
                }
            }
            (Self::Key(0), Some(_)) => Tree::String(TOKEN.into()),
            (Self::Key(_), Some(_)) => Tree::String(PSEUDONYM.into()),
            _ => blank(),
        }
    }
}

fn is_date(text: &str) -> bool {
    let number = |from, to| text.get(from..to).and_then(|part: &str| part.parse::<u32>().ok());
    text.len() == 10
        && text.as_bytes()[4] == b'-'
        && text.as_bytes()[7] == b'-'
        && number(0, 4).is_some()
        && number(5, 7).is_some_and(|month| (1..=12).contains(&month))
        && number(8, 10).is_some_and(|day| (1..=28).contains(&day))
}
