//! The gates over one part of a body: every subject of it, each with their own statements.
//!
//! Asked once for what is known from the request, and again for every element of a list at the
//! moment of release, so that a withdrawal takes effect on the next element.

use std::sync::Arc;

use jiff::Timestamp;

use super::age::{self, Age};
use super::alike::Alike;
use super::company;
use super::met::{Met, People};
use super::subject::{self, SubjectGate, Whereabouts};
use super::{Permit, SubjectIds};
use crate::action::{Action, Period};
use crate::policy::model::{Locator, Region};
use crate::policy::path::PathSegment;
use crate::policy::retention::TooOld;
use crate::policy::{CellId, Plan};
use crate::terms::{Country, DataSubject, RefusalReason, Role, Statements};

/// A cell that the gates tightened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adjustment {
    /// Which.
    pub cell: CellId,
    /// The action in force instead of the plan's; never less strict.
    pub action: Action,
}

/// The gates' answer for one part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It leaves, with these cells tightened; sorted by cell, each at most once.
    Release(Vec<Adjustment>),
    /// It does not leave.
    Drop(RefusalReason),
}

/// The part of a body that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is known from the request alone, before the backend is asked.
    Request,
    /// The whole document, with every id of every role in it.
    Document,
    /// One element of the list.
    Element,
}

/// Answers for one response: remembers whom its document is about.
#[derive(Debug)]
pub struct Judge {
    permit: Arc<Permit>,
    /// By role: ids known from the request or the document, in force for every element.
    known: Vec<Option<SubjectIds>>,
    undated: u64,
    /// Of whom something leaves, where the rules ask the ledger to know or a budget counts them.
    people: Option<People>,
    /// What was said of elements in which nobody has said anything.
    alike: Alike,
}

impl Judge {
    /// A judge for one response under `permit`.
    #[must_use]
    pub fn new(permit: Arc<Permit>) -> Self {
        let known = permit.known.clone();
        let recipient = permit.policy.recipients.get(permit.recipient());
        let counts = recipient.is_some_and(|recipient| recipient.subjects_per_hour.is_some());
        let people = (permit.policy.ledger.subject_index || counts).then(|| {
            let mut people = People::default();
            people.meet(&permit, &known, &permit.adjustments);
            people
        });
        let alike = Alike::new(&permit);
        Self { permit, known, undated: 0, people, alike }
    }

    /// Those who are known from the request or the document: each element is about them too.
    pub fn known_people(&self) -> impl Iterator<Item = &DataSubject> {
        let roles = self.permit.policy.routes[self.permit.plan.route_index].subjects.len();
        self.known.iter().take(roles).flatten().flat_map(SubjectIds::each)
    }

    /// Of whom something may leave since this was last asked. Nobody, where the rules ask neither for
    /// an index of data subjects nor for a budget of them.
    pub fn take_met(&mut self) -> Vec<Met> {
        self.people.as_mut().map(People::take_new).unwrap_or_default()
    }

    /// In how many parts a date was missing or could not be read.
    #[must_use]
    pub const fn undated(&self) -> u64 {
        self.undated
    }

    /// What becomes of `part`, in which these ids were found. `statements` looks up what a subject
    /// has said, as of now.
    ///
    /// # Errors
    /// Whatever `statements` failed with: nothing may be released then.
    pub fn gate<E>(
        &mut self,
        part: Part,
        located: Vec<(usize, SubjectIds)>,
        mut statements: impl FnMut(&DataSubject) -> Result<Arc<Statements>, E>,
        now: Timestamp,
    ) -> Result<Gate, E> {
        let kinds = match part {
            Part::Request | Part::Document => None,
            Part::Element => {
                let here = |role: usize| located.iter().rev().find(|(at, _)| *at == role);
                let ids =
                    |role: usize| here(role).map(|(_, ids)| ids).or(self.known[role].as_ref());
                self.alike.kinds(&self.permit, ids, &mut statements)?
            }
        };
        let answer = kinds.and_then(|kinds| self.alike.answer(kinds, now)).cloned();
        let answer = match (answer, &self.people) {
            // Nobody has to be noted.
            (Some(answer), None) => return Ok(answer),
            (answer, _) => answer,
        };
        let mut ids = self.known.clone();
        for (role, found) in located {
            let Some(slot) = ids.get_mut(role) else { continue };
            *slot = Some(found);
        }
        if part == Part::Document {
            let route = &self.permit.policy.routes[self.permit.plan.route_index];
            for (role, subject) in route.subjects.iter().enumerate() {
                if matches!(subject.locator, Locator::Document(_)) {
                    self.known[role].clone_from(&ids[role]);
                }
            }
            for (slot, region) in region_slots(&self.permit) {
                if !region.in_element {
                    self.known[slot].clone_from(&ids[slot]);
                }
            }
            for (at, _) in age::dates(&self.permit).filter(|(_, dated)| !dated.in_element) {
                self.known[at].clone_from(&ids[at]);
            }
        }
        let gate = if let Some(answer) = answer {
            answer
        } else {
            let ages = age::ages(&self.permit, part, &ids, now);
            self.undated += u64::from(ages.contains(&Some(Age::Undated)));
            let gate = gate(&self.permit, part, &ids, &ages, statements, now)?;
            if let Some(kinds) = kinds {
                self.alike.keep(kinds, &gate, now);
            }
            gate
        };
        if let (Gate::Release(adjustments), Some(people)) = (&gate, &mut self.people) {
            people.meet(&self.permit, &ids, adjustments);
        }
        Ok(gate)
    }
}

