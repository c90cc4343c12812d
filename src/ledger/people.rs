//! How many people, of what: counted from tags.
//!
//! A person has another tag every month, so that tags of one month are people and tags of several
//! months are not. Whoever holds the index of data subjects makes the tags of everybody in it again and
//! counts people exactly; what is left over are people whose secrets were shredded, of whom only a lower
//! and an upper bound can be given. Memory: some 40 bytes for each person and month.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{LedgerUnavailable, Part, SubjectIndex};
use crate::terms::{DataSubject, read_hex};

/// A tag's bytes.
pub(super) type Tag = [u8; 16];

/// A set of categories, by its number in [`Sets`].
type SetId = u32;

/// The people of some disclosures.
#[derive(Debug, Default)]
pub struct People {
    months: BTreeMap<String, HashMap<Tag, SetId>>,
    sets: Sets,
}

/// A number of people: exact where both bounds are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Not fewer.
    pub at_least: u64,
    /// Not more.
    pub at_most: u64,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at_least == self.at_most {
            write!(f, "{}", self.at_least)
        } else {
            write!(f, "{} to {}", self.at_least, self.at_most)
        }
    }
}

/// How many people in all, and of how many each category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// In all.
    pub all: Count,
    /// By category.
    pub by_category: BTreeMap<String, Count>,
}

impl People {
    /// Adds the people of one part of a disclosure, made in the month of `at`.
    pub fn add(&mut self, at: &str, part: &Part) {
        let Some(month) = at.get(..7) else { return };
        let set = self.sets.id_of(part.categories.keys().map(String::as_str));
        let tags = match self.months.get_mut(month) {
            Some(tags) => tags,
            None => self.months.entry(month.to_owned()).or_default(),
        };
        for tag in part.tags.iter().filter_map(|tag| tag_of(tag)) {
            match tags.get_mut(&tag) {
                None => {
                    tags.insert(tag, set);
                }
                Some(known) if *known == set => {}
                Some(known) => *known = self.sets.union(*known, set),
            }
        }
    }

    /// Whether nobody was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.months.values().all(HashMap::is_empty)
    }

    /// How many months they are spread over.
    #[must_use]
    pub fn months(&self) -> usize {
        self.months.len()
    }

    /// Whether something of this person is among it. Nothing is said of somebody who was erased.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn concerns(
        &self,
        index: &SubjectIndex,
        person: &DataSubject,
    ) -> Result<bool, LedgerUnavailable> {
        let Some(secret) = index.secret(person)? else { return Ok(false) };
        Ok(self.months.iter().any(|(month, tags)| tags.contains_key(&secret.tag_bytes(month))))
    }

    /// Counts them; exactly, as far as `index` still knows them.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn count(self, index: Option<&SubjectIndex>) -> Result<Counted, LedgerUnavailable> {
        Ok(Self::count_each(vec![self], index)?.pop().unwrap_or_default())
    }

    /// As [`count`](Self::count), of each of `all`, in their order; the index is read once for all of them.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn count_each(
        mut all: Vec<Self>,
        index: Option<&SubjectIndex>,
    ) -> Result<Vec<Counted>, LedgerUnavailable> {
        let mut counted = vec![Counted::default(); all.len()];
        // Tags of one month are people as they are.
        let spread = |people: &&Self| people.months.len() > 1;
        let months: BTreeSet<String> =
            all.iter().filter(spread).flat_map(|people| people.months.keys().cloned()).collect();
        if let Some(index) = index.filter(|_| !months.is_empty()) {
            index.each_secret(&mut |secret| {
                let tags: Vec<(&String, Tag)> =
                    months.iter().map(|month| (month, secret.tag_bytes(month))).collect();
                for (people, counted) in all.iter_mut().zip(&mut counted) {
                    people.take_one(&tags, counted);
                }
            })?;
        }
        Ok(all.into_iter().zip(counted).map(|(people, counted)| people.rest(counted)).collect())
    }

    /// Moves the person of these tags to those who are counted.
    fn take_one(&mut self, tags: &[(&String, Tag)], counted: &mut Counted) {
        let Self { months, sets } = self;
        if months.len() < 2 {
            return;
        }
        let mut found: Option<SetId> = None;
        for (month, tag) in tags {
            if let Some(set) = months.get_mut(*month).and_then(|tags| tags.remove(tag)) {
                found = Some(found.map_or(set, |known| sets.union(known, set)));
            }
        }
        if let Some(set) = found {
            counted.add_one(&sets.names[set as usize]);
        }
    }

    /// Adds bounds for those whom the index does not know.
    fn rest(self, mut counted: Counted) -> Counted {
        let Self { months, sets } = self;
        let mut left = Counted::default();
        for tags in months.values() {
            let mut of_month: BTreeMap<&str, u64> = BTreeMap::new();
            for set in tags.values() {
                for name in &sets.names[*set as usize] {
                    *of_month.entry(name).or_default() += 1;
                }
            }
            left.all.another_month(tags.len() as u64);
            for (name, count) in of_month {
                left.by_category.entry(name.to_owned()).or_default().another_month(count);
            }
        }
        counted.all.plus(left.all);
        for (name, count) in left.by_category {
            counted.by_category.entry(name).or_default().plus(count);
        }
        counted
    }
}

