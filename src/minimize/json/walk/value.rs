//! A value: what becomes of it at its first byte, and what is left to do at its end.

use super::super::elements::Outcome;
use super::super::fates::{Fate, Kind, What, base, fate};
use super::super::grammar::Tokens;
use super::super::rules::Rule;
use super::super::text;
use super::{
    Fault, Frame, Hand, MalformedKind, Mode, PENDING, Root, Walk, highest, pending_from, shapes,
};
use crate::action::{Applied, Scalar};
use crate::policy::automaton::{CellId, Mark};

impl Walk {
    /// A value begins at `place` of the block at `at`. `separators`: those of the block before it; if
    /// there are none, the last one stands in an earlier block. `ahead`: what comes behind its first
    /// byte. What is frequent is done here, and all else by [`Self::begin_value`].
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn value(
        &mut self,
        tokens: &Tokens,
        window: &[u8],
        (at, place, separators): (usize, u32, u64),
        ahead: &mut u64,
        document: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let start = at + place as usize;
        let kind = Kind::of(window[start]);
        self.decided = start;
        if let Some(frame) = self.frames.last()
            && frame.simple
        {
            let fate = self.fates.known(self.next, kind);
            if fate.quick && frame.emitted {
                self.count_cell(fate.cell);
                return Ok(());
            }
            if fate.what == What::Remove
                && !fate.wanted
                && separators != 0
                && let Some(end) = scalar_end(tokens, kind, *ahead)
            {
                let emitted = frame.emitted;
                self.count(&fate);
                if self.writing {
                    let pending = pending_from(window, at + highest(separators));
                    self.flush(pending, window, out);
                }
                // Where nothing was written yet, white space behind what is removed goes as well.
                self.writing = emitted;
                self.from = at + end as usize;
                self.decided = self.from;
                *ahead = if end == 64 { 0 } else { u64::MAX << end };
                return Ok(());
            }
        }
        self.begin_value(window, kind, (at, start, separators), document, out)
    }

    #[inline(never)]
    fn begin_value(
        &mut self,
        window: &[u8],
        kind: Kind,
        (at, start, separators): (usize, usize, u64),
        document: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let separator = if separators == 0 {
            if start - self.separator > PENDING && !self.frames.is_empty() {
                let at = self.separator + PENDING;
                return Err(Fault { kind: MalformedKind::MemberName, at });
            }
            self.separator
        } else {
            at + highest(separators)
        };
        if self.within.is_some() || self.root == Root::Unwritten {
            self.look_at(start, kind);
            return Ok(());
        }
        let mut fate = self.fate(kind);
        if fate.what == What::Ask || self.elements.list == Some(self.frames.len()) {
            fate = self.begin_child(fate, kind, window, (separator, start), document, out);
        }
        self.begin(fate, kind, window, (separator, start), out)
    }

    #[inline]
    fn fate(&mut self, kind: Kind) -> Fate {
        let bare = self.frames.last().is_none_or(|frame| frame.bare);
        if bare {
            let known = self.fates.known(self.next, kind);
            if known.what != What::Unknown {
                return known;
            }
        }
        self.decide(kind)
    }

    /// Decides what was not decided before.
    #[inline(never)]
    fn decide(&mut self, kind: Kind) -> Fate {
        let above = self.frames.last().map_or_else(
            || (base(self.automaton.unlisted()), true),
            |frame| (frame.rule, frame.subtree),
        );
        let asks = self.root == Root::Document && self.element_start().is_none();
        let found = fate(&self.automaton, &mut self.rules, self.next, kind, above, asks);
        let once = self.automaton.marks(self.next).contains(&Mark::Each);
        if self.is_bare(above.0, above.1) && !once {
            self.fates.keep(self.next, kind, found);
        }
        found
    }

    /// Decides about an element itself: nothing is in force for it from above.
    pub(super) fn decide_element(&mut self, kind: Kind) -> Fate {
        let above = (base(self.automaton.unlisted()), true);
        fate(&self.automaton, &mut self.rules, self.next, kind, above, false)
    }

