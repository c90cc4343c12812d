//! The life of a key ring's file: a new one, another key, a key's end, and what is in it.
//!
//! Changes happen one at a time, under a lock of the folder, and the file is replaced whole or not at
//! all. What is told of a key is its version, its dates and an id; never the key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use zeroize::Zeroizing;

use super::entries::{self, Entries, Entry, key_id};
use super::place::KeyRingPlace;
use super::{KeyRing, KeyRingError, ring};

/// What is told of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStatus {
    /// Which.
    pub version: NonZeroU32,
    /// Eight figures that tell two keys apart; `None` for a retired one.
    pub id: Option<String>,
    /// When its key was made, if the file says so.
    pub made: Option<Date>,
    /// What it is good for.
    pub standing: Standing,
}

/// What a version of a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It makes new pseudonyms and tokens, and opens its tokens.
    Newest,
    /// It opens its tokens, and nothing new is made with it.
    Opens,
    /// It is gone: its tokens open no more.
    Retired(Date),
}

impl KeyRing {
    /// Makes a key ring with one new key and writes it for its owner only (mode 0600). It is either
    /// there whole or not at all, and never takes the place of another.
    ///
    /// # Errors
    /// `Exists`, `Unwritable`, `NoRandomness`.
    pub fn generate(path: &Path) -> Result<Self, KeyRingError> {
        Self::generate_at(&KeyRingPlace::plain(path))
    }

    /// The same at a place that may be sealed.
    ///
    /// # Errors
    /// Those of [`generate`](Self::generate); `Wrap`.
    pub fn generate_at(place: &KeyRingPlace) -> Result<Self, KeyRingError> {
        let text = entries::write(&fresh()?);
        let ring = Self::parse(&place.file.display().to_string(), &text)?;
        put_new(place, text)?;
        Ok(ring)
    }

    /// Seals a ring that lies in clear: what `plain` holds is written to `place`, never in the place of
    /// another file. `plain` stays.
    ///
    /// # Errors
    /// Those of [`load`](Self::load) and [`generate_at`](Self::generate_at).
    pub fn wrap(plain: &Path, place: &KeyRingPlace) -> Result<(), KeyRingError> {
        let text = KeyRingPlace::plain(plain).read()?;
        Self::parse(&plain.display().to_string(), &text)?;
        put_new(place, text)
    }

    /// Writes a sealed ring in clear to a new file, its owner's alone: for a backup, or to do without the
    /// service that unwraps it.
    ///
    /// # Errors
    /// Those of [`open_at`](Self::open_at); `Exists`, `Unwritable`.
    pub fn unwrap(place: &KeyRingPlace, plain: &Path) -> Result<(), KeyRingError> {
        let text = place.read()?;
        Self::parse(&place.file.display().to_string(), &text)?;
        put_new(&KeyRingPlace::plain(plain), text)
    }

