//! Values that a filter decides: held until they are whole, judged once, and then walked.

use super::super::elements::Outcome;
use super::super::engine::Engine;
use super::super::fates::{What, base};
use super::super::lanes::Level;
use super::super::rules::Rule;
use super::{Counts, Fault, Hand, Root, Text, Walk};
use crate::policy::automaton::Truths;

impl Walk {
    /// Whether a filter decides what the value that comes next is.
    #[inline]
    pub(super) fn is_guarded(&self) -> bool {
        self.automaton.guard(self.next).is_some()
    }

    /// Where ids are looked for, filters do not matter: none stands in the way to an id.
    pub(super) fn pass_guard(&mut self) {
        self.next = self.automaton.resolved(self.next, Truths::UNDECIDED);
    }

    /// What of the window must stay while a value is held, of which all is there up to `upto`.
    pub(super) fn held_from(&self, upto: usize) -> Result<usize, Fault> {
        self.element_fits(self.start, upto)?;
        Ok(self.start.min(self.separator))
    }

    /// The held value is whole: it is judged and walked.
    pub(super) fn held_ended(
        &mut self,
        text: &Text<'_>,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (start, kind) = (self.start, self.kind);
        self.element_fits(start, end)?;
        let value = &text.window[start..end];
        if let Some(guard) = self.automaton.guard(self.next) {
            let truths = self.automaton.judge(guard, value);
            self.next = self.automaton.resolved(self.next, truths);
        }
        if kind.is_scalar() {
            if self.begin(text, start, kind, out)? {
                self.finish(text, end, out)?;
            }
            return Ok(());
        }
        let mut above = self.in_force();
        let fate = self.fate(kind);
        // No filter stands in the way to a name; if one did, nothing would leave under it.
        if fate.key != Rule::Unlisted {
            self.hand = self.remove(text.window, start, out);
            self.wanted = false;
            return self.finish(text, end, out);
        }
        if fate.what == What::Ask || self.elements.list == Some(self.frames.len()) {
            if fate.what == What::Ask {
                above = (base(self.automaton.unlisted()), true);
            }
            self.begin_child(fate, kind, text, start, out);
        }
        let mut part = self.part.take().unwrap_or_else(|| {
            let walk = Walk::new(self.automaton.clone(), self.treatments().clone(), self.limits);
            Box::new(Engine::new(Level::best(), walk, self.limits))
        });
        let written = self.walk_part(&mut part, above, value, text.base + start as u64);
        let outcome = part.walk.outcome;
        self.part = Some(part);
        let written = written?;
        self.hand = if outcome == Outcome::Written && !written.is_empty() {
            self.replace(text.window, start, out);
            out.extend_from_slice(&written);
            Hand::Replaced
        } else {
            match outcome {
                Outcome::Written => {}
                Outcome::Dropped => self.refuse(What::Drop, start)?,
                Outcome::Refused => self.refuse(What::Refuse, start)?,
            }
            if let Some(open) = &mut self.elements.open
                && open.element.is_none()
            {
                open.leaves = false;
            }
            self.remove(text.window, start, out)
        };
        self.wanted = false;
        self.finish(text, end, out)
    }

    /// Walks a container that was held, with what is in force for it from above.
    fn walk_part(
        &mut self,
        part: &mut Engine,
        (rule, subtree): (Rule, bool),
        value: &[u8],
        offset: u64,
    ) -> Result<Vec<u8>, Fault> {
        let mut written = Vec::new();
        part.walk.treat(self.treatments().clone());
        if let Rule::Joined(_) = rule {
            // A join is numbered by the walk that made it.
            part.walk.adopt(&self.rules);
        }
        part.restart(Root::Element, self.next, offset);
        part.walk.above = (rule, subtree);
        part.walk.locating = self.locating;
        let walked = part.hold(value).and_then(|()| {
            while !part.step_held(&mut written)? {}
            Ok(())
        });
        walked.map_err(|malformed| Fault { kind: malformed.kind, at: self.start })?;
        self.elements.subjects.absorb(&mut part.walk.elements.subjects);
        let Counts { cells, blanked, unlisted, withheld } = &part.walk.counts;
        self.counts.blanked += blanked;
        self.counts.unlisted += unlisted;
        self.counts.withheld += withheld;
        for (sum, count) in self.counts.cells.iter_mut().zip(cells) {
            *sum += count;
        }
        Ok(written)
    }
}
