//! The walk: tokens of one value → the value under the rules.
//!
//! Every place has a state of the automaton and a rule in force. What is copied is copied in spans:
//! `from` is the first byte of the input that is decided but not yet written. From a separator on
//! (`,`, or the brace before a first member) nothing is decided until the value's first byte, since
//! a removed member takes its separator with it; those bytes are *pending*. At the end of an input
//! pending bytes move to `hold` and decided ones are written, so no boundary changes the output.

mod fate;

use std::sync::Arc;

use fate::{Fate, example};

use super::capture::{Capture, Captured};
use super::rules::{Rule, Rules};
use super::tokens::{Kind, Piece, Token, Tokens};
use super::{JsonLimits, Malformed, MalformedKind, Treatments};
use crate::action::{Applied, Scalar};
use crate::policy::automaton::{Automaton, Mark, StateId};

/// White space that may be pending beside a member name. Pretty printers indent by less.
const PENDING_BLANKS: usize = 64 * 1024;

/// Why the walk stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The input is used up.
    Input,
    /// The value is complete.
    End,
    /// An element of the list begins, with this token, which started at this position.
    Element { state: StateId, token: Token, start: usize },
    /// A rule drops the element that is being walked.
    Drop,
}

/// What the walked value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// A document: its list's elements are asked about; a removed root becomes `null`.
    Document,
    /// An element that was released: lists within it are no lists; a removed root leaves nothing.
    Element,
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
        self.cells.fill(0);
        self.blanked = 0;
        self.unlisted = 0;
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
    live: bool,
    /// A member or element was written.
    emitted: bool,
    /// Elements were met whose subjects are asked about.
    list: bool,
    index: u64,
}

/// What happens to the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Between values, or inside containers that are walked into.
    Walk,
    /// A value is copied.
    Copy,
    /// A value is removed.
    Remove,
    /// A value is skipped; what stands for it was written.
    Replaced,
    /// A scalar is captured, to be treated.
    Treat(Rule),
}

pub(super) struct Walk {
    automaton: Arc<Automaton>,
    rules: Rules,
    tokens: Tokens,
    limits: JsonLimits,
    root: Root,
    frames: Vec<Frame>,
    /// State of the value that comes next.
    next: StateId,
    mode: Mode,
    /// Number of open containers at which the value in hand is complete.
    until: usize,
    /// Bytes at hand belong to the output (once decided).
    writing: bool,
    from: usize,
    pending: bool,
    pend: usize,
    /// White space among the pending bytes.
    blanks: usize,
    /// The pending bytes begin with a comma.
    comma: bool,
    hold: Vec<u8>,
    capture: Capture,
    pub(super) counts: Counts,
    /// Elements released before this point, for counts; `None` before the list's end.
    pub(super) released: Option<u64>,
    /// Elements released so far.
    pub(super) elements: u64,
}

impl Walk {
    pub(super) fn new(
        automaton: Arc<Automaton>,
        treatments: Treatments,
        root: Root,
        limits: JsonLimits,
    ) -> Self {
        let next = automaton.start();
        let cells = vec![0; treatments.len()];
        Self {
            automaton,
            rules: Rules::new(treatments),
            tokens: Tokens::new(limits),
            limits,
            root,
            frames: Vec::with_capacity(usize::from(limits.depth).min(32)),
            next,
            mode: Mode::Walk,
            until: 0,
            writing: true,
            from: 0,
            pending: false,
            pend: 0,
            blanks: 0,
            comma: false,
            hold: Vec::new(),
            capture: Capture::default(),
            counts: Counts { cells, ..Counts::default() },
            released: None,
            elements: 0,
        }
    }

    /// Begins another value, at `offset` of the document, whose place has `state`.
    pub(super) fn restart(&mut self, state: StateId, treatments: Treatments, offset: u64) {
        self.counts.cells.clear();
        self.counts.cells.resize(treatments.len(), 0);
        self.counts.blanked = 0;
        self.counts.unlisted = 0;
        self.rules.replace(treatments);
        self.tokens.restart(offset);
        self.frames.clear();
        self.next = state;
        self.mode = Mode::Walk;
        self.until = 0;
        self.writing = true;
        self.pending = false;
        self.hold.clear();
    }

    /// Takes another table of treatments before anything was walked.
    pub(super) fn treat(&mut self, treatments: Treatments) {
        self.counts.cells.resize(treatments.len(), 0);
        self.rules.replace(treatments);
    }

    pub(super) fn offset(&self) -> u64 {
        self.tokens.offset()
    }

    pub(super) fn depth(&self) -> usize {
        self.tokens.depth()
    }

    /// The next token, for who captures an element.
    #[inline]
    pub(super) fn token(
        &mut self,
        input: &[u8],
        at: &mut usize,
        last: bool,
    ) -> Result<Token, Malformed> {
        self.tokens.next(input, at, last)
    }

