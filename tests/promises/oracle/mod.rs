//! What the rewriter should do, said a second time and plainly: the document as a tree, selectors
//! asked of serde_json_path, no automaton, no streaming. Slow, and sharing nothing with the engine.

mod path;
mod tree;

use std::collections::{BTreeSet, HashSet};

use crate::engine::pseudonym;

pub(crate) use path::{Key, Path, Segment, Step};
pub(crate) use path::{Readings, Way};
pub(crate) use tree::{Tree, read};

/// The actions whose result needs no key, from what shows most to what shows least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Keep,
    Redact,
    Blank,
    Remove,
    Drop,
    Refuse,
}

impl Act {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Redact => "redact",
            Self::Blank => "blank",
            Self::Remove => "remove",
            Self::Drop => "drop",
            Self::Refuse => "refuse",
        }
    }
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Treated so; with `true`, objects beneath go the same way, whole.
    Cell(Act, bool),
    /// Replaced by the number of elements released.
    Count(Act),
    /// The list.
    Each,
    /// The id of the person in this role.
    Subject(u8),
    /// The names of the members there are treated so; with `true`, one that is kept is a pseudonym.
    Name(Act, bool),
    /// The names of the members there are ids of people in this role.
    Named(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) path: Path,
    pub(crate) what: What,
}

/// What is not named by any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Keep,
    Remove,
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Released under treatments that are no weaker than this.
    Release(Act),
    Drop,
}

/// What should come out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) tree: Tree,
    pub(crate) questions: Vec<String>,
    pub(crate) released: u64,
    pub(crate) dropped: u64,
}

/// Nothing more comes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// The document under the rules.
pub(crate) fn rewrite(
    rules: &[Rule],
    rest: Rest,
    judge: &dyn Fn(&str) -> Judged,
    root: &Tree,
) -> Result<Expected, Refused> {
    let readings = Readings::new(root);
    let mut walk = Walk {
        nodes: rules.iter().map(|rule| readings.nodes(&rule.path)).collect(),
        rules,
        base: (rest == Rest::Keep).then_some((Act::Keep, true)),
        judge,
        root,
        floor: Act::Keep,
        way: Way::new(),
        keys: Vec::new(),
        in_element: false,
        element_at: None,
        met: 0,
        released: None,
        expected: Expected { tree: Tree::Null, questions: Vec::new(), released: 0, dropped: 0 },
    };
    if walk.holds_document() {
        match walk.ask(None) {
            Judged::Release(floor) => walk.floor = floor,
            Judged::Drop => return Err(Refused),
        }
    }
    match walk.place(root, walk.base) {
        Ok(found) => walk.expected.tree = found.map_or(Tree::Null, |(found, _)| found),
        Err(Stop::Drop | Stop::Refuse) => return Err(Refused),
    }
    Ok(walk.expected)
}

/// In force at a place: nothing, or an action and whether objects go whole.
type Force = Option<(Act, bool)>;

/// A rule ends the element, or everything.
enum Stop {
    Drop,
    Refuse,
}

struct Walk<'a> {
    rules: &'a [Rule],
    nodes: Vec<HashSet<Way>>,
    base: Force,
    judge: &'a dyn Fn(&str) -> Judged,
    root: &'a Tree,
    /// What the verdict in force tightens every cell to.
    floor: Act,
    way: Way,
    keys: Vec<Key>,
    in_element: bool,
    /// How deep the element stands that is walked.
    element_at: Option<usize>,
    met: u64,
    /// Elements released before this point, once a list has ended.
    released: Option<u64>,
    expected: Expected,
}

/// What is left of a value, and under which name if it is a member.
type Placed = Option<(Tree, Named)>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    AsBefore,
    Otherwise(String),
    /// Its name would have to be another one, and it has none.
    Nowhere,
}

