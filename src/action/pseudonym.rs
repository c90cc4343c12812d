//! Pseudonyms and tokens: keyed, per domain. A pseudonym is still personal data (GDPR Art. 4(5)).

use std::fmt;

/// A key for one domain and use, derived from the root. Zeroised on drop, never printed.
pub struct DomainKey {
    _private: (),
}

impl fmt::Debug for DomainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainKey(‹withheld›)")
    }
}

/// The canonical type of a category's values. Source: docs/RULES.md, "Pseudonyms".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canonical {
    /// Unicode NFC, otherwise exact.
    #[default]
    Text,
    /// Trimmed, NFC, domain lower-cased, ASCII letters of the local part lower-cased.
    Email,
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
