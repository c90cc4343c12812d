//! The index of data subjects: a secret for each person, from which the tags in records are made.
//!
//! A tag is `HMAC-SHA256(secret, "ledger-tag" ‖ month)`, cut to 16 bytes. Whoever has the secret finds
//! the person's records; without it a tag is a random number, also to somebody who knows the person's
//! id and every other key. So a secret that is shredded takes the person out of the ledger, whose
//! chain stays as it is. Secrets lie in a file of their own, wrapped under keys of the key ring, in
//! rows that cannot be found without it. Source: GDPR Art. 15(1)(c), 17.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::last_account::{self, LastAccount};
use super::people::Tag;
use super::subject_rows::{IndexError, IndexPlace, find, keep, row, unwrap};
use super::{LedgerServer, LedgerUnavailable};
use crate::action::pseudonym::DomainKey;
use crate::database::sql::{Tables, data};
use crate::terms::{DataSubject, hex};

/// In the ledger's directory.
const FILE: &str = "subjects.db";

/// Secrets kept in memory, about 8 MB; beyond it all are dropped, which costs one look-up each.
const CACHED: usize = 65_536;

/// Bytes of a tag: 128 bits, so that two people never share one.
const TAG_BYTES: usize = size_of::<Tag>();

/// Letters of a tag as it is written: `t_` and two digits a byte.
pub(super) const TAG_LETTERS: usize = 2 + 2 * TAG_BYTES;

/// The keys of the index under one version of the key ring.
pub struct IndexKey {
    /// Finds a person's row.
    pub rows: DomainKey,
    /// Wraps what stands in it.
    pub secrets: DomainKey,
}

/// The index of one ledger.
pub struct SubjectIndex {
    /// Newest first.
    keys: ArcSwap<Vec<IndexKey>>,
    /// Whether the rows are known to be under these keys.
    is_recognised: AtomicBool,
    store: Mutex<Store>,
}

/// Is told what is wrapped in a row, with the key of the ring that did it.
type LookAtRow<'a> = dyn FnMut(Option<&IndexKey>, &str) -> Result<(), IndexError> + 'a;

struct Store {
    place: IndexPlace,
    /// Changes whenever another has committed: it may have shredded.
    version: i64,
    /// The month of which the cached secrets are noted as used.
    month: String,
    cache: HashMap<DataSubject, Secret>,
}

/// One person's secret; wiped when dropped, never printed.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Zeroizing<[u8; 32]>);

impl Secret {
    /// The person's tag in records of this month (`2026-11`).
    pub(super) fn tag(&self, month: &str) -> String {
        format!("t_{}", hex(&self.tag_bytes(month)))
    }

    /// The bytes of [`tag`](Self::tag).
    pub(super) fn tag_bytes(&self, month: &str) -> Tag {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .expect("HMAC takes keys of any length");
        mac.update(b"ledger-tag");
        mac.update(month.as_bytes());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG_BYTES]);
        tag
    }
}