    /// A key ring that lives as long as this value: its pseudonyms mean nothing to any other run.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn ephemeral() -> Result<Self, KeyRingError> {
        Self::parse("ephemeral key ring", &entries::write(&fresh()?))
    }

    /// Adds a key to a file; it makes what is new from the next start on. Returns its version, which no
    /// key had before.
    ///
    /// # Errors
    /// Those of [`load`](Self::load); `Unwritable`, `NoRandomness`.
    pub fn rotate(path: &Path) -> Result<NonZeroU32, KeyRingError> {
        Self::rotate_at(&KeyRingPlace::plain(path))
    }

    /// The same at a place that may be sealed.
    ///
    /// # Errors
    /// Those of [`rotate`](Self::rotate) and [`open_at`](Self::open_at).
    pub fn rotate_at(place: &KeyRingPlace) -> Result<NonZeroU32, KeyRingError> {
        change(place, |entries| {
            let last = entries.last_key_value().map(|(version, _)| *version);
            let next = last.map_or(Some(NonZeroU32::MIN), |last| last.checked_add(1));
            let next = next.ok_or(KeyRingError::NoVersionLeft)?;
            entries.insert(next, Entry::draw(today())?);
            Ok(next)
        })
    }

    /// Takes a key out of a file for good: its tokens open no more, and its pseudonyms can never be made
    /// again. The version stays noted.
    ///
    /// # Errors
    /// Those of [`load`](Self::load); `NoSuchVersion`, `StillNewest`, `Unwritable`.
    pub fn retire(path: &Path, version: NonZeroU32) -> Result<(), KeyRingError> {
        Self::retire_at(&KeyRingPlace::plain(path), version)
    }

    /// The same at a place that may be sealed.
    ///
    /// # Errors
    /// Those of [`retire`](Self::retire) and [`open_at`](Self::open_at).
    pub fn retire_at(place: &KeyRingPlace, version: NonZeroU32) -> Result<(), KeyRingError> {
        change(place, |entries| {
            if newest(entries) == Some(version) {
                return Err(KeyRingError::StillNewest(version));
            }
            match entries.get_mut(&version) {
                Some(entry @ Entry::Key { .. }) => *entry = Entry::Retired { on: today() },
                Some(Entry::Retired { .. }) | None => {
                    return Err(KeyRingError::NoSuchVersion(version));
                }
            }
            Ok(())
        })
    }

    /// What is in a file, by version.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn status(path: &Path) -> Result<Vec<VersionStatus>, KeyRingError> {
        Self::status_at(&KeyRingPlace::plain(path))
    }

    /// The same of a place that may be sealed.
    ///
    /// # Errors
    /// Those of [`open_at`](Self::open_at).
    pub fn status_at(place: &KeyRingPlace) -> Result<Vec<VersionStatus>, KeyRingError> {
        let entries = entries::read(&place.file.display().to_string(), &place.read()?)?;
        let newest = newest(&entries);
        let status = |(version, entry): (&NonZeroU32, &Entry)| match entry {
            Entry::Key { bytes, made } => VersionStatus {
                version: *version,
                id: Some(key_id(bytes)),
                made: *made,
                standing: if newest == Some(*version) { Standing::Newest } else { Standing::Opens },
            },
            Entry::Retired { on } => VersionStatus {
                version: *version,
                id: None,
                made: None,
                standing: Standing::Retired(*on),
            },
        };
        Ok(entries.iter().map(status).collect())
    }
}

fn newest(entries: &Entries) -> Option<NonZeroU32> {
    let keys = entries.iter().filter(|(_, entry)| matches!(entry, Entry::Key { .. }));
    keys.map(|(version, _)| *version).next_back()
}

fn fresh() -> Result<Entries, KeyRingError> {
    Ok(Entries::from([(NonZeroU32::MIN, Entry::draw(today())?)]))
}

fn today() -> Date {
    Offset::UTC.to_datetime(Timestamp::now()).date()
}

/// Writes a ring to a file that is not there yet.
fn put_new(place: &KeyRingPlace, text: Zeroizing<String>) -> Result<(), KeyRingError> {
    let path = &place.file;
    if path.exists() {
        return Err(KeyRingError::Exists(path.clone()));
    }
    write_new(path, place.closed(text)?.as_bytes()).map_err(|fault| match fault.kind() {
        io::ErrorKind::AlreadyExists => KeyRingError::Exists(path.clone()),
        _ => KeyRingError::Unwritable(path.clone(), fault),
    })
}

/// Changes a file that is there.
fn change<T>(
    place: &KeyRingPlace,
    change: impl FnOnce(&mut Entries) -> Result<T, KeyRingError>,
) -> Result<T, KeyRingError> {
    let path = &place.file;
    let unreadable = |fault| KeyRingError::Unreadable(path.clone(), fault);
    let unwritable = |fault| KeyRingError::Unwritable(path.clone(), fault);
    // What a link leads to is replaced, not the link.
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let lock = File::open(folder(&real)).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    let text = place.opened(ring::read_file(&real)?)?;
    let mut entries = entries::read(&path.display().to_string(), &text)?;
    let done = change(&mut entries)?;
    let held = place.closed(entries::write(&entries))?;
    replace(&real, held.as_bytes()).map_err(unwritable)?;
    Ok(done)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that only its owner may read, under a name that nothing has yet. The link fails if
/// the name was taken meanwhile, which a rename would not.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (draft, mut file) = draft(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    written?;
    File::open(folder(path))?.sync_all()
}

/// Puts a file in the place of another, with its owner.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = fs::metadata(path)?;
    let (draft, mut file) = draft(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| fchown(&file, Some(before.uid()), Some(before.gid())))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        fs::remove_file(&draft)?;
    }
    written?;
    File::open(folder(path))?.sync_all()
}

