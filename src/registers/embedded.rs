//! Registers in one SQLite file: crash-safe, no server, shared by processes on one machine.
//!
//! A commit of any process is seen by the next lookup, which may be of several people: what is cached is
//! thrown away as soon as SQLite's `data_version` says that somebody else wrote. Nothing else ends the
//! life of a cached answer, and nothing makes it live longer. That nobody has heard of a person holds for
//! as long, and then until those are read who were heard of since.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::RegistersUnavailable;
use super::heard::HeardOf;
use super::read::{Whom, statements, statements_of};
use super::schema::{self, Place, StoreError};
use super::sql::Tables;
use super::write::{WriteError, Writer};
use crate::terms::{DataSubject, Statements};

/// Connections that read. A subject always meets the same one, so that lookups of different people
/// rarely wait for each other and each answer is cached once.
const READERS: usize = 8;

/// Most answers that one reader keeps, about 4 MB; beyond it all are thrown away, which is simpler
/// than to choose and costs one lookup each.
const CACHED_ANSWERS: usize = 4096;

/// The embedded store.
pub struct EmbeddedRegisters {
    place: Place,
    readers: Box<[Mutex<Reader>]>,
    writer: Mutex<Connection>,
    hasher: RandomState,
    heard: Box<HeardOf>,
}

struct Reader {
    connection: Connection,
    /// Changes whenever another connection has committed.
    version: i64,
    /// Everybody is heard of whom the file held anything of at this version.
    hears_all: bool,
    cache: HashMap<DataSubject, Arc<Statements>>,
    nothing: Arc<Statements>,
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
                let connection = place.reader()?;
                readers.push(Mutex::new(Reader {
                    connection,
                    version: 0,
                    hears_all: false,
                    cache: HashMap::new(),
                    nothing: Arc::default(),
                }));
            }
            let readers = readers.into_boxed_slice();
            let (writer, hasher) = (Mutex::new(writer), RandomState::new());
            Ok(Self { place, readers, writer, hasher, heard: Box::default() })
        };
        open().map_err(unavailable)
    }

    /// Whether the registers would answer now, for readiness.
    pub(super) fn available(&self) -> Result<(), StoreError> {
        self.place.in_place()?;
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        schema::usable(&reader.connection)
    }

    /// All or nothing: what is not committed is rolled back when the transaction is dropped.
    pub(super) fn transaction<T>(
        &self,
        write: impl FnOnce(&Writer<'_>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        self.place.in_place()?;
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Taken inside, so that what is recorded later is never recorded as earlier.
        let result = write(&Writer::new(&*transaction, Timestamp::now()))?;
        transaction.commit()?;
        Ok(result)
    }

    /// What is not about one person and is not cached.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.place.in_place()?;
        let reader = self.readers[0].lock().unwrap_or_else(PoisonError::into_inner);
        read(&*reader.connection.unchecked_transaction()?)
    }

    /// As [`read`](Self::read), on a connection of its own, so that no lookup waits for it.
    pub(super) fn read_apart<T>(
        &self,
        read: impl FnOnce(&dyn Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.place.in_place()?;
        let reader = self.place.reader()?;
        read(&*reader.unchecked_transaction()?)
    }

    /// All that `subject` has said.
    pub(super) fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, StoreError> {
        let mut reader = self.reader_of(subject)?;
        let is_heard =
            !reader.hears_all(&self.heard)? || self.heard.look().may_have_said(subject.expose());
        if is_heard { reader.statements(subject) } else { Ok(Arc::clone(&reader.nothing)) }
    }

    /// All that each of `people` has said, in their order, as one transaction sees it or a later one did.
    pub(super) fn all(&self, people: &[&DataSubject]) -> Result<Vec<Arc<Statements>>, StoreError> {
        // A list that comes again meets the same reader again.
        let Some(first) = people.first() else { return Ok(Vec::new()) };
        let mut reader = self.reader_of(first)?;
        if !reader.hears_all(&self.heard)? {
            return reader.all(people);
        }
        let mut said: Vec<_> = people.iter().map(|_| Arc::clone(&reader.nothing)).collect();
        // Only those of whom there may be something are looked up.
        let (mut places, mut heard) = (Vec::new(), Vec::new());
        let looking = self.heard.look();
        for (place, person) in people.iter().enumerate() {
            if looking.may_have_said(person.expose()) {
                places.push(place);
                heard.push(*person);
            }
        }
        drop(looking);
        if !heard.is_empty() {
            for (place, own) in places.into_iter().zip(reader.all(&heard)?) {
                said[place] = own;
            }
        }
        Ok(said)
    }

    fn reader_of(&self, subject: &DataSubject) -> Result<MutexGuard<'_, Reader>, StoreError> {
        self.place.in_place()?;
        let reader = usize::try_from(self.hasher.hash_one(subject) % READERS as u64).unwrap_or(0);
        let mut reader = self.readers[reader].lock().unwrap_or_else(PoisonError::into_inner);
        reader.forget_what_changed()?;
        Ok(reader)
    }
}

