//! The registers as commands, the admin API and the gateway write and read them, whichever store keeps
//! them.
//!
//! What a statement means is written once; the stores only carry out transactions. A change is
//! acknowledged when it is durable, and doing it twice changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::change::{self, RegisterChange};
use super::embedded::EmbeddedRegisters;
use super::file_rows;
use super::postgres::{PostgresRegisters, PostgresSettings};
use super::request;
use super::schema::StoreError;
use super::sql::Tables;
use super::write::{WriteError, Writer};
use super::{
    LiftedErasures, OpenRequest, Record, RecordError, Recorded, Registers, RegistersUnavailable,
    RequestReceipt, RightRequest, UnsettledErasure,
};
use crate::observe::Metrics;
use crate::terms::{
    Case, CategoryPattern, DataSubject, DecisionId, LegalOrder, PurposePattern, RecipientId,
    Statements,
};

/// Where a configuration says that registers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterPlace {
    /// In a SQLite file.
    File(PathBuf),
    /// In PostgreSQL.
    Postgres(PostgresSettings),
}

/// Where the registers are kept.
pub enum RegisterStore {
    /// One SQLite file.
    Embedded(EmbeddedRegisters),
    /// A PostgreSQL server that many gateways share.
    Postgres(Box<PostgresRegisters>),
}

impl RegisterStore {
    /// For commands: a file, or a server that is asked directly.
    ///
    /// # Errors
    /// See [`embedded`](Self::embedded) and [`postgres`](Self::postgres).
    pub fn open(place: &RegisterPlace) -> Result<Self, RegistersUnavailable> {
        match place {
            RegisterPlace::File(path) => Self::embedded(path),
            RegisterPlace::Postgres(settings) => Self::postgres(settings),
        }
    }

    /// Opens or makes the file of an embedded store, for its owner only.
    ///
    /// # Errors
    /// The file cannot be used, is another program's or a newer version's, or others may read it.
    pub fn embedded(path: &Path) -> Result<Self, RegistersUnavailable> {
        EmbeddedRegisters::open(path).map(Self::Embedded)
    }

    /// A server that is asked directly: for commands.
    ///
    /// # Errors
    /// The settings cannot be used. Whether the server answers is seen when it is asked.
    pub fn postgres(settings: &PostgresSettings) -> Result<Self, RegistersUnavailable> {
        let opened = PostgresRegisters::open(settings).map_err(unavailable)?;
        Ok(Self::Postgres(Box::new(opened)))
    }

    /// A server whose registers are kept in memory here, for a gateway. While it cannot be reached for
    /// longer than its bound consents are unknown; until it was first reached, everything is.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn following(
        settings: &PostgresSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RegistersUnavailable> {
        let opened = PostgresRegisters::follow(settings, metrics);
        Ok(Self::Postgres(Box::new(opened.map_err(unavailable)?)))
    }

    /// Waits until the registers of a server are known here, and no longer than `patience`: a start is
    /// not to refuse what a run would not.
    pub fn wait_until_known(&self, patience: Duration) {
        match self {
            Self::Embedded(_) => {}
            Self::Postgres(server) => server.wait_until_known(patience),
        }
    }

    /// Brings the tables of a server to `version`, or to the one that this program works with. From
    /// which they came and to which they went.
    ///
    /// # Errors
    /// The server refuses, or there is no such version.
    pub fn migrate(
        settings: &PostgresSettings,
        version: Option<i64>,
    ) -> Result<(i64, i64), RegistersUnavailable> {
        PostgresRegisters::migrate(settings, version).map_err(unavailable)
    }

    /// Says that what a server holds now counts for gateways that know another history: the one that it
    /// had so far, and `instead_of`. The id of the new history.
    ///
    /// # Errors
    /// The server cannot write; or these registers are a file, which has no other history.
    pub fn accept_history(&self, instead_of: Option<&str>) -> Result<String, RecordError> {
        match self {
            Self::Embedded(_) => Err(RecordError::Invalid("store")),
            Self::Postgres(server) => Ok(server.accept(instead_of)?),
        }
    }

