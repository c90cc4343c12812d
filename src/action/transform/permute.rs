//! `fpe`: opaque numbers become other numbers of the same form, for clients that cannot read text there.

use super::Scalar;
use crate::action::pseudonym::{Canonical, DomainKey};

/// A number is permuted as an integer. So is a digit string where the category is `decimal`, so that
/// `42` and `"42"` agree; elsewhere a digit string keeps its width. `None` for all else: categories that
/// have a form of their own (phone, card, …) would give somebody else's real one.
pub(super) fn permute(
    key: &DomainKey,
    canonical: Canonical,
    value: Scalar<'_>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let digits = match (canonical, value) {
        (Canonical::Decimal, Scalar::String(text))
        | (Canonical::Decimal | Canonical::Text, Scalar::Number(text)) => key.permute_integer(text),
        (Canonical::Text, Scalar::String(text)) => key.permute_digits(text),
        (
            Canonical::Email
            | Canonical::Mailbox
            | Canonical::Phone
            | Canonical::Uuid
            | Canonical::Ip
            | Canonical::Compact,
            _,
        )
        | (_, Scalar::Null | Scalar::Bool(_)) => None,
    }?;
    out.extend_from_slice(digits.as_bytes());
    Some(())
}
