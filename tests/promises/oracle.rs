//! What the rewriter should do, said a second time and plainly: the document as a tree that keeps
//! order and duplicates (read by json-event-parser), selectors matched against whole paths, no
//! automaton, no streaming. Slow, and sharing nothing with the engine but the selectors' syntax.

use json_event_parser::{JsonEvent, ReaderJsonParser};
use tamis::policy::automaton::Unlisted;
use tamis::policy::path::{PathSegment, Selector, Step};

/// A document. Scalars as written in canonical form: strings unescaped, numbers as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Name(String),
    Index(u64),
}

/// What the oracle can do: the actions whose result needs no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Keep,
    /// `redact`.
    Redact,
    /// `blank`.
    Blank,
    Remove,
}

impl Act {
    pub(crate) const ALL: [Self; 4] = [Self::Keep, Self::Redact, Self::Blank, Self::Remove];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Redact => "redact",
            Self::Blank => "blank",
            Self::Remove => "remove",
        }
    }
}

pub(crate) struct Rule {
    pub(crate) selector: Selector,
    pub(crate) act: Act,
    pub(crate) subtree: bool,
}

/// `None`: not JSON.
pub(crate) fn read(text: &[u8]) -> Option<Tree> {
    let mut parser = ReaderJsonParser::new(text);
    let mut open: Vec<(Option<String>, Tree)> = Vec::new();
    let mut name = None;
    let mut root = None;
    loop {
        let value = match parser.parse_next().ok()? {
            JsonEvent::Eof => return root,
            JsonEvent::StartObject => {
                open.push((name.take(), Tree::Object(Vec::new())));
                continue;
            }
            JsonEvent::StartArray => {
                open.push((name.take(), Tree::Array(Vec::new())));
                continue;
            }
            JsonEvent::ObjectKey(key) => {
                name = Some(key.into_owned());
                continue;
            }
            JsonEvent::EndObject | JsonEvent::EndArray => {
                let (own, value) = open.pop()?;
                name = own;
                value
            }
            JsonEvent::String(text) => Tree::String(text.into_owned()),
            JsonEvent::Number(text) => Tree::Number(text.into_owned()),
            JsonEvent::Boolean(value) => Tree::Bool(value),
            JsonEvent::Null => Tree::Null,
        };
        match open.last_mut() {
            Some((_, Tree::Array(elements))) => elements.push(value),
            Some((_, Tree::Object(members))) => members.push((name.take()?, value)),
            _ => root = Some(value),
        }
    }
}

/// Whether a selector's segments lead along exactly this way.
fn leads(segments: &[PathSegment], way: &[Key]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return way.is_empty() };
    let Some((key, onward)) = way.split_first() else { return false };
    let steps = segment.steps.iter().any(|step| match (step, key) {
        (Step::Wildcard, _) => true,
        (Step::Name(wanted), Key::Name(name)) => wanted == name,
        (Step::Index(wanted), Key::Index(index)) => wanted == index,
        (Step::Slice { start, end, step }, Key::Index(index)) => {
            index >= start
                && end.is_none_or(|end| *index < end)
                && (index - start).is_multiple_of(*step)
        }
        (Step::Name(_), Key::Index(_)) | (Step::Index(_) | Step::Slice { .. }, Key::Name(_)) => {
            false
        }
    });
    (steps && leads(rest, onward)) || (segment.descendant && leads(segments, onward))
}

/// Whether the selector can still find something beneath this way: by trying what it could name.
fn reaches(segments: &[PathSegment], way: &[Key]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return false };
    let Some((key, onward)) = way.split_first() else { return true };
    let one = [PathSegment { descendant: false, steps: segment.steps.clone() }];
    (leads(&one, std::slice::from_ref(key)) && reaches(rest, onward))
        || (segment.descendant && reaches(segments, onward))
}

/// In force at a place: nothing, or an action and whether objects go whole.
type Force = Option<(Act, bool)>;

/// The document under the rules; `None` where it is removed.
pub(crate) fn rewrite(rules: &[Rule], unlisted: Unlisted, root: &Tree) -> Tree {
    let force = match unlisted {
        Unlisted::Keep => Some((Act::Keep, true)),
        Unlisted::Remove => None,
    };
    place(rules, root, &mut Vec::new(), force).unwrap_or(Tree::Null)
}

fn place(rules: &[Rule], value: &Tree, way: &mut Vec<Key>, force: Force) -> Option<Tree> {
    let mut force = force;
    for rule in rules.iter().filter(|rule| leads(&rule.selector.segments, way)) {
        force = Some(match force {
            None => (rule.act, rule.subtree),
            Some((act, subtree)) => (act.max(rule.act), subtree && rule.subtree),
        });
    }
    let live = rules.iter().any(|rule| reaches(&rule.selector.segments, way));
    match (value, force) {
        (Tree::Array(_) | Tree::Object(_), None) if live => Some(inside(rules, value, way, None)),
        (_, None | Some((Act::Remove, _))) => None,
        (Tree::Array(_), Some(_)) => Some(inside(rules, value, way, force)),
        (Tree::Object(_), Some((Act::Keep, true))) => {
            Some(inside(rules, value, way, Some((Act::Keep, true))))
        }
        (Tree::Object(_), Some((_, true))) => Some(Tree::Null),
        (Tree::Object(_), Some((_, false))) => live.then(|| inside(rules, value, way, None)),
        (scalar, Some((Act::Keep, _))) => Some(scalar.clone()),
        (Tree::Null, Some(_)) => Some(Tree::Null),
        (Tree::String(_), Some((Act::Blank, _))) => Some(Tree::String(String::new())),
        (_, Some((Act::Blank, _))) => Some(Tree::Null),
        (Tree::String(_), Some((Act::Redact, _))) => Some(Tree::String("****".to_owned())),
        (Tree::Number(text), Some((Act::Redact, _))) if is_plain(text) => {
            Some(Tree::String("****".to_owned()))
        }
        (_, Some((Act::Redact, _))) => Some(Tree::Null),
    }
}

fn is_plain(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit())
}

fn inside(rules: &[Rule], value: &Tree, way: &mut Vec<Key>, force: Force) -> Tree {
    match value {
        Tree::Array(elements) => Tree::Array(
            (0..)
                .zip(elements)
                .filter_map(|(index, element)| {
                    way.push(Key::Index(index));
                    let kept = place(rules, element, way, force);
                    way.pop();
                    kept
                })
                .collect(),
        ),
        Tree::Object(members) => Tree::Object(
            members
                .iter()
                .filter_map(|(name, member)| {
                    way.push(Key::Name(name.clone()));
                    let kept = place(rules, member, way, force);
                    way.pop();
                    Some((name.clone(), kept?))
                })
                .collect(),
        ),
        scalar => scalar.clone(),
    }
}
