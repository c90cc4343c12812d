//! Base32 in lower case without padding: safe in URLs, in databases that fold case, in a double click.
//! Source: RFC 4648 §6.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Appends the digits of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    // Five bytes are eight digits.
    let (groups, rest) = bytes.as_chunks::<5>();
    for &[a, b, c, d, e] in groups {
        let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        out.extend_from_slice(&[35, 30, 25, 20, 15, 10, 5, 0].map(|shift| digit(bits >> shift)));
    }
    let mut bits = 0_u64;
    let mut count = 0_u8;
    for byte in rest {
        bits = (bits << 8) | u64::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(digit(bits >> count));
        }
    }
    if count > 0 {
        out.push(digit(bits << (5 - count)));
    }
}

fn digit(bits: u64) -> u8 {
    // Five bits, so it is below 32 whatever the width of a `usize`.
    ALPHABET[(bits & 31) as usize]
}

/// The bytes that `text` stands for. Case is folded. `None` for a foreign sign, for a length that no
/// whole number of bytes has, and for left-over bits that are not zero: one value, one text.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let mut bits = 0_u16;
    let mut count = 0_u8;
    for sign in text.bytes() {
        let value = match sign.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => letter - b'a',
            figure @ b'2'..=b'7' => figure - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u16::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            // Cannot truncate: at most eight bits are above `count`.
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (count < 5 && bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        let cases = [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ];
        for (plain, text) in cases {
            let mut encoded = Vec::new();
            encode(plain.as_bytes(), &mut encoded);
            assert_eq!(encoded, text.as_bytes());
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
            assert_eq!(decode(&text.to_uppercase()).as_deref(), Some(plain.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_value_has_one_text_only() {
        for text in ["mz", "m", "mzx", "mzxw6y", "mz1", "my=", "mzxw6ytb8", "m y"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
