//! Words and characters: initials, first word, prefix.

use unicode_segmentation::UnicodeSegmentation;

use super::characters;
use super::json::write_escaped;

/// Writes `T. M.` for `Testina Musterfrau`. A word of one character would stand there whole, so it
/// becomes `*.`; scripts that write a whole family name as one character lose it that way only if it
/// stands apart. `None` if there is no letter.
pub(super) fn initials(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    for word in value.split_whitespace() {
        let Some(letter) = first_letter(word) else { continue };
        if out.len() > start {
            out.push(b' ');
        }
        write_escaped(if characters::more_than(1, word) { letter } else { "*" }, out);
        out.push(b'.');
    }
    (out.len() > start).then_some(())
}

fn first_letter(word: &str) -> Option<&str> {
    if word.is_ascii() {
        // A word holds no line break, so each byte is a character.
        let at = word.bytes().position(|byte| byte.is_ascii_alphabetic())?;
        return Some(&word[at..=at]);
    }
    word.graphemes(true).find(|letter| letter.chars().any(char::is_alphabetic))
}

/// Writes the first word, without the comma after it. `None` if there is none.
pub(super) fn first_word(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let word = value.split_whitespace().next()?;
    let word = word.trim_matches(|sign: char| matches!(sign, ',' | ';' | ':'));
    write_escaped(word, out);
    (!word.is_empty()).then_some(())
}

/// Writes `50***` for `50450` and a prefix of 2: how long a postal code is follows from its country. A
/// value no longer than its prefix is nothing but stars. `None` for an empty value.
pub(super) fn prefix(value: &str, shown: u8, out: &mut Vec<u8>) -> Option<()> {
    let value = value.trim();
    let length = characters::count(value);
    let shown = if length > usize::from(shown) { usize::from(shown) } else { 0 };
    write_escaped(characters::head(value, shown), out);
    out.resize(out.len() + length - shown, b'*');
    (length > 0).then_some(())
}
