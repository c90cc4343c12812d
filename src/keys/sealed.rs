//! The text of a key ring under a key of its own (AES-256-GCM), which a service outside has wrapped: the
//! service never sees the ring, and the file alone opens nothing.
//!
//! Three lines: `tamis-sealed-ring 1`, the wrapped key, base64 of nonce, ciphertext and tag. The first two
//! are authenticated with the text.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::KeyRingError;

const HEAD: &str = "tamis-sealed-ring 1";

/// Bytes of the key under which a ring lies.
pub(super) const KEY_BYTES: usize = 32;

/// The key under which a ring lies.
pub(super) type SealingKey = Zeroizing<[u8; KEY_BYTES]>;

/// A sealed ring as its file holds it.
pub(super) struct Sealed<'a> {
    /// Its key, as the service outside wrapped it.
    pub(super) wrapped: &'a str,
    nonce: [u8; NONCE_LEN],
    /// With its tag.
    ciphertext: Vec<u8>,
}

/// A new key; each text gets its own.
pub(super) fn draw() -> Result<SealingKey, KeyRingError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| KeyRingError::NoRandomness)?;
    Ok(key)
}

/// Whether a file holds a sealed ring, whole or not.
pub(super) fn is_sealed(text: &str) -> bool {
    text.starts_with(HEAD)
}

/// The text of a ring under this key, which the service wrapped so.
pub(super) fn seal(text: &str, key: &SealingKey, wrapped: &str) -> Result<String, KeyRingError> {
    let sealing = sealing(key).ok_or(KeyRingError::NoRandomness)?;
    let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
    let (nonce, tag) = sealing
        .seal_in_place_separate_tag(Aad::from(bound(wrapped)), &mut sealed)
        .map_err(|_| KeyRingError::NoRandomness)?;
    let whole = [nonce.as_ref().as_slice(), &sealed, tag.as_ref()].concat();
    Ok(format!("{HEAD}\n{wrapped}\n{}\n", BASE64_STANDARD.encode(whole)))
}

impl<'a> Sealed<'a> {
    /// Reads what [`seal`] writes; `None` where it is something else.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (head, wrapped, sealed) = (lines.next()?, lines.next()?, lines.next()?);
        let whole = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, ciphertext) = whole.split_first_chunk::<NONCE_LEN>()?;
        let is_whole = head == HEAD && lines.next().is_none() && !wrapped.is_empty();
        is_whole.then(|| Self { wrapped, nonce: *nonce, ciphertext: ciphertext.to_vec() })
    }

    /// The text of the ring; `None` for another key, or a file that was changed.
    pub(super) fn open(&self, key: &SealingKey) -> Option<Zeroizing<String>> {
        let mut text = Zeroizing::new(self.ciphertext.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let opened = sealing(key)?.open_in_place(nonce, Aad::from(bound(self.wrapped)), &mut text);
        // Room for all of it at once: a string that grows leaves copies of keys behind.
        Some(Zeroizing::new(std::str::from_utf8(opened.ok()?).ok()?.to_owned()))
    }
}

fn sealing(key: &SealingKey) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).ok()
}

/// What is authenticated beside the text.
fn bound(wrapped: &str) -> String {
    format!("{HEAD}\n{wrapped}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "1: 000102\n";

    #[test]
    fn a_ring_is_opened_by_its_key_alone_and_only_as_it_was_sealed() {
        let (key, other) = (draw().expect("random"), draw().expect("random"));
        let file = seal(TEXT, &key, "vault:v1:AAAA").expect("sealed");
        assert!(is_sealed(&file) && !is_sealed(TEXT) && !file.contains("000102"));
        let sealed = Sealed::read(&file).expect("whole");
        assert_eq!(sealed.wrapped, "vault:v1:AAAA");
        assert_eq!(sealed.open(&key).expect("its key").as_str(), TEXT);
        assert!(sealed.open(&other).is_none(), "another key");
        let moved = file.replacen("vault:v1:AAAA", "vault:v1:AAAB", 1);
        assert!(Sealed::read(&moved).expect("whole").open(&key).is_none(), "another wrapped key");
        assert_ne!(seal(TEXT, &key, "vault:v1:AAAA").expect("sealed"), file, "another nonce");
        let at = file.len() - 6;
        let flipped = if file.as_bytes()[at] == b'A' { "B" } else { "A" };
        let spoilt = [&file[..at], flipped, &file[at + 1..]].concat();
        assert!(Sealed::read(&spoilt).is_none_or(|sealed| sealed.open(&key).is_none()));
        for wrong in [
            "",
            TEXT,
            &file[..file.len() - 1],
            &file[..30],
            &file.replace(" 1\n", " 2\n"),
            &format!("{file}x\n"),
        ] {
            assert!(Sealed::read(wrong).is_none(), "{wrong:?}");
        }
    }
}
