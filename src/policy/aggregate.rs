//! Routes that answer with counts of groups of people, and what must hold for a count to leave.

use super::{Place, Selector};
use crate::terms::{CategoryId, CategoryPattern};

/// What an aggregate answer must be like. Each row is a group: its key are the route's `fields`, its
/// numbers are what is `open` in it.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// No group of fewer people is shown.
    pub k: u64,
    /// Every number is rounded to a multiple of this. 1: as it is.
    pub round: u64,
    /// The rows, as they are selected.
    pub rows: Selector,
    /// Names of the members that lead to the list of rows.
    pub list: Vec<String>,
    /// The member of a row that counts its people.
    pub count: String,
    /// Of how many values of a category a group must show at least.
    pub diversity: Vec<(CategoryId, usize)>,
    /// Values that fewer than `k` people have become `other`.
    pub merges_rare: bool,
    /// Categories of which one person may have several values: rows are not added up over them.
    pub several: Vec<CategoryId>,
    /// The word that stands in a row for "all values", which makes the row a total.
    pub all: Option<String>,
    /// Members of the document, each the number of people of all rows.
    pub totals: Vec<Vec<String>>,
    /// Categories that its rows must not hold.
    pub forbidden: Vec<CategoryPattern>,
    /// Where it stands.
    pub place: Place,
}

impl Aggregate {
    /// What the output is called. It is still data about people, only of many at once.
    #[must_use]
    pub fn label(&self) -> String {
        format!("aggregated (k \u{2265} {})", self.k)
    }
}
