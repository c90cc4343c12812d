//! Who is told that a person was erased, where, and by which name for the person.
//! Source: GDPR Art. 17(2), 19.

use super::Place;
use crate::action::Action;
use crate::terms::CategoryId;

/// How one recipient is told of erasures.
#[derive(Clone, Debug, PartialEq)]
pub struct ErasureNotice {
    /// Where it is told: an absolute https URL without credentials and fragment.
    pub url: String,
    /// The category whose values the registers' ids of people are.
    pub category: CategoryId,
    /// The form in which the recipient knows those values: `keep`, `token` or `pseudonym`, and one that
    /// a grant shows it.
    pub action: Action,
    /// The URL is http all the same: `dangerous_plaintext`.
    pub plaintext: bool,
    /// Where it stands.
    pub place: Place,
}
