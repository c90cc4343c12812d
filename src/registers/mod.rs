//! What each person has said: consents, notices, objections, restrictions, erasures; and the orders
//! and cases that name them.
//!
//! The registers know subjects by the controller's own ids: they are the one store here that must.
//! Their file is for its owner only, and nothing of it goes into logs, metrics or the ledger but the
//! kind of a statement and its purpose.

mod acts;
mod bulk;
mod change;
mod changing;
mod dispute;
mod elsewhere;
mod embedded;
mod export;
mod feed;
mod fields;
mod file_rows;
mod heard;
mod known;
mod lift;
mod notices;
mod once;
mod order;
mod postgres;
mod read;
mod record;
mod request;
mod schema;
mod service;
mod show;
mod store;
mod withdrawal;
mod write;

use std::pin::Pin;
use std::sync::Arc;

use crate::database::{fault, sql};
use crate::terms::{Case, DataSubject, DecisionId, LegalOrder, Statements};

pub use bulk::{Bulk, BulkError, BulkForm, Imported, WrongLine, one_a_line};
pub use change::RegisterChange;
pub use changing::Changing;
pub use dispute::DisputeRecord;
pub use elsewhere::{ConsentSource, ConsentsFrom};
pub use export::ExportError;
pub use feed::{ConsentFile, ConsentFileError, FedRegisters, Reading, USUAL_STALENESS};
pub use known::{Unknown, check_person, check_purpose, check_recipient, check_record};
pub use lift::LiftedErasures;
pub use notices::{
    ErasureNotification, NOTICE_ATTEMPTS, NoticeEnd, NoticeOfPerson, UndeliveredNotice,
};
pub use once::{ANSWERS_KEPT, KeptAnswer, KeyedCall, NotOnce, Once};
pub use order::{CaseRecord, OneTimeGrantRecord, OrderRecord};
pub use postgres::PostgresSettings;
pub use record::{
    ConsentRecord, ErasureRecord, Evidence, NoticeRecord, ObjectionRecord, Record, RecordError,
    RestrictionRecord, ShownNotice, SubjectRecord,
};
pub use request::{OpenRequest, RequestReceipt, RightRequest, UnsettledErasure};
pub use service::{ConsentService, ConsentServiceError, ConsentServiceSettings, ServiceRegisters};
pub use show::{case_to_json, order_to_json, statements_to_json};
pub use store::{RegisterPlace, RegisterStore};
pub use withdrawal::{WithdrawalRecord, Withdrawn};

/// Waits for what had to be asked elsewhere.
pub type Fetching = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where statements of data subjects are kept.
pub trait Registers: Send + Sync {
    /// All that `subject` has said, as of now. A subject never heard of has said nothing, which is
    /// not an error.
    ///
    /// # Errors
    /// The register cannot answer: everything that rests on it is unknown.
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable>;

    /// All that each of `people` has said, in their order, as of one moment not before this was asked:
    /// a list is looked up piece by piece, and not person by person.
    ///
    /// # Errors
    /// As [`statements`](Self::statements).
    fn all(&self, people: &[&DataSubject]) -> Result<Vec<Arc<Statements>>, RegistersUnavailable> {
        people.iter().map(|person| self.statements(person)).collect()
    }

    /// Begins to ask elsewhere what [`statements`](Self::statements) of these people is to be made of, where
    /// it is not known here; to be waited for before they are asked for. Without it they are unknown, as
    /// they are when nobody answers. `None`: there is nothing to wait for. Most stores know all they say.
    fn fetch(&self, _people: &[DataSubject]) -> Option<Fetching> {
        None
    }

    /// Whether [`fetch`](Self::fetch) ever has something to wait for.
    fn may_fetch(&self) -> bool {
        false
    }

    /// The order of this id, in whatever state. A store without orders has none, so that nobody can
    /// rely on one.
    ///
    /// # Errors
    /// The register cannot answer.
    fn order(&self, _id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        Ok(None)
    }

    /// The case of this id, in whatever state. A store without cases has none.
    ///
    /// # Errors
    /// The register cannot answer.
    fn case(&self, _id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        Ok(None)
    }

    /// Uses grants for one use up for one decision, all of them or none; durable on return. False:
    /// another decision was first. A store without such grants has none to use.
    ///
    /// # Errors
    /// The register cannot write: nothing may be released.
    fn use_grants(
        &self,
        _ids: &[Arc<str>],
        _decision: &DecisionId,
    ) -> Result<bool, RegistersUnavailable> {
        Ok(false)
    }

    /// Takes one record; durable on return. A store that only answers takes none.
    ///
    /// # Errors
    /// See [`RecordError`].
    fn record(&self, _record: &Record) -> Result<Recorded, RecordError> {
        Err(RecordError::Unavailable("this store takes no records".into()))
    }

    /// Takes what a person asks for; durable on return. `None`: they have too many requests open. A
    /// store that only answers takes none.
    ///
    /// # Errors
    /// See [`RecordError`].
    fn request(&self, _request: &RightRequest) -> Result<Option<RequestReceipt>, RecordError> {
        Err(RecordError::Unavailable("this store takes no requests".into()))
    }
}

/// The registers cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("registers unavailable")]
pub struct RegistersUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It said something new, which is in force.
    New,
    /// All of it was known.
    Known,
}
