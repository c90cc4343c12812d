//! Characters as people see them (grapheme clusters). Source: Unicode UAX #29.
//!
//! In ASCII text every byte is one, but for a carriage return that a line feed follows; such text is
//! recognised many bytes at a time and never segmented.

use unicode_segmentation::UnicodeSegmentation;

/// Whether each byte of the text is a character by itself.
pub(super) fn one_byte_each(text: &str) -> bool {
    text.is_ascii() && memchr::memchr(b'\r', text.as_bytes()).is_none()
}

/// How many characters the text has.
pub(super) fn count(text: &str) -> usize {
    if one_byte_each(text) { text.len() } else { text.graphemes(true).count() }
}

/// Whether the text has more than `n` characters. Looks no further than it must.
pub(super) fn more_than(n: usize, text: &str) -> bool {
    // A character has one byte at least.
    text.len() > n && (one_byte_each(text) || text.graphemes(true).nth(n).is_some())
}

/// The first `n` characters; all of them if there are no more.
pub(super) fn head(text: &str, n: usize) -> &str {
    let end = if one_byte_each(text) {
        n.min(text.len())
    } else {
        text.grapheme_indices(true).nth(n).map_or(text.len(), |(at, _)| at)
    };
    &text[..end]
}

/// The last `n` characters; all of them if there are no more.
pub(super) fn tail(text: &str, n: usize) -> &str {
    let start = if one_byte_each(text) {
        text.len().saturating_sub(n)
    } else {
        let from_behind = text.grapheme_indices(true).rev().take(n);
        from_behind.last().map_or(text.len(), |(at, _)| at)
    };
    &text[start..]
}
