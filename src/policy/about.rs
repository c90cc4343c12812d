//! What the rules say to people beside who gets what, and of the ledger that answers them. Part of
//! [`model`](super::model).

use std::collections::BTreeMap;

/// What the rules demand of the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct LedgerRules {
    /// People can be told what was disclosed about them.
    pub subject_index: bool,
    /// How long records are kept; `None`: for ever.
    pub keep: Option<jiff::Span>,
}

/// What people are told about the policy beside its rules. Source: GDPR Art. 13, 15(1).
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The controller's name.
    pub controller: String,
    /// How to reach it.
    pub contact: Option<String>,
    /// Where data come from that the person did not give.
    pub data_sources: Option<String>,
    /// Whether decisions are automated, and by what logic.
    pub automated_decisions: Option<String>,
    /// The controllers that the company only works for, by the name that stands in a path, and how to
    /// reach each.
    pub controllers: BTreeMap<String, String>,
    /// Categories, as a pattern, and the period after which they are not released any more.
    pub periods: Vec<(String, String)>,
}
