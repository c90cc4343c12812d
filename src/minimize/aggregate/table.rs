//! Which rows of a table of counts may leave, so that no count of a small group can be computed.
//!
//! - A group of fewer than k people is hidden.
//! - Values that fewer than k people have may be joined to `other`.
//! - A total leaves only while what it tells of hidden groups is not too much: the hidden groups
//!   beneath it are several, are k people at least, and each could be any of `k / 2 + 1` numbers.
//!   Hidden groups beneath two totals that overlap could be computed from their difference: of such
//!   totals only those over one and the same set leave.
//!
//! Totals are what is given up, never another group: which total leaves then depends on hidden counts
//! only by the sums that it tells anyway. Source: docs/RULES.md, "Aggregates"; decision 0013.

use std::collections::{BTreeMap, BTreeSet};

/// How `other` stands in a document.
const OTHER: &[u8] = b"\"other\"";

/// What must hold for a row to leave.
#[derive(Clone, Debug)]
pub(super) struct Floors {
    /// No group of fewer people is shown.
    pub(super) k: u64,
    /// Position of a dimension, and how many values of it a group must show.
    pub(super) diversity: Vec<(usize, usize)>,
    /// Values that fewer than `k` people have become `other`.
    pub(super) merges_rare: bool,
    /// By dimension: one person may have several of its values.
    pub(super) several: Vec<bool>,
}

impl Floors {
    /// By how much at least a hidden count stays open.
    const fn slack(&self) -> u64 {
        self.k / 2
    }

    /// Whether a sum over `groups` hidden groups, none of which is empty or reaches k, tells little
    /// enough of each: as many numbers remain possible for it as [`slack`](Self::slack) says and one
    /// more, even if the sum is known exactly.
    const fn keeps_open(&self, sum: u64, groups: u64) -> bool {
        let least = groups.saturating_add(self.slack());
        let most = groups.saturating_mul(self.k - 1).saturating_sub(self.slack());
        groups >= 2 && sum >= self.k && sum >= least && sum <= most
    }
}

/// One part of a group's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// All values together.
    All,
    /// This value, as JSON text.
    Value(Vec<u8>),
}

/// The parts of a key, one for each dimension that leaves.
pub(super) type Key = Vec<Part>;

/// A row as it came, its key already treated.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    /// How many people.
    pub(super) count: u64,
    /// Other numbers, in thousandths.
    pub(super) measures: Vec<u64>,
    /// Values of the dimensions of which one person may have several, as they came.
    pub(super) overlapping: Vec<Vec<u8>>,
}

/// A row that may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) count: u64,
    pub(super) measures: Vec<u64>,
}

/// What may leave of a table.
#[derive(Debug)]
pub(super) struct Shown {
    /// Sorted by key: the order in which a backend lists groups tells which is larger.
    pub(super) groups: Vec<Group>,
    /// For each total of the whole, whether it may leave.
    pub(super) totals: Vec<bool>,
    /// How many groups and totals are hidden.
    pub(super) hidden: u64,
}

/// A group as the recipient would see it: rows whose keys became one are one.
struct Atom {
    group: Group,
    /// Rows were added up over a dimension of which one person may have several values, so that nobody
    /// knows how many people there are.
    uncounted: bool,
    overlapping: Vec<Vec<u8>>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Shown,
    Hidden,
    /// Part of the joined group of this number.
    Joined(usize),
}

/// Groups that become one, since a value of each is rare.
struct Joined {
    group: Group,
    atoms: Vec<usize>,
    shown: bool,
}