/// The gates for subjects known from the request; used by `decide` itself.
pub(super) fn gate<E>(
    permit: &Permit,
    part: Part,
    ids: &[Option<SubjectIds>],
    ages: &[Option<Age>],
    mut statements: impl FnMut(&DataSubject) -> Result<Arc<Statements>, E>,
    now: Timestamp,
) -> Result<Gate, E> {
    if let Some(reason) = not_theirs(permit, part, ids) {
        return Ok(Gate::Drop(reason));
    }
    let mut tightened = Tightened::new(&permit.plan);
    tightened.withhold_unlisted(permit);
    for (role, subject) in permit.policy.routes[permit.plan.route_index].subjects.iter().enumerate()
    {
        let located_here = match (part, &subject.locator) {
            (_, Locator::Path(_) | Locator::Query(_)) => true,
            // Not before the body was read.
            (Part::Request, Locator::Body(_)) => ids[role].is_some(),
            (_, Locator::Body(_)) => true,
            (Part::Request, _) | (Part::Document, Locator::Element(_)) => false,
            (Part::Document, Locator::Document(_) | Locator::Header(_)) | (Part::Element, _) => {
                true
            }
        };
        if !located_here {
            continue;
        }
        let principal = role == 0;
        let several = may_name_several(permit, &subject.locator);
        let whereabouts = whereabouts(permit, part, ids, role);
        let mut found = ids[role].as_ref().unwrap_or(&SubjectIds::Unresolved);
        // What people have said is known by one spelling of each id: another one is nobody's.
        if found.each().iter().any(|id| !permit.policy.registers.ids.admits(id.expose())) {
            if known_from_request(&subject.locator) {
                return Ok(Gate::Drop(RefusalReason::NotFound));
            }
            found = &SubjectIds::Unresolved;
        }
        match found {
            // Nobody can say whose data these are, so nobody can have agreed to anything. A part
            // whose principal is not known stays away whole.
            SubjectIds::Unresolved if principal => {
                return Ok(Gate::Drop(RefusalReason::ConsentMissing));
            }
            SubjectIds::Unresolved => tightened.withhold_role(role),
            SubjectIds::One(id) if principal || !several => {
                let said = statements(id)?;
                match subject::gate(permit, role, id, &said, &whereabouts, now) {
                    SubjectGate::Drop(reason) => return Ok(Gate::Drop(reason)),
                    SubjectGate::Withhold(_) => tightened.withhold_role(role),
                    SubjectGate::Release(adjustments) => tightened.add(adjustments),
                }
            }
            // Several people at one place cannot be told apart field by field: the strictest of
            // their gates holds for all of them, but does not take the others' part away. The only
            // guest has no more power over the owner's part than two guests have.
            people @ (SubjectIds::One(_) | SubjectIds::Many(_)) => {
                for id in people.each() {
                    let said = statements(id)?;
                    match subject::gate(permit, role, id, &said, &whereabouts, now) {
                        SubjectGate::Drop(_) | SubjectGate::Withhold(_) => {
                            tightened.withhold_role(role);
                        }
                        SubjectGate::Release(adjustments) => tightened.add(adjustments),
                    }
                }
            }
        }
    }
    if tightened.age(permit, part, ages) {
        return Ok(Gate::Drop(RefusalReason::RetentionOver));
    }
    let (parted, drops) = company::parted(permit, part, ids, |cell| tightened.releases(cell));
    if drops {
        return Ok(Gate::Drop(RefusalReason::NothingGranted));
    }
    for cell in parted {
        tightened.tighten(cell, Action::Remove);
    }
    let adjustments = tightened.into_adjustments();
    if tells_by_being_there(permit, &adjustments) {
        return Ok(Gate::Drop(RefusalReason::ConsentMissing));
    }
    Ok(Gate::Release(adjustments))
}

