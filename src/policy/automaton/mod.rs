//! Selectors of one plan as one deterministic automaton over member names and element positions.
//!
//! What each place is for is a [`Mark`]; the engine follows states and reads marks. The automaton is
//! built once by subset construction (`compile.rs`), is immutable from then on, and costs the engine
//! one look-up for each member name of an object from which a mark can still be reached. Everything
//! else is *dead*: no mark lies beneath it, whatever it holds.

mod compile;
mod names;

use names::Names;

use super::path::Selector;

/// Position of a cell in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u16);

/// Position of a subject role in its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleIndex(pub u8);

/// What a selected place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Treated as this cell says.
    Cell {
        /// Which.
        cell: CellId,
        /// An object beneath goes the same way, whole. Without it, objects are removed.
        subtree: bool,
    },
    /// Whatever stands here is replaced by the number of elements released, if this cell's action
    /// releases anything; before the list's end it is removed.
    Count(CellId),
    /// The list's elements: each is asked about.
    Each,
    /// The id of a subject stands here.
    Subject(RoleIndex),
}

/// What becomes of members that no selector names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Removed and counted: the gateway's only way.
    Remove,
    /// Copied: `tamis rewrite`, where the rules name what is to be changed.
    Keep,
}

/// The automaton would be larger than the bound allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compiling these selectors together takes more than {bound} steps")]
pub struct TooLarge {
    /// The bound.
    pub bound: usize,
}

/// A state of an [`Automaton`]: all that the way from the root to a place says about the selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(u32);

impl StateId {
    /// No mark here and none beneath.
    pub const DEAD: Self = Self(0);

    /// Its position among the automaton's states, from 0.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where the ids of one role stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectPlace {
    /// The role.
    pub role: RoleIndex,
    /// In each element of the list, not once for the document.
    pub within_element: bool,
    /// The selector may find several places (in one element, if it stands there).
    pub several: bool,
}

/// A compiled set of selectors.
#[derive(Debug)]
pub struct Automaton {
    states: Vec<State>,
    tables: Vec<Table>,
    start: StateId,
    unlisted: Unlisted,
    subjects: Vec<SubjectPlace>,
}

#[derive(Debug)]
struct State {
    marks: Box<[Mark]>,
    /// Index into `tables`; the table at 0 leads nowhere.
    table: u32,
}

/// Where to go from a state. States with the same unfinished selectors share one table, which keeps
/// a thousand `$..name` rules linear in time and space.
#[derive(Debug)]
struct Table {
    names: Names,
    /// Members of any other name.
    other: StateId,
    /// Element positions as stretches: from a first index on, the states repeat in a cycle.
    stretches: Vec<Stretch>,
    leads_to_cells: bool,
    leads_to_subjects: bool,
}

#[derive(Debug)]
struct Stretch {
    from: u64,
    cycle: Box<[StateId]>,
}

