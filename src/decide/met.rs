//! Of whom something leaves: what the ledger's index of data subjects is told.

use std::collections::HashSet;

use super::gate::cells_of;
use super::{Adjustment, Permit, SubjectIds};
use crate::policy::CellId;
use crate::terms::DataSubject;

/// Somebody of whom something may leave, in one role of the route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Met {
    /// Position in the route's subjects.
    pub role: usize,
    /// Who.
    pub person: DataSubject,
}

/// Everybody met in one answer, each once.
#[derive(Debug, Default)]
pub(super) struct People {
    known: HashSet<Met>,
    /// Not handed on yet.
    new: Vec<Met>,
}

impl People {
    /// Notes whose members a part releases. Somebody of whose members the gates left none is not met;
    /// somebody whose members are missing from the part is, since nobody looks for them again.
    pub(super) fn meet(
        &mut self,
        permit: &Permit,
        ids: &[Option<SubjectIds>],
        adjustments: &[Adjustment],
    ) {
        let route = &permit.policy.routes[permit.plan.route_index];
        for role in 0..route.subjects.len() {
            let people: &[DataSubject] = match ids.get(role).and_then(Option::as_ref) {
                Some(SubjectIds::One(person)) => std::slice::from_ref(person),
                Some(SubjectIds::Many(people)) => people,
                Some(SubjectIds::Unresolved) | None => continue,
            };
            let releases = |cell: CellId| {
                let tightened = adjustments.iter().find(|adjustment| adjustment.cell == cell);
                tightened
                    .map_or(&permit.plan.cell(cell).action, |adjustment| &adjustment.action)
                    .releases()
            };
            if !cells_of(&permit.plan, role).any(releases) {
                continue;
            }
            for person in people {
                let met = Met { role, person: person.clone() };
                if self.known.insert(met.clone()) {
                    self.new.push(met);
                }
            }
        }
    }

    /// Those met since the last time.
    pub(super) fn take_new(&mut self) -> Vec<Met> {
        std::mem::take(&mut self.new)
    }
}
