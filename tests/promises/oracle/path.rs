//! A selector, said a second time: what it selects is serde_json_path's word, and whether anything
//! can be selected beneath a place is tried out segment by segment. Nothing here is the engine's,
//! not even the syntax tree.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};

use super::tree::Tree;

/// A place: the position among its siblings at every level, from the root.
pub(crate) type Way = Vec<usize>;

/// A step of a way as selectors see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Name(String),
    Index(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(String),
    Wildcard,
    Index(usize),
    Slice { start: Option<usize>, end: Option<usize>, step: Option<usize> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) descendant: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<Segment>,
    /// As a rule spells it.
    pub(crate) text: String,
    query: JsonPath,
}

impl Path {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        let mut text = String::from("$");
        for segment in &segments {
            segment.write(&mut text);
        }
        let query = JsonPath::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        Self { segments, text, query }
    }

    /// Whether it selects a place that lies beneath `keys` in some document.
    pub(crate) fn reaches(&self, keys: &[Key]) -> bool {
        reaches(&self.segments, keys)
    }

    /// Whether it selects the place at `keys` itself.
    pub(crate) fn leads_to(&self, keys: &[Key]) -> bool {
        leads(&self.segments, keys)
    }

    /// Whether its segments begin with those of `outer`.
    pub(crate) fn continues(&self, outer: &Self) -> bool {
        self.segments.starts_with(&outer.segments)
    }
}

impl Segment {
    pub(crate) fn is_singular(&self) -> bool {
        !self.descendant && matches!(self.steps.as_slice(), [Step::Name(_) | Step::Index(_)])
    }

    fn write(&self, out: &mut String) {
        let shorthand = match self.steps.as_slice() {
            [Step::Wildcard] => Some("*"),
            [Step::Name(name)] if is_plain(name) => Some(name.as_str()),
            _ => None,
        };
        out.push_str(match (self.descendant, shorthand) {
            (true, _) => "..",
            (false, Some(_)) => ".",
            (false, None) => "",
        });
        if let Some(shorthand) = shorthand {
            out.push_str(shorthand);
            return;
        }
        out.push('[');
        for (position, step) in self.steps.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            step.write(out);
        }
        out.push(']');
    }
}

impl Step {
    fn write(&self, out: &mut String) {
        let number = |number: Option<usize>| number.map_or(String::new(), |n| n.to_string());
        let _ = match self {
            // JSON's escapes are a subset of the selector's, in double quotes.
            Self::Name(name) => write!(out, "{}", Value::String(name.clone())),
            Self::Wildcard => write!(out, "*"),
            Self::Index(index) => write!(out, "{index}"),
            Self::Slice { start, end, step } => {
                write!(out, "{}:{}:{}", number(*start), number(*end), number(*step))
            }
        };
    }

    fn selects(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Wildcard, _) => true,
            (Self::Name(wanted), Key::Name(name)) => wanted == name,
            (Self::Index(wanted), Key::Index(index)) => wanted == index,
            (Self::Slice { start, end, step }, Key::Index(index)) => {
                let start = start.unwrap_or(0);
                *index >= start
                    && end.is_none_or(|end| *index < end)
                    && (index - start).is_multiple_of(step.unwrap_or(1))
            }
            (Self::Name(_), Key::Index(_))
            | (Self::Index(_) | Self::Slice { .. }, Key::Name(_)) => false,
        }
    }
}

/// A name that may stand behind a dot.
fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == 'ö' || c == 'ß')
}

fn leads(segments: &[Segment], keys: &[Key]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return keys.is_empty() };
    let Some((key, onward)) = keys.split_first() else { return false };
    (segment.steps.iter().any(|step| step.selects(key)) && leads(rest, onward))
        || (segment.descendant && leads(segments, onward))
}

fn reaches(segments: &[Segment], keys: &[Key]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return false };
    let Some((key, onward)) = keys.split_first() else { return true };
    (segment.steps.iter().any(|step| step.selects(key)) && reaches(rest, onward))
        || (segment.descendant && reaches(segments, onward))
}

/// A document as serde_json_path can read it: of members with one name, one each time. As many
/// readings as it takes until every occurrence was in one.
pub(crate) struct Readings(Vec<(Value, Shown)>);

/// Where a value of a reading stands in the document.
enum Shown {
    Scalar,
    Array(Vec<Shown>),
    Object(BTreeMap<String, (usize, Shown)>),
}

impl Readings {
    pub(crate) fn new(tree: &Tree) -> Self {
        let mut unseen = HashSet::new();
        places(tree, &mut Vec::new(), &mut unseen);
        let mut readings = Vec::new();
        while !unseen.is_empty() {
            readings.push(reading(tree, &mut Vec::new(), &mut unseen));
        }
        Self(readings)
    }

    /// All places that `path` selects.
    pub(crate) fn nodes(&self, path: &Path) -> HashSet<Way> {
        let mut nodes = HashSet::new();
        for (value, shown) in &self.0 {
            for location in path.query.query_located(value).locations() {
                let mut way = Way::new();
                let mut at = shown;
                for element in location.iter() {
                    match (element, at) {
                        (PathElement::Index(index), Shown::Array(elements)) => {
                            way.push(*index);
                            at = &elements[*index];
                        }
                        (PathElement::Name(name), Shown::Object(members)) => {
                            let (position, member) = &members[*name];
                            way.push(*position);
                            at = member;
                        }
                        _ => panic!("{} leads out of its document", path.text),
                    }
                }
                nodes.insert(way);
            }
        }
        nodes
    }
}

fn places(tree: &Tree, way: &mut Way, out: &mut HashSet<Way>) {
    out.insert(way.clone());
    for (position, child) in children(tree).into_iter().enumerate() {
        way.push(position);
        places(child, way, out);
        way.pop();
    }
}

fn children(tree: &Tree) -> Vec<&Tree> {
    match tree {
        Tree::Array(elements) => elements.iter().collect(),
        Tree::Object(members) => members.iter().map(|(_, member)| member).collect(),
        _ => Vec::new(),
    }
}

fn reading(tree: &Tree, way: &mut Way, unseen: &mut HashSet<Way>) -> (Value, Shown) {
    unseen.remove(way);
    match tree {
        Tree::Array(elements) => {
            let (values, shown) = elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    way.push(index);
                    let read = reading(element, way, unseen);
                    way.pop();
                    read
                })
                .unzip();
            (Value::Array(values), Shown::Array(shown))
        }
        Tree::Object(members) => {
            let mut values = serde_json::Map::new();
            let mut shown = BTreeMap::new();
            for (position, (name, member)) in members.iter().enumerate() {
                way.push(position);
                let last = !members[position + 1..].iter().any(|(later, _)| later == name);
                let wanted = last || unseen.iter().any(|place| place.starts_with(way));
                if !shown.contains_key(name) && wanted {
                    let (value, below) = reading(member, way, unseen);
                    values.insert(name.clone(), value);
                    shown.insert(name.clone(), (position, below));
                }
                way.pop();
            }
            (Value::Object(values), Shown::Object(shown))
        }
        Tree::Null => (Value::Null, Shown::Scalar),
        Tree::Bool(value) => (Value::Bool(*value), Shown::Scalar),
        Tree::String(text) => (Value::String(text.clone()), Shown::Scalar),
        // No selector looks at numbers, of which serde_json could not hold all.
        Tree::Number(_) => (Value::from(0), Shown::Scalar),
    }
}
