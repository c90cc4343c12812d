//! Subset construction.
//!
//! A place in a document is described by the set of *positions* (selector, segments done) that the
//! way to it can stand for. Finished positions give the place its marks; unfinished ones say where
//! to go from it. A position before a descendant segment (`..`) stays for everything beneath: the
//! set of these is a place's *ground*, and is held once however many places stand on it. So a place
//! is its marks, its ground and the few positions of its own, and a thousand `$..name` cost a
//! thousand steps and not a million.
//!
//! Where a filter stands, it depends on the value which positions are reached. Such a place is a
//! state with a *guard*, which knows the ordinary state for every outcome. For the outcome that is
//! undecided, positions go on in doubt, and so do their marks (docs/decisions/0007-filters.md).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::names::NamesBuilder;
use super::progression::{Progression, common_multiple};
use super::subjects::subjects;
use super::{
    Automaton, CompileError, Guard, GuardId, Mark, State, StateId, Stretch, Table, Unlisted,
};
use crate::policy::path::filter::Filter;
use crate::policy::path::{PathSegment, Selector, Step};

/// Most positions that one compilation may look at, which bounds states, transitions, memory (some
/// 20 MB) and time (a quarter of a second) together. A policy that needs more has selectors which
/// multiply (`$..a.*.*.*…`); a thousand ordinary ones need some thousands.
const BOUND: usize = 1 << 19;

/// Longest cycle of element positions: the least common multiple of all steps of one union.
const LONGEST_CYCLE: u64 = 1 << 12;

/// Most filters that one value is judged by: each doubles the outcomes.
const MOST_FILTERS: usize = 8;

/// Selector, segments done, and whether a filter on the way was undecided. Sorted, what is certain
/// comes before the same in doubt.
type Position = (u32, u32, Doubt);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Doubt {
    Certain,
    Doubtful,
}

/// A position that is reached if the filter of this number holds.
type Filtered = (u32, Position);

/// What makes a state: table, certain marks, doubtful marks.
type Marked = (u32, Box<[Mark]>, Box<[Mark]>);

/// What makes a guarded state: ground, positions reached in any case, positions that depend.
type Guarded = (usize, Box<[Position]>, Box<[Filtered]>);

pub(super) fn compile(
    rules: &[(Selector, Mark)],
    unlisted: Unlisted,
) -> Result<Automaton, CompileError> {
    Builder::new(rules).run(unlisted).map(|(automaton, _)| automaton)
}

/// Positions that stay for everything beneath, with where they lead.
struct Ground<'a> {
    /// Sorted.
    positions: Box<[Position]>,
    leads: Leads<'a>,
}

/// Where a set of positions leads, besides to the positions that stay.
#[derive(Default)]
struct Leads<'a> {
    named: BTreeMap<&'a str, Vec<Position>>,
    /// By any name and to any element.
    anywhere: Vec<Position>,
    placed: Vec<(Progression, Position)>,
    /// By any name and to any element whose value a filter holds for.
    filtered: Vec<Filtered>,
    to_cells: bool,
    to_subjects: bool,
    to_listed: bool,
}

struct Builder<'a> {
    rules: &'a [(Selector, Mark)],
    states: Vec<State>,
    known_states: HashMap<Marked, StateId>,
    tables: Vec<Table>,
    known_tables: HashMap<(usize, Box<[Position]>), u32>,
    unbuilt: Vec<(u32, usize, Box<[Position]>)>,
    /// The empty one comes first.
    grounds: Vec<Rc<Ground<'a>>>,
    known_grounds: HashMap<Box<[Position]>, usize>,
    names: NamesBuilder<'a>,
    guards: Vec<Guard>,
    known_guards: HashMap<Guarded, StateId>,
    filters: Vec<&'a Filter>,
    known_filters: HashMap<&'a Filter, u32>,
    steps: usize,
}