/// Decides about a table. `totals` count the people of all rows.
pub(super) fn guard(floors: &Floors, rows: Vec<Row>, totals: &[u64]) -> Shown {
    let (margins, inner): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.key.contains(&Part::All));
    // Of a group without people there is nothing to hide, and nothing to hide others behind.
    let mut atoms = together(inner.into_iter().filter(|row| row.count > 0).collect());
    for atom in &mut atoms {
        let passes = !atom.uncounted && atom.group.count >= floors.k;
        atom.fate = if passes { Fate::Shown } else { Fate::Hidden };
    }
    let mut joined = if floors.merges_rare { join(floors, &mut atoms) } else { Vec::new() };
    diversify(floors, &mut atoms, &mut joined);

    let margins = together(margins);
    let (shown_margins, whole) = safe_totals(floors, &atoms, &joined, &margins, totals);
    let shown_margins = diverse(floors, shown_margins.iter().map(|at| &margins[*at].group));

    let hidden_atoms = atoms.iter().filter(|atom| match atom.fate {
        Fate::Shown => false,
        Fate::Hidden => true,
        Fate::Joined(at) => !joined[at].shown,
    });
    let hidden_totals =
        margins.len() - shown_margins.len() + whole.iter().filter(|shown| !**shown).count();
    let hidden = hidden_atoms.count() as u64 + hidden_totals as u64;

    let singles = atoms.iter().filter(|atom| atom.fate == Fate::Shown).map(|atom| &atom.group);
    let blocks = joined.iter().filter(|joined| joined.shown).map(|joined| &joined.group);
    let mut groups: Vec<Group> = singles.chain(blocks).chain(shown_margins).cloned().collect();
    groups.sort_by(|a, b| a.key.cmp(&b.key));
    Shown { groups, totals: whole, hidden }
}

/// Rows of one key are one group, its numbers added up.
fn together(rows: Vec<Row>) -> Vec<Atom> {
    let mut by_key: BTreeMap<Key, Atom> = BTreeMap::new();
    for Row { key, count, measures, overlapping } in rows {
        if let Some(atom) = by_key.get_mut(&key) {
            atom.uncounted |= atom.overlapping != overlapping;
            add(&mut atom.group, count, &measures);
        } else {
            let group = Group { key: key.clone(), count, measures };
            let atom = Atom { group, uncounted: false, overlapping, fate: Fate::Hidden };
            by_key.insert(key, atom);
        }
    }
    by_key.into_values().collect()
}

fn add(group: &mut Group, count: u64, measures: &[u64]) {
    group.count = group.count.saturating_add(count);
    for (sum, more) in group.measures.iter_mut().zip(measures) {
        *sum = sum.saturating_add(*more);
    }
}

/// How many people have each value of a dimension; `None` where nobody knows.
fn marginals(atoms: &[Atom], dimension: usize) -> BTreeMap<&[u8], Option<u64>> {
    let mut marginals: BTreeMap<&[u8], Option<u64>> = BTreeMap::new();
    for atom in atoms {
        let Part::Value(value) = &atom.group.key[dimension] else { continue };
        let count = (!atom.uncounted).then_some(atom.group.count);
        let sum = marginals.entry(value).or_insert(Some(0));
        *sum = sum.zip(count).map(|(sum, count)| sum.saturating_add(count));
    }
    marginals
}

/// Joins the groups that have a rare value, and what is called `other` already, to groups of `other`.
fn join(floors: &Floors, atoms: &mut [Atom]) -> Vec<Joined> {
    let dimensions = floors.several.len();
    let rare: Vec<BTreeSet<Vec<u8>>> = (0..dimensions)
        .map(|dimension| {
            if floors.several[dimension] {
                return BTreeSet::new();
            }
            let few = |(value, sum): (&[u8], Option<u64>)| {
                (value != OTHER && sum.is_some_and(|sum| sum < floors.k)).then(|| value.to_vec())
            };
            marginals(atoms, dimension).into_iter().filter_map(few).collect()
        })
        .collect();
    let is_rare = |dimension: usize, part: &Part| matches!(part, Part::Value(value) if rare[dimension].contains(value));
    let mut by_key: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let renamed = |key: &Key| -> Key {
        let part = |(at, part): (usize, &Part)| {
            if is_rare(at, part) { Part::Value(OTHER.to_vec()) } else { part.clone() }
        };
        key.iter().enumerate().map(part).collect()
    };
    for (at, atom) in atoms.iter().enumerate() {
        by_key.entry(renamed(&atom.group.key)).or_default().push(at);
    }
    let mut joined = Vec::new();
    for (key, members) in by_key {
        if members.iter().all(|at| atoms[*at].group.key == key) {
            continue;
        }
        let mut group = Group { key, count: 0, measures: Vec::new() };
        for at in &members {
            let one = &atoms[*at].group;
            group.measures.resize(one.measures.len(), 0);
            add(&mut group, one.count, &one.measures);
        }
        let counts = || members.iter().map(|at| &atoms[*at]);
        let shown = counts().all(|atom| !atom.uncounted)
            && (counts().any(|atom| atom.group.count >= floors.k)
                || floors.keeps_open(group.count, members.len() as u64));
        for at in &members {
            atoms[*at].fate = Fate::Joined(joined.len());
        }
        joined.push(Joined { group, atoms: members, shown });
    }
    for (dimension, rare) in rare.iter().enumerate() {
        let others = marginals(atoms, dimension).get(OTHER).copied();
        let tells = |joined: &Joined| {
            joined.atoms.iter().any(|at| is_rare(dimension, &atoms[*at].group.key[dimension]))
        };
        let sum: u64 = joined
            .iter()
            .filter(|joined| joined.shown && tells(joined))
            .map(|joined| joined.group.count)
            .fold(0, u64::saturating_add);
        // `other` as it came may be of any size; if it is small, it is one hidden value more.
        let is_bounded = others.is_none_or(|sum| sum.is_some_and(|sum| sum < floors.k));
        let values = rare.len() as u64 + u64::from(others.is_some());
        if sum > 0 && is_bounded && !floors.keeps_open(sum, values) {
            let too_telling: Vec<bool> = joined.iter().map(tells).collect();
            for (joined, tells) in joined.iter_mut().zip(too_telling) {
                joined.shown &= !tells;
            }
        }
    }
    joined
}

