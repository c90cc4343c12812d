//! Who is told of erasures. One who is told anew learns more; with one less, what they hold stays with
//! them, so that any other change is to be looked at.

use std::collections::BTreeSet;

use super::{Change, Way};
use crate::policy::Policy;
use crate::policy::model::ErasureNotice;
use crate::terms::RecipientId;

pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let (old, new) = (&old.registers.erasure_notices, &new.registers.erasure_notices);
    let ids: BTreeSet<&RecipientId> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for id in ids {
        let (before, after) = (in_words(old.get(id)), in_words(new.get(id)));
        if before != after {
            let way = if old.contains_key(id) { Way::Changed } else { Way::Widened };
            let what = "is told of erasures".to_owned();
            changes.push(Change { way, about: id.to_string(), what, before, after });
        }
    }
    changes
}

fn in_words(notice: Option<&ErasureNotice>) -> String {
    let Some(notice) = notice else { return "no".to_owned() };
    let ErasureNotice { url, category, action, plaintext, place: _ } = notice;
    let how = if *plaintext { ", in plaintext" } else { "" };
    format!("{url}, {category}: {action}{how}")
}
