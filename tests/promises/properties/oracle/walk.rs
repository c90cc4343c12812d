//! The document: whose it is, element by element, and what of it leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Outcome;
use super::act::{Act, PSEUDONYM, TOKEN};
use super::person::{Asker, Gate};
use super::text::{Field, Route};
use crate::oracle::{Key, Path, Readings, Segment, Step, Tree, Way, find, id, name_at, read};
use crate::properties::world::{BASKET, PERSON};

/// Whom a role is about at some place.
enum Who {
    /// Nobody can say.
    Unresolved,
    People(BTreeSet<String>),
}

/// A role with its own place in the document, or with an id from the path.
struct Role {
    name: String,
    /// `None`: the id stands in the path.
    path: Option<Path>,
    in_element: bool,
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

/// A selector, its places, the category that stands there (none where it is open) and whose it is.
type Place = (Path, HashSet<Way>, Option<(String, usize)>);

struct Walk<'a> {
    asker: &'a Asker<'a>,
    root: &'a Tree,
    readings: Readings,
    roles: Vec<Role>,
    each: Option<Path>,
    fields: Vec<Place>,
    /// Places whose members are called by values of a category, and whose these are.
    named: Vec<(HashSet<Way>, String, usize)>,
    /// How members are called that leave, if not as before.
    called: HashMap<Way, String>,
    counts: Vec<(Path, HashSet<Way>)>,
    elements: HashSet<Way>,
    released: u64,
    way: Way,
    keys: Vec<Key>,
}

