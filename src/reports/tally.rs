//! Counting disclosures.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ledger::Disclosed;

/// What many disclosures come to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) disclosures: u64,
    /// Of these, those that are known not to have left whole.
    pub(super) cut_off: u64,
    /// Of these, those of which nobody knows how they ended.
    pub(super) without_outcome: u64,
    pub(super) bytes: u64,
    first: Option<String>,
    last: Option<String>,
    /// Category → the forms in which it left.
    pub(super) categories: BTreeMap<String, BTreeSet<String>>,
}

impl Tally {
    pub(super) fn add(&mut self, one: &Disclosed) {
        self.disclosures += 1;
        match &one.outcome {
            None => self.without_outcome += 1,
            Some(ended) => {
                self.bytes += ended.bytes;
                self.cut_off += u64::from(!ended.complete);
            }
        }
        if self.first.as_ref().is_none_or(|first| *first > one.at) {
            self.first = Some(one.at.clone());
        }
        if self.last.as_ref().is_none_or(|last| *last < one.at) {
            self.last = Some(one.at.clone());
        }
        for (category, form) in &one.released {
            let forms = match self.categories.get_mut(category) {
                Some(forms) => forms,
                None => self.categories.entry(category.clone()).or_default(),
            };
            if !forms.contains(form) {
                forms.insert(form.clone());
            }
        }
    }

    pub(super) fn first(&self) -> Value {
        json!(self.first)
    }

    pub(super) fn last(&self) -> Value {
        json!(self.last)
    }
}
