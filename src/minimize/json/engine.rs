//! Bytes → blocks → tokens → text: the window, and the loop that is compiled once for each level.
//!
//! What comes in is appended to the *window*, which begins with what is still needed of earlier
//! input: a pending separator and name, a scalar that is treated, an element that may have to be
//! rewritten. Only whole blocks are walked; the last bytes of an input wait for the next, so that no
//! boundary between inputs is ever seen. The end of the document is padded with white space.

mod levels;

use zeroize::Zeroize;

use super::escapes::{DIGITS, Escapes};
use super::grammar::Grammar;
use super::lanes::{self, BLOCK, Classes, Level};
use super::marks::{self, Marks};
use super::nesting::{DEEPEST, Nesting};
use super::scalars::{self, Progress};
use super::walk::{Root, Text, Walk};
use super::{Fault, JsonLimits, KEPT, Malformed, MalformedKind};
use crate::policy::automaton::StateId;

/// Most input taken at once: what is in hand stays in the processor's first caches.
pub(super) const STEP: usize = 16 * 1024;

/// So much is checked before it is walked.
const STRETCH: usize = 1024;

pub(super) struct Engine {
    level: Level,
    limits: JsonLimits,
    window: Vec<u8>,
    /// Where the window begins in the document.
    base: u64,
    /// How many of the window's bytes nobody needs any more.
    spent: usize,
    /// How many of them were walked.
    walked: usize,
    /// How many of them are known to be UTF-8.
    checked: usize,
    /// Where in the window the document ends, once that is known.
    end: Option<usize>,
    grammar: Grammar,
    escapes: Escapes,
    scalar: Progress,
    nesting: Nesting,
    members: u64,
    pub(super) walk: Walk,
}

impl Engine {
    pub(super) fn new(level: Level, walk: Walk, limits: JsonLimits) -> Self {
        let mut engine = Self {
            level,
            limits,
            window: Vec::new(),
            base: 0,
            spent: 0,
            walked: 0,
            checked: 0,
            end: None,
            grammar: Grammar::START,
            escapes: Escapes::default(),
            scalar: 0,
            nesting: Nesting::START,
            members: 0,
            walk,
        };
        let start = engine.walk.automaton.start();
        engine.restart(Root::Document, start, 0);
        engine
    }

    /// Goes on with other bounds.
    pub(super) fn limit(&mut self, limits: JsonLimits) {
        self.limits = limits;
        self.walk.limit(limits);
    }

    /// Overwrites what is left of a body.
    pub(super) fn forget_body(&mut self) {
        self.window.zeroize();
        if self.window.capacity() > KEPT {
            self.window = Vec::new();
        }
        self.walk.forget_body();
    }

    /// Begins another value, whose place has `state`, as if at `offset` of a document.
    pub(super) fn restart(&mut self, root: Root, state: StateId, offset: u64) {
        self.window.clear();
        self.base = offset;
        self.members = 0;
        self.begin(root, state);
    }

    /// Begins anew with what is in the window, of which nothing may be spent.
    pub(super) fn again(&mut self, root: Root, state: StateId) {
        self.members = 0;
        if let Some(end) = self.end {
            self.window.truncate(end);
        }
        self.begin(root, state);
    }

    fn begin(&mut self, root: Root, state: StateId) {
        self.spent = 0;
        self.walked = 0;
        self.checked = 0;
        self.end = None;
        self.grammar = Grammar::START;
        self.escapes = Escapes::default();
        self.scalar = 0;
        self.nesting = Nesting::START;
        self.walk.restart(root, state);
    }

    /// Bytes of the window and of what the walk has learned.
    pub(super) fn buffered(&self) -> usize {
        self.window.capacity() + self.walk.learned()
    }

