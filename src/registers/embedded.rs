//! Registers in one SQLite file: crash-safe, no server, shared by processes on one machine.
//!
//! A commit of any process is seen by the next lookup: what is cached is thrown away as soon as
//! SQLite's `data_version` says that somebody else wrote. Nothing else ends the life of a cached
//! answer, and nothing makes it live longer.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::change::{self, RegisterChange};
use super::file_rows;
use super::read::{statements, valid_consents};
use super::request;
use super::schema::{self, Place, StoreError};
use super::write::{WriteError, Writer};
use super::{
    OpenRequest, Record, RecordError, Recorded, Registers, RegistersUnavailable, RequestReceipt,
    RightRequest,
};
use crate::terms::{
    Case, DataSubject, DecisionId, LegalOrder, PurposePattern, RecipientId, Statements, is_file_id,
};

/// Connections that read. A subject always meets the same one, so that lookups of different people
/// rarely wait for each other and each answer is cached once.
const READERS: usize = 8;

/// Most answers that one reader keeps, about 4 MB; beyond it all are thrown away, which is simpler
/// than to choose and costs one lookup each.
const CACHED_ANSWERS: usize = 4096;

/// The embedded store.
pub struct EmbeddedRegisters {
    place: Place,
    readers: Vec<Mutex<Reader>>,
    writer: Mutex<Connection>,
    hasher: RandomState,
}

struct Reader {
    connection: Connection,
    /// Changes whenever another connection has committed.
    version: i64,
    cache: HashMap<DataSubject, Arc<Statements>>,
}

impl EmbeddedRegisters {
    /// Opens or makes the file, for its owner only.
    ///
    /// # Errors
    /// The file cannot be used, is another program's or a newer version's, or others may read it.
    pub fn open(path: &Path) -> Result<Self, RegistersUnavailable> {
        let open = || -> Result<Self, StoreError> {
            let (place, writer) = schema::open(path)?;
            let mut readers = Vec::with_capacity(READERS);
            for _ in 0..READERS {
                let (connection, cache) = (place.reader()?, HashMap::new());
                readers.push(Mutex::new(Reader { connection, version: 0, cache }));
            }
            let hasher = RandomState::new();
            Ok(Self { place, readers, writer: Mutex::new(writer), hasher })
        };
        open().map_err(unavailable)
    }