    /// How far the server and this gateway are, in words.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn history(&self, settings: &PostgresSettings) -> Result<String, RegistersUnavailable> {
        match self {
            Self::Embedded(_) => Ok("the registers are a file".to_owned()),
            Self::Postgres(server) => server.status(settings).map_err(unavailable),
        }
    }

    /// Takes one record; durable on return. Doing it twice changes nothing.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn record(&self, record: &Record) -> Result<Recorded, RecordError> {
        self.changing(|changing| changing.record(record))
    }

    /// Takes all records or none. How many said something new.
    ///
    /// # Errors
    /// The first record that is wrong, by its position from 0; or the store cannot write.
    pub fn record_all(&self, records: &[Record]) -> Result<usize, (usize, RecordError)> {
        let mut at = 0;
        let taken = self.changing(|changing| {
            changing.record_all(records).map_err(|(position, error)| {
                at = position;
                error
            })
        });
        taken.map_err(|error: RecordError| (at, error))
    }

    /// As [`Changing::withdraw`](super::Changing::withdraw).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
        recipient: Option<&RecipientId>,
    ) -> Result<usize, RecordError> {
        self.changing(|changing| changing.withdraw(subject, purpose, recipient))
    }

    /// As [`Changing::lift_objection`](super::Changing::lift_objection).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_objection(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
    ) -> Result<usize, RecordError> {
        self.changing(|changing| changing.lift_objection(subject, purpose))
    }

    /// As [`Changing::lift_restrictions`](super::Changing::lift_restrictions).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_restrictions(&self, subject: &DataSubject) -> Result<usize, RecordError> {
        self.changing(|changing| changing.lift_restrictions(subject))
    }

    /// As [`Changing::resolve_disputes`](super::Changing::resolve_disputes).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn resolve_disputes(
        &self,
        subject: &DataSubject,
        category: Option<&CategoryPattern>,
    ) -> Result<usize, RecordError> {
        self.changing(|changing| changing.resolve_disputes(subject, category))
    }

    /// As [`Changing::lift_erasures`](super::Changing::lift_erasures).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_erasures(
        &self,
        subject: &DataSubject,
        approver: &str,
    ) -> Result<LiftedErasures, RecordError> {
        self.changing(|changing| changing.lift_erasures(subject, approver))
    }

    /// As [`Changing::approve_order`](super::Changing::approve_order).
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn approve_order(&self, id: &str, approver: &str) -> Result<Recorded, RecordError> {
        self.changing(|changing| changing.approve_order(id, approver))
    }

    /// As [`Changing::lift_order`](super::Changing::lift_order).
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn lift_order(&self, id: &str) -> Result<Recorded, RecordError> {
        self.changing(|changing| changing.lift_order(id))
    }

    /// As [`Changing::close_case`](super::Changing::close_case).
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a case.
    pub fn close_case(&self, id: &str) -> Result<Recorded, RecordError> {
        self.changing(|changing| changing.close_case(id))
    }

    /// The oldest requests that wait for an answer, at most `limit`.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn open_requests(&self, limit: usize) -> Result<Vec<OpenRequest>, RegistersUnavailable> {
        self.open_requests_after(("", ""), limit)
    }

    /// As [`open_requests`](Self::open_requests), of those after a place in their order: the time and
    /// the id of a request that was shown.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn open_requests_after(
        &self,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<OpenRequest>, RegistersUnavailable> {
        self.read(|tables| request::open_requests(tables, after, limit))
    }

    /// Orders in whatever state, by their ids, at most `limit` of those after this id.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn orders_after(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<LegalOrder>, RegistersUnavailable> {
        self.read(|tables| file_rows::orders_after(tables, after, limit))
    }

    /// Cases, open or not, by their ids, at most `limit` of those after this id.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn cases_after(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Case>, RegistersUnavailable> {
        self.read(|tables| file_rows::cases_after(tables, after, limit))
    }

    /// Erasures in force at `now` of which nothing outside the registers followed yet.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn unsettled_erasures(
        &self,
        now: Timestamp,
    ) -> Result<Vec<UnsettledErasure>, RegistersUnavailable> {
        match self {
            Self::Embedded(_) => self.read(|tables| request::unsettled_erasures(tables, now)),
            Self::Postgres(server) => server.unsettled_erasures(now).map_err(unavailable),
        }
    }

    /// Notes that what follows from the erasure of this id is done.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn settle_erasure(&self, id: &str) -> Result<(), RecordError> {
        match self {
            Self::Embedded(_) => self.write(|writer| writer.settle_erasure(id)),
            Self::Postgres(server) => Ok(server.settle_erasure(id).map_err(WriteError::Store)?),
        }
    }

    /// Whether the registers would answer now, for readiness, and since when what they say is known to
    /// be true.
    ///
    /// # Errors
    /// They would not.
    pub fn available(&self) -> Result<Instant, RegistersUnavailable> {
        match self {
            Self::Embedded(file) => file.available().map(|()| Instant::now()).map_err(unavailable),
            Self::Postgres(server) => server.available().map_err(unavailable),
        }
    }

    /// The next changes after number `number`, oldest first, at most `limit`. They say what kind of
    /// statement changed and for which purpose, not whose.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn changes_since(
        &self,
        number: u64,
        limit: usize,
    ) -> Result<Vec<RegisterChange>, RegistersUnavailable> {
        self.read(|tables| change::since(tables, number, limit))
    }

    /// The number of the last change that is entered in the ledger.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn entered(&self) -> Result<u64, RegistersUnavailable> {
        match self {
            Self::Embedded(_) => self.read(|tables| change::entered(tables)),
            Self::Postgres(server) => server.entered().map_err(unavailable),
        }
    }

    /// Notes that changes up to `number` are entered in the ledger.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn mark_entered(&self, number: u64) -> Result<(), RecordError> {
        match self {
            Self::Embedded(_) => self.write(|writer| Ok(change::mark(writer.tables, number)?)),
            Self::Postgres(server) => Ok(server.mark_entered(number).map_err(WriteError::Store)?),
        }
    }

    /// All or nothing.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&Writer<'_>) -> Result<T, WriteError>,
    ) -> Result<T, RecordError> {
        match self {
            Self::Embedded(file) => Ok(file.transaction(write)?),
            Self::Postgres(server) => Ok(server.transaction(write)?),
        }
    }

    /// A change that says nothing of what people have said: no copy of that has to hear of it.
    pub(super) fn quietly<T>(
        &self,
        write: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, RecordError> {
        match self {
            Self::Embedded(file) => Ok(file.transaction(|writer| Ok(write(writer.tables)?))?),
            Self::Postgres(server) => Ok(server.quietly(write).map_err(WriteError::Store)?),
        }
    }

    /// As one transaction sees it that may last, apart from all others: nobody waits for it.
    pub(super) fn read_apart<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, RegistersUnavailable> {
        match self {
            Self::Embedded(file) => file.read_apart(read).map_err(unavailable),
            Self::Postgres(server) => server.read_apart(read).map_err(unavailable),
        }
    }

    /// As one transaction sees it.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, RegistersUnavailable> {
        match self {
            Self::Embedded(file) => file.read(read).map_err(unavailable),
            Self::Postgres(server) => server.read(read).map_err(unavailable),
        }
    }
}

