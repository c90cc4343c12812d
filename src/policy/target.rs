//! Path and query of an address, in one reading only.
//!
//! What one reader normalises another reads differently, so nothing is normalised here: what could be
//! read in two ways is not read at all. Holds for what clients ask and for the links in answers alike.
//! Source: RFC 3986 §2.2–2.4, §6; RFC 9110 §17.3.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest path and query, each, in bytes. Longer ones are not looked at.
pub const LONGEST: usize = 8 * 1024;

/// What is encoded of a value: all but what every reader leaves alone. Source: RFC 3986 §2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path that begins with `/`, as its segments, decoded. `None`: it could be read in two ways.
#[must_use]
pub fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/').filter(|_| path.len() <= LONGEST)?;
    let mut segments = Vec::new();
    if rest.is_empty() {
        return Some(segments);
    }
    let mut raw = rest.split('/').peekable();
    while let Some(segment) = raw.next() {
        // One empty segment at the end is a trailing slash: another path, and no ambiguity.
        if segment.is_empty() && raw.peek().is_some() {
            return None;
        }
        segments.push(decode(segment, is_segment_byte)?);
    }
    let is_dots = |segment: &String| segment == "." || segment == "..";
    (!segments.iter().any(is_dots)).then_some(segments)
}

/// Name and value of one `name=value` of a query, decoded. `None`: it could be read in two ways, or
/// has no name.
#[must_use]
pub fn pair(raw: &str) -> Option<(String, String)> {
    let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
    let name = decode(name, is_query_byte).filter(|name| !name.is_empty())?;
    Some((name, decode(value, is_query_byte)?))
}

/// Whether a value can stand as one segment of a path, and be read in one way only.
#[must_use]
pub fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|byte| !byte.is_ascii_control() && !b"/\\%;?#".contains(&byte))
}

/// A value as it stands in a path or query.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Decodes one segment, name or value; `None` where it could be read in two ways.
fn decode(raw: &str, is_plain: impl Fn(u8) -> bool) -> Option<String> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let hex =
                raw.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
            let decoded = u8::from_str_radix(hex, 16).ok()?;
            if !may_be_encoded(decoded) {
                return None;
            }
            at += 3;
        } else if is_plain(byte) {
            at += 1;
        } else {
            return None;
        }
    }
    percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Bytes that have one meaning when they come percent-encoded. A letter needs no encoding, and who
/// encodes one wants two readers to disagree; a separator or a percent sign that is decoded twice
/// changes the path; control characters end up in logs and headers.
fn may_be_encoded(byte: u8) -> bool {
    !byte.is_ascii_control() && !byte.is_ascii_alphanumeric() && !b"-._~/\\%;?#".contains(&byte)
}

/// Bytes of a path segment that stand for themselves. Source: RFC 3986 §3.3, without `;`, which
/// some backends read as the start of a parameter.
fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

/// Bytes of a name or value that stand for themselves. Without `;`, an old separator, and `+`,
/// which is a blank to some readers and a plus to others.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$'()*,:@/?[]".contains(&byte)
}
