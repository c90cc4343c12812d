//! Signed notes: a text and who vouches for it. Source: C2SP signed-note, signature type `0x01`
//! (Ed25519, RFC 8032).

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, io};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;
use zeroize::Zeroizing;

use super::life::write_new;
use super::ring::{KeyRingError, read_file};
use crate::terms::hex;

/// An Ed25519 signature by the note's author, not by a witness.
const TYPE: u8 = 1;

/// A key file begins so.
const PRIVATE: &str = "PRIVATE+KEY+";

/// Before each signature stands an em dash.
const SIGNED: &str = "\u{2014} ";

/// Longer notes are not read: a checkpoint with sixteen large signatures is shorter.
const NOTE_BYTES: usize = 128 << 10;

/// Why a note cannot be signed or trusted. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The file cannot be read or written.
    #[error("the signing key {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Others can read the file.
    #[error("{} is open to others (mode {:04o}); run: chmod 600 {}", .0.display(), .1, .0.display())]
    Exposed(PathBuf, u32),
    /// The file holds something else.
    #[error("{} is no signing key", .0.display())]
    NotAKey(PathBuf),
    /// The name may not stand in a note.
    #[error("a key's name is a text without white space or `+`, such as example.com/ledger/gw-1")]
    Name,
    /// There is no randomness.
    #[error("no random bytes")]
    Random,
    /// The note is not signed by this key, or was changed.
    #[error("not signed by {0}")]
    NotSigned(String),
}

/// What signs notes.
pub struct NoteSigner {
    name: String,
    pair: Ed25519KeyPair,
}

/// What notes are checked with. Reads and prints as `name+5f00c3a1+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    public: [u8; 32],
}

impl NoteSigner {
    /// Makes a key with this name and writes it for its owner only; never in the place of another file.
    ///
    /// # Errors
    /// `Name`, `Random`, `File`.
    pub fn generate(path: &Path, name: &str) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name);
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| NoteError::Random)?;
        let signer = Self::from_seed(name, &seed).ok_or(NoteError::Random)?;
        let mut secret = Zeroizing::new([TYPE; 33]);
        secret[1..].copy_from_slice(&*seed);
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(*secret));
        let id = signer.key().id();
        let line = Zeroizing::new(format!("{PRIVATE}{name}+{}+{}\n", hex(&id), *encoded));
        write_new(path, line.as_bytes())
            .map_err(|error| NoteError::File(path.to_owned(), error))?;
        Ok(signer)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// `File`, `Exposed`, `NotAKey`.
    pub fn open(path: &Path) -> Result<Self, NoteError> {
        let text = read_file(path).map_err(|error| match error {
            KeyRingError::Unreadable(path, error) => NoteError::File(path, error),
            KeyRingError::Exposed(path, mode) => NoteError::Exposed(path, mode),
            _ => NoteError::NotAKey(path.to_owned()),
        })?;
        Self::parse(&text).ok_or_else(|| NoteError::NotAKey(path.to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_end().strip_prefix(PRIVATE)?.splitn(3, '+');
        let (name, id) = (parts.next()?, parts.next()?);
        let secret = Zeroizing::new(BASE64_STANDARD.decode(parts.next()?).ok()?);
        let (kind, seed) = secret.split_first()?;
        let signer = Self::from_seed(name, seed.first_chunk::<32>()?)?;
        let is_whole = *kind == TYPE && seed.len() == 32 && is_name(name);
        (is_whole && hex(&signer.key().id()) == id).then_some(signer)
    }

    fn from_seed(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self { name: name.to_owned(), pair })
    }

    /// The key's name, which is also the origin of what it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What others check its notes with.
    #[must_use]
    pub fn key(&self) -> NoteKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        NoteKey { name: self.name.clone(), public }
    }

    /// `text`, which ends in a line feed, and its signature.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.key().id().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNED}{} {}\n", self.name, BASE64_STANDARD.encode(signature))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NoteKey {
    /// The name of the signer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key signed. Signatures of others, such as witnesses, are passed
    /// over; one of this key that is wrong rejects the note.
    ///
    /// # Errors
    /// `NotSigned`.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        self.text_of(note).ok_or_else(|| NoteError::NotSigned(self.name.clone()))
    }

    fn text_of<'a>(&self, note: &'a str) -> Option<&'a str> {
        let (text, lines) = parts(note)?;
        let public = UnparsedPublicKey::new(&ED25519, self.public);
        let mut is_signed = false;
        for line in lines {
            let line = Signature::read(line)?;
            if line.name == self.name && line.id == self.id() {
                public.verify(text.as_bytes(), &line.bytes).ok()?;
                is_signed = true;
            }
        }
        is_signed.then_some(text)
    }

    fn id(&self) -> [u8; 4] {
        key_id(&self.name, TYPE, &self.public)
    }
}

/// Tells keys of one name apart; not a fingerprint to rely on.
pub(super) fn key_id(name: &str, kind: u8, public: &[u8; 32]) -> [u8; 4] {
    let mut hasher = sha2::Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', kind]);
    hasher.update(public);
    let [first, second, third, fourth, ..] = <[u8; 32]>::from(hasher.finalize());
    [first, second, third, fourth]
}

