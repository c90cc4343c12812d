//! One (route, recipient, purposes) as the minimizer runs it: cells and an automaton.

use std::sync::Arc;

use super::answer_headers;
use super::automaton::{Automaton, CellId, CompileError, Mark, RoleIndex, Unlisted};
use super::cell;
use super::company::{self, Bound, Companion};
use super::model::{Derivation, Form, Limit, Locator, Need, Region, Route, RowCondition};
use super::overlap::may_touch;
use super::path::Step;
use super::retention::{self, Dated};
use super::{Place, Policy, Selector};
use crate::action::Action;
use crate::action::pseudonym::Scope;
use crate::terms::{
    CategoryId, CategoryPattern, LegalBasis, PurposeId, RecipientId, Role, RouteId,
};

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
    /// What may happen at each catalogued place, and behind these in each header of links; [`CellId`]
    /// is the position.
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
    /// Values that stand in an element, or in an answer that is no list, or it stays away. The ids
    /// found for roles beyond those of the route are to be these, in their order.
    pub only_where: Vec<String>,
    /// Where the answer says in which region people are, if that decides anything here. What stands
    /// there is found as ids of roles beyond those of `only_where`, in their order.
    pub regions: Vec<Region>,
    /// Cells that leave only while they are young enough. The dates are found as the ids of roles
    /// beyond those of `regions` are, in their order.
    pub dated: Vec<Dated>,
    /// What may not leave together or alone.
    pub company: Vec<Bound>,
    /// The cells that are company where that matters, found as the ids of roles beyond those of
    /// `dated` are, in their order.
    pub companions: Vec<Companion>,
    /// Only elements of which the person who asks is a party: one of the purposes shows some member
    /// as `own lines`, whatever the others show of it.
    pub own_lines: bool,
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
    /// Within what its pseudonyms can be linked: the narrowest of the grants that mention it.
    pub scope: Scope,
    /// Needs of this cell alone: without them the member is removed and the rest goes on.
    pub needs: Vec<Need>,
    /// The member is computed, not copied.
    pub derived: Option<Derivation>,
    /// How the value stands at the place.
    pub form: Form,
    /// Whether it is sensitive.
    pub sensitive: bool,
    /// The rule line that decided.
    pub decided_by: Place,
    /// In words, why: `release`, `limit`, `no grant`, or what else decided.
    pub because: String,
    /// Where it is, as it was written.
    pub selector: String,
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
    ) -> Result<Self, CompileError> {
        let route = &policy.routes[route_index];
        let grants = cell::grants_for(policy, route, recipient, purposes);
        let needs = needs(policy, recipient, purposes, &grants);
        let only_own = grants.iter().any(|grant| grant.only_own);
        let asked = cell::Asked { policy, recipient, purposes, grants: &grants, only_own };

        let mut cells = Vec::new();
        let mut places: Vec<(Selector, bool)> = Vec::new();
        let conditions = policy.recipients.get(recipient).map(|one| one.only_where.as_slice());
        let conditions = conditions.unwrap_or_default();
        for field in &route.fields {
            let mut decided = cell::decide(&asked, field);
            decided.needs.retain(|need| !needs.contains(need));
            if decided.action == Action::OwnLines && is_outside_the_list(route, &field.selector) {
                decided.action = Action::Remove;
                "own lines, and it stands in no line".clone_into(&mut decided.because);
            }
            if !conditions.is_empty() && is_outside_the_list(route, &field.selector) {
                decided.action = decided.action.join(Action::Remove);
                "only_where, and it stands in no element".clone_into(&mut decided.because);
            }
            cells.push(decided);
            // Nobody looks for members in a tunnel.
            if route.tunnel.is_none() {
                places.push((field.selector.clone(), field.subtree));
            }
        }
        // Periods do not bind counts of groups.
        let dated = match route.aggregate {
            None => retention::bind(policy, route, purposes, &mut cells),
            Some(_) => Vec::new(),
        };
        let (company, companions) = company::bind(policy, route, recipient, &cells);
        for open in &route.open {
            let cell = beside(&open.selector, &open.place, "open", None);
            cells.push(Cell { form: open.form, ..cell });
            places.push((open.selector.clone(), open.subtree));
        }
        for derived in &route.derive {
            let how = Some(derived.how.clone());
            cells.push(beside(&derived.selector, &derived.place, "derived", how));
            places.push((derived.selector.clone(), false));
        }

        // Last, since they have no place.
        cells.extend(answer_headers::cells(&asked, route, &needs));
        let own_lines = route.fields.iter().any(|field| cell::says_own_lines(&asked, field));

        let (mut rules, listed) = marks(route, &cells, &places)?;
        condition_marks(route, conditions, &mut rules)?;
        let regions = regions(policy, route, recipient);
        region_marks(route.subjects.len() + conditions.len(), regions, &mut rules)?;
        let first = route.subjects.len() + conditions.len() + regions.len();
        date_marks(first, &dated, &mut rules)?;
        company::marks(first + dated.len(), &companions, &mut rules)?;
        // What only tells what is counted must not be what makes a plan too large.
        let with_listed = [rules.as_slice(), &listed].concat();
        let automaton = Automaton::compile(&with_listed, Unlisted::Remove)
            .or_else(|_| Automaton::compile(&rules, Unlisted::Remove))?;
        let automaton = Arc::new(automaton);
        let may_drop_all = may_drop_all(policy, route, &cells);
        let at_document = |locator: &Locator| matches!(locator, Locator::Document(_));
        Ok(Self {
            route: route.id.clone(),
            route_index,
            recipient: recipient.clone(),
            purposes: purposes.to_vec(),
            cells,
            automaton,
            holds_document: !route.parties_only.is_empty()
                || (!conditions.is_empty() && route.each.is_none())
                || regions.iter().any(|region| !region.in_element)
                || dated.iter().any(|dated| !dated.in_element)
                || companions.iter().any(|companion| !companion.in_element)
                || may_drop_all
                || route.subjects.iter().any(|subject| at_document(&subject.locator)),
            needs,
            only_own,
            only_where: conditions.iter().map(|condition| condition.value.clone()).collect(),
            dated,
            company,
            companions,
            regions: regions.to_vec(),
            own_lines,
        })
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

/// The members that conditions speak of, found as the ids of roles beyond those of the route are.
fn condition_marks(
    route: &Route,
    conditions: &[RowCondition],
    rules: &mut Vec<(Selector, Mark)>,
) -> Result<(), CompileError> {
    for (at, condition) in (route.subjects.len()..).zip(conditions) {
        let bound = usize::from(u8::MAX);
        let role = u8::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
        let row = route.each.as_ref().map(|each| each.segments.as_slice()).unwrap_or_default();
        let segments = [row, &condition.selector.segments].concat();
        let selector = Selector { segments, text: condition.selector.text.clone() };
        rules.push((selector, Mark::Subject(RoleIndex(role))));
    }
    Ok(())
}

/// The dates from which periods count, found as the ids of roles from `first` on are.
fn date_marks(
    first: usize,
    dated: &[Dated],
    rules: &mut Vec<(Selector, Mark)>,
) -> Result<(), CompileError> {
    for (at, dated) in (first..).zip(dated) {
        let bound = usize::from(u8::MAX);
        let role = u8::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
        rules.push((dated.date.clone(), Mark::Subject(RoleIndex(role))));
    }
    Ok(())
}

/// The regions that decide about what the recipient gets: people see what is their own wherever they
/// are, and where no transfer is judged nobody asks.
fn regions<'a>(policy: &Policy, route: &'a Route, recipient: &RecipientId) -> &'a [Region] {
    let is_person =
        policy.recipients.get(recipient).is_some_and(|recipient| recipient.role.is_person());
    if is_person || policy.transfers.is_none() { &[] } else { &route.regions }
}

