//! One node of the tree, and readers of its value. A reader that finds something else says so
//! and yields nothing, so that the caller can go on with the rest.

use std::str::FromStr;

use jiff::civil::Date;

use super::fields::Fields;
use super::findings::{Findings, closest};
use crate::policy::Place;

/// A value and where it stands.
#[derive(Debug)]
pub(in crate::policy) struct Node {
    pub(in crate::policy) place: Place,
    pub(super) value: Value,
}

/// A key of a mapping and where it stands.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Key {
    pub(in crate::policy) text: String,
    pub(in crate::policy) place: Place,
    pub(in crate::policy) quoted: bool,
}

/// What was written.
#[derive(Debug)]
pub(super) enum Value {
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Not of the subset; a finding has been made.
    Refused,
}

impl Node {
    fn unexpected(&self, findings: &mut Findings, what: &str) {
        let found = match &self.value {
            Value::Refused => return,
            Value::Scalar { text, quoted: false } if is_null(text) => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        findings.error("T102", &self.place, format!("expected {what}, found {found}"));
    }

    /// The text of a scalar that is not empty.
    pub(in crate::policy) fn text(&self, findings: &mut Findings, what: &str) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, quoted } if *quoted || !is_null(text) => {
                if text.is_empty() {
                    findings.error("T102", &self.place, format!("expected {what}, found nothing"));
                    return None;
                }
                Some(text)
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Refused => {
                self.unexpected(findings, what);
                None
            }
        }
    }

    /// The text of a scalar, whatever it is; `None` for lists and mappings. Makes no finding.
    pub(in crate::policy) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) | Value::Refused => None,
        }
    }

    /// Whether it is a mapping.
    pub(in crate::policy) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// One member of a mapping. Makes no finding.
    pub(in crate::policy) fn member(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
            }
            Value::Scalar { .. } | Value::List(_) | Value::Refused => None,
        }
    }

    /// Whether a scalar stands in quotes.
    pub(in crate::policy) fn is_quoted(&self) -> bool {
        matches!(self.value, Value::Scalar { quoted: true, .. })
    }

    /// `true` or `false`.
    pub(in crate::policy) fn flag(&self, findings: &mut Findings) -> bool {
        match &self.value {
            Value::Scalar { text, quoted: false } if text == "true" => true,
            Value::Scalar { text, quoted: false } if text == "false" => false,
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Refused => {
                self.unexpected(findings, "`true` or `false`");
                false
            }
        }
    }

    /// A number.
    pub(in crate::policy) fn number<T: FromStr>(
        &self,
        findings: &mut Findings,
        what: &str,
    ) -> Option<T> {
        let text = self.text(findings, what)?;
        let number = text.parse().ok();
        if number.is_none() {
            findings.error("T102", &self.place, format!("expected {what}, found `{text}`"));
        }
        number
    }

    /// A calendar date in quotes: unquoted, readers of YAML disagree on its type.
    pub(in crate::policy) fn date(&self, findings: &mut Findings) -> Option<Date> {
        let text = self.text(findings, "a date such as \"2027-12-31\"")?;
        let Ok(date) = text.parse::<Date>() else {
            let message = format!("expected a date such as \"2027-12-31\", found `{text}`");
            findings.error("T102", &self.place, message);
            return None;
        };
        if !self.is_quoted() {
            let help = Some(format!("write \"{text}\""));
            findings.error_with("T102", &self.place, "a date must stand in quotes", help);
        }
        Some(date)
    }

    /// One word of a closed set.
    pub(in crate::policy) fn word<T: Clone>(
        &self,
        findings: &mut Findings,
        what: &str,
        set: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(findings, what)?;
        let found = set.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<String> = set.iter().map(|(word, _)| format!("`{word}`")).collect();
            let help = closest(text, set.iter().map(|(word, _)| *word)).unwrap_or_else(|| {
                match words.as_slice() {
                    [only] => format!("write {only}"),
                    several => format!("one of {}", several.join(", ")),
                }
            });
            let message = format!("`{text}` is not {what}");
            findings.error_with("T102", &self.place, message, Some(help));
        }
        found.map(|(_, value)| value.clone())
    }

    /// The items of a list.
    pub(in crate::policy) fn list(&self, findings: &mut Findings, what: &str) -> &[Self] {
        if let Value::List(items) = &self.value {
            return items;
        }
        self.unexpected(findings, what);
        &[]
    }

    /// The items of a list, or a single value as a list of one.
    pub(in crate::policy) fn one_or_many(&self, findings: &mut Findings, what: &str) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar { .. } => std::slice::from_ref(self),
            Value::Map(_) | Value::Refused => {
                self.unexpected(findings, what);
                &[]
            }
        }
    }

    /// The members of a mapping whose keys are names of the author.
    pub(in crate::policy) fn entries(&self, findings: &mut Findings, what: &str) -> &[(Key, Self)] {
        if let Value::Map(entries) = &self.value {
            return entries;
        }
        self.unexpected(findings, what);
        &[]
    }

    /// The members of a mapping whose keys are words of the language.
    pub(in crate::policy) fn fields(
        &self,
        findings: &mut Findings,
        what: &'static str,
    ) -> Fields<'_> {
        Fields::new(what, &self.place, self.entries(findings, what))
    }
}

/// What YAML reads as no value when it stands without quotes.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
