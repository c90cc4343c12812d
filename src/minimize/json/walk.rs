//! The walk: the tokens of a block → the text under the rules.
//!
//! Every place has a state of the automaton and a rule in force. Only containers that are walked
//! into are looked at member by member; what is copied or removed whole is skipped from bracket to
//! bracket. What is copied is copied in spans: `from` is the first byte of the window that is decided
//! but not written. A member is decided at its value's first byte, since a removed member takes its
//! separator with it; until then the bytes from the separator on are *pending* and stay in the
//! window. So does a scalar that is treated, from its first byte to its last.

mod children;
mod value;

use std::sync::Arc;

use super::elements::{Elements, Outcome};
use super::fates::{Fates, Kind, base};
use super::grammar::Tokens;
use super::rules::{Rule, Rules};
use super::shapes::{self, Shapes};
use super::{Fault, JsonLimits, MalformedKind, Treatments, escapes, text};
use crate::policy::automaton::{Automaton, StateId};

/// Bytes that may be pending: white space and a member name. Pretty printers indent by less.
const PENDING: usize = 64 * 1024;

/// What the walked value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// A document: its list's elements are asked about; a removed root becomes `null`.
    Document,
    /// An element that was released: lists within it are no lists; a removed root leaves nothing.
    Element,
    /// A document that is looked through for subjects, and of which nothing is written.
    Unwritten,
}

/// What has been counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) cells: Vec<u64>,
    pub(super) blanked: u64,
    pub(super) unlisted: u64,
}

impl Counts {
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.blanked = 0;
        self.unlisted = 0;
    }

    fn restart(&mut self, cells: usize) {
        self.clear();
        self.cells.resize(cells, 0);
    }
}

/// An open container that is walked into.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
struct Frame {
    state: StateId,
    /// In force for what is not marked inside.
    rule: Rule,
    /// Objects inside are kept whole.
    subtree: bool,
    object: bool,
    /// Nothing is in force from above.
    bare: bool,
    /// Most of its members may be decided in a hurry: it is bare, no list, and within no value that
    /// is copied or removed whole.
    simple: bool,
    /// Names and positions matter here.
    live: bool,
    /// A member or element was written.
    emitted: bool,
    /// The member name met last, and the one expected next; which ones of the shapes.
    last: u8,
    expected: u8,
    /// Elements met so far.
    index: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// A member of an object that is walked into.
    Object,
    /// An element of an array that is walked into.
    Array,
    /// A member's value, or the root.
    Value,
    /// The end of a text.
    Text,
    /// The end of a number or literal.
    Scalar,
    /// The end of a container that is not walked into.
    Skip,
    /// Nothing: the root is complete.
    Done,
}

/// What becomes of the value in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    /// It is copied.
    Copied,
    /// It is removed.
    Removed,
    /// What stands for it was written.
    Replaced,
    /// It is treated when it is whole.
    Treated(Rule),
    /// It lies within a value that is copied or removed whole, and is only looked at.
    Within,
}

#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
pub(super) struct Walk {
    pub(super) automaton: Arc<Automaton>,
    rules: Rules,
    fates: Fates,
    shapes: Shapes,
    limits: JsonLimits,
    pub(super) root: Root,
    frames: Vec<Frame>,
    mode: Mode,
    /// What comes next in the innermost frame.
    container: Mode,
    /// State of the value that comes next.
    next: StateId,
    hand: Hand,
    kind: Kind,
    /// The value in hand begins here.
    start: usize,
    /// A subject's id stands at the value in hand.
    wanted: bool,
    /// The value in hand is longer than the bound.
    too_long: bool,
    /// Number of open containers, while one is skipped.
    depth: usize,
    /// A container that is copied or removed whole, but looked through for ids: the number of frames
    /// around it, and what becomes of it.
    within: Option<(usize, Hand)>,
    /// Ids are looked for.
    locating: bool,
    /// What is decided belongs to the output.
    writing: bool,
    from: usize,
    /// The last value that was decided: its first byte, or behind its last.
    decided: usize,
    /// The last separator or open bracket, the last quotes, of earlier blocks.
    separator: usize,
    opening: usize,
    closing: usize,
    scratch: Vec<u8>,
    pub(super) counts: Counts,
    /// What was counted outside of the element in hand.
    aside: Counts,
    pub(super) elements: Elements,
    /// What the rules make of the root, if it is an element.
    pub(super) outcome: Outcome,
}