/// Regions are found as the ids of roles from `first` on.
fn region_marks(
    first: usize,
    regions: &[Region],
    rules: &mut Vec<(Selector, Mark)>,
) -> Result<(), CompileError> {
    for (at, region) in (first..).zip(regions) {
        let bound = usize::from(u8::MAX);
        let role = u8::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
        rules.push((region.selector.clone(), Mark::Subject(RoleIndex(role))));
    }
    Ok(())
}

/// Whether a place is not one in an element of the route's list.
fn is_outside_the_list(route: &Route, selector: &Selector) -> bool {
    route.each.as_ref().is_some_and(|each| !selector.continues(each))
}

/// A place that says nothing about a person.
pub(super) fn beside(
    selector: &Selector,
    place: &Place,
    because: &str,
    derived: Option<Derivation>,
) -> Cell {
    // A cursor holds what the backend puts there, perhaps ids: nobody reads it.
    let action = match derived {
        Some(Derivation::Sealed { .. }) => Action::Token,
        Some(Derivation::CountEach) | None => Action::Keep,
    };
    Cell {
        category: None,
        of: None,
        action,
        scope: Scope::Recipient,
        needs: Vec::new(),
        derived,
        form: Form::Value,
        sensitive: false,
        decided_by: place.clone(),
        because: because.to_owned(),
        selector: selector.text.clone(),
    }
}

