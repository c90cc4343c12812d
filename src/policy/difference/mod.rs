//! What a change of rules means: not of their texts but of what is released, recipient by recipient,
//! purpose by purpose, route by route and member by member. What shows more is widened, what shows
//! less is narrowed. Conditions (consent, objection, contract, transfers) are compared beside it,
//! since a condition less widens too.
//!
//! What neither includes the other counts as changed, and is to be read as widened.

mod aggregate;
mod conditions;
mod notices;
mod parameters;
mod routes;
mod transfers;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Form, Route};
use super::{Plan, Policy, plan};
use crate::action::Action;
use crate::action::pseudonym::Scope;
use crate::terms::{CategoryId, PurposeId, RecipientId, RouteId};

/// Which way something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// More leaves, or under fewer conditions.
    Widened,
    /// Neither includes the other; to be read as widened.
    Changed,
    /// Less leaves, or under more conditions.
    Narrowed,
}

impl Way {
    /// The word that people and programs are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Changed => "changed",
            Self::Narrowed => "narrowed",
        }
    }
}

/// One change.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Which way.
    pub way: Way,
    /// What it is about: a recipient and a purpose, or a part of the rules.
    pub about: String,
    /// The member or condition.
    pub what: String,
    /// What stood there.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// Everything that new rules release otherwise than old ones.
///
/// # Errors
/// A plan of one of them grows too large; in words.
pub fn changes(old: &Policy, new: &Policy) -> Result<Vec<Change>, String> {
    let mut changes = conditions::changes(old, new);
    changes.extend(notices::changes(old, new));
    whole::changes(old, new, &mut changes);
    routes::changes(old, new, &mut changes);
    let (before, old_wholes) = released(old)?;
    let (after, wholes) = released(new)?;
    routes::wholes(&old_wholes, &wholes, &mut changes);
    let places: BTreeSet<&Cell> = before.keys().chain(after.keys()).collect();
    for place in places {
        let nothing =
            Release { action: Action::Remove, scope: Scope::Response, needs: String::new() };
        let (was, is) =
            (before.get(place).unwrap_or(&nothing), after.get(place).unwrap_or(&nothing));
        if was == is {
            continue;
        }
        let way = match (is.action.at_least(&was.action), was.action.at_least(&is.action)) {
            // The same action within another scope, or under other needs.
            (true, true) if was.scope != is.scope => {
                match (is.scope.is_within(was.scope), was.scope.is_within(is.scope)) {
                    (true, _) if was.needs == is.needs => Way::Narrowed,
                    (_, true) if was.needs == is.needs => Way::Widened,
                    _ => Way::Changed,
                }
            }
            (true, true) if was.needs.is_empty() => Way::Narrowed,
            (true, true) if is.needs.is_empty() => Way::Widened,
            (true, true) => Way::Changed,
            // Less of it, but under other conditions: nobody can say which weighs more.
            (true, false) if is.action != Action::Remove && !was.needs_no_more_than(is) => {
                Way::Changed
            }
            (true, false) => Way::Narrowed,
            (false, true) => Way::Widened,
            (false, false) => Way::Changed,
        };
        changes.push(Change {
            way,
            about: format!("{} for {}", place.recipient, place.purpose),
            what: format!("{} {}", place.route, place.member),
            before: was.in_words(),
            after: is.in_words(),
        });
    }
    changes.sort();
    Ok(changes)
}

/// A member of a route as one recipient gets it for one purpose.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    recipient: RecipientId,
    purpose: PurposeId,
    route: RouteId,
    member: String,
    /// Several selectors can stand for one member; what each of them is for is compared by itself.
    category: Option<CategoryId>,
}

#[derive(PartialEq)]
struct Release {
    action: Action,
    /// Of pseudonyms; of all else the widest, since nothing of it is made in a domain.
    scope: Scope,
    needs: String,
}

impl Release {
    /// Whether what this needs is needed by the other as well, as far as one can tell.
    fn needs_no_more_than(&self, other: &Self) -> bool {
        self.needs.is_empty() || self.needs == other.needs
    }

    fn in_words(&self) -> String {
        let scoped = self.scope != Scope::Recipient && self.action != Action::Remove;
        let scope = if scoped { format!(" within {}", self.scope) } else { String::new() };
        let needs = match self.needs.as_str() {
            "" => String::new(),
            needs => format!(" (needs {needs})"),
        };
        format!("{}{scope}{needs}", self.action)
    }
}

/// What leaves, and under which conditions of an answer as a whole.
type Released = (BTreeMap<Cell, Release>, BTreeMap<routes::Asked, routes::Conditions>);

/// Everything that leaves for anybody.
fn released(policy: &Policy) -> Result<Released, String> {
    let (mut all, mut wholes) = (BTreeMap::new(), BTreeMap::new());
    for (id, recipient) in &policy.recipients {
        for purpose in &recipient.purposes {
            for (index, route) in policy.routes.iter().enumerate() {
                if !routes::is_in_force(route) || !is_for(route, purpose) {
                    continue;
                }
                let plan = Plan::build(policy, index, id, std::slice::from_ref(purpose))
                    .map_err(|too_large| too_large.to_string())?;
                // Without a personal member the request is refused as a whole, unless it only brings
                // something.
                if plan.releases_personal_data() || route.only_takes() {
                    add(&mut all, &plan, purpose);
                    let asked = (id.clone(), purpose.clone(), route.id.clone());
                    wholes.insert(asked, routes::Conditions::of(&plan));
                }
            }
        }
    }
    Ok((all, wholes))
}

fn is_for(route: &Route, purpose: &PurposeId) -> bool {
    route.purposes.as_ref().is_none_or(|purposes| purposes.contains(purpose))
}

fn add(all: &mut BTreeMap<Cell, Release>, plan: &Plan, purpose: &PurposeId) {
    for cell in &plan.cells {
        let plan::Cell {
            category,
            action,
            scope,
            needs,
            selector,
            // What the route says of the place, compared there.
            of: _,
            derived: _,
            form,
            // The category's.
            sensitive: _,
            decided_by: _,
            because: _,
        } = cell;
        if *action == Action::Remove {
            continue;
        }
        let mut needs: Vec<String> =
            plan.needs.iter().chain(needs).map(|need| conditions::need(*need)).collect();
        if category.is_none() {
            needs.clear();
        }
        needs.sort();
        needs.dedup();
        // In one link values of several categories may stand.
        let member = match (category, form) {
            (Some(category), Form::Link | Form::Header(_)) => {
                format!("{selector} ({category})")
            }
            (Some(_), Form::Value | Form::Name) | (None, _) => selector.clone(),
        };
        let place = Cell {
            recipient: plan.recipient.clone(),
            purpose: purpose.clone(),
            route: plan.route.clone(),
            member,
            category: category.clone(),
        };
        let scope = match action {
            Action::Pseudonym(_) | Action::Fpe => *scope,
            _ => Scope::Recipient,
        };
        let release = Release { action: action.clone(), scope, needs: needs.join(", ") };
        all.insert(place, release);
    }
}