impl Walk<'_> {
    /// What is left of a value at the place that has been come to.
    fn place(&mut self, value: &Tree, force: Force) -> Result<Placed, Stop> {
        let here: Vec<What> = self
            .rules
            .iter()
            .zip(&self.nodes)
            .filter(|(_, nodes)| nodes.contains(&self.way))
            .map(|(rule, _)| rule.what)
            .collect();
        if !self.in_element && here.contains(&What::Each) {
            return self.element(value);
        }
        let names = here.iter().filter_map(|what| match what {
            What::Name(act, otherwise) => Some((*act.max(&self.floor), *otherwise)),
            _ => None,
        });
        let names: Vec<(Act, bool)> = names.collect();
        let name = match names.iter().map(|(act, _)| *act).max() {
            None | Some(Act::Keep) if names.iter().all(|(_, otherwise)| !otherwise) => {
                Named::AsBefore
            }
            None | Some(Act::Keep) => match self.keys.last() {
                Some(Key::Name(name)) => Named::Otherwise(pseudonym(name)),
                _ => Named::Nowhere,
            },
            Some(strictest) => {
                let cells = here.iter().filter_map(|what| match what {
                    What::Cell(act, _) | What::Count(act) => Some(*act.max(&self.floor)),
                    _ => None,
                });
                return match cells.chain([strictest]).max() {
                    Some(Act::Refuse) => Err(Stop::Refuse),
                    Some(Act::Drop) => Err(Stop::Drop),
                    _ => Ok(None),
                };
            }
        };
        // An element is looked at all the same.
        if name == Named::Nowhere && self.element_at != Some(self.way.len()) {
            let cells = here.iter().filter_map(|what| match what {
                What::Cell(act, _) | What::Count(act) => Some(*act.max(&self.floor)),
                _ => None,
            });
            return match cells.max() {
                Some(Act::Refuse) => Err(Stop::Refuse),
                Some(Act::Drop) => Err(Stop::Drop),
                _ => Ok(None),
            };
        }
        Ok(self.value(value, force, here)?.map(|found| (found, name)))
    }

    fn value(&mut self, value: &Tree, force: Force, here: Vec<What>) -> Result<Option<Tree>, Stop> {
        let mut force = force;
        let mut counts = false;
        for what in here {
            let (act, subtree) = match what {
                What::Cell(act, subtree) => (act, subtree),
                What::Count(act) => {
                    counts = true;
                    (act, true)
                }
                What::Each | What::Subject(_) | What::Name(..) | What::Named(_) => continue,
            };
            let act = act.max(self.floor);
            force = Some(match force {
                None => (act, subtree),
                Some((other, whole)) => (act.max(other), whole && subtree),
            });
        }
        match force {
            Some((Act::Refuse, _)) => return Err(Stop::Refuse),
            Some((Act::Drop, _)) => return Err(Stop::Drop),
            _ => {}
        }
        if counts {
            let leaves = matches!(force, Some((Act::Keep | Act::Redact, _)));
            let count = self.released.filter(|_| leaves);
            return Ok(count.map(|count| Tree::Number(count.to_string())));
        }
        let live = self
            .rules
            .iter()
            .any(|rule| !is_about_somebody(rule.what) && rule.path.reaches(&self.keys));
        Ok(match (value, force) {
            (Tree::Array(_) | Tree::Object(_), None) if live => Some(self.inside(value, None)?),
            (_, None | Some((Act::Remove, _))) => None,
            (Tree::Array(_), Some(_)) => Some(self.inside(value, force)?),
            (Tree::Object(_), Some((Act::Keep, true))) => {
                Some(self.inside(value, Some((Act::Keep, true)))?)
            }
            (Tree::Object(_), Some((_, true))) => Some(Tree::Null),
            (Tree::Object(_), Some((_, false))) if live => Some(self.inside(value, None)?),
            (Tree::Object(_), Some((_, false))) => None,
            (scalar, Some((act, _))) => Some(treated(scalar, act)),
        })
    }

    fn inside(&mut self, value: &Tree, force: Force) -> Result<Tree, Stop> {
        let before = self.met;
        let changed = match value {
            Tree::Array(elements) => {
                let mut kept = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    let found = self.child(index, Key::Index(index), element, force)?;
                    kept.extend(found.map(|(found, _)| found));
                }
                Tree::Array(kept)
            }
            Tree::Object(members) => {
                let mut kept = Vec::new();
                for (position, (name, member)) in members.iter().enumerate() {
                    let found = self.child(position, Key::Name(name.clone()), member, force)?;
                    kept.extend(found.map(|(found, named)| match named {
                        Named::Otherwise(other) => (other, found),
                        Named::AsBefore | Named::Nowhere => (name.clone(), found),
                    }));
                }
                Tree::Object(kept)
            }
            scalar => scalar.clone(),
        };
        // A list ends, with elements or without.
        if !self.in_element && (self.met > before || self.is_empty_list(value)) {
            self.released = Some(self.expected.released);
        }
        Ok(changed)
    }

    fn child(
        &mut self,
        position: usize,
        key: Key,
        value: &Tree,
        force: Force,
    ) -> Result<Placed, Stop> {
        self.way.push(position);
        self.keys.push(key);
        let found = self.place(value, force);
        self.way.pop();
        self.keys.pop();
        found
    }

    fn is_empty_list(&self, value: &Tree) -> bool {
        let first: Vec<Key> = self.keys.iter().cloned().chain([Key::Index(0)]).collect();
        *value == Tree::Array(Vec::new())
            && self.rules.iter().any(|rule| rule.what == What::Each && rule.path.leads_to(&first))
    }

    /// Asks about the element at hand, and lets it out as the verdict says. What contains the list
    /// governs no element: it begins as if nothing were in force.
    fn element(&mut self, value: &Tree) -> Result<Placed, Stop> {
        let index = self.met;
        self.met += 1;
        let Judged::Release(floor) = self.ask(Some(index)) else {
            self.expected.dropped += 1;
            return Ok(None);
        };
        let outside = std::mem::replace(&mut self.floor, floor);
        self.in_element = true;
        self.element_at = Some(self.way.len());
        let found = self.place(value, self.base);
        self.in_element = false;
        self.element_at = None;
        self.floor = outside;
        match found {
            Ok(Some((_, Named::Nowhere))) => {
                self.expected.dropped += 1;
                Ok(None)
            }
            Ok(Some(found)) => {
                self.expected.released += 1;
                Ok(Some(found))
            }
            Ok(None) => Ok(None),
            Err(Stop::Drop) => {
                self.expected.dropped += 1;
                Ok(None)
            }
            Err(Stop::Refuse) => Err(Stop::Refuse),
        }
    }

    /// Asks about an element, or the document.
    fn ask(&mut self, element: Option<u64>) -> Judged {
        let mut roles: BTreeSet<u8> = BTreeSet::new();
        roles.extend(self.rules.iter().filter_map(|rule| match rule.what {
            What::Subject(role) | What::Named(role) => Some(role),
            What::Cell(..) | What::Count(_) | What::Each | What::Name(..) => None,
        }));
        let found: Vec<String> = roles
            .into_iter()
            .filter_map(|role| Some(format!("{role}={}", self.located(role, element.is_some())?)))
            .collect();
        let scope = element.map_or("document".to_owned(), |index| format!("element {index}"));
        let question = format!("{scope}: {}", found.join(" "));
        let judged = (self.judge)(&question);
        self.expected.questions.push(question);
        judged
    }

    /// Who was found at the places of a role; `None` where the question does not mention it.
    fn located(&self, role: u8, in_element: bool) -> Option<String> {
        let each = self.rules.iter().find(|rule| rule.what == What::Each).map(|rule| &rule.path);
        let mut within = true;
        let mut several = false;
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let mut other = false;
        for (rule, nodes) in self.rules.iter().zip(&self.nodes) {
            if rule.what != What::Subject(role) && rule.what != What::Named(role) {
                continue;
            }
            let list = each.filter(|each| rule.path.continues(each));
            within &= list.is_some();
            let outer = list.map_or(0, |each| each.segments.len());
            several |= !rule.path.segments[outer..].iter().all(Segment::is_singular);
            for way in nodes.iter().filter(|way| way.starts_with(&self.way)) {
                let found = match rule.what {
                    What::Named(_) => name_at(self.root, way).filter(|name| !name.is_empty()),
                    _ => id(find(self.root, way)),
                };
                match found {
                    Some(id) => {
                        ids.insert(id);
                    }
                    None => other = true,
                }
            }
        }
        if !within && in_element || within && !in_element && ids.is_empty() {
            return None;
        }
        if within && !in_element {
            (several, other) = (true, false);
        }
        Some(match (ids.len(), other) {
            (0, _) => "nothing".to_owned(),
            (1, false) => ids.first().copied().unwrap_or_default().to_owned(),
            (_, false) if several => ids.into_iter().collect::<Vec<_>>().join("+"),
            _ => "ambiguous".to_owned(),
        })
    }

    /// Whether somebody's id stands outside of the list.
    fn holds_document(&self) -> bool {
        let each = self.rules.iter().find(|rule| rule.what == What::Each).map(|rule| &rule.path);
        self.rules.iter().any(|rule| {
            is_about_somebody(rule.what) && !each.is_some_and(|each| rule.path.continues(each))
        })
    }
}

