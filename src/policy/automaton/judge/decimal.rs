//! Numbers of JSON compared exactly, as the decimal text that they are.

use std::cmp::Ordering;

/// `0.d₁d₂d₃… × 10^magnitude`, the first digit not zero, no zeros at the end. Zero has no digits.
pub(super) struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    magnitude: i64,
}

impl<'a> Decimal<'a> {
    /// `text` is a number of JSON. `None` for an exponent of so many digits that none is meant.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = split(text, |byte| matches!(byte, b'e' | b'E'));
        let (whole, fraction) = split(mantissa, |byte| *byte == b'.');
        let whole = after_zeros(whole);
        let mut fraction = before_zeros(fraction);
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self { negative: false, whole, fraction, magnitude: 0 });
        }
        let exponent: i64 = match exponent {
            [] => 0,
            written => str::from_utf8(written).ok()?.parse().ok()?,
        };
        let shift = if whole.is_empty() {
            let significant = after_zeros(fraction);
            let zeros = fraction.len() - significant.len();
            fraction = significant;
            i64::try_from(zeros).ok()?.checked_neg()?
        } else {
            i64::try_from(whole.len()).ok()?
        };
        let magnitude = exponent.checked_add(shift)?;
        let whole = if fraction.is_empty() { before_zeros(whole) } else { whole };
        Some(Self { negative, whole, fraction, magnitude })
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        // -1, 0 or 1, which orders what differs in it.
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let signs = sign(self).cmp(&sign(other));
        if signs.is_ne() || self.is_zero() {
            return signs;
        }
        let size = self.magnitude.cmp(&other.magnitude).then_with(|| {
            self.whole.iter().chain(self.fraction).cmp(other.whole.iter().chain(other.fraction))
        });
        if self.negative { size.reverse() } else { size }
    }

    const fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }
}

/// What stands before and after the first such byte.
fn split(text: &[u8], at: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.iter().position(at).map_or((text, &[]), |at| (&text[..at], &text[at + 1..]))
}

fn after_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

fn before_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    &digits[..digits.len() - zeros]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_their_exact_values() {
        // Ascending; within one row all are equal.
        let rows: [&[&str]; 15] = [
            &["-1e300", "-10e299"],
            &["-9007199254740993", "-9007199254740993.0"],
            &["-9007199254740992"],
            &["-1.5", "-15e-1", "-0.15e1"],
            &["-0.1", "-1e-1"],
            &["0", "-0", "0.0", "0e5", "-0.00e-9", "0e99999999999999999999"],
            &["1e-400"],
            &["0.05", "5e-2", "0.050"],
            &["0.1", "1E-1", "0.10"],
            &["0.1000000000000000000000000000001"],
            &["1", "1.0", "1e0", "1E+00", "100e-2", "0.01e2"],
            &["9.99"],
            &["100", "1e2", "1.00e+2"],
            &["9007199254740992"],
            &["9007199254740993", "9007199254740993e0", "0.9007199254740993e16"],
        ];
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                for (x, y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
                    let read = |text: &'static str| Decimal::read(text.as_bytes()).expect(text);
                    assert_eq!(read(x).order(&read(y)), i.cmp(&j), "{x} and {y}");
                }
            }
        }
        assert!(Decimal::read(b"1e99999999999999999999").is_none());
        assert!(Decimal::read(b"10e9223372036854775807").is_none());
    }
}