impl Reader {
    fn forget_what_changed(&mut self) -> Result<(), StoreError> {
        let version = self
            .connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        if version != self.version || self.cache.len() >= CACHED_ANSWERS {
            self.cache.clear();
        }
        self.hears_all &= version == self.version;
        self.version = version;
        Ok(())
    }

    /// Whether whoever is not heard of has said nothing at this version.
    fn hears_all(&mut self, heard: &HeardOf) -> Result<bool, StoreError> {
        if !self.hears_all {
            // Begun after the version was read: a commit in between is one too many, never one missed.
            let snapshot = self.connection.unchecked_transaction()?;
            self.hears_all = heard.reads_on(&snapshot)?;
        }
        Ok(self.hears_all)
    }

    fn statements(&mut self, subject: &DataSubject) -> Result<Arc<Statements>, StoreError> {
        if let Some(known) = self.cache.get(subject) {
            return Ok(Arc::clone(known));
        }
        // Read after the version: a commit in between makes the answer newer than its version, never
        // older.
        let snapshot = self.connection.unchecked_transaction()?;
        let fresh = statements(&*snapshot, subject.expose())?;
        drop(snapshot);
        Ok(self.keep(subject, fresh))
    }

    fn all(&mut self, people: &[&DataSubject]) -> Result<Vec<Arc<Statements>>, StoreError> {
        // An id with a NUL in it would be cut off in SQLite's JSON, and be somebody else's.
        let is_new = |person: &&&DataSubject| {
            !self.cache.contains_key(**person) && !person.expose().contains('\0')
        };
        let new: Vec<&DataSubject> = people.iter().filter(is_new).copied().collect();
        if !new.is_empty() {
            let ids: Vec<String> = new.iter().map(|person| person.expose().to_string()).collect();
            let snapshot = self.connection.unchecked_transaction()?;
            let mut said = statements_of(&*snapshot, Whom::Many(&ids))?;
            drop(snapshot);
            for (person, id) in new.into_iter().zip(&ids) {
                // Whoever stands in a list twice is new once.
                if !self.cache.contains_key(person) {
                    self.keep(person, said.remove(id).unwrap_or_default());
                }
            }
        }
        people.iter().map(|person| self.statements(person)).collect()
    }

    /// Most people have said nothing, and are told so in one place.
    fn keep(&mut self, subject: &DataSubject, said: Statements) -> Arc<Statements> {
        let said = if said == *self.nothing { Arc::clone(&self.nothing) } else { Arc::new(said) };
        self.cache.insert(subject.clone(), Arc::clone(&said));
        said
    }
}

fn unavailable(error: StoreError) -> RegistersUnavailable {
    RegistersUnavailable(Box::new(error))
}
