//! What one gateway knows of the registers, in memory, and since when.
//!
//! Every request is answered from here. While the snapshot is younger than its bound it is the truth;
//! older, nobody's consent is known and no order, case or grant can be relied on, and the rest goes on
//! as it was last known, which is never less strict than before. Nothing here talks to a server.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::super::schema::StoreError;
use super::compact::Names;
use super::table::Table;
use crate::terms::{Case, DataSubject, LegalOrder, Statements};

/// Parts that are locked one by one, so that an update rarely meets a lookup.
const SHARDS: usize = 64;

/// The snapshot.
pub(super) struct Snapshot {
    /// By two keyed hashes of the person's id: with 128 bits that nobody can predict no two people meet.
    shards: Vec<RwLock<Table>>,
    names: Names,
    nothing: Arc<Statements>,
    hashers: (RandomState, RandomState),
    orders: RwLock<HashMap<String, LegalOrder>>,
    cases: RwLock<HashMap<String, Case>>,
    standing: RwLock<Standing>,
    /// The number up to which everything is here; less than 0: nothing was read to its end yet.
    reached: Mutex<i64>,
    moved: Condvar,
    max_staleness: Duration,
}

/// What may be made of what is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was not read to its end yet.
    Nothing,
    /// It was complete at this moment.
    AsOf(Instant),
    /// The server's history is another one: what is here is old, however short ago it was true.
    Lost,
}

/// Whether consents are known; the more, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    Nothing,
    /// All but what takes a yes that may have been taken back.
    WithoutConsents,
    Everything,
}

