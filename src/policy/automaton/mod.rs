//! Selectors of one plan as one deterministic automaton over member names and element positions.
//!
//! What each place is for is a [`Mark`]; the engine follows states and reads marks. The automaton is
//! built once by subset construction (`compile.rs`), is immutable from then on, and costs the engine
//! one look-up for each member name of an object from which a mark can still be reached. Everything
//! else is *dead*: no mark lies beneath it, whatever it holds.

mod compile;
mod judge;
mod names;
mod progression;
mod subjects;

pub use names::EntryId;

use names::{Names, Part};

use super::path::Selector;
use super::path::filter::Filter;

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
    /// A rule names this place, and nothing of it leaves here. Changes nothing but what is counted:
    /// what is removed here is withheld and not unknown.
    Listed,
    /// The name of the member that stands here is treated as this cell says: where it cannot leave,
    /// neither does the member. An element of an array has no name.
    Key(CellId),
    /// The name of the member that stands here is the id of a subject.
    KeyOf(RoleIndex),
}

impl Mark {
    /// Whether the id of a subject stands there, as a value or as a name.
    const fn is_id(self) -> bool {
        match self {
            Self::Subject(_) | Self::KeyOf(_) => true,
            Self::Cell { .. } | Self::Count(_) | Self::Each | Self::Key(_) | Self::Listed => false,
        }
    }
}

/// What becomes of members that no selector names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Removed and counted: the gateway's only way.
    Remove,
    /// Copied: `tamis rewrite`, where the rules name what is to be changed.
    Keep,
}

/// Why selectors that are each usable cannot be used together, or not for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The automaton would be larger than the bound allows.
    #[error("compiling these selectors together takes more than {bound} steps")]
    TooLarge {
        /// The bound.
        bound: usize,
    },
    /// Each further filter doubles the outcomes.
    #[error("more than {bound} filters look at the same value")]
    TooManyFilters {
        /// The bound.
        bound: usize,
    },
    /// Whose data they are, and how many, may not depend on what the value says of itself.
    #[error("a filter stands in, or above, the selector of a list, a subject, a name or a count")]
    FilteredAnchor,
}

/// Filters that are judged together, since they look at the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuardId(u32);

/// What a guard's filters say of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truths(Option<u8>);

impl Truths {
    /// Of a value that cannot be judged: too big to be held, or broken off. The strictest.
    pub const UNDECIDED: Self = Self(None);
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
    states: Box<[State]>,
    tables: Box<[Table]>,
    names: Names,
    guards: Box<[Guard]>,
    start: StateId,
    unlisted: Unlisted,
    subjects: Vec<SubjectPlace>,
}

/// Distinct filters, with the state for each set of those that hold (by its bits), and behind these
/// the state for the case that one of them is undecided.
#[derive(Debug)]
struct Guard {
    filters: Box<[Filter]>,
    outcomes: Box<[StateId]>,
}

#[derive(Debug)]
struct State {
    marks: Box<[Mark]>,
    doubtful: Box<[Mark]>,
    guard: Option<GuardId>,
    /// Index into `tables`; the table at 0 leads nowhere.
    table: u32,
}

/// Where to go from a state. States with the same unfinished selectors share one table, and tables
/// with the same descendant selectors share what these say: each holds its own names only and falls
/// back on the table of the descendants alone.
#[derive(Debug)]
struct Table {
    names: Part,
    /// The table that is asked next; 0, which knows no name, where there is none.
    base: u32,
    /// Members of any other name.
    other: StateId,
    /// Element positions as stretches: from a first index on, the states repeat in a cycle. Empty:
    /// those of `base`.
    stretches: Box<[Stretch]>,
    leads_to_cells: bool,
    leads_to_subjects: bool,
    leads_to_listed: bool,
}

impl Table {
    /// Leads nowhere, until it is filled in.
    fn nowhere() -> Self {
        Self {
            names: Part::default(),
            base: 0,
            other: StateId::DEAD,
            stretches: Box::default(),
            leads_to_cells: false,
            leads_to_subjects: false,
            leads_to_listed: false,
        }
    }
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
    /// [`CompileError`], any of them.
    pub fn compile(rules: &[(Selector, Mark)], unlisted: Unlisted) -> Result<Self, CompileError> {
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
        self.find(state, name).map_or_else(|| self.other(state), |entry| self.entry_state(entry))
    }

    /// The entry of the member called `name` (unescaped) of an object in `state`; `None`: the member
    /// is in [`other`](Self::other).
    #[must_use]
    #[inline]
    pub fn find(&self, state: StateId, name: &[u8]) -> Option<EntryId> {
        let table = self.table(state);
        let own = self.names.find(&table.names, name);
        if own.is_some() || table.base == 0 {
            return own;
        }
        self.names.find(&self.tables[table.base as usize].names, name)
    }

