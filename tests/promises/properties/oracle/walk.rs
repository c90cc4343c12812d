//! The document: whose it is, element by element, and what of it leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Outcome;
use super::act::{Act, PSEUDONYM, TOKEN};
use super::dates::has_date;
use super::filter::{Filter, Verdicts};
use super::part::Part;
use super::person::{Asker, Gate, Stated};
use super::text::{Field, Route};
use crate::oracle::{Key, Path, Readings, Segment, Step, Tree, Way, find, id, name_at, read};
use crate::properties::world::{BASKET, PERSON};

/// Whom a role is about at some place.
pub(super) enum Who {
    /// Nobody can say.
    Unresolved,
    People(BTreeSet<String>),
}

impl Who {
    pub(super) fn is_among(&self, id: &str) -> bool {
        matches!(self, Self::People(people) if people.contains(id))
    }
}

/// A role with its own place in the document, or with an id from the path.
pub(super) struct Role {
    name: String,
    /// `None`: the id stands in the path.
    path: Option<Path>,
    pub(super) in_element: bool,
    /// The id is the name of the member there.
    is_named: bool,
}

impl Role {
    /// Its place can be several places of one part.
    fn may_be_several(&self) -> bool {
        let wildcard = |segment: &Segment| segment.steps == [Step::Wildcard];
        !self.in_element && self.path.iter().flat_map(|path| &path.segments).any(wildcard)
    }
}

/// A selector, its places, and what stands there.
pub(super) struct Place {
    pub(super) path: Path,
    pub(super) nodes: HashSet<Way>,
    /// The category and whose it is; none where it is open.
    pub(super) what: Option<(String, usize)>,
    /// What chooses among the places that the path leads to.
    pub(super) filter: Option<(Filter, Verdicts)>,
    /// It is the name of the member that stands there.
    pub(super) is_name: bool,
}

impl Place {
    fn of(
        selector: &str,
        what: Option<(String, usize)>,
        each: Option<&Path>,
        document: (&Tree, &Readings),
    ) -> Self {
        let (root, readings) = document;
        let before = each.filter(|_| selector.starts_with('@'));
        let before = before.map_or(0, |each| each.segments.len());
        let (plain, filter) = Filter::taken_from(selector, before);
        let path = path(&plain, each);
        let nodes = readings.nodes(&path);
        let filter = filter.map(|filter| {
            let looked = Path::new(path.segments[..filter.depth].to_vec());
            let ways = readings.nodes(&looked).into_iter();
            let verdicts = ways.map(|way| (way.clone(), filter.says(find(root, &way)))).collect();
            (filter, verdicts)
        });
        Self { path, nodes, what, filter, is_name: selector.starts_with("keys(") }
    }

    /// What the filter says of the value that this way leads through; true where there is none.
    fn verdict(&self, way: &Way) -> Option<bool> {
        match &self.filter {
            Some((filter, verdicts)) if way.len() >= filter.depth => {
                verdicts.get(&way[..filter.depth]).copied().unwrap_or(Some(false))
            }
            _ => Some(true),
        }
    }
}

pub(super) struct Walk<'a> {
    pub(super) asker: &'a Asker<'a>,
    pub(super) route: &'a Route,
    pub(super) root: &'a Tree,
    pub(super) readings: Readings,
    pub(super) roles: Vec<Role>,
    pub(super) each: Option<Path>,
    pub(super) fields: Vec<Place>,
    /// How members are called that leave, if not as before.
    called: HashMap<Way, String>,
    counts: Vec<(Path, HashSet<Way>)>,
    elements: HashSet<Way>,
    released: u64,
    pub(super) way: Way,
    keys: Vec<Key>,
}

/// The element, or all of it, stays away.
struct Dropped;

