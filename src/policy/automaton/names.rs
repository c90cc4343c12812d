//! Member name → state: an open-addressed table made for short names and many misses.

use super::StateId;

/// An immutable table.
#[derive(Debug)]
pub(super) struct Names {
    /// Index into `entries`, or `EMPTY`; a power of two, at most half full, so that probing ends.
    slots: Box<[u32]>,
    entries: Box<[Entry]>,
    /// Bit n: some name is n bytes long; bit 63: 63 or longer. Most misses end here.
    lengths: u64,
}

#[derive(Debug)]
struct Entry {
    /// The first eight bytes, which tell most names apart in one comparison.
    head: u64,
    name: Box<[u8]>,
    state: StateId,
}

const EMPTY: u32 = u32::MAX;

impl Names {
    /// `names` must differ from one another.
    pub(super) fn new(names: impl Iterator<Item = (Box<[u8]>, StateId)>) -> Self {
        let entries: Box<[Entry]> =
            names.map(|(name, state)| Entry { head: head(&name), name, state }).collect();
        let mut table = Self {
            slots: vec![EMPTY; (entries.len() * 2).next_power_of_two()].into(),
            lengths: entries.iter().fold(0, |bits, entry| bits | length_bit(entry.name.len())),
            entries,
        };
        for (index, entry) in (0..).zip(&table.entries) {
            let mut slot = table.slot(entry.head, entry.name.len());
            while table.slots[slot] != EMPTY {
                slot = (slot + 1) & (table.slots.len() - 1);
            }
            table.slots[slot] = index;
        }
        table
    }

    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<StateId> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let head = head(name);
        let mut slot = self.slot(head, name.len());
        loop {
            let entry = self.entries.get(self.slots[slot] as usize)?;
            if entry.head == head && *entry.name == *name {
                return Some(entry.state);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// Multiplicative hashing takes the high bits, which depend on all bits beneath.
    #[inline]
    fn slot(&self, head: u64, length: usize) -> usize {
        let mixed = (head ^ (length as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        #[allow(clippy::cast_possible_truncation, reason = "32 bits are left")]
        let high = (mixed >> 32) as usize;
        high & (self.slots.len() - 1)
    }
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
        let names: Vec<String> = (0..500)
            .map(|i| format!("{}{i}", ["", "member", "a_rather_long_member_name_", "\0"][i % 4]))
            .collect();
        let table =
            Names::new((0..).zip(&names).map(|(i, name)| (name.as_bytes().into(), StateId(i))));
        for (i, name) in (0..).zip(&names) {
            assert_eq!(table.find(name.as_bytes()), Some(StateId(i)), "{name:?}");
            assert_eq!(table.find(format!("{name}\0").as_bytes()), None, "{name:?}");
        }
        assert_eq!(Names::new(std::iter::empty()).find(b""), None);
    }
}
