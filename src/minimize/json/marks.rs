//! Where brackets, commas and colons stand in a stretch of blocks, as a row of positions.

use super::lanes::BLOCK;

/// Positions that are written at once; a block has mostly fewer.
const AT_ONCE: usize = 8;

/// A row of positions, counted from the stretch's first byte.
pub(super) struct Marks<const LENGTH: usize> {
    places: [u16; LENGTH],
    count: usize,
}

impl<const LENGTH: usize> Marks<LENGTH> {
    pub(super) const fn new() -> Self {
        Self { places: [0; LENGTH], count: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The positions found so far, in order.
    #[inline]
    pub(super) fn found(&self) -> &[u16] {
        self.places.get(..self.count).unwrap_or_default()
    }

    /// Adds the bits of the block that begins at `first` of the stretch.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
    pub(super) fn add(&mut self, bits: u64, first: usize) {
        let mut bits = bits;
        let mut left = bits.count_ones() as usize;
        let mut to = self.count;
        self.count += left;
        // Eight without looking whether there are so many: no branch to guess wrong.
        loop {
            let Some(places) = self.places[to..].first_chunk_mut::<AT_ONCE>() else { return };
            for place in places {
                #[allow(clippy::cast_possible_truncation, reason = "a stretch is short")]
                {
                    *place = (first + bits.trailing_zeros() as usize) as u16;
                }
                bits &= bits.wrapping_sub(1);
            }
            if left <= AT_ONCE {
                return;
            }
            left -= AT_ONCE;
            to += AT_ONCE;
        }
    }
}

/// Room for every byte of a stretch, and for what is written beyond.
pub(super) const fn room(stretch: usize) -> usize {
    stretch + BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_a_position_however_many_there_are() {
        let words = [0, 1, 1 << 63, 0xff, 0x1ff, u64::MAX, 0x8000_0000_0000_0001, 0x00ff_ff00];
        let mut marks = Marks::<{ room(8 * BLOCK) }>::new();
        let mut expected = Vec::new();
        for (block, word) in words.into_iter().enumerate() {
            marks.add(word, block * BLOCK);
            let bits = (0..64).filter(|bit| word >> bit & 1 == 1);
            expected.extend(bits.map(|bit| u16::try_from(block * BLOCK + bit).expect("short")));
            assert_eq!(marks.found(), expected);
        }
    }
}
