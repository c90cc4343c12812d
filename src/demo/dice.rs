//! A small deterministic generator: the same seed gives the same people on every machine.
//!
//! It must never make anything secret: no key, token or pseudonym comes from here.

/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014. Chosen over a crate since twelve lines that never change keep the tour the same.
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for one record: `stream` tells kinds of records apart, `number` the records of a kind.
    pub(super) fn of(seed: u64, stream: &str, number: usize) -> Self {
        let mut state = seed;
        for byte in stream.bytes().chain(number.to_le_bytes()) {
            state = mixed(state ^ u64::from(byte)).wrapping_add(INCREMENT);
        }
        Self { state }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(INCREMENT);
        mixed(self.state)
    }

    /// A number below `bound`, which must not be 0. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let remainder = self.next() % u64::from(bound.max(1));
        u32::try_from(remainder).unwrap_or(0)
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let bound = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        choices[self.below(bound) as usize]
    }

    /// `count` decimal digits.
    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }
}

const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_gives_the_same_people_everywhere() {
        // Sequence of the reference implementation for state 1234567.
        let mut dice = Dice { state: 1_234_567 };
        assert_eq!(
            [dice.next(), dice.next(), dice.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        assert_eq!(Dice::of(1, "a", 2).digits(8), Dice::of(1, "a", 2).digits(8));
        assert_ne!(Dice::of(1, "a", 2).digits(8), Dice::of(1, "b", 2).digits(8));
    }
}