    /// Walks on. All of `input` up to `at` is written, dropped or held when this returns.
    pub(super) fn run(
        &mut self,
        input: &[u8],
        at: &mut usize,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<Event, Malformed> {
        self.from = *at;
        self.pend = *at;
        loop {
            let start = *at;
            let token = self.tokens.next(input, at, last)?;
            if self.mode != Mode::Walk {
                match token {
                    Token::Input => break,
                    Token::Scalar(piece) => {
                        if let Mode::Treat(rule) = self.mode {
                            self.treat_piece(rule, &input[start..*at], piece, out)?;
                        }
                        let whole = piece.last && piece.kind != Kind::Name;
                        if whole && self.tokens.depth() == self.until {
                            self.value_ended(*at);
                        }
                    }
                    Token::Close if self.tokens.depth() == self.until => self.value_ended(*at),
                    Token::Close
                    | Token::Open { .. }
                    | Token::Comma
                    | Token::Colon
                    | Token::Blank
                    | Token::End => {}
                }
                continue;
            }
            match token {
                Token::Input => break,
                Token::End => {
                    self.leave(input, start, out);
                    return Ok(Event::End);
                }
                Token::Blank => self.bound_pending(*at - start)?,
                Token::Colon => {}
                Token::Scalar(piece) if piece.kind == Kind::Name => {
                    self.name_piece(&input[start..*at], piece);
                }
                Token::Comma => {
                    if !self.writing {
                        self.from = start;
                        self.writing = true;
                    }
                    self.pend_from(start, true);
                    self.next_element();
                }
                Token::Close => self.close(start, out),
                Token::Open { .. } | Token::Scalar(_) => {
                    let fate = self.fate(token);
                    if let Some(event) = self.begin(fate, token, start, *at, input, out)? {
                        return Ok(event);
                    }
                }
            }
        }
        self.leave(input, *at, out);
        Ok(Event::Input)
    }

    /// Lets the element that was asked about out, or not, and goes on behind it.
    pub(super) fn element_ended(&mut self, written: Option<&[u8]>, out: &mut Vec<u8>) {
        if let Some(element) = written {
            self.accept(&[], out);
            out.extend_from_slice(element);
            self.writing = true;
        } else {
            self.hold.clear();
            self.pending = false;
            self.writing = self.frames.last().is_some_and(|frame| frame.emitted);
            if self.frames.is_empty() {
                // The document itself was the element.
                out.extend_from_slice(b"null");
            }
        }
    }

    /// Writes what is decided and holds what is pending, at the end of an input.
    fn leave(&mut self, input: &[u8], at: usize, out: &mut Vec<u8>) {
        if self.pending {
            out.extend_from_slice(&input[self.from..self.pend]);
            self.hold.extend_from_slice(&input[self.pend..at]);
        } else if self.writing {
            out.extend_from_slice(&input[self.from..at]);
        }
        self.from = at;
        self.pend = at;
    }

    /// White space among pending bytes is bounded, and so is the name by the tokenizer.
    #[inline]
    fn bound_pending(&mut self, length: usize) -> Result<(), Malformed> {
        if self.pending {
            self.blanks += length;
            if let Some(beyond @ 1..) = self.blanks.checked_sub(PENDING_BLANKS) {
                return Err(self.malformed(MalformedKind::MemberName, beyond as u64));
            }
        }
        Ok(())
    }

    #[inline]
    fn name_piece(&mut self, bytes: &[u8], piece: Piece) {
        let Some(frame) = self.frames.last() else { return };
        if !frame.live {
            self.next = StateId::DEAD;
        } else if let Captured::Whole(name) = self.capture.take(bytes, piece, true, usize::MAX) {
            self.next = self.automaton.member(frame.state, name);
        }
    }

    /// The state of an array's next element.
    #[inline]
    fn next_element(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && !frame.object
        {
            self.next = self.automaton.element(frame.state, frame.index);
            frame.index += 1;
        }
    }

    fn begin(
        &mut self,
        fate: Fate,
        token: Token,
        start: usize,
        at: usize,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, Malformed> {
        let open = matches!(token, Token::Open { .. });
        let until = self.tokens.depth() - usize::from(open);
        if !self.pending {
            // The root: no separator stands before it.
            self.pend = start;
        }
        let mode = match fate {
            Fate::Ask => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.list = true;
                }
                self.leave(input, start, out);
                return Ok(Some(Event::Element { state: self.next, token, start }));
            }
            Fate::Refuse => return Err(self.malformed(MalformedKind::Refused, 0)),
            Fate::Drop if self.root == Root::Document => {
                return Err(self.malformed(MalformedKind::Refused, 0));
            }
            Fate::Drop => return Ok(Some(Event::Drop)),
            Fate::Enter { rule, subtree } => {
                self.accept(input, out);
                self.enter(rule, subtree, matches!(token, Token::Open { object: true }), at);
                return Ok(None);
            }
            Fate::Copy => {
                self.accept(input, out);
                Mode::Copy
            }
            Fate::Remove => {
                self.reject(input, out);
                if self.frames.is_empty() && self.root == Root::Document {
                    out.extend_from_slice(b"null");
                }
                Mode::Remove
            }
            Fate::Null => {
                self.replace(start, input, out);
                out.extend_from_slice(b"null");
                Mode::Replaced
            }
            Fate::Count(released) => {
                self.replace(start, input, out);
                out.extend_from_slice(released.to_string().as_bytes());
                Mode::Replaced
            }
            Fate::Placeholder(rule) => {
                self.replace(start, input, out);
                let applied = self.rules.apply(rule, example(token), out);
                self.count_applied(applied);
                Mode::Replaced
            }
            Fate::Treat(rule) => {
                self.replace(start, input, out);
                Mode::Treat(rule)
            }
        };
        self.until = until;
        self.mode = mode;
        if let Token::Scalar(piece) = token {
            if let Mode::Treat(rule) = mode {
                self.treat_piece(rule, &input[start..at], piece, out)?;
            }
            if piece.last {
                self.value_ended(at);
            }
        }
        Ok(None)
    }

