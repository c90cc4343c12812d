//! One (route, recipient, purposes) as the minimizer runs it: cells and an automaton.

use std::sync::Arc;

use super::automaton::{Automaton, CellId, RoleIndex};
use super::model::{Derivation, Need};
use super::{Place, Policy};
use crate::action::Action;
use crate::terms::{CategoryId, PurposeId, RecipientId, RouteId};

/// What one recipient gets of one route for one set of purposes, before any subject was asked about.
#[derive(Debug)]
pub struct Plan {
    /// The route's id.
    pub route: RouteId,
    /// Its position in [`Policy::routes`].
    pub route_index: usize,
    /// To whom.
    pub recipient: RecipientId,
    /// For what; sorted, at least one.
    pub purposes: Vec<PurposeId>,
    /// What may happen at each catalogued place; [`CellId`] is the position.
    pub cells: Vec<Cell>,
    /// The selectors of cells, subjects and list as one automaton. Places from which nothing can be
    /// released are dead in it.
    pub automaton: Arc<Automaton>,
    /// Whether any subject's id stands at document level, so that nothing leaves before the
    /// document's end.
    pub holds_document: bool,
    /// Needs that apply to every personal cell: without them the subject is left out.
    pub needs: Vec<Need>,
    /// Only data about the person who asks.
    pub only_own: bool,
}

/// One catalogued place.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The category; `None` where the place is declared not to be personal.
    pub category: Option<CategoryId>,
    /// Whose it is.
    pub of: Option<RoleIndex>,
    /// The join of grants and limits over all purposes.
    pub action: Action,
    /// Needs of this cell alone: without them the member is removed and the rest goes on.
    pub needs: Vec<Need>,
    /// The member is computed, not copied.
    pub derived: Option<Derivation>,
    /// Whether it is sensitive.
    pub sensitive: bool,
    /// The rule line that decided.
    pub decided_by: Place,
    /// In words, why: `release`, `limit`, `no grant`, or what is not enforced.
    pub because: String,
}

impl Plan {
    /// Builds the plan. `purposes` must be sorted and not empty.
    ///
    /// # Errors
    /// The automaton would be larger than its bound.
    pub fn build(
        policy: &Policy,
        route_index: usize,
        recipient: &RecipientId,
        purposes: &[PurposeId],
    ) -> Result<Self, super::automaton::TooLarge> {
        let _ = (policy, route_index, recipient, purposes);
        todo!("rules")
    }

    /// The cell at `id`.
    #[must_use]
    pub fn cell(&self, id: CellId) -> &Cell {
        &self.cells[usize::from(id.0)]
    }

    /// Whether any personal member can be released at all.
    #[must_use]
    pub fn releases_personal_data(&self) -> bool {
        self.cells.iter().any(|cell| cell.category.is_some() && cell.action.releases())
    }
}