pub(super) fn document(asker: &Asker<'_>, route: &Route) -> Result<Outcome, Outcome> {
    let ask = &asker.world.ask;
    // Known before the backend is asked.
    if [PERSON, BASKET].contains(&ask.route) {
        let role = &route.subjects.0[0].0;
        let is_asked = asker.asks_routes() && route.region.contains_key(role);
        let stated = if is_asked { Stated::Later } else { Stated::Nothing };
        let mut own = route.fields.values().map(|field| &asker.cells[field.category()]);
        let is_line = route.each.is_none() && own.any(|cell| cell.own_lines);
        if is_line && asker.caller() != Some(ask.id) {
            return Err(Outcome::Refused("not-a-party"));
        }
        asker.gate(ask.id, &stated).map_err(code)?;
    }
    let Some(root) = read(asker.world.document.as_bytes()) else {
        return Err(Outcome::Refused("unfilterable"));
    };
    let each = route.each.as_deref().map(|each| path(each, None));
    let list = each.as_ref();
    let roles: Vec<Role> = route
        .subjects
        .0
        .iter()
        .map(|(name, locator)| Role {
            name: name.clone(),
            path: (!locator.starts_with("path:")).then(|| path(locator, list)),
            in_element: locator.starts_with('@') || locator.starts_with("keys("),
            is_named: locator.starts_with("keys("),
        })
        .collect();
    let of = |field: &Field| match field {
        Field::Plain(_) => 0,
        Field::Of { of, .. } => roles.iter().position(|role| role.name == *of).expect("declared"),
    };
    let readings = Readings::new(&root);
    let catalogued = route
        .fields
        .iter()
        .map(|(selector, field)| (selector, Some((field.category().to_owned(), of(field)))))
        .chain(route.open.iter().map(|selector| (selector, None)));
    let mut fields: Vec<Place> = catalogued
        .map(|(selector, what)| Place::of(selector, what, list, (&root, &readings)))
        .collect();
    // What the rules release to nobody here is no reason to look.
    open_together(&mut fields, |field| {
        let category = field.what.as_ref().map(|(category, _)| category.as_str());
        category.is_none_or(|category| asker.cells[category].by_rules != Act::Remove)
    });
    let counts = route.derive.keys().map(|selector| path(selector, list));
    let counts = counts.map(|path| (path.clone(), readings.nodes(&path))).collect();
    let elements = each.as_ref().map(|each| readings.nodes(each)).unwrap_or_default();
    let mut walk = Walk {
        asker,
        route,
        root: &root,
        readings,
        roles,
        each,
        fields,
        called: HashMap::new(),
        counts,
        elements,
        released: 0,
        way: Way::new(),
        keys: Vec::new(),
    };
    walk.whole()
}

/// Where one filter of a value is left open, all of that value are; but not by a filter of what leaves for
/// nobody.
fn open_together(fields: &mut [Place], leaves: impl Fn(&Place) -> bool) {
    let counts = |field: &&Place| {
        fields.iter().any(|other| other.path.text == field.path.text && leaves(other))
    };
    let verdicts = fields.iter().filter(counts).filter_map(|field| Some(&field.filter.as_ref()?.1));
    let open: HashSet<Way> = verdicts
        .flatten()
        .filter(|(_, verdict)| verdict.is_none())
        .map(|(way, _)| way.clone())
        .collect();
    for (_, verdicts) in fields.iter_mut().filter_map(|field| field.filter.as_mut()) {
        for (_, verdict) in verdicts.iter_mut().filter(|(way, _)| open.contains(*way)) {
            *verdict = None;
        }
    }
}

fn code(code: &'static str) -> Outcome {
    if code == "filtered" { Outcome::Concealed } else { Outcome::Refused(code) }
}

/// `$.a[*].b`, or `@.b` beneath the list, or `keys($.a)`, which are the members of `$.a`.
pub(super) fn path(selector: &str, each: Option<&Path>) -> Path {
    if let Some(object) = selector.strip_prefix("keys(").and_then(|rest| rest.strip_suffix(')')) {
        return path(&format!("{object}[*]"), each);
    }
    let mut segments = Vec::new();
    if selector.starts_with('@')
        && let Some(each) = each
    {
        segments.clone_from(&each.segments);
    }
    for part in selector[1..].split('.').filter(|part| !part.is_empty()) {
        let name = part.trim_end_matches("[*]");
        segments.push(Segment { descendant: false, steps: vec![Step::Name(name.to_owned())] });
        if name != part {
            segments.push(Segment { descendant: false, steps: vec![Step::Wildcard] });
        }
    }
    Path::new(segments)
}