impl Automaton {
    /// Compiles the selectors with their marks.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn compile(rules: &[(Selector, Mark)], unlisted: Unlisted) -> Result<Self, TooLarge> {
        compile::compile(rules, unlisted)
    }

    /// The state of the document's root.
    #[must_use]
    pub const fn start(&self) -> StateId {
        self.start
    }

    /// The state of the member called `name` (unescaped) of an object in `state`.
    #[must_use]
    #[inline]
    pub fn member(&self, state: StateId, name: &[u8]) -> StateId {
        let table = self.table(state);
        table.names.find(name).unwrap_or(table.other)
    }

    /// The state of the element at `index` of an array in `state`.
    #[must_use]
    #[inline]
    pub fn element(&self, state: StateId, index: u64) -> StateId {
        let stretches = &self.table(state).stretches;
        let after = stretches.partition_point(|stretch| stretch.from <= index);
        let Some(stretch) = after.checked_sub(1).map(|last| &stretches[last]) else {
            return StateId::DEAD;
        };
        if let [only] = *stretch.cycle {
            return only;
        }
        let turn = (index - stretch.from) % stretch.cycle.len() as u64;
        usize::try_from(turn).map_or(StateId::DEAD, |turn| stretch.cycle[turn])
    }

    /// What the place in `state` is for; sorted, without duplicates.
    #[must_use]
    #[inline]
    pub fn marks(&self, state: StateId) -> &[Mark] {
        &self.states[state.0 as usize].marks
    }

    /// Whether no mark can be met beneath this place. It may be marked itself.
    #[must_use]
    #[inline]
    pub fn is_dead(&self, state: StateId) -> bool {
        self.states[state.0 as usize].table == 0
    }

    /// Whether a cell, a count or the list can be met beneath this place.
    #[must_use]
    #[inline]
    pub fn leads_to_cells(&self, state: StateId) -> bool {
        self.table(state).leads_to_cells
    }

    /// Whether a subject's id can be met beneath this place.
    #[must_use]
    #[inline]
    pub fn leads_to_subjects(&self, state: StateId) -> bool {
        self.table(state).leads_to_subjects
    }

    /// What becomes of places without a mark.
    #[must_use]
    pub const fn unlisted(&self) -> Unlisted {
        self.unlisted
    }

    /// The roles whose ids stand in the document, by role.
    #[must_use]
    pub fn subjects(&self) -> &[SubjectPlace] {
        &self.subjects
    }

    /// How many states there are; for reports and tests.
    #[must_use]
    pub fn state_count(&self) -> usize {
        self.states.len()
    }

    #[inline]
    fn table(&self, state: StateId) -> &Table {
        &self.tables[self.states[state.0 as usize].table as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(id: u16) -> Mark {
        Mark::Cell { cell: CellId(id), subtree: false }
    }

    fn compiled(selectors: &[&str]) -> Automaton {
        let rules: Vec<(Selector, Mark)> = selectors
            .iter()
            .enumerate()
            .map(|(id, text)| {
                let selector = Selector::parse(text).expect("a selector");
                (selector, cell(u16::try_from(id).expect("few rules")))
            })
            .collect();
        Automaton::compile(&rules, Unlisted::Remove).expect("small")
    }

    /// A way from the root: names, or positions written as digits.
    fn walk(automaton: &Automaton, way: &str) -> StateId {
        way.split('/').filter(|part| !part.is_empty()).fold(automaton.start(), |state, part| {
            match part.parse() {
                Ok(index) => automaton.element(state, index),
                Err(_) => automaton.member(state, part.as_bytes()),
            }
        })
    }

    #[test]
    fn a_place_is_marked_exactly_if_a_selector_finds_it() {
        let cases: [(&str, &[&str], &[&str]); 12] = [
            ("$", &[""], &["a", "0"]),
            ("$.a.b", &["a/b"], &["", "a", "b", "a/b/b", "b/a", "a/0"]),
            ("$.*", &["a", "0", "7"], &["", "a/a"]),
            ("$..a", &["a", "b/a", "a/a", "3/a", "x/y/0/a"], &["", "b", "a/b"]),
            ("$..*", &["a", "0", "a/b/c"], &[""]),
            ("$..a.b", &["a/b", "x/a/b", "a/a/b"], &["a", "b", "a/x/b"]),
            ("$[1,'a']", &["1", "a"], &["0", "2", "b"]),
            ("$[1:4]", &["1", "3"], &["0", "4", "a"]),
            ("$[2::3]", &["2", "5", "2000000"], &["0", "1", "3", "4", "2000001"]),
            ("$[0:2,5]", &["0", "1", "5"], &["2", "4", "6"]),
            ("$[1:10:113667776004]", &["1"], &["0", "2", "9"]),
            ("$..[1]", &["1", "a/1", "1/1", "0/1"], &["0", "a"]),
        ];
        for (selector, found, missed) in cases {
            let automaton = compiled(&[selector]);
            for way in found {
                assert_eq!(automaton.marks(walk(&automaton, way)), [cell(0)], "{selector} {way}");
            }
            for way in missed {
                assert!(automaton.marks(walk(&automaton, way)).is_empty(), "{selector} {way}");
            }
        }
    }

    #[test]
    fn a_place_found_twice_has_both_marks() {
        let automaton = compiled(&["$.a", "$.*", "$..a"]);
        assert_eq!(automaton.marks(walk(&automaton, "a")), [cell(0), cell(1), cell(2)]);
        assert_eq!(automaton.marks(walk(&automaton, "b")), [cell(1)]);
        assert_eq!(automaton.marks(walk(&automaton, "b/a")), [cell(2)]);
    }

    #[test]
    fn what_leads_to_no_mark_is_dead() {
        let automaton = compiled(&["$.a.b"]);
        for (way, dead) in [("", false), ("a", false), ("a/b", true), ("b", true), ("0", true)] {
            assert_eq!(automaton.is_dead(walk(&automaton, way)), dead, "{way}");
        }
    }

    #[test]
    fn a_thousand_descendant_rules_stay_linear() {
        let selectors: Vec<String> = (0..1000).map(|i| format!("$..name{i}")).collect();
        let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
        assert_eq!(compiled(&selectors).state_count(), 1002);
    }

    #[test]
    fn rules_that_would_need_too_many_states_are_refused() {
        let selectors: Vec<String> = (0..24).map(|i| format!("$..a{}", ".*".repeat(i))).collect();
        let rules: Vec<(Selector, Mark)> = selectors
            .iter()
            .map(|text| (Selector::parse(text).expect("a selector"), cell(0)))
            .collect();
        assert!(Automaton::compile(&rules, Unlisted::Keep).is_err());
        let long_cycle = Selector::parse("$[::9007199254740991]").expect("a selector");
        assert!(Automaton::compile(&[(long_cycle, cell(0))], Unlisted::Keep).is_err());
    }

    #[test]
    fn a_subject_place_knows_whether_it_is_in_an_element_and_whether_it_is_one() {
        let each = Selector::parse("$.data[*]").expect("a selector");
        let within = |text: &str| Selector::parse_within(text, Some(&each)).expect("a selector");
        let rules = [
            (each.clone(), Mark::Each),
            (within("@.id"), Mark::Subject(RoleIndex(0))),
            (within("@.parties[*].id"), Mark::Subject(RoleIndex(1))),
            (within("$.owner"), Mark::Subject(RoleIndex(2))),
        ];
        let automaton = Automaton::compile(&rules, Unlisted::Remove).expect("small");
        let place = |role, within_element, several| SubjectPlace {
            role: RoleIndex(role),
            within_element,
            several,
        };
        assert_eq!(
            automaton.subjects(),
            [place(0, true, false), place(1, true, true), place(2, false, false)]
        );
    }
}
