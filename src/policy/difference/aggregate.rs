//! Whether a route shows groups alone, and how small they may be.

use std::collections::BTreeSet;

use super::conditions::{other_of, push};
use super::{Change, Way};
use crate::policy::aggregate::Aggregate;
use crate::terms::CategoryId;

/// A route that shows groups alone asks nobody, and one about people shows each of them.
pub(super) fn whether_groups_alone(
    about: &str,
    old: Option<&Aggregate>,
    new: Option<&Aggregate>,
    changes: &mut Vec<Change>,
) {
    let groups = |aggregate: &Aggregate| format!("groups of {} or more", aggregate.k);
    let people = "people one by one";
    match (old, new) {
        (None, None) => {}
        (Some(old), Some(new)) => aggregate(&format!("aggregate of {about}"), old, new, changes),
        (Some(old), None) => push(changes, Way::Widened, about, "shows", &groups(old), people),
        // Less of each, but nobody's word counts any more.
        (None, Some(new)) => push(changes, Way::Changed, about, "shows", people, &groups(new)),
    }
}

/// Floors of an aggregate; a higher one shows less.
fn aggregate(about: &str, old: &Aggregate, new: &Aggregate, changes: &mut Vec<Change>) {
    let mut floor = |what: &str, old: u64, new: u64| {
        if old != new {
            let way = if new < old { Way::Widened } else { Way::Narrowed };
            push(changes, way, about, what, &old.to_string(), &new.to_string());
        }
    };
    floor("fewest people of a group", old.k, new.k);
    let of = |aggregate: &Aggregate, category: &CategoryId| {
        let bound = aggregate.diversity.iter().find(|(bound, _)| bound == category);
        bound.map_or(1, |(_, least)| *least as u64)
    };
    let bound = old.diversity.iter().chain(&new.diversity).map(|(category, _)| category);
    for category in bound.collect::<BTreeSet<_>>() {
        floor(&format!("fewest values of {category}"), of(old, category), of(new, category));
    }
    // A step is coarser than another only if it is a multiple of it.
    if old.round != new.round {
        let way = if new.round.is_multiple_of(old.round) {
            Way::Narrowed
        } else if old.round.is_multiple_of(new.round) {
            Way::Widened
        } else {
            Way::Changed
        };
        push(changes, way, about, "step", &old.round.to_string(), &new.round.to_string());
    }
    let rest = |aggregate: &Aggregate| {
        let Aggregate { list, count, merges_rare, several, all, totals, .. } = aggregate;
        format!(
            "rows {list:?}, count {count}, rare values joined {merges_rare}, several {several:?}, all \
             {all:?}, totals {totals:?}"
        )
    };
    other_of(changes, about, "table", &rest(old), &rest(new));
}
