//! Words and characters: initials, first word, prefix.

use unicode_segmentation::UnicodeSegmentation;

/// `T. M.` for `Testina Musterfrau`. A word of one character would stand there whole, so it becomes
/// `*.`; scripts that write a whole family name as one character lose it that way only if it stands
/// apart. `None` if there is no letter.
pub(super) fn initials(value: &str) -> Option<String> {
    let mut initials = String::new();
    for word in value.split_whitespace() {
        let mut letters =
            word.graphemes(true).filter(|letter| letter.chars().any(char::is_alphabetic));
        let Some(first) = letters.next() else { continue };
        if !initials.is_empty() {
            initials.push(' ');
        }
        initials.push_str(if word.graphemes(true).nth(1).is_some() { first } else { "*" });
        initials.push('.');
    }
    (!initials.is_empty()).then_some(initials)
}

/// The first word, without the comma after it. `None` if there is none.
pub(super) fn first_word(value: &str) -> Option<String> {
    let word = value.split_whitespace().next()?;
    let word = word.trim_matches(|sign: char| matches!(sign, ',' | ';' | ':'));
    (!word.is_empty()).then(|| word.to_owned())
}

/// `50***` for `50450` and a prefix of 2: how long a postal code is follows from its country. A value
/// no longer than its prefix is nothing but stars. `None` for an empty value.
pub(super) fn prefix(value: &str, shown: u8) -> Option<String> {
    let value = value.trim();
    let length = value.graphemes(true).count();
    let shown = if length > usize::from(shown) { usize::from(shown) } else { 0 };
    let mut prefix: String = value.graphemes(true).take(shown).collect();
    prefix.extend(std::iter::repeat_n('*', length - shown));
    (length > 0).then_some(prefix)
}
