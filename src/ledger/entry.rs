//! Records of the ledger: never a value, never a raw subject id.

use crate::terms::{DecisionId, Digest, RefusalReason};

/// An opening record: this is about to be disclosed.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// The decision it rests on.
    pub decision: DecisionId,
    /// The policy's id, revision and digest.
    pub policy: (String, String, Digest),
    /// The route.
    pub route: String,
    /// To whom: id, role, category of recipients, country.
    pub recipient: String,
    /// See `recipient`.
    pub role: &'static str,
    /// See `recipient`.
    pub category_of_recipient: Option<String>,
    /// See `recipient`.
    pub country: Option<String>,
    /// What for.
    pub purposes: Vec<String>,
    /// Why it is lawful, in the order of `purposes`.
    pub basis: Vec<&'static str>,
    /// The case, if one was named; an id of the controller's, not a person's.
    pub case: Option<String>,
    /// Category → action, for all that may leave.
    pub released: Vec<(String, String)>,
    /// Category → why not.
    pub withheld: Vec<(String, String)>,
}

/// How a disclosure ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the answer was complete.
    pub complete: bool,
    /// Why not, if it was not.
    pub refusal: Option<RefusalReason>,
    /// Status sent.
    pub status: u16,
    /// Bytes written.
    pub bytes: u64,
    /// Elements released and dropped; `None` where the answer was no list.
    pub elements: Option<(u64, u64)>,
    /// Members removed that nobody catalogued.
    pub unlisted: u64,
}

/// Proof that an opening record is durable; needed to close it.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The record's number.
    pub sequence: u64,
    /// The decision it belongs to.
    pub decision: DecisionId,
}