fn draft(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(|_| io::Error::other("no random bytes"))?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
    let draft = path.with_file_name(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    Ok((draft, file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::action::pseudonym::{Canonical, Domain, Scope, Use};

    const TOKENS: Domain<'_> = Domain {
        used_for: Use::Token,
        policy: "webllet",
        category: "account.id",
        scope: Scope::Recipient,
        recipient: "help-desk",
        purpose: "",
        extra: "",
        period: "",
    };

    fn version(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("from 1 on")
    }

    fn opens(path: &Path, token: &str) -> bool {
        let keys = KeyRing::load(path).expect("sound").all_keys(&TOKENS);
        keys.iter().any(|key| key.open_token(Canonical::Text, token).is_some())
    }

    fn token(path: &Path) -> String {
        let key = KeyRing::load(path).expect("sound").key(&TOKENS);
        key.token(Canonical::Text, "c1").expect("a token")
    }

    #[test]
    fn after_a_rotation_old_tokens_open_until_their_key_is_retired() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        KeyRing::generate(&path).expect("a ring");
        let old = token(&path);
        assert_eq!(KeyRing::rotate(&path).expect("rotates"), version(2));
        let new = token(&path);
        assert!(old.starts_with("tk1_") && new.starts_with("tk2_"), "{old} {new}");
        assert!(opens(&path, &old) && opens(&path, &new));

        KeyRing::retire(&path, version(1)).expect("retires");
        assert!(!opens(&path, &old) && opens(&path, &new));
        assert_eq!(token(&path), new, "the key that is left is the same");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1, "no drafts");
    }

    #[test]
    fn a_version_is_never_used_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        KeyRing::generate(&path).expect("a ring");
        KeyRing::rotate(&path).expect("rotates");
        KeyRing::retire(&path, version(1)).expect("retires");
        let fault = KeyRing::retire(&path, version(1)).expect_err("retired already");
        assert!(matches!(fault, KeyRingError::NoSuchVersion(_)), "{fault}");
        let fault = KeyRing::retire(&path, version(2)).expect_err("nothing would be left");
        assert!(matches!(fault, KeyRingError::StillNewest(_)), "{fault}");
        assert!(matches!(KeyRing::retire(&path, version(9)), Err(KeyRingError::NoSuchVersion(_))));
        fs::write(&path, format!("3: retired 2026-01-01\n1: {}\n", "ab12".repeat(16))).expect("w");
        assert_eq!(KeyRing::rotate(&path).expect("rotates"), version(4));
    }

    #[test]
    fn the_status_tells_versions_dates_and_ids_and_no_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        let (one, two) = ("ab12".repeat(16), "cd34".repeat(16));
        let text = format!("1: {one}\n2: {two} made 2026-02-03\n3: retired 2026-01-01\n");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("sets");
        let status = KeyRing::status(&path).expect("sound");
        let of = |at: usize| (status[at].version.get(), status[at].made, status[at].standing);
        let date = jiff::civil::date;
        assert_eq!(of(0), (1, None, Standing::Opens));
        assert_eq!(of(1), (2, Some(date(2026, 2, 3)), Standing::Newest));
        assert_eq!(of(2), (3, None, Standing::Retired(date(2026, 1, 1))));
        let ids: Vec<_> = status.iter().filter_map(|version| version.id.clone()).collect();
        assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 8));
        assert!(ids.iter().all(|id| !one.contains(id) && !two.contains(id)), "{ids:?}");
    }

    #[test]
    fn a_file_that_is_not_sound_is_left_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        for (text, mode) in [("1: abc\n", 0o600), ("1: ab12\n", 0o644)] {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("sets");
            assert!(KeyRing::rotate(&path).is_err());
            assert!(KeyRing::retire(&path, version(1)).is_err());
            assert!(KeyRing::status(&path).is_err());
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert!(KeyRing::rotate(&directory.path().join("missing")).is_err());
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn several_rotations_at_once_lose_no_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        KeyRing::generate(&path).expect("a ring");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| KeyRing::rotate(&path).expect("rotates"));
            }
        });
        assert_eq!(KeyRing::status(&path).expect("sound").len(), 5);
    }
}
