//! Changes of the registers → entries of the ledger.
//!
//! Commands write into the registers beside a running gateway, which alone writes the ledger. So the
//! registers list their changes, and the gateway enters what is new: at least once, under the number
//! that the registers gave it. After a crash a change may be entered twice; its number shows it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Mutex;

use crate::ledger::{Ledger, LedgerUnavailable, Note};
use crate::observe::{Event, Metrics};
use crate::registers::{RecordError, RegisterStore, RegistersUnavailable};

/// Changes entered at a time: as many as the ledger makes durable together.
const BATCH: usize = 256;

/// Why changes are not entered yet. They are kept and entered later.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The registers cannot be read.
    #[error("changes cannot be read")]
    Registers(#[from] RegistersUnavailable),
    /// The registers cannot note how far it got.
    #[error("progress cannot be noted")]
    Progress(#[from] RecordError),
    /// The ledger takes no entry.
    #[error("changes cannot be entered")]
    Ledger(#[from] LedgerUnavailable),
}

/// Enters changes, one caller at a time, so that none is entered twice while all goes well.
pub struct ChangeDrain {
    registers: Arc<RegisterStore>,
    ledger: Arc<dyn Ledger>,
    metrics: Arc<Metrics>,
    turn: Mutex<()>,
}

impl ChangeDrain {
    /// Between these registers and this ledger.
    #[must_use]
    pub fn new(
        registers: Arc<RegisterStore>,
        ledger: Arc<dyn Ledger>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { registers, ledger, metrics, turn: Mutex::new(()) }
    }

    /// Enters every change that is not entered yet. How many there were.
    ///
    /// # Errors
    /// See [`DrainError`].
    pub async fn run(&self) -> Result<usize, DrainError> {
        let _turn = self.turn.lock().await;
        drain_register_changes(&self.registers, &*self.ledger, &self.metrics).await
    }
}

/// Enters every change of `registers` that is not entered yet. How many there were.
///
/// # Errors
/// See [`DrainError`].
pub async fn drain_register_changes(
    registers: &RegisterStore,
    ledger: &dyn Ledger,
    metrics: &Metrics,
) -> Result<usize, DrainError> {
    let mut reached = registers.entered()?;
    let mut count = 0;
    loop {
        let changes = registers.changes_since(reached, BATCH)?;
        let Some(last) = changes.last() else { return Ok(count) };
        let notes: Vec<Note> = changes
            .iter()
            .map(|change| Note::Register {
                number: change.number,
                recorded_at: change.at.clone(),
                register: change.register.clone(),
                change: change.change.clone(),
                purpose: change.purpose.clone(),
            })
            .collect();
        enter(ledger, &notes).await?;
        reached = last.number;
        registers.mark_entered(reached)?;
        for change in &changes {
            let (register, word) = (change.register.as_str(), change.change.as_str());
            Event::RegisterChanged { register, change: word }.emit(metrics);
        }
        count += changes.len();
    }
}

/// Enters all notes in their order and waits for them together, so that one sync serves many.
async fn enter(ledger: &dyn Ledger, notes: &[Note]) -> Result<(), LedgerUnavailable> {
    type Entry<'a> = Pin<Box<dyn Future<Output = Result<u64, LedgerUnavailable>> + Send + 'a>>;
    let mut pending: Vec<Entry<'_>> = notes.iter().map(|note| ledger.note(note)).collect();
    let mut failure = None;
    std::future::poll_fn(|context| {
        pending.retain_mut(|entry| match entry.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(_)) => false,
            Poll::Ready(Err(error)) => {
                failure = Some(error);
                false
            }
        });
        if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    failure.map_or(Ok(()), Err)
}
