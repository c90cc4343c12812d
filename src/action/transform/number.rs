//! Amounts and coordinates made coarser, in exact decimal arithmetic on the digits as written: no
//! binary fraction ever stands between, so that 0.1 stays 0.1 and a 30-digit amount keeps its digits.

use std::cmp::Ordering;
use std::io::Write as _;

/// More digits than a double can express are no amount; also keeps `1e999999999` from growing.
const DIGITS: usize = 400;

/// Longest number, sign aside, that is read as a machine word: 18 digits always fit one.
const SMALL_DIGITS: usize = 18;

/// Largest coordinate in degrees.
const HALF_TURN: u16 = 180;

/// A number in decimal digits (ASCII), without exponent.
struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for 0.
    whole: Vec<u8>,
    fraction: Vec<u8>,
}

/// Whether a text is digits and nothing else.
pub(super) fn is_plain_integer(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes the multiple of `step` beneath the number. Also beneath for what is below zero: -3 → -10.
pub(super) fn bucket(text: &str, step: u64, out: &mut Vec<u8>) -> Option<()> {
    if let Some(written) = Small::read(text).and_then(|small| small.bucket(step, out)) {
        return Some(written);
    }
    let mut number = Decimal::read(text)?;
    let step = u128::from(step.max(1));
    let rest = number
        .whole
        .iter()
        .fold(0_u128, |rest, digit| (rest * 10 + u128::from(digit - b'0')) % step);
    let exact = rest == 0 && number.fraction.iter().all(|digit| *digit == b'0');
    subtract(&mut number.whole, rest);
    if number.negative && !exact {
        add(&mut number.whole, step);
    }
    number.fraction.clear();
    number.write(out);
    Some(())
}

/// Writes the number rounded to a multiple of 10^`exponent`, half to the even neighbour. Source: IEEE 754 §4.3.1, so
/// that sums of rounded amounts do not drift upwards.
pub(super) fn round(text: &str, exponent: u8, out: &mut Vec<u8>) -> Option<()> {
    if let Some(written) = Small::read(text).and_then(|small| small.round(exponent, out)) {
        return Some(written);
    }
    let mut number = Decimal::read(text)?;
    let exponent = usize::from(exponent);
    let missing = exponent.saturating_sub(number.whole.len());
    let kept = number.whole.len().saturating_sub(exponent);
    let mut discarded = vec![b'0'; missing];
    discarded.extend_from_slice(&number.whole[kept..]);
    discarded.extend_from_slice(&number.fraction);
    number.whole.truncate(kept);
    let odd = number.whole.last().is_some_and(|digit| (digit - b'0') % 2 == 1);
    let up = match discarded.split_first() {
        None | Some((b'0'..=b'4', _)) => false,
        Some((b'5', rest)) if rest.iter().all(|digit| *digit == b'0') => odd,
        Some(_) => true,
    };
    if up {
        add(&mut number.whole, 1);
    }
    if !number.whole.is_empty() {
        number.whole.extend(std::iter::repeat_n(b'0', exponent));
    }
    number.fraction.clear();
    number.write(out);
    Some(())
}

/// Writes the corner of the cell of 10^-`decimals` degrees that the coordinate lies in: the lower one, always,
/// since a random one would average out. `None` outside ±180.
pub(super) fn degrees(text: &str, decimals: u8, out: &mut Vec<u8>) -> Option<()> {
    let mut number = Decimal::read(text)?;
    let decimals = usize::from(decimals);
    number.fraction.resize(number.fraction.len().max(decimals), b'0');
    let rest = number.fraction.split_off(decimals);
    let mut scaled = std::mem::take(&mut number.whole);
    scaled.append(&mut number.fraction);
    if number.negative && rest.iter().any(|digit| *digit != b'0') {
        add(&mut scaled, 1);
    }
    let missing = decimals.saturating_sub(scaled.len());
    scaled.splice(0..0, std::iter::repeat_n(b'0', missing));
    number.fraction = scaled.split_off(scaled.len() - decimals);
    number.whole = trimmed(&scaled);
    let whole: u16 = if number.whole.is_empty() {
        0
    } else {
        std::str::from_utf8(&number.whole).ok()?.parse().ok()?
    };
    let beyond = whole == HALF_TURN && number.fraction.iter().any(|digit| *digit != b'0');
    (whole <= HALF_TURN && !beyond).then(|| number.write(out))
}

impl Decimal {
    /// Reads a JSON number. Source: RFC 8259 §6. `None` for anything else, also for a text with a
    /// currency, blanks or thousands marks.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let figures = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                (mantissa, exponent.parse::<i32>().ok().filter(|_| is_plain_integer(figures))?)
            }
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_plain_integer(whole) || leading_zero || !fraction.is_none_or(is_plain_integer) {
            return None;
        }
        let mut whole = whole.as_bytes().to_vec();
        let mut fraction = fraction.unwrap_or_default().as_bytes().to_vec();
        let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
        if whole.len() + fraction.len() + shift > DIGITS {
            return None;
        }
        if exponent >= 0 {
            fraction.resize(fraction.len().max(shift), b'0');
            let rest = fraction.split_off(shift);
            whole.append(&mut fraction);
            fraction = rest;
        } else {
            let missing = shift.saturating_sub(whole.len());
            whole.splice(0..0, std::iter::repeat_n(b'0', missing));
            let mut moved = whole.split_off(whole.len() - shift);
            moved.append(&mut fraction);
            fraction = moved;
        }
        Some(Self { negative, whole: trimmed(&whole), fraction })
    }

    /// Writes the number's JSON text; zero has no sign.
    fn write(&self, out: &mut Vec<u8>) {
        let zero = self.whole.is_empty() && self.fraction.iter().all(|digit| *digit == b'0');
        if self.negative && !zero {
            out.push(b'-');
        }
        out.extend_from_slice(if self.whole.is_empty() { b"0" } else { &self.whole });
        if !self.fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(&self.fraction);
        }
    }
}

