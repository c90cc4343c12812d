//! Strings: where they end, which escapes are well-formed, what they say.

use super::MalformedKind;

/// How many leading bytes need no look: neither quote nor backslash nor control character.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let mut tail = bytes;
    while let Some((block, rest)) = tail.split_first_chunk() {
        let found = special(u64::from_le_bytes(*block));
        if found != 0 {
            return bytes.len() - tail.len() + (found.trailing_zeros() / 8) as usize;
        }
        tail = rest;
    }
    let stop = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    bytes.len() - tail.len() + stop.unwrap_or(tail.len())
}

/// The high bit of the lowest byte of `word` that is a quote, a backslash or below 0x20 is set, and
/// no bit beneath it. Bits above it mean nothing: a borrow may have run into them.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | control) & HIGH
}

/// Where in an escape sequence a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// In none.
    None,
    /// After a backslash.
    Backslash,
    /// In `\uXXXX`.
    Hex {
        /// Digits still owed.
        owed: u8,
        /// What they make so far.
        unit: u16,
        /// A high surrogate came before and must be completed.
        paired: bool,
    },
    /// After a high surrogate: a backslash is owed.
    SecondBackslash,
    /// After a high surrogate and a backslash: a `u` is owed.
    SecondU,
}

impl Escape {
    /// Takes one byte that is no plain one, or that stands inside an escape.
    pub(super) fn step(self, byte: u8) -> Result<Self, MalformedKind> {
        match (self, byte) {
            (Self::None, b'\\') => Ok(Self::Backslash),
            (Self::Backslash, b'u') => Ok(Self::Hex { owed: 4, unit: 0, paired: false }),
            (Self::Backslash, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Ok(Self::None)
            }
            (Self::None | Self::Backslash, _) => Err(MalformedKind::Syntax),
            (Self::Hex { owed, unit, paired }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(MalformedKind::Syntax)?;
                let unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
                if owed > 1 {
                    return Ok(Self::Hex { owed: owed - 1, unit, paired });
                }
                match (unit, paired) {
                    (0xDC00..=0xDFFF, true) => Ok(Self::None),
                    (0xD800..=0xDBFF, false) => Ok(Self::SecondBackslash),
                    (0xD800..=0xDFFF, false) | (_, true) => Err(MalformedKind::Encoding),
                    (_, false) => Ok(Self::None),
                }
            }
            (Self::SecondBackslash, b'\\') => Ok(Self::SecondU),
            (Self::SecondU, b'u') => Ok(Self::Hex { owed: 4, unit: 0, paired: true }),
            // A half pair is no text, whatever follows it.
            (Self::SecondBackslash | Self::SecondU, _) => Err(MalformedKind::Encoding),
        }
    }
}

/// Appends what the inside of a string says. Its escapes were checked by the tokenizer; of one that
/// was not, the rest is left out.
pub(super) fn unescape(inside: &[u8], out: &mut Vec<u8>) {
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
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for before in 0..40 {
                for filler in [b'a', 0x20, 0x7f, 0x80, 0xff, 0x21, 0x23, 0x5b, 0x5d] {
                    let mut bytes = vec![filler; before];
                    bytes.push(special);
                    bytes.extend([b'"', 0, b'x', b'\\', 0, 0, 0, 0, 0]);
                    assert_eq!(plain(&bytes), before, "{special} after {before} × {filler}");
                    assert_eq!(plain(&bytes[..before]), before);
                }
            }
        }
    }

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
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).expect("a string");
            assert_eq!(String::from_utf8(said).expect("UTF-8"), expected);
        }
    }
}
