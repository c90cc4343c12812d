//! Values whose canonical form is short, collected from pieces, so that a string of any length costs
//! a few bytes: whatever is longer than the longest such value is none.
//!
//! Text, e-mail addresses and compact numbers have no bound, and their length enters the MAC in front
//! of them, so they cannot be taken in piece by piece. Integers have one, but zeros and exponents of
//! any length may stand around them; they are left to [`Canonical::bytes`] too.

use zeroize::Zeroizing;

use super::Canonical;

/// Longer than every spelling that keeps its signs: a UUID as a URN has 45 bytes, an IPv6 address with
/// an IPv4 tail 45, a phone number without separators 21.
const LONGEST: usize = 64;

/// What has been read of one value. Wiped when dropped.
pub(in crate::action) struct ShortValue {
    canonical: Canonical,
    /// Never grown beyond what it was made with, so that no copy stays behind.
    kept: Zeroizing<String>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing but white space so far, which is trimmed.
    Before,
    Inside,
    /// White space that stands in no such value: only more of it may follow.
    After,
    /// Not a value of this type.
    Refused,
}

impl ShortValue {
    /// `None` for the types that have to be seen whole.
    pub(in crate::action) fn new(canonical: Canonical) -> Option<Self> {
        match canonical {
            Canonical::Phone | Canonical::Uuid | Canonical::Ip => {}
            Canonical::Text
            | Canonical::Email
            | Canonical::Mailbox
            | Canonical::Decimal
            | Canonical::Compact => return None,
        }
        let kept = Zeroizing::new(String::with_capacity(LONGEST));
        Some(Self { canonical, kept, stage: Stage::Before })
    }

    /// Takes in the next piece.
    pub(in crate::action) fn update(&mut self, piece: &str) {
        for sign in piece.chars() {
            if self.stage == Stage::Refused {
                return;
            }
            self.push(sign);
        }
    }

    fn push(&mut self, sign: char) {
        let skipped = self.canonical == Canonical::Phone && Canonical::separates_phone(sign);
        self.stage = match self.stage {
            Stage::Before if sign.is_whitespace() => Stage::Before,
            Stage::After if sign.is_whitespace() => Stage::After,
            Stage::After | Stage::Refused => Stage::Refused,
            Stage::Before | Stage::Inside if skipped => Stage::Inside,
            Stage::Before | Stage::Inside if sign.is_whitespace() => Stage::After,
            Stage::Before | Stage::Inside if self.kept.len() + sign.len_utf8() > LONGEST => {
                Stage::Refused
            }
            Stage::Before | Stage::Inside => {
                self.kept.push(sign);
                Stage::Inside
            }
        };
    }

    /// A spelling with the canonical form of the whole value, which may be none at all; `None` if the
    /// value is surely not of its type.
    pub(in crate::action) fn value(&self) -> Option<&str> {
        (self.stage != Stage::Refused).then_some(&self.kept)
    }
}