impl Snapshot {
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            names: Names::default(),
            nothing: Arc::default(),
            hashers: (RandomState::new(), RandomState::new()),
            orders: RwLock::default(),
            cases: RwLock::default(),
            standing: RwLock::new(Standing::Nothing),
            reached: Mutex::new(-1),
            moved: Condvar::new(),
            max_staleness,
        }
    }

    pub(super) fn known(&self, now: Instant) -> Known {
        self.known_by(self.standing(), now)
    }

    fn known_by(&self, standing: Standing, now: Instant) -> Known {
        match standing {
            Standing::Nothing => Known::Nothing,
            Standing::AsOf(at) if now.saturating_duration_since(at) <= self.max_staleness => {
                Known::Everything
            }
            Standing::AsOf(_) | Standing::Lost if self.was_read() => Known::WithoutConsents,
            Standing::AsOf(_) | Standing::Lost => Known::Nothing,
        }
    }

    /// When it was complete, if it can be relied on now.
    pub(super) fn as_of(&self) -> Result<Instant, StoreError> {
        self.whole()?;
        match self.standing() {
            Standing::AsOf(at) => Ok(at),
            Standing::Nothing | Standing::Lost => Err(StoreError::Stale),
        }
    }

    /// All that `subject` has said.
    pub(super) fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, StoreError> {
        let before = self.standing();
        let key = self.key(subject.expose());
        let people = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        let said = match people.get(key) {
            Some(bytes) => Some(self.names.decode(bytes).ok_or(StoreError::Garbage("snapshot"))?),
            None => None,
        };
        drop(people);
        // What stood before and what stands now, both by a clock that was read last. Another history may
        // have begun to take the place of this one, and an objection that is not there any more would
        // count as none; or what was too old when it was looked at is new again.
        let now = Instant::now();
        match self.known_by(before, now).min(self.known(now)) {
            Known::Nothing => Err(StoreError::NotYet),
            Known::Everything => Ok(said.map_or_else(|| Arc::clone(&self.nothing), Arc::new)),
            Known::WithoutConsents => {
                let mut said = said.unwrap_or_default().without_consents();
                said.one_time_grants.clear();
                said.orders.clear();
                said.cases.clear();
                Ok(Arc::new(said))
            }
        }
    }

    pub(super) fn order(&self, id: &str) -> Result<Option<LegalOrder>, StoreError> {
        self.whole()?;
        Ok(self.orders.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }

    pub(super) fn case(&self, id: &str) -> Result<Option<Case>, StoreError> {
        self.whole()?;
        Ok(self.cases.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }

    /// An order may have been lifted and a case closed since: neither counts without everything.
    pub(super) fn whole(&self) -> Result<(), StoreError> {
        match self.known(Instant::now()) {
            Known::Everything => Ok(()),
            Known::WithoutConsents => Err(StoreError::Stale),
            Known::Nothing => Err(StoreError::NotYet),
        }
    }

    /// Puts in what `subject` has said now, in place of what they had said.
    pub(super) fn put(&self, subject: &str, said: &Statements) {
        let key = self.key(subject);
        let bytes = if said.are_none() { Box::default() } else { self.names.encode(said) };
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).put(key, &bytes);
    }

    pub(super) fn put_orders(&self, orders: Vec<LegalOrder>) {
        let mut kept = self.orders.write().unwrap_or_else(PoisonError::into_inner);
        kept.extend(orders.into_iter().map(|order| (order.id.to_string(), order)));
    }

    pub(super) fn put_cases(&self, cases: Vec<Case>) {
        let mut kept = self.cases.write().unwrap_or_else(PoisonError::into_inner);
        kept.extend(cases.into_iter().map(|case| (case.id.to_string(), case)));
    }

    /// Everything up to `number` is here.
    pub(super) fn reach(&self, number: i64) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = number;
        self.moved.notify_all();
    }

    /// Waits until everything up to `number` is here, and no longer than `patience`.
    pub(super) fn wait_for(&self, number: i64, patience: Duration) {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |reached: &mut i64| *reached < number;
        drop(self.moved.wait_timeout_while(reached, patience, waiting));
    }

    /// Waits until everything is known, and no longer than `patience`.
    pub(super) fn wait_until_whole(&self, patience: Duration) {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |_: &mut i64| self.standing() == Standing::Nothing;
        drop(self.moved.wait_timeout_while(reached, patience, waiting));
    }

    /// It was complete at `moment`.
    pub(super) fn complete(&self, moment: Instant) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Standing::AsOf(moment);
        // Whoever waits holds this one until the wait begins, so that nobody misses the news.
        drop(self.reached.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }

    fn standing(&self) -> Standing {
        *self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's history is another one.
    pub(super) fn lose(&self) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Standing::Lost;
    }

    /// Throws everything away, for a history that takes the place of this one.
    pub(super) fn clear(&self) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Standing::Nothing;
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Table::default();
        }
        self.orders.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.cases.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.reach(-1);
    }

    /// People of whom something is known.
    pub(super) fn people(&self) -> usize {
        let count =
            |shard: &RwLock<Table>| shard.read().unwrap_or_else(PoisonError::into_inner).people();
        self.shards.iter().map(count).sum()
    }

    fn was_read(&self) -> bool {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) >= 0
    }

    fn key(&self, subject: &str) -> u128 {
        let (high, low) = (self.hashers.0.hash_one(subject), self.hashers.1.hash_one(subject));
        (u128::from(high) << 64) | u128::from(low)
    }

    fn shard(&self, key: u128) -> &RwLock<Table> {
        let high = usize::try_from(key >> 122).unwrap_or(0);
        &self.shards[high % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{Objection, Personal, PurposePattern};

    fn person(id: &str) -> DataSubject {
        Personal::new(id.into())
    }

    fn objects() -> Statements {
        let purpose = PurposePattern::new("marketing.*");
        let objection = Objection { purpose, since: jiff::Timestamp::UNIX_EPOCH };
        Statements { objections: vec![objection], ..Statements::default() }
    }

    #[test]
    fn before_it_was_complete_nothing_is_known() {
        let snapshot = Snapshot::new(Duration::from_mins(1));
        snapshot.put("u1", &objects());
        assert!(matches!(snapshot.statements(&person("u1")), Err(StoreError::NotYet)));
        snapshot.lose();
        assert!(matches!(snapshot.statements(&person("u1")), Err(StoreError::NotYet)));
        assert!(matches!(snapshot.order("ord-7"), Err(StoreError::NotYet)));
    }

    #[test]
    fn an_objection_outlives_what_is_known_of_consents() {
        let snapshot = Snapshot::new(Duration::from_mins(1));
        snapshot.put("u1", &objects());
        snapshot.reach(0);
        snapshot.complete(Instant::now());
        let said = |snapshot: &Snapshot, id: &str| snapshot.statements(&person(id)).expect("known");
        assert_eq!(*said(&snapshot, "u1"), objects());
        assert_eq!(*said(&snapshot, "u2"), Statements::default());
        assert!(snapshot.order("ord-7").expect("known").is_none());
        for stale in [true, false] {
            if stale {
                let long_ago = Instant::now().checked_sub(Duration::from_mins(2));
                snapshot.complete(long_ago.expect("the machine runs for longer"));
            } else {
                snapshot.lose();
            }
            assert_eq!(said(&snapshot, "u1").objections, objects().objections);
            assert!(
                said(&snapshot, "u1").consents_unknown && said(&snapshot, "u2").consents_unknown
            );
            assert!(matches!(snapshot.order("ord-7"), Err(StoreError::Stale)));
        }
    }
}