pub(super) fn document(asker: &Asker<'_>, route: &Route) -> Result<Outcome, Outcome> {
    let ask = &asker.world.ask;
    // Known before the backend is asked.
    if [PERSON, BASKET].contains(&ask.route) {
        asker.gate(ask.id).map_err(code)?;
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
    let mut fields = Vec::new();
    let mut named = Vec::new();
    for (selector, field) in &route.fields {
        let path = path(selector, list);
        let nodes = readings.nodes(&path);
        if selector.starts_with("keys(") {
            named.push((nodes, field.category().to_owned(), of(field)));
            continue;
        }
        fields.push((path, nodes, Some((field.category().to_owned(), of(field)))));
    }
    for selector in &route.open {
        let path = path(selector, list);
        let nodes = readings.nodes(&path);
        fields.push((path, nodes, None));
    }
    let counts = route.derive.keys().map(|selector| path(selector, list));
    let counts = counts.map(|path| (path.clone(), readings.nodes(&path))).collect();
    let elements = each.as_ref().map(|each| readings.nodes(each)).unwrap_or_default();
    let mut walk = Walk {
        asker,
        root: &root,
        readings,
        roles,
        each,
        fields,
        named,
        called: HashMap::new(),
        counts,
        elements,
        released: 0,
        way: Way::new(),
        keys: Vec::new(),
    };
    walk.whole(route)
}

fn code(code: &'static str) -> Outcome {
    if code == "filtered" { Outcome::Concealed } else { Outcome::Refused(code) }
}

/// `$.a[*].b`, or `@.b` beneath the list, or `keys($.a)`, which are the members of `$.a`.
fn path(selector: &str, each: Option<&Path>) -> Path {
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
    fn whole(&mut self, route: &Route) -> Result<Outcome, Outcome> {
        if !route.parties_only.is_empty() && !self.is_party(route) {
            return Err(Outcome::Refused("not-a-party"));
        }
        if self.each.is_none() && !self.in_row() {
            return Err(Outcome::Concealed);
        }
        let gates = self.gates(false)?;
        let found = self.place(self.root, &gates, false);
        Ok(Outcome::Released(found.unwrap_or(Tree::Null)))
    }

    /// The gate of each role at this place; an error where all of it is left out.
    fn gates(&self, in_element: bool) -> Result<Vec<Option<BTreeMap<String, Act>>>, Outcome> {
        let only_self = self.asker.cells.values().any(|cell| cell.only_self);
        let caller = self.asker.world.ask.person;
        let is_caller = |who: &Who| match who {
            Who::People(people) => {
                people.len() == 1 && people.iter().map(String::as_str).next() == caller
            }
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
        if only_self && !here.is_empty() && !is_party {
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
                Who::People(people) => self.all(&people).map_err(code),
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
    fn all(&self, people: &BTreeSet<String>) -> Gate {
        let mut whole: Option<BTreeMap<String, Act>> = None;
        for person in people {
            let gate = self.asker.gate(person)?;
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

    fn who(&self, role: &Role) -> Who {
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
        gates: &[Option<BTreeMap<String, Act>>],
        in_element: bool,
    ) -> Option<Tree> {
        if !in_element && self.elements.contains(&self.way) {
            let element = self.gates(true).ok().filter(|_| self.in_row());
            let element = element.filter(|gates| self.may_be_called(gates));
            let found = element.and_then(|gates| self.place(value, &gates, true));
            self.released += u64::from(found.is_some());
            return found;
        }
        if self.counts.iter().any(|(_, nodes)| nodes.contains(&self.way)) {
            return Some(Tree::Number(self.released.to_string()));
        }
        let mut act: Option<Act> = None;
        for (_, nodes, what) in &self.fields {
            if !nodes.contains(&self.way) {
                continue;
            }
            let here = match what {
                None => Act::Keep,
                Some((category, role)) => {
                    let outside = !in_element && self.each.is_some();
                    match &gates[*role] {
                        _ if outside && !self.asker.recipient.only_where.is_empty() => Act::Remove,
                        None => Act::Remove,
                        Some(gate) => gate.get(category).copied().unwrap_or(Act::Remove),
                    }
                }
            };
            act = Some(act.map_or(here, |act| act.join(here)));
        }
        self.leave(value, act, gates, in_element)
    }

    /// Whether the element here has a name that may leave, or needs none; keeps what it is called.
    fn may_be_called(&mut self, gates: &[Option<BTreeMap<String, Act>>]) -> bool {
        let named = self.named.iter().filter(|(nodes, ..)| nodes.contains(&self.way));
        let acts = named.map(|(_, category, role)| match &gates[*role] {
            Some(gate) => gate.get(category).copied().unwrap_or(Act::Remove),
            None => Act::Remove,
        });
        let Some(act) = acts.reduce(Act::join) else { return true };
        let is_member = name_at(self.root, &self.way).is_some();
        let called = match act {
            Act::Keep => return true,
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
        gates: &[Option<BTreeMap<String, Act>>],
        in_element: bool,
    ) -> Option<Tree> {
        // What the rules release to nobody here is no reason to go in.
        let in_list = |path: &Path| self.each.as_ref().is_some_and(|each| path.continues(each));
        let fields = self.fields.iter().filter(|(path, _, what)| {
            let Some((category, _)) = what else { return true };
            let in_row =
                self.each.is_none() || self.asker.recipient.only_where.is_empty() || in_list(path);
            in_row && self.asker.cells[category.as_str()].by_rules.releases()
        });
        let fields = fields.map(|(path, ..)| path);
        let mut paths = fields.chain(self.counts.iter().map(|(path, _)| path)).chain(&self.each);
        let live = paths.any(|path| path.reaches(&self.keys));
        match (value, act) {
            (_, Some(Act::Remove | Act::Drop)) => None,
            (Tree::Array(elements), act) if live || act.is_some() => {
                let mut kept = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    self.way.push(index);
                    self.keys.push(Key::Index(index));
                    let found = match act {
                        // A list of values: each is treated as the place is.
                        Some(_) if !matches!(element, Tree::Object(_)) => {
                            self.leave(element, act, gates, in_element)
                        }
                        _ => self.place(element, gates, in_element),
                    };
                    kept.extend(found);
                    self.way.pop();
                    self.keys.pop();
                }
                Some(Tree::Array(kept))
            }
            (Tree::Object(members), _) if live => {
                let mut kept = Vec::new();
                for (position, (name, member)) in members.iter().enumerate() {
                    self.way.push(position);
                    self.keys.push(Key::Name(name.clone()));
                    let found = self.place(member, gates, in_element);
                    let called = self.called.get(&self.way).unwrap_or(name);
                    kept.extend(found.map(|found| (called.clone(), found)));
                    self.way.pop();
                    self.keys.pop();
                }
                Some(Tree::Object(kept))
            }
            (Tree::Object(_) | Tree::Array(_), _) | (_, None) => None,
            (scalar, Some(act)) => Some(act.treat(scalar)),
        }
    }
}
