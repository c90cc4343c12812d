//! The text of a key ring: one entry for each version, a key or what is left of a retired one.
//!
//! `1: 64 hexadecimal digits`, perhaps with `made 2026-11-24` behind it; `1: retired 2026-11-24`. One a
//! line, or several between semicolons; `#` begins a comment. An error names the line, never a key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeyRingError;
use crate::terms::{hex, read_hex, write_hex};

/// Room for a line with a key, so that a text of keys is never grown and leaves no copies behind.
const LINE: usize = 128;

const HEAD: &str =
    "# Tamis root keys. Whoever has them can undo every pseudonym: back up, never share.\n";

/// Versions with what stands for each.
pub(super) type Entries = BTreeMap<NonZeroU32, Entry>;

pub(super) enum Entry {
    Key {
        bytes: Zeroizing<[u8; 32]>,
        made: Option<Date>,
    },
    /// Its number is never used again: old pseudonyms and tokens bear it.
    Retired {
        on: Date,
    },
}

impl Entry {
    /// A new key.
    pub(super) fn draw(made: Date) -> Result<Self, KeyRingError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyRingError::NoRandomness)?;
        Ok(Self::Key { bytes, made: Some(made) })
    }
}

/// Eight figures by which people can tell two keys apart, and which tell nothing of the key.
pub(super) fn key_id(key: &[u8; 32]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    let mac = mac.chain_update(b"tamis key id").finalize().into_bytes();
    hex(&mac[..4])
}

/// Reads the text of a key ring; `source_name` is what errors call it.
pub(super) fn read(source_name: &str, text: &str) -> Result<Entries, KeyRingError> {
    let mut entries = Entries::new();
    for (at, line) in text.lines().enumerate() {
        let malformed = |what| KeyRingError::Malformed {
            source_name: source_name.to_owned(),
            line: at + 1,
            what,
        };
        let line = line.split('#').next().unwrap_or_default();
        for part in line.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (version, entry) = entry(part).map_err(malformed)?;
            if entries.insert(version, entry).is_some() {
                return Err(malformed("this version stands in the key ring twice"));
            }
        }
    }
    Ok(entries)
}

/// The text of these entries.
pub(super) fn write(entries: &Entries) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + entries.len() * LINE));
    text.push_str(HEAD);
    for (version, entry) in entries {
        let _ = write!(text, "{version}: ");
        match entry {
            Entry::Key { bytes, made } => {
                write_hex(bytes.as_slice(), &mut text);
                if let Some(made) = made {
                    let _ = write!(text, " made {made}");
                }
            }
            Entry::Retired { on } => {
                let _ = write!(text, "retired {on}");
            }
        }
        text.push('\n');
    }
    text
}

fn entry(part: &str) -> Result<(NonZeroU32, Entry), &'static str> {
    let (version, rest) = part.split_once(':').ok_or("not `version: key`")?;
    let version: NonZeroU32 =
        version.trim().parse().map_err(|_| "the version is not a whole number from 1 on")?;
    let date = |text: &str| text.parse().map_err(|_| "a date is written 2026-11-24");
    let mut words = rest.split_whitespace();
    let entry = match (words.next(), words.next(), words.next(), words.next()) {
        (Some("retired"), Some(on), None, None) => Entry::Retired { on: date(on)? },
        (Some(digits), None, None, None) => Entry::Key { bytes: key(digits)?, made: None },
        (Some(digits), Some("made"), Some(made), None) => {
            Entry::Key { bytes: key(digits)?, made: Some(date(made)?) }
        }
        _ => return Err("not a key, `made` and a date, or `retired` and a date"),
    };
    Ok((version, entry))
}

fn key(digits: &str) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    let digits = digits.trim_matches(['"', '\'']).as_bytes();
    let mut key = Zeroizing::new([0; 32]);
    read_hex(digits, key.as_mut_slice()).ok_or("a key has 64 hexadecimal digits")?;
    // What is all the same byte was typed, not drawn.
    if key.iter().all(|byte| *byte == key[0]) {
        return Err("this key is no random one; make one with: openssl rand -hex 32");
    }
    Ok(key)
}