/// Hides groups that would tell a sensitive value of everybody in them.
fn diversify(floors: &Floors, atoms: &mut [Atom], joined: &mut [Joined]) {
    loop {
        let singles = atoms.iter().filter(|atom| atom.fate == Fate::Shown).map(|atom| &atom.group);
        let blocks = joined.iter().filter(|joined| joined.shown).map(|joined| &joined.group);
        let before: Vec<&Group> = singles.chain(blocks).collect();
        let after: BTreeSet<Key> =
            diverse(floors, before.iter().copied()).iter().map(|group| group.key.clone()).collect();
        if after.len() == before.len() {
            return;
        }
        for atom in atoms.iter_mut().filter(|atom| atom.fate == Fate::Shown) {
            if !after.contains(&atom.group.key) {
                atom.fate = Fate::Hidden;
            }
        }
        for joined in joined.iter_mut() {
            joined.shown &= after.contains(&joined.group.key);
        }
    }
}

/// The groups beside which enough other values of each sensitive dimension are shown. What goes for one
/// dimension may be what another counted on, so it goes on until nothing goes.
fn diverse<'a>(floors: &Floors, groups: impl Iterator<Item = &'a Group>) -> Vec<&'a Group> {
    let mut left: Vec<&Group> = groups.collect();
    let mut before = left.len() + 1;
    while left.len() < before {
        before = left.len();
        diverse_once(floors, &mut left);
    }
    left
}

fn diverse_once(floors: &Floors, left: &mut Vec<&Group>) {
    for (dimension, least) in &floors.diversity {
        let rest = |group: &Group| {
            let mut key = group.key.clone();
            key.remove(*dimension);
            key
        };
        let is_bound = |group: &Group| group.key[*dimension] != Part::All;
        let mut values: BTreeMap<Key, usize> = BTreeMap::new();
        for group in left.iter().filter(|group| is_bound(group)) {
            *values.entry(rest(group)).or_default() += 1;
        }
        left.retain(|group| !is_bound(group) || values[&rest(group)] >= *least);
    }
}

