//! How long one answer may keep the gateway waiting for its backend.
//!
//! A deadline for each piece does not end a backend that sends a byte a second. So all waits of a
//! request together have a bound too: for a turn, a connection, the head, each piece of the body, and
//! whatever is tried again. Time that the client takes is not the backend's and does not count; it has
//! a bound of its own.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::fault::UpstreamFault;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
}

impl Patience {
    pub(super) const fn new(total: Duration) -> Self {
        Self { left: total }
    }

    /// What `future` comes to, unless it takes longer than `most`, or than what is left of all.
    pub(super) async fn wait<T>(
        &mut self,
        most: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, UpstreamFault> {
        let began = Instant::now();
        let waited = timeout(most.min(self.left), future).await;
        let is_last = self.left < most;
        self.left = self.left.saturating_sub(began.elapsed());
        waited.map_err(|_| if is_last { UpstreamFault::Total } else { UpstreamFault::Timeout })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_was_waited_for_one_piece_is_not_there_for_the_next() {
        let (piece, total) = (Duration::from_millis(20), Duration::from_millis(50));
        let mut patience = Patience::new(total);
        assert_eq!(patience.wait(piece, ready(7)).await, Ok(7));
        let mut faults = Vec::new();
        while faults.last() != Some(&UpstreamFault::Total) {
            faults.extend(patience.wait(piece, pending::<()>()).await.err());
        }
        assert!(faults.len() > 1 && faults.len() <= 3, "{faults:?}");
        assert_eq!(faults[0], UpstreamFault::Timeout);
        // What is there already needs no patience.
        assert_eq!(patience.wait(piece, ready(7)).await, Ok(7));
    }
}
