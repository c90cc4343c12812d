//! Finds the ids of data subjects in a part of a document, while it is held back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::capture::{Capture, Captured};
use super::numbers;
use super::tokens::{Kind, Piece, Token};
use crate::minimize::{Located, Question, Scope};
use crate::policy::automaton::{Automaton, Mark, RoleIndex, StateId};
use crate::terms::Personal;

/// Longest id, as written. No register holds a longer one; a longer text is no id.
const LONGEST_ID: usize = 1024;

pub(super) struct Locator {
    automaton: Arc<Automaton>,
    frames: Vec<Frame>,
    next: StateId,
    capture: Capture,
    /// The scalar in hand stands where these roles' ids stand.
    wanted: bool,
    found: BTreeMap<RoleIndex, Found>,
}

#[derive(Clone, Copy)]
struct Frame {
    state: StateId,
    object: bool,
    index: u64,
}

#[derive(Default)]
struct Found {
    ids: BTreeSet<Arc<str>>,
    /// Something that is no id stood where one should be.
    other: bool,
}

impl Locator {
    pub(super) fn new(automaton: Arc<Automaton>) -> Self {
        let next = automaton.start();
        Self {
            automaton,
            frames: Vec::new(),
            next,
            capture: Capture::default(),
            wanted: false,
            found: BTreeMap::new(),
        }
    }

    /// Begins with a value whose place has `state`.
    pub(super) fn restart(&mut self, state: StateId) {
        self.frames.clear();
        self.next = state;
        self.wanted = false;
        self.found.clear();
    }

    /// Takes the next token of the value.
    #[inline]
    pub(super) fn token(&mut self, token: Token, bytes: &[u8]) {
        match token {
            Token::Scalar(piece) if piece.kind == Kind::Name => self.name(bytes, piece),
            Token::Scalar(piece) => self.scalar(bytes, piece),
            Token::Open { object } => {
                self.other(self.next);
                self.frames.push(Frame { state: self.next, object, index: 0 });
                self.next_element();
            }
            Token::Close => {
                self.frames.pop();
            }
            Token::Comma => self.next_element(),
            Token::Blank | Token::Colon | Token::Input | Token::End => {}
        }
    }

    #[inline]
    fn name(&mut self, bytes: &[u8], piece: Piece) {
        let Some(frame) = self.frames.last() else { return };
        if !self.automaton.leads_to_subjects(frame.state) {
            self.next = StateId::DEAD;
        } else if let Captured::Whole(name) = self.capture.take(bytes, piece, true, usize::MAX) {
            self.next = self.automaton.member(frame.state, name);
        }
    }

    #[inline]
    fn next_element(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && !frame.object
        {
            self.next = self.automaton.element(frame.state, frame.index);
            frame.index += 1;
        }
    }

    #[inline]
    fn scalar(&mut self, bytes: &[u8], piece: Piece) {
        if piece.first {
            self.wanted = roles(&self.automaton, self.next).next().is_some();
        }
        if !self.wanted {
            return;
        }
        let quoted = piece.kind == Kind::String;
        let id = match self.capture.take(bytes, piece, quoted, LONGEST_ID) {
            Captured::Part => return,
            Captured::TooLong => None,
            Captured::Whole(text) => {
                let is_id = match piece.kind {
                    Kind::String => !text.is_empty(),
                    Kind::Number => numbers::is_integer(text),
                    Kind::Name | Kind::True | Kind::False | Kind::Null => false,
                };
                std::str::from_utf8(text).ok().filter(|_| is_id).map(Arc::<str>::from)
            }
        };
        match id {
            Some(id) => {
                for role in roles(&self.automaton, self.next) {
                    self.found.entry(role).or_default().ids.insert(id.clone());
                }
            }
            None => self.other(self.next),
        }
    }

    /// No id stands at a place of this state.
    fn other(&mut self, state: StateId) {
        for role in roles(&self.automaton, state) {
            self.found.entry(role).or_default().other = true;
        }
    }

    /// The question about what was looked through.
    pub(super) fn question(&mut self, scope: Scope) -> Question {
        let mut subjects = Vec::new();
        for place in self.automaton.subjects() {
            let found = self.found.remove(&place.role).unwrap_or_default();
            let located = match scope {
                Scope::Element(_) if !place.within_element => continue,
                // Each element will be asked about by itself: here only whom the list is about.
                Scope::Document if place.within_element && found.ids.is_empty() => continue,
                Scope::Document if place.within_element => located(found.ids, false, true),
                Scope::Document | Scope::Element(_) => {
                    located(found.ids, found.other, place.several)
                }
            };
            subjects.push((place.role, located));
        }
        Question { scope, subjects }
    }
}

/// What was found at one role's places. Whoever has no usable id among several is nobody known, and
/// what is about somebody unknown is about nobody who could have agreed.
fn located(ids: BTreeSet<Arc<str>>, other: bool, several: bool) -> Located {
    let mut ids: Vec<_> = ids.into_iter().map(Personal::new).collect();
    match (ids.len(), other) {
        (0, _) => Located::Nothing,
        (1, false) => ids.pop().map_or(Located::Nothing, Located::One),
        (_, false) if several => Located::Many(ids),
        _ => Located::Ambiguous,
    }
}

fn roles(automaton: &Automaton, state: StateId) -> impl Iterator<Item = RoleIndex> {
    automaton.marks(state).iter().filter_map(|mark| match mark {
        Mark::Subject(role) => Some(*role),
        Mark::Cell { .. } | Mark::Count(_) | Mark::Each => None,
    })
}