impl<'a> Builder<'a> {
    fn new(rules: &'a [(Selector, Mark)]) -> Self {
        let nothing = Ground { positions: Box::default(), leads: Leads::default() };
        Self {
            rules,
            states: Vec::new(),
            known_states: HashMap::new(),
            tables: Vec::new(),
            known_tables: HashMap::new(),
            unbuilt: Vec::new(),
            grounds: vec![Rc::new(nothing)],
            known_grounds: HashMap::from([(Box::default(), 0)]),
            names: NamesBuilder::default(),
            guards: Vec::new(),
            known_guards: HashMap::new(),
            filters: Vec::new(),
            known_filters: HashMap::new(),
            steps: 0,
        }
    }

    /// The automaton, and how many steps it took.
    fn run(mut self, unlisted: Unlisted) -> Result<(Automaton, usize), CompileError> {
        if self.rules.iter().any(|(selector, mark)| selector.has_filter() && !is_cell(*mark)) {
            return Err(CompileError::FilteredAnchor);
        }
        // The dead state comes first: `StateId::DEAD` and table 0 name it.
        self.state(0, [])?;
        let start =
            self.state(0, (0..).zip(self.rules).map(|(rule, _)| (rule, 0, Doubt::Certain)))?;
        while let Some((table, ground, own)) = self.unbuilt.pop() {
            self.tables[table as usize] = self.table(ground, &own)?;
        }
        let automaton = Automaton {
            states: self.states.into(),
            tables: self.tables.into(),
            names: self.names.finish(),
            guards: self.guards.into(),
            start,
            unlisted,
            subjects: subjects(self.rules),
        };
        Ok((automaton, self.steps))
    }

