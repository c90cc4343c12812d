//! The grammar of numbers, RFC 8259 §6, one byte at a time. A number stays text.

/// How far a number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberState(Progress);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Start,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    ExponentSign,
    Exponent,
}

impl NumberState {
    pub(super) const START: Self = Self(Progress::Start);

    /// Whether it may end here.
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        use Progress::{Exponent, Fraction, Integer, Zero};
        matches!(self.0, Zero | Integer | Fraction | Exponent)
    }
}

/// Takes bytes while they go on with the number. Returns whether a byte was met that does not;
/// what that byte is for is the grammar's matter.
#[inline]
pub(super) fn advance(state: &mut NumberState, input: &[u8], at: &mut usize) -> bool {
    use Progress::{E, Exponent, ExponentSign, Fraction, Integer, Minus, Point, Start, Zero};
    while let Some(byte) = input.get(*at) {
        state.0 = match (state.0, byte) {
            (Start, b'-') => Minus,
            (Start | Minus, b'0') => Zero,
            (Start | Minus, b'1'..=b'9') | (Integer, b'0'..=b'9') => Integer,
            (Zero | Integer, b'.') => Point,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Zero | Integer | Fraction, b'e' | b'E') => E,
            (E, b'+' | b'-') => ExponentSign,
            (E | ExponentSign | Exponent, b'0'..=b'9') => Exponent,
            _ => return true,
        };
        *at += 1;
    }
    false
}

/// Whether the text of a number is an integer: it can be somebody's id.
pub(super) fn is_integer(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_rfc_says_and_nothing_else() {
        let cases = [
            ("0", true),
            ("-0", true),
            ("10", true),
            ("-1.5e+10", true),
            ("1E2", true),
            ("0.00", true),
            ("1e999", true),
            ("123456789012345678901234567890", true),
            ("", false),
            ("-", false),
            ("01", false),
            ("+1", false),
            (".5", false),
            ("1.", false),
            ("1.e1", false),
            ("1e", false),
            ("1e+", false),
            ("0x1", false),
            ("--1", false),
        ];
        for (text, whole) in cases {
            let mut state = NumberState::START;
            let mut at = 0;
            let more = advance(&mut state, text.as_bytes(), &mut at);
            assert_eq!(!more && state.is_whole(), whole, "{text}");
        }
    }
}