impl SubjectIndex {
    /// Opens or makes the index of the ledger in `directory`. `keys`: newest first, at least one.
    ///
    /// # Errors
    /// The file cannot be used, is another program's, or others may read it.
    pub fn open(directory: &Path, keys: Vec<IndexKey>) -> Result<Self, LedgerUnavailable> {
        std::fs::DirBuilder::new().recursive(true).create(directory).map_err(unusable)?;
        let path = directory.join(FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        if file.metadata().map_err(unusable)?.mode() & 0o077 != 0 {
            return Err(LedgerUnavailable("the index of subjects is open to others".into()));
        }
        drop(file);
        Self::on(IndexPlace::file(path).map_err(unusable)?, keys)
    }

    /// The index on `server`, which all nodes share whose chains are there. `keys`: newest first, at
    /// least one.
    ///
    /// # Errors
    /// The server does not answer, or its index is under another key ring.
    pub fn on_server(
        server: &Arc<LedgerServer>,
        keys: Vec<IndexKey>,
    ) -> Result<Self, LedgerUnavailable> {
        Self::on(IndexPlace::Server(Arc::clone(server)), keys)
    }

    fn on(place: IndexPlace, keys: Vec<IndexKey>) -> Result<Self, LedgerUnavailable> {
        if keys.is_empty() {
            return Err(LedgerUnavailable("the index of subjects has no key".into()));
        }
        let store = Store { place, version: -1, month: String::new(), cache: HashMap::new() };
        let (keys, store) = (ArcSwap::from_pointee(keys), Mutex::new(store));
        let index = Self { keys, is_recognised: AtomicBool::new(false), store };
        drop(index.store()?);
        Ok(index)
    }

    /// Goes on with these keys: newest first. Without any it stays as it is.
    pub fn follow(&self, keys: Vec<IndexKey>) {
        if !keys.is_empty() {
            self.keys.store(Arc::new(keys));
            self.is_recognised.store(false, Ordering::Release);
        }
    }

    /// The tags of `people` in records of this month, in their order. Whoever has no secret gets one,
    /// which is durable before this returns.
    pub(super) fn tags(
        &self,
        people: &[DataSubject],
        month: &str,
    ) -> Result<Vec<String>, LedgerUnavailable> {
        let mut store = self.store()?;
        store.refresh().map_err(unusable)?;
        if store.month != month {
            store.cache.clear();
            month.clone_into(&mut store.month);
        }
        let unknown: Vec<&DataSubject> =
            people.iter().filter(|person| !store.cache.contains_key(*person)).collect();
        if !unknown.is_empty() {
            let made = self.find_or_make(&mut store.place, &unknown, month);
            let made = made.map_err(unusable)?;
            if store.cache.len() + made.len() > CACHED {
                // Only what is not asked for now: the tags are made from the cache.
                store.cache.retain(|person, _| people.contains(person));
            }
            let made = unknown.into_iter().cloned().zip(made);
            store.cache.extend(made);
        }
        people
            .iter()
            .map(|person| store.cache.get(person).map(|secret| secret.tag(month)))
            .collect::<Option<_>>()
            .ok_or_else(|| LedgerUnavailable("a secret was lost".into()))
    }

    /// Whether anything of the person can still be found in the ledger.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn knows(&self, person: &DataSubject) -> Result<bool, LedgerUnavailable> {
        Ok(self.secret(person)?.is_some())
    }

    /// The person's secret; `None` for somebody of whom nothing is in the ledger any more, or ever was.
    pub(super) fn secret(&self, person: &DataSubject) -> Result<Option<Secret>, LedgerUnavailable> {
        let keys = self.keys.load();
        let found = self.store()?.place.read(|tables| find(&keys, tables, person));
        Ok(found.map_err(unusable)?.map(|(secret, _)| secret))
    }

