//! Scalars that are looked at: treated, as a whole or piece by piece, or taken for ids.

use super::super::fates::{Fate, Kind};
use super::super::rules::Rule;
use super::super::subjects::LONGEST_ID;
use super::super::text;
use super::{Fault, Hand, LONG, Mode, Text, Walk, place};
use crate::action::{Applied, Incremental, Scalar};

impl Walk {
    /// The scalar that comes next does not end for long: it is decided by what is there.
    #[cold]
    pub(super) fn begin_long(&mut self, text: &Text<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = place::start(text.window, self.before_value());
        if self.mode == Mode::Array {
            self.next = self.next_element();
        }
        let kind = Kind::of(text.window[start]);
        self.begin(text, start, kind, out)?;
        self.mode = Mode::Long;
        if let (Hand::Treated(rule), Kind::String) = (self.hand, kind) {
            self.begin_pieces(rule);
        }
        Ok(())
    }

    /// A long string is treated piece by piece from its first byte on, if its action can. That only
    /// depends on its length, so that no boundary of an input matters.
    fn begin_pieces(&mut self, rule: Rule) {
        if self.pieces.is_none() {
            self.pieces = self.rules.incremental(rule);
            self.piece = self.start + 1;
        }
    }

    /// Takes in what of the string in hand stands before `end`. Returns whether it is treated piece by
    /// piece: then what was taken in need not stay in the window.
    pub(super) fn feed_piece(&mut self, window: &[u8], end: usize) -> bool {
        let Some(pieces) = &mut self.pieces else { return false };
        let (said, taken) = text::said_part(&window[self.piece..end], &mut self.scratch);
        pieces.update(said);
        self.piece += taken;
        true
    }

    fn last_piece(
        &mut self,
        mut pieces: Incremental,
        window: &[u8],
        end: usize,
        out: &mut Vec<u8>,
    ) -> Applied {
        // Without the closing quote.
        let (said, _) = text::said_part(&window[self.piece..end - 1], &mut self.scratch);
        pieces.update(said);
        pieces.finish(out)
    }

    #[inline(never)]
    pub(super) fn found_id(&mut self, window: &[u8], end: usize) {
        let short = !self.too_long && end - self.start <= LONGEST_ID;
        let written = short.then(|| &window[self.start..end]);
        self.elements.subjects.scalar(&self.automaton, self.next, self.kind, written);
        self.wanted = false;
    }

    #[inline(never)]
    pub(super) fn write_placeholder(&mut self, fate: &Fate, kind: Kind, out: &mut Vec<u8>) {
        let applied = self.rules.apply(fate.rule, kind.example(), out);
        self.counts.blanked += u64::from(applied == Applied::Blanked);
    }

    /// Writes what the scalar in hand becomes.
    #[inline(never)]
    pub(super) fn treat_value(&mut self, rule: Rule, window: &[u8], end: usize, out: &mut Vec<u8>) {
        if self.kind == Kind::String && !self.too_long && end - self.start > LONG {
            self.begin_pieces(rule);
        }
        if let Some(pieces) = self.pieces.take() {
            let applied = self.last_piece(pieces, window, end, out);
            self.counts.blanked += u64::from(applied == Applied::Blanked);
            return;
        }
        let written = &window[self.start..end];
        let said = match (self.kind, written) {
            _ if self.too_long || written.len() > self.limits.scalar_bytes => None,
            (Kind::String, [b'"', inside @ .., b'"']) => {
                Some(text::said(inside, &mut self.scratch))
            }
            _ => Some(written),
        };
        // The bytes passed the UTF-8 check before they came here.
        let Some(said) = said.and_then(|said| std::str::from_utf8(said).ok()) else {
            self.rules.blank(self.kind.example(), out);
            self.counts.blanked += 1;
            return;
        };
        let scalar = match self.kind {
            Kind::String => Scalar::String(said),
            Kind::Number => Scalar::Number(said),
            Kind::Bool => Scalar::Bool(written == b"true"),
            Kind::Null | Kind::Object | Kind::Array => Scalar::Null,
        };
        let applied = self.rules.apply(rule, scalar, out);
        self.counts.blanked += u64::from(applied == Applied::Blanked);
    }
}