impl Walk {
    pub(super) fn new(
        automaton: Arc<Automaton>,
        treatments: Treatments,
        limits: JsonLimits,
    ) -> Self {
        let start = automaton.start();
        let mut walk = Self {
            automaton,
            rules: Rules::new(treatments),
            fates: Fates::default(),
            shapes: Shapes::new(),
            limits,
            root: Root::Document,
            frames: Vec::with_capacity(16),
            mode: Mode::Value,
            container: Mode::Done,
            next: start,
            hand: Hand::Copied,
            kind: Kind::Null,
            start: 0,
            wanted: false,
            too_long: false,
            depth: 0,
            within: None,
            locating: false,
            writing: true,
            from: 0,
            decided: 0,
            separator: 0,
            opening: 0,
            closing: 0,
            scratch: Vec::new(),
            counts: Counts::default(),
            aside: Counts::default(),
            elements: Elements::default(),
            outcome: Outcome::Written,
        };
        walk.fates.clear(walk.automaton.state_count());
        walk.restart(Root::Document, start);
        walk
    }

    /// Begins another value, whose place has `state`, at the window's first byte.
    pub(super) fn restart(&mut self, root: Root, state: StateId) {
        self.root = root;
        self.frames.clear();
        self.mode = Mode::Value;
        self.container = Mode::Done;
        self.next = state;
        self.within = None;
        self.locating = root == Root::Unwritten;
        self.writing = root != Root::Unwritten;
        self.from = 0;
        self.decided = 0;
        self.separator = 0;
        self.counts.restart(self.rules.treatments().len());
        self.elements.clear();
        self.outcome = Outcome::Written;
    }

    /// Goes on with another table of treatments.
    pub(super) fn treat(&mut self, treatments: Treatments) {
        self.counts.cells.resize(treatments.len(), 0);
        if self.rules.replace(treatments) {
            self.fates.clear(self.automaton.state_count());
        }
    }

    /// The treatments in force.
    pub(super) fn treatments(&self) -> &Treatments {
        self.rules.treatments()
    }

    /// Goes on with another automaton, before a restart.
    pub(super) fn follow(&mut self, automaton: Arc<Automaton>) {
        if !Arc::ptr_eq(&self.automaton, &automaton) {
            self.automaton = automaton;
            self.fates.clear(self.automaton.state_count());
            self.shapes.clear();
        }
    }

    /// Hands over what was counted outside of elements: what was blanked, what was unlisted, and each
    /// cell.
    pub(super) fn take_counts(&mut self, take: impl FnOnce(&[u64])) {
        let in_element = self.element_start().is_some();
        let counts = if in_element { &mut self.aside } else { &mut self.counts };
        let mut counted = vec![counts.blanked, counts.unlisted];
        counted.extend_from_slice(&counts.cells);
        take(&counted);
        counts.restart(counted.len() - 2);
    }

