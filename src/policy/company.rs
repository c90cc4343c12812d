//! Which categories may not leave together, and which not alone.
//!
//! Together is judged by what a recipient would be released of one part, whether or not the members
//! stand there: it can only tighten too much. Alone is judged by what does stand there: only a text
//! or a number that leaves beside it is company.

use super::automaton::CompileError;
use super::model::{Form, Route};
use super::overlap::may_lie_within;
use super::plan::Cell;
use super::{CellId, Mark, Place, Policy, RoleIndex, Selector};
use crate::terms::{CategoryId, CategoryPattern, RecipientId};

/// A limit on what leaves in one element, or in an answer that is no list.
#[derive(Clone, Debug)]
pub struct Company {
    /// Which categories.
    pub categories: Vec<CategoryPattern>,
    /// What they may not do.
    pub never: Never,
    /// What is done about it.
    pub then: Parting,
    /// Recipients it does not bind.
    pub except_to: Vec<RecipientId>,
    /// Where it stands.
    pub place: Place,
}

/// What categories may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// Two of them leave together.
    Together,
    /// One of them leaves without any other category.
    Alone,
}

/// What is done where categories would leave together or alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parting {
    /// They are removed.
    #[default]
    Remove,
    /// This one is removed; where two others are left, they are too.
    RemoveOne(CategoryPattern),
    /// The element is dropped; where nothing can be dropped, they are removed.
    Drop,
}

/// A limit on company, in the cells of one plan.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The cells of each category that the limit names.
    pub groups: Vec<Vec<CellId>>,
    /// What they may not do.
    pub never: Never,
    /// Of the groups, the one that is removed first.
    pub first: Option<usize>,
    /// An element is dropped for it.
    pub drops: bool,
}

/// A cell that can be company, found as the ids of a role are.
#[derive(Clone, Debug)]
pub struct Companion {
    /// Which.
    pub cell: CellId,
    /// It stands in each element of the list, not once in the document.
    pub in_element: bool,
    selector: Selector,
}

/// The limits on company of one plan, and the cells that are company where that matters.
pub(super) fn bind(
    policy: &Policy,
    route: &Route,
    recipient: &RecipientId,
    cells: &[Cell],
) -> (Vec<Bound>, Vec<Companion>) {
    let covered = |pattern: &CategoryPattern| -> Vec<CellId> {
        let covers = |category: &CategoryId| pattern.covers(category);
        (0_u16..)
            .zip(cells)
            .filter(|(_, cell)| cell.action.releases())
            .filter(|(_, cell)| cell.category.as_ref().is_some_and(covers))
            .map(|(at, _)| CellId(at))
            .collect()
    };
    let mut bound = Vec::new();
    for company in policy.company.iter().filter(|one| !one.except_to.contains(recipient)) {
        let groups: Vec<Vec<CellId>> = company.categories.iter().map(covered).collect();
        let least = if company.never == Never::Together { 2 } else { 1 };
        if groups.iter().filter(|group| !group.is_empty()).count() < least {
            continue;
        }
        let first = match &company.then {
            Parting::RemoveOne(one) => company.categories.iter().position(|other| other == one),
            Parting::Remove | Parting::Drop => None,
        };
        let drops = company.then == Parting::Drop;
        bound.push(Bound { groups, never: company.never, first, drops });
    }
    let alone = bound.iter().any(|bound| bound.never == Never::Alone);
    let companions = (0_u16..)
        .zip(cells.iter().zip(&route.fields))
        .filter(|(_, (cell, _))| alone && cell.category.is_some() && cell.action.releases())
        // What a value says of itself would decide who is company: it is none, and neither is what
        // another selector's filter holds back, or goes with a name that may be taken away. Nor is a link, which may be taken away for what stands
        // in it.
        .filter(|(_, (_, field))| !is_held_back(route, &field.selector))
        .filter(|(_, (_, field))| field.form == Form::Value)
        .map(|(at, (_, field))| Companion {
            cell: CellId(at),
            in_element: route.each.as_ref().is_some_and(|each| field.selector.continues(each)),
            selector: field.selector.clone(),
        });
    let companions = companions.collect();
    (bound, companions)
}

/// Whether a filter of this route can look at a place that `selector` leads through, or whether it leads
/// through a member whose name is treated.
fn is_held_back(route: &Route, selector: &Selector) -> bool {
    let fields = route.fields.iter().map(|field| &field.selector);
    let all = fields.chain(route.open.iter().map(|open| &open.selector));
    let named = route.fields.iter().filter(|field| field.form == Form::Name);
    all.flat_map(Selector::guards)
        .chain(named.map(|field| field.selector.segments.as_slice()))
        .any(|guard| may_lie_within(&selector.segments, guard))
}

/// Company is found as the ids of roles from `first` on are.
pub(super) fn marks(
    first: usize,
    companions: &[Companion],
    rules: &mut Vec<(Selector, Mark)>,
) -> Result<(), CompileError> {
    for (at, companion) in (first..).zip(companions) {
        let bound = usize::from(u8::MAX);
        let role = u8::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
        rules.push((companion.selector.clone(), Mark::Subject(RoleIndex(role))));
    }
    Ok(())
}
