//! Ids of data subjects, as they are found while their part of the document is walked.

use std::sync::Arc;

use super::fates::Kind;
use super::text;
use crate::minimize::{Located, Question, Scope};
use crate::policy::automaton::{Automaton, Mark, RoleIndex, StateId};
use crate::terms::Personal;

/// Longest id, as written. No register holds a longer one; a longer text is no id.
pub(super) const LONGEST_ID: usize = 1024;

/// What was found in one part.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    /// One entry a role that was met.
    found: Vec<(RoleIndex, Found)>,
}

#[derive(Debug, Default)]
struct Found {
    /// Sorted, each once.
    ids: Vec<Arc<str>>,
    /// Something that is no id stood where one should be.
    other: bool,
    /// It was neither `null` nor an empty text, which say nothing.
    unfit: bool,
}

impl Subjects {
    pub(super) fn clear(&mut self) {
        self.found.clear();
    }

    /// Takes what was found in a part of the same part.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        for (role, found) in other.found.drain(..) {
            let own = self.found(role);
            own.other |= found.other;
            own.unfit |= found.unfit;
            for id in found.ids {
                if let Err(place) = own.ids.binary_search(&id) {
                    own.ids.insert(place, id);
                }
            }
        }
    }

    /// A scalar, as written, stands at a place of this state. `None`: too long for an id.
    pub(super) fn scalar(
        &mut self,
        automaton: &Automaton,
        state: StateId,
        kind: Kind,
        written: Option<&[u8]>,
    ) {
        let Some(id) = written.and_then(|written| id(kind, written)) else {
            let says_nothing = kind == Kind::Null || written == Some(b"\"\"");
            self.no_id(automaton, state, !says_nothing);
            return;
        };
        for role in roles(automaton, state) {
            let ids = &mut self.found(role).ids;
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, Arc::clone(&id));
            }
        }
    }

    /// A member of this state has this name, as written; `None`: none, since it is an element.
    pub(super) fn name(&mut self, automaton: &Automaton, state: StateId, written: Option<&[u8]>) {
        let written = written.filter(|written| written.len() <= LONGEST_ID);
        let id = written.and_then(|written| id(Kind::String, written));
        let named = automaton.marks(state).iter().filter_map(|mark| match mark {
            Mark::KeyOf(role) => Some(*role),
            Mark::Cell { .. }
            | Mark::Count(_)
            | Mark::Each
            | Mark::Subject(_)
            | Mark::Key(_)
            | Mark::Listed => None,
        });
        for role in named {
            let found = self.found(role);
            match &id {
                Some(id) => {
                    if let Err(place) = found.ids.binary_search(id) {
                        found.ids.insert(place, Arc::clone(id));
                    }
                }
                None => found.other = true,
            }
        }
    }

    /// A container stands at a place of this state: no id, and not nothing.
    pub(super) fn container(&mut self, automaton: &Automaton, state: StateId) {
        self.no_id(automaton, state, true);
    }

    fn no_id(&mut self, automaton: &Automaton, state: StateId, unfit: bool) {
        for role in roles(automaton, state) {
            let found = self.found(role);
            found.other = true;
            found.unfit |= unfit;
        }
    }

    fn found(&mut self, role: RoleIndex) -> &mut Found {
        let known = self.found.iter().position(|(known, _)| *known == role);
        let place = known.unwrap_or_else(|| {
            self.found.push((role, Found::default()));
            self.found.len() - 1
        });
        &mut self.found[place].1
    }

    /// The question about what was looked through.
    pub(super) fn question(&mut self, automaton: &Automaton, scope: Scope) -> Question {
        let mut subjects = Vec::with_capacity(automaton.subjects().len());
        for place in automaton.subjects() {
            let known = self.found.iter().position(|(role, _)| *role == place.role);
            let found = known.map(|known| self.found.swap_remove(known).1).unwrap_or_default();
            let located = match scope {
                Scope::Element(_) if !place.within_element => continue,
                // Each element will be asked about by itself: here only whom the list is about.
                Scope::Document if place.within_element && found.ids.is_empty() => continue,
                Scope::Document if place.within_element => {
                    located(Found { other: false, ..found }, true)
                }
                Scope::Document | Scope::Element(_) => located(found, place.several),
            };
            subjects.push((place.role, located));
        }
        self.found.clear();
        Question { scope, subjects }
    }
}

/// The id that a scalar is: a text that is not empty, or an integer.
fn id(kind: Kind, written: &[u8]) -> Option<Arc<str>> {
    match (kind, written) {
        (Kind::String, [b'"', inside @ .., b'"']) if !inside.is_empty() => {
            let mut said = Vec::new();
            let text = text::said(inside, &mut said);
            std::str::from_utf8(text).ok().map(Arc::from)
        }
        (Kind::Number, digits) if is_integer(digits) => {
            std::str::from_utf8(digits).ok().map(Arc::from)
        }
        _ => None,
    }
}

/// Whether the text of a number is an integer: it can be somebody's id.
fn is_integer(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// What was found at one role's places. Whoever has no usable id among several is nobody known, and
/// what is about somebody unknown is about nobody who could have agreed.
fn located(found: Found, several: bool) -> Located {
    let mut ids: Vec<_> = found.ids.into_iter().map(Personal::new).collect();
    match (ids.len(), found.other) {
        (0, _) if found.unfit => Located::Unfit,
        (0, _) => Located::Nothing,
        (1, false) => ids.pop().map_or(Located::Nothing, Located::One),
        (_, false) if several => Located::Many(ids),
        _ => Located::Ambiguous,
    }
}

fn roles(automaton: &Automaton, state: StateId) -> impl Iterator<Item = RoleIndex> {
    automaton.marks(state).iter().filter_map(|mark| match mark {
        Mark::Subject(role) => Some(*role),
        Mark::Cell { .. }
        | Mark::Count(_)
        | Mark::Each
        | Mark::Key(_)
        | Mark::KeyOf(_)
        | Mark::Listed => None,
    })
}
