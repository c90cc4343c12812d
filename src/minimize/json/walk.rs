//! The walk: the structure of a text → the text under the rules.
//!
//! What comes in is the row of *marks* of a stretch of the window: where its brackets, commas and
//! colons stand, outside of strings. The grammar was checked, so whatever lies between two marks is
//! known: behind a colon, up to the next mark, stands a scalar; between a separator and a colon, a
//! name. Every place has a state of the automaton and a rule in force. Only containers that are
//! walked into are looked at member by member; others are skipped from bracket to bracket.
//!
//! What is copied is copied in spans: `from` is the first byte of the window that is decided but not
//! written. A member is decided when its value is known, since a removed member takes its separator
//! with it; until then the bytes from the separator on are *pending* and stay in the window. A scalar
//! that does not end for long is decided at its first byte.

mod children;
mod counts;
mod guarded;
mod link;
mod members;
mod names;
mod place;
mod treat;
mod value;

use std::sync::Arc;

use zeroize::Zeroize;

use super::elements::{Elements, Outcome};
use super::engine::Engine;
use super::fates::{Fates, Kind, base};
use super::rules::{Rule, Rules};
use super::shapes::{self, Shapes};
use super::{Fault, JsonLimits, MalformedKind, Treatments, escapes, text};
use crate::action::Incremental;
use crate::policy::automaton::{Automaton, StateId};
pub(super) use counts::Counts;
use names::Renamed;

/// Bytes that may be pending: white space and a member name. Pretty printers indent by less.
const PENDING: usize = 64 * 1024;

/// A scalar of which so many bytes are there, and no end, is decided before it ends.
const LONG: usize = 4 * 1024;

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
    /// The name that it stands under, the member name met last, and the one expected next; which
    /// ones of the shapes.
    owner: u8,
    last: u8,
    expected: u8,
    /// Elements met so far.
    index: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The root.
    Root,
    /// A member of an object that is walked into: its name, or the object's end.
    Object,
    /// A member's value.
    Value,
    /// An element of an array that is walked into, or its end.
    Array,
    /// Behind a container: a separator, or the end of what is around it.
    Behind,
    /// The end of a container that is not walked into.
    Skip,
    /// The end of a scalar that was decided before it ended.
    Long,
    /// Nothing: the root is complete.
    Done,
}

