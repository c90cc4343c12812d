//! Brings a value to one form, so that the same value gives the same pseudonym however it is spelt.
//! What cannot be brought to its category's form gets no pseudonym: it is blanked and counted.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::punycode::ascii_domain;

/// The canonical type of a category's values. It belongs to the category, not to the JSON type, so
/// that joins inside one domain survive a route that writes `"42"` where another writes `42`.
/// Source: docs/RULES.md, "Pseudonyms".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canonical {
    /// Unicode NFC, otherwise exact.
    #[default]
    Text,
    /// Trimmed, NFC, domain as lower-case A-label, ASCII letters of the local part lower-cased.
    Email,
    /// As [`Email`](Self::Email), for clients that read nothing but an address: a pseudonym is one too.
    Mailbox,
    /// Digits, with the `+` of an international number.
    Phone,
    /// An integer without sign or leading zeros, so that `42` and `"42"` agree.
    Decimal,
    /// 16 bytes.
    Uuid,
    /// 4 or 16 bytes; an IPv4-mapped IPv6 address as IPv4.
    Ip,
    /// Spaces and dashes stripped, upper case: IBAN, payment card.
    Compact,
}

/// Most digits of an integer id: a 128-bit number has 39. Also keeps `1e999999999` from growing.
const DECIMAL_DIGITS: usize = 40;

/// Fewest and most digits of a phone number: short service codes, and ITU-T E.164 with room for an
/// exit code that was written instead of the `+`.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 3..=20;

impl Canonical {
    /// The word that enters the MAC in front of the value, so that two types never share a pseudonym.
    /// Part of the format: it can never change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            // The same address has the same pseudonym in both, but for its shape.
            Self::Email | Self::Mailbox => "email",
            Self::Phone => "phone",
            Self::Decimal => "decimal",
            Self::Uuid => "uuid",
            Self::Ip => "ip",
            Self::Compact => "compact",
        }
    }

    /// The canonical bytes of `value`; `None` if it is not of this type. They are wiped when dropped.
    #[must_use]
    pub fn bytes(self, value: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.form(value).map(|form| Zeroizing::new(form.to_vec()))
    }

    /// The canonical bytes of `value`, on the heap only where they are neither few nor the value's own.
    pub(super) fn form(self, value: &str) -> Option<Form<'_>> {
        Some(match self {
            Self::Text if is_nfc(value) => Form::Value(value),
            Self::Text => Form::text(value.nfc().collect()),
            Self::Email | Self::Mailbox => Form::text(email(value)?),
            Self::Phone => Form::text(phone(value)?),
            Self::Decimal => decimal(value)?,
            Self::Uuid => Form::short(Uuid::try_parse(value.trim()).ok()?.as_bytes()),
            Self::Ip => match value.trim().parse::<IpAddr>().ok()?.to_canonical() {
                IpAddr::V4(address) => Form::short(&address.octets()),
                IpAddr::V6(address) => Form::short(&address.octets()),
            },
            Self::Compact => Form::text(compact(value)?),
        })
    }

    /// Whether people write the sign between the digits of a phone number.
    pub(super) const fn separates_phone(sign: char) -> bool {
        matches!(sign, ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{2011}')
    }

    /// Canonical bytes as text again, for opened tokens.
    pub(super) fn text(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            Self::Text
            | Self::Email
            | Self::Mailbox
            | Self::Phone
            | Self::Decimal
            | Self::Compact => String::from_utf8(bytes).ok(),
            Self::Uuid => Some(Uuid::from_slice(&bytes).ok()?.to_string()),
            Self::Ip => match bytes.len() {
                4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
                _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
            },
        }
    }
}

/// Canonical bytes. Wiped when dropped, but for those that are the value's own.
pub(super) enum Form<'a> {
    Value(&'a str),
    Text(Zeroizing<String>),
    Short(Zeroizing<[u8; SHORT]>, usize),
}

/// Bytes of the longest address and of a UUID.
const SHORT: usize = 16;

impl Form<'_> {
    fn text(text: String) -> Self {
        Self::Text(Zeroizing::new(text))
    }

    /// `bytes` are [`SHORT`] at most.
    fn short(bytes: &[u8]) -> Self {
        let mut short = Zeroizing::new([0; SHORT]);
        short[..bytes.len()].copy_from_slice(bytes);
        Self::Short(short, bytes.len())
    }
}

impl Deref for Form<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Value(text) => text.as_bytes(),
            Self::Text(text) => text.as_bytes(),
            Self::Short(bytes, length) => &bytes[..*length],
        }
    }
}

/// Whether the value surely stands as it is in NFC; most values do.
fn is_nfc(value: &str) -> bool {
    value.is_ascii() || is_nfc_quick(value.chars()) == IsNormalized::Yes
}

fn email(value: &str) -> Option<String> {
    let value = value.trim();
    let normalised: Zeroizing<String>;
    let value = if is_nfc(value) {
        value
    } else {
        normalised = Zeroizing::new(value.nfc().collect());
        &normalised
    };
    let (local, domain) = value.rsplit_once('@')?;
    if local.is_empty() || local.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let mut email = String::with_capacity(value.len());
    email.push_str(local);
    email.make_ascii_lowercase();
    email.push('@');
    ascii_domain(domain, &mut email)?;
    Some(email)
}

fn phone(value: &str) -> Option<String> {
    let mut number = String::with_capacity(value.len());
    for sign in value.trim().chars() {
        match sign {
            '0'..='9' => number.push(sign),
            '+' if number.is_empty() => number.push(sign),
            _ if Canonical::separates_phone(sign) => {}
            _ => return None,
        }
    }
    PHONE_DIGITS.contains(&number.trim_start_matches('+').len()).then_some(number)
}