impl Walk<'_> {
    fn whole(&mut self) -> Result<Outcome, Outcome> {
        if !self.route.parties_only.is_empty() && !self.is_party(self.route) {
            return Err(Outcome::Refused("not-a-party"));
        }
        if self.each.is_none() && !self.in_row() {
            return Err(Outcome::Concealed);
        }
        let gates = self.gates(false)?;
        let part = self.part(&gates, false)?;
        let found =
            self.place(self.root, &part, false).map_err(|Dropped| Outcome::Refused("dropped"))?;
        Ok(Outcome::Released(found.unwrap_or(Tree::Null)))
    }

    /// The gate of each role at this place; an error where all of it is left out.
    fn gates(&self, in_element: bool) -> Result<Vec<Option<BTreeMap<String, Act>>>, Outcome> {
        let only_self = self.asker.cells.values().any(|cell| cell.only_self);
        let caller = self.asker.caller();
        let is_caller = |who: &Who| match who {
            Who::People(people) => people.iter().all(|id| Some(id.as_str()) == caller),
            Who::Unresolved => false,
        };
        let here: Vec<(usize, Who)> = self
            .roles
            .iter()
            .enumerate()
            .filter(|(_, role)| in_element || !role.in_element)
            .map(|(index, role)| (index, self.who(role)))
            .collect();
        let is_among = |who: &Who| match who {
            Who::People(people) => caller.is_some_and(|caller| people.contains(caller)),
            Who::Unresolved => false,
        };
        let is_party = here.iter().any(|(_, who)| is_among(who))
            || !in_element && caller.is_some_and(|caller| self.stands_in_elements(caller));
        let is_asked = !here.is_empty() || self.is_judged_whole();
        if only_self && is_asked && !is_party || self.is_of_others(in_element) {
            return Err(Outcome::Refused("not-a-party"));
        }
        let mut gates: Vec<Option<BTreeMap<String, Act>>> = vec![None; self.roles.len()];
        for (index, who) in here {
            if only_self && !is_caller(&who) && matches!(who, Who::People(_)) {
                continue;
            }
            // Of those who stand at a place for several, nobody takes the others' part away.
            let several = index > 0 && self.roles[index].may_be_several()
                || matches!(&who, Who::People(people) if people.len() > 1);
            let gate = match who {
                Who::Unresolved => Err(Outcome::Concealed),
                Who::People(people) => {
                    self.all(&people, &self.stated(&self.roles[index])).map_err(code)
                }
            };
            match gate {
                Ok(gate) => gates[index] = Some(gate),
                // Somebody who is left out takes the element along; who is not known, or only stands
                // beside those whom an order names, takes their own members.
                Err(Outcome::Refused(code)) if !several && code != "not-named" => {
                    return Err(Outcome::Refused(code));
                }
                Err(outcome) if index == 0 => return Err(outcome),
                Err(_) => {}
            }
        }
        Ok(gates)
    }

    /// Whether an element of the list names this person.
    fn stands_in_elements(&self, person: &str) -> bool {
        self.roles.iter().filter(|role| role.in_element).any(|role| {
            let nodes = role.path.as_ref().map(|path| self.readings.nodes(path));
            nodes.unwrap_or_default().iter().any(|way| self.id_at(role, way) == Some(person))
        })
    }

    /// The id at a place of a role, or the name that is one.
    fn id_at(&self, role: &Role, way: &Way) -> Option<&str> {
        if role.is_named {
            return name_at(self.root, way).filter(|name| !name.is_empty());
        }
        id(find(self.root, way))
    }

    /// The strictest of several people's gates.
    fn all(&self, people: &BTreeSet<String>, stated: &Stated) -> Gate {
        let mut whole: Option<BTreeMap<String, Act>> = None;
        for person in people {
            let gate = self.asker.gate(person, stated)?;
            whole = Some(match whole {
                None => gate,
                Some(mut other) => {
                    for (category, act) in gate {
                        let joined = other[&category].join(act);
                        other.insert(category, joined);
                    }
                    other
                }
            });
        }
        Ok(whole.unwrap_or_default())
    }

    /// Where the answer says that people in this role are.
    fn stated(&self, role: &Role) -> Stated {
        let region = self.route.region.get(&role.name).filter(|_| self.asker.asks_routes());
        let Some(selector) = region else { return Stated::Nothing };
        let path = path(selector, self.each.as_ref());
        let in_list = self.in_list(&path);
        let nodes = self.readings.nodes(&path);
        let mut here = nodes.iter().filter(|way| !in_list || way.starts_with(&self.way));
        match (here.next().map(|way| find(self.root, way)), here.next()) {
            (None | Some(Tree::Null), None) => Stated::Nothing,
            // Countries are written in capitals, and understood without.
            (Some(Tree::String(word)), None) => Stated::In(word.to_uppercase()),
            _ => Stated::Nowhere,
        }
    }

    pub(super) fn who(&self, role: &Role) -> Who {
        let Some(path) = &role.path else {
            return Who::People([self.asker.world.ask.id.to_owned()].into());
        };
        let several = role.may_be_several();
        let nodes = self.readings.nodes(path);
        let mut ids = BTreeSet::new();
        for way in nodes.iter().filter(|way| !role.in_element || way.starts_with(&self.way)) {
            match self.id_at(role, way) {
                Some(id) => ids.insert(id.to_owned()),
                None => return Who::Unresolved,
            };
        }
        if ids.is_empty() || ids.len() > 1 && !several {
            return Who::Unresolved;
        }
        Who::People(ids)
    }

    /// Whether the recipient may see this row.
    fn in_row(&self) -> bool {
        self.asker.recipient.only_where.iter().all(|(selector, wanted)| {
            let path = path(selector, self.each.as_ref());
            let nodes = self.readings.nodes(&path);
            let mut here = nodes.iter().filter(|way| way.starts_with(&self.way));
            let (Some(way), None) = (here.next(), here.next()) else { return false };
            match find(self.root, way) {
                Tree::String(text) | Tree::Number(text) => text == wanted,
                _ => false,
            }
        })
    }

    /// Whether a caller who is a person is one of those whom the document is about.
    fn is_party(&self, route: &Route) -> bool {
        if self.asker.recipient.role != "user" {
            return true;
        }
        let caller = self.asker.world.ask.person;
        self.roles.iter().filter(|role| route.parties_only.contains(&role.name)).any(|role| {
            let nodes = role.path.as_ref().map(|path| self.readings.nodes(path));
            let mut nodes = nodes.unwrap_or_default().into_iter();
            caller.is_some() && nodes.any(|way| id(find(self.root, &way)) == caller)
        })
    }

    fn place(
        &mut self,
        value: &Tree,
        part: &Part,
        in_element: bool,
    ) -> Result<Option<Tree>, Dropped> {
        if !in_element && self.elements.contains(&self.way) {
            let gates = self.gates(true).ok().filter(|_| self.in_row());
            let part = gates.and_then(|gates| self.part(&gates, true).ok());
            let part = part.filter(|part| self.may_be_called(part));
            let found = part.and_then(|part| self.place(value, &part, true).ok().flatten());
            self.released += u64::from(found.is_some());
            return Ok(found);
        }
        if self.counts.iter().any(|(_, nodes)| nodes.contains(&self.way)) {
            return Ok(Some(Tree::Number(self.released.to_string())));
        }
        let (mut certain, mut both): (Option<Act>, Option<Act>) = (None, None);
        for (field, act) in self.fields.iter().zip(part) {
            let join = |other: Option<Act>| Some(other.map_or(*act, |other| other.join(*act)));
            match field.verdict(&self.way) {
                _ if field.is_name || !field.nodes.contains(&self.way) => {}
                Some(false) => {}
                Some(true) => (certain, both) = (join(certain), join(both)),
                None => both = join(both),
            }
        }
        // In doubt a place is treated as its certain selectors say, or as all say: by the stricter.
        let unlisted = certain.or(both.map(|_| Act::Remove));
        let act = unlisted.zip(both).map(|(certain, both)| certain.join(both));
        self.leave(value, act, part, in_element)
    }

    /// Whether the element here has a name that may leave, or needs none; keeps what it is called.
    fn may_be_called(&mut self, part: &Part) -> bool {
        let all = self.fields.iter().zip(part);
        let named = all.filter(|(field, _)| field.is_name && field.nodes.contains(&self.way));
        let Some(act) = named.map(|(_, act)| *act).reduce(Act::join) else { return true };
        let is_member = name_at(self.root, &self.way).is_some();
        let called = match act {
            Act::Keep | Act::OwnLines => return true,
            Act::Key(0) if is_member => TOKEN,
            Act::Key(_) if is_member => PSEUDONYM,
            _ => return false,
        };
        self.called.insert(self.way.clone(), called.to_owned());
        true
    }

    fn leave(
        &mut self,
        value: &Tree,
        act: Option<Act>,
        part: &Part,
        in_element: bool,
    ) -> Result<Option<Tree>, Dropped> {
        // What the rules release to nobody here is no reason to go in.
        // Where it meets another selector it counts, since the stricter of the two applies.
        let leaves = |field: &&Place| {
            let Some((category, _)) = &field.what else { return true };
            let cell = &self.asker.cells[category.as_str()];
            let beside = self.each.is_some() && !self.in_list(&field.path);
            let in_row = !beside || self.asker.recipient.only_where.is_empty();
            let is_dated = has_date(
                self.asker.text,
                self.route,
                self.asker.purposes,
                if beside { "$" } else { "@" },
                category,
            );
            let leaves = in_row && is_dated && cell.by_rules != Act::Remove;
            cell.by_rules == Act::Drop || leaves && !(cell.by_rules == Act::OwnLines && beside)
        };
        let fields = self.fields.iter().filter(|field| !field.is_name);
        let fields = fields.filter(|field| {
            let meets = |other: &Place| other.path.text == field.path.text && leaves(&other);
            leaves(field) || self.fields.iter().any(meets)
        });
        let fields = fields.filter(|field| field.verdict(&self.way) != Some(false));
        let fields = fields.map(|field| &field.path);
        let mut paths = fields.chain(self.counts.iter().map(|(path, _)| path)).chain(&self.each);
        let live = paths.any(|path| path.reaches(&self.keys));
        Ok(match (value, act) {
            (_, Some(Act::Drop)) => return Err(Dropped),
            (_, Some(Act::Remove)) => None,
            (Tree::Array(elements), act) if live || act.is_some() => {
                let mut kept = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    self.way.push(index);
                    self.keys.push(Key::Index(index));
                    let found = match act {
                        // A list of values: each is treated as the place is.
                        Some(_) if !matches!(element, Tree::Object(_)) => {
                            self.leave(element, act, part, in_element)
                        }
                        _ => self.place(element, part, in_element),
                    };
                    self.way.pop();
                    self.keys.pop();
                    kept.extend(found?);
                }
                Some(Tree::Array(kept))
            }
            (Tree::Object(members), _) if live => {
                let mut kept = Vec::new();
                for (position, (name, member)) in members.iter().enumerate() {
                    self.way.push(position);
                    self.keys.push(Key::Name(name.clone()));
                    let found = self.place(member, part, in_element);
                    let called = self.called.get(&self.way).unwrap_or(name).clone();
                    self.way.pop();
                    self.keys.pop();
                    kept.extend(found?.map(|found| (called, found)));
                }
                Some(Tree::Object(kept))
            }
            (Tree::Object(_) | Tree::Array(_), _) | (_, None) => None,
            (scalar, Some(act)) => Some(act.treat(scalar)),
        })
    }
}
