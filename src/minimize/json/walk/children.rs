//! Children of lists: where each begins and ends, and the question about it.

use super::super::elements::{Child, Content, Element, OpenChild, Outcome, Segment};
use super::super::fates::{Fate, Kind, What};
use super::{Fault, Frame, MalformedKind, Root, Text, Walk, pending_from};
use crate::minimize::Scope;
use crate::policy::automaton::Mark;

impl Walk {
    /// Where the element in hand begins in the document, if one is being walked.
    #[inline]
    pub(super) fn element_start(&self) -> Option<u64> {
        self.elements.open.and_then(|open| open.element).map(|(_, start)| start)
    }

    /// An element of which `end - start` bytes were met must not be larger than the bound.
    pub(super) fn element_fits(&self, start: usize, end: usize) -> Result<(), Fault> {
        if end - start > self.limits.element_bytes {
            let at = start + self.limits.element_bytes;
            return Err(Fault { kind: MalformedKind::Element, at });
        }
        Ok(())
    }

    /// A child of a list begins; `fate` says whether somebody is asked about it. Returns what the
    /// treatments in force make of it.
    #[inline(never)]
    pub(super) fn begin_child(
        &mut self,
        fate: Fate,
        kind: Kind,
        text: &Text<'_>,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Fate {
        let window = text.window;
        let pending =
            if self.frames.is_empty() { start } else { pending_from(window, self.separator) };
        if self.elements.list.is_none() {
            self.begin_list(pending, window, out);
        }
        self.flush(pending, window, out);
        let lead = out.len() - self.elements.origin;
        let asks = fate.what == What::Ask;
        // The name of an element is decided with it.
        let name = self.name(window).filter(|_| asks);
        let name = name.map(|(open, close)| (lead + open - pending, lead + close - pending));
        if self.renamed.is_some() {
            self.write_name(window, out);
        }
        self.flush(start, window, out);
        let body = out.len() - self.elements.origin;
        let element = asks.then(|| (self.next, text.base + start as u64));
        // What a child that nobody is asked about becomes is known; of an element it is asked.
        let leaves = !matches!(fate.what, What::Remove | What::Count | What::Unknown);
        self.elements.open =
            Some(OpenChild { lead, body, name, element, outcome: Outcome::Written, leaves });
        if !asks {
            return fate;
        }
        self.locating = !self.automaton.subjects().is_empty();
        self.elements.subjects.clear();
        std::mem::swap(&mut self.counts, &mut self.aside);
        self.counts.restart(self.aside.cells.len());
        self.decide_element(kind)
    }

    fn begin_list(&mut self, pending: usize, window: &[u8], out: &mut Vec<u8>) {
        if self.writing {
            self.flush(pending, window, out);
        } else {
            self.writing = true;
            self.from = pending;
        }
        if !self.elements.are_undecided() {
            self.elements.origin = out.len();
        }
        let at = out.len() - self.elements.origin;
        let emitted = match self.frames.last_mut() {
            // From now on what is written is taken apart again when the verdicts are there.
            Some(frame) => {
                frame.simple = false;
                std::mem::replace(&mut frame.emitted, true)
            }
            None => false,
        };
        self.elements.segments.push(Segment::List { at, emitted });
        self.elements.list = Some(self.frames.len());
    }

    /// The child in hand ends before `end`.
    #[inline(never)]
    pub(super) fn end_child(
        &mut self,
        text: &Text<'_>,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(open) = self.elements.open else { return Ok(()) };
        if self.writing {
            self.flush(end, text.window, out);
        }
        let written = out.len() - self.elements.origin;
        let content = match open.element {
            None => Content::Plain { leaves: open.leaves },
            Some((state, start)) => {
                let end = text.base + end as u64;
                let first = usize::try_from(start - text.base).unwrap_or_default();
                self.element_fits(
                    first,
                    first + usize::try_from(end - start).unwrap_or(usize::MAX),
                )?;
                self.ask();
                let is_root = self.frames.is_empty();
                Content::Element(Element { state, start, end, outcome: open.outcome, is_root })
            }
        };
        let (lead, body, name) = (open.lead, open.body, open.name);
        let child = Child { lead, body, name, end: written, content };
        self.elements.segments.push(Segment::Child(child));
        self.elements.open = None;
        if self.frames.is_empty() {
            self.end_list(written);
        }
        Ok(())
    }

    /// Asks about the element that ended, and lays aside what was counted in it.
    fn ask(&mut self) {
        self.locating = false;
        let scope = Scope::Element(self.elements.met);
        self.elements.met += 1;
        let question = self.elements.subjects.question(&self.automaton, scope);
        self.elements.questions.push(question);
        self.elements.lay_aside(&self.counts);
        std::mem::swap(&mut self.counts, &mut self.aside);
    }

    fn end_list(&mut self, at: usize) {
        self.elements.segments.push(Segment::End { at });
        self.elements.list = None;
        self.elements.ended = true;
    }

    /// A container that was walked into closed at `place`: if it was a list, that has ended.
    pub(super) fn list_closed(
        &mut self,
        frame: Frame,
        window: &[u8],
        place: usize,
        out: &mut Vec<u8>,
    ) {
        if self.elements.list == Some(self.frames.len() + 1) {
            self.flush(place, window, out);
            self.end_list(out.len() - self.elements.origin);
        } else if self.root == Root::Document
            && frame.index == 0
            && frame.live
            && !frame.object
            && self.element_start().is_none()
            && self.automaton.marks(self.automaton.element(frame.state, 0)).contains(&Mark::Each)
        {
            self.elements.ended = true;
        }
    }

    /// Writes how many elements were released, or where that number will stand.
    pub(super) fn write_count(&mut self, out: &mut Vec<u8>) {
        if self.elements.are_undecided() {
            let at = out.len() - self.elements.origin;
            self.elements.segments.push(Segment::Count { at });
        } else {
            out.extend_from_slice(self.elements.released.to_string().as_bytes());
        }
    }
}