/// Whether a member can take the whole answer away, which must be known before any of it leaves: one
/// that stands in no element, under `drop`, whether a grant, a limit or the measure of a transfer says so.
fn may_drop_all(policy: &Policy, route: &Route, cells: &[Cell]) -> bool {
    let drops = |action: &Action| matches!(action, Action::Drop | Action::Refuse);
    let mechanisms = policy.transfers.iter().flat_map(|transfers| &transfers.table);
    let measures: Vec<_> = mechanisms
        .flat_map(|mechanism| &mechanism.measure)
        .filter(|measure| drops(&measure.action))
        .collect();
    let outside =
        |selector: &Selector| !route.each.as_ref().is_some_and(|each| selector.continues(each));
    route.aggregate.is_none()
        && cells.iter().zip(&route.fields).any(|(cell, field)| {
            let covers = |pattern: &CategoryPattern| pattern.covers(&field.category);
            let by_transfer = || measures.iter().any(|measure| covers(&measure.pattern));
            outside(&field.selector) && (drops(&cell.action) || by_transfer())
        })
}

/// What every purpose of this disclosure needs. A disclosure to a third party, or for a purpose
/// that rests on consent, leaves the whole subject out where it is missing.
fn needs(
    policy: &Policy,
    recipient: &RecipientId,
    purposes: &[PurposeId],
    grants: &[cell::Applicable<'_>],
) -> Vec<Need> {
    let mut needs = Vec::new();
    let third_party = policy
        .recipients
        .get(recipient)
        .is_none_or(|recipient| matches!(recipient.role, Role::ThirdParty | Role::Public));
    for limit in &policy.limits {
        match limit {
            Limit::ThirdParties { needs: needed, except_for, .. } => {
                if third_party && !purposes.iter().all(|purpose| except_for.contains(purpose)) {
                    needs.extend_from_slice(needed);
                }
            }
            Limit::AtLeast { .. }
            | Limit::Sensitive { .. }
            | Limit::Minors { .. }
            | Limit::Disputed { .. } => {}
        }
    }
    for purpose in purposes.iter().filter_map(|id| policy.purposes.get(id)) {
        match purpose.basis {
            LegalBasis::Consent => needs.push(Need::Consent),
            LegalBasis::ExplicitConsent => needs.push(Need::ExplicitConsent),
            LegalBasis::Contract
            | LegalBasis::LegalObligation
            | LegalBasis::Vital
            | LegalBasis::PublicTask
            | LegalBasis::LegitimateInterests => {}
        }
    }
    for grant in grants.iter().filter(|grant| grant.rests_on_consent(policy)) {
        needs.extend_from_slice(&grant.needs);
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Selectors with what each place is for.
type Marks = Vec<(Selector, Mark)>;

/// The selectors with what each place is for. A cell that releases nothing stays out, so that the
/// branch is dead; unless its place can meet one that is released, where the stricter must win. A name
/// that is released is no value above those of its member, and no reason to go in. Those that stay out
/// are given apart: they only tell what is withheld from what nobody knows.
fn marks(
    route: &Route,
    cells: &[Cell],
    places: &[(Selector, bool)],
) -> Result<(Marks, Marks), CompileError> {
    let (mut rules, mut listed) = (Vec::new(), Vec::new());
    let live = |cell: &Cell| cell.action != Action::Remove;
    for (at, (cell, (selector, subtree))) in cells.iter().zip(places).enumerate() {
        let touches_a_live_one = || {
            let is_of_it = |other: &Cell| cell.form == Form::Name || other.form != Form::Name;
            cells.iter().zip(places).any(|(other, (place, _))| {
                live(other) && is_of_it(other) && may_touch(selector, place)
            })
        };
        if live(cell) || touches_a_live_one() {
            let bound = usize::from(u16::MAX);
            let id = u16::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
            let mark = match cell.derived {
                Some(Derivation::CountEach) => Mark::Count(CellId(id)),
                None if cell.form == Form::Name => Mark::Key(CellId(id)),
                Some(Derivation::Sealed { .. }) | None => {
                    Mark::Cell { cell: CellId(id), subtree: *subtree }
                }
            };
            rules.push((selector.clone(), mark));
        } else {
            listed.push((unfiltered(selector), Mark::Listed));
        }
    }
    for (at, subject) in route.subjects.iter().enumerate() {
        let (Locator::Document(selector) | Locator::Element(selector)) = &subject.locator else {
            continue;
        };
        let bound = usize::from(u8::MAX);
        let role = u8::try_from(at).map_err(|_| CompileError::TooLarge { bound })?;
        let role = RoleIndex(role);
        let mark = if subject.by_name { Mark::KeyOf(role) } else { Mark::Subject(role) };
        rules.push((selector.clone(), mark));
    }
    rules.extend(route.each.iter().map(|each| (each.clone(), Mark::Each)));
    Ok((rules, listed))
}

/// The selector without its filters: a place is known whatever its value is, and no value is held back
/// for counting.
fn unfiltered(selector: &Selector) -> Selector {
    let mut selector = selector.clone();
    for step in selector.segments.iter_mut().flat_map(|segment| &mut segment.steps) {
        if matches!(step, Step::Filter(_)) {
            *step = Step::Wildcard;
        }
    }
    selector
}