    fn count(&mut self, steps: usize) -> Result<(), CompileError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > BOUND { Err(CompileError::TooLarge { bound: BOUND }) } else { Ok(()) }
    }

    fn segment(&self, (rule, done, _): Position) -> Option<&'a PathSegment> {
        self.rules[rule as usize].0.segments.get(done as usize)
    }

    /// The state one step away from a place on `ground` by the positions that this step leads to.
    fn state(
        &mut self,
        ground: usize,
        reached: impl IntoIterator<Item = Position>,
    ) -> Result<StateId, CompileError> {
        self.count(1)?;
        let (mut marks, mut doubtful) = (Vec::new(), Vec::new());
        let (mut own, mut staying) = (Vec::new(), Vec::new());
        for position in reached {
            self.count(1)?;
            match (self.segment(position), position.2) {
                (None, Doubt::Certain) => marks.push(self.rules[position.0 as usize].1),
                (None, Doubt::Doubtful) => doubtful.push(self.rules[position.0 as usize].1),
                (Some(segment), _) if segment.descendant => staying.push(position),
                (Some(_), _) => own.push(position),
            }
        }
        let ground = self.ground(ground, staying)?;
        let table = self.table_of(ground, positions(own))?;
        self.marked(table, marks, doubtful)
    }

    /// The state with this table and these marks, made if it is new.
    fn marked(
        &mut self,
        table: u32,
        marks: Vec<Mark>,
        mut doubtful: Vec<Mark>,
    ) -> Result<StateId, CompileError> {
        let marks = sorted(marks);
        doubtful.retain(|mark| marks.binary_search(mark).is_err());
        let key = (table, marks, sorted(doubtful));
        if let Some(state) = self.known_states.get(&key) {
            return Ok(*state);
        }
        let state = StateId(id(self.states.len())?);
        self.states.push(State {
            marks: key.1.clone(),
            doubtful: key.2.clone(),
            guard: None,
            table,
        });
        self.known_states.insert(key, state);
        Ok(state)
    }

    /// The state that is reached by `named` besides all that leads to `other`. Where `named` only
    /// adds marks, the positions that `other` stands for are not looked at again: a thousand names
    /// beside a thousand positions would be a million.
    fn beside(
        &mut self,
        other: StateId,
        ground: usize,
        named: &[Position],
        anywhere: &[Position],
        filtered: &[Filtered],
    ) -> Result<StateId, CompileError> {
        if !filtered.is_empty() || named.iter().any(|position| self.segment(*position).is_some()) {
            let reached = named.iter().chain(anywhere).copied();
            return self.guarded(ground, reached, filtered);
        }
        let State { marks, doubtful, table, .. } = &self.states[other.index()];
        let (table, mut marks, mut doubtful) = (*table, marks.to_vec(), doubtful.to_vec());
        self.count(1 + named.len() + marks.len() + doubtful.len())?;
        for (rule, _, doubt) in named {
            let mark = self.rules[*rule as usize].1;
            match doubt {
                Doubt::Certain => marks.push(mark),
                Doubt::Doubtful => doubtful.push(mark),
            }
        }
        self.marked(table, marks, doubtful)
    }

    /// As [`state`](Self::state), where besides these some positions are reached only by values of
    /// which a filter holds.
    fn guarded(
        &mut self,
        ground: usize,
        reached: impl IntoIterator<Item = Position>,
        filtered: &[Filtered],
    ) -> Result<StateId, CompileError> {
        if filtered.is_empty() {
            return self.state(ground, reached);
        }
        let reached = positions(reached.into_iter().collect());
        let filtered = sorted(filtered.to_vec());
        self.count(reached.len() + filtered.len())?;
        let key = (ground, reached, filtered);
        if let Some(state) = self.known_guards.get(&key) {
            return Ok(*state);
        }
        let (_, reached, filtered) = &key;
        let mut filters: Vec<u32> = filtered.iter().map(|(filter, _)| *filter).collect();
        filters.dedup();
        if filters.len() > MOST_FILTERS {
            return Err(CompileError::TooManyFilters { bound: MOST_FILTERS });
        }
        // What is held back may hold no list, no id and no count.
        let standing = Rc::clone(&self.grounds[ground]);
        let mut all = standing.positions.iter().chain(reached);
        if all.any(|(rule, ..)| !is_cell(self.rules[*rule as usize].1)) {
            return Err(CompileError::FilteredAnchor);
        }
        let mut outcomes = Vec::with_capacity((1 << filters.len()) + 1);
        for bits in 0_usize..1 << filters.len() {
            let holds = |filter| {
                filters.iter().position(|f| f == filter).is_some_and(|bit| bits >> bit & 1 == 1)
            };
            self.count(filtered.len())?;
            let selected = filtered.iter().filter(|(filter, _)| holds(filter)).map(|(_, to)| *to);
            outcomes.push(self.state(ground, reached.iter().copied().chain(selected))?);
        }
        let in_doubt = filtered.iter().map(|(_, (rule, done, _))| (*rule, *done, Doubt::Doubtful));
        let undecided = self.state(ground, reached.iter().copied().chain(in_doubt))?;
        outcomes.push(undecided);
        let guard = GuardId(id(self.guards.len())?);
        let filters = filters.iter().map(|filter| self.filters[*filter as usize].clone()).collect();
        self.guards.push(Guard { filters, outcomes: outcomes.into() });
        // Who overlooks the guard finds the undecided place, which is never too lax.
        let State { marks, doubtful, table, .. } = &self.states[undecided.index()];
        let state = State {
            marks: marks.clone(),
            doubtful: doubtful.clone(),
            guard: Some(guard),
            table: *table,
        };
        let at = StateId(id(self.states.len())?);
        self.states.push(state);
        self.known_guards.insert(key, at);
        Ok(at)
    }

    /// The ground with further positions.
    fn ground(&mut self, ground: usize, mut more: Vec<Position>) -> Result<usize, CompileError> {
        let known = Rc::clone(&self.grounds[ground]);
        more.retain(|position| known.positions.binary_search(position).is_err());
        if more.is_empty() {
            return Ok(ground);
        }
        self.count(known.positions.len())?;
        more.extend(&known.positions);
        let positions = positions(more);
        if let Some(ground) = self.known_grounds.get(&positions) {
            return Ok(*ground);
        }
        let leads = self.leads(&positions)?;
        let ground = self.grounds.len();
        self.known_grounds.insert(positions.clone(), ground);
        self.grounds.push(Rc::new(Ground { positions, leads }));
        Ok(ground)
    }

    fn leads(&mut self, positions: &[Position]) -> Result<Leads<'a>, CompileError> {
        let mut leads = Leads::default();
        for position in positions {
            let Some(segment) = self.segment(*position) else { continue };
            self.count(segment.steps.len())?;
            // Every unfinished selector can be finished: none of its steps is empty.
            match self.rules[position.0 as usize].1 {
                // What could stand anywhere makes nothing that it stands in known.
                Mark::Listed => leads.to_listed |= !segment.descendant,
                mark if mark.is_id() => leads.to_subjects = true,
                _ => leads.to_cells = true,
            }
            let next = (position.0, position.1 + 1, position.2);
            for step in &segment.steps {
                match step {
                    Step::Wildcard => leads.anywhere.push(next),
                    Step::Name(name) => leads.named.entry(name).or_default().push(next),
                    Step::Index(index) => leads.placed.push((Progression::one(*index), next)),
                    Step::Slice { start, end, step } => {
                        leads.placed.push((Progression::new(*start, *end, *step), next));
                    }
                    Step::Filter(filter) => leads.filtered.push((self.filter(filter)?, next)),
                }
            }
        }
        Ok(leads)
    }

    fn filter(&mut self, filter: &'a Filter) -> Result<u32, CompileError> {
        if let Some(number) = self.known_filters.get(filter) {
            return Ok(*number);
        }
        let number = id(self.filters.len())?;
        self.filters.push(filter);
        self.known_filters.insert(filter, number);
        Ok(number)
    }

    /// The table for a ground and positions of its own; filled in later, since it may lead to states
    /// that lead back to it.
    fn table_of(&mut self, ground: usize, own: Box<[Position]>) -> Result<u32, CompileError> {
        let key = (ground, own);
        if let Some(table) = self.known_tables.get(&key) {
            return Ok(*table);
        }
        let table = id(self.tables.len())?;
        self.tables.push(Table::nowhere());
        self.unbuilt.push((table, ground, key.1.clone()));
        self.known_tables.insert(key, table);
        Ok(table)
    }

    fn table(&mut self, ground: usize, own: &[Position]) -> Result<Table, CompileError> {
        let below = Rc::clone(&self.grounds[ground]);
        let below = &below.leads;
        let own_leads = self.leads(own)?;
        // What the own positions say of some names only leaves all others to the ground's table.
        let leans =
            !own.is_empty() && own_leads.anywhere.is_empty() && own_leads.filtered.is_empty();
        let base = if leans { self.table_of(ground, Box::default())? } else { 0 };
        let anywhere: Vec<Position> =
            below.anywhere.iter().chain(&own_leads.anywhere).copied().collect();
        // Filters never stand behind `..`, so that the ground has none.
        let filtered = &own_leads.filtered;
        let mut names: BTreeSet<&'a str> = own_leads.named.keys().copied().collect();
        if !leans {
            names.extend(below.named.keys());
        }
        let other = self.guarded(ground, anywhere.iter().copied(), filtered)?;
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let steps = [below.named.get(name), own_leads.named.get(name)];
            let steps: Vec<Position> = steps.into_iter().flatten().flatten().copied().collect();
            members.push((name, self.beside(other, ground, &steps, &anywhere, filtered)?));
        }
        let stretches = if leans && own_leads.placed.is_empty() {
            Box::default()
        } else {
            let placed = below.placed.iter().chain(&own_leads.placed).copied().collect();
            self.stretches(ground, other, &anywhere, placed, filtered)?
        };
        Ok(Table {
            names: self.names.add(&members).ok_or(CompileError::TooLarge { bound: BOUND })?,
            base,
            other,
            stretches,
            leads_to_cells: below.to_cells || own_leads.to_cells,
            leads_to_subjects: below.to_subjects || own_leads.to_subjects,
            leads_to_listed: below.to_listed || own_leads.to_listed,
        })
    }

    /// Element positions: between two ends of progressions the states repeat.
    fn stretches(
        &mut self,
        ground: usize,
        other: StateId,
        anywhere: &[Position],
        mut placed: Vec<(Progression, Position)>,
        filtered: &[Filtered],
    ) -> Result<Box<[Stretch]>, CompileError> {
        placed.sort_by_key(|(progression, _)| progression.start);
        let mut borders = BTreeSet::from([0]);
        for (progression, _) in &placed {
            borders.insert(progression.start);
            borders.extend(progression.end);
        }
        let mut coming = placed.into_iter().peekable();
        let mut covering: Vec<(Progression, Position)> = Vec::new();
        let mut stretches = Vec::with_capacity(borders.len());
        for from in borders {
            while let Some(begun) = coming.next_if(|(progression, _)| progression.start == from) {
                covering.push(begun);
            }
            self.count(covering.len() + 1)?;
            covering.retain(|(progression, _)| progression.covers(from));
            let period = covering
                .iter()
                .try_fold(1, |period, (progression, _)| {
                    common_multiple(period, progression.step).filter(|n| *n <= LONGEST_CYCLE)
                })
                .ok_or(CompileError::TooLarge { bound: BOUND })?;
            let mut cycle = Vec::new();
            for index in from..from + period {
                self.count(covering.len())?;
                let hit: Vec<Position> = covering
                    .iter()
                    .filter(|(progression, _)| progression.hits(index))
                    .map(|(_, target)| *target)
                    .collect();
                cycle.push(self.beside(other, ground, &hit, anywhere, filtered)?);
            }
            stretches.push(Stretch { from, cycle: cycle.into() });
        }
        Ok(stretches.into())
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Box<[T]> {
    items.sort_unstable();
    items.dedup();
    items.into()
}

/// Sorted; what is certain is not also in doubt.
fn positions(mut all: Vec<Position>) -> Box<[Position]> {
    all.sort_unstable();
    all.dedup_by_key(|(rule, done, _)| (*rule, *done));
    all.into()
}

/// What may stand in a value that is held back until its filters are judged.
const fn is_cell(mark: Mark) -> bool {
    matches!(mark, Mark::Cell { .. } | Mark::Listed)
}

fn id(index: usize) -> Result<u32, CompileError> {
    u32::try_from(index).map_err(|_| CompileError::TooLarge { bound: BOUND })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::automaton::CellId;

    fn rules(texts: impl IntoIterator<Item = String>) -> Vec<(Selector, Mark)> {
        (0..)
            .zip(texts)
            .map(|(cell, text)| {
                let selector = Selector::parse(&text).expect("a selector");
                (selector, Mark::Cell { cell: CellId(cell), subtree: cell % 7 == 0 })
            })
            .collect()
    }

    fn catalogue() -> Vec<String> {
        (0..42).map(|leaf| format!("$.data[*].part{}.leaf{leaf}", leaf % 6)).collect()
    }

    /// A step is one position looked at. Time follows steps, and unlike time they are the same on
    /// every machine.
    #[test]
    fn the_work_for_a_thousand_rules_grows_with_the_rules_and_not_with_their_square() {
        type Shape = (&'static str, fn(usize) -> String);
        let shapes: [Shape; 6] = [
            ("one name anywhere", |n| format!("$..name{n}")),
            ("a name beneath one anywhere", |n| format!("$..a.name{n}")),
            ("one beneath a name anywhere", |n| format!("$..name{n}.a")),
            ("four deep", |n| format!("$.a{}.b{}.c{}.name{n}", n % 10, n % 7, n % 3)),
            ("an element each", |n| format!("$.list[{n}].name")),
            ("mixed", |n| match n % 3 {
                0 => format!("$..name{n}"),
                1 => format!("$.data[*].part{}.name{n}", n % 6),
                _ => format!("$.meta.*.name{n}"),
            }),
        ];
        for (shape, rule) in shapes {
            let steps = |count: usize| {
                let rules = rules((0..count).map(rule).chain(catalogue()));
                let built = Builder::new(&rules).run(Unlisted::Remove);
                built.unwrap_or_else(|e| panic!("{shape}: {e}")).1
            };
            let (hundred, thousand) = (steps(100), steps(1000));
            assert!(thousand < 12 * hundred, "{shape}: {hundred} steps, then {thousand}");
            // Beneath `data` each name found anywhere comes together with all 42 leaves.
            assert!(thousand < 4 * 42 * 1000, "{shape}: {thousand} steps");
        }
    }

    #[test]
    fn a_thousand_descendant_rules_share_one_table() {
        let rules = rules((0..1000).map(|n| format!("$..name{n}")));
        let (automaton, _) = Builder::new(&rules).run(Unlisted::Remove).expect("linear");
        assert_eq!(automaton.states.len(), 1002);
        assert_eq!(automaton.tables.len(), 2);
    }

    #[test]
    fn selectors_that_multiply_are_refused_at_the_bound() {
        let wild = |n: usize| format!("$..a{}", ".*".repeat(n));
        let crossed = |n: usize| format!("$..name{n}.*.b");
        let nested = |n: usize| format!("$..name{n}..b");
        for texts in [
            (0..24).map(wild).collect::<Vec<_>>(),
            (0..1000).map(crossed).collect(),
            (0..24).map(nested).collect(),
            vec!["$[::9007199254740991]".to_owned()],
            vec!["$[::4093]".to_owned(), "$[::4091]".to_owned()],
        ] {
            let refused = Builder::new(&rules(texts.clone())).run(Unlisted::Keep);
            assert_eq!(
                refused.map(|(_, steps)| steps),
                Err(CompileError::TooLarge { bound: BOUND }),
                "{texts:?}"
            );
        }
    }

    /// The whole of the tables against the definition: a place's marks are those of the selectors
    /// that find it, followed one by one.
    #[test]
    fn together_selectors_find_what_each_finds_alone() {
        let texts = [
            "$..a",
            "$..b.c",
            "$..a..c",
            "$.b.*",
            "$..*.a",
            "$..[1].b",
            "$.b[0:2].a",
            "$..c[::2]",
            "$.a.b.c",
            "$..b['a','c',1]",
        ];
        let all = rules(texts.map(str::to_owned));
        let (together, _) = Builder::new(&all).run(Unlisted::Remove).expect("small");
        let alone: Vec<Automaton> = all
            .iter()
            .map(|rule| compile(std::slice::from_ref(rule), Unlisted::Remove).expect("small"))
            .collect();
        let steps = ["a", "b", "c", "x", "0", "1", "2"];
        for way in 0..steps.len().pow(5) {
            let mut way = way;
            let mut state = together.start();
            let mut states: Vec<StateId> = alone.iter().map(Automaton::start).collect();
            for _ in 0..5 {
                let step = steps[way % steps.len()];
                way /= steps.len();
                let take = |automaton: &Automaton, state| match step.parse() {
                    Ok(index) => automaton.element(state, index),
                    Err(_) => automaton.member(state, step.as_bytes()),
                };
                state = take(&together, state);
                for (automaton, state) in alone.iter().zip(&mut states) {
                    *state = take(automaton, *state);
                }
                let separate: Vec<Mark> = alone
                    .iter()
                    .zip(&states)
                    .flat_map(|(automaton, state)| automaton.marks(*state).to_vec())
                    .collect();
                assert_eq!(together.marks(state), separate);
                let dead = alone.iter().zip(&states).all(|(one, state)| one.is_dead(*state));
                assert_eq!(together.is_dead(state), dead);
            }
        }
    }
}