/// Exact: mantissa and exponent are shifted as text. `42.0` and `4.2e1` are 42; `4.2` is no integer
/// and `-42` no id, since dropping its sign would make two ids one.
fn decimal(value: &str) -> Option<Form<'_>> {
    let value = value.trim();
    let plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    if plain && (1..=DECIMAL_DIGITS).contains(&value.len()) {
        return Some(Form::Value(value));
    }
    shifted(value).map(Form::text)
}

fn shifted(value: &str) -> Option<String> {
    let (mantissa, exponent) = match value.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (value, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let figures = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !figures(whole) || !figures(fraction) {
        return None;
    }
    if mantissa.len() > whole.len() && fraction.is_empty() {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let shift = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    let integer = if let Ok(zeros) = usize::try_from(shift) {
        if zeros.saturating_add(significant.len()) > DECIMAL_DIGITS {
            return None;
        }
        format!("{significant}{}", "0".repeat(zeros))
    } else {
        let cut = usize::try_from(-shift).ok()?;
        let kept = significant.len().checked_sub(cut).filter(|kept| *kept > 0)?;
        let (integer, rest) = significant.split_at(kept);
        if rest.bytes().any(|byte| byte != b'0') {
            return None;
        }
        integer.to_owned()
    };
    (integer.len() <= DECIMAL_DIGITS).then_some(integer)
}

fn compact(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    for sign in value.chars() {
        match sign {
            'a'..='z' | 'A'..='Z' | '0'..='9' => text.push(sign.to_ascii_uppercase()),
            '-' | '\u{2010}' | '\u{2011}' | '\u{2013}' => {}
            blank if blank.is_whitespace() => {}
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_agree_and_other_values_are_refused() {
        use Canonical::{Compact, Decimal, Email, Ip, Phone, Text, Uuid};
        let v4: &[u8] = &[203, 0, 113, 77];
        let uuid: &[u8] = &[0x11; 16];
        let cases: [(Canonical, &str, Option<&[u8]>); 58] = [
            (Text, "c1", Some(b"c1")),
            (Text, "", Some(b"")),
            (Text, " C1", Some(b" C1")),
            (Text, "e\u{301}", Some("é".as_bytes())),
            (
                Email,
                " Testina.Musterfrau@EXAMPLE.invalid ",
                Some(b"testina.musterfrau@example.invalid"),
            ),
            (Email, "t@münchen.invalid", Some(b"t@xn--mnchen-3ya.invalid")),
            (Email, "t@XN--MNCHEN-3YA.invalid", Some(b"t@xn--mnchen-3ya.invalid")),
            (Email, "a@b@example.invalid", Some(b"a@b@example.invalid")),
            (Email, "@example.invalid", None),
            (Email, "t@", None),
            (Email, "nobody", None),
            (Email, "a b@example.invalid", None),
            (Email, "", None),
            (Phone, "+49 (30) 1234-567", Some(b"+49301234567")),
            (Phone, "030 / 1234567", Some(b"0301234567")),
            (Phone, "112", Some(b"112")),
            (Phone, "12", None),
            (Phone, "1+2345", None),
            (Phone, "call me", None),
            (Phone, "+", None),
            (Phone, "123456789012345678901", None),
            (Decimal, "42", Some(b"42")),
            (Decimal, "042", Some(b"42")),
            (Decimal, "42.0", Some(b"42")),
            (Decimal, "4.2e1", Some(b"42")),
            (Decimal, "4.2E+1", Some(b"42")),
            (Decimal, "4200e-2", Some(b"42")),
            (Decimal, "0.0e5", Some(b"0")),
            (Decimal, "0", Some(b"0")),
            (Decimal, "9007199254740993", Some(b"9007199254740993")),
            (Decimal, "1e39", Some(b"1000000000000000000000000000000000000000")),
            (Decimal, "1e40", None),
            (Decimal, "1e999999999", None),
            (Decimal, "1e99999999999", None),
            (Decimal, "1e-1", None),
            (Decimal, "4.2", None),
            (Decimal, "-42", None),
            (Decimal, "+42", None),
            (Decimal, "42.", None),
            (Decimal, ".5", None),
            (Decimal, "", None),
            (Decimal, "c1", None),
            (Uuid, "11111111-1111-1111-1111-111111111111", Some(uuid)),
            (Uuid, "urn:uuid:11111111-1111-1111-1111-111111111111", Some(uuid)),
            (Uuid, "11111111111111111111111111111111", Some(uuid)),
            (Uuid, "1111", None),
            (Ip, "203.0.113.77", Some(v4)),
            (Ip, "::ffff:203.0.113.77", Some(v4)),
            (Ip, "::FFFF:cb00:714d", Some(v4)),
            (Ip, "203.0.113", None),
            (Ip, "203.0.113.077", None),
            (Ip, "fe80::1%eth0", None),
            (Ip, "localhost", None),
            (Compact, "de89 3704-0044 0532 0130 00", Some(b"DE89370400440532013000")),
            (Compact, "4111 1111 1111 1111", Some(b"4111111111111111")),
            (Compact, "", None),
            (Compact, " - ", None),
            (Compact, "4111_1111", None),
        ];
        for (canonical, value, expected) in cases {
            let bytes = canonical.bytes(value);
            assert_eq!(
                bytes.as_ref().map(|bytes| bytes.as_slice()),
                expected,
                "{canonical:?} {value}"
            );
        }
    }
}
