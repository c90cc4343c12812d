//! Subset construction.
//!
//! A place in a document is described by the set of *positions* (selector, segments done) that the
//! way to it can stand for. Finished positions give the place its marks; unfinished ones say where
//! to go from it. Two places with equal marks and equal unfinished positions are one state.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Automaton, Mark, Names, State, StateId, Stretch, SubjectPlace, Table, TooLarge, Unlisted,
};
use crate::policy::path::{PathSegment, Selector, Step};

/// Most positions that one compilation may look at, which bounds states, transitions, memory and
/// time (well under a second) together. A policy that needs more has selectors which multiply
/// (`$..a.*.*.*…`); real ones stay under ten thousand, and a thousand `$..name` need a million.
const BOUND: usize = 1 << 21;

/// Longest cycle of element positions: the least common multiple of all steps of one union.
const LONGEST_CYCLE: u64 = 1 << 12;

/// (selector, segments done).
type Position = (u32, u32);
type Positions = BTreeSet<Position>;

pub(super) fn compile(
    rules: &[(Selector, Mark)],
    unlisted: Unlisted,
) -> Result<Automaton, TooLarge> {
    let mut builder = Builder {
        rules,
        states: Vec::new(),
        known_states: HashMap::new(),
        tables: Vec::new(),
        known_tables: HashMap::new(),
        unbuilt: Vec::new(),
        looked_at: 0,
    };
    // The dead state comes first: `StateId::DEAD` and table 0 name it.
    builder.state(&Positions::new())?;
    let start = builder.state(&(0..).zip(rules).map(|(rule, _)| (rule, 0)).collect())?;
    while let Some((table, positions)) = builder.unbuilt.pop() {
        builder.tables[table] = builder.table(&positions)?;
    }
    Ok(Automaton {
        states: builder.states,
        tables: builder.tables,
        start,
        unlisted,
        subjects: subjects(rules),
    })
}

struct Builder<'a> {
    rules: &'a [(Selector, Mark)],
    states: Vec<State>,
    known_states: HashMap<(u32, Box<[Mark]>), StateId>,
    tables: Vec<Table>,
    known_tables: HashMap<Positions, u32>,
    unbuilt: Vec<(usize, Positions)>,
    looked_at: usize,
}

