//! Requests that are being answered, counted over all connections. Beyond the limit they are refused
//! at once, so that those which were taken keep what they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there are.
#[derive(Default)]
pub(super) struct AtOnce(AtomicUsize);

/// One of them, until it is dropped.
pub(super) struct Turn(Arc<AtOnce>);

impl AtOnce {
    /// Takes one more, if there are fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, most: usize) -> Option<Turn> {
        let one_more = |now: usize| (now < most).then_some(now + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.is_ok().then(|| Turn(Arc::clone(self)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_taken_than_there_may_be() {
        let requests = Arc::new(AtOnce::default());
        let first = requests.enter(2);
        let second = requests.enter(2);
        assert!(first.is_some() && second.is_some());
        assert!(requests.enter(2).is_none());
        assert!(requests.enter(3).is_some(), "a limit that was raised counts at once");
        drop(first);
        assert!(requests.enter(2).is_some());
    }
}