    /// Takes one record; durable on return. Doing it twice changes nothing.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn record(&self, record: &Record) -> Result<Recorded, RecordError> {
        record.check().map_err(RecordError::Invalid)?;
        self.write(|writer| writer.record(record))
    }

    /// Takes all records or none. How many said something new.
    ///
    /// # Errors
    /// The first record that is wrong, by its position from 0; or the store cannot write.
    pub fn record_all(&self, records: &[Record]) -> Result<usize, (usize, RecordError)> {
        let mut at = 0;
        let result = self.write(|writer| {
            let mut new = 0;
            for (position, record) in records.iter().enumerate() {
                at = position;
                record.check().map_err(WriteError::Invalid)?;
                new += usize::from(writer.record(record)? == Recorded::New);
            }
            Ok(new)
        });
        result.map_err(|error| (at, error))
    }

    /// Withdraws every consent of `subject` for what `purpose` covers, and the subtree beneath it;
    /// with `recipient`, only as far as they name that one. Also ends consents given before now that
    /// are delivered later. How many consents that were valid are valid no more, or for fewer.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
        recipient: Option<&RecipientId>,
    ) -> Result<usize, RecordError> {
        if !super::record::is_purpose(purpose.as_str()) {
            return Err(RecordError::Invalid("purpose"));
        }
        let subject = subject.expose();
        self.transaction(|transaction, writer| {
            let now = Timestamp::now();
            let before = valid_consents(transaction, subject, now)?;
            writer.withdraw(subject, purpose, recipient)?;
            let after = valid_consents(transaction, subject, Timestamp::now())?;
            Ok(before.iter().filter(|consent| !after.contains(consent)).count())
        })
    }

    /// Withdraws the consent of this id. If it is not known yet, it will arrive withdrawn.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw_consent(&self, id: &str, at: Timestamp) -> Result<Recorded, RecordError> {
        if id.is_empty() {
            return Err(RecordError::Invalid("id"));
        }
        self.write(|writer| writer.withdraw_id(id, at))
    }

    /// Lifts objections of `subject` to exactly this purpose or pattern. How many there were.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_objection(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
    ) -> Result<usize, RecordError> {
        self.write(|writer| writer.lift_objection(subject.expose(), purpose))
    }

    /// Lifts every restriction of `subject`. How many there were.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_restrictions(&self, subject: &DataSubject) -> Result<usize, RecordError> {
        self.write(|writer| writer.lift_restrictions(subject.expose()))
    }

    /// Approves the order of this id under the approver's own name. A second approval by the same
    /// name is the same approval.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn approve_order(&self, id: &str, approver: &str) -> Result<Recorded, RecordError> {
        if !is_file_id(approver) {
            return Err(RecordError::Invalid("approver"));
        }
        self.write(|writer| writer.approve(id, approver))
    }

    /// Lifts the order of this id, for good.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn lift_order(&self, id: &str) -> Result<Recorded, RecordError> {
        self.write(|writer| writer.lift_order(id))
    }

    /// Closes the case of this id, for good.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a case.
    pub fn close_case(&self, id: &str) -> Result<Recorded, RecordError> {
        self.write(|writer| writer.close_case(id))
    }

    /// Notes that the request of this receipt was answered.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a request.
    pub fn answer_request(&self, id: &str) -> Result<Recorded, RecordError> {
        self.write(|writer| writer.answer_request(id))
    }

    /// The oldest requests that wait for an answer, at most `limit`.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn open_requests(&self, limit: usize) -> Result<Vec<OpenRequest>, RegistersUnavailable> {
        self.read(|connection| request::open_requests(connection, limit))
    }

    /// Erasures in force at `now` of which nothing outside the registers followed yet: id and person.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn unsettled_erasures(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(String, DataSubject)>, RegistersUnavailable> {
        self.read(|connection| request::unsettled_erasures(connection, now))
    }

    /// Notes that what follows from the erasure of this id is done.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn settle_erasure(&self, id: &str) -> Result<(), RecordError> {
        self.write(|writer| writer.settle_erasure(id))
    }

    /// Whether the registers would answer now, for readiness.
    ///
    /// # Errors
    /// They would not.
    pub fn available(&self) -> Result<(), RegistersUnavailable> {
        self.place.in_place().map_err(unavailable)?;
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        schema::usable(&reader.connection).map_err(unavailable)
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
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        change::since(&reader.connection, number, limit).map_err(unavailable)
    }

    /// The number of the last change that is entered in the ledger.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn entered(&self) -> Result<u64, RegistersUnavailable> {
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        change::entered(&reader.connection).map_err(unavailable)
    }

    /// Notes that changes up to `number` are entered in the ledger.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn mark_entered(&self, number: u64) -> Result<(), RecordError> {
        self.transaction(|transaction, _| Ok(change::mark(transaction, number)?))
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&Writer<'_>) -> Result<T, WriteError>,
    ) -> Result<T, RecordError> {
        self.transaction(|_, writer| write(writer))
    }

    /// All or nothing: what is not committed is rolled back when the transaction is dropped.
    fn transaction<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>, &Writer<'_>) -> Result<T, WriteError>,
    ) -> Result<T, RecordError> {
        let run = || -> Result<T, WriteError> {
            self.place.in_place()?;
            let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Taken inside, so that what is recorded later is never recorded as earlier.
            let now = Timestamp::now();
            let result = write(&transaction, &Writer::new(&transaction, now))?;
            transaction.commit()?;
            Ok(result)
        };
        Ok(run()?)
    }
}

impl Registers for EmbeddedRegisters {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        self.place.in_place().map_err(unavailable)?;
        let reader = usize::try_from(self.hasher.hash_one(subject) % READERS as u64).unwrap_or(0);
        let mut reader = self.readers[reader].lock().unwrap_or_else(PoisonError::into_inner);
        reader.statements(subject).map_err(unavailable)
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        self.read(|connection| file_rows::order(connection, id))
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        self.read(|connection| file_rows::case(connection, id))
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

impl EmbeddedRegisters {
    /// What is not about one person and is not cached.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, RegistersUnavailable> {
        self.place.in_place().map_err(unavailable)?;
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        read(&reader.connection).map_err(unavailable)
    }
}

impl Reader {
    fn statements(&mut self, subject: &DataSubject) -> Result<Arc<Statements>, StoreError> {
        let version = self
            .connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        if version != self.version || self.cache.len() >= CACHED_ANSWERS {
            self.cache.clear();
            self.version = version;
        }
        if let Some(known) = self.cache.get(subject) {
            return Ok(Arc::clone(known));
        }
        // Read after the version: a commit in between makes the answer newer than its version, never
        // older.
        let fresh = Arc::new(statements(&self.connection, subject.expose())?);
        self.cache.insert(subject.clone(), Arc::clone(&fresh));
        Ok(fresh)
    }
}

fn unavailable(error: StoreError) -> RegistersUnavailable {
    RegistersUnavailable(Box::new(error))
}
