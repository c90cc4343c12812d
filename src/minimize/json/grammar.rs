//! What stands where, for a block at once: strings, tokens, and which token may follow which.
//!
//! All of RFC 8259 that does not depend on whether an object or an array is open is decided here by
//! arithmetic on words of 64 bits, without a branch for each byte; `nesting` decides the rest at
//! brackets. A word of *follow* bits says where something may stand: a separator's bit moved up by
//! one, and over white space to the next byte that is none. docs/ENGINE.md draws the words.

use super::lanes::Classes;

/// The tokens of a block, one bit for each byte. Nothing in a string but its quotes is in any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    /// `{` and `[`.
    pub(super) open: u64,
    /// `}` and `]`.
    pub(super) close: u64,
    /// Of a bracket: it is curly. Of other bytes: nothing.
    pub(super) curly: u64,
    pub(super) comma: u64,
    pub(super) colon: u64,
    /// Bytes of numbers and literals.
    pub(super) scalar: u64,
    /// The first byte of each number or literal.
    pub(super) scalar_start: u64,
    /// A value may or must begin here.
    pub(super) value_here: u64,
    pub(super) digit: u64,
    /// Escaped bytes: those behind a backslash that counts.
    pub(super) escaped: u64,
}

/// What a block hands on to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grammar {
    /// 1: the next byte is escaped.
    escape: u64,
    /// All ones: the next byte is in a string.
    string: u64,
    /// 1: the next byte that is not white space follows `,` or an open bracket.
    behind_separator: u64,
    /// 1: …follows `:`, or is the document's first.
    behind_colon: u64,
    /// 1: …follows a value.
    behind_value: u64,
    /// 1: …follows what may be a member name.
    behind_name: u64,
    /// 1: the open string may be a member name.
    name: u64,
    /// 1: the block ended in a number or literal.
    scalar: u64,
}

impl Grammar {
    /// At a document's first byte.
    pub(super) const START: Self = Self {
        escape: 0,
        string: 0,
        behind_separator: 0,
        behind_colon: 1,
        behind_value: 0,
        behind_name: 0,
        name: 0,
        scalar: 0,
    };

    /// Takes a block, of which `valid` bytes count; the others are white space. Returns its tokens
    /// and the bytes that cannot stand where they stand.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn block(
        &mut self,
        classes: &Classes,
        valid: u64,
        parities: impl Fn(u64) -> u64,
    ) -> (Tokens, u64) {
        let escaped = self.escaped(classes.backslash);
        let quote = classes.quote & !escaped;
        // From each opening quote up to, but not with, its closing one.
        let string = parities(quote) ^ self.string;
        self.string = (string.cast_signed() >> 63).cast_unsigned();
        let opening = quote & string;
        let closing = quote & !string;

        let outside = !(string | closing);
        let comma = classes.comma & outside;
        let colon = classes.colon & outside;
        let open = classes.open & outside;
        let close = classes.close & outside;
        let white = classes.white & outside;
        let scalar = outside & !(white | comma | colon | open | close);
        let behind_scalar = scalar << 1 | self.scalar;
        let scalar_start = scalar & !behind_scalar;
        self.scalar = scalar >> 63;
        let start = opening | scalar_start | open;

        let separator = comma | open;
        let ended = closing | close;
        let scalar_end = behind_scalar & !scalar;
        let mut value_or_name = separator << 1 | self.behind_separator;
        let mut value = colon << 1 | self.behind_colon;
        let mut after = ended << 1 | self.behind_value | scalar_end;
        self.behind_separator = separator >> 63;
        self.behind_colon = colon >> 63;
        self.behind_value = ended >> 63;
        // A text that opens right behind a separator may be a name; the colon must follow one.
        let named = opening & value_or_name_over(white, value_or_name);
        let (run, over) = (named | self.name).overflowing_add(string);
        self.name = u64::from(over);
        let name_end = run & closing;
        let mut after_name = name_end << 1 | self.behind_name;
        self.behind_name = name_end >> 63;
        if white != 0 {
            (value_or_name, self.behind_separator) =
                over_white(value_or_name, white, self.behind_separator);
            (value, self.behind_colon) = over_white(value, white, self.behind_colon);
            (after, self.behind_value) = over_white(after, white, self.behind_value);
            (after_name, self.behind_name) = over_white(after_name, white, self.behind_name);
        }
        let value_here = value_or_name | value;
        let wrong = (start & !value_here)
            | (value_here & !(start | close))
            | (comma & !after)
            | (colon & !after_name)
            | (close & !(after | value_here))
            | (classes.control & string);
        let tokens = Tokens {
            open,
            close,
            curly: classes.curly,
            comma,
            colon,
            scalar,
            scalar_start,
            value_here,
            digit: classes.digit,
            escaped,
        };
        (tokens, wrong & valid)
    }

    /// The bytes behind a backslash that is not itself escaped: in a run of backslashes every other
    /// one escapes. Adding the odd starts of runs to the runs carries through each to its end.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as for `block`")]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslash == 0 {
            return std::mem::take(&mut self.escape);
        }
        let escaping = backslash & !self.escape;
        let follows = escaping << 1 | self.escape;
        let odd_starts = escaping & !EVEN & !follows;
        let (carried, over) = odd_starts.overflowing_add(escaping);
        self.escape = u64::from(over);
        (EVEN ^ (carried << 1)) & follows
    }

    /// Whether a document may end here, of which at least one byte was not white space.
    pub(super) fn is_whole(&self) -> bool {
        self.string == 0
            && self.escape == 0
            && self.scalar == 0
            && self.behind_separator == 0
            && self.behind_colon == 0
    }

    /// Whether the block ended within a string.
    #[inline]
    pub(super) fn in_string(&self) -> bool {
        self.string != 0
    }
}

/// Moves each bit that stands on white space to the first byte behind it: adding carries through the
/// run. Returns the bits and what is carried into the next block.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `block`")]
fn over_white(bits: u64, white: u64, carry: u64) -> (u64, u64) {
    let (moved, over) = (bits & white).overflowing_add(white);
    ((bits | moved) & !white, carry | u64::from(over))
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `block`")]
fn value_or_name_over(white: u64, bits: u64) -> u64 {
    if white == 0 { bits } else { over_white(bits, white, 0).0 }
}