    /// Carries out what was decided.
    fn begin(
        &mut self,
        fate: Fate,
        kind: Kind,
        window: &[u8],
        (separator, start): (usize, usize),
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.count(&fate);
        let hand = match fate.what {
            What::Copy => {
                self.accept(window, separator);
                let is_child = self.elements.list == Some(self.frames.len());
                if fate.quick && !is_child && !self.frames.is_empty() {
                    self.mode = self.container;
                    return Ok(());
                }
                Hand::Copied
            }
            What::Remove | What::Ask | What::Unknown => {
                self.remove(window, (separator, start), out)
            }
            What::Drop | What::Refuse => {
                self.refuse(fate.what, start)?;
                self.remove(window, (separator, start), out)
            }
            What::Null => {
                self.replace(window, (separator, start), out);
                out.extend_from_slice(b"null");
                Hand::Replaced
            }
            What::Count => {
                let counted = self.elements.ended
                    && self.root == Root::Document
                    && self.elements.list.is_none();
                if counted {
                    self.replace(window, (separator, start), out);
                    self.write_count(out);
                    Hand::Replaced
                } else {
                    self.remove(window, (separator, start), out)
                }
            }
            What::Placeholder => {
                self.replace(window, (separator, start), out);
                let applied = self.rules.apply(fate.rule, kind.example(), out);
                self.counts.blanked += u64::from(applied == Applied::Blanked);
                Hand::Replaced
            }
            What::Treat => {
                self.replace(window, (separator, start), out);
                Hand::Treated(fate.rule)
            }
            What::Enter => {
                self.accept(window, separator);
                if fate.wanted && self.locating {
                    self.elements.subjects.other(&self.automaton, self.next);
                }
                self.enter(kind == Kind::Object, fate.rule, fate.subtree);
                return Ok(());
            }
        };
        self.take(hand, kind, start, fate.wanted);
        Ok(())
    }

    /// Takes a value in hand whose end must be met.
    #[inline]
    fn take(&mut self, hand: Hand, kind: Kind, start: usize, wanted: bool) {
        let wanted = wanted && self.locating;
        self.hand = hand;
        self.kind = kind;
        self.start = start;
        self.too_long = false;
        self.wanted = wanted && kind.is_scalar();
        self.mode = match kind {
            Kind::String => Mode::Text,
            Kind::Number | Kind::Bool | Kind::Null => Mode::Scalar,
            Kind::Object | Kind::Array => {
                if wanted {
                    self.elements.subjects.other(&self.automaton, self.next);
                }
                if self.locating && self.automaton.leads_to_subjects(self.next) {
                    self.within = Some((self.frames.len(), hand));
                    self.enter(kind == Kind::Object, Rule::Unlisted, true);
                    return;
                }
                self.depth = self.frames.len() + 1;
                Mode::Skip
            }
        };
    }

    /// A value within another that is copied or removed whole: only ids matter.
    #[inline(never)]
    fn look_at(&mut self, start: usize, kind: Kind) {
        let wanted = self.is_subject();
        if kind.is_scalar() && !wanted {
            self.mode = self.container;
            return;
        }
        let root = self.within.is_none();
        if root {
            self.within = Some((0, Hand::Removed));
        }
        if !kind.is_scalar() && self.automaton.leads_to_subjects(self.next) {
            if wanted {
                self.elements.subjects.other(&self.automaton, self.next);
            }
            self.enter(kind == Kind::Object, Rule::Unlisted, true);
            return;
        }
        self.take(Hand::Within, kind, start, wanted);
    }

    fn is_subject(&self) -> bool {
        let marks = self.automaton.marks(self.next);
        marks.iter().any(|mark| matches!(mark, Mark::Subject(_)))
    }

    fn enter(&mut self, object: bool, rule: Rule, subtree: bool) {
        let state = self.next;
        let live = if self.within.is_some() {
            self.automaton.leads_to_subjects(state)
        } else {
            !self.automaton.is_dead(state)
        };
        self.frames.push(Frame {
            state,
            rule,
            subtree,
            object,
            bare: self.is_bare(rule, subtree),
            simple: self.is_bare(rule, subtree) && self.within.is_none(),
            live,
            emitted: false,
            last: shapes::NONE,
            expected: self.shapes.first(state),
            index: 0,
        });
        self.container = if object { Mode::Object } else { Mode::Array };
        self.mode = self.container;
    }

    /// The container that is walked into closes at `place`.
    #[inline(never)]
    pub(super) fn close(
        &mut self,
        window: &[u8],
        place: usize,
        document: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let frame = self.frames.pop();
        self.container = match self.frames.last() {
            Some(Frame { object: true, .. }) => Mode::Object,
            Some(_) => Mode::Array,
            None => Mode::Done,
        };
        self.mode = self.container;
        self.decided = place + 1;
        if let Some((around, hand)) = self.within {
            if around == self.frames.len() {
                self.within = None;
                self.hand = hand;
                self.wanted = false;
                return self.value_ended(window, place + 1, document, out);
            }
            return Ok(());
        }
        if !self.writing {
            self.from = place;
            self.writing = true;
        }
        if let Some(frame) = frame {
            self.list_closed(frame, window, place, out);
        }
        if self.elements.list == Some(self.frames.len()) {
            self.end_child(window, place + 1, document, out)?;
        }
        Ok(())
    }

