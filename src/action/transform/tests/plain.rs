//! The fast ways say what the plain ways say. The plain ways stand here: they segment every text,
//! look at one byte at a time and work on the digits as text.

use std::fmt::Write as _;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{Action, Applied, Generalisation, Scalar, treatment, write_string};
use crate::action::Mask;

/// Texts in which ways could part: ASCII, line ends, letters with marks, joined signs, flags, numbers
/// in groups.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{1,24}",
        4 => "[0-9 ./()+-]{1,12}",
        2 => "[A-Z]{2}[0-9]{2}( [0-9]{4}){1,4}",
        2 => "[\r\n\t\u{0}\u{b}\u{1f}\u{7f}\"\\\\]{1,4}",
        1 => Just("\r\n".to_owned()),
        1 => "[a-zé\u{301}\u{345}\u{600}\u{a0}\u{202f}\u{2011}]{1,6}",
        1 => "[👩👨‍🇲🇾🇩🇪각ᄀ\u{1161}क\u{94d}ष]{1,6}",
        1 => "\\PC{0,12}",
    ];
    prop_oneof![
        3 => piece.clone(),
        1 => prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
    ]
}

fn escaped(text: &str) -> String {
    let mut json = String::from("\"");
    for sign in text.chars() {
        match sign {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            '\0'..='\u{1f}' => {
                write!(json, "\\u{:04x}", u32::from(sign)).expect("a string takes all");
            }
            _ => json.push(sign),
        }
    }
    json + "\""
}

fn mask(how: Mask, value: &str) -> String {
    let compacted = without_separators(value);
    let value = compacted.as_deref().unwrap_or(value);
    let characters: Vec<&str> = value.graphemes(true).collect();
    let shows = |n: u8| characters.len() > 2 * usize::from(n);
    match how {
        Mask::First(n) if shows(n) => format!("{}****", characters[..n.into()].concat()),
        Mask::Last(n) if shows(n) => {
            format!("****{}", characters[characters.len() - usize::from(n)..].concat())
        }
        Mask::BinAndLast4
            if (13..=19).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("{}****{}", &value[..6], &value[value.len() - 4..])
        }
        Mask::Length => "*".repeat(characters.len()),
        _ => "****".to_owned(),
    }
}

fn without_separators(value: &str) -> Option<String> {
    let separators = [' ', '-', '.', '/', '(', ')', '\u{a0}', '\u{202f}', '\u{2011}'];
    let compacted = value.replace(separators, "");
    let digits = compacted.bytes().filter(u8::is_ascii_digit).count();
    let known = compacted.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '+');
    (known && 2 * digits > compacted.len()).then_some(compacted)
}

fn initials(value: &str) -> Option<String> {
    let initial = |word: &str| {
        let mut letters = word.graphemes(true).filter(|l| l.chars().any(char::is_alphabetic));
        let first = letters.next()?;
        Some(if word.graphemes(true).count() > 1 { format!("{first}.") } else { "*.".to_owned() })
    };
    let initials: Vec<String> = value.split_whitespace().filter_map(initial).collect();
    (!initials.is_empty()).then(|| initials.join(" "))
}

fn prefix(value: &str, shown: u8) -> Option<String> {
    let characters: Vec<&str> = value.trim().graphemes(true).collect();
    let shown = if characters.len() > usize::from(shown) { usize::from(shown) } else { 0 };
    let hidden = "*".repeat(characters.len() - shown);
    (!characters.is_empty()).then(|| characters[..shown].concat() + &hidden)
}

/// Applies `action` to `text` and compares it with what the plain way says.
fn agrees(action: &Action, text: &str, plain: Option<String>) -> Result<(), TestCaseError> {
    let mut out = b"before".to_vec();
    let applied = treatment(action.clone()).apply(Scalar::String(text), &mut out);
    let expected = match plain {
        Some(plain) => (format!("before{}", escaped(&plain)), Applied::Written),
        None => ("before\"\"".to_owned(), Applied::Blanked),
    };
    let written = String::from_utf8(out).expect("JSON is UTF-8");
    prop_assert_eq!((written, applied), expected, "{:?} on {:?}", action, text);
    Ok(())
}

/// A number's integer digits and fraction, long enough that some leave the machine word.
fn any_number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,4}|\\.0{1,3}|\\.50?)?"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn escaping_in_chunks_is_escaping_byte_by_byte(text in prop::collection::vec(any_text(), 0..8)) {
        let text = text.concat();
        let mut out = Vec::new();
        write_string(&text, &mut out);
        prop_assert_eq!(String::from_utf8(out).expect("JSON is UTF-8"), escaped(&text));
    }

    #[test]
    fn masks_count_the_characters_that_segmentation_finds(text in any_text(), n in 0..9_u8) {
        for how in [Mask::First(n), Mask::Last(n), Mask::BinAndLast4, Mask::Length, Mask::Redact] {
            agrees(&Action::Mask(how), &text, Some(mask(how, &text)))?;
        }
    }

    #[test]
    fn words_and_prefixes_do_too(text in any_text(), n in 0..9_u8) {
        agrees(&Action::Initials, &text, initials(&text))?;
        agrees(&Action::Generalise(Generalisation::Prefix(n)), &text, prefix(&text, n))?;
        let first = text.split_whitespace().next().map(|word| word.trim_matches([',', ';', ':']));
        let first = first.filter(|word| !word.is_empty()).map(str::to_owned);
        agrees(&Action::FirstWord, &text, first)?;
    }

    /// An exponent of 0 changes nothing but the way: with it, digits are shifted as text.
    #[test]
    fn machine_words_bucket_and_round_as_texts_of_digits_do(
        number in any_number(),
        step in prop_oneof![1..2000_u64, any::<u64>()],
        exponent in 0..25_u8,
    ) {
        for how in [Generalisation::Bucket(step), Generalisation::Round(exponent)] {
            let treatment = treatment(Action::Generalise(how));
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            let applied = treatment.apply(Scalar::Number(&number), &mut fast);
            let expected = treatment.apply(Scalar::Number(&format!("{number}e0")), &mut plain);
            prop_assert_eq!(
                (String::from_utf8_lossy(&fast), applied),
                (String::from_utf8_lossy(&plain), expected),
                "{:?} on {}", how, number
            );
        }
    }
}
