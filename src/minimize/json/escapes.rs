//! Escapes: each is one that RFC 8259 §7 knows, and halves of surrogate pairs stand in pairs.
//!
//! Called only for blocks in or before which there is a backslash. An escape of six bytes is looked
//! at when its last byte is there; the bytes before this block are still in the window.

use super::Fault;
use crate::minimize::MalformedKind;

/// Bytes before a block that must still be in the window.
pub(super) const BEHIND: usize = 16;

/// Bytes of a `\uXXXX` behind its `u`.
pub(super) const DIGITS: usize = 4;

/// From the last digit of the first half of a pair to the last of the second: `\uXXXX`.
const PAIR: i32 = 6;

/// What a block hands on to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Escapes {
    /// The `u` of the last block whose digits end in the next.
    units: u64,
    /// The last digit of a first half whose second half must follow, counted from the block's start.
    half: Option<i32>,
}

impl Escapes {
    /// Whether something of an earlier block is still owed.
    #[inline]
    pub(super) fn is_owed(&self) -> bool {
        self.units != 0 || self.half.is_some()
    }

    /// Checks the escapes of the block that begins at `at`. `escaped`: its escaped bytes that count;
    /// `length`: how many of its bytes do; `there`: how many can be read, with the white space
    /// behind the document's end, which no digit is.
    #[inline(never)]
    pub(super) fn block(
        &mut self,
        escaped: u64,
        window: &[u8],
        at: usize,
        (length, there): (usize, usize),
    ) -> Result<(), Fault> {
        let (units, unknown) = sort(escaped, window, at);
        let outcome = self.units(units, window, at, (length, there));
        let unknown = unknown.map(|place| Fault { kind: MalformedKind::Syntax, at: at + place });
        match (outcome, unknown) {
            (Err(fault), Some(unknown)) => Err(fault.earlier(unknown)),
            (Ok(()), Some(unknown)) => Err(unknown),
            (outcome, None) => outcome,
        }
    }

    /// Checks the `\uXXXX` whose last digit is in this block.
    fn units(
        &mut self,
        units: u64,
        window: &[u8],
        at: usize,
        (length, there): (usize, usize),
    ) -> Result<(), Fault> {
        let mut complete = units << DIGITS | self.units;
        complete &= u64::MAX >> (64 - there.clamp(1, 64));
        self.units = units >> (64 - DIGITS);
        let fault = |kind, place: i32| {
            let at = at.saturating_add_signed(isize::try_from(place).unwrap_or_default());
            Fault { kind, at }
        };
        while complete != 0 {
            let last = complete.trailing_zeros();
            complete &= complete - 1;
            let end = at + last as usize + 1;
            let unit = window[end - DIGITS..end].iter().zip(end - DIGITS..).try_fold(
                0,
                |unit, (byte, at)| match char::from(*byte).to_digit(16) {
                    Some(digit) => Ok(unit << 4 | digit),
                    None => Err(Fault { kind: MalformedKind::Syntax, at }),
                },
            )?;
            let last = last.cast_signed();
            match (self.half.take(), unit) {
                (Some(half), 0xDC00..=0xDFFF) if last == half + PAIR => {}
                (None, 0xD800..=0xDBFF) => self.half = Some(last),
                (None, 0xDC00..=0xDFFF) => return Err(fault(MalformedKind::Encoding, last)),
                (None, _) => {}
                (Some(half), _) if last == half + PAIR => {
                    return Err(fault(MalformedKind::Encoding, last));
                }
                (Some(half), _) => {
                    self.half = Some(half);
                    break;
                }
            }
        }
        self.second_half_follows(window, at, length)
            .map_err(|place| fault(MalformedKind::Encoding, place))?;
        self.half = self.half.map(|half| half - 64);
        Ok(())
    }

    /// A half pair is no text, whatever follows it.
    fn second_half_follows(&self, window: &[u8], at: usize, length: usize) -> Result<(), i32> {
        let Some(half) = self.half else { return Ok(()) };
        for (place, wanted) in [(half + 1, b'\\'), (half + 2, b'u')] {
            if let Ok(offset) = usize::try_from(place)
                && offset < length
                && window[at + offset] != wanted
            {
                return Err(place);
            }
        }
        Ok(())
    }
}

/// The escapes that are a `u`, and the first that is none at all.
fn sort(escaped: u64, window: &[u8], at: usize) -> (u64, Option<usize>) {
    let mut rest = escaped;
    let mut units = 0;
    while rest != 0 {
        let place = rest.trailing_zeros();
        rest &= rest - 1;
        match window[at + place as usize] {
            b'u' => units |= 1 << place,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            _ => return (units, Some(place as usize)),
        }
    }
    (units, None)
}
