//! A scalar or member name put together from its pieces, unescaped when it is complete.

use super::text;
use super::tokens::Piece;

/// Reused from value to value, so that nothing is allocated in the steady state.
#[derive(Debug, Default)]
pub(super) struct Capture {
    raw: Vec<u8>,
    decoded: Vec<u8>,
    overflown: bool,
}

/// What was captured.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Captured<'a> {
    /// More pieces follow.
    Part,
    /// Longer than the bound; nothing of it is kept.
    TooLong,
    /// A text without its quotes, unescaped; a number or literal as written.
    Whole(&'a [u8]),
}

impl Capture {
    /// Takes a piece; `bound` counts the bytes of the scalar as written.
    #[inline]
    pub(super) fn take<'a>(
        &'a mut self,
        bytes: &'a [u8],
        piece: Piece,
        quoted: bool,
        bound: usize,
    ) -> Captured<'a> {
        if piece.first {
            self.raw.clear();
            self.overflown = false;
        }
        if self.overflown || self.raw.len() + bytes.len() > bound {
            self.overflown = true;
            self.raw.clear();
            return if piece.last { Captured::TooLong } else { Captured::Part };
        }
        let whole = if piece.first && piece.last {
            bytes
        } else {
            self.raw.extend_from_slice(bytes);
            if !piece.last {
                return Captured::Part;
            }
            &self.raw
        };
        let inside = match whole {
            [b'"', inside @ .., b'"'] if quoted => inside,
            other => other,
        };
        if !piece.escaped {
            return Captured::Whole(inside);
        }
        self.decoded.clear();
        text::unescape(inside, &mut self.decoded);
        Captured::Whole(&self.decoded)
    }
}