impl Builder<'_> {
    fn segments(&self, rule: u32) -> &[PathSegment] {
        &self.rules[rule as usize].0.segments
    }

    /// The state for a set of positions, made if it is new.
    fn state(&mut self, positions: &Positions) -> Result<StateId, TooLarge> {
        self.looked_at += positions.len() + 1;
        if self.looked_at > BOUND {
            return Err(TooLarge { bound: BOUND });
        }
        let mut marks = BTreeSet::new();
        let mut unfinished = Positions::new();
        for &(rule, done) in positions {
            if done as usize == self.segments(rule).len() {
                marks.insert(self.rules[rule as usize].1);
            } else {
                unfinished.insert((rule, done));
            }
        }
        let table = if let Some(table) = self.known_tables.get(&unfinished) {
            *table
        } else {
            let index = self.tables.len();
            let table = id(index)?;
            self.known_tables.insert(unfinished.clone(), table);
            // Filled in later: a table may lead to states that lead back to it.
            self.tables.push(Table {
                names: Names::new(std::iter::empty()),
                other: StateId::DEAD,
                stretches: Vec::new(),
                leads_to_cells: false,
                leads_to_subjects: false,
            });
            self.unbuilt.push((index, unfinished));
            table
        };
        let key = (table, marks.into_iter().collect::<Box<[Mark]>>());
        if let Some(state) = self.known_states.get(&key) {
            return Ok(*state);
        }
        let state = StateId(id(self.states.len())?);
        self.states.push(State { marks: key.1.clone(), table });
        self.known_states.insert(key, state);
        Ok(state)
    }

    fn table(&mut self, positions: &Positions) -> Result<Table, TooLarge> {
        let mut anywhere = Positions::new();
        let mut named: BTreeMap<&str, Positions> = BTreeMap::new();
        let mut placed: Vec<(Progression, Position)> = Vec::new();
        let rules = self.rules;
        for &(rule, done) in positions {
            let segment = &rules[rule as usize].0.segments[done as usize];
            let next = (rule, done + 1);
            if segment.descendant {
                anywhere.insert((rule, done));
            }
            for step in &segment.steps {
                match step {
                    Step::Wildcard => {
                        anywhere.insert(next);
                    }
                    Step::Name(name) => {
                        named.entry(name).or_default().insert(next);
                    }
                    Step::Index(index) => placed.push((Progression::one(*index), next)),
                    Step::Slice { start, end, step } => {
                        placed.push((Progression::new(*start, *end, *step), next));
                    }
                }
            }
        }
        let other = self.state(&anywhere)?;
        let mut members = Vec::with_capacity(named.len());
        for (name, mut targets) in named {
            targets.extend(&anywhere);
            members.push((Box::from(name.as_bytes()), self.state(&targets)?));
        }
        Ok(Table {
            names: Names::new(members.into_iter()),
            other,
            stretches: self.stretches(&anywhere, &placed)?,
            // Every unfinished selector can be finished: none of its steps is empty.
            leads_to_cells: self.leads_to(positions, |mark| !matches!(mark, Mark::Subject(_))),
            leads_to_subjects: self.leads_to(positions, |mark| matches!(mark, Mark::Subject(_))),
        })
    }

    fn leads_to(&self, unfinished: &Positions, wanted: impl Fn(Mark) -> bool) -> bool {
        unfinished.iter().any(|(rule, _)| wanted(self.rules[*rule as usize].1))
    }

    /// Element positions: between two ends of progressions the states repeat.
    fn stretches(
        &mut self,
        anywhere: &Positions,
        placed: &[(Progression, Position)],
    ) -> Result<Vec<Stretch>, TooLarge> {
        let mut borders = BTreeSet::from([0]);
        for (progression, _) in placed {
            borders.insert(progression.start);
            borders.extend(progression.end);
        }
        let mut stretches = Vec::with_capacity(borders.len());
        for from in borders {
            let covering: Vec<&(Progression, Position)> =
                placed.iter().filter(|(progression, _)| progression.covers(from)).collect();
            let period = covering
                .iter()
                .try_fold(1, |period, (progression, _)| {
                    common_multiple(period, progression.step).filter(|n| *n <= LONGEST_CYCLE)
                })
                .ok_or(TooLarge { bound: BOUND })?;
            let mut cycle = Vec::new();
            for index in from..from + period {
                let mut targets = anywhere.clone();
                targets.extend(
                    covering
                        .iter()
                        .filter(|(progression, _)| progression.hits(index))
                        .map(|(_, target)| *target),
                );
                cycle.push(self.state(&targets)?);
            }
            stretches.push(Stretch { from, cycle: cycle.into() });
        }
        Ok(stretches)
    }
}

fn id(index: usize) -> Result<u32, TooLarge> {
    u32::try_from(index).map_err(|_| TooLarge { bound: BOUND })
}

/// `start, start + step, …` below `end`.
struct Progression {
    start: u64,
    end: Option<u64>,
    step: u64,
}

impl Progression {
    const fn one(index: u64) -> Self {
        Self { start: index, end: Some(index + 1), step: 1 }
    }

    /// A slice of which only the first can lie below its end is that one position: so that no step
    /// is ever longer than its stretch.
    fn new(start: u64, end: Option<u64>, step: u64) -> Self {
        match end {
            Some(end) if step >= end.saturating_sub(start) => Self::one(start),
            _ => Self { start, end, step },
        }
    }

    fn covers(&self, index: u64) -> bool {
        self.start <= index && self.end.is_none_or(|end| index < end)
    }

    const fn hits(&self, index: u64) -> bool {
        (index - self.start).is_multiple_of(self.step)
    }
}

fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}

/// Where each role's ids stand. A place is within an element if its selector continues that of the
/// list by the letter; it is one place if what follows is singular.
fn subjects(rules: &[(Selector, Mark)]) -> Vec<SubjectPlace> {
    let each = rules.iter().find(|(_, mark)| *mark == Mark::Each).map(|(selector, _)| selector);
    let mut places: BTreeMap<u8, SubjectPlace> = BTreeMap::new();
    for (selector, mark) in rules {
        let Mark::Subject(role) = *mark else { continue };
        let list = each.filter(|each| selector.continues(each));
        let own = &selector.segments[list.map_or(0, |each| each.segments.len())..];
        let place = SubjectPlace {
            role,
            within_element: list.is_some(),
            several: !own.iter().all(PathSegment::is_singular),
        };
        places
            .entry(role.0)
            .and_modify(|known| {
                // A role with two places: in the document if one of them is, several if one may be.
                known.within_element &= place.within_element;
                known.several |= place.several;
            })
            .or_insert(place);
    }
    places.into_values().collect()
}