/// A key's name and the 32 bytes of it, of this type of signature, as `name+5f00c3a1+base64`.
pub(super) fn read_key(text: &str, kind: u8) -> Option<(String, [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, id) = (parts.next()?, parts.next()?);
    let typed = BASE64_STANDARD.decode(parts.next()?).ok()?;
    let (found, public) = typed.split_first()?;
    let public: [u8; 32] = public.try_into().ok()?;
    let is_whole = *found == kind && is_name(name) && hex(&key_id(name, kind, &public)) == id;
    is_whole.then(|| (name.to_owned(), public))
}

/// The other way round.
pub(super) fn write_key(
    f: &mut fmt::Formatter<'_>,
    (name, public): (&str, &[u8; 32]),
    kind: u8,
) -> fmt::Result {
    let mut typed = [kind; 33];
    typed[1..].copy_from_slice(public);
    write!(f, "{name}+{}+{}", hex(&key_id(name, kind, public)), BASE64_STANDARD.encode(typed))
}

/// One line below a note.
pub(super) struct Signature<'a> {
    pub(super) name: &'a str,
    pub(super) id: [u8; 4],
    pub(super) bytes: Vec<u8>,
}

impl<'a> Signature<'a> {
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNED)?.split_once(' ')?;
        let bytes = BASE64_STANDARD.decode(encoded).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        Some(Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

/// The text of a note, and the lines below it.
pub(super) fn parts(note: &str) -> Option<(&str, std::str::Split<'_, char>)> {
    let is_control = |byte: u8| byte < b' ' && byte != b'\n';
    if note.len() > NOTE_BYTES || note.bytes().any(is_control) {
        return None;
    }
    let end = note.rfind("\n\n")? + 1;
    Some((&note[..end], note[end + 1..].strip_suffix('\n')?.split('\n')))
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, (&self.name, &self.public), TYPE)
    }
}

impl FromStr for NoteKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = read_key(text, TYPE).map(|(name, public)| Self { name, public });
        key.ok_or("a key for notes is its name, 8 hexadecimal digits and base64, between `+`")
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NAME: &str = "ledger.example.invalid/gw-1";

    fn signer(seed: u8) -> NoteSigner {
        NoteSigner::from_seed(NAME, &[seed; 32]).expect("32 bytes are a seed")
    }

    #[test]
    fn a_signed_text_is_opened_by_its_key_alone() {
        let (ours, theirs) = (signer(1), signer(2));
        let note = ours.sign("one\n\ntwo\n");
        assert_eq!(ours.key().open(&note).expect("signed"), "one\n\ntwo\n");
        assert!(theirs.key().open(&note).is_err(), "the same name, another key");
        for (from, to) in
            [("one", "0ne"), ("two\n", "two\r\n"), ("two\n\n", "two\n"), (" led", " l")]
        {
            let spoilt = note.replacen(from, to, 1);
            assert!(ours.key().open(&spoilt).is_err(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_witness_may_sign_beside_it_and_a_wrong_signature_of_ours_rejects() {
        let ours = signer(1);
        let witness = NoteSigner::from_seed("witness.example.invalid", &[3; 32]).expect("a seed");
        let text = "one\n";
        let note = ours.sign(text);
        let beside = witness.sign(text);
        let line = beside.rsplit_once("\n\n").expect("a note").1;
        assert!(ours.key().open(&format!("{note}{line}")).is_ok());
        let wrong = ours.sign("two\n");
        let line = wrong.rsplit_once("\n\n").expect("a note").1;
        assert!(ours.key().open(&format!("{note}{line}")).is_err());
    }

    /// A published example, so that the format is not only our own idea of it.
    #[test]
    fn the_example_of_the_go_implementation_is_opened() {
        let key: NoteKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
            .parse()
            .expect("a published key");
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(key.open(note).is_ok());
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_key_file_is_for_its_owner_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.key");
        let made = NoteSigner::generate(&path, NAME).expect("makes a key");
        let rights = std::fs::metadata(&path).expect("there").permissions();
        assert_eq!(rights.mode() & 0o7777, 0o600);
        let again = NoteSigner::open(&path).expect("reads it");
        assert!(made.key().open(&again.sign("one\n")).is_ok());
        assert!(matches!(NoteSigner::generate(&path, NAME), Err(NoteError::File(..))), "kept");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("sets");
        assert!(matches!(NoteSigner::open(&path), Err(NoteError::Exposed(_, 0o640))));
        for name in ["", "a b", "a+b", "a\nb"] {
            let path = folder.path().join("other.key");
            assert!(matches!(NoteSigner::generate(&path, name), Err(NoteError::Name)), "{name:?}");
        }
        let text = std::fs::read_to_string(&path).expect("ours");
        for (from, to) in [("PRIVATE", "PUBLIC"), ("gw-1", "gw-2"), ("+A", "+B")] {
            assert!(NoteSigner::parse(&text.replacen(from, to, 1)).is_none(), "{from} to {to}");
        }
    }
}
