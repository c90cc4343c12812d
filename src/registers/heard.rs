//! Of whom the file holds anything at all: whoever is not here has said nothing, and no table has to be
//! looked through for them.
//!
//! Triggers of the file enter each person into `people` with the first row about them, whoever writes it
//! and by whatever program, in the same commit. Numbers there only grow, and nobody is taken out; so
//! whoever has read everything up to a number, and finds nothing behind it in a snapshot, knows everybody
//! of that snapshot. In memory each is 32 bits of a keyed hash: two people may share them, and then one
//! who has said nothing is looked up for nothing. The other way round, nobody is missed.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::schema::StoreError;

/// People that one lookup takes in at most, some milliseconds of work: a gateway that has just started
/// on a large file asks the file itself until it has read them all, and keeps nobody waiting.
const PAGE: i64 = 4_096;

/// Everybody of whom the file holds anything, as far as they were read.
#[derive(Default)]
pub(super) struct HeardOf {
    hasher: RandomState,
    people: RwLock<People>,
}

#[derive(Default)]
struct People {
    hashes: HashSet<u32, BuildHasherDefault<Spread>>,
    /// Everybody up to this number is here.
    reached: i64,
}

/// What is asked of one moment.
pub(super) struct Looking<'a> {
    hasher: &'a RandomState,
    people: RwLockReadGuard<'a, People>,
}

impl HeardOf {
    /// Reads on, as far as a page goes. Whether everybody is here of whom `snapshot` holds anything.
    pub(super) fn reads_on(&self, snapshot: &Connection) -> Result<bool, StoreError> {
        let from = self.people.read().unwrap_or_else(PoisonError::into_inner).reached;
        let query = "SELECT number, subject FROM people WHERE number > ?1 ORDER BY number LIMIT ?2";
        let mut statement = snapshot.prepare_cached(query)?;
        let mut rows = statement.query([from, PAGE])?;
        let mut page = Vec::new();
        let mut last = from;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            let ValueRef::Text(subject) = row.get_ref(1)? else {
                return Err(StoreError::Garbage("text"));
            };
            page.push(hash(&self.hasher, subject));
        }
        let is_all = i64::try_from(page.len()).is_ok_and(|read| read < PAGE);
        if !page.is_empty() {
            let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
            people.hashes.extend(page);
            // Another reader may have come further meanwhile.
            people.reached = people.reached.max(last);
        }
        Ok(is_all)
    }

    /// For some questions one after the other.
    pub(super) fn look(&self) -> Looking<'_> {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        Looking { hasher: &self.hasher, people }
    }
}

impl Looking<'_> {
    /// Whether the file may hold something of this person. `false` is certain of the snapshot for which
    /// [`HeardOf::reads_on`] said that everybody is here.
    pub(super) fn may_have_said(&self, subject: &str) -> bool {
        self.people.hashes.contains(&hash(self.hasher, subject.as_bytes()))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn hash(hasher: &RandomState, subject: &[u8]) -> u32 {
    hasher.hash_one(subject) as u32
}

/// Of 32 bits that are a keyed hash already, so that nobody chooses where they come to lie, 64.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u32(&mut self, half: u32) {
        // An odd number with as many ones as zeros: the table looks at the highest bits and the lowest.
        self.0 = u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