/// Where the ids found at the plan's regions stand.
fn region_slots(permit: &Permit) -> impl Iterator<Item = (usize, &Region)> {
    let route = &permit.policy.routes[permit.plan.route_index];
    let first = route.subjects.len() + permit.plan.only_where.len();
    (first..).zip(&permit.plan.regions)
}

/// What the answer says of where the people of a role are.
fn whereabouts(
    permit: &Permit,
    part: Part,
    ids: &[Option<SubjectIds>],
    role: usize,
) -> Whereabouts {
    let mut said = Vec::new();
    for (slot, _) in region_slots(permit).filter(|(_, region)| region.of == role) {
        if part == Part::Request {
            return Whereabouts::Later;
        }
        match ids.get(slot).and_then(Option::as_ref) {
            None => {}
            Some(SubjectIds::One(text)) => said.push(country(text.expose())),
            Some(SubjectIds::Many(texts)) => {
                said.extend(texts.iter().map(|text| country(text.expose())));
            }
            Some(SubjectIds::Unresolved) => return Whereabouts::Contradictory,
        }
    }
    Whereabouts::Said(said)
}

/// A country code in any case; any other text is a region that no mechanism leads from, unless the
/// rules name it.
fn country(text: &str) -> Country {
    if text.len() == 2 { text.to_ascii_uppercase().as_str().into() } else { text.into() }
}

/// Whether the query filters on a member that is taken out of this part: that the part is there
/// would tell what the member holds.
fn tells_by_being_there(permit: &Permit, adjustments: &[Adjustment]) -> bool {
    adjustments.iter().filter(|adjustment| !adjustment.action.may_be_queried()).any(|adjustment| {
        let category = permit.plan.cell(adjustment.cell).category.as_ref();
        category.is_some_and(|category| permit.queried.contains(category))
    })
}

/// Whether the part is kept from a person who is not one of its parties, or from a recipient whose
/// part it is not.
fn not_theirs(permit: &Permit, part: Part, ids: &[Option<SubjectIds>]) -> Option<RefusalReason> {
    let route = &permit.policy.routes[permit.plan.route_index];
    let is_row = match part {
        Part::Request => false,
        Part::Document => route.each.is_none(),
        Part::Element => true,
    };
    let meets = |(at, value): (usize, &String)| matches!(ids.get(at), Some(Some(SubjectIds::One(found))) if **found.expose() == **value);
    let mut conditions = (route.subjects.len()..).zip(&permit.plan.only_where);
    if is_row && !conditions.all(meets) {
        return Some(RefusalReason::NotAParty);
    }
    let party = permit.party();
    let is_party = |role: usize| match (ids.get(role).and_then(Option::as_ref), party) {
        (Some(SubjectIds::One(id)), Some(party)) => id == party,
        (Some(SubjectIds::Many(people)), Some(party)) => people.contains(party),
        (Some(SubjectIds::One(_) | SubjectIds::Many(_) | SubjectIds::Unresolved) | None, _) => {
            false
        }
    };
    let any_party = || (0..route.subjects.len()).any(is_party);
    let is_known = |(role, locator): (usize, &Locator)| match locator {
        Locator::Body(_) => ids[role].is_some(),
        locator => known_from_request(locator),
    };
    let locators = route.subjects.iter().map(|subject| &subject.locator);
    let complete = part != Part::Request || locators.enumerate().all(is_known);
    if complete && permit.plan.only_own && !any_party() {
        return Some(RefusalReason::NotAParty);
    }
    if part == Part::Document
        && permit.role() == Role::User
        && !route.parties_only.is_empty()
        && !route.parties_only.iter().copied().any(is_party)
    {
        return Some(RefusalReason::NotAParty);
    }
    // An answer that is no list is one line.
    let is_line = part == Part::Element || (complete && route.each.is_none());
    if is_line && permit.plan.own_lines && !any_party() {
        return Some(RefusalReason::NotAParty);
    }
    None
}

