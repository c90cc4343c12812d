//! A document as a tree that keeps order and duplicates, read by json-event-parser.

use json_event_parser::{JsonEvent, ReaderJsonParser};

/// A document. Strings unescaped, numbers as text: what it means, not how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// `None`: not JSON.
pub(crate) fn read(text: &[u8]) -> Option<Tree> {
    // The parser skips a byte-order mark, which RFC 8259 lets it; Tamis refuses one.
    if text.starts_with(b"\xef\xbb\xbf") {
        return None;
    }
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

impl Tree {
    /// Containers around the deepest place, itself included.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Array(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => {
                1 + members.iter().map(|(_, member)| member.depth()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}
