//! Applies an action to one JSON scalar.
//!
//! `null` stays `null`. A value that its action was not made for (a city where a date was expected, a
//! card number of three digits, `true` where a mask stands) is never released as it is: it becomes
//! the placeholder, and the caller counts it. The placeholder is `""` for a string and `null` for a
//! number, `true` and `false`: a 0 or a `false` would be a statement about the person.
//! Source: docs/RULES.md, "Actions".

mod calendar;
mod mask;
mod network;
mod number;
mod permute;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::pseudonym::{Canonical, DomainKey};
use super::{Action, Generalisation};

/// A JSON scalar as it stood in the document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text as written.
    Number(&'a str),
    /// A string, unescaped.
    String(&'a str),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The action's result was written.
    Written,
    /// The value is not of a kind that the action was made for; a placeholder was written.
    Blanked,
}

/// An action with what it needs: key, date of release, table of groups.
#[derive(Clone, Debug)]
pub struct Treatment {
    /// The action.
    pub action: Action,
    /// The key, for pseudonyms and tokens.
    pub key: Option<Arc<DomainKey>>,
    /// How values are brought to one form before the key is used.
    pub canonical: Canonical,
    /// Value → group.
    pub groups: Option<Arc<BTreeMap<String, String>>>,
    /// The date of release in UTC, for ages.
    pub today: Date,
}

/// What a value becomes.
enum Released {
    String(String),
    Number(String),
}

impl Treatment {
    /// Writes what `value` becomes, as JSON text. `remove`, `drop` and `refuse` are carried out by
    /// whoever writes members; a value that reaches this function under one of them is blanked.
    pub fn apply(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Applied {
        match (&self.action, value) {
            (_, Scalar::Null) => out.extend_from_slice(b"null"),
            // Whether the caller is a party was decided for the whole element.
            (Action::Keep | Action::OwnLines, value) => copy(value, out),
            (Action::Blank, value) => placeholder(value, out),
            (_, value) => match self.released(value) {
                Some(Released::String(text)) => write_string(&text, out),
                Some(Released::Number(text)) => out.extend_from_slice(text.as_bytes()),
                None => {
                    placeholder(value, out);
                    return Applied::Blanked;
                }
            },
        }
        Applied::Written
    }

    /// `None`: the action was not made for this value.
    fn released(&self, value: Scalar<'_>) -> Option<Released> {
        // A number that stands for an id, a card or a postal code is treated as its digits, and
        // leaves as a string: `****1234` is no number.
        let text = match value {
            Scalar::String(text) | Scalar::Number(text) => text,
            Scalar::Null | Scalar::Bool(_) => "",
        };
        let characters = match value {
            Scalar::String(text) => Some(text),
            Scalar::Number(text) => Some(text).filter(|text| number::is_plain_integer(text)),
            Scalar::Null | Scalar::Bool(_) => None,
        };
        let string = match value {
            Scalar::String(text) => Some(text),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
        };
        let like = |text: String| match value {
            Scalar::Number(_) => Released::Number(text),
            Scalar::Null | Scalar::Bool(_) | Scalar::String(_) => Released::String(text),
        };
        let is_text = !matches!(value, Scalar::Null | Scalar::Bool(_));
        match &self.action {
            Action::Mask(how) => characters.map(|text| mask::mask(*how, text)),
            Action::Initials => string.and_then(text::initials),
            Action::FirstWord => string.and_then(text::first_word),
            Action::Generalise(how) => match *how {
                Generalisation::Hour
                | Generalisation::Day
                | Generalisation::Month
                | Generalisation::Quarter
                | Generalisation::Year => string.and_then(|text| calendar::cut(*how, text)),
                Generalisation::YearBand(years) => {
                    characters.and_then(|text| calendar::band(years, text, self.today))
                }
                Generalisation::Bucket(step) => return number::bucket(text, step).map(like),
                Generalisation::Round(exponent) => return number::round(text, exponent).map(like),
                Generalisation::Degrees(n) => return number::degrees(text, n).map(like),
                Generalisation::Prefix(n) => characters.and_then(|text| text::prefix(text, n)),
                Generalisation::Group => Some(self.group(value)),
                // Both need a place's other members, which one scalar does not have.
                Generalisation::City | Generalisation::Country => None,
            },
            Action::IpPrefix { v4, v6 } => {
                string.and_then(|text| network::ip_prefix(text, *v4, *v6))
            }
            Action::AgentFamily => string.map(network::agent_family),
            Action::PathTemplate => string.and_then(network::path_template),
            Action::Origin => string.and_then(network::origin),
            Action::Pseudonym(_) => {
                self.key.as_ref().filter(|_| is_text)?.pseudonym(self.canonical, text)
            }
            Action::Token => self.key.as_ref().filter(|_| is_text)?.token(self.canonical, text),
            Action::Fpe => {
                return permute::permute(self.key.as_ref()?, self.canonical, value).map(like);
            }
            // This version refuses to guess what a detector would find (scrub). The others are dealt
            // with before or elsewhere: see `apply`.
            Action::Scrub
            | Action::Keep
            | Action::OwnLines
            | Action::Blank
            | Action::Remove
            | Action::Drop
            | Action::Refuse => None,
        }
        .map(Released::String)
    }

    /// The group of a value, by the category's table; without a table, or beside it, `other`.
    fn group(&self, value: Scalar<'_>) -> String {
        let text = match value {
            Scalar::String(text) | Scalar::Number(text) => text,
            Scalar::Bool(true) => "true",
            Scalar::Bool(false) => "false",
            Scalar::Null => "null",
        };
        let group = self.groups.as_ref().and_then(|groups| groups.get(text));
        group.map_or("other", String::as_str).to_owned()
    }
}

fn copy(value: Scalar<'_>, out: &mut Vec<u8>) {
    match value {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::Bool(true) => out.extend_from_slice(b"true"),
        Scalar::Bool(false) => out.extend_from_slice(b"false"),
        Scalar::Number(text) => out.extend_from_slice(text.as_bytes()),
        Scalar::String(text) => write_string(text, out),
    }
}

fn placeholder(value: Scalar<'_>, out: &mut Vec<u8>) {
    match value {
        Scalar::String(_) => out.extend_from_slice(b"\"\""),
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => out.extend_from_slice(b"null"),
    }
}

/// Writes a JSON string. Source: RFC 8259 §7: quotation mark, reverse solidus and the control
/// characters below U+0020 must be escaped; all else stands as UTF-8.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'0', b'0', HEX[high], HEX[low]]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
