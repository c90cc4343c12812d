//! Links: held until they are whole, and then written as they may leave, or removed.

use super::super::rules::Rule;
use super::super::text;
use super::{Hand, LONG, Walk};
use crate::action::transform::write_string;

impl Walk {
    /// The link in hand is there up to `end`. One that is longer than the bound is removed, however
    /// it ends: whether it is, no boundary of an input decides.
    pub(super) fn link_fits(&mut self, end: usize, window: &[u8], out: &mut Vec<u8>) {
        if end - self.start > LONG {
            self.remove_link(window, out);
            self.too_long = true;
        }
    }

    /// The link in hand is whole.
    #[inline(never)]
    pub(super) fn finish_link(&mut self, rule: Rule, window: &[u8], end: usize, out: &mut Vec<u8>) {
        let written = &window[self.start..end];
        let said = match written {
            [b'"', inside @ .., b'"'] if written.len() <= LONG => {
                Some(text::said(inside, &mut self.scratch))
            }
            _ => None,
        };
        // The bytes passed the UTF-8 check before they came here.
        let said = said.and_then(|said| std::str::from_utf8(said).ok());
        if let Some(link) = said.and_then(|said| self.rules.link(rule, said)) {
            self.replace(window, self.start, out);
            write_string(&link, out);
            self.writing = true;
            self.from = end;
        } else {
            self.remove_link(window, out);
            self.removed(end);
        }
    }

    fn remove_link(&mut self, window: &[u8], out: &mut Vec<u8>) {
        self.counts.blanked += 1;
        if let Some(open) = &mut self.elements.open
            && open.element.is_none()
            && self.elements.list == Some(self.frames.len())
        {
            open.leaves = false;
        }
        self.hand = self.remove(window, self.start, out);
        debug_assert_eq!(self.hand, Hand::Removed, "what is removed is in no other hand");
    }
}
