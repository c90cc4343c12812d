//! Root keys from a file or the environment; see docs/OPERATIONS.md, "Keys".

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::treatments::DerivedKeys;
use crate::action::pseudonym::{Domain, DomainKey, RootKey};

/// The environment variable that holds a key ring in place of a file.
pub const ENVIRONMENT: &str = "TAMIS_KEY_RING";

/// A key ring is a few lines; a larger file is another file.
const FILE_BYTES: u64 = 64 * 1024;

/// Root keys by version; the highest one makes new pseudonyms and tokens.
pub struct KeyRing {
    keys: BTreeMap<NonZeroU32, RootKey>,
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
    /// There is no key in it.
    #[error("{0} holds no key")]
    Empty(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

impl KeyRing {
    /// The key ring of [`ENVIRONMENT`] if it is set, else of the file.
    ///
    /// # Errors
    /// See [`KeyRing::load`] and [`KeyRing::parse`].
    pub fn open(path: &Path) -> Result<Self, KeyRingError> {
        match std::env::var(ENVIRONMENT) {
            Ok(text) => Self::parse(ENVIRONMENT, &Zeroizing::new(text)),
            Err(std::env::VarError::NotPresent) => Self::load(path),
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
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of a key ring: one `version: 64 hexadecimal digits` a line, or several between
    /// semicolons; `#` begins a comment. `source_name` is what errors call it.
    ///
    /// # Errors
    /// `Malformed` with the line, `Empty`.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, KeyRingError> {
        let mut keys = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let malformed = |what| KeyRingError::Malformed {
                source_name: source_name.to_owned(),
                line: at + 1,
                what,
            };
            let line = line.split('#').next().unwrap_or_default();
            for entry in line.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
                let key = root_key(entry).map_err(malformed)?;
                if keys.insert(key.version(), key).is_some() {
                    return Err(malformed("this version stands in the key ring twice"));
                }
            }
        }
        match keys.last_key_value().map(|(version, _)| *version) {
            Some(newest) => Ok(Self { keys, newest, derived: DerivedKeys::default() }),
            None => Err(KeyRingError::Empty(source_name.to_owned())),
        }
    }

    /// Makes a key ring with one new key and writes it for its owner only (mode 0600). It is either
    /// there whole or not at all, and never takes the place of another.
    ///
    /// # Errors
    /// `Exists`, `Unwritable`, `NoRandomness`.
    pub fn generate(path: &Path) -> Result<Self, KeyRingError> {
        if path.exists() {
            return Err(KeyRingError::Exists(path.to_owned()));
        }
        let text = fresh()?;
        write_new(path, text.as_bytes()).map_err(|fault| match fault.kind() {
            io::ErrorKind::AlreadyExists => KeyRingError::Exists(path.to_owned()),
            _ => KeyRingError::Unwritable(path.to_owned(), fault),
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// A key ring that lives as long as this value: its pseudonyms mean nothing to any other run.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn ephemeral() -> Result<Self, KeyRingError> {
        Self::parse("ephemeral key ring", &fresh()?)
    }

    /// The version that makes new pseudonyms and tokens.
    #[must_use]
    pub const fn newest(&self) -> NonZeroU32 {
        self.newest
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

fn root_key(entry: &str) -> Result<RootKey, &'static str> {
    let (version, digits) = entry.split_once(':').ok_or("not `version: key`")?;
    let version = version.trim();
    let version: NonZeroU32 =
        version.parse().map_err(|_| "the version is not a whole number from 1 on")?;
    let digits = digits.trim().trim_matches(['"', '\'']).as_bytes();
    let mut key = Zeroizing::new([0; 32]);
    if digits.len() != 64 {
        return Err("a key has 64 hexadecimal digits");
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (figure(pair[0]), figure(pair[1])) else {
            return Err("a key has 64 hexadecimal digits");
        };
        *byte = high << 4 | low;
    }
    // What is all the same byte was typed, not drawn.
    if key.iter().all(|byte| *byte == key[0]) {
        return Err("this key is no random one; make one with: openssl rand -hex 32");
    }
    Ok(RootKey::new(version, key))
}

fn figure(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The text of a key ring with one new key.
fn fresh() -> Result<Zeroizing<String>, KeyRingError> {
    use fmt::Write as _;

    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyRingError::NoRandomness)?;
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str(
        "# Tamis root keys. Whoever has them can undo every pseudonym: back up, never share.\n1: ",
    );
    for byte in bytes.iter() {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    Ok(text)
}

/// Writes a file that only its owner may read, under a name that nothing has yet. The link fails if
/// the name was taken meanwhile, which a rename would not.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(|_| io::Error::other("no random bytes"))?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
    let draft = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    written?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
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
