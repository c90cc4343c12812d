//! Member name → state, for all tables of an automaton in three flat arrays.
//!
//! Made for short names and many misses: most end at one bit test, most others at one comparison of
//! eight bytes. Each name is held once, and as JSON spells it, so that an engine can compare raw
//! bytes from the closing quote backwards.

use std::collections::HashMap;

use super::StateId;

/// One member name that a table knows, with where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u32);

/// All entries of an automaton.
#[derive(Debug)]
pub(super) struct Names {
    /// Spellings in quotes, and beside them the names that cannot be spelled without an escape.
    text: Box<[u8]>,
    entries: Box<[Entry]>,
    /// Indices into `entries`, or `EMPTY`. Each table has its own stretch.
    slots: Box<[u32]>,
}

/// The part of the slots that belongs to one table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    first: u32,
    /// Slots are a power of two, at most half full, so that probing ends.
    mask: u32,
    /// Bit n: some name is n bytes long; bit 63: 63 or longer. None: there are no slots.
    lengths: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The first eight bytes, which tell most names apart in one comparison.
    head: u64,
    name: Span,
    quoted: Span,
    state: StateId,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    offset: u32,
    length: u32,
}

const EMPTY: u32 = u32::MAX;

impl Names {
    #[inline]
    pub(super) fn find(&self, part: &Part, name: &[u8]) -> Option<EntryId> {
        if part.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let head = head(name);
        let mut at = slot(head, name.len(), part.mask);
        loop {
            let index = *self.slots.get((part.first + at) as usize)?;
            let entry = self.entries.get(index as usize)?;
            if entry.head == head && self.slice(entry.name) == name {
                return Some(EntryId(index));
            }
            at = (at + 1) & part.mask;
        }
    }

    #[inline]
    pub(super) fn state(&self, entry: EntryId) -> StateId {
        self.entries[entry.0 as usize].state
    }

    #[inline]
    pub(super) fn name(&self, entry: EntryId) -> &[u8] {
        self.slice(self.entries[entry.0 as usize].name)
    }

    #[inline]
    pub(super) fn quoted(&self, entry: EntryId) -> &[u8] {
        self.slice(self.entries[entry.0 as usize].quoted)
    }

    #[inline]
    fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.offset as usize..(span.offset + span.length) as usize]
    }
}

/// The arrays while tables are being added. The compiler bounds the number of entries, and selectors
/// are short, so that no offset comes near 32 bits; where one would, `add` says so.
#[derive(Default)]
pub(super) struct NamesBuilder<'a> {
    text: Vec<u8>,
    spans: HashMap<&'a str, (Span, Span)>,
    entries: Vec<Entry>,
    slots: Vec<u32>,
}

impl<'a> NamesBuilder<'a> {
    /// The part of one table; `None` if the arrays outgrow 32 bits. Names must differ.
    pub(super) fn add(&mut self, names: &[(&'a str, StateId)]) -> Option<Part> {
        if names.is_empty() {
            return Some(Part::default());
        }
        let size = (names.len() * 2).next_power_of_two();
        let first = self.slots.len();
        u32::try_from(first + size).ok()?;
        self.slots.resize(first + size, EMPTY);
        let mut part = Part {
            first: u32::try_from(first).ok()?,
            mask: u32::try_from(size - 1).ok()?,
            lengths: 0,
        };
        for &(name, state) in names {
            let (plain, quoted) = self.spelled(name)?;
            let head = head(name.as_bytes());
            part.lengths |= length_bit(name.len());
            let mut at = slot(head, name.len(), part.mask);
            while self.slots[(part.first + at) as usize] != EMPTY {
                at = (at + 1) & part.mask;
            }
            self.slots[(part.first + at) as usize] = u32::try_from(self.entries.len()).ok()?;
            self.entries.push(Entry { head, name: plain, quoted, state });
        }
        Some(part)
    }

    pub(super) fn finish(self) -> Names {
        Names { text: self.text.into(), entries: self.entries.into(), slots: self.slots.into() }
    }

    /// Where the name stands and where its spelling does; both are written at the first call.
    fn spelled(&mut self, name: &'a str) -> Option<(Span, Span)> {
        if let Some(spans) = self.spans.get(name) {
            return Some(*spans);
        }
        let offset = u32::try_from(self.text.len()).ok()?;
        self.text.push(b'"');
        for byte in name.bytes() {
            match byte {
                b'"' | b'\\' => self.text.extend([b'\\', byte]),
                0..0x20 => self.text.extend(format!("\\u{byte:04x}").bytes()),
                _ => self.text.push(byte),
            }
        }
        self.text.push(b'"');
        let end = u32::try_from(self.text.len()).ok()?;
        let quoted = Span { offset, length: end - offset };
        let length = u32::try_from(name.len()).ok()?;
        let plain = if quoted.length == length + 2 {
            Span { offset: offset + 1, length }
        } else {
            self.text.extend(name.bytes());
            u32::try_from(self.text.len()).ok()?;
            Span { offset: end, length }
        };
        self.spans.insert(name, (plain, quoted));
        Some((plain, quoted))
    }
}

/// Multiplicative hashing takes the high bits, which depend on all bits beneath.
#[inline]
fn slot(head: u64, length: usize, mask: u32) -> u32 {
    let mixed = (head ^ (length as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    #[allow(clippy::cast_possible_truncation, reason = "32 bits are left")]
    let high = (mixed >> 32) as u32;
    high & mask
}

#[inline]
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[inline]
fn head(name: &[u8]) -> u64 {
    if let Some(first) = name.first_chunk() {
        return u64::from_le_bytes(*first);
    }
    name.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_state_and_no_other_does() {
        let all: Vec<String> = (0..500)
            .map(|i| format!("{}{i}", ["", "member", "a_rather_long_member_name_", "\0"][i % 4]))
            .collect();
        let (front, back) = all.split_at(200);
        let mut builder = NamesBuilder::default();
        let parts = [(front, back, 0_u32), (back, front, 200)].map(|(own, other, from)| {
            let named: Vec<(&str, StateId)> =
                own.iter().map(String::as_str).zip((from..).map(StateId)).collect();
            (builder.add(&named).expect("small"), own, other, from)
        });
        let names = builder.finish();
        for (part, own, other, from) in parts {
            for (state, name) in (from..).zip(own) {
                let entry = names.find(&part, name.as_bytes()).expect("a name of the table");
                assert_eq!(names.state(entry), StateId(state), "{name:?}");
                assert_eq!(names.name(entry), name.as_bytes());
                assert_eq!(names.find(&part, format!("{name}\0").as_bytes()), None, "{name:?}");
            }
            for name in other {
                assert_eq!(names.find(&part, name.as_bytes()), None, "{name:?}");
            }
        }
        assert_eq!(names.find(&Part::default(), b""), None);
    }

    #[test]
    fn a_spelling_is_json_for_exactly_its_name() {
        let tricky = ["", "email", "größe", "a\",\"b", "back\\slash", "line\nbreak", "\u{1}"];
        let mut builder = NamesBuilder::default();
        let part = builder.add(&tricky.map(|name| (name, StateId::DEAD))).expect("small");
        let names = builder.finish();
        for name in tricky {
            let entry = names.find(&part, name.as_bytes()).expect("a name of the table");
            let read: String = serde_json::from_slice(names.quoted(entry)).expect("a JSON string");
            assert_eq!(read, name);
            assert_eq!(names.name(entry), name.as_bytes());
        }
    }
}
