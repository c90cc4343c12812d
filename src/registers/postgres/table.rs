//! A table from hashes of people to a few bytes each, for millions of them.
//!
//! A hash is found by one look into an index of eight bytes a person, and one at the bytes themselves,
//! which lie one behind the other in large blocks: two places in memory that no cache knows, and no
//! allocation for each person. What is replaced stays where it is until half as much is dead as lives;
//! then the blocks are written anew. Ids are not kept.

/// Where a block is full.
const BLOCK: usize = 1 << 20;

/// Bits of a place in a block, and of a block's number.
const WITHIN_BITS: u32 = 20;
const PLACE_BITS: u32 = 40;

/// In front of what is kept: the key and the length.
const HEAD: usize = 16 + 4;

/// No fewer slots than this, once there is something.
const FEWEST_SLOTS: usize = 16;

/// The table.
#[derive(Default)]
pub(super) struct Table {
    /// Zero where nobody is; else some bits of the key, so that others are rarely looked at, and the
    /// place, counted from one. A power of two of them, at most three quarters taken.
    slots: Vec<u64>,
    taken: usize,
    /// People of whom something is kept; those who were taken out keep their slot until it is moved.
    people: usize,
    blocks: Vec<Vec<u8>>,
    /// Bytes of what is kept, and of what was replaced.
    live: usize,
    dead: usize,
}

impl Table {
    /// What is kept under `key`.
    pub(super) fn get(&self, key: u128) -> Option<&[u8]> {
        let at = self.find(key).ok()?;
        let bytes = self.bytes(place(self.slots[at]));
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Keeps `bytes` under `key`, in place of what was there; nothing where there are none.
    pub(super) fn put(&mut self, key: u128, bytes: &[u8]) {
        // Of no length that does not fit: it is a person's statements.
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        let at = match self.find(key) {
            Ok(at) => {
                let old = self.bytes(place(self.slots[at])).len();
                self.people -= usize::from(old > 0);
                self.live -= HEAD + old;
                self.dead += HEAD + old;
                at
            }
            Err(_) if bytes.is_empty() => return,
            Err(_) => {
                self.make_room();
                self.taken += 1;
                match self.find(key) {
                    Ok(at) | Err(at) => at,
                }
            }
        };
        let place = self.append(key, length, bytes);
        self.slots[at] = tag(key) | place;
        self.people += usize::from(!bytes.is_empty());
        if self.dead > self.live / 2 + BLOCK {
            self.write_anew();
        }
    }

    /// People of whom something is kept.
    pub(super) const fn people(&self) -> usize {
        self.people
    }

    /// The slot of `key`, or the free one where it would be.
    fn find(&self, key: u128) -> Result<usize, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mask = self.slots.len() - 1;
        let mut at = home(key) & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if slot & !PLACE_MASK == tag(key) && self.key(place(slot)) == key {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn make_room(&mut self) {
        if (self.taken + 1) * 4 <= self.slots.len() * 3 {
            return;
        }
        let slots = vec![0; (self.slots.len() * 2).max(FEWEST_SLOTS)];
        let old = std::mem::replace(&mut self.slots, slots);
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            let mut at = home(self.key(place(slot))) & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }

    /// The place of a new entry, counted from one.
    fn append(&mut self, key: u128, length: u32, bytes: &[u8]) -> u64 {
        let size = HEAD + bytes.len();
        // One that is larger than a block has one of its own.
        if self.blocks.last().is_none_or(|block| block.len() + size > BLOCK) {
            self.blocks.push(Vec::new());
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let within = block.len();
        block.extend_from_slice(&key.to_le_bytes());
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(bytes);
        self.live += size;
        (((number as u64) << WITHIN_BITS) | within as u64) + 1
    }

    /// Copies what lives, and drops the blocks in which it was.
    fn write_anew(&mut self) {
        let blocks = std::mem::take(&mut self.blocks);
        let old = Self { blocks, ..std::mem::take(self) };
        let entries = old.slots.iter().filter(|slot| **slot != 0).map(|slot| place(*slot));
        for entry in entries {
            self.put(old.key(entry), old.bytes(entry));
        }
    }

    fn key(&self, place: Place) -> u128 {
        let mut key = [0; 16];
        key.copy_from_slice(&self.blocks[place.block][place.within..place.within + 16]);
        u128::from_le_bytes(key)
    }

    fn bytes(&self, place: Place) -> &[u8] {
        let entry = &self.blocks[place.block][place.within + 16..];
        let mut length = [0; 4];
        length.copy_from_slice(&entry[..4]);
        &entry[4..4 + u32::from_le_bytes(length) as usize]
    }
}

const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

/// Where an entry begins.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    within: usize,
}

#[allow(clippy::cast_possible_truncation, reason = "40 bits of a 64-bit machine's place")]
const fn place(slot: u64) -> Place {
    let place = (slot & PLACE_MASK) - 1;
    Place {
        block: (place >> WITHIN_BITS) as usize,
        within: (place & ((1 << WITHIN_BITS) - 1)) as usize,
    }
}

/// Bits of the key that say where it would be.
#[allow(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
const fn home(key: u128) -> usize {
    key as usize
}

/// Other bits of the key, above those of a place.
#[allow(clippy::cast_possible_truncation, reason = "the upper half of 128 bits")]
const fn tag(key: u128) -> u64 {
    ((key >> 64) as u64) << PLACE_BITS
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Keys that share all that a slot holds of them, and many that share a home.
    #[test]
    fn it_keeps_what_a_map_keeps() {
        let mut number = 1_u64;
        let mut roll = |sides: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 33) % sides
        };
        let (mut table, mut map) = (Table::default(), HashMap::new());
        let mut most = 0;
        for _ in 0..20_000 {
            let key = (u128::from(roll(7)) << 96)
                | (u128::from(roll(3)) << 64)
                | u128::from(roll(5) << 32 | roll(40));
            let length =
                if roll(200) == 0 { BLOCK + 1 } else { usize::try_from(roll(40)).expect("small") };
            let bytes = vec![u8::try_from(roll(256)).expect("a byte"); length];
            assert_eq!(table.get(key), map.get(&key).map(Vec::as_slice));
            table.put(key, &bytes);
            if bytes.is_empty() {
                map.remove(&key);
            } else {
                map.insert(key, bytes);
            }
            assert_eq!(table.people(), map.len());
            most = most.max(table.dead);
        }
        for (key, bytes) in &map {
            assert_eq!(table.get(*key), Some(bytes.as_slice()));
        }
        assert!(most > BLOCK, "what was replaced was thrown away at least once");
    }
}
