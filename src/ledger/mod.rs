//! What was disclosed to whom: append-only, hash-chained, durable before the first released byte.
//!
//! It holds names of the policy, numbers and times: never a value of a person, never the id of a
//! data subject. Where the rules ask for it, tags stand for people; see `subjects`. A chain alone shows accidents and clumsy hands; whoever can write the whole
//! directory can compute a new chain, so keep the last hash somewhere else (docs/OPERATIONS.md).

mod chain;
mod chained;
mod checkpoint;
mod entry;
mod export;
mod last_account;
mod outbox;
mod people;
mod place;
mod prove;
mod record;
mod report;
mod retire;
mod scan;
mod segment;
mod server;
mod server_mark;
mod server_tables;
mod server_tail;
mod subject_rows;
mod subjects;
mod tail;
mod told;
mod tree;
mod verify;

#[cfg(test)]
mod faults;

use std::future::Future;
use std::pin::Pin;

use crate::terms::DataSubject;

pub use chain::{GENESIS, link};
pub use chained::{ChainLedger, FileLedger};
pub use checkpoint::{Checkpoint, Notes, RecordProof, keep_note, kept_notes, notes_in};
pub use entry::{Concerned, Disclosure, Note, Outcome, Receipt, Refused, TunnelEnd};
pub use export::export;
pub use last_account::{LastAccount, LastTold, by_recipient};
pub use outbox::{MOST_WAITING, Outbox, Taken};
pub use people::{Count, Counted, People};
pub use place::Place;
pub use prove::{ProveError, prove, prove_consistency};
pub use report::{COMPLETENESS, subject_report};
pub use retire::{Cut, Retirable, retirable};
pub use scan::{Disclosed, Ended, Entry, Part, PolicyOf, RefusedEntry, Window, scan};
pub use server::{LedgerPlace, LedgerServer, ServerChain, ServerSettings};
pub use subjects::{IndexKey, SubjectIndex};
pub use told::{Told, ToldToOthers, about, about_each};
pub use tree::{Frontier, leaf};
pub use verify::{Anchor, Retired, Verification, VerifyError, verify, verify_signed};

/// In the ledger's directory; locked by the gateway that writes.
const LOCK_FILE: &str = "ledger.lock";

/// Where disclosures are entered.
pub trait Ledger: Send + Sync {
    /// Enters the opening record. Ready only when the record is durable.
    fn open<'a>(
        &'a self,
        disclosure: &'a Disclosure,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, LedgerUnavailable>> + Send + 'a>>;

    /// Enters how it ended. Not waited for; a failure is counted and stops later openings.
    fn close(&self, receipt: Receipt, outcome: Outcome);

    /// Enters a refusal. Not waited for: nothing was disclosed.
    fn refuse(&self, refused: Refused);

    /// Enters something besides a request; its number once it is durable.
    fn note<'a>(
        &'a self,
        note: &'a Note,
    ) -> Pin<Box<dyn Future<Output = Result<u64, LedgerUnavailable>> + Send + 'a>>;

    /// Enters something that has happened already, and names nobody. Not waited for: while the ledger
    /// cannot be written it is kept, as outcomes and refusals are.
    fn later(&self, note: &Note);

    /// Enters further people of whom something is about to leave, in a disclosure that is open. Ready
    /// only when that is durable. A ledger without an index of data subjects cannot.
    fn also<'a>(
        &'a self,
        _receipt: &'a Receipt,
        _people: &'a [Concerned],
    ) -> Pin<Box<dyn Future<Output = Result<(), LedgerUnavailable>> + Send + 'a>> {
        Box::pin(async { Err(LedgerUnavailable(NO_INDEX.into())) })
    }

    /// What was disclosed about one person, but for what the law forbids to tell for now. A ledger
    /// without an index of data subjects cannot say.
    fn about<'a>(
        &'a self,
        _person: &'a DataSubject,
    ) -> Pin<Box<dyn Future<Output = Result<ToldToOthers, LedgerUnavailable>> + Send + 'a>> {
        Box::pin(async { Err(LedgerUnavailable(NO_INDEX.into())) })
    }

    /// Whether an opening would be taken now, for readiness.
    ///
    /// # Errors
    /// It would not.
    fn writable(&self) -> Result<(), LedgerUnavailable>;
}

/// Why people are not in the ledger.
const NO_INDEX: &str = "this ledger has no index of data subjects";

/// The ledger cannot take an entry: nothing personal leaves.
#[derive(Debug, Clone, thiserror::Error)]
#[error("ledger unavailable: {0}")]
pub struct LedgerUnavailable(pub String);

/// Why a ledger in a directory is not opened while a gateway writes it.
const HELD: &str = "another process writes this ledger";

/// Why a chain on a server is not opened while a gateway writes it.
const HELD_ON_SERVER: &str = "another process writes this chain";

impl LedgerUnavailable {
    /// Whether it can be written as soon as another process lets go of it.
    #[must_use]
    pub fn is_held_by_another(&self) -> bool {
        self.0 == HELD || self.0 == HELD_ON_SERVER
    }
}
