//! What the rules make of one element, or of what stands beside a list: each of its fields, with the
//! date that stands beside it, and in the company in which it would leave.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Outcome;
use super::act::Act;
use super::dates::{are_young, binding, date_on};
use super::text::{Limit, covers};
use super::walk::{Place, Walk, path};
use crate::oracle::{Key, Path, Segment, Tree, Way, find};

/// What happens to each field, in the order of `Walk::fields`.
pub(super) type Part = Vec<Act>;

/// The gate of each role at some place.
pub(super) type Gates = [Option<BTreeMap<String, Act>>];

impl Walk<'_> {
    /// An error: all of it stays away.
    pub(super) fn part(&self, gates: &Gates, in_element: bool) -> Result<Part, Outcome> {
        let beside = !in_element && self.each.is_some();
        let mut part: Part = Vec::new();
        for field in &self.fields {
            let Some((category, role)) = &field.what else {
                part.push(Act::Keep);
                continue;
            };
            let gate = gates[*role].as_ref();
            let by_rules = self.asker.cells[category.as_str()].act;
            let act = gate.and_then(|gate| gate.get(category).copied());
            // Who stands in elements is not known beside them: there the rules say what would leave.
            let unknown = !in_element && self.roles[*role].in_element;
            let without = if unknown { by_rules } else { by_rules.join(Act::Remove) };
            let mut act = act.unwrap_or(without);
            let is_here = self.in_list(&field.path) == in_element;
            let beside = beside && is_here || in_element && !is_here;
            if beside && !self.asker.recipient.only_where.is_empty() {
                act = act.join(Act::Remove);
            }
            // Own lines are elements, or a whole answer; beside a list there is nothing of the kind.
            if beside && self.asker.cells[category.as_str()].act == Act::OwnLines {
                act = act.join(Act::Remove);
            }
            part.push(act);
        }
        self.outdate(&mut part, in_element)?;
        self.keep_apart(&mut part, in_element)?;
        // To be found by what is taken out would tell what it was.
        for (field, act) in self.fields.iter().zip(&part) {
            let Some((category, _)) = &field.what else { continue };
            let is_here = self.in_list(&field.path) == in_element;
            if is_here && self.asker.filters.contains(category) && !act.releases() {
                return Err(Outcome::Concealed);
            }
        }
        Ok(part)
    }

    pub(super) fn in_list(&self, path: &Path) -> bool {
        self.each.as_ref().is_some_and(|each| path.continues(each))
    }

    /// What is older than its period does not leave.
    fn outdate(&self, part: &mut Part, in_element: bool) -> Result<(), Outcome> {
        for (index, field) in self.fields.iter().enumerate() {
            let Some((category, _)) = &field.what else { continue };
            let is_here = self.in_list(&field.path) == in_element;
            for period in binding(self.asker.text, category, self.asker.purposes) {
                let date = date_on(self.route, category, period.start.as_deref());
                let Some(date) = date.map(|date| path(&date, self.each.as_ref())) else {
                    part[index] = part[index].join(Act::Remove);
                    continue;
                };
                // Elements are dated one by one: what stands beside them has no date.
                if self.in_list(&date) && !self.in_list(&field.path) {
                    part[index] = part[index].join(Act::Remove);
                    continue;
                }
                let nodes = self.readings.nodes(&date);
                let within = |way: &&Way| !self.in_list(&date) || way.starts_with(&self.way);
                let ways: Vec<&Way> = nodes.iter().filter(within).collect();
                let dates: Vec<&Tree> = ways.iter().map(|way| find(self.root, way)).collect();
                // Which elements are old shows only there.
                if !is_here && self.in_list(&date) {
                    continue;
                }
                let is_doubled = self.keys_of(&ways).len() < ways.len();
                if !is_doubled && are_young(&dates, &period.after) {
                    continue;
                }
                part[index] = match period.then.as_deref() {
                    Some("pseudonymise") => part[index].join(Act::read("pseudonym")),
                    Some("drop") if in_element && part[index].tells() => {
                        return Err(Outcome::Refused("retention-over"));
                    }
                    _ => part[index].join(Act::Remove),
                };
            }
        }
        Ok(())
    }

    /// Names and positions on the ways to these places: two of a doubled member are the same.
    fn keys_of(&self, ways: &[&Way]) -> BTreeSet<String> {
        let keys = |way: &&Way| {
            let mut at = self.root;
            let mut keys = Vec::new();
            for position in *way {
                let (key, next) = match at {
                    Tree::Object(members) => {
                        let (name, member) = &members[*position];
                        (Key::Name(name.clone()), member)
                    }
                    Tree::Array(elements) => (Key::Index(*position), &elements[*position]),
                    scalar => panic!("nothing beneath {scalar:?}"),
                };
                keys.push(key);
                at = next;
            }
            format!("{keys:?}")
        };
        ways.iter().map(keys).collect()
    }

    /// "Together and alone": what may not leave together is judged by what would leave, all limits at
    /// once; what is left may be alone, and what is taken out for that may leave others alone.
    fn keep_apart(&self, part: &mut Part, in_element: bool) -> Result<(), Outcome> {
        let binds = |limit: &&Limit| {
            !limit.except_to.iter().any(|one| one == self.asker.world.ask.recipient)
        };
        let limits: Vec<&Limit> = self.asker.text.limits.iter().filter(binds).collect();
        let would = part.clone();
        for limit in &limits {
            let Some(patterns) = &limit.together_never else { continue };
            self.never_together(limit, &patterns.list(), &would, part, in_element)?;
        }
        let categories = self.asker.text.categories.iter();
        let marked = categories.filter(|(_, category)| category.alone.as_deref() == Some("never"));
        let mut alone: Vec<(Vec<&str>, bool)> =
            marked.map(|(name, _)| (vec![name.as_str()], false)).collect();
        alone.extend(limits.iter().filter_map(|limit| {
            let drops = limit.then.as_deref() == Some("drop");
            Some((limit.alone_never.as_ref()?.list(), drops))
        }));
        loop {
            let before = part.clone();
            for (patterns, drops) in &alone {
                self.never_alone(patterns, *drops, &before, part, in_element)?;
            }
            if *part == before {
                return Ok(());
            }
        }
    }

    /// The fields that would leave and that a pattern covers.
    fn leaving(&self, pattern: &str, part: &Part) -> Vec<usize> {
        let would = |(index, field): &(usize, &Place)| {
            part[*index].tells()
                && field.what.as_ref().is_some_and(|(category, _)| covers(pattern, category))
        };
        self.fields.iter().enumerate().filter(would).map(|(index, _)| index).collect()
    }

    /// What stands beside the list leaves with each of its elements.
    fn never_together(
        &self,
        limit: &Limit,
        patterns: &[&str],
        would: &Part,
        part: &mut Part,
        in_element: bool,
    ) -> Result<(), Outcome> {
        let mut groups: HashMap<&str, Vec<usize>> = patterns
            .iter()
            .map(|pattern| (*pattern, self.leaving(pattern, would)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        if groups.len() < 2 {
            return Ok(());
        }
        let then = limit.then.as_deref().unwrap_or("remove");
        if then == "drop" && in_element {
            return Err(Outcome::Concealed);
        }
        // Where two others are left, they go too.
        if let Some(first) = then.strip_prefix("remove ")
            && groups.len() == 2
            && let Some(one) = groups.remove(first)
        {
            groups.clear();
            groups.insert(first, one);
        }
        for index in groups.into_values().flatten() {
            part[index] = part[index].join(Act::Remove);
        }
        Ok(())
    }

    fn never_alone(
        &self,
        patterns: &[&str],
        drops: bool,
        would: &Part,
        part: &mut Part,
        in_element: bool,
    ) -> Result<(), Outcome> {
        if self.has_company(patterns, would, in_element) {
            return Ok(());
        }
        for pattern in patterns {
            for index in self.leaving(pattern, would) {
                if drops && in_element {
                    return Err(Outcome::Concealed);
                }
                part[index] = part[index].join(Act::Remove);
            }
        }
        Ok(())
    }

    /// Whether a text or a number of a category that the limit does not name leaves too: in the same
    /// element, or beside the list.
    fn has_company(&self, patterns: &[&str], part: &Part, in_element: bool) -> bool {
        self.fields.iter().zip(part).any(|(field, act)| {
            let Some((other, _)) = &field.what else { return false };
            let in_list = self.in_list(&field.path);
            let nodes = field.nodes.iter().filter(|way| !in_list || way.starts_with(&self.way));
            let leaves = in_list == in_element && act.tells();
            let values: Vec<&Tree> = nodes.map(|way| find(self.root, way)).collect();
            // What can be read in two ways, or stands beside what is neither, is no company.
            let outer =
                self.each.as_ref().filter(|_| in_list).map_or(0, |each| each.segments.len());
            let several = !field.path.segments[outer..].iter().all(Segment::is_singular);
            let is_read = several || values.iter().all(|value| *value == values[0]);
            !patterns.iter().any(|pattern| covers(pattern, other))
                && !self.is_held_back(field)
                && !field.is_name
                && leaves
                && is_read
                && !values.is_empty()
                && values.iter().all(|value| match value {
                    Tree::String(text) => !text.is_empty(),
                    Tree::Number(digits) => digits.parse::<i64>().is_ok(),
                    _ => false,
                })
        })
    }

    /// Whether something beside the list decides about all of the answer.
    pub(super) fn is_judged_whole(&self) -> bool {
        let periods = |category| binding(self.asker.text, category, self.asker.purposes);
        self.fields.iter().any(|field| {
            let Some((category, _)) = &field.what else { return false };
            self.asker.cells[category.as_str()].act != Act::Remove
                && periods(category).any(|period| {
                    let date = date_on(self.route, category, period.start.as_deref());
                    date.is_some_and(|date| self.each.is_none() || !date.starts_with('@'))
                })
        })
    }

    /// Whether a filter, its own or another's, decides about it: what a value says of itself is no word
    /// for others. Or whether it goes with a member whose name may not leave.
    fn is_held_back(&self, field: &Place) -> bool {
        let mut named = self.fields.iter().filter(|other| other.is_name);
        if named.any(|other| field.path.segments.starts_with(&other.path.segments)) {
            return true;
        }
        let filters = self.fields.iter().filter_map(|other| Some((other, other.filter.as_ref()?)));
        filters.into_iter().any(|(other, (filter, _))| {
            field.path.segments.starts_with(&other.path.segments[..filter.depth])
        })
    }

    /// Whether something of this route leaves in own lines only, and the caller is no party.
    pub(super) fn is_of_others(&self, in_element: bool) -> bool {
        let mut fields = self.fields.iter().filter_map(|field| field.what.as_ref());
        let own_lines = fields.any(|(category, _)| self.asker.cells[category.as_str()].own_lines);
        let beside = !in_element && self.each.is_some();
        !beside && own_lines && !self.caller_is_here(in_element)
    }

    /// Whether the caller is one of those whom this element, or the whole answer, is about.
    fn caller_is_here(&self, in_element: bool) -> bool {
        let Some(caller) = self.asker.caller() else { return false };
        let roles = self.roles.iter().filter(|role| in_element || !role.in_element);
        roles.map(|role| self.who(role)).any(|who| who.is_among(caller))
    }
}
