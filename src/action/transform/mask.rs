//! Masks: some characters stay, the rest becomes four stars, whatever its length.

use super::characters;
use super::json::write_escaped;
use crate::action::Mask;

/// Stands for what is hidden. Always four, so that it does not tell the length.
pub(super) const HIDDEN: &[u8] = b"****";

/// Digits of a payment card's number. Source: ISO/IEC 7812-1; PCI DSS 4.0 §3.4.1 for what may show.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const BIN_DIGITS: usize = 6;
const LAST_DIGITS: usize = 4;

/// Writes the masked value. Characters are counted as people see them (grapheme clusters). A value
/// that is too short to hide anything in is hidden whole.
pub(super) fn mask(how: Mask, value: &str, out: &mut Vec<u8>) {
    if how == Mask::Redact {
        return out.extend_from_slice(HIDDEN);
    }
    match Grouped::read(value) {
        Some(number) => number.mask(how, out),
        None => mask_text(how, value, out),
    }
}

fn mask_text(how: Mask, value: &str, out: &mut Vec<u8>) {
    let (head, tail) = match how {
        Mask::First(n) if shows(n, value) => (characters::head(value, n.into()), ""),
        Mask::Last(n) if shows(n, value) => ("", characters::tail(value, n.into())),
        Mask::Length => return out.resize(out.len() + characters::count(value), b'*'),
        // A card's number would have been read as grouped digits.
        Mask::First(_) | Mask::Last(_) | Mask::BinAndLast4 | Mask::Redact => ("", ""),
    };
    write_escaped(head, out);
    out.extend_from_slice(HIDDEN);
    write_escaped(tail, out);
}

fn shows(n: u8, value: &str) -> bool {
    characters::more_than(twice(n), value)
}

/// More than half must stay hidden: four digits of a six-digit number are nearly all of it.
pub(super) fn twice(shown: u8) -> usize {
    2 * usize::from(shown)
}

/// What one character is in a number that people write in groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Digit,
    /// A letter of an IBAN, the `+` of a phone number.
    Other,
    Separator,
    /// Stands in no such number.
    Foreign,
}

impl Sign {
    pub(super) const fn of(sign: char) -> Self {
        match sign {
            '0'..='9' => Self::Digit,
            'a'..='z' | 'A'..='Z' | '+' => Self::Other,
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{202f}' | '\u{2011}' => {
                Self::Separator
            }
            _ => Self::Foreign,
        }
    }
}

/// A number that people write in groups (card, IBAN, phone), to be shown without its separators, so
/// that the last four of `… 0130 00` are `3000` and not `0 00`. All it shows is ASCII without escapes.
struct Grouped<'a> {
    value: &'a str,
    /// Its characters without the separators.
    length: usize,
    digits: usize,
}

impl<'a> Grouped<'a> {
    /// `None` for all other text, in which a space counts.
    fn read(value: &'a str) -> Option<Self> {
        let (mut length, mut digits) = (0, 0);
        for sign in value.chars() {
            match Sign::of(sign) {
                Sign::Digit => digits += 1,
                Sign::Other => {}
                Sign::Separator => continue,
                Sign::Foreign => return None,
            }
            length += 1;
        }
        (2 * digits > length).then_some(Self { value, length, digits })
    }

    fn mask(&self, how: Mask, out: &mut Vec<u8>) {
        let (first, last) = match how {
            Mask::First(n) if self.length > twice(n) => (n.into(), 0),
            Mask::Last(n) if self.length > twice(n) => (0, n.into()),
            Mask::BinAndLast4 if self.is_card() => (BIN_DIGITS, LAST_DIGITS),
            Mask::Length => return out.resize(out.len() + self.length, b'*'),
            Mask::First(_) | Mask::Last(_) | Mask::BinAndLast4 | Mask::Redact => (0, 0),
        };
        out.extend(self.signs().take(first));
        out.extend_from_slice(HIDDEN);
        out.extend(self.signs().skip(self.length - last));
    }

    fn is_card(&self) -> bool {
        self.digits == self.length && CARD_DIGITS.contains(&self.length)
    }

    fn signs(&self) -> impl Iterator<Item = u8> {
        // Separators beyond ASCII vanish with the others: their bytes are no signs either.
        self.value.bytes().filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'+')
    }
}
