//! Numbers and literals, each byte of them: `-0.5e+7`, `true`, `false`, `null`. Numbers stay text.

/// How far a number or literal has come when a block ends in it. 0: there is none.
pub(super) type Progress = u8;

const WRONG: Progress = 0xff;
const MINUS: Progress = 1;
const ZERO: Progress = 2;
const INTEGER: Progress = 3;
const POINT: Progress = 4;
const FRACTION: Progress = 5;
const EXPONENT_LETTER: Progress = 6;
const EXPONENT_SIGN: Progress = 7;
const EXPONENT: Progress = 8;
const LITERAL: Progress = 30;

/// One byte on. The steps within literals have numbers of their own, 10 to 18.
#[inline]
const fn step(progress: Progress, byte: u8) -> Progress {
    match (progress, byte) {
        (0, b'-') => MINUS,
        (0 | MINUS, b'0') => ZERO,
        (0 | MINUS, b'1'..=b'9') | (INTEGER, b'0'..=b'9') => INTEGER,
        (ZERO | INTEGER, b'.') => POINT,
        (POINT | FRACTION, b'0'..=b'9') => FRACTION,
        (ZERO | INTEGER | FRACTION, b'e' | b'E') => EXPONENT_LETTER,
        (EXPONENT_LETTER, b'+' | b'-') => EXPONENT_SIGN,
        (EXPONENT_LETTER | EXPONENT_SIGN | EXPONENT, b'0'..=b'9') => EXPONENT,
        (0, b't') => 10,
        (10, b'r') => 11,
        (11, b'u') => 12,
        (0, b'f') => 13,
        (13, b'a') => 14,
        (14, b'l') => 15,
        (15, b's') => 12,
        (0, b'n') => 16,
        (16, b'u') => 17,
        (17, b'l') => 18,
        (12, b'e') | (18, b'l') => LITERAL,
        _ => WRONG,
    }
}

/// Whether it may end here.
#[inline]
const fn is_whole(progress: Progress) -> bool {
    matches!(progress, ZERO | INTEGER | FRACTION | EXPONENT | LITERAL)
}

/// Checks the numbers and literals of a block. `scalar`: their bytes, `start`: their first ones.
/// Returns where one goes wrong: at a byte that does not go on with it, or behind its end.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
pub(super) fn block(
    progress: &mut Progress,
    bytes: &[u8; 64],
    scalar: u64,
    start: u64,
    digit: u64,
) -> Result<(), usize> {
    if *progress != 0 {
        let length = (!scalar).trailing_zeros();
        *progress = whole(*progress, bytes, 0, length, digit)?;
    }
    let mut starts = start;
    while starts != 0 {
        let from = starts.trailing_zeros();
        starts &= starts - 1;
        let run = scalar >> from;
        let length = (!run).trailing_zeros().min(64 - from);
        if from + length == 64 || !is_plain(bytes, from, length, digit) {
            *progress = whole(0, bytes, from, length, digit)?;
        }
    }
    Ok(())
}

/// The frequent shapes: an integer, a decimal fraction, a literal; of all else this says false.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `block`")]
fn is_plain(bytes: &[u8; 64], from: u32, length: u32, digit: u64) -> bool {
    let first = bytes[from as usize];
    let sign = u32::from(first == b'-');
    let (begin, digits) = (from + sign, length - sign);
    if digits == 0 {
        return false;
    }
    let others = !(digit >> begin) & (u64::MAX >> (64 - digits));
    let leading_zero = bytes[begin as usize & 63] == b'0';
    if others == 0 {
        return digits == 1 || !leading_zero;
    }
    let point = others.trailing_zeros();
    if others.is_power_of_two() && bytes[(begin + point) as usize & 63] == b'.' {
        return point > 0 && point + 1 < digits && (point == 1 || !leading_zero);
    }
    let bytes = &bytes[from as usize..];
    match length {
        4 => bytes.starts_with(b"true") || bytes.starts_with(b"null"),
        5 => bytes.starts_with(b"false"),
        _ => false,
    }
}

/// Steps through a number or literal, or the part of it that is in the block; over digits that go on
/// with a number in one step.
#[inline(never)]
fn whole(
    progress: Progress,
    bytes: &[u8; 64],
    from: u32,
    length: u32,
    digit: u64,
) -> Result<Progress, usize> {
    let end = from + length;
    let (mut progress, mut place) = (progress, from);
    while place < end {
        if matches!(progress, INTEGER | FRACTION | EXPONENT) {
            let digits = (!(digit >> place)).trailing_zeros().min(end - place);
            if digits > 0 {
                place += digits;
                continue;
            }
        }
        progress = step(progress, bytes[place as usize & 63]);
        if progress == WRONG {
            return Err(place as usize);
        }
        place += 1;
    }
    match progress {
        _ if end == 64 => Ok(progress),
        whole if is_whole(whole) => Ok(0),
        _ => Err(end as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_literals_are_what_the_rfc_says_wherever_a_block_ends() {
        let cases = [
            ("0", true),
            ("-0", true),
            ("10", true),
            ("-1.5e+10", true),
            ("1E2", true),
            ("0.00", true),
            ("1e999", true),
            ("123456789012345678901234567890", true),
            ("true", true),
            ("false", true),
            ("null", true),
            ("-", false),
            ("01", false),
            ("-01", false),
            ("00.5", false),
            ("+1", false),
            (".5", false),
            ("1.", false),
            ("-.5", false),
            ("1.e1", false),
            ("1e", false),
            ("1e+", false),
            ("1.2.3", false),
            ("0x1", false),
            ("--1", false),
            ("tru", false),
            ("True", false),
            ("nulll", false),
            ("falsy", false),
            ("truenull", false),
        ];
        for (text, expected) in cases {
            for before in 0..=64 {
                let mut bytes = vec![b' '; before];
                bytes.extend_from_slice(text.as_bytes());
                bytes.resize(192, b' ');
                let mut progress = 0;
                let mut carried = 0;
                let found = bytes.as_chunks::<64>().0.iter().try_for_each(|block_bytes| {
                    let bit = |is: fn(u8) -> bool| {
                        (0..).zip(block_bytes).fold(0, |word: u64, (place, byte)| {
                            word | u64::from(is(*byte)) << place
                        })
                    };
                    let scalar = bit(|byte| byte != b' ');
                    let start = scalar & !(scalar << 1 | carried);
                    carried = scalar >> 63;
                    block(&mut progress, block_bytes, scalar, start, bit(|b| b.is_ascii_digit()))
                });
                assert_eq!(found.is_ok(), expected, "{text} behind {before} blanks");
            }
        }
    }
}