fn is_about_somebody(what: What) -> bool {
    matches!(what, What::Subject(_) | What::Named(_))
}

/// The name of the member at the end of this way, if it is one.
pub(crate) fn name_at<'a>(root: &'a Tree, way: &[usize]) -> Option<&'a str> {
    let (position, around) = way.split_last()?;
    match find(root, around) {
        Tree::Object(members) => Some(&members[*position].0),
        _ => None,
    }
}

fn treated(scalar: &Tree, act: Act) -> Tree {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match (scalar, act) {
        (scalar, Act::Keep) => scalar.clone(),
        (Tree::String(_), Act::Blank) => Tree::String(String::new()),
        (Tree::String(_), Act::Redact) => Tree::String("****".to_owned()),
        (Tree::Number(text), Act::Redact) if digits(text) => Tree::String("****".to_owned()),
        _ => Tree::Null,
    }
}

pub(crate) fn find<'a>(root: &'a Tree, way: &[usize]) -> &'a Tree {
    way.iter().fold(root, |tree, position| match tree {
        Tree::Array(elements) => &elements[*position],
        Tree::Object(members) => &members[*position].1,
        scalar => scalar,
    })
}

pub(crate) fn id(value: &Tree) -> Option<&str> {
    match value {
        Tree::String(text) if !text.is_empty() => Some(text),
        Tree::Number(text)
            if text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit()) =>
        {
            Some(text)
        }
        _ => None,
    }
}
