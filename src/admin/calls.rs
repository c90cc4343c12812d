//! Calls that are being made. Each goes on to its end, its entry in the ledger with it, also where its
//! client is gone: a change has an author, and a report that is being made keeps its turn.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Exports at a time: each has the store keep what it reads as it was.
const EXPORTS: usize = 1;

/// How many calls are being made.
pub struct Calls {
    begun: watch::Sender<usize>,
    exports: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { begun: watch::Sender::default(), exports: Arc::new(Semaphore::new(EXPORTS)) }
    }
}

/// One of them, until it is dropped.
pub(super) struct Begun(Arc<Calls>);

impl Calls {
    /// One more.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        self.begun.send_modify(|count| *count += 1);
        Begun(Arc::clone(self))
    }

    /// A turn to export, if nobody has one.
    pub(super) fn take_turn_to_export(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exports).try_acquire_owned().ok()
    }

    /// Ready when none is being made: what was changed is entered, or kept to be.
    pub async fn ended(&self) {
        // The sender is borrowed here, so that there is always one to say so.
        let _ = self.begun.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.begun.send_modify(|count| *count -= 1);
    }
}