/// Which totals may leave: of `margins` by position, and of those of the whole one by one.
fn safe_totals(
    floors: &Floors,
    atoms: &[Atom],
    joined: &[Joined],
    margins: &[Atom],
    totals: &[u64],
) -> (Vec<usize>, Vec<bool>) {
    let every = vec![Part::All; floors.several.len()];
    let whole = totals.iter().enumerate().map(|(at, count)| (&every, *count, Which::Whole(at)));
    let of_margin = |(at, margin): (usize, &Atom)| (margin.uncounted, at);
    let counted: Vec<(bool, usize)> = margins.iter().enumerate().map(of_margin).collect();
    let rows = counted.into_iter().filter(|(uncounted, _)| !uncounted).map(|(_, at)| {
        let group = &margins[at].group;
        (&group.key, group.count, Which::Margin(at))
    });
    let mut candidates: Vec<(Beneath, Which)> = whole
        .chain(rows)
        .filter_map(|(key, count, which)| {
            Some((hidden_beneath(floors, atoms, joined, key, count)?, which))
        })
        .collect();
    // The most general first: among totals that overlap, it is the one that is asked for most.
    let generality = |which: &Which| match which {
        Which::Whole(_) => (0, None),
        Which::Margin(at) => {
            let key = &margins[*at].group.key;
            (key.iter().filter(|part| **part != Part::All).count(), Some(key))
        }
    };
    candidates.sort_by(|(_, a), (_, b)| generality(a).cmp(&generality(b)));

    let mut sets = Sets::new(atoms.len());
    for (beneath, _) in &candidates {
        sets.unite(&beneath.hidden);
    }
    let mut first_of: BTreeMap<usize, &Vec<usize>> = BTreeMap::new();
    let (mut rows, mut whole) = (Vec::new(), vec![false; totals.len()]);
    for (Beneath { hidden, may_leave }, which) in &candidates {
        let is_open = hidden.first().is_none_or(|first| {
            let set = *first_of.entry(sets.root(*first)).or_insert(hidden);
            let sum = hidden.iter().map(|at| atoms[*at].group.count).sum();
            set == hidden && floors.keeps_open(sum, hidden.len() as u64)
        });
        let leaves = is_open && *may_leave;
        match which {
            Which::Whole(at) => whole[*at] = leaves,
            Which::Margin(at) if leaves => rows.push(*at),
            Which::Margin(_) => {}
        }
    }
    rows.sort_unstable();
    (rows, whole)
}

/// Which total is asked about.
enum Which {
    Whole(usize),
    Margin(usize),
}

/// What a total tells of hidden groups.
struct Beneath {
    /// Those of which it tells the sum.
    hidden: Vec<usize>,
    /// Whether it may leave at all. One that may not still stands in its heap: which total leaves of a
    /// heap must not depend on hidden counts, or that it left would tell of them.
    may_leave: bool,
}

/// The hidden groups beneath a total. `None`: it is no sum of groups, and tells of none.
fn hidden_beneath(
    floors: &Floors,
    atoms: &[Atom],
    joined: &[Joined],
    key: &Key,
    count: u64,
) -> Option<Beneath> {
    if is_over_several(floors, key) {
        return None;
    }
    let is_beneath = |atom: &Atom| {
        key.iter().zip(&atom.group.key).all(|(total, part)| *total == Part::All || total == part)
    };
    let any_joined = joined.iter().any(|joined| joined.shown);
    let mut sum = 0_u64;
    let (mut hidden, mut may_leave) = (Vec::new(), count >= floors.k);
    let mut beneath_joined = vec![0_usize; joined.len()];
    for (at, atom) in atoms.iter().enumerate().filter(|(_, atom)| is_beneath(atom)) {
        if atom.uncounted {
            return None;
        }
        sum = sum.saturating_add(atom.group.count);
        match atom.fate {
            Fate::Shown => {}
            Fate::Joined(block) if joined[block].shown => beneath_joined[block] += 1,
            Fate::Hidden | Fate::Joined(_) => {
                // Beside joined groups that are shown, a sum of such values would tell more of them;
                // and a hidden group that is not small would leave too little for those beside it.
                let tells = matches!(atom.fate, Fate::Joined(_)) && any_joined;
                may_leave &= !tells && atom.group.count < floors.k;
                hidden.push(at);
            }
        }
    }
    let is_whole = |(found, joined): (usize, &Joined)| found == 0 || found == joined.atoms.len();
    let whole = beneath_joined.into_iter().zip(joined).all(is_whole);
    // A total of more people than its groups would tell of a group that is not in the table.
    let may_leave = may_leave && whole;
    (sum == count).then_some(Beneath { hidden, may_leave })
}

/// Who has several values is counted several times: a total over them is no sum.
fn is_over_several(floors: &Floors, key: &Key) -> bool {
    key.iter().zip(&floors.several).any(|(part, several)| *several && *part == Part::All)
}

/// Groups that some total has in common with another, found by their representative.
struct Sets(Vec<usize>);

impl Sets {
    fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn unite(&mut self, members: &[usize]) {
        let Some((first, rest)) = members.split_first() else { return };
        for other in rest {
            let (a, b) = (self.root(*first), self.root(*other));
            self.0[b] = a;
        }
    }
}
