//! Element positions in even steps: indices and slices.

/// `start, start + step, …` below `end`.
#[derive(Clone, Copy)]
pub(super) struct Progression {
    pub(super) start: u64,
    pub(super) end: Option<u64>,
    pub(super) step: u64,
}

impl Progression {
    pub(super) const fn one(index: u64) -> Self {
        Self { start: index, end: Some(index + 1), step: 1 }
    }

    /// A slice of which only the first can lie below its end is that one position: so that no step
    /// is ever longer than its stretch.
    pub(super) fn new(start: u64, end: Option<u64>, step: u64) -> Self {
        match end {
            Some(end) if step >= end.saturating_sub(start) => Self::one(start),
            _ => Self { start, end, step },
        }
    }

    pub(super) fn covers(&self, index: u64) -> bool {
        self.start <= index && self.end.is_none_or(|end| index < end)
    }

    pub(super) const fn hits(&self, index: u64) -> bool {
        (index - self.start).is_multiple_of(self.step)
    }
}

pub(super) fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}