    /// Takes a block. `lowest`: the smallest number of open containers behind any of its brackets;
    /// `depth`: how many there are at its end.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn block(
        &mut self,
        tokens: &Tokens,
        window: &[u8],
        at: usize,
        (lowest, depth): (u32, usize),
        base: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if self.mode == Mode::Skip && lowest as usize > self.frames.len() {
            self.depth = depth;
            return Ok(());
        }
        let separators = tokens.comma | tokens.open;
        let mut ahead = u64::MAX;
        loop {
            match self.mode {
                Mode::Object => {
                    let events = (tokens.colon | tokens.close) & ahead;
                    if events == 0 {
                        break;
                    }
                    let place = events.trailing_zeros();
                    ahead = above(place);
                    if tokens.close >> place & 1 == 1 {
                        self.close(window, at + place as usize, base, out)?;
                        continue;
                    }
                    self.next = self.member(tokens, window, at, place)?;
                    let starts = tokens.start & ahead;
                    if starts == 0 {
                        self.mode = Mode::Value;
                        break;
                    }
                    let start = starts.trailing_zeros();
                    ahead = above(start);
                    let separators = separators & below(place);
                    let place = (at, start, separators);
                    self.value(tokens, window, place, &mut ahead, base, out)?;
                }
                Mode::Array => {
                    let events = (tokens.start | tokens.close) & ahead;
                    if events == 0 {
                        break;
                    }
                    let place = events.trailing_zeros();
                    ahead = above(place);
                    if tokens.close >> place & 1 == 1 {
                        self.close(window, at + place as usize, base, out)?;
                        continue;
                    }
                    self.next = self.element();
                    let place = (at, place, separators & below(place));
                    self.value(tokens, window, place, &mut ahead, base, out)?;
                }
                Mode::Value => {
                    let starts = tokens.start & ahead;
                    if starts == 0 {
                        break;
                    }
                    let start = starts.trailing_zeros();
                    ahead = above(start);
                    self.mode = self.container;
                    self.value(tokens, window, (at, start, 0), &mut ahead, base, out)?;
                }
                Mode::Text => {
                    let ends = tokens.closing & ahead;
                    if ends == 0 {
                        break;
                    }
                    let place = ends.trailing_zeros();
                    ahead = above(place);
                    self.value_ended(window, at + place as usize + 1, base, out)?;
                }
                Mode::Scalar => {
                    let ends = !tokens.scalar & ahead;
                    if ends == 0 {
                        break;
                    }
                    let place = ends.trailing_zeros();
                    ahead = u64::MAX << place;
                    self.value_ended(window, at + place as usize, base, out)?;
                }
                Mode::Skip => {
                    let Some(place) = self.skip(tokens, ahead) else { break };
                    ahead = above(place);
                    self.value_ended(window, at + place as usize + 1, base, out)?;
                }
                Mode::Done => break,
            }
        }
        if separators != 0 {
            self.separator = at + highest(separators);
        }
        if tokens.opening != 0 {
            self.opening = at + highest(tokens.opening);
        }
        if tokens.closing != 0 {
            self.closing = at + highest(tokens.closing);
        }
        Ok(())
    }

    /// Where the skipped container closes, if it does in this block.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as for `block`")]
    fn skip(&mut self, tokens: &Tokens, ahead: u64) -> Option<u32> {
        let opens = tokens.open & ahead;
        let mut closes = tokens.close & ahead;
        let floor = self.frames.len();
        let mut closed = 0;
        while closes != 0 {
            let place = closes.trailing_zeros();
            closes &= closes - 1;
            closed += 1;
            if self.depth + (opens & below(place)).count_ones() as usize - closed == floor {
                return Some(place);
            }
        }
        self.depth = self.depth + opens.count_ones() as usize - closed;
        None
    }

    /// The state of the member whose colon stands at `place`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as for `block`")]
    fn member(
        &mut self,
        tokens: &Tokens,
        window: &[u8],
        at: usize,
        place: u32,
    ) -> Result<StateId, Fault> {
        let Some(frame) = self.frames.last_mut() else { return Ok(StateId::DEAD) };
        if !frame.live {
            return Ok(StateId::DEAD);
        }
        let closings = tokens.closing & below(place);
        let (open, close) = if closings == 0 {
            (self.opening, self.closing)
        } else {
            let closing = highest(closings);
            let openings = tokens.opening & bits_below(closing);
            let open = if openings == 0 { self.opening } else { at + highest(openings) };
            (open, at + closing)
        };
        let length = close + 1 - open;
        if let Some((next, state)) =
            self.shapes.expected(frame.expected, frame.state, window, open, length)
        {
            frame.last = frame.expected;
            frame.expected = next;
            return Ok(state);
        }
        self.unexpected(&window[open..=close], open)
    }

    /// The state of a member whose name was not the expected one.
    #[inline(never)]
    fn unexpected(&mut self, written: &[u8], at: usize) -> Result<StateId, Fault> {
        let Some(frame) = self.frames.last_mut() else { return Ok(StateId::DEAD) };
        if written.len() > self.limits.member_name_bytes + 2 {
            let at = at + 1 + self.limits.member_name_bytes;
            return Err(Fault { kind: MalformedKind::MemberName, at });
        }
        if let Some((found, state)) = self.shapes.known(frame.last, frame.state, written) {
            frame.last = found;
            frame.expected = self.shapes.next(found);
            return Ok(state);
        }
        let name = text::said(&written[1..written.len() - 1], &mut self.scratch);
        let state = self.automaton.member(frame.state, name);
        frame.last = self.shapes.learn(frame.last, frame.state, written, state);
        frame.expected = self.shapes.next(frame.last);
        Ok(state)
    }

    /// The state of an array's next element.
    #[inline]
    fn element(&mut self) -> StateId {
        let Some(frame) = self.frames.last_mut() else { return StateId::DEAD };
        let index = frame.index;
        frame.index += 1;
        if frame.live { self.automaton.element(frame.state, index) } else { StateId::DEAD }
    }

    /// Writes what is decided, up to `to`.
    #[inline]
    fn flush(&mut self, to: usize, window: &[u8], out: &mut Vec<u8>) {
        if to > self.from {
            out.extend_from_slice(&window[self.from..to]);
            self.from = to;
        }
    }

    /// Writes what is decided of a window of which `upto` bytes were walked. Returns how many of its
    /// bytes nobody needs any more.
    pub(super) fn settle(
        &mut self,
        window: &[u8],
        upto: usize,
        base: u64,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        if self.root == Root::Unwritten {
            // It will be walked again.
            return Ok(0);
        }
        let mut keep = upto.saturating_sub(escapes::BEHIND);
        let between = matches!(self.mode, Mode::Object | Mode::Array | Mode::Value);
        let pending = between && !self.frames.is_empty() && self.separator >= self.decided;
        if pending {
            if upto - self.separator > PENDING {
                let at = self.separator + PENDING;
                return Err(Fault { kind: MalformedKind::MemberName, at });
            }
            keep = keep.min(self.separator);
        }
        if self.writing {
            let decided = if pending && self.within.is_none() {
                pending_from(window, self.separator)
            } else {
                upto
            };
            self.flush(decided, window, out);
        }
        if matches!(self.mode, Mode::Text | Mode::Scalar) && self.is_captured() {
            if upto - self.start > self.longest() {
                self.too_long = true;
            } else {
                keep = keep.min(self.start);
            }
        }
        if let Some(start) = self.element_start() {
            let start = usize::try_from(start - base).unwrap_or_default();
            self.element_fits(start, upto)?;
            keep = keep.min(start);
        }
        Ok(keep)
    }

    /// The first `count` bytes of the window are gone.
    pub(super) fn drained(&mut self, count: usize) {
        for position in [
            &mut self.from,
            &mut self.decided,
            &mut self.separator,
            &mut self.opening,
            &mut self.closing,
            &mut self.start,
        ] {
            *position = position.saturating_sub(count);
        }
    }

    /// Whether the value in hand must stay in the window.
    #[inline]
    fn is_captured(&self) -> bool {
        !self.too_long && (self.wanted || matches!(self.hand, Hand::Treated(_)))
    }

    /// Longest value in hand that is looked at, as written.
    fn longest(&self) -> usize {
        if matches!(self.hand, Hand::Treated(_)) {
            self.limits.scalar_bytes
        } else {
            super::subjects::LONGEST_ID
        }
    }

    /// Whether nothing is in force from above.
    #[inline]
    fn is_bare(&self, rule: Rule, subtree: bool) -> bool {
        rule == base(self.automaton.unlisted()) && subtree
    }
}

/// Where the pending bytes of a member begin, whose separator stands at `separator`: with the comma,
/// or behind the bracket.
#[inline]
fn pending_from(window: &[u8], separator: usize) -> usize {
    separator + usize::from(window[separator] != b',')
}

/// Bits above `place`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one or two instructions")]
const fn above(place: u32) -> u64 {
    u64::MAX << place << 1
}

/// Bits below `place`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one or two instructions")]
const fn below(place: u32) -> u64 {
    (1 << place) - 1
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "one or two instructions")]
const fn bits_below(place: usize) -> u64 {
    (1 << place) - 1
}

/// The place of the highest bit of a word that is not 0.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one or two instructions")]
const fn highest(word: u64) -> usize {
    63 - word.leading_zeros() as usize
}