    /// Where the next byte stands in the document.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.end.unwrap_or(self.window.len()) as u64
    }

    /// Bytes of the document from `start` to `end`, if they are still in the window.
    pub(super) fn bytes(&self, start: u64, end: u64) -> Option<&[u8]> {
        let start = usize::try_from(start.checked_sub(self.base)?).ok()?;
        let end = usize::try_from(end.checked_sub(self.base)?).ok()?;
        self.window.get(start..end)
    }

    /// Holds input, which is walked later. All of it, and what came before, stays in the window.
    pub(super) fn hold(&mut self, input: &[u8]) -> Result<(), Malformed> {
        let room = self.limits.element_bytes.saturating_sub(self.window.len());
        self.window.extend_from_slice(&input[..input.len().min(room)]);
        if input.len() > room {
            let offset = self.base + self.limits.element_bytes as u64;
            return Err(Malformed { kind: MalformedKind::Element, offset });
        }
        Ok(())
    }

    /// Takes the next input and walks on. `last`: the document ends with it.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        self.forget();
        self.window.extend_from_slice(input);
        self.walk_to(self.window.len(), last, out)
    }

    /// Walks on in what is held, by a step. Returns whether all of it was walked.
    pub(super) fn step_held(&mut self, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        self.forget();
        let upto = self.window.len().min(self.checked.max(self.walked) + STEP);
        let whole = upto == self.window.len();
        self.walk_to(upto, whole, out)?;
        Ok(whole)
    }

    /// Lets go of what nobody needs any more.
    fn forget(&mut self) {
        if self.spent > 0 {
            let count = std::mem::take(&mut self.spent);
            self.window.drain(..count);
            self.walked -= count;
            self.checked -= count;
            self.base += count as u64;
            self.walk.drained(count);
        }
    }

    fn walk_to(&mut self, upto: usize, last: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let fault = self.check(upto, last);
        let outcome = if last && fault.is_none() {
            self.end = Some(self.window.len());
            // So much that the last escape is complete, well or ill.
            let blocks = (self.window.len() + DIGITS - self.walked) / BLOCK + 1;
            self.window.resize(self.walked + blocks * BLOCK, b' ');
            self.blocks(blocks, out)
        } else {
            let blocks = (self.checked - self.walked) / BLOCK;
            self.blocks(blocks, out).and_then(|()| match fault {
                // What stands before a byte that is no UTF-8 may be wrong by itself.
                Some(fault) => self.judge_rest().and(Err(fault)),
                None => Ok(()),
            })
        };
        let settled = outcome.and_then(|()| {
            let walked = self.walked.min(self.end.unwrap_or(usize::MAX));
            let text = Text { window: &self.window, base: self.base };
            if last {
                self.walk.scalar_root(&text, walked, out)?;
            }
            self.walk.settle(&text, walked, self.grammar.in_string(), out)
        });
        match settled {
            Ok(spent) => {
                self.spent = spent;
                if last { self.ends_whole() } else { Ok(()) }
            }
            Err(fault) => Err(self.malformed(fault)),
        }
    }

    /// Checks that what will be walked is UTF-8. The bytes of an unfinished character wait.
    fn check(&mut self, upto: usize, last: bool) -> Option<Fault> {
        let bytes = &self.window[self.checked..upto];
        if simdutf8::basic::from_utf8(bytes).is_ok() {
            self.checked = upto;
            return None;
        }
        let (valid, invalid) = match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => (bytes.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some()),
        };
        self.checked += valid;
        let unfinished = last && !invalid;
        (invalid || unfinished).then_some(Fault {
            kind: if invalid { MalformedKind::Encoding } else { MalformedKind::Incomplete },
            at: self.checked,
        })
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a function of each level")]
    pub(super) fn walk_blocks(
        &mut self,
        count: usize,
        out: &mut Vec<u8>,
        classes: impl Fn(&[u8; BLOCK]) -> Classes,
        parities: impl Fn(u64) -> u64,
    ) -> Result<(), Fault> {
        let end = self.end.unwrap_or(usize::MAX);
        let deepest = usize::from(self.limits.depth).min(DEEPEST);
        let mut grammar = self.grammar;
        let mut nesting = self.nesting;
        let mut scalar = self.scalar;
        let mut members = self.members;
        let window = &self.window[..];
        let text = Text { window, base: self.base };
        let stretches = window[self.walked..self.walked + count * BLOCK].chunks(STRETCH);
        let mut marks = Marks::<{ marks::room(STRETCH) }>::new();
        let mut at = self.walked;
        for stretch in stretches {
            let first = at;
            marks.clear();
            for block in stretch.as_chunks::<BLOCK>().0 {
                let length = end.saturating_sub(at).min(BLOCK);
                let valid = if length == BLOCK { u64::MAX } else { (1 << length) - 1 };
                let found = classes(block);
                let (tokens, wrong) = grammar.block(&found, valid, &parities);
                let behind = tokens.escaped & valid;
                let escapes = if behind != 0 || self.escapes.is_owed() {
                    self.escapes.block(behind, window, at, (length, BLOCK))
                } else {
                    Ok(())
                };
                let scalars = if tokens.scalar != 0 || scalar != 0 {
                    let digit = tokens.digit;
                    scalars::block(&mut scalar, block, tokens.scalar, tokens.scalar_start, digit)
                } else {
                    Ok(())
                };
                let nested = nesting.block(&tokens, deepest);
                members += u64::from(tokens.colon.count_ones());
                let right = wrong == 0 && members <= self.limits.members;
                let (true, Ok(()), Ok(()), Some(lowest)) = (right, escapes, scalars, nested) else {
                    let over = members.saturating_sub(self.limits.members);
                    let places = [
                        place(wrong).map(|place| (MalformedKind::Syntax, place)),
                        scalars.err().map(|place| (MalformedKind::Syntax, place)),
                        nesting.fault(),
                        member(tokens.colon, over).map(|place| (MalformedKind::Members, place)),
                    ];
                    // Whatever is wrong before this block comes first.
                    self.walk.marks(marks.found(), first, &text, out)?;
                    return Err(earliest(at, places, escapes.err()));
                };
                if !(marks.is_empty() && self.walk.skips(lowest, nesting.depth())) {
                    let structure = tokens.open | tokens.close | tokens.comma | tokens.colon;
                    marks.add(structure, at - first);
                }
                at += BLOCK;
            }
            self.walk.marks(marks.found(), first, &text, out)?;
        }
        self.walked = at;
        self.grammar = grammar;
        self.nesting = nesting;
        self.scalar = scalar;
        self.members = members;
        Ok(())
    }

    /// Looks at the last bytes before one that is no UTF-8, without walking them.
    fn judge_rest(&mut self) -> Result<(), Fault> {
        let rest = &self.window[self.walked..self.checked];
        let mut block = [b' '; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let length = rest.len();
        let (tokens, wrong) =
            self.grammar.block(&lanes::plain::classes(&block), (1 << length) - 1, lanes::parities);
        let at = self.walked;
        let (scalar, start) = (tokens.scalar, tokens.scalar_start);
        let scalars = scalars::block(&mut self.scalar, &block, scalar, start, tokens.digit);
        self.nesting.block(&tokens, usize::from(self.limits.depth).min(DEEPEST));
        let behind = tokens.escaped & ((1 << length) - 1);
        let escapes = self.escapes.block(behind, &self.window, at, (length, length));
        let places = [
            place(wrong).map(|place| (MalformedKind::Syntax, place)),
            // What ends with what is there may go on.
            scalars.err().filter(|at| *at < length).map(|place| (MalformedKind::Syntax, place)),
            self.nesting.fault(),
            None,
        ];
        if places == [None; 4] && escapes.is_ok() {
            return Ok(());
        }
        Err(earliest(at, places, escapes.err()))
    }

    /// The document ended: was it one?
    fn ends_whole(&self) -> Result<(), Malformed> {
        if self.grammar.is_whole() && self.nesting.depth() == 0 {
            return Ok(());
        }
        Err(Malformed { kind: MalformedKind::Incomplete, offset: self.offset() })
    }

    /// What is wrong where the document ends is that it ends there.
    fn malformed(&self, fault: Fault) -> Malformed {
        let at_end = self.end == Some(fault.at) && fault.kind == MalformedKind::Syntax;
        let kind = if at_end { MalformedKind::Incomplete } else { fault.kind };
        Malformed { kind, offset: self.base + fault.at as u64 }
    }
}

/// The first of the places of a block that are wrong.
#[cold]
fn earliest(
    at: usize,
    places: [Option<(MalformedKind, usize)>; 4],
    escapes: Option<Fault>,
) -> Fault {
    let faults = places.into_iter().flatten();
    let faults = faults.map(|(kind, place)| Fault { kind, at: at + place });
    let first = faults.chain(escapes).reduce(Fault::earlier);
    first.unwrap_or(Fault { kind: MalformedKind::Syntax, at })
}

fn place(wrong: u64) -> Option<usize> {
    (wrong != 0).then(|| wrong.trailing_zeros() as usize)
}

/// The colon with which a bound is exceeded, if it is by so many.
fn member(colons: u64, over: u64) -> Option<usize> {
    let before = u64::from(colons.count_ones()).checked_sub(over).filter(|_| over > 0)?;
    let mut colons = colons;
    for _ in 0..before {
        colons &= colons - 1;
    }
    Some(colons.trailing_zeros() as usize)
}
