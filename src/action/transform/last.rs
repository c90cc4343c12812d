//! The last characters of a text that is read in pieces, in memory that does not grow with it.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;
use zeroize::Zeroizing;

use super::characters::one_byte_each;
use super::json::write_escaped;
use super::mask::{HIDDEN, Sign, twice};

/// Bytes of the longest character that is followed: a family or a flag has 35, and marks heaped on a
/// letter by hand stay below this too. A character can have any number of them, so there must be some
/// bound.
pub(super) const LONGEST: usize = 256;

/// Bytes that are segmented at a time.
const PIECE: usize = 256;

/// `mask last n` over pieces. Both readings are kept until the end, since the last sign can decide
/// whether the value is a number in groups. Wiped when dropped.
pub(super) struct LastCharacters {
    shown: u8,
    number: Option<Number>,
    text: Text,
}

impl LastCharacters {
    /// `shown` characters stay; with 0 nothing is kept of the text.
    pub(super) fn new(shown: u8) -> Self {
        let number = Number { last: Last::new(shown.into()), length: 0, digits: 0 };
        Self { shown, number: Some(number), text: Text::new(shown.into()) }
    }

    /// Takes in the next piece.
    pub(super) fn update(&mut self, piece: &str) {
        if self.number.as_mut().is_some_and(|number| number.update(piece).is_none()) {
            self.number = None;
        }
        self.text.update(piece);
    }

    /// Writes the masked value, without quotation marks. `None` if one of its characters has more than
    /// [`LONGEST`] bytes.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let grouped = self.number.as_mut().filter(|number| 2 * number.digits > number.length);
        if let Some(number) = grouped {
            out.extend_from_slice(HIDDEN);
            if number.length > twice(self.shown) {
                out.extend_from_slice(number.last.bytes());
            }
            return Some(());
        }
        if self.text.overlong {
            return None;
        }
        out.extend_from_slice(HIDDEN);
        if self.text.count() > twice(self.shown) {
            write_escaped(&self.text.tail, out);
        }
        Some(())
    }
}

/// The value as a number in groups, for as long as it can be one.
struct Number {
    last: Last,
    length: usize,
    digits: usize,
}

impl Number {
    /// `None` once a sign stands in no such number.
    fn update(&mut self, piece: &str) -> Option<()> {
        for sign in piece.chars() {
            match Sign::of(sign) {
                Sign::Digit => self.digits += 1,
                Sign::Other => {}
                Sign::Separator => continue,
                Sign::Foreign => return None,
            }
            self.length += 1;
            self.last.push(u8::try_from(sign).ok()?);
        }
        Some(())
    }
}

/// The last `kept` bytes. Twice the room is had, so that they are moved once in `kept` bytes only.
struct Last {
    kept: usize,
    bytes: Zeroizing<Vec<u8>>,
}

impl Last {
    fn new(kept: usize) -> Self {
        Self { kept, bytes: Zeroizing::new(Vec::with_capacity(2 * kept + 1)) }
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() > 2 * self.kept {
            self.bytes();
        }
        self.bytes.push(byte);
    }

    fn bytes(&mut self) -> &[u8] {
        let beyond = self.bytes.len().saturating_sub(self.kept);
        self.bytes.drain(..beyond);
        &self.bytes
    }
}

/// The value as text: the last characters, of which the very last may still grow.
///
/// Whether a character ends depends on what stands before and on one sign after it (UAX #29), so all
/// but the last of those found so far are final, and looking may begin anew at any of their borders.
struct Text {
    /// Characters kept besides the open one.
    before: usize,
    /// Never grown beyond what it was made with, so that no copy stays behind.
    tail: Zeroizing<String>,
    /// Bytes of each closed character in `tail`; the open one is the rest.
    closed: VecDeque<usize>,
    /// Closed characters since the beginning.
    closed_count: usize,
    /// A character was longer than [`LONGEST`]; the text is no longer followed.
    overlong: bool,
}

impl Text {
    fn new(shown: usize) -> Self {
        let room = shown.max(1) * LONGEST + PIECE;
        Self {
            before: shown.saturating_sub(1),
            tail: Zeroizing::new(String::with_capacity(room)),
            closed: VecDeque::with_capacity(shown + PIECE),
            closed_count: 0,
            overlong: false,
        }
    }

    /// Characters since the beginning. The open one counts.
    fn count(&self) -> usize {
        self.closed_count + usize::from(!self.tail.is_empty())
    }

    fn update(&mut self, text: &str) {
        let mut rest = text;
        if one_byte_each(text) && text.len() > 1 {
            // The first byte may belong to the open character. From the second on, each is one.
            let (first, ascii) = text.split_at(1);
            self.segment(first);
            let skipped = ascii.len().saturating_sub(self.before + 1);
            if skipped > 0 && !self.overlong {
                // The open character and the skipped ones, but for what is the open one then.
                self.closed_count += skipped;
                self.closed.clear();
                self.tail.clear();
                let (open, kept) = ascii[skipped - 1..].split_at(1);
                self.tail.push_str(open);
                rest = kept;
            } else {
                rest = ascii;
            }
        }
        while !rest.is_empty() && !self.overlong {
            let (piece, later) = rest.split_at(rest.floor_char_boundary(PIECE));
            self.segment(piece);
            rest = later;
        }
    }

    fn segment(&mut self, piece: &str) {
        let open_at: usize = self.closed.iter().sum();
        self.tail.push_str(piece);
        let mut characters = self.tail[open_at..].graphemes(true).map(str::len).peekable();
        while let Some(bytes) = characters.next() {
            self.overlong |= bytes > LONGEST;
            if characters.peek().is_some() {
                self.closed.push_back(bytes);
                self.closed_count += 1;
            }
        }
        let beyond = self.closed.len().saturating_sub(self.before);
        let evicted: usize = self.closed.drain(..beyond).sum();
        self.tail.drain(..evicted);
    }
}