/// Whether a place can name several people in one part.
fn may_name_several(permit: &Permit, locator: &Locator) -> bool {
    let each = permit.policy.routes[permit.plan.route_index].each.as_ref();
    let own = match locator {
        Locator::Document(selector) => selector.segments.as_slice(),
        Locator::Element(selector) => {
            let outer = each.map_or(0, |each| each.segments.len());
            selector.segments.get(outer..).unwrap_or_default()
        }
        Locator::Path(_) | Locator::Query(_) | Locator::Body(_) | Locator::Header(_) => {
            return false;
        }
    };
    !own.iter().all(PathSegment::is_singular)
}

fn known_from_request(locator: &Locator) -> bool {
    matches!(locator, Locator::Path(_) | Locator::Query(_) | Locator::Body(_))
}

/// Actions of a plan as the gates tighten them.
struct Tightened<'a> {
    plan: &'a Plan,
    /// Sorted by cell.
    adjustments: Vec<Adjustment>,
}

impl<'a> Tightened<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { plan, adjustments: Vec::new() }
    }

    fn add(&mut self, adjustments: Vec<Adjustment>) {
        for Adjustment { cell, action } in adjustments {
            self.tighten(cell, action);
        }
    }

    /// Under an order nothing leaves but what it lists, whatever a grant says.
    fn withhold_unlisted(&mut self, permit: &Permit) {
        let Some(order) = &permit.order else { return };
        for (at, cell) in self.plan.cells.iter().enumerate() {
            let unlisted = |category| !order.categories.contains(category);
            if cell.category.as_ref().is_some_and(unlisted)
                && let Ok(at) = u16::try_from(at)
            {
                self.tighten(CellId(at), Action::Remove);
            }
        }
    }

    fn withhold_role(&mut self, role: usize) {
        for cell in cells_of(self.plan, role) {
            self.tighten(cell, Action::Remove);
        }
    }

    /// Tightens what is older than its period. Returns whether the part is dropped for it: where
    /// something of it would leave, and there is an element that can be dropped.
    fn age(&mut self, permit: &Permit, part: Part, ages: &[Option<Age>]) -> bool {
        for (dated, age) in permit.plan.dated.iter().zip(ages) {
            if matches!(age, None | Some(Age::Young)) {
                continue;
            }
            for cell in &dated.cells {
                let action = match dated.then {
                    TooOld::Drop if part == Part::Element && self.releases(*cell) => return true,
                    TooOld::Drop | TooOld::Remove => Action::Remove,
                    TooOld::Pseudonymise => Action::Pseudonym(Period::Unlimited),
                };
                self.tighten(*cell, action);
            }
        }
        false
    }

    fn releases(&self, cell: CellId) -> bool {
        let by_cell = |adjustment: &Adjustment| adjustment.cell;
        match self.adjustments.binary_search_by_key(&cell, by_cell) {
            Ok(at) => self.adjustments[at].action.releases(),
            Err(_) => self.plan.cell(cell).action.releases(),
        }
    }

    fn tighten(&mut self, cell: CellId, action: Action) {
        match self.adjustments.binary_search_by_key(&cell, |adjustment| adjustment.cell) {
            Ok(at) => {
                let adjustment = &mut self.adjustments[at];
                adjustment.action = adjustment.action.clone().join(action);
            }
            Err(at) => {
                let action = self.plan.cell(cell).action.clone().join(action);
                self.adjustments.insert(at, Adjustment { cell, action });
            }
        }
    }

    fn into_adjustments(mut self) -> Vec<Adjustment> {
        self.adjustments
            .retain(|adjustment| adjustment.action != self.plan.cell(adjustment.cell).action);
        self.adjustments
    }
}

/// The personal cells of one role. A cell that names no role belongs to the principal.
pub(super) fn cells_of(plan: &Plan, role: usize) -> impl Iterator<Item = CellId> {
    plan.cells.iter().enumerate().filter_map(move |(at, cell)| {
        let whose = cell.of.map_or(0, |role| usize::from(role.0));
        let id = CellId(u16::try_from(at).ok()?);
        (cell.category.is_some() && whose == role).then_some(id)
    })
}
