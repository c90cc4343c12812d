//! Eight bytes in a word, without vector instructions: the level that every other is compared with.

use super::{BLOCK, Classes};

/// The lowest bit of each byte.
const LOWEST: u64 = 0x0101_0101_0101_0101;
/// All but the highest bit of each byte.
const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The highest bit of each byte, gathered: byte n's becomes bit n.
#[inline]
const fn gather(highest: u64) -> u64 {
    ((highest >> 7) & LOWEST).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Highest bits of the bytes that are zero. Exact: no byte's carry reaches its neighbour.
#[inline]
const fn zeros(word: u64) -> u64 {
    !((word & SEVEN).wrapping_add(SEVEN) | word | SEVEN)
}

/// Highest bits of the bytes below `bound`, which is at most 0x80.
#[inline]
const fn below(word: u64, bound: u8) -> u64 {
    let reached = (word & SEVEN).wrapping_add(LOWEST * (0x80 - bound as u64));
    !(reached | word) & !SEVEN
}

/// The classes of a block.
#[inline]
pub(in super::super) fn classes(block: &[u8; BLOCK]) -> Classes {
    let mut found = Classes::default();
    for (eighth, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*bytes);
        let place = 8 * eighth;
        let equal = |byte: u8| zeros(word ^ (LOWEST * u64::from(byte)));
        // With bit 5 set, `[` is `{` and `]` is `}`; no other byte becomes either.
        let bracket = |byte: u8| zeros((word | (LOWEST * 0x20)) ^ (LOWEST * u64::from(byte)));
        let white = equal(b' ') | equal(b'\n') | equal(b'\r') | equal(b'\t');
        found.quote |= gather(equal(b'"')) << place;
        found.backslash |= gather(equal(b'\\')) << place;
        found.control |= gather(below(word, 0x20)) << place;
        found.white |= gather(white) << place;
        found.comma |= gather(equal(b',')) << place;
        found.colon |= gather(equal(b':')) << place;
        found.open |= gather(bracket(b'{')) << place;
        found.close |= gather(bracket(b'}')) << place;
        found.curly |= gather(word << 2) << place;
        found.digit |= gather(below(word, b'9' + 1) & !below(word, b'0')) << place;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_what_they_say_for_every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                for filler in [b'x', 0xff, 0x00, b'"', 0x7f, 0x80] {
                    let mut block = [filler; BLOCK];
                    block[place] = byte;
                    let found = classes(&block);
                    let bit = |word: u64| word >> place & 1 == 1;
                    assert_eq!(bit(found.quote), byte == b'"');
                    assert_eq!(bit(found.backslash), byte == b'\\');
                    assert_eq!(bit(found.control), byte < 0x20);
                    assert_eq!(bit(found.white), b" \t\n\r".contains(&byte));
                    assert_eq!(bit(found.comma), byte == b',');
                    assert_eq!(bit(found.colon), byte == b':');
                    assert_eq!(bit(found.open), b"{[".contains(&byte));
                    assert_eq!(bit(found.close), b"}]".contains(&byte));
                    assert_eq!(bit(found.curly), byte & 0x20 != 0);
                    assert_eq!(bit(found.digit), byte.is_ascii_digit());
                }
            }
        }
    }
}
