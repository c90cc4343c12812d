//! Root key → domain key → pseudonym or token. The byte formats are promises to recipients: what is
//! stored with a pseudonym today must join with the one of tomorrow. Vectors: tests/promises/vectors.rs.

use std::fmt;
use std::num::NonZeroU32;

use aes_siv::siv::Aes256Siv;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Canonical;
use super::base32;
use super::ff1::Permutation;
use super::scope::Scope;
use crate::terms::Personal;

/// HKDF salt: names the product and the version of the derivation. Changing it changes every pseudonym.
const SALT: &[u8] = b"tamis/v1";

/// Bytes of the MAC that become the pseudonym: 128 bits, so that a billion subjects collide with a
/// probability of 1.5·10⁻²¹. 64 bits would collide at 2.7 %.
const PSEUDONYM_BYTES: usize = 16;

/// Room for the text of a pseudonym or of a short value's token.
const TEXT_BYTES: usize = 64;

/// Tokens hide the length of what they carry up to a multiple of this.
const TOKEN_BLOCK: usize = 16;

/// Digits in which an integer is permuted: the most that stay below 2⁵³, so that every JSON reader
/// keeps them exact. Part of the format: it can never change.
const INTEGER_DIGITS: usize = 15;

/// What makes an address of a pseudonym. Nobody can register the domain, so that nobody gets what a client
/// sends there all the same. Part of the format: it can never change. Source: RFC 2606, RFC 6761 §6.4.
const NOWHERE: &[u8] = b"@pseudonym.invalid";

/// Marks the end of the value in a token's plaintext. Source: ISO/IEC 7816-4 padding.
const TOKEN_END: u8 = 0x80;

/// 32 secret bytes under a version. Wiped when dropped, never printed.
pub struct RootKey {
    version: NonZeroU32,
    bytes: Zeroizing<[u8; 32]>,
}

impl RootKey {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(version: NonZeroU32, bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { version, bytes }
    }

    /// The version, which every pseudonym and token names.
    #[must_use]
    pub const fn version(&self) -> NonZeroU32 {
        self.version
    }

    /// Whether the other one is this key, compared in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.version == other.version && self.bytes.ct_eq(&*other.bytes).into()
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey(version {}, ‹withheld›)", self.version)
    }
}

/// What a domain key is for. A key for one use opens nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// One-way pseudonyms.
    Pseudonym,
    /// Reversible tokens.
    Token,
    /// Permutations of digits.
    Fpe,
}

impl Use {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Token => "token",
            Self::Fpe => "fpe",
        }
    }

    /// What the version follows, at the start of each text.
    const fn mark(self) -> &'static str {
        match self {
            Self::Pseudonym => "ps",
            Self::Token => "tk",
            // Digits stand alone.
            Self::Fpe => "",
        }
    }
}

/// The domain of a key: the same value in two domains has two unrelated pseudonyms.
/// Parts that a scope does not use are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain<'a> {
    /// What the key is for.
    pub used_for: Use,
    /// The policy's id.
    pub policy: &'a str,
    /// The category's id.
    pub category: &'a str,
    /// Who can link.
    pub scope: Scope,
    /// The recipient's id.
    pub recipient: &'a str,
    /// The purposes' ids, sorted and joined by `+`, where the scope keeps them apart.
    pub purpose: &'a str,
    /// The id of the case or of the decision, where the scope ends with it.
    pub extra: &'a str,
    /// The period in UTC (`2026-11-23`, `2026-W48`, `2026-11`, `2026`) beyond which nothing links.
    pub period: &'a str,
}

/// A key for one domain and use, derived from the root. Zeroised on drop, never printed.
pub struct DomainKey {
    /// What its pseudonyms or tokens begin with: `ps1_`, `tk1_`.
    mark: String,
    material: Material,
}

enum Material {
    /// The keyed state; cloned for each value, which is cheaper than keying anew.
    Pseudonym(Box<Hmac<Sha256>>),
    Token {
        key: Zeroizing<[u8; 64]>,
        associated_data: Vec<u8>,
    },
    Fpe(Box<Permutation>),
}