/// The window, and where it begins in the document.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) window: &'a [u8],
    pub(super) base: u64,
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
    /// It is decided when it is whole.
    Held,
    /// It is a link, and decided when it is whole.
    Link(Rule),
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
    /// The string in hand is treated piece by piece; what stands before `piece` was taken in.
    pieces: Option<Incremental>,
    piece: usize,
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
    /// The separator or open bracket before the member or element that comes next.
    separator: usize,
    /// The colon before the value that comes next.
    colon: usize,
    scratch: Vec<u8>,
    /// The name that stands for that of the member in hand.
    renamed: Option<Renamed>,
    /// In force for the root from above.
    above: (Rule, bool),
    /// Walks values that were held.
    part: Option<Box<Engine>>,
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
            mode: Mode::Root,
            container: Mode::Done,
            next: start,
            hand: Hand::Copied,
            kind: Kind::Null,
            start: 0,
            wanted: false,
            too_long: false,
            pieces: None,
            piece: 0,
            depth: 0,
            within: None,
            locating: false,
            writing: true,
            from: 0,
            separator: 0,
            colon: 0,
            scratch: Vec::new(),
            renamed: None,
            above: (Rule::Unlisted, true),
            part: None,
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
        self.above = (base(self.automaton.unlisted()), true);
        self.frames.clear();
        self.mode = Mode::Root;
        self.container = Mode::Done;
        self.next = state;
        self.within = None;
        self.pieces = None;
        self.renamed = None;
        self.locating = root == Root::Unwritten;
        self.writing = root != Root::Unwritten;
        self.from = 0;
        self.separator = 0;
        self.colon = 0;
        self.counts.restart(self.rules.treatments().len());
        self.elements.clear();
        self.outcome = Outcome::Written;
    }

    /// Goes on with other bounds.
    pub(super) fn limit(&mut self, limits: JsonLimits) {
        self.limits = limits;
        if let Some(part) = &mut self.part {
            part.limit(limits);
        }
    }

    /// Overwrites what is left of a body.
    pub(super) fn forget_body(&mut self) {
        self.scratch.zeroize();
        if let Some(part) = &mut self.part {
            part.forget_body();
        }
        self.pieces = None;
        self.renamed = None;
        self.elements.clear();
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

    /// Goes on with the treatments and joins of another walk, whose numbers of joins it then shares.
    fn adopt(&mut self, rules: &Rules) {
        self.rules = rules.clone();
        self.fates.clear(self.automaton.state_count());
    }

    /// Goes on with another automaton, before a restart.
    pub(super) fn follow(&mut self, automaton: Arc<Automaton>) {
        if !Arc::ptr_eq(&self.automaton, &automaton) {
            self.automaton = automaton;
            self.fates.clear(self.automaton.state_count());
            self.shapes.clear();
            self.part = None;
        }
    }

    /// Bytes of the names that are expected and the decisions that are kept.
    pub(super) fn learned(&self) -> usize {
        self.shapes.bytes() + self.fates.bytes()
    }

    /// What was counted outside of elements.
    pub(super) fn counted(&mut self) -> &mut Counts {
        if self.element_start().is_some() { &mut self.aside } else { &mut self.counts }
    }

    /// Whether what lies in a stretch without a bracket that closes down to `lowest` open containers
    /// is skipped, whatever its marks are. If so, `depth` are open behind it.
    #[inline]
    pub(super) fn skips(&mut self, lowest: u32, depth: usize) -> bool {
        let skips = self.mode == Mode::Skip && lowest as usize > self.frames.len();
        if skips {
            self.depth = depth;
        }
        skips
    }

    /// Takes the marks of a stretch that begins at `first`; they count from there.
    pub(super) fn marks(
        &mut self,
        marks: &[u16],
        first: usize,
        text: &Text<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let window = text.window;
        let mut rest = marks;
        loop {
            if self.mode == Mode::Object {
                self.members(&mut rest, first, text, out);
            }
            let Some(at) = take(&mut rest, first) else { return Ok(()) };
            match self.mode {
                Mode::Object => match window[at] {
                    b':' => {
                        self.next = self.member(window, at)?;
                        self.colon = at;
                        let Some(at) = take(&mut rest, first) else {
                            self.mode = Mode::Value;
                            return Ok(());
                        };
                        self.value(text, at, out)?;
                    }
                    // A member without a value: `nesting` will see it, but only at the next bracket.
                    b',' => return Err(Fault { kind: MalformedKind::Syntax, at }),
                    // Only of an object without members: behind a value, it was met there.
                    _ => self.close(text, at, out)?,
                },
                Mode::Value => {
                    self.mode = Mode::Object;
                    self.value(text, at, out)?;
                }
                Mode::Array => self.element(text, at, out)?,
                Mode::Behind => self.separated(text, at, out)?,
                Mode::Skip => {
                    let floor = self.frames.len();
                    let mut at = at;
                    loop {
                        self.depth = place::depth(self.depth, window[at]);
                        if self.depth == floor {
                            self.value_ended(text, at + 1, out)?;
                            break;
                        }
                        let Some(next) = take(&mut rest, first) else { return Ok(()) };
                        at = next;
                    }
                }
                Mode::Long => {
                    let end = place::end(window, at);
                    self.value_ended(text, end, out)?;
                    self.separated(text, at, out)?;
                }
                Mode::Root => self.container(text, at, out)?,
                Mode::Done => return Ok(()),
            }
        }
    }

    /// The state of the member whose colon stands at `colon`.
    #[inline]
    fn member(&mut self, window: &[u8], colon: usize) -> Result<StateId, Fault> {
        let Some(frame) = self.frames.last_mut() else { return Ok(StateId::DEAD) };
        if !frame.live {
            return Ok(StateId::DEAD);
        }
        let open = place::start(window, self.separator + 1);
        let close = place::end(window, colon);
        if let Some((next, state)) =
            self.shapes.expected(frame.expected, frame.state, window, open, close - open)
        {
            frame.last = frame.expected;
            frame.expected = next;
            return Ok(state);
        }
        self.unexpected(&window[open..close], open)
    }

    /// The state of a member whose name was not the expected one.
    #[inline(never)]
    fn unexpected(&mut self, written: &[u8], at: usize) -> Result<StateId, Fault> {
        let Some(frame) = self.frames.last_mut() else { return Ok(StateId::DEAD) };
        if written.len() > self.limits.member_name_bytes + 2 {
            let at = at + 1 + self.limits.member_name_bytes;
            return Err(Fault { kind: MalformedKind::MemberName, at });
        }
        if let Some((found, state)) =
            self.shapes.known((frame.owner, frame.last), frame.state, written)
        {
            frame.last = found;
            frame.expected = self.shapes.next(found);
            return Ok(state);
        }
        let name = text::said(&written[1..written.len() - 1], &mut self.scratch);
        let state = self.automaton.member(frame.state, name);
        // Whoever it names is not remembered.
        if self.automaton.is_keyed(state) {
            return Ok(state);
        }
        frame.last = self.shapes.learn((frame.owner, frame.last), frame.state, written, state);
        frame.expected = self.shapes.next(frame.last);
        Ok(state)
    }

    /// Writes what is decided, up to `to`.
    #[inline]
    fn flush(&mut self, to: usize, window: &[u8], out: &mut Vec<u8>) {
        if to > self.from {
            out.extend_from_slice(&window[self.from..to]);
            self.from = to;
        }
    }

    /// Writes what is decided of a window of which `upto` bytes were walked, the last of them
    /// `in_string` or not. Returns how many of its bytes nobody needs any more.
    pub(super) fn settle(
        &mut self,
        text: &Text<'_>,
        upto: usize,
        in_string: bool,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        if self.root == Root::Unwritten {
            // It will be walked again.
            return Ok(0);
        }
        let window = text.window;
        let mut keep = upto.saturating_sub(escapes::BEHIND);
        let mut written = upto;
        match self.mode {
            Mode::Root | Mode::Value | Mode::Array
                if place::is_scalar_long(window, self.before_value(), upto) =>
            {
                self.begin_long(text, out)?;
            }
            _ => {}
        }
        match self.mode {
            Mode::Root => {
                // White space before it is nobody's.
                let start = place::start(&window[..upto], 0);
                keep = keep.min(start);
                written = start;
            }
            Mode::Object | Mode::Value | Mode::Array => {
                pending_fits(self.separator, upto)?;
                keep = keep.min(self.separator);
                if self.within.is_none() {
                    written = pending_from(window, self.separator);
                }
            }
            Mode::Long | Mode::Skip if self.hand == Hand::Held => {
                keep = keep.min(self.held_from(upto)?);
                written = pending_from(window, self.separator).min(self.start);
            }
            Mode::Long if matches!(self.hand, Hand::Link(_)) => {
                let end = if in_string { upto } else { place::end(window, upto) };
                self.link_fits(end, text.window, out);
                pending_fits(end, upto)?;
                keep = keep.min(self.start.min(self.separator));
                written = pending_from(window, self.separator).min(self.start);
            }
            Mode::Long => {
                let end = if in_string { upto } else { place::end(window, upto) };
                // Without the closing quote, if the string has ended.
                if self.feed_piece(window, if in_string { upto } else { end - 1 }) {
                    keep = keep.min(self.piece);
                } else if matches!(self.hand, Hand::Treated(_)) || self.wanted {
                    self.too_long |= end - self.start > self.longest();
                }
                if self.is_captured() {
                    keep = keep.min(self.start);
                } else {
                    pending_fits(end, upto)?;
                    keep = keep.min(end);
                }
            }
            Mode::Behind | Mode::Skip | Mode::Done => {}
        }
        if self.writing {
            self.flush(written, window, out);
        }
        if let Some(start) = self.element_start() {
            let start = usize::try_from(start - text.base).unwrap_or_default();
            self.element_fits(start, upto)?;
            keep = keep.min(start);
        }
        Ok(keep)
    }

    /// Where the value that comes next begins, white space included.
    fn before_value(&self) -> usize {
        match self.mode {
            Mode::Value => self.colon + 1,
            Mode::Array => self.separator + 1,
            _ => 0,
        }
    }

    /// The first `count` bytes of the window are gone.
    pub(super) fn drained(&mut self, count: usize) {
        for position in
            [&mut self.from, &mut self.separator, &mut self.colon, &mut self.start, &mut self.piece]
        {
            *position = position.saturating_sub(count);
        }
        if let Some(renamed) = &mut self.renamed {
            renamed.drained(count);
        }
    }

    /// Whether the value in hand must stay in the window.
    #[inline]
    fn is_captured(&self) -> bool {
        let treated = matches!(self.hand, Hand::Treated(_)) && self.pieces.is_none();
        !self.too_long && (self.wanted || treated)
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

/// Bytes that nobody can decide yet must not be more than the bound.
fn pending_fits(start: usize, end: usize) -> Result<(), Fault> {
    if end - start > PENDING {
        return Err(Fault { kind: MalformedKind::MemberName, at: start + PENDING });
    }
    Ok(())
}

/// Takes the next mark of those that count from `first`.
#[inline]
fn take(rest: &mut &[u16], first: usize) -> Option<usize> {
    let (mark, behind) = rest.split_first()?;
    *rest = behind;
    Some(first + usize::from(*mark))
}

/// Where the pending bytes of a member begin, whose separator stands at `separator`: with the comma,
/// or behind the bracket.
#[inline]
fn pending_from(window: &[u8], separator: usize) -> usize {
    separator + usize::from(window[separator] != b',')
}
