//! The decision at a value's first byte: what its place, the rules in force and its type make of it.
//!
//! This is the default-deny of the rewriter. A place that no cell names and nothing contains whole
//! is entered only for what the automaton still leads to, and is removed otherwise. An object is
//! released whole only where the rules say `subtree`; without it a cell speaks of scalars, and of
//! arrays element by element.

use super::{Root, Rule, Token, Walk};
use crate::action::{Action, Scalar};
use crate::minimize::json::rules::needs_no_value;
use crate::minimize::json::tokens::Kind;
use crate::policy::automaton::{CellId, Mark, Unlisted};

/// What becomes of a value, decided at its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Copy,
    Remove,
    Null,
    Count(u64),
    Placeholder(Rule),
    Treat(Rule),
    Enter { rule: Rule, subtree: bool },
    Ask,
    Drop,
    Refuse,
}

impl Walk {
    /// What becomes of the value that begins with `token`.
    #[inline]
    pub(super) fn fate(&mut self, token: Token) -> Fate {
        let state = self.next;
        let marks = self.automaton.marks(state);
        if self.root == Root::Document && marks.contains(&Mark::Each) {
            return Fate::Ask;
        }
        let (mut rule, mut subtree) = match self.frames.last() {
            Some(frame) => (frame.rule, frame.subtree),
            None => match self.automaton.unlisted() {
                Unlisted::Remove => (Rule::Unlisted, true),
                Unlisted::Keep => (Rule::Keep, true),
            },
        };
        let mut counted = None;
        for mark in marks {
            match *mark {
                Mark::Cell { cell, subtree: whole } => {
                    rule = self.rules.join(rule, Rule::Cell(cell));
                    subtree &= whole;
                    count(&mut self.counts.cells, cell);
                }
                Mark::Count(cell) => {
                    counted = Some(cell);
                    count(&mut self.counts.cells, cell);
                }
                Mark::Each | Mark::Subject(_) => {}
            }
        }
        if let Some(cell) = counted {
            rule = self.rules.join(rule, Rule::Cell(cell));
            return match (self.rules.action(rule), self.released) {
                (action, Some(released)) if action.releases() => Fate::Count(released),
                (Action::Refuse, _) => Fate::Refuse,
                (Action::Drop, _) => Fate::Drop,
                _ => Fate::Remove,
            };
        }
        let live = self.automaton.leads_to_cells(state);
        let scalar = matches!(token, Token::Scalar(_));
        let object = matches!(token, Token::Open { object: true });
        match (rule, self.rules.action(rule)) {
            (Rule::Unlisted, _) if live && !scalar => Fate::Enter { rule, subtree: true },
            (Rule::Unlisted, _) => {
                self.counts.unlisted += 1;
                Fate::Remove
            }
            (_, Action::Refuse) => Fate::Refuse,
            (_, Action::Drop) => Fate::Drop,
            (_, Action::Remove) => Fate::Remove,
            (_, Action::Keep) if scalar => Fate::Copy,
            (_, action) if scalar => {
                if needs_no_value(action, example(token)) {
                    Fate::Placeholder(rule)
                } else {
                    Fate::Treat(rule)
                }
            }
            (_, Action::Keep) if subtree && !live => Fate::Copy,
            (_, Action::Keep) if subtree && object => Fate::Enter { rule: Rule::Keep, subtree },
            _ if !object => Fate::Enter { rule, subtree },
            _ if subtree => {
                self.counts.blanked += 1;
                Fate::Null
            }
            _ if live => Fate::Enter { rule: Rule::Unlisted, subtree: true },
            _ => {
                self.counts.unlisted += 1;
                Fate::Remove
            }
        }
    }
}

/// A value of the same type that says nothing about the one in the document.
pub(super) fn example(token: Token) -> Scalar<'static> {
    let Token::Scalar(piece) = token else { return Scalar::Null };
    match piece.kind {
        Kind::Name | Kind::String => Scalar::String(""),
        Kind::Number => Scalar::Number("0"),
        Kind::True | Kind::False => Scalar::Bool(false),
        Kind::Null => Scalar::Null,
    }
}

fn count(cells: &mut [u64], cell: CellId) {
    if let Some(count) = cells.get_mut(usize::from(cell.0)) {
        *count += 1;
    }
}
