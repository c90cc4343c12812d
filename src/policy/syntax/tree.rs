//! Text → tree of nodes. Every deviation from the subset is a finding; only text that is no YAML
//! at all ends the reading.

use std::collections::BTreeSet;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::findings::Findings;
use super::node::{Key, Node, Value};
use crate::policy::Place;

/// Deepest nesting. Rules need six levels; the bound keeps recursion off the stack's end.
const DEEPEST: usize = 32;

/// Reads the one document of `text`; `None` if there is none or it is no YAML.
pub(in crate::policy) fn parse(
    file: &Arc<str>,
    text: &str,
    findings: &mut Findings,
) -> Option<Node> {
    let mut tree = Tree { file, parser: Parser::new_from_str(text), findings, ended: false };
    let mut root = None;
    while let Some((event, span)) = tree.next() {
        match event {
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd => {}
            event if root.is_none() => root = tree.node(event, span, 0),
            event => {
                let place = tree.place(&span);
                tree.findings.error("T102", &place, "a rules file holds one document");
                tree.node(event, span, 0);
            }
        }
    }
    if root.is_none() && !tree.ended {
        let place = Place { file: Arc::clone(file), line: 1, column: 1, length: 1 };
        findings.error("T102", &place, "the rules are empty");
    }
    root
}

struct Tree<'t, 'i> {
    file: &'t Arc<str>,
    parser: Parser<'i, StrInput<'i>>,
    findings: &'t mut Findings,
    /// The text turned out to be no YAML, and that was said.
    ended: bool,
}

impl<'i> Tree<'_, 'i> {
    fn next(&mut self) -> Option<(Event<'i>, Span)> {
        if self.ended {
            return None;
        }
        match self.parser.next_event()? {
            Ok(next) => Some(next),
            Err(error) => {
                self.ended = true;
                let place = self.at(*error.marker(), 1);
                self.findings.error("T102", &place, format!("not YAML: {}", error.info()));
                None
            }
        }
    }

    fn at(&self, marker: Marker, length: usize) -> Place {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(self.file),
            line: count(marker.line().max(1)),
            column: count(marker.col().saturating_add(1)),
            length: count(length.max(1)),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let one_line = span.start.line() == span.end.line();
        self.at(span.start, if one_line { span.len() } else { 1 })
    }

    /// The node that begins with `event`. `None` at the end of text that is no YAML.
    fn node(&mut self, event: Event<'i>, span: Span, depth: usize) -> Option<Node> {
        let place = self.place(&span);
        let refused = self.refuse_decorations(&event, &place);
        let value = match event {
            Event::Scalar(text, style, ..) => {
                Value::Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => Value::List(self.items(depth)?),
            Event::MappingStart(..) => Value::Map(self.members(depth)?),
            _ => Value::Refused,
        };
        let value = if refused { Value::Refused } else { value };
        Some(Node { place, value })
    }

    /// Anchors, aliases and tags make a file mean something else than it says to its reader.
    fn refuse_decorations(&mut self, event: &Event<'_>, place: &Place) -> bool {
        let (anchor, tag) = match event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => {
                (*anchor, tag.is_some())
            }
            Event::Alias(_) => {
                let help = Some("write the value out".to_owned());
                self.findings.error_with("T102", place, "aliases are not accepted", help);
                return true;
            }
            _ => (0, false),
        };
        if anchor > 0 {
            self.findings.error("T102", place, "anchors are not accepted");
        }
        if tag {
            self.findings.error("T102", place, "tags are not accepted");
        }
        tag
    }

    fn too_deep(&mut self, span: &Span, depth: usize) -> bool {
        if depth < DEEPEST {
            return false;
        }
        let place = self.place(span);
        self.findings.error("T102", &place, "nested too deeply");
        self.ended = true;
        true
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Some(items);
            }
            if self.too_deep(&span, depth) {
                return None;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn members(&mut self, depth: usize) -> Option<Vec<(Key, Node)>> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Some(members);
            }
            if self.too_deep(&span, depth) {
                return None;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Value::Scalar { text, quoted } = key.value else {
                if !matches!(key.value, Value::Refused) {
                    self.findings.error("T102", &key.place, "a key must be a single value");
                }
                continue;
            };
            if text == "<<" {
                let help = Some("write the members out".to_owned());
                self.findings.error_with("T102", &key.place, "merge keys are not accepted", help);
            } else if !seen.insert(text.clone()) {
                self.findings.error("T102", &key.place, format!("duplicate key `{text}`"));
            } else {
                members.push((Key { text, place: key.place, quoted }, value));
            }
        }
    }
}
