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

/// People who are remembered as met, about 1 MB. A list may be endless; somebody who was forgotten is
/// noted again, and their entry stands twice in the ledger instead of nowhere.
const REMEMBERED: usize = 8_192;

/// Everybody met in one answer, each once as far as they are remembered.
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
                self.note(Met { role, person: person.clone() });
            }
        }
    }

    fn note(&mut self, met: Met) {
        if self.known.contains(&met) {
            return;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(met.clone());
        self.new.push(met);
    }

    /// Those met since the last time. Whoever minimizes asks after each piece, so that no more wait than
    /// one piece names.
    pub(super) fn take_new(&mut self) -> Vec<Met> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Personal;

    /// Everybody of an answer was once remembered until its end.
    #[test]
    fn nobody_is_missed_and_only_so_many_are_remembered() {
        let met =
            |number: usize| Met { role: 0, person: Personal::new(format!("u{number}").into()) };
        let mut people = People::default();
        for number in [0, 1, 0, 0] {
            people.note(met(number));
        }
        assert_eq!(people.take_new(), [met(0), met(1)]);
        for number in 0..3 * REMEMBERED {
            people.note(met(number));
            assert!(people.known.len() <= REMEMBERED);
        }
        people.note(met(0));
        let told = people.take_new();
        assert_eq!(told.last(), Some(&met(0)), "somebody who was forgotten is told again");
        let told: HashSet<Met> = told.into_iter().collect();
        assert!((2..3 * REMEMBERED).all(|number| told.contains(&met(number))));
        assert!(people.take_new().is_empty());
    }
}