impl fmt::Debug for DomainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainKey(‹withheld›)")
    }
}

impl DomainKey {
    /// Derives the key of `domain`:
    /// `HKDF-SHA256(ikm = root, salt = "tamis/v1", info = lp(use)‖lp(policy)‖…‖lp(version))`, where
    /// `lp(x)` is the length of `x` in four bytes, big endian, then `x`. 32 bytes for a pseudonym
    /// or a permutation, 64 for a token. Source: RFC 5869.
    #[must_use]
    pub fn derive(root: &RootKey, domain: &Domain<'_>) -> Self {
        let version = root.version.to_string();
        // A period holds no space, so that one text says both without doubt.
        let (scope, extra) = match (domain.period, domain.extra) {
            ("", extra) => (domain.scope.to_string(), extra.to_owned()),
            (period, "") => (format!("{}+period", domain.scope), period.to_owned()),
            (period, extra) => (format!("{}+period", domain.scope), format!("{period} {extra}")),
        };
        let mut info = Vec::with_capacity(160);
        for part in [
            domain.used_for.as_str(),
            domain.policy,
            domain.category,
            &scope,
            domain.recipient,
            domain.purpose,
            &extra,
            &version,
        ] {
            length_prefixed(part.as_bytes(), &mut info);
        }
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), root.bytes.as_slice());
        let mark = format!("{}{version}_", domain.used_for.mark());
        let material = match domain.used_for {
            Use::Pseudonym => {
                let mut key = Zeroizing::new([0; 32]);
                hkdf.expand(&info, key.as_mut_slice()).expect("32 bytes are within HKDF's 8160");
                Material::Pseudonym(Box::new(keyed(key.as_slice())))
            }
            Use::Token => {
                let mut key = Zeroizing::new([0; 64]);
                hkdf.expand(&info, key.as_mut_slice()).expect("64 bytes are within HKDF's 8160");
                let mut associated_data = Vec::with_capacity(96);
                for part in [domain.policy, domain.category, domain.recipient, &version] {
                    length_prefixed(part.as_bytes(), &mut associated_data);
                }
                Material::Token { key, associated_data }
            }
            Use::Fpe => {
                let mut key = Zeroizing::new([0; 32]);
                hkdf.expand(&info, key.as_mut_slice()).expect("32 bytes are within HKDF's 8160");
                let mut tweak = Vec::with_capacity(64);
                for part in [domain.category, domain.recipient, domain.purpose] {
                    length_prefixed(part.as_bytes(), &mut tweak);
                }
                Material::Fpe(Box::new(Permutation::new(&key, tweak)))
            }
        };
        Self { mark, material }
    }

    /// The pseudonym of `value`: `ps‹version›_` and 26 base32 digits of
    /// `HMAC-SHA256(key, lp(type)‖lp(canonical value))`. For [`Canonical::Uuid`] the same 16 bytes as
    /// a UUIDv8 (RFC 9562), so that clients which parse the id go on working; it cannot name the key's
    /// version. For [`Canonical::Mailbox`] that text and `@pseudonym.invalid`, to which no mail can be
    /// sent (RFC 6761). `None` if the value is not of the type, or the key is not for pseudonyms.
    #[must_use]
    pub fn pseudonym(&self, canonical: Canonical, value: &str) -> Option<String> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        self.write_pseudonym(canonical, value, &mut text)?;
        String::from_utf8(text).ok()
    }

    /// Writes the [`pseudonym`](Self::pseudonym), which is letters, figures and `_-@.` only.
    /// `None`, and nothing written, as there.
    #[must_use = "without a pseudonym the value needs a placeholder"]
    pub fn write_pseudonym(
        &self,
        canonical: Canonical,
        value: &str,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Material::Pseudonym(keyed) = &self.material else { return None };
        let form = canonical.form(value)?;
        let kind = canonical.as_str().as_bytes();
        let mut mac = Hmac::clone(keyed);
        mac.update(&length_of(kind));
        mac.update(kind);
        mac.update(&length_of(&form));
        mac.update(&form);
        let mac = mac.finalize().into_bytes();
        let (short, _) = mac.split_first_chunk::<PSEUDONYM_BYTES>()?;
        if canonical == Canonical::Uuid {
            let mut text = uuid::Uuid::encode_buffer();
            let uuid = uuid::Builder::from_custom_bytes(*short).into_uuid().hyphenated();
            out.extend_from_slice(uuid.encode_lower(&mut text).as_bytes());
        } else {
            out.extend_from_slice(self.mark.as_bytes());
            base32::encode(short, out);
        }
        if canonical == Canonical::Mailbox {
            out.extend_from_slice(NOWHERE);
        }
        Some(())
    }

    /// The token of `value`: `tk‹version›_` and the base32 digits of AES-256-SIV over the canonical
    /// value, padded so that its length does not show. The same value gives the same token.
    /// `None` if the value is not of the type, or the key is not for tokens. Source: RFC 5297.
    #[must_use]
    pub fn token(&self, canonical: Canonical, value: &str) -> Option<String> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        self.write_token(canonical, value, &mut text)?;
        String::from_utf8(text).ok()
    }

    /// Writes the [`token`](Self::token), which is letters and figures and `_` only. `None`, and
    /// nothing written, as there.
    #[must_use = "without a token the value needs a placeholder"]
    pub fn write_token(&self, canonical: Canonical, value: &str, out: &mut Vec<u8>) -> Option<()> {
        let Material::Token { key, associated_data } = &self.material else { return None };
        let form = canonical.form(value)?;
        // Never grown, so that no copy of the value stays behind.
        let padded = (form.len() + 1).next_multiple_of(TOKEN_BLOCK);
        let mut plain = Zeroizing::new(vec![0; padded]);
        plain[..form.len()].copy_from_slice(&form);
        plain[form.len()] = TOKEN_END;
        let sealed = siv(key).encrypt([associated_data], &plain).ok()?;
        out.extend_from_slice(self.mark.as_bytes());
        base32::encode(&sealed, out);
        Some(())
    }

    /// The value that [`token`](Self::token) was given, in its canonical form. `None` for a token of
    /// another recipient, category, policy or version, and for one that was changed or made up: all
    /// look alike. Letters may have been folded to upper case on the way.
    #[must_use]
    pub fn open_token(&self, canonical: Canonical, token: &str) -> Option<Personal<String>> {
        let Material::Token { key, associated_data } = &self.material else { return None };
        let (mark, digits) = token.split_at_checked(self.mark.len())?;
        if !mark.eq_ignore_ascii_case(&self.mark) {
            return None;
        }
        let sealed = base32::decode(digits)?;
        let mut plain = siv(key).decrypt([associated_data], &sealed).ok()?;
        let end = plain.iter().rposition(|byte| *byte != 0)?;
        if plain[end] != TOKEN_END || !plain.len().is_multiple_of(TOKEN_BLOCK) {
            return None;
        }
        plain.truncate(end);
        canonical.text(plain).map(Personal::new)
    }

    /// Whether a pseudonym or token says that it was made under this version of the ring, for this use.
    #[must_use]
    pub fn is_of(&self, text: &str) -> bool {
        let stated = text.split_at_checked(self.mark.len());
        stated.is_some_and(|(mark, _)| mark.eq_ignore_ascii_case(&self.mark))
    }

    /// Another integer for an integer below 10¹⁵, which every JSON number holds exactly. No two integers
    /// share one. `None` for what is no such integer, or if the key is not for permutations.
    #[must_use]
    pub fn permute_integer(&self, value: &str) -> Option<String> {
        let Material::Fpe(permutation) = &self.material else { return None };
        let canonical = Canonical::Decimal.bytes(value)?;
        let mut digits = Zeroizing::new([b'0'; INTEGER_DIGITS]);
        let start = INTEGER_DIGITS.checked_sub(canonical.len())?;
        digits[start..].copy_from_slice(&canonical);
        let permuted = permutation.digits(digits.as_slice())?;
        let significant = permuted.trim_start_matches('0');
        Some(if significant.is_empty() { "0" } else { significant }.to_owned())
    }

    /// Another digit string of the same length, 6 to 70. No two strings of a length share one. `None`
    /// for all other text, or if the key is not for permutations.
    #[must_use]
    pub fn permute_digits(&self, value: &str) -> Option<String> {
        let Material::Fpe(permutation) = &self.material else { return None };
        permutation.digits(value.as_bytes())
    }
}