    /// The value in hand ends before `end`.
    #[inline]
    pub(super) fn value_ended(
        &mut self,
        window: &[u8],
        end: usize,
        document: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.decided = end;
        self.mode = self.container;
        if self.wanted {
            self.found_id(window, end);
        }
        match self.hand {
            Hand::Copied | Hand::Within => {}
            Hand::Removed => {
                if self.frames.last().is_none_or(|frame| frame.emitted) {
                    self.writing = self.root != Root::Unwritten;
                    self.from = end;
                }
            }
            Hand::Replaced => {
                self.writing = true;
                self.from = end;
            }
            Hand::Treated(rule) => {
                self.treat_value(rule, window, end, out)?;
                self.writing = true;
                self.from = end;
            }
        }
        if self.elements.list == Some(self.frames.len()) && self.within.is_none() {
            self.end_child(window, end, document, out)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn found_id(&mut self, window: &[u8], end: usize) {
        use super::super::subjects::LONGEST_ID;
        let short = !self.too_long && end - self.start <= LONGEST_ID;
        let written = short.then(|| &window[self.start..end]);
        self.elements.subjects.scalar(&self.automaton, self.next, self.kind, written);
        self.wanted = false;
    }

    fn treat_value(
        &mut self,
        rule: Rule,
        window: &[u8],
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if self.too_long || end - self.start > self.limits.scalar_bytes {
            self.rules.blank(self.kind.example(), out);
            self.counts.blanked += 1;
            return Ok(());
        }
        let written = &window[self.start..end];
        let said = match (self.kind, written) {
            (Kind::String, [b'"', inside @ .., b'"']) => text::said(inside, &mut self.scratch),
            _ => written,
        };
        // The bytes passed the UTF-8 check before they came here.
        let Ok(text) = std::str::from_utf8(said) else {
            return Err(Fault { kind: MalformedKind::Encoding, at: self.start });
        };
        let scalar = match self.kind {
            Kind::String => Scalar::String(text),
            Kind::Number => Scalar::Number(text),
            Kind::Bool => Scalar::Bool(written == b"true"),
            Kind::Null | Kind::Object | Kind::Array => Scalar::Null,
        };
        let applied = self.rules.apply(rule, scalar, out);
        self.counts.blanked += u64::from(applied == Applied::Blanked);
        Ok(())
    }

    /// The pending bytes are written with the value that follows them.
    #[inline]
    fn accept(&mut self, window: &[u8], separator: usize) {
        if let Some(frame) = self.frames.last_mut()
            && !frame.emitted
        {
            frame.emitted = true;
            if !self.writing {
                // What stood before it was removed: so is the comma.
                self.from = pending_from(window, separator) + 1;
                self.writing = true;
            }
        }
    }

    /// The pending bytes go with the value that follows them.
    #[inline]
    fn remove(
        &mut self,
        window: &[u8],
        (separator, start): (usize, usize),
        out: &mut Vec<u8>,
    ) -> Hand {
        if self.writing {
            let to = if self.frames.is_empty() { start } else { pending_from(window, separator) };
            self.flush(to, window, out);
            self.writing = false;
        }
        if self.frames.is_empty() && self.root == Root::Document && self.elements.open.is_none() {
            out.extend_from_slice(b"null");
        }
        Hand::Removed
    }

    /// The pending bytes are written, the value is not.
    #[inline]
    fn replace(&mut self, window: &[u8], (separator, start): (usize, usize), out: &mut Vec<u8>) {
        self.accept(window, separator);
        self.flush(start, window, out);
        self.writing = false;
    }

    /// A rule drops or refuses: the element, if there is one, else the answer.
    #[cold]
    fn refuse(&mut self, what: What, start: usize) -> Result<(), Fault> {
        let outcome = if what == What::Drop { Outcome::Dropped } else { Outcome::Refused };
        match (&mut self.elements.open, self.root) {
            (Some(open), _) if open.element.is_some() => open.outcome = open.outcome.max(outcome),
            (_, Root::Element) => self.outcome = self.outcome.max(outcome),
            _ => return Err(Fault { kind: MalformedKind::Refused, at: start }),
        }
        Ok(())
    }

    #[inline]
    fn count(&mut self, fate: &Fate) {
        self.count_cell(fate.cell);
        if fate.several {
            self.count_all();
        }
        self.counts.unlisted += u64::from(fate.unlisted);
        self.counts.blanked += u64::from(fate.blanked);
    }

    #[inline]
    fn count_cell(&mut self, cell: CellId) {
        if let Some(count) = self.counts.cells.get_mut(usize::from(cell.0)) {
            *count += 1;
        }
    }

    #[cold]
    fn count_all(&mut self) {
        for mark in self.automaton.marks(self.next) {
            if let Mark::Cell { cell, .. } | Mark::Count(cell) = *mark
                && let Some(count) = self.counts.cells.get_mut(usize::from(cell.0))
            {
                *count += 1;
            }
        }
    }
}

/// Where a scalar whose first byte is behind us ends, if it does in this block: behind a text's
/// quote, or at the first byte that is none of a number's.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `value`")]
fn scalar_end(tokens: &Tokens, kind: Kind, ahead: u64) -> Option<u32> {
    let (ends, behind) = match kind {
        Kind::String => (tokens.closing & ahead, 1),
        Kind::Number | Kind::Bool | Kind::Null => (!tokens.scalar & ahead, 0),
        Kind::Object | Kind::Array => return None,
    };
    (ends != 0).then(|| ends.trailing_zeros() + behind)
}
