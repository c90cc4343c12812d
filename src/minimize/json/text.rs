//! What strings say.

/// What the inside of a string says; `scratch` is used if it has escapes.
#[inline]
pub(super) fn said<'a>(inside: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr(b'\\', inside).is_none() {
        return inside;
    }
    scratch.clear();
    unescape(inside, scratch);
    scratch
}

/// What a part of the inside of a string says, and how many of its bytes that was: an escape or a
/// character that the part ends in waits for the next.
pub(super) fn said_part<'a>(part: &[u8], scratch: &'a mut Vec<u8>) -> (&'a str, usize) {
    scratch.clear();
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'\\', &part[at..]) {
        scratch.extend_from_slice(&part[at..at + next]);
        at += next;
        let Some((said, length)) = escaped(&part[at + 1..]) else { break };
        scratch.extend_from_slice(said.encode_utf8(&mut [0; 4]).as_bytes());
        at += 1 + length;
    }
    let rest = &part[at..];
    if !rest.starts_with(b"\\") {
        let whole = std::str::from_utf8(rest).map_or_else(|end| end.valid_up_to(), str::len);
        scratch.extend_from_slice(&rest[..whole]);
        at += whole;
    }
    // The bytes passed the UTF-8 check before they came here.
    (std::str::from_utf8(scratch).unwrap_or_default(), at)
}

/// Appends what the inside of a string says. Its escapes were checked; of one that
/// was not, the rest is left out.
fn unescape(inside: &[u8], out: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some((said, length)) = escaped(&rest[at + 1..]) else { return };
        out.extend_from_slice(said.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + 1 + length..];
    }
    out.extend_from_slice(rest);
}

/// The character of an escape, and its length behind the backslash.
fn escaped(rest: &[u8]) -> Option<(char, usize)> {
    Some(match rest.first()? {
        b'b' => ('\u{8}', 1),
        b'f' => ('\u{c}', 1),
        b'n' => ('\n', 1),
        b'r' => ('\r', 1),
        b't' => ('\t', 1),
        b'u' => {
            let high = unit(rest)?;
            if !(0xD800..0xDC00).contains(&high) {
                return Some((char::from_u32(u32::from(high))?, 5));
            }
            let low = unit(rest.get(6..)?)?;
            (char::decode_utf16([high, low]).next()?.ok()?, 11)
        }
        other => (char::from(*other), 1),
    })
}

/// The code unit of `uXXXX`.
fn unit(text: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(text.get(1..5)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_says_what_serde_json_reads() {
        for text in [
            r"plain",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0065mail",
            r"\uD834\uDD1E",
            r"a\u00e9\uFFFFz",
            "größe\\n",
        ] {
            let mut said = Vec::new();
            unescape(text.as_bytes(), &mut said);
            for cut in 0..=text.len() {
                let (mut read, mut scratch) = (String::new(), Vec::new());
                let (part, taken) = said_part(&text.as_bytes()[..cut], &mut scratch);
                read.push_str(part);
                let (part, rest) = said_part(&text.as_bytes()[taken..], &mut scratch);
                read.push_str(part);
                assert_eq!((read.as_bytes(), taken + rest), (&said[..], text.len()), "{cut}");
            }
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).expect("a string");
            assert_eq!(String::from_utf8(said).expect("UTF-8"), expected);
        }
    }
}