impl Counted {
    /// With those of another ledger, whose index tells nothing of this one's people: the same may be in
    /// both, or others.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        self.all.or_the_same(other.all);
        for (name, count) in other.by_category {
            self.by_category.entry(name).or_default().or_the_same(count);
        }
        self
    }

    fn add_one(&mut self, categories: &[String]) {
        self.all.plus(Count { at_least: 1, at_most: 1 });
        for name in categories {
            let count = self.by_category.entry(name.clone()).or_default();
            count.plus(Count { at_least: 1, at_most: 1 });
        }
    }
}

impl Count {
    /// The same people may be in each month, or others.
    fn another_month(&mut self, people: u64) {
        self.or_the_same(Self { at_least: people, at_most: people });
    }

    fn or_the_same(&mut self, other: Self) {
        self.at_least = self.at_least.max(other.at_least);
        self.at_most += other.at_most;
    }

    fn plus(&mut self, other: Self) {
        self.at_least += other.at_least;
        self.at_most += other.at_most;
    }
}

/// Few sets of categories stand for many people.
#[derive(Debug, Default)]
struct Sets {
    names: Vec<Vec<String>>,
    known: HashMap<Vec<String>, SetId>,
    unions: HashMap<(SetId, SetId), SetId>,
}

impl Sets {
    /// `names` must be sorted.
    fn id_of<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> SetId {
        self.keep(names.map(str::to_owned).collect())
    }

    fn keep(&mut self, set: Vec<String>) -> SetId {
        if let Some(id) = self.known.get(&set) {
            return *id;
        }
        let id = SetId::try_from(self.names.len()).unwrap_or(SetId::MAX);
        self.names.push(set.clone());
        self.known.insert(set, id);
        id
    }

    fn union(&mut self, one: SetId, other: SetId) -> SetId {
        if let Some(known) = self.unions.get(&(one, other)) {
            return *known;
        }
        let mut set = self.names[one as usize].clone();
        set.extend(self.names[other as usize].iter().cloned());
        set.sort_unstable();
        set.dedup();
        let id = self.keep(set);
        self.unions.insert((one, other), id);
        id
    }
}

/// `t_` and 32 hexadecimal digits.
fn tag_of(text: &str) -> Option<Tag> {
    let mut tag = [0; 16];
    read_hex(text.strip_prefix("t_")?.as_bytes(), &mut tag)?;
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(categories: &[&str], people: &[u8]) -> Part {
        Part {
            categories: categories.iter().map(|one| ((*one).into(), "keep".into())).collect(),
            tags: people.iter().map(|one| format!("t_{one:032x}")).collect(),
        }
    }

    #[test]
    fn tags_of_one_month_are_people_and_of_two_are_bounds() {
        let mut people = People::default();
        people.add("2026-11-02T00:00:00.000Z", &part(&["contact.email"], &[1, 2, 3]));
        people.add("2026-11-09T00:00:00.000Z", &part(&["identity.name"], &[3, 4]));
        assert_eq!(people.months(), 1);
        people.add("2026-12-01T00:00:00.000Z", &part(&["identity.name"], &[9, 8]));
        let counted = people.count(None).expect("nothing is read");
        assert_eq!(counted.all, Count { at_least: 4, at_most: 6 });
        assert_eq!(counted.all.to_string(), "4 to 6");
        let by_category = |name: &str| counted.by_category[name].to_string();
        assert_eq!(
            (by_category("contact.email"), by_category("identity.name")),
            ("3".into(), "2 to 4".into())
        );
    }

    #[test]
    fn what_is_no_tag_counts_for_nobody() {
        let mut people = People::default();
        let mut odd = part(&["contact.email"], &[1]);
        odd.tags.extend(["t_1".into(), "x".into(), format!("t_{}", "g".repeat(32))]);
        people.add("2026-11-02T00:00:00.000Z", &odd);
        people.add("?", &odd);
        assert_eq!(people.count(None).expect("nothing is read").all.to_string(), "1");
    }
}
