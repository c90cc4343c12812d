//! Brackets: how deep, which kind, and whether objects hold members and arrays hold none.
//!
//! `grammar` has already seen that every colon follows a text which opened right behind a separator
//! or an open bracket. So each separator owns at most one colon, and it is enough to count between
//! two brackets: in an object there are as many colons as commas, and one more if the first bracket
//! is the object's own; in an array there is no colon. docs/ENGINE.md has the proof.

use super::Fault;
use super::grammar::Tokens;
use crate::minimize::MalformedKind;

/// Deepest nesting: the kinds of open containers are the bits of one word.
pub(super) const DEEPEST: usize = 128;

/// What a block hands on to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nesting {
    /// Kinds of the open containers, the innermost lowest; 1: an object.
    kinds: u128,
    depth: u32,
    /// Colons and commas since the last bracket.
    colons: u32,
    commas: u32,
    /// 1: the last bracket opened an object.
    first: u32,
    /// The last bracket opened.
    opened: bool,
}

impl Nesting {
    /// At a document's first byte.
    pub(super) const START: Self =
        Self { kinds: 0, depth: 0, colons: 0, commas: 0, first: 0, opened: false };

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth as usize
    }

    /// Takes a block. Returns the smallest number of open containers behind any of its brackets.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn block(&mut self, tokens: &Tokens, deepest: usize) -> Result<u32, Fault> {
        let mut brackets = tokens.open | tokens.close;
        let mut ahead = u64::MAX;
        let mut lowest = self.depth;
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            let upto = brackets ^ (brackets - 1);
            brackets &= brackets - 1;
            let before = ahead & (upto >> 1);
            ahead = !upto;
            let colons = self.colons + (tokens.colon & before).count_ones();
            let commas = self.commas + (tokens.comma & before).count_ones();
            self.colons = 0;
            self.commas = 0;
            let object = self.kinds & 1 == 1;
            let curly = tokens.curly >> place & 1 == 1;
            let counted = if object {
                colons == commas + self.first
            } else {
                colons == 0 && (commas == 0 || self.depth > 0)
            };
            if tokens.close >> place & 1 == 0 {
                if !counted {
                    return Err(syntax(place));
                }
                if self.depth as usize == deepest {
                    return Err(Fault { kind: MalformedKind::Depth, at: place as usize });
                }
                self.depth += 1;
                self.kinds = self.kinds << 1 | u128::from(curly);
                self.first = u32::from(curly);
                self.opened = true;
            } else {
                // A bracket that closes where a value should be closes an empty container.
                let empty = self.opened && colons | commas == 0;
                let expects = tokens.value_here >> place & 1 == 1;
                let right = if expects { empty } else { counted };
                if self.depth == 0 || curly != object || !right {
                    return Err(syntax(place));
                }
                self.depth -= 1;
                self.kinds >>= 1;
                self.first = 0;
                self.opened = false;
                lowest = lowest.min(self.depth);
            }
        }
        self.colons += (tokens.colon & ahead).count_ones();
        self.commas += (tokens.comma & ahead).count_ones();
        if self.depth == 0 && (self.colons | self.commas) != 0 {
            let wrong = (tokens.colon | tokens.comma) & ahead;
            return Err(syntax(wrong.trailing_zeros()));
        }
        Ok(lowest)
    }
}

fn syntax(place: u32) -> Fault {
    Fault { kind: MalformedKind::Syntax, at: place as usize }
}