    #[inline]
    fn enter(&mut self, rule: Rule, subtree: bool, object: bool, at: usize) {
        let state = self.next;
        let live = self.automaton.leads_to_cells(state);
        self.frames.push(Frame {
            state,
            rule,
            subtree,
            object,
            live,
            emitted: false,
            list: false,
            index: 0,
        });
        self.next_element();
        self.pend_from(at, false);
    }

    #[inline]
    fn pend_from(&mut self, at: usize, comma: bool) {
        self.pending = true;
        self.pend = at;
        self.blanks = 0;
        self.comma = comma;
    }

    #[inline]
    fn close(&mut self, start: usize, out: &mut Vec<u8>) {
        if self.pending {
            // An empty container: what is pending is white space.
            out.extend_from_slice(&self.hold);
            self.hold.clear();
            self.pending = false;
        }
        if !self.writing {
            self.from = start;
            self.writing = true;
        }
        if let Some(frame) = self.frames.pop()
            && (frame.list || self.is_empty_list(&frame))
            && self.root == Root::Document
        {
            self.released = Some(self.elements);
        }
    }

    /// Whether elements of this container would have been asked about.
    fn is_empty_list(&self, frame: &Frame) -> bool {
        frame.live
            && !frame.object
            && frame.index == 1
            && self.automaton.marks(self.automaton.element(frame.state, 0)).contains(&Mark::Each)
    }

    /// The pending bytes are written with the value that follows them.
    #[inline]
    fn accept(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let emitted =
            self.frames.last_mut().is_none_or(|frame| std::mem::replace(&mut frame.emitted, true));
        let skipped = usize::from(self.comma && !emitted);
        if !self.hold.is_empty() {
            out.extend_from_slice(&self.hold[skipped..]);
            self.hold.clear();
        } else if skipped == 1 {
            out.extend_from_slice(&input[self.from..self.pend]);
            self.from = self.pend + 1;
        }
        self.pending = false;
    }

    /// The pending bytes go with the value that follows them.
    #[inline]
    fn reject(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if self.hold.is_empty() {
            out.extend_from_slice(&input[self.from..self.pend]);
        } else {
            self.hold.clear();
        }
        self.pending = false;
        self.writing = false;
    }

    /// The pending bytes are written, the value is not.
    #[inline]
    fn replace(&mut self, start: usize, input: &[u8], out: &mut Vec<u8>) {
        self.accept(input, out);
        out.extend_from_slice(&input[self.from..start]);
        self.writing = false;
    }

    #[inline]
    fn value_ended(&mut self, at: usize) {
        match self.mode {
            Mode::Copy | Mode::Walk => {}
            Mode::Remove => {
                self.writing = self.frames.last().is_none_or(|frame| frame.emitted);
                self.from = at;
            }
            Mode::Replaced | Mode::Treat(_) => {
                self.writing = true;
                self.from = at;
            }
        }
        self.mode = Mode::Walk;
    }

    fn treat_piece(
        &mut self,
        rule: Rule,
        bytes: &[u8],
        piece: Piece,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let quoted = piece.kind == Kind::String;
        let captured = self.capture.take(bytes, piece, quoted, self.limits.scalar_bytes);
        let applied = match captured {
            Captured::Part => return Ok(()),
            Captured::TooLong => {
                self.rules.blank(example(Token::Scalar(piece)), out);
                Applied::Blanked
            }
            Captured::Whole(bytes) => {
                // The bytes passed the UTF-8 check before they came here.
                let Ok(text) = std::str::from_utf8(bytes) else {
                    return Err(self.malformed(MalformedKind::Encoding, 0));
                };
                let scalar = match piece.kind {
                    Kind::Name | Kind::String => Scalar::String(text),
                    Kind::Number => Scalar::Number(text),
                    Kind::True => Scalar::Bool(true),
                    Kind::False => Scalar::Bool(false),
                    Kind::Null => Scalar::Null,
                };
                self.rules.apply(rule, scalar, out)
            }
        };
        self.count_applied(applied);
        Ok(())
    }

    fn count_applied(&mut self, applied: Applied) {
        self.counts.blanked += u64::from(applied == Applied::Blanked);
    }

    fn malformed(&self, kind: MalformedKind, behind: u64) -> Malformed {
        Malformed { kind, offset: self.tokens.offset().saturating_sub(behind) }
    }
}
