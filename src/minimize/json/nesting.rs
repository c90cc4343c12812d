//! Brackets: how deep, which kind, and whether objects hold members and arrays hold none.
//!
//! `grammar` has already seen that every colon follows a text which opened right behind a separator
//! or an open bracket. So each separator owns at most one colon, and it is enough to count between
//! two brackets: in an object there are as many colons as commas, and one more if the first bracket
//! is the object's own; in an array there is no colon. docs/ENGINE.md has the proof.

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
    /// 1: the last bracket opened.
    opened: u32,
    /// What is wrong, once something is.
    fault: Option<(MalformedKind, u32)>,
}

/// What is said of a block in which something is wrong.
const WRONG: u32 = u32::MAX;

impl Nesting {
    /// At a document's first byte.
    pub(super) const START: Self =
        Self { kinds: 0, depth: 0, colons: 0, commas: 0, first: 0, opened: 0, fault: None };

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth as usize
    }

    /// What is wrong in the last block, and at which of its bytes.
    #[inline]
    pub(super) fn fault(&self) -> Option<(MalformedKind, usize)> {
        self.fault.map(|(kind, place)| (kind, place as usize))
    }

    /// Takes a block. Returns the smallest number of open containers behind any of its brackets;
    /// `None` if something is wrong.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn block(&mut self, tokens: &Tokens, deepest: usize) -> Option<u32> {
        let lowest = self.brackets(tokens, deepest);
        (lowest != WRONG).then_some(lowest)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as for `block`")]
    fn brackets(&mut self, tokens: &Tokens, deepest: usize) -> u32 {
        let mut brackets = tokens.open | tokens.close;
        let mut ahead = u64::MAX;
        let mut lowest = self.depth;
        let (mut colons, mut commas) = (self.colons, self.commas);
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            let upto = brackets ^ (brackets - 1);
            brackets &= brackets - 1;
            let before = ahead & upto;
            ahead = !upto;
            colons += (tokens.colon & before).count_ones();
            commas += (tokens.comma & before).count_ones();
            #[allow(clippy::cast_possible_truncation, reason = "the lowest bit is wanted")]
            let object = self.kinds as u32 & 1;
            let curly = (tokens.curly >> place & 1) as u32;
            // In an object: as many colons as commas, and one more behind its own bracket.
            let counted = if object == 1 { colons == commas + self.first } else { colons == 0 };
            if tokens.close >> place & 1 == 0 {
                if !counted || (self.depth == 0 && commas != 0) || self.depth as usize == deepest {
                    return self.wrong(place, counted && self.depth > 0);
                }
                self.depth += 1;
                self.kinds = self.kinds << 1 | u128::from(curly);
                self.first = curly;
                self.opened = 1;
            } else {
                // A bracket that closes where a value should be closes an empty container.
                let empty = self.opened == 1 && colons | commas == 0;
                let expects = tokens.value_here >> place & 1 == 1;
                let right = if expects { empty } else { counted };
                if self.depth == 0 || curly != object || !right {
                    return self.wrong(place, false);
                }
                self.depth -= 1;
                self.kinds >>= 1;
                self.first = 0;
                self.opened = 0;
                lowest = lowest.min(self.depth);
            }
            colons = 0;
            commas = 0;
        }
        self.colons = colons + (tokens.colon & ahead).count_ones();
        self.commas = commas + (tokens.comma & ahead).count_ones();
        if self.depth == 0 && (self.colons | self.commas) != 0 {
            return self.wrong(((tokens.colon | tokens.comma) & ahead).trailing_zeros(), false);
        }
        lowest
    }

    #[cold]
    fn wrong(&mut self, place: u32, too_deep: bool) -> u32 {
        let kind = if too_deep { MalformedKind::Depth } else { MalformedKind::Syntax };
        self.fault = Some((kind, place));
        WRONG
    }
}