fn length_prefixed(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length_of(part));
    out.extend_from_slice(part);
}

fn length_of(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("names and bounded values are below 4 GiB").to_be_bytes()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn siv(key: &[u8; 64]) -> Aes256Siv {
    Aes256Siv::new(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_key_and_the_mac_of_the_first_vector_hold() {
        let root = RootKey::new(
            NonZeroU32::MIN,
            Zeroizing::new(std::array::from_fn(|i| u8::try_from(i).expect("below 32"))),
        );
        let domain = Domain {
            used_for: Use::Pseudonym,
            policy: "webllet",
            category: "account.id",
            scope: Scope::Recipient,
            recipient: "help-desk",
            purpose: "",
            extra: "",
            period: "",
        };
        // Computed apart from this code: RFC 5869 over the tuple, then HMAC over "text" and "c1".
        let by_hand =
            keyed(&hex("e722e231bc0313877b6fa0cb913db3553b31fb4936d188a27fcda90c962bf715"));
        let mac = by_hand.chain_update(b"\0\0\0\x04text\0\0\0\x02c1").finalize().into_bytes();
        assert_eq!(
            mac.as_slice(),
            hex("e3e8ba6ab82dbaa2146ecda73863f539fbea9108191846f27cc50a502977d2ea")
        );
        let mut expected = b"ps1_".to_vec();
        base32::encode(&mac[..PSEUDONYM_BYTES], &mut expected);
        let key = DomainKey::derive(&root, &domain);
        assert_eq!(key.pseudonym(Canonical::Text, "c1").map(String::into_bytes), Some(expected));
        assert_eq!(
            uuid::Builder::from_custom_bytes(mac[..16].try_into().expect("16 bytes"))
                .into_uuid()
                .to_string(),
            "e3e8ba6a-b82d-8aa2-946e-cda73863f539"
        );
    }

    #[test]
    fn a_key_for_one_use_refuses_the_other() {
        let root = RootKey::new(NonZeroU32::MIN, Zeroizing::new([7; 32]));
        let domain = |used_for| Domain {
            used_for,
            policy: "p",
            category: "c",
            scope: Scope::Recipient,
            recipient: "r",
            purpose: "",
            extra: "",
            period: "",
        };
        let pseudonyms = DomainKey::derive(&root, &domain(Use::Pseudonym));
        let tokens = DomainKey::derive(&root, &domain(Use::Token));
        assert!(pseudonyms.token(Canonical::Text, "c1").is_none());
        assert!(tokens.pseudonym(Canonical::Text, "c1").is_none());
        assert!(pseudonyms.permute_digits("123456").is_none());
        assert!(tokens.permute_integer("42").is_none());
        let permutations = DomainKey::derive(&root, &domain(Use::Fpe));
        assert!(permutations.permute_integer("42").is_some());
        assert!(permutations.pseudonym(Canonical::Text, "c1").is_none());
        assert!(permutations.token(Canonical::Text, "c1").is_none());
    }

    #[test]
    fn keys_do_not_print() {
        let root = RootKey::new(NonZeroU32::MIN, Zeroizing::new([0xab; 32]));
        assert_eq!(format!("{root:?}"), "RootKey(version 1, ‹withheld›)");
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect()
    }
}
