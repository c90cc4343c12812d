//! Applies an action to one JSON scalar.
//!
//! `null` stays `null`. A value that its action was not made for (a city where a date was expected, a
//! card number of three digits, `true` where a mask stands) is never released as it is: it becomes
//! the placeholder, and the caller counts it. The placeholder is `""` for a string and `null` for a
//! number, `true` and `false`: a 0 or a `false` would be a statement about the person.
//! Source: docs/RULES.md, "Actions".

mod calendar;
mod characters;
mod incremental;
mod json;
mod last;
mod mask;
mod network;
mod number;
mod permute;
mod scrub;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

pub use incremental::Incremental;
pub use json::write_string;

use json::write_escaped;

use super::link::Link;
use super::pseudonym::{Canonical, DomainKey, Scope, TokenKeys, is_token};
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
    /// Within what the key's results can be linked.
    pub scope: Scope,
    /// For tokens on their way in: `token` opens what is one, and leaves all else as it is.
    pub opens: Option<Arc<TokenKeys>>,
    /// The value is a link: what stands in it is treated, and not the whole.
    pub link: Option<Arc<Link>>,
    /// How values are brought to one form before the key is used.
    pub canonical: Canonical,
    /// Value → group.
    pub groups: Option<Arc<BTreeMap<String, String>>>,
    /// The date of release in UTC, for ages.
    pub today: Date,
}

impl Treatment {
    /// Writes what `value` becomes, as JSON text. `remove`, `drop` and `refuse` are carried out by
    /// whoever writes members; a value that reaches this function under one of them is blanked.
    ///
    /// Results are written straight into `out`. What an action has written before it finds that it
    /// was not made for the value is taken back.
    pub fn apply(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Applied {
        match (&self.action, value) {
            (Action::Token, value) if self.opens.is_some() => return self.bring_back(value, out),
            (_, Scalar::Null) => out.extend_from_slice(b"null"),
            // Whether the caller is a party was decided for the whole element.
            (Action::Keep | Action::OwnLines, value) => copy(value, out),
            (Action::Blank, value) => placeholder(value, out),
            (_, value) => {
                let start = out.len();
                if self.release(value, out).is_none() {
                    out.truncate(start);
                    placeholder(value, out);
                    return Applied::Blanked;
                }
            }
        }
        Applied::Written
    }

    /// Writes the value that a token stands for. What does not open is blanked.
    fn bring_back(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Applied {
        let (Some(keys), Scalar::String(text)) = (&self.opens, value) else {
            copy(value, out);
            return Applied::Written;
        };
        if !is_token(text) {
            copy(value, out);
        } else if let Some(opened) = keys.open(text) {
            write_string(opened.expose(), out);
        } else {
            placeholder(value, out);
            return Applied::Blanked;
        }
        Applied::Written
    }

    /// `None`: the action was not made for this value.
    fn release(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
        // A number made coarser or permuted is the only result that is no string.
        let stays_number = matches!(
            self.action,
            Action::Fpe
                | Action::Generalise(
                    Generalisation::Bucket(_)
                        | Generalisation::Round(_)
                        | Generalisation::Degrees(_)
                )
        );
        let mark: &[u8] =
            if stays_number && matches!(value, Scalar::Number(_)) { b"" } else { b"\"" };
        out.extend_from_slice(mark);
        self.release_text(value, out)?;
        out.extend_from_slice(mark);
        Some(())
    }

    /// Writes what stands between the quotation marks.
    fn release_text(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
        let string = match value {
            Scalar::String(text) => Some(text),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
        };
        let text = match value {
            Scalar::String(text) | Scalar::Number(text) => Some(text),
            Scalar::Null | Scalar::Bool(_) => None,
        };
        // A number that stands for an id, a card or a postal code is treated as its digits, and
        // leaves as a string: `****1234` is no number.
        let characters = text.filter(|text| string.is_some() || number::is_plain_integer(text));
        match &self.action {
            Action::Mask(how) => mask::mask(*how, characters?, out),
            Action::Initials => text::initials(string?, out)?,
            Action::FirstWord => text::first_word(string?, out)?,
            Action::Generalise(how) => match *how {
                Generalisation::Hour
                | Generalisation::Day
                | Generalisation::Month
                | Generalisation::Quarter
                | Generalisation::Year => calendar::cut(*how, string?, out)?,
                Generalisation::YearBand(years) => {
                    calendar::band(years, characters?, self.today, out)?;
                }
                Generalisation::Bucket(step) => number::bucket(text?, step, out)?,
                Generalisation::Round(exponent) => number::round(text?, exponent, out)?,
                Generalisation::Degrees(n) => number::degrees(text?, n, out)?,
                Generalisation::Prefix(n) => text::prefix(characters?, n, out)?,
                Generalisation::Group => write_escaped(self.group(value), out),
            },
            Action::IpPrefix { v4, v6 } => network::ip_prefix(string?, *v4, *v6, out)?,
            Action::AgentFamily => network::agent_family(string?, out),
            Action::PathTemplate => network::path_template(string?, out)?,
            Action::Origin => network::origin(string?, out)?,
            Action::Pseudonym(_) => {
                self.key.as_ref()?.write_pseudonym(self.canonical, text?, out)?;
            }
            Action::Token => self.key.as_ref()?.write_token(self.canonical, text?, out)?,
            Action::Fpe => permute::permute(self.key.as_ref()?, self.canonical, value, out)?,
            Action::Scrub => scrub::scrub(string?, out),
            // These are dealt with before or elsewhere: see `apply`.
            Action::Keep
            | Action::OwnLines
            | Action::Blank
            | Action::Remove
            | Action::Drop
            | Action::Refuse => return None,
        }
        Some(())
    }

    /// The group of a value, by the category's table; without a table, or beside it, `other`.
    fn group(&self, value: Scalar<'_>) -> &str {
        let text = match value {
            Scalar::String(text) | Scalar::Number(text) => text,
            Scalar::Bool(true) => "true",
            Scalar::Bool(false) => "false",
            Scalar::Null => "null",
        };
        let Some(groups) = &self.groups else { return "other" };
        // What is called like a group was grouped before.
        let group = groups.get(text).or_else(|| groups.values().find(|group| *group == text));
        group.map_or("other", String::as_str)
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

#[cfg(test)]
mod tests;
