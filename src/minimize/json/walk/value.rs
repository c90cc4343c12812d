//! A value: what becomes of it, at its first byte or, if it is a scalar, when all of it is there.

use super::super::elements::Outcome;
use super::super::fates::{Fate, Kind, Quick, What, base, fate};
use super::super::rules::Rule;
use super::{
    Fault, Frame, Hand, MalformedKind, Mode, PENDING, Root, Text, Walk, pending_from, place, shapes,
};
use crate::policy::automaton::{CellId, Mark, StateId};

impl Walk {
    /// The value of the member in hand: a container that opens at the mark, or a scalar before it.
    #[inline]
    pub(super) fn value(
        &mut self,
        text: &Text<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mark = text.window[at];
        if mark | 0x20 == b'{' {
            return self.container(text, at, out);
        }
        let start = place::start(text.window, self.colon + 1);
        self.scalar(text, start, place::end(text.window, at), out)?;
        if mark == b',' {
            self.separator = at;
            return Ok(());
        }
        self.close(text, at, out)
    }

    /// The next element: a container that opens at the mark, or a scalar before it, or none.
    #[inline]
    pub(super) fn element(
        &mut self,
        text: &Text<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mark = text.window[at];
        if mark | 0x20 == b'{' {
            self.next = self.next_element();
            return self.container(text, at, out);
        }
        let start = place::start(text.window, self.separator + 1);
        if mark == b':' {
            // A name in an array: `nesting` will see it, but only at the next bracket.
            return Err(Fault { kind: MalformedKind::Syntax, at });
        }
        if start < at {
            self.next = self.next_element();
            self.scalar(text, start, place::end(text.window, at), out)?;
        }
        if mark == b',' {
            self.separator = at;
            return Ok(());
        }
        self.close(text, at, out)
    }

    /// Behind a value: the separator before the next, or the end of what is around it.
    pub(super) fn separated(
        &mut self,
        text: &Text<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if text.window[at] == b',' {
            self.separator = at;
            self.mode = self.container;
            return Ok(());
        }
        self.close(text, at, out)
    }

    /// The state of an array's next element.
    #[inline]
    pub(super) fn next_element(&mut self) -> StateId {
        let Some(frame) = self.frames.last_mut() else { return StateId::DEAD };
        let index = frame.index;
        frame.index += 1;
        if frame.live { self.automaton.element(frame.state, index) } else { StateId::DEAD }
    }