    /// How many secrets no key of the ring opens: theirs were retired. What was entered of these people
    /// before is found for nobody.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn unopened(&self) -> Result<u64, LedgerUnavailable> {
        let mut count = 0;
        self.each_row(&mut |key, _| {
            count += u64::from(key.is_none());
            Ok(())
        })?;
        Ok(count)
    }

    /// Tells `look` every secret that a key of the ring opens, in no order that means anything. Whose it
    /// is nobody can say.
    pub(super) fn each_secret(
        &self,
        look: &mut dyn FnMut(&Secret),
    ) -> Result<(), LedgerUnavailable> {
        self.each_row(&mut |key, wrapped| {
            if let Some(key) = key {
                look(&unwrap(key, wrapped).ok_or(IndexError::Garbage)?);
            }
            Ok(())
        })
    }

    /// Tells `look` what is wrapped in each row, with the key of the ring that did it; `None`: it is
    /// retired.
    fn each_row(&self, look: &mut LookAtRow<'_>) -> Result<(), LedgerUnavailable> {
        let pages = self.store()?.place.pages().map_err(unusable)?;
        let keys = self.keys.load();
        let mut reached = String::new();
        loop {
            let rows = pages.after(&reached).map_err(unusable)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            reached.clone_from(last);
            for (_, wrapped) in &rows {
                let key = keys.iter().find(|key| key.secrets.is_of(wrapped));
                look(key, wrapped).map_err(unusable)?;
            }
        }
    }

    /// Shreds the person's secret: their records cannot be told from others' any more. What is `last`
    /// said of them is kept in its place, sealed, until its end; both or neither. Durable on return.
    /// Whether there was a secret.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn shred(
        &self,
        person: &DataSubject,
        last: Option<&LastAccount>,
    ) -> Result<bool, LedgerUnavailable> {
        let mut store = self.store()?;
        store.cache.remove(person);
        let keys = self.keys.load();
        let shredded = store.place.shred(|tables| {
            let mut count = 0;
            for key in keys.iter() {
                if let Some(row) = row(key, person) {
                    count += tables.execute("DELETE FROM secrets WHERE row = ?1", data![row])?;
                }
            }
            // Without a secret there was nothing to tell; or another gateway has just kept the same.
            if let Some(last) = last.filter(|_| count > 0) {
                let key = keys.first().ok_or(IndexError::Garbage)?;
                last_account::keep(tables, key, person, last)?;
            }
            Ok(count > 0)
        });
        shredded.map_err(unusable)
    }

    /// What was kept of the person when they were erased, as far as its end has not come at `now`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_accounts(
        &self,
        person: &DataSubject,
        now: Timestamp,
    ) -> Result<Vec<LastAccount>, LedgerUnavailable> {
        let keys = self.keys.load();
        let found =
            self.store()?.place.read(|tables| last_account::find(tables, &keys, person, now));
        found.map_err(unusable)
    }

    /// Removes what was kept of people who were erased and has come to its end. How many there were.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget_last_accounts(&self, now: Timestamp) -> Result<usize, LedgerUnavailable> {
        self.store()?.place.write(|tables| last_account::forget(tables, now)).map_err(unusable)
    }

    /// Shreds the secrets of people of whom nothing was entered since the month of `before`. How many
    /// there were.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn shred_unused(&self, before: Timestamp) -> Result<usize, LedgerUnavailable> {
        let month = before.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m").to_string();
        let mut store = self.store()?;
        let count = "SELECT count(*) FROM secrets WHERE month < ?1";
        let unused = store.place.read(|tables| {
            Ok(tables.row(count, data![&month])?.ok_or(IndexError::Garbage)?.number(0)?)
        });
        if unused.map_err(unusable)? == 0 {
            return Ok(0);
        }
        store.cache.clear();
        let shred = "DELETE FROM secrets WHERE month < ?1";
        let shredded = store.place.shred(|tables| Ok(tables.execute(shred, data![&month])?));
        shredded.map_err(unusable)
    }

    fn find_or_make(
        &self,
        place: &mut IndexPlace,
        people: &[&DataSubject],
        month: &str,
    ) -> Result<Vec<Secret>, IndexError> {
        let keys = self.keys.load();
        // In one order everywhere, so that two gateways never wait for each other.
        let mut order: Vec<usize> = (0..people.len()).collect();
        order.sort_by_key(|at| people[*at].expose());
        place.write(|tables| {
            let mut secrets = vec![None; people.len()];
            for at in order {
                secrets[at] = Some(found_or_made(tables, &keys, people[at], month)?);
            }
            secrets.into_iter().collect::<Option<_>>().ok_or(IndexError::Garbage)
        })
    }

    fn store(&self) -> Result<MutexGuard<'_, Store>, LedgerUnavailable> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys that come meanwhile are looked at the next time.
        if !self.is_recognised.swap(true, Ordering::AcqRel)
            && let Err(error) = store.place.recognise(&self.keys.load())
        {
            self.is_recognised.store(false, Ordering::Release);
            return Err(unusable(error));
        }
        Ok(store)
    }
}

impl Store {
    /// Forgets what is cached once another process has written.
    fn refresh(&mut self) -> Result<(), IndexError> {
        let version = self.place.version()?;
        if version != self.version {
            self.cache.clear();
            self.version = version;
        }
        Ok(())
    }
}

