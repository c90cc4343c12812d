//! Root keys from a file or the environment; see docs/OPERATIONS.md, "Keys".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::derived::DerivedKeys;
use super::entries::{self, Entry};
use super::place::KeyRingPlace;
use super::vault::WrapError;
use crate::action::pseudonym::{Domain, DomainKey, RootKey};

/// The environment variable that holds a key ring in place of a file.
pub const ENVIRONMENT: &str = "TAMIS_KEY_RING";

/// A key ring is a few lines; a larger file is another file.
const FILE_BYTES: u64 = 64 * 1024;

/// Root keys by version; the highest one makes new pseudonyms and tokens.
pub struct KeyRing {
    keys: BTreeMap<NonZeroU32, RootKey>,
    retired: BTreeSet<NonZeroU32>,
    newest: NonZeroU32,
    pub(super) derived: DerivedKeys,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing(versions {:?}, ‹withheld›)", self.keys.keys())
    }
}

/// The key ring cannot be read or is unsafe. Names the file and the line, never a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file cannot be read.
    #[error("cannot read the key ring {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file cannot be written.
    #[error("cannot write the key ring {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
    /// There is a key ring already; overwriting it would lose every pseudonym made with it.
    #[error("{} exists already and is left as it is", .0.display())]
    Exists(PathBuf),
    /// Others than the owner may read or write the file.
    #[error("{} is open to others (mode {:04o}); run: chmod 600 {}", .0.display(), .1, .0.display())]
    Exposed(PathBuf, u32),
    /// It is no regular file, or far too large for a key ring.
    #[error("{} is not a key ring", .0.display())]
    NotAKeyRing(PathBuf),
    /// The file is sealed, and nobody is named who unwraps its key.
    #[error("{} is sealed; name who unwraps its key, in the settings: --config", .0.display())]
    Sealed(PathBuf),
    /// The file is to be sealed, and lies there in clear.
    #[error("{} is not sealed; seal it: tamis keys wrap", .0.display())]
    NotSealed(PathBuf),
    /// The sealed file was changed or cut, or is of another key.
    #[error("{} does not open with its key: it was changed or cut", .0.display())]
    Spoilt(PathBuf),
    /// The service outside does not wrap or unwrap the key of a sealed file.
    #[error("the key of the sealed key ring cannot be had")]
    Wrap(#[from] WrapError),
    /// A line is not `version: 64 hexadecimal digits`.
    #[error("{source_name}, line {line}: {what}")]
    Malformed {
        /// The file, or the environment variable.
        source_name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no key of that version.
    #[error("there is no key of version {0}")]
    NoSuchVersion(NonZeroU32),
    /// The key makes what is new; without it nothing would.
    #[error("version {0} makes new values; make another first: tamis keys rotate")]
    StillNewest(NonZeroU32),
    /// A version of the ring in use is neither in the new one nor retired there: half a file, or
    /// another ring.
    #[error(
        "version {0} is in use and is not in the new key ring; `tamis keys retire` takes one out"
    )]
    Lost(NonZeroU32),
    /// A version of the ring in use is another key in the new one.
    #[error("version {0} is another key than the one in use")]
    Exchanged(NonZeroU32),
    /// All version numbers are used up.
    #[error("no version number is left")]
    NoVersionLeft,
    /// There is no key in it.
    #[error("{0} holds no key")]
    Empty(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

impl KeyRing {
    /// The key ring of [`ENVIRONMENT`] if it is set, else of a file in clear.
    ///
    /// # Errors
    /// See [`KeyRing::load`] and [`KeyRing::parse`].
    pub fn open(path: &Path) -> Result<Self, KeyRingError> {
        Self::open_at(&KeyRingPlace::plain(path))
    }

    /// The key ring of [`ENVIRONMENT`], if it is set.
    ///
    /// # Errors
    /// See [`KeyRing::parse`].
    pub fn from_environment() -> Result<Option<Self>, KeyRingError> {
        match std::env::var(ENVIRONMENT) {
            Ok(text) => Self::parse(ENVIRONMENT, &Zeroizing::new(text)).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(KeyRingError::Malformed {
                source_name: ENVIRONMENT.to_owned(),
                line: 1,
                what: "not UTF-8",
            }),
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// `Unreadable`, `NotAKeyRing`, `Exposed` if anyone but its owner may read or write it, `Malformed`,
    /// `Empty`.
    pub fn load(path: &Path) -> Result<Self, KeyRingError> {
        Self::parse(&path.display().to_string(), &KeyRingPlace::plain(path).read()?)
    }

    /// Reads the text of a key ring; its form: docs/OPERATIONS.md, "The key ring". `source_name` is
    /// what errors call it.
    ///
    /// # Errors
    /// `Malformed` with the line, `Empty`.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, KeyRingError> {
        let entries = entries::read(source_name, text)?;
        let retired = entries.iter().filter(|(_, entry)| matches!(entry, Entry::Retired { .. }));
        let retired = retired.map(|(version, _)| *version).collect();
        let root = |(version, entry)| match entry {
            Entry::Key { bytes, .. } => Some((version, RootKey::new(version, bytes))),
            Entry::Retired { .. } => None,
        };
        let keys: BTreeMap<NonZeroU32, RootKey> = entries.into_iter().filter_map(root).collect();
        match keys.last_key_value().map(|(version, _)| *version) {
            Some(newest) => Ok(Self { keys, retired, newest, derived: DerivedKeys::default() }),
            None => Err(KeyRingError::Empty(source_name.to_owned())),
        }
    }

    /// Whether a running gateway may go on with this ring after `earlier`: every pseudonym and token
    /// that can be read now can be read then, but for those of versions that were retired.
    ///
    /// # Errors
    /// `Lost`, `Exchanged`.
    pub fn continues(&self, earlier: &Self) -> Result<(), KeyRingError> {
        for (version, key) in &earlier.keys {
            match self.keys.get(version) {
                Some(same) if same.is(key) => {}
                Some(_) => return Err(KeyRingError::Exchanged(*version)),
                None if self.retired.contains(version) => {}
                None => return Err(KeyRingError::Lost(*version)),
            }
        }
        Ok(())
    }

    /// The version that makes new pseudonyms and tokens.
    #[must_use]
    pub const fn newest(&self) -> NonZeroU32 {
        self.newest
    }

    /// Every version in the ring, ascending.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = NonZeroU32> {
        self.keys.keys().copied()
    }

    /// The newest key of `domain`.
    #[must_use]
    pub fn key(&self, domain: &Domain<'_>) -> DomainKey {
        DomainKey::derive(&self.keys[&self.newest], domain)
    }

    /// The keys of `domain` as every version makes them, the newest first.
    #[must_use]
    pub fn all_keys(&self, domain: &Domain<'_>) -> Vec<DomainKey> {
        self.keys.values().rev().map(|root| DomainKey::derive(root, domain)).collect()
    }

    /// The key of `domain` as an earlier version made it; `None` if the version is not in the ring.
    #[must_use]
    pub fn key_of_version(&self, version: NonZeroU32, domain: &Domain<'_>) -> Option<DomainKey> {
        self.keys.get(&version).map(|root| DomainKey::derive(root, domain))
    }
}

/// The text of a file that is its owner's alone.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<String>, KeyRingError> {
    let unreadable = |fault| KeyRingError::Unreadable(path.to_owned(), fault);
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that nobody can exchange it between the question and the reading.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES {
        return Err(KeyRingError::NotAKeyRing(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyRingError::Exposed(path.to_owned(), mode));
    }
    // Room for all of it at once: a string that grows leaves copies of keys behind.
    let room = usize::try_from(metadata.len()).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::action::pseudonym::{Canonical, Scope, Use};

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const TWO: &str = "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";

    fn first_pseudonym(ring: &KeyRing) -> Option<String> {
        ring.key(&DOMAIN).pseudonym(Canonical::Text, "c1")
    }

    const DOMAIN: Domain<'_> = Domain {
        used_for: Use::Pseudonym,
        policy: "webllet",
        category: "account.id",
        scope: Scope::Recipient,
        recipient: "help-desk",
        purpose: "",
        extra: "",
        period: "",
    };

    #[test]
    fn the_highest_version_makes_new_pseudonyms_and_the_others_stay_readable() {
        let one = KeyRing::parse("ring", &format!("1: {ONE}\n")).expect("a ring");
        assert_eq!(first_pseudonym(&one).as_deref(), Some("ps1_4pulu2vyfw5kefdozwttqy7vhe"));
        for text in [
            format!("# roots\n\n10: \"{TWO}\" # new\n1: {ONE}\n"),
            format!("10:{TWO}; 1:{}", ONE.to_uppercase()),
        ] {
            let both = KeyRing::parse("ring", &text).expect("a ring");
            assert_eq!(both.newest().get(), 10);
            assert!(first_pseudonym(&both).expect("a value").starts_with("ps10_"));
            let old = both.key_of_version(NonZeroU32::MIN, &DOMAIN).expect("in the ring");
            assert_eq!(old.pseudonym(Canonical::Text, "c1"), first_pseudonym(&one));
            assert!(both.key_of_version(NonZeroU32::new(2).expect("2"), &DOMAIN).is_none());
        }
    }

    #[test]
    fn a_ring_that_is_not_sound_is_refused_and_its_keys_are_not_quoted() {
        let long = format!("1: {ONE}00");
        let zero = format!("0: {ONE}");
        let twice = format!("1: {ONE}\n1: {TWO}");
        let weak = format!("1: {}", "00".repeat(32));
        let sign = format!("1: {}é", &ONE[..62]);
        let named = format!("one: {ONE}");
        for text in
            ["", "# nothing\n", "1:", ONE, "1: abc", &long, &zero, &twice, &weak, &sign, &named]
        {
            let fault = KeyRing::parse("ring", text).expect_err(text);
            let words = format!("{fault} {fault:?}");
            assert!(!words.contains("0001") && !words.contains("1f1e"), "{words}");
        }
    }

    #[test]
    fn a_ring_that_lost_or_exchanged_a_key_is_no_continuation() {
        let ring = |text: String| KeyRing::parse("ring", &text).expect("a ring");
        let old = ring(format!("1: {ONE}\n2: {TWO}\n"));
        let after = |text: String| ring(text).continues(&old);
        assert!(after(format!("1: {ONE}; 2: {TWO}")).is_ok());
        assert!(after(format!("1: {ONE}; 2: {TWO}; 3: {TWO}")).is_ok(), "one more");
        assert!(after(format!("1: retired 2026-11-24; 2: {TWO}")).is_ok(), "one retired");
        let lost = after(format!("1: {ONE}")).expect_err("half a file");
        assert!(matches!(lost, KeyRingError::Lost(version) if version.get() == 2));
        let exchanged = after(format!("1: {TWO}; 2: {TWO}")).expect_err("another key");
        assert!(matches!(exchanged, KeyRingError::Exchanged(NonZeroU32::MIN)));
    }

    #[test]
    fn a_ring_does_not_print_its_keys() {
        let ring = KeyRing::parse("ring", &format!("1: {ONE}; 3: {TWO}")).expect("a ring");
        assert_eq!(format!("{ring:?}"), "KeyRing(versions [1, 3], ‹withheld›)");
    }

    #[test]
    fn a_generated_ring_is_its_owners_alone_and_is_never_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        let ring = KeyRing::generate(&path).expect("a ring");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let read_back = KeyRing::load(&path).expect("sound");
        assert_eq!(first_pseudonym(&read_back), first_pseudonym(&ring));
        assert!(matches!(KeyRing::generate(&path), Err(KeyRingError::Exists(_))));
        assert_eq!(first_pseudonym(&KeyRing::load(&path).expect("sound")), first_pseudonym(&ring));
        assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 1, "no drafts");
        let other = KeyRing::generate(&directory.path().join("other")).expect("a ring");
        assert_ne!(first_pseudonym(&other), first_pseudonym(&ring));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        std::fs::write(&path, format!("1: {ONE}\n")).expect("writes");
        for mode in [0o644, 0o640, 0o604, 0o620, 0o660, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("sets");
            let fault = KeyRing::load(&path).expect_err("open to others");
            assert!(matches!(fault, KeyRingError::Exposed(_, seen) if seen == mode), "{mode:o}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).expect("sets");
        assert!(KeyRing::load(&path).is_ok());
        assert!(matches!(KeyRing::load(directory.path()), Err(KeyRingError::NotAKeyRing(_))));
        let missing = directory.path().join("missing");
        assert!(matches!(KeyRing::load(&missing), Err(KeyRingError::Unreadable(..))));
    }
}
