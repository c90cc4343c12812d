//! People of one ledger or of several. Whoever stands in ledgers that share an index is one person in all
//! of them; of ledgers with an index each nobody can tell, so that there are bounds.

use super::{ReportError, Sources};
use crate::ledger::{Counted, Disclosed, People};
use crate::terms::DataSubject;

/// By the order of the sources.
#[derive(Debug, Default)]
pub(super) struct Persons(Vec<People>);

impl Persons {
    /// Adds everybody whom a disclosure names.
    pub(super) fn add(&mut self, one: &Disclosed) {
        if self.0.len() <= one.ledger {
            self.0.resize_with(one.ledger + 1, People::default);
        }
        for part in &one.subjects {
            self.0[one.ledger].add(&one.at, part);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(People::is_empty)
    }

    /// Whether something of this person is among it.
    pub(super) fn concerns(
        &self,
        sources: &Sources<'_>,
        person: &DataSubject,
    ) -> Result<bool, ReportError> {
        for (people, source) in self.0.iter().zip(sources.ledgers) {
            if people.concerns(&source.index, person)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts each of `all`, in their order; every index is read once for all of them.
    pub(super) fn count_each(
        all: Vec<Self>,
        sources: &Sources<'_>,
    ) -> Result<Vec<Counted>, ReportError> {
        let mut counted = vec![Counted::default(); all.len()];
        let mut all: Vec<_> = all.into_iter().map(|persons| persons.0.into_iter()).collect();
        for source in sources.ledgers {
            let people = all.iter_mut().map(|of| of.next().unwrap_or_default()).collect();
            let here = People::count_each(people, Some(&source.index))?;
            counted = counted.into_iter().zip(here).map(|(one, other)| one.beside(other)).collect();
        }
        Ok(counted)
    }
}
