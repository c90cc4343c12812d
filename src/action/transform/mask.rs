//! Masks: some characters stay, the rest becomes four stars, whatever its length.

use unicode_segmentation::UnicodeSegmentation;

use crate::action::Mask;

/// Stands for what is hidden. Always four, so that it does not tell the length.
const HIDDEN: &str = "****";

/// Digits of a payment card's number. Source: ISO/IEC 7812-1; PCI DSS 4.0 §3.4.1 for what may show.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const BIN_DIGITS: usize = 6;

/// The masked value. Characters are counted as people see them (grapheme clusters). A value that is
/// too short to hide anything in is hidden whole.
pub(super) fn mask(how: Mask, value: &str) -> String {
    let compacted = without_separators(value);
    let value = compacted.as_deref().unwrap_or(value);
    let shown = match how {
        Mask::First(n) => head(value, n).map(|head| format!("{head}{HIDDEN}")),
        Mask::Last(n) => tail(value, n).map(|tail| format!("{HIDDEN}{tail}")),
        Mask::BinAndLast4 => bin_and_last4(value),
        Mask::Length => Some("*".repeat(value.graphemes(true).count())),
        Mask::Redact => None,
    };
    shown.unwrap_or_else(|| HIDDEN.to_owned())
}

fn head(value: &str, n: u8) -> Option<String> {
    long_enough(value, n).then(|| value.graphemes(true).take(usize::from(n)).collect())
}

fn tail(value: &str, n: u8) -> Option<&str> {
    let (at, _) = value.grapheme_indices(true).rev().take(usize::from(n)).last()?;
    long_enough(value, n).then(|| &value[at..])
}

/// More than half must stay hidden: four digits of a six-digit number are nearly all of it.
fn long_enough(value: &str, shown: u8) -> bool {
    value.graphemes(true).count() > 2 * usize::from(shown)
}

fn bin_and_last4(value: &str) -> Option<String> {
    let is_card = CARD_DIGITS.contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    is_card.then(|| format!("{}{HIDDEN}{}", &value[..BIN_DIGITS], &value[value.len() - 4..]))
}

/// A number that people write in groups (card, IBAN, phone) without its separators, so that the last
/// four of `… 0130 00` are `3000` and not `0 00`. `None` for all other text, in which a space counts.
fn without_separators(value: &str) -> Option<String> {
    let mut compacted = String::with_capacity(value.len());
    let mut digits = 0;
    for sign in value.chars() {
        match sign {
            '0'..='9' => digits += 1,
            'a'..='z' | 'A'..='Z' | '+' => {}
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{202f}' | '\u{2011}' => continue,
            _ => return None,
        }
        compacted.push(sign);
    }
    (2 * digits > compacted.len()).then_some(compacted)
}
