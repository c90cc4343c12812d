//! How long categories may leave, and where the date stands from which that counts.
//!
//! A period is the policy's; the date is the route's. A route names its date by `since`, or by
//! cataloguing the member that the period's `start` speaks of. One that names none releases nothing
//! of the category: of data without a date nobody can say how old they are.

use jiff::Span;

use super::model::Route;
use super::plan::Cell;
use super::{CellId, Place, Policy, Selector};
use crate::action::Action;
use crate::terms::{CategoryId, CategoryPattern, PurposeId};

/// A period after which categories are not released. Source: GDPR Art. 5(1)(e).
#[derive(Clone, Debug)]
pub struct Retention {
    /// Which categories.
    pub categories: CategoryPattern,
    /// How long, from the date on.
    pub after: Span,
    /// The period as it is written.
    pub written: String,
    /// Where the date stands in an element, or in an answer that is no list.
    pub start: Option<Selector>,
    /// What happens to what is older.
    pub then: TooOld,
    /// Purposes it does not bind.
    pub except_for: Vec<PurposeId>,
    /// Where it stands.
    pub place: Place,
}

/// What happens to data that are older than their period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooOld {
    /// The members are removed.
    #[default]
    Remove,
    /// The members leave under a pseudonym, if they would leave in any clearer form.
    Pseudonymise,
    /// The element is dropped; where nothing can be dropped, the members are removed.
    Drop,
}

/// Where a route's date stands.
#[derive(Clone, Debug)]
pub struct Since {
    /// Which categories it dates; the most specific pattern decides.
    pub categories: CategoryPattern,
    /// Where; absolute even when written with `@`.
    pub selector: Selector,
}

/// Cells of one plan that leave only while their date is young enough.
#[derive(Clone, Debug)]
pub struct Dated {
    /// Where the date stands; absolute.
    pub date: Selector,
    /// It stands in each element of the list, not once in the document.
    pub in_element: bool,
    /// How long, from the date on.
    pub after: Span,
    /// What happens then.
    pub then: TooOld,
    /// Which cells.
    pub cells: Vec<CellId>,
    /// In words, for `tamis explain`.
    pub words: String,
}

impl Retention {
    /// Whether it binds a category for these purposes: unless each of them is excepted.
    #[must_use]
    pub fn binds(&self, category: &CategoryId, purposes: &[PurposeId]) -> bool {
        self.categories.covers(category)
            && !purposes.iter().all(|purpose| self.except_for.contains(purpose))
    }
}

impl TooOld {
    /// The word of the rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Pseudonymise => "pseudonymise",
            Self::Drop => "drop",
        }
    }
}

/// Where the date stands from which `period` counts for `category` on this route.
pub(super) fn date_of(
    route: &Route,
    period: &Retention,
    category: &CategoryId,
) -> Option<Selector> {
    let named = route
        .since
        .iter()
        .filter(|since| since.categories.covers(category))
        .max_by_key(|since| since.categories.specificity());
    if let Some(since) = named {
        return Some(since.selector.clone());
    }
    let start = period.start.as_ref()?;
    let row = route.each.as_ref().map(|each| each.segments.as_slice()).unwrap_or_default();
    let segments = [row, &start.segments].concat();
    let is_it = |selector: &Selector| selector.segments == segments;
    let catalogued = route.open.iter().any(|open| is_it(&open.selector))
        || route.fields.iter().any(|field| is_it(&field.selector));
    catalogued.then(|| Selector { segments: segments.clone(), text: start.text.clone() })
}

/// Binds the cells of a plan to their periods. A cell that a period binds and no date can be found
/// for is removed.
pub(super) fn bind(
    policy: &Policy,
    route: &Route,
    purposes: &[PurposeId],
    cells: &mut [Cell],
) -> Vec<Dated> {
    let mut dated: Vec<Dated> = Vec::new();
    for period in &policy.retention {
        let first = dated.len();
        for (at, (cell, field)) in cells.iter_mut().zip(&route.fields).enumerate() {
            let Some(category) = cell.category.as_ref() else { continue };
            if cell.action == Action::Remove || !period.binds(category, purposes) {
                continue;
            }
            let in_list = |selector: &Selector| {
                route.each.as_ref().is_some_and(|each| selector.continues(each))
            };
            let date = date_of(route, period, category);
            // A member outside the list is in none of the elements that are dated one by one.
            let date = date.filter(|date| !in_list(date) || in_list(&field.selector));
            let (Some(date), Ok(id)) = (date, u16::try_from(at)) else {
                // Where more than the member was to stay away, it still does.
                cell.action = cell.action.clone().join(Action::Remove);
                cell.decided_by = period.place.clone();
                cell.because = format!("a period of {}, and no date", period.written);
                continue;
            };
            match dated[first..].iter_mut().find(|one| one.date.segments == date.segments) {
                Some(one) => one.cells.push(CellId(id)),
                None => dated.push(Dated {
                    in_element: in_list(&date),
                    words: in_words(period, &date),
                    date,
                    after: period.after,
                    then: period.then,
                    cells: vec![CellId(id)],
                }),
            }
        }
    }
    dated
}

fn in_words(period: &Retention, date: &Selector) -> String {
    let then = match period.then {
        TooOld::Remove => "then it is removed",
        TooOld::Pseudonymise => "then it is a pseudonym",
        TooOld::Drop => "then the element is dropped",
    };
    format!("{} for {} from {} on, {then}", period.categories, period.written, date.text)
}
