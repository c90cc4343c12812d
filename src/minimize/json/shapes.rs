//! Member names that were met before: real answers repeat one shape.
//!
//! Each name that was met in an object of some state is remembered with the state it leads to and
//! with the name that followed it last. So the next name is mostly known before it is read: one
//! comparison of its bytes with the expected ones replaces the look-up. What is expected never
//! decides anything: the bytes and the state must be equal, and then so is what the automaton says.

use crate::policy::automaton::StateId;

/// Longest name that is remembered, with its quotes.
const LONGEST: usize = 32;

/// Most names remembered.
const MOST: usize = 160;

/// Names that were not expected before all is forgotten, once there is no room for another.
const PATIENCE: u16 = 512;

/// No name.
pub(super) const NONE: u8 = u8::MAX;

#[derive(Debug)]
pub(super) struct Shapes {
    names: Vec<Name>,
    /// Positions in `names` by hash; open addressing, at most two thirds full.
    slots: [u8; 256],
    /// The first name of an object, by the name that the object stands under.
    firsts: [u8; 256],
    missed: u16,
}

#[derive(Debug)]
struct Name {
    /// As written, with its quotes; zeros behind.
    text: [u8; LONGEST],
    length: u8,
    /// What followed last.
    next: u8,
    /// The object's state.
    within: StateId,
    /// The member's state.
    state: StateId,
}

impl Shapes {
    pub(super) fn new() -> Self {
        Self { names: Vec::new(), slots: [NONE; 256], firsts: [NONE; 256], missed: 0 }
    }

    /// Bytes of the names.
    pub(super) fn bytes(&self) -> usize {
        self.names.capacity() * size_of::<Name>()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.slots = [NONE; 256];
        self.firsts = [NONE; 256];
        self.missed = 0;
    }

    /// The name that is expected first in an object that stands under this name.
    #[inline]
    pub(super) fn first(&self, owner: u8) -> u8 {
        self.firsts[usize::from(owner)]
    }

    /// Whether the text at `open` is the expected name; if so, the one that is expected next, and
    /// the state that the name leads to.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn expected(
        &self,
        expected: u8,
        within: StateId,
        window: &[u8],
        open: usize,
        length: usize,
    ) -> Option<(u8, StateId)> {
        let name = self.names.get(usize::from(expected))?;
        let same = usize::from(name.length) == length
            && name.within == within
            && is_text(&name.text, window.get(open..)?, length);
        same.then_some((name.next, name.state))
    }

    /// The one that is expected behind `name`.
    pub(super) fn next(&self, name: u8) -> u8 {
        self.names.get(usize::from(name)).map_or(NONE, |name| name.next)
    }

    /// The name that was met behind `last`, in an object under the name `owner`, instead of the
    /// expected one; if it is known.
    #[inline(never)]
    pub(super) fn known(
        &mut self,
        behind: (u8, u8),
        within: StateId,
        text: &[u8],
    ) -> Option<(u8, StateId)> {
        if text.len() > LONGEST {
            return None;
        }
        let mut slot = slot(within, text);
        loop {
            let found = self.slots[slot];
            let name = self.names.get(usize::from(found))?;
            if name.within == within && name.text[..usize::from(name.length)] == *text {
                let state = name.state;
                self.follows(behind, found);
                return Some((found, state));
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    /// Remembers a name that was not known. Returns which it is; [`NONE`] if it is not remembered.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        behind: (u8, u8),
        within: StateId,
        text: &[u8],
        state: StateId,
    ) -> u8 {
        if text.len() > LONGEST {
            return behind.1;
        }
        if self.names.len() == MOST {
            self.missed += 1;
            if self.missed < PATIENCE {
                return behind.1;
            }
            self.clear();
        }
        #[allow(clippy::cast_possible_truncation, reason = "there are at most `MOST`")]
        let found = self.names.len() as u8;
        let mut padded = [0; LONGEST];
        padded[..text.len()].copy_from_slice(text);
        #[allow(clippy::cast_possible_truncation, reason = "at most `LONGEST`")]
        let length = text.len() as u8;
        self.names.push(Name { text: padded, length, next: NONE, within, state });
        let mut slot = slot(within, text);
        while self.slots[slot] != NONE {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = found;
        self.follows(behind, found);
        found
    }

    fn follows(&mut self, (owner, last): (u8, u8), found: u8) {
        match self.names.get_mut(usize::from(last)) {
            Some(name) => name.next = found,
            None => self.firsts[usize::from(owner)] = found,
        }
    }
}

/// Whether the first `length` bytes of both are the same; `length` is at least 1.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `expected`")]
fn is_text(text: &[u8; LONGEST], bytes: &[u8], length: usize) -> bool {
    let (first, second) = halves(text);
    if let Some(found) = bytes.first_chunk::<16>()
        && length <= 16
    {
        return (u128::from_le_bytes(*found) ^ first) << (8 * (16 - length)) == 0;
    }
    if let Some(found) = bytes.first_chunk::<LONGEST>() {
        let (found, more) = halves(found);
        return found == first && (more ^ second) << (8 * (32 - length)) == 0;
    }
    bytes.get(..length) == text.get(..length)
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as for `expected`")]
fn halves(text: &[u8; LONGEST]) -> (u128, u128) {
    let [low, high] = text.as_chunks::<16>().0 else { return (0, 0) };
    (u128::from_le_bytes(*low), u128::from_le_bytes(*high))
}

fn slot(within: StateId, text: &[u8]) -> usize {
    let mut word = [0; 8];
    let inside = &text[1.min(text.len())..];
    let length = inside.len().min(8);
    word[..length].copy_from_slice(&inside[..length]);
    let mixed =
        u64::from_le_bytes(word) ^ (text.len() as u64) << 56 ^ (within.index() as u64) << 40;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_expected_again_and_nothing_else_is_taken_for_it() {
        let mut shapes = Shapes::new();
        let within = StateId::DEAD;
        let names: Vec<String> = ["id", "name", "a_name_of_23_characters", ""]
            .iter()
            .map(|n| format!("\"{n}\""))
            .collect();
        let mut last = NONE;
        for name in &names {
            last = shapes.learn((NONE, last), within, name.as_bytes(), within);
        }
        let mut expected = shapes.first(NONE);
        for name in &names {
            let window = format!("{name}:1,\"more\":2");
            let (next, _) = shapes
                .expected(expected, within, window.as_bytes(), 0, name.len())
                .expect("expected");
            for wrong in ["\"ix\"", "\"id", "\"namf\"", "\"a_name_of_23_characterz\""] {
                let missed = shapes.expected(expected, within, wrong.as_bytes(), 0, wrong.len());
                assert!(missed.is_none(), "{wrong} is not {name}");
            }
            expected = next;
        }
        assert!(shapes.known((NONE, NONE), within, b"\"other\"").is_none());
        assert!(shapes.known((NONE, NONE), within, names[2].as_bytes()).is_some());
    }

    #[test]
    fn names_without_end_are_forgotten_and_learning_goes_on() {
        let mut shapes = Shapes::new();
        for number in 0..5000 {
            shapes.learn(
                (NONE, NONE),
                StateId::DEAD,
                format!("\"{number}\"").as_bytes(),
                StateId::DEAD,
            );
            assert!(shapes.names.len() <= MOST);
        }
        assert!(!shapes.names.is_empty());
    }
}