    /// A scalar from `start` to `end`. What is frequent is done here.
    #[inline]
    fn scalar(
        &mut self,
        text: &Text<'_>,
        start: usize,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let kind = Kind::of(text.window[start]);
        if let Some(frame) = self.frames.last()
            && frame.simple
        {
            let fate = self.fates.known(self.next, kind);
            let emitted = frame.emitted;
            match fate.quick {
                Quick::Keep if emitted => {
                    self.count_cell(fate.cell);
                    return Ok(());
                }
                Quick::Remove => {
                    self.count(&fate);
                    self.cut(self.separator, emitted, end, text.window, out);
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.begin(text, start, kind, out)? {
            self.finish(text, end, out)?;
        }
        Ok(())
    }

    /// The root is a scalar, or there is none: the document ends at `end`.
    pub(in super::super) fn scalar_root(
        &mut self,
        text: &Text<'_>,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let end = place::end(text.window, end);
        match self.mode {
            Mode::Root => {
                let start = place::start(text.window, 0);
                if start < end {
                    self.mode = Mode::Done;
                    self.scalar(text, start, end, out)?;
                }
                Ok(())
            }
            Mode::Long => self.value_ended(text, end, out),
            _ => Ok(()),
        }
    }

    /// A container opens at `at`.
    #[inline(never)]
    pub(super) fn container(
        &mut self,
        text: &Text<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let kind = Kind::of(text.window[at]);
        if let Some(frame) = self.frames.last()
            && frame.simple
        {
            let fate = self.fates.known(self.next, kind);
            if fate.quick == Quick::Enter && at - self.separator <= PENDING {
                self.accept(text.window, out);
                self.enter(kind == Kind::Object, fate.rule, fate.subtree);
                self.separator = at;
                return Ok(());
            }
        }
        if self.begin(text, at, kind, out)? {
            let seek = self.locating && self.hand != Hand::Held;
            if seek && self.automaton.leads_to_subjects(self.next) {
                let within = (self.frames.len(), self.hand);
                self.within = self.within.or(Some(within));
                self.enter(kind == Kind::Object, Rule::Unlisted, true);
                self.separator = at;
            } else {
                self.depth = self.frames.len() + 1;
                self.mode = Mode::Skip;
            }
        } else {
            self.separator = at;
        }
        Ok(())
    }

    /// Decides a value and carries out what can be at its first byte. Returns whether its end must be
    /// met: not if it was entered.
    pub(super) fn begin(
        &mut self,
        text: &Text<'_>,
        start: usize,
        kind: Kind,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        if !self.frames.is_empty() && start - self.separator > PENDING {
            let at = self.separator + PENDING;
            return Err(Fault { kind: MalformedKind::MemberName, at });
        }
        self.start = start;
        self.kind = kind;
        self.too_long = false;
        if self.within.is_some() || self.root == Root::Unwritten {
            self.pass_guard();
            self.found_name(text.window);
            let wanted = self.is_subject();
            self.want(wanted, kind);
            self.hand = Hand::Within;
            return Ok(true);
        }
        if self.is_guarded() {
            self.hand = Hand::Held;
            self.wanted = false;
            return Ok(true);
        }
        let mut fate = self.fate(kind);
        if fate.key != Rule::Unlisted {
            self.rename(&mut fate, text.window);
        }
        let names = fate.names;
        if fate.what == What::Ask || self.elements.list == Some(self.frames.len()) {
            fate = self.begin_child(fate, kind, text, start, out);
        }
        self.count(&fate);
        self.want(fate.wanted && self.locating, kind);
        let window = text.window;
        if names && self.locating {
            self.found_name(window);
        }
        self.hand = match fate.what {
            What::Copy => {
                self.accept(window, out);
                Hand::Copied
            }
            What::Remove | What::Ask | What::Unknown => self.remove(window, start, out),
            What::Drop | What::Refuse => {
                self.refuse(fate.what, start)?;
                self.remove(window, start, out)
            }
            What::Null => {
                self.replace(window, start, out);
                out.extend_from_slice(b"null");
                Hand::Replaced
            }
            What::Count => {
                let counted = self.elements.ended
                    && self.root == Root::Document
                    && self.elements.list.is_none();
                if counted {
                    self.replace(window, start, out);
                    self.write_count(out);
                    Hand::Replaced
                } else {
                    self.remove(window, start, out)
                }
            }
            What::Placeholder => {
                self.replace(window, start, out);
                self.write_placeholder(&fate, kind, out);
                Hand::Replaced
            }
            What::Treat => {
                self.replace(window, start, out);
                Hand::Treated(fate.rule)
            }
            What::Link => Hand::Link(fate.rule),
            What::Enter => {
                self.accept(window, out);
                self.enter(kind == Kind::Object, fate.rule, fate.subtree);
                return Ok(false);
            }
        };
        Ok(true)
    }

    #[inline]
    pub(super) fn fate(&mut self, kind: Kind) -> Fate {
        let bare = match self.frames.last() {
            Some(frame) => frame.bare,
            None => self.is_bare(self.above.0, self.above.1),
        };
        if bare {
            let known = self.fates.known(self.next, kind);
            if known.what != What::Unknown {
                return known;
            }
        }
        self.decide(kind)
    }

    /// What is in force from above for the value that comes next.
    pub(super) fn in_force(&self) -> (Rule, bool) {
        self.frames.last().map_or(self.above, |frame| (frame.rule, frame.subtree))
    }

    /// Decides what was not decided before.
    #[inline(never)]
    fn decide(&mut self, kind: Kind) -> Fate {
        let above = self.in_force();
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

    fn is_subject(&self) -> bool {
        let marks = self.automaton.marks(self.next);
        marks.iter().any(|mark| matches!(mark, Mark::Subject(_)))
    }

    /// The id of a subject should stand here. No container is one.
    #[inline]
    fn want(&mut self, wanted: bool, kind: Kind) {
        self.wanted = wanted && kind.is_scalar();
        if wanted && !self.wanted {
            self.elements.subjects.container(&self.automaton, self.next);
        }
    }

    pub(super) fn enter(&mut self, object: bool, rule: Rule, subtree: bool) {
        let state = self.next;
        let within = self.within.is_some();
        let live = if within {
            self.automaton.leads_to_subjects(state)
        } else {
            !self.automaton.is_dead(state)
        };
        let bare = self.is_bare(rule, subtree);
        let owner = self.frames.last().map_or(shapes::NONE, |frame| frame.last);
        self.frames.push(Frame {
            state,
            rule,
            subtree,
            object,
            bare,
            simple: bare && !within,
            live,
            emitted: false,
            owner,
            // An array's elements follow the name that the array stands under.
            last: if object { shapes::NONE } else { owner },
            expected: self.shapes.first(owner),
            index: 0,
        });
        self.container = if object { Mode::Object } else { Mode::Array };
        self.mode = self.container;
    }

    /// The container that is walked into closes at `place`.
    #[inline(never)]
    pub(super) fn close(
        &mut self,
        text: &Text<'_>,
        place: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let frame = self.frames.pop();
        self.leave();
        if let Some((around, hand)) = self.within {
            if around == self.frames.len() {
                self.within = None;
                self.hand = hand;
                self.wanted = false;
                return self.value_ended(text, place + 1, out);
            }
            return Ok(());
        }
        if !self.writing {
            self.from = place;
            self.writing = true;
        }
        if let Some(frame) = frame {
            self.list_closed(frame, text.window, place, out);
        }
        if self.elements.list == Some(self.frames.len()) {
            self.end_child(text, place + 1, out)?;
        }
        Ok(())
    }

    /// A container ended: goes on behind it.
    #[inline]
    pub(super) fn leave(&mut self) {
        (self.container, self.mode) = match self.frames.last() {
            Some(Frame { object: true, .. }) => (Mode::Object, Mode::Behind),
            Some(_) => (Mode::Array, Mode::Behind),
            None => (Mode::Done, Mode::Done),
        };
    }

    /// The value in hand ends before `end`, and its end was waited for.
    pub(super) fn value_ended(
        &mut self,
        text: &Text<'_>,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.leave();
        self.finish(text, end, out)
    }

    /// Carries out what is left to do at the end of the value in hand.
    #[inline]
    pub(super) fn finish(
        &mut self,
        text: &Text<'_>,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if self.wanted {
            self.found_id(text.window, end);
        }
        match self.hand {
            Hand::Held => return self.held_ended(text, end, out),
            Hand::Copied | Hand::Within => {}
            Hand::Removed => self.removed(end),
            Hand::Link(rule) => self.finish_link(rule, text.window, end, out),
            Hand::Replaced => {
                self.writing = true;
                self.from = end;
            }
            Hand::Treated(rule) => {
                self.treat_value(rule, text.window, end, out);
                self.writing = true;
                self.from = end;
            }
        }
        if self.elements.list == Some(self.frames.len()) && self.within.is_none() {
            self.end_child(text, end, out)?;
        }
        Ok(())
    }

    /// The value that was removed ends before `end`.
    #[inline]
    pub(super) fn removed(&mut self, end: usize) {
        if self.frames.last().is_none_or(|frame| frame.emitted) {
            self.writing = self.root != Root::Unwritten;
            self.from = end;
        }
    }

    /// The pending bytes are written with the value that follows them.
    #[inline]
    fn accept(&mut self, window: &[u8], out: &mut Vec<u8>) {
        if let Some(frame) = self.frames.last_mut()
            && !frame.emitted
        {
            frame.emitted = true;
            self.follow_separator(window, self.separator);
        }
        if self.renamed.is_some() {
            self.write_name(window, out);
        }
    }

    /// A container's first member that is written.
    #[inline]
    pub(super) fn follow_separator(&mut self, window: &[u8], separator: usize) {
        if !self.writing {
            // What stood before it was removed: so is the comma.
            self.from = pending_from(window, separator) + 1;
            self.writing = true;
        }
    }

    /// A member is removed of which all is there: its pending bytes, and its value up to `end`.
    #[inline]
    pub(super) fn cut(
        &mut self,
        separator: usize,
        emitted: bool,
        end: usize,
        window: &[u8],
        out: &mut Vec<u8>,
    ) {
        if self.writing {
            self.flush(pending_from(window, separator), window, out);
        }
        // Where nothing was written yet, white space behind what is removed goes as well.
        self.writing = emitted;
        self.from = end;
    }

    /// The pending bytes go with the value that follows them.
    pub(super) fn remove(&mut self, window: &[u8], start: usize, out: &mut Vec<u8>) -> Hand {
        self.renamed = None;
        if self.writing {
            let root = self.frames.is_empty();
            let to = if root { start } else { pending_from(window, self.separator) };
            self.flush(to, window, out);
            self.writing = false;
        }
        if self.frames.is_empty() && self.root == Root::Document && self.elements.open.is_none() {
            out.extend_from_slice(b"null");
        }
        Hand::Removed
    }

    /// The pending bytes are written, the value is not.
    pub(super) fn replace(&mut self, window: &[u8], start: usize, out: &mut Vec<u8>) {
        self.accept(window, out);
        self.flush(start, window, out);
        self.writing = false;
    }

    /// A rule drops or refuses: the element, if there is one, else the answer.
    #[cold]
    pub(super) fn refuse(&mut self, what: What, start: usize) -> Result<(), Fault> {
        let outcome = if what == What::Drop { Outcome::Dropped } else { Outcome::Refused };
        match (&mut self.elements.open, self.root) {
            (Some(open), _) if open.element.is_some() => open.outcome = open.outcome.max(outcome),
            (_, Root::Element) => self.outcome = self.outcome.max(outcome),
            _ => return Err(Fault { kind: MalformedKind::Refused, at: start }),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn count(&mut self, fate: &Fate) {
        self.count_cell(fate.cell);
        if fate.several {
            self.count_all();
        }
        self.counts.unlisted += u64::from(fate.unlisted);
        self.counts.withheld += u64::from(fate.withheld);
        self.counts.blanked += u64::from(fate.blanked);
    }

    #[inline]
    pub(super) fn count_cell(&mut self, cell: CellId) {
        if let Some(count) = self.counts.cells.get_mut(usize::from(cell.0)) {
            *count += 1;
        }
    }

    #[cold]
    fn count_all(&mut self) {
        for mark in self.automaton.marks(self.next) {
            if let Mark::Cell { cell, .. } | Mark::Count(cell) | Mark::Key(cell) = *mark
                && let Some(count) = self.counts.cells.get_mut(usize::from(cell.0))
            {
                *count += 1;
            }
        }
    }
}
