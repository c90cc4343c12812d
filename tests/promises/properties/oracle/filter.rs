//! Filters, as decision 0007 tells them: what a doubled member leaves open permits nothing.

use std::collections::HashMap;

use crate::oracle::{Tree, Way};

/// What a filter says of each value that it looked at; `None`: it is left open.
pub(super) type Verdicts = HashMap<Way, Option<bool>>;

/// A filter and how many steps into the document the values stand that it looks at.
pub(super) struct Filter {
    pub(super) depth: usize,
    text: String,
}

impl Filter {
    /// Takes the filter out of a selector, with `*` in its place.
    pub(super) fn taken_from(selector: &str, before: usize) -> (String, Option<Self>) {
        let Some((head, rest)) = selector.split_once("[?") else {
            return (selector.to_owned(), None);
        };
        let (text, tail) = rest.split_once(']').expect("it ends");
        // Each name is a step, and what the filter chooses is one more.
        let depth = before + head.matches('.').count() + 1;
        (format!("{head}[*]{tail}"), Some(Self { depth, text: text.to_owned() }))
    }

    pub(super) fn says(&self, of: &Tree) -> Option<bool> {
        if let Some((one, two)) = self.text.split_once(" && ") {
            return match (test(one, of), test(two, of)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (one, two) => Some(one? && two?),
            };
        }
        if let Some((one, two)) = self.text.split_once(" || ") {
            return match (test(one, of), test(two, of)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (one, two) => Some(one? || two?),
            };
        }
        test(&self.text, of)
    }
}

fn test(text: &str, of: &Tree) -> Option<bool> {
    if let Some(denied) = text.strip_prefix('!') {
        let denied = denied.trim_start_matches('(').trim_end_matches(')');
        return test(denied, of).map(|holds| !holds);
    }
    let (place, literal) = match text.split_once("==") {
        Some((place, literal)) => (place, Some(literal)),
        None => (text, None),
    };
    let name = place.strip_prefix("@.").expect("a member");
    let Tree::Object(members) = of else { return Some(false) };
    let mut found = members.iter().filter(|(member, _)| member == name).map(|(_, value)| value);
    match (found.next(), found.next(), literal) {
        (_, Some(_), _) => None,
        (None, _, _) => Some(false),
        (Some(_), None, None) => Some(true),
        (Some(Tree::String(text)), None, Some(literal)) => Some(format!("'{text}'") == literal),
        (Some(Tree::Number(digits)), None, Some(literal)) => {
            let value = |text: &str| text.parse::<f64>().ok();
            Some(value(literal).is_some() && value(digits) == value(literal))
        }
        (Some(_), None, Some(_)) => Some(false),
    }
}
