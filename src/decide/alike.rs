//! What becomes of parts that are alike is decided once.
//!
//! Most people of a list have said nothing, and then it does not matter who they are: what the gates say
//! of one of them they say of all, on that day. Parts are alike if each role has the same kind of people
//! in them, every one written as the rules say, not the caller, and with nothing said; and where the plan
//! looks for nothing else in a part: no date, no country, no company, no line of one's own. Whatever is
//! not alike goes through the gates.

use std::sync::Arc;

use jiff::Timestamp;

use super::gate::Gate;
use super::{Permit, SubjectIds};
use crate::terms::{DataSubject, Statements};

/// Answers of one permit, about elements.
#[derive(Debug)]
pub(super) struct Alike {
    /// Roles of the route; `None`: a part tells more than whom it is about.
    roles: Option<usize>,
    /// The day that the answers are of.
    day: i64,
    known: Vec<(Kinds, Gate)>,
}

/// The kinds of people of all roles, two bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u64);

/// Roles whose kinds are told apart; no route has more than a few.
const MOST_ROLES: usize = 32;

/// Answers that are kept. There are more only where roles come and go from part to part.
const MOST_ANSWERS: usize = 8;

impl Alike {
    pub(super) fn new(permit: &Permit) -> Self {
        let roles = permit.policy.routes[permit.plan.route_index].subjects.len();
        // Behind the roles stand the places of everything else that is looked for in a part.
        let is_all = permit.known.len() == roles && roles <= MOST_ROLES;
        Self { roles: is_all.then_some(roles), day: 0, known: Vec::new() }
    }

    /// Of which kind an element is in which these ids were found beside those known. `None`: of its own.
    ///
    /// # Errors
    /// Whatever `statements` failed with.
    pub(super) fn kinds<'a, E>(
        &self,
        permit: &Permit,
        ids: impl Fn(usize) -> Option<&'a SubjectIds>,
        mut statements: impl FnMut(&DataSubject) -> Result<Arc<Statements>, E>,
    ) -> Result<Option<Kinds>, E> {
        let Some(roles) = self.roles else { return Ok(None) };
        let ids_admit = permit.policy.registers.ids;
        let (party, declared) = (permit.party(), permit.declared_party());
        let mut kinds = 0;
        for role in 0..roles {
            let (kind, people) = match ids(role) {
                None => (0, &[][..]),
                Some(SubjectIds::Unresolved) => (1, &[][..]),
                Some(SubjectIds::One(id)) => (2, std::slice::from_ref(id)),
                Some(SubjectIds::Many(ids)) if ids.is_empty() => return Ok(None),
                Some(SubjectIds::Many(ids)) => (3, ids.as_slice()),
            };
            for id in people {
                let is_anybody = party != Some(id)
                    && declared != Some(id)
                    && ids_admit.admits(id.expose())
                    && statements(id)?.are_none();
                if !is_anybody {
                    return Ok(None);
                }
            }
            kinds |= kind << (2 * role);
        }
        Ok(Some(Kinds(kinds)))
    }

    /// What was said of parts of these kinds, on the day of `now`.
    pub(super) fn answer(&self, kinds: Kinds, now: Timestamp) -> Option<&Gate> {
        let found = self.known.iter().find(|(known, _)| *known == kinds);
        found.filter(|_| self.day == day(now)).map(|(_, gate)| gate)
    }

    /// Keeps what the gates said of parts of these kinds.
    pub(super) fn keep(&mut self, kinds: Kinds, gate: &Gate, now: Timestamp) {
        let day = day(now);
        if self.day != day || self.known.len() >= MOST_ANSWERS {
            self.known.clear();
            self.day = day;
        }
        self.known.push((kinds, gate.clone()));
    }
}

/// Where nobody has said anything, time decides only through the last day of a mechanism of transfer,
/// in UTC.
fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(24 * 60 * 60)
}