/// A number whose whole part is a machine word and which has no exponent: nearly every number. Says
/// what [`Decimal`] says, without its digits on the heap.
struct Small<'a> {
    negative: bool,
    whole: u64,
    /// Digits; empty where there is no point.
    fraction: &'a str,
}

impl<'a> Small<'a> {
    /// `None` also for what is no number, which [`Decimal::read`] then finds.
    fn read(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let plain = is_plain_integer(whole) && fraction.is_none_or(is_plain_integer);
        if text.len() > SMALL_DIGITS || leading_zero || !plain {
            return None;
        }
        Some(Self { negative, whole: whole.parse().ok()?, fraction: fraction.unwrap_or_default() })
    }

    fn bucket(&self, step: u64, out: &mut Vec<u8>) -> Option<()> {
        let rest = self.whole % step.max(1);
        let beneath = self.whole - rest;
        let magnitude = if self.negative && (rest > 0 || self.has_fraction()) {
            beneath.checked_add(step.max(1))?
        } else {
            beneath
        };
        self.write(magnitude, out)
    }

    /// `None` for exponents that it has no room for, and for 0, where the fraction decides.
    fn round(&self, exponent: u8, out: &mut Vec<u8>) -> Option<()> {
        let unit = 10_u64.checked_pow(exponent.into()).filter(|unit| *unit > 1)?;
        let (kept, discarded) = (self.whole / unit, self.whole % unit);
        let up = match discarded.cmp(&(unit / 2)) {
            Ordering::Less => false,
            Ordering::Equal => self.has_fraction() || kept % 2 == 1,
            Ordering::Greater => true,
        };
        self.write((kept + u64::from(up)).checked_mul(unit)?, out)
    }

    fn has_fraction(&self) -> bool {
        self.fraction.bytes().any(|digit| digit != b'0')
    }

    /// Zero has no sign.
    fn write(&self, magnitude: u64, out: &mut Vec<u8>) -> Option<()> {
        let sign = if self.negative && magnitude > 0 { "-" } else { "" };
        write!(out, "{sign}{magnitude}").ok()
    }
}

fn trimmed(digits: &[u8]) -> Vec<u8> {
    digits.iter().copied().skip_while(|digit| *digit == b'0').collect()
}

fn add(digits: &mut Vec<u8>, value: u128) {
    let mut carry = value;
    for digit in digits.iter_mut().rev() {
        carry += u128::from(*digit - b'0');
        *digit = figure(carry);
        carry /= 10;
    }
    while carry > 0 {
        digits.insert(0, figure(carry));
        carry /= 10;
    }
}

/// `value` is at most what the digits say, so nothing is borrowed beyond them.
fn subtract(digits: &mut Vec<u8>, value: u128) {
    let mut borrow = value;
    for digit in digits.iter_mut().rev() {
        let have = u128::from(*digit - b'0');
        let take = borrow % 10;
        borrow /= 10;
        if have >= take {
            *digit = figure(have - take);
        } else {
            *digit = figure(have + 10 - take);
            borrow += 1;
        }
    }
    *digits = trimmed(digits);
}

fn figure(value: u128) -> u8 {
    b'0' + u8::try_from(value % 10).expect("a figure is below 10")
}