/// The person's secret, and a new one for somebody who has none.
fn found_or_made(
    tables: &dyn Tables,
    keys: &[IndexKey],
    person: &DataSubject,
    month: &str,
) -> Result<Secret, IndexError> {
    let newest = keys.first().ok_or(IndexError::Garbage)?;
    match find(keys, tables, person)? {
        Some((known, 0)) => {
            let row = row(newest, person).ok_or(IndexError::Garbage)?;
            let later = "UPDATE secrets SET month = ?2 WHERE row = ?1 AND month < ?2";
            tables.execute(later, data![row, month])?;
            Ok(known)
        }
        // Wrapped anew, so that an old key is needed no longer than the person stays away.
        Some((known, older)) => {
            let row = row(&keys[older], person).ok_or(IndexError::Garbage)?;
            tables.execute("DELETE FROM secrets WHERE row = ?1", data![row])?;
            keep(tables, newest, person, &known, month)?;
            Ok(known)
        }
        None => {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(bytes.as_mut_slice()).map_err(|_| IndexError::NoRandomness)?;
            let made = Secret(bytes);
            if keep(tables, newest, person, &made, month)? {
                return Ok(made);
            }
            // Another gateway was first.
            find(keys, tables, person)?.map(|(known, _)| known).ok_or(IndexError::Garbage)
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> LedgerUnavailable {
    LedgerUnavailable(format!("index of subjects: {error}"))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::terms::Personal;

    #[test]
    fn a_tag_is_of_one_month_and_one_secret() {
        let secret = Secret(Zeroizing::new([7; 32]));
        let tag = secret.tag("2026-11");
        // python3: hmac.new(bytes([7]*32), b"ledger-tag2026-11", "sha256").hexdigest()[:32]
        assert_eq!(tag, "t_0a686bee6d2a385db0ee62aadbaa6181");
        assert_ne!(tag, secret.tag("2026-12"));
        assert_ne!(tag, Secret(Zeroizing::new([8; 32])).tag("2026-11"));
    }

    fn keys(versions: &[u32]) -> Vec<IndexKey> {
        use crate::action::pseudonym::{Domain, RootKey, Scope, Use};
        let key = |version: u32, used_for| {
            let mut bytes = Zeroizing::new([0_u8; 32]);
            bytes[0] = u8::try_from(version).expect("small");
            let root = RootKey::new(version.try_into().expect("not zero"), bytes);
            let domain = Domain {
                used_for,
                policy: "ledger",
                category: "subject",
                scope: Scope::Recipient,
                recipient: "",
                purpose: "",
                extra: "",
                period: "",
            };
            DomainKey::derive(&root, &domain)
        };
        versions
            .iter()
            .map(|version| IndexKey {
                rows: key(*version, Use::Pseudonym),
                secrets: key(*version, Use::Token),
            })
            .collect()
    }

    fn person(id: &str) -> DataSubject {
        Personal::new(id.into())
    }

    #[test]
    fn a_shredded_secret_never_comes_back_and_nobody_else_s_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let index = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        let everybody = [person("CANARY-1"), person("CANARY-2")];
        let before = index.tags(&everybody, "2026-11").expect("made");
        assert_eq!(index.tags(&everybody, "2026-11").expect("known"), before);
        // Another process, such as a command.
        let other = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        assert!(other.shred(&everybody[0], None).expect("written"));
        assert!(!other.shred(&everybody[0], None).expect("written"));
        assert!(index.secret(&everybody[0]).expect("readable").is_none());
        let after = index.tags(&everybody, "2026-11").expect("made");
        assert_ne!(after[0], before[0], "a new secret, which finds nothing of before");
        assert_eq!(after[1], before[1]);
        let file = std::fs::read(directory.path().join(FILE)).expect("there");
        assert!(!file.windows(6).any(|bytes| bytes == b"CANARY"), "no id stands in the file");
    }

    #[test]
    fn a_secret_that_was_not_used_since_is_shredded_and_one_that_was_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let index = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        let (gone, stays) = (person("u1"), person("u2"));
        index.tags(&[gone.clone(), stays.clone()], "2026-01").expect("made");
        index.tags(std::slice::from_ref(&stays), "2026-05").expect("known");
        // A later look at an old month does not make it unused again.
        index.tags(std::slice::from_ref(&stays), "2026-02").expect("known");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(index.shred_unused(at("2026-01-31T23:59:59Z")).expect("written"), 0);
        assert_eq!(index.shred_unused(at("2026-05-31T00:00:00Z")).expect("written"), 1);
        assert_eq!((index.knows(&gone).ok(), index.knows(&stays).ok()), (Some(false), Some(true)));
    }

    #[test]
    fn an_index_of_the_first_version_is_taken_over_with_everybody_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let index = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        let everybody = [person("u1")];
        let before = index.tags(&everybody, "2026-11").expect("made");
        drop(index);
        let file = Connection::open(directory.path().join(FILE)).expect("ours");
        file.execute_batch("DROP TABLE last_accounts; ALTER TABLE secrets DROP COLUMN month; PRAGMA user_version = 1;")
            .expect("as it was");
        drop(file);
        let index = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        assert_eq!(index.tags(&everybody, "2026-11").expect("known"), before);
        assert_eq!(
            index.shred_unused("2020-01-01T00:00:00Z".parse().expect("a time")).ok(),
            Some(0)
        );
    }

    #[test]
    fn secrets_outlive_a_rotation_of_the_key_ring_and_not_the_loss_of_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let everybody = [person("u1")];
        let made = SubjectIndex::open(directory.path(), keys(&[1])).expect("opens");
        let before = made.tags(&everybody, "2026-11").expect("made");
        let rotated = SubjectIndex::open(directory.path(), keys(&[2, 1])).expect("opens");
        assert_eq!(rotated.tags(&everybody, "2026-11").expect("known"), before);
        let alone = SubjectIndex::open(directory.path(), keys(&[2])).expect("opens");
        assert_eq!(alone.tags(&everybody, "2026-11").expect("known"), before, "wrapped anew");
        let another = SubjectIndex::open(directory.path(), keys(&[3])).expect("opens");
        assert!(another.secret(&everybody[0]).expect("readable").is_none());
    }

    /// Reports count people over several months with the index; a key that is gone must not end them.
    #[test]
    fn people_whose_key_is_retired_are_counted_by_bounds_and_said_to_be() {
        use crate::ledger::{Part, People};
        let directory = tempfile::tempdir().expect("a directory");
        let of = |versions: &[u32]| SubjectIndex::open(directory.path(), keys(versions));
        let mut people = People::default();
        let mut leave = |index: &SubjectIndex, ids: &[&str], month: &str| {
            let ids: Vec<_> = ids.iter().map(|id| person(id)).collect();
            let tags = index.tags(&ids, month).expect("made");
            let part = Part { categories: [("a.b".into(), "keep".into())].into(), tags };
            people.add(&format!("{month}-02T00:00:00.000Z"), &part);
        };
        leave(&of(&[1]).expect("opens"), &["u1", "u2"], "2026-10");
        leave(&of(&[1]).expect("opens"), &["u1"], "2026-11");
        let rotated = of(&[2, 1]).expect("opens");
        leave(&rotated, &["u2"], "2026-11");
        assert_eq!(rotated.unopened().ok(), Some(0));
        let retired = of(&[2]).expect("opens");
        assert_eq!(retired.unopened().ok(), Some(1), "the other was wrapped anew");
        let counted = people.count(Some(&retired)).expect("readable");
        assert_eq!(counted.all.to_string(), "2 to 3");
        // What a key of the ring should open and does not was spoilt.
        let file = Connection::open(directory.path().join(FILE)).expect("ours");
        file.execute("UPDATE secrets SET secret = 'tk2_spoilt'", []).expect("written");
        assert!(retired.each_secret(&mut |_| {}).is_err());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        drop(SubjectIndex::open(directory.path(), keys(&[1])).expect("opens"));
        let path = directory.path().join(FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        assert!(SubjectIndex::open(directory.path(), keys(&[1])).is_err());
    }
}
