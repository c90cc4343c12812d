//! Links, e-mail addresses and IP addresses in a text.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Longest local part and domain of an e-mail address. Source: RFC 5321 §4.5.3.1.
const LONGEST_PART: usize = 255;

/// Whatever begins with a scheme and `://`, or with `www.`, up to a blank or a bracket of a quotation.
pub(super) fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(start) = next_url(text, from) {
        let rest = &text[start..];
        let ends =
            |sign: char| sign.is_whitespace() || sign.is_control() || "<>\"«»“”„".contains(sign);
        let end = rest.find(ends).unwrap_or(rest.len());
        let url = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'']);
        found.push(start..start + url.len());
        from = start + end.max(1);
    }
    found
}

/// Where the next link begins, at or behind `from`.
fn next_url(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"://") && rest.len() > 3 {
            let scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            let length = bytes[from..at].iter().rev().take_while(|byte| scheme(byte)).count();
            if length > 0 {
                return Some(at - length);
            }
        }
        let www = rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"www."));
        if www && rest.get(4).is_some_and(u8::is_ascii_alphanumeric) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// What stands around an `@`: a local part, and a domain of at least two labels.
pub(super) fn emails(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let from = found.last().map_or(0, |last| last.end);
        if at < from {
            continue;
        }
        let is_local = |sign: char| sign.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(sign);
        let before = &text[from..at];
        let local = before.trim_end_matches(is_local);
        let start = from + local.len();
        let is_domain = |sign: char| sign.is_alphanumeric() || sign == '-' || sign == '.';
        let after = &text[at + 1..];
        let length = after.find(|sign| !is_domain(sign)).unwrap_or(after.len());
        let domain = after[..length].trim_end_matches(['.', '-']);
        let labels = domain.split('.').filter(|label| !label.is_empty()).count();
        let local_length = at - start;
        let fits = (1..=LONGEST_PART).contains(&local_length) && domain.len() <= LONGEST_PART;
        if fits && labels >= 2 {
            found.push(start..at + 1 + domain.len());
        }
    }
    found
}

/// IPv4 and IPv6 addresses that stand as words of their own.
pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        let joined = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let alone = !joined(at.checked_sub(1).map(|before| &bytes[before]))
            && !joined(bytes.get(at + length));
        if alone && let Some(end) = address(&text[at..at + length]) {
            found.push(at..at + end);
        }
        at += length;
    }
    found
}

/// The length of the address with which a word begins that may end in punctuation or a port.
fn address(word: &str) -> Option<usize> {
    let bare = word.trim_end_matches('.');
    for candidate in [bare, bare.trim_end_matches(':')] {
        // `::` alone is a sign of programmers.
        let has_figures = candidate.bytes().any(|byte| byte.is_ascii_hexdigit());
        if has_figures && candidate.parse::<Ipv6Addr>().is_ok() {
            return Some(candidate.len());
        }
    }
    let host = bare.split(':').next().unwrap_or_default().trim_end_matches('.');
    host.parse::<Ipv4Addr>().is_ok().then_some(host.len())
}