impl Registers for RegisterStore {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        match self {
            Self::Embedded(file) => file.statements(subject).map_err(unavailable),
            Self::Postgres(server) => server.statements(subject).map_err(unavailable),
        }
    }

    fn all(&self, people: &[&DataSubject]) -> Result<Vec<Arc<Statements>>, RegistersUnavailable> {
        match self {
            Self::Embedded(file) => file.all(people).map_err(unavailable),
            // In memory already.
            Self::Postgres(_) => people.iter().map(|person| self.statements(person)).collect(),
        }
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        match self {
            Self::Embedded(_) => self.read(|tables| file_rows::order(tables, id)),
            Self::Postgres(server) => server.order(id).map_err(unavailable),
        }
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        match self {
            Self::Embedded(_) => self.read(|tables| file_rows::case(tables, id)),
            Self::Postgres(server) => server.case(id).map_err(unavailable),
        }
    }

    fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, RegistersUnavailable> {
        let used = self.write(|writer| {
            // Rolled back as a whole where one of them was used: an error ends the transaction.
            if writer.use_grants(ids, decision)? {
                Ok(())
            } else {
                Err(WriteError::Invalid("used"))
            }
        });
        match used {
            Ok(()) => Ok(true),
            Err(RecordError::Invalid(_)) => Ok(false),
            Err(RecordError::Unavailable(error)) => Err(RegistersUnavailable(error)),
        }
    }

    fn record(&self, record: &Record) -> Result<Recorded, RecordError> {
        Self::record(self, record)
    }

    fn request(&self, request: &RightRequest) -> Result<Option<RequestReceipt>, RecordError> {
        if request.subject.expose().is_empty() || request.categories.is_empty() {
            return Err(RecordError::Invalid("categories"));
        }
        self.write(|writer| writer.request(request))
    }
}

fn unavailable(error: StoreError) -> RegistersUnavailable {
    RegistersUnavailable(Box::new(error))
}