    /// The state of members that [`find`](Self::find) has no entry for, of an object in `state`.
    #[must_use]
    #[inline]
    pub fn other(&self, state: StateId) -> StateId {
        self.table(state).other
    }

    /// The state of the member that an entry names.
    #[must_use]
    #[inline]
    pub fn entry_state(&self, entry: EntryId) -> StateId {
        self.names.state(entry)
    }

    /// The member name of an entry, unescaped.
    #[must_use]
    #[inline]
    pub fn entry_name(&self, entry: EntryId) -> &[u8] {
        self.names.name(entry)
    }

    /// One way in which JSON spells the name, with its quotes; the only one without an escape, if
    /// there is one. Raw text that ends so at a closing quote is this member, unless its first quote
    /// is itself escaped; raw text that does not may still spell the name with escapes.
    #[must_use]
    #[inline]
    pub fn entry_quoted(&self, entry: EntryId) -> &[u8] {
        self.names.quoted(entry)
    }

    /// The state of the element at `index` of an array in `state`.
    #[must_use]
    #[inline]
    pub fn element(&self, state: StateId, index: u64) -> StateId {
        let mut table = self.table(state);
        if table.stretches.is_empty() {
            table = &self.tables[table.base as usize];
        }
        let stretches = &table.stretches;
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

    /// Whether the name of the member at this place says something about a person.
    #[must_use]
    #[inline]
    pub fn is_keyed(&self, state: StateId) -> bool {
        self.marks(state).iter().any(|mark| matches!(mark, Mark::Key(_) | Mark::KeyOf(_)))
    }

    /// Marks that hold in one of two cases which the value leaves open. They tighten what
    /// [`marks`](Self::marks) say and permit nothing: the place is treated as `marks` alone say, or
    /// as both say together, whichever is stricter. Sorted; none is also in `marks`.
    #[must_use]
    #[inline]
    pub fn doubtful(&self, state: StateId) -> &[Mark] {
        &self.states[state.0 as usize].doubtful
    }

    /// The filters that decide what the place in `state` is: it cannot be treated, nor walked into,
    /// before its value has been [judged](Self::judge) and the state [resolved](Self::resolved).
    /// Values within it may be guarded again, at most once for each filter of one selector.
    #[must_use]
    #[inline]
    pub fn guard(&self, state: StateId) -> Option<GuardId> {
        self.states[state.0 as usize].guard
    }

    /// What the guard's filters say of the value whose text is `value`. It has been checked to be
    /// JSON; if it is none, the answer is undecided. Each filter reads the value once for each
    /// place that it names.
    #[must_use]
    pub fn judge(&self, guard: GuardId, value: &[u8]) -> Truths {
        let value = value.trim_ascii();
        let mut bits = 0;
        for (bit, filter) in self.guards[guard.0 as usize].filters.iter().enumerate() {
            match judge::judge(filter, value) {
                Some(true) => bits |= 1 << bit,
                Some(false) => {}
                None => return Truths::UNDECIDED,
            }
        }
        Truths(Some(bits))
    }

    /// The state of a guarded place whose value has been judged; `state` itself if it has no guard.
    #[must_use]
    pub fn resolved(&self, state: StateId, truths: Truths) -> StateId {
        let Some(guard) = self.guard(state) else { return state };
        let outcomes = &self.guards[guard.0 as usize].outcomes;
        let undecided = outcomes.len() - 1;
        outcomes[truths.0.map_or(undecided, |bits| undecided.min(usize::from(bits)))]
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

    /// Whether a place that a rule names, and of which nothing leaves, can be met beneath this one, other
    /// than at any depth.
    #[must_use]
    #[inline]
    pub fn leads_to_listed(&self, state: StateId) -> bool {
        self.table(state).leads_to_listed
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
    fn an_entry_says_its_name_and_leads_where_the_member_leads() {
        let automaton = compiled(&["$..a", "$..b.c", "$.b['d\\\\e']"]);
        let state = walk(&automaton, "b");
        for (name, quoted) in [("a", r#""a""#), ("c", r#""c""#), ("d\\e", r#""d\\e""#)] {
            let entry = automaton.find(state, name.as_bytes()).expect("an entry");
            assert_eq!(automaton.entry_name(entry), name.as_bytes());
            assert_eq!(automaton.entry_quoted(entry), quoted.as_bytes());
            assert_eq!(automaton.entry_state(entry), automaton.member(state, name.as_bytes()));
            assert!(!automaton.marks(automaton.entry_state(entry)).is_empty(), "{name}");
        }
        assert_eq!(automaton.find(state, b"e"), None);
        assert_eq!(automaton.other(state), automaton.member(state, b"e"));
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
