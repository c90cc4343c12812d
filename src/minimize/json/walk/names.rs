//! Names of members that say something about a person: written as they may leave, or the member is
//! removed; and taken for the ids that they are.
//!
//! A name is decided with the first byte of its value, when all of it is pending in the window. That of
//! an element of a list is decided with the verdict about it: until then it stands in what is staged.

use super::super::elements::Left;
use super::super::fates::{Fate, What};
use super::super::rules::Rule;
use super::super::text;
use super::{Walk, place};
use crate::action::Action;
use crate::action::transform::write_string;
use crate::policy::automaton::{Mark, StateId};

/// A name, and what is written for it.
pub(super) struct Renamed {
    /// Where it stands in the window, with its quotes.
    open: usize,
    close: usize,
    written: Vec<u8>,
}

impl Renamed {
    /// The first `count` bytes of the window are gone.
    pub(super) fn drained(&mut self, count: usize) {
        self.open = self.open.saturating_sub(count);
        self.close = self.close.saturating_sub(count);
    }
}

impl Walk {
    /// Where the name of the member in hand stands, with its quotes; `None` for an element of an array.
    pub(super) fn name(&self, window: &[u8]) -> Option<(usize, usize)> {
        self.frames.last().filter(|frame| frame.object)?;
        let open = place::start(window, self.separator + 1);
        let close = place::end(window, self.colon);
        (open < close).then_some((open, close))
    }

    /// Decides the name of the member in hand, of which the rule for its name lets it leave. Where it
    /// has none that may leave, the member is removed.
    #[inline(never)]
    pub(super) fn rename(&mut self, fate: &mut Fate, window: &[u8]) {
        self.renamed = None;
        let stays = matches!(fate.what, What::Remove | What::Drop | What::Refuse | What::Ask);
        // The name of a root is with whoever holds it.
        if stays || self.frames.is_empty() || is_as_written(self.rules.action(fate.key)) {
            return;
        }
        let name = self.name(window);
        let written = name.and_then(|(open, close)| self.written(fate.key, &window[open..close]));
        if let (Some((open, close)), Some(written)) = (name, written) {
            self.renamed = Some(Renamed { open, close, written });
        } else {
            fate.what = What::Remove;
            fate.blanked = true;
        }
    }

    /// What is written for a name, with quotes.
    fn written(&mut self, rule: Rule, name: &[u8]) -> Option<Vec<u8>> {
        let [b'"', inside @ .., b'"'] = name else { return None };
        let said = text::said(inside, &mut self.scratch);
        // The bytes passed the UTF-8 check before they came here.
        let name = self.rules.name(rule, std::str::from_utf8(said).ok()?)?;
        let mut written = Vec::with_capacity(name.len() + 2);
        write_string(&name, &mut written);
        Some(written)
    }

    /// Writes the pending bytes up to the name's end, with what stands for it.
    #[inline(never)]
    pub(super) fn write_name(&mut self, window: &[u8], out: &mut Vec<u8>) {
        if let Some(Renamed { open, close, written }) = self.renamed.take() {
            self.flush(open, window, out);
            out.extend_from_slice(&written);
            self.from = close;
        }
    }

    /// What is left of an element at a place of this state that leaves under these treatments; `None`:
    /// its name has no form that may leave.
    pub(in super::super) fn under_its_name(
        &mut self,
        state: StateId,
        name: Option<&[u8]>,
    ) -> Option<Left> {
        let mut rule = Rule::Unlisted;
        for at in 0..self.automaton.marks(state).len() {
            if let Mark::Key(cell) = self.automaton.marks(state)[at] {
                rule = self.rules.join(rule, Rule::Cell(cell));
            }
        }
        if rule == Rule::Unlisted || is_as_written(self.rules.action(rule)) {
            return Some(Left::Written);
        }
        self.written(rule, name?).map(Left::Under)
    }

    /// The name of the member in hand may be somebody's id.
    pub(super) fn found_name(&mut self, window: &[u8]) {
        if self.automaton.is_keyed(self.next) {
            let name = self.name(window).map(|(open, close)| &window[open..close]);
            self.elements.subjects.name(&self.automaton, self.next, name);
        }
    }
}

/// Whether a name leaves as it was written under this action.
const fn is_as_written(action: &Action) -> bool {
    matches!(action, Action::Keep | Action::OwnLines)
}
