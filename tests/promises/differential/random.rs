//! Numbers from a seed. A generator of our own: the same on every machine and with
//! every version of a crate, so that a failure can be run again by its number.

/// Names that documents and selectors share, so that they meet; small, so that doubles are common.
const NAMES: [&str; 14] = [
    "a",
    "b",
    "id",
    "data",
    "email",
    "name",
    "total",
    "",
    "größe",
    "a\\",
    "a\"b",
    "😀",
    "a long name of more than sixteen bytes",
    "a name that is longer than one block of sixty-four bytes, whatever stands before it",
];

/// Numbers from a seed (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(number: u64) -> Self {
        // Spread, so that neighbours share nothing; never zero, from which nothing else follows.
        Self((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Mostly small, now and then as large as `bound`.
    pub(super) fn skewed(&mut self, bound: usize) -> usize {
        let within = 1 + self.below(bound);
        let smaller = 1 + self.below(within);
        self.below(smaller)
    }

    pub(super) fn name(&mut self) -> &'static str {
        // The first names are those of which rules mostly speak.
        let among = if self.one_in(3) { NAMES.len() } else { 6 };
        NAMES[self.below(among)]
    }
}
