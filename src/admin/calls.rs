//! Calls that are being made. Each goes on to its end, its entry in the ledger with it, also where its
//! client is gone: a change has an author, and a report that is being made keeps its turn.

use std::sync::Arc;

use tokio::sync::watch;

/// How many calls are being made.
#[derive(Default)]
pub struct Calls(watch::Sender<usize>);

/// One of them, until it is dropped.
pub(super) struct Begun(Arc<Calls>);

impl Calls {
    /// One more.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        self.0.send_modify(|count| *count += 1);
        Begun(Arc::clone(self))
    }

    /// Ready when none is being made: what was changed is entered, or kept to be.
    pub async fn ended(&self) {
        // The sender is borrowed here, so that there is always one to say so.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
