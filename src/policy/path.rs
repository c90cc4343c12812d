//! JSONPath selectors (RFC 9535): text → our own syntax tree.
//!
//! Two parsers read every selector and must agree: jsonpath-rust, and the strict scanner in
//! `scan.rs`. jsonpath-rust alone takes blanks inside member names (`$.a b`), functions that the RFC
//! does not know and ill-typed comparisons; such a rule would match nothing and leak in silence.
//! What a streaming engine cannot decide is refused with the reason, and so is a selector that can
//! never select anything: a rule that cannot work is an error, not a rule that never matches.

pub mod filter;
mod scan;

use jsonpath_rust::parser::model::{Segment as TheirSegment, Selector as TheirSelector};
use jsonpath_rust::parser::parse_json_path;

use filter::Filter;

/// A selector that can be compiled into an automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Its segments from the root.
    pub segments: Vec<PathSegment>,
    /// As it was written.
    pub text: String,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSegment {
    /// `..`: any depth beneath.
    pub descendant: bool,
    /// What is selected there, as a union; at least one.
    pub steps: Vec<Step>,
}

/// One selector of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of this (unescaped) name.
    Name(String),
    /// Every member and element.
    Wildcard,
    /// The element at this position.
    Index(u64),
    /// Elements `start, start+step, …` below `end`; never empty.
    Slice {
        /// First.
        start: u64,
        /// One past the last; `None`: to the end.
        end: Option<u64>,
        /// At least 1.
        step: u64,
    },
    /// The members and elements of which this holds.
    Filter(Filter),
}

/// Why a selector was refused. `column` counts characters of the selector from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    /// In words.
    pub message: String,
    /// Where in the selector, if known.
    pub column: Option<u32>,
}

impl Selector {
    /// Parses `$…`.
    ///
    /// # Errors
    /// Not RFC 9535, or not decidable while the document streams by; the message says which.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Self::parse_within(text, None)
    }

    /// Parses `@…` as continuing `each`, or `$…` by itself; with filters on the value itself and on
    /// single places beneath it. Source: RFC 9535 §2.3.5; docs/decisions/0007-filters.md.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); also `@` where there is no list, filters that look further, and
    /// filters at or behind a `..`.
    pub fn parse_within(text: &str, each: Option<&Self>) -> Result<Self, SelectorError> {
        refuse_wrapper(text)?;
        let (prefix, absolute) = match (text.strip_prefix('@'), each) {
            (Some(rest), Some(each)) => (each.segments.clone(), format!("${rest}")),
            (Some(_), None) => {
                return Err(SelectorError {
                    message: "`@` stands for an element of `each`, and there is no `each` here"
                        .to_owned(),
                    column: Some(0),
                });
            }
            (None, _) => (Vec::new(), text.to_owned()),
        };
        let own = scan::segments(&absolute)?;
        agree(&absolute, &own)?;
        let selector = Self { segments: [prefix, own].concat(), text: text.to_owned() };
        selector.refuse_deep_filter()?;
        Ok(selector)
    }

    /// Whether some step depends on the value that stands there.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.segments.iter().any(PathSegment::has_filter)
    }

    /// The ways to the values that its filters look at, each up to and with the filter.
    pub(super) fn guards(&self) -> impl Iterator<Item = &[PathSegment]> {
        let filtered = (0..).zip(&self.segments).filter(|(_, segment)| segment.has_filter());
        filtered.map(|(at, _): (usize, _)| &self.segments[..=at])
    }

    /// A filter holds its value back. Behind `..` values that are held would lie within one another,
    /// each to be judged again: work that grows with the depth of a document that others write.
    fn refuse_deep_filter(&self) -> Result<(), SelectorError> {
        let mut behind = self.segments.iter().skip_while(|segment| !segment.descendant);
        if behind.any(PathSegment::has_filter) {
            return Err(SelectorError {
                message: "a filter at or behind `..` would hold one value within another"
                    .to_owned(),
                column: None,
            });
        }
        Ok(())
    }

    /// The names that it consists of; `None` for one that selects in any other way.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        self.segments.iter().map(|segment| segment.name().map(str::to_owned)).collect()
    }

    /// The name of the member that it selects in each of `rows`; `None` for one that selects anything
    /// else.
    #[must_use]
    pub fn member_of(&self, rows: &Self) -> Option<&str> {
        match self.segments.strip_prefix(rows.segments.as_slice())? {
            [segment] => segment.name(),
            _ => None,
        }
    }

    /// Whether it selects at most one place in any document: names and single indices only.
    #[must_use]
    pub fn is_singular(&self) -> bool {
        self.segments.iter().all(PathSegment::is_singular)
    }

    /// Whether everything it selects lies beneath what `outer` selects, by the letter of both.
    #[must_use]
    pub fn continues(&self, outer: &Self) -> bool {
        self.segments.starts_with(&outer.segments)
    }
}

impl PathSegment {
    /// Whether it leads from one place to at most one other.
    #[must_use]
    pub fn is_singular(&self) -> bool {
        !self.descendant && matches!(self.steps.as_slice(), [Step::Name(_) | Step::Index(_)])
    }

    /// The one name that it selects.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.steps.as_slice() {
            [Step::Name(name)] if !self.descendant => Some(name),
            _ => None,
        }
    }

    fn has_filter(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Filter(_)))
    }
}

/// The rules language has two wrappers that RFC 9535 lacks.
fn refuse_wrapper(text: &str) -> Result<(), SelectorError> {
    let message = if text.starts_with("keys(") {
        "`keys(…)`, names of members, can stand only under `fields` and `subjects`, as \
         `keys(SELECTOR)`"
    } else if text.starts_with("url(") {
        "`url(…)`, a link, can stand only under `fields` and `open`, as `url(SELECTOR)`"
    } else {
        return Ok(());
    };
    Err(SelectorError { message: message.to_owned(), column: Some(0) })
}

/// Refuses what jsonpath-rust does not read in the same way.
fn agree(text: &str, own: &[PathSegment]) -> Result<(), SelectorError> {
    let refusal = |message: &str| SelectorError { message: message.to_owned(), column: None };
    let theirs =
        parse_json_path(text).map_err(|_| refusal("this is not a selector by RFC 9535"))?;
    if theirs.segments.len() == own.len()
        && own.iter().zip(&theirs.segments).all(|(own, theirs)| same_segment(own, theirs))
    {
        Ok(())
    } else {
        Err(refusal(
            "two readers of RFC 9535 understand this selector differently; write it plainer",
        ))
    }
}

fn same_segment(own: &PathSegment, theirs: &TheirSegment) -> bool {
    let theirs = match theirs {
        TheirSegment::Descendant(inner) if own.descendant => inner,
        other if !own.descendant => other,
        _ => return false,
    };
    let theirs = match theirs {
        TheirSegment::Descendant(_) => return false,
        TheirSegment::Selector(one) => std::slice::from_ref(one),
        TheirSegment::Selectors(many) => many,
    };
    own.steps.len() == theirs.len()
        && own.steps.iter().zip(theirs).all(|(own, theirs)| same_step(own, theirs))
}

fn same_step(own: &Step, theirs: &TheirSelector) -> bool {
    let number = |own: u64, theirs: i64| u64::try_from(theirs) == Ok(own);
    match (own, theirs) {
        (Step::Name(own), TheirSelector::Name(theirs)) => own == theirs,
        (Step::Wildcard, TheirSelector::Wildcard) => true,
        (Step::Index(own), TheirSelector::Index(theirs)) => number(*own, *theirs),
        (Step::Slice { start, end, step }, TheirSelector::Slice(from, to, by)) => {
            number(*start, from.unwrap_or(0))
                && end.is_some() == to.is_some()
                && end.zip(*to).is_none_or(|(own, theirs)| number(own, theirs))
                && number(*step, by.unwrap_or(1))
        }
        (Step::Filter(own), TheirSelector::Filter(theirs)) => own.is_read_as(theirs),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let each = Selector::parse("$.data[*]").expect("a selector");
        let found = Selector::parse_within(text, Some(&each));
        match expected {
            Ok(debug) => {
                let segments = found.unwrap_or_else(|e| panic!("{text}: {e}")).segments;
                assert_eq!(spelled(&segments), debug, "{text}");
            }
            Err(part) => {
                let message = found.expect_err(text).message;
                assert!(message.contains(part), "{text}: {message}");
            }
        }
    }

    /// One unambiguous spelling, so that the cases read as data.
    fn spelled(segments: &[PathSegment]) -> String {
        let mut out = String::new();
        for segment in segments {
            let steps: Vec<String> = segment
                .steps
                .iter()
                .map(|step| match step {
                    Step::Name(name) => format!("'{name}'"),
                    Step::Wildcard => "*".to_owned(),
                    Step::Index(index) => index.to_string(),
                    Step::Slice { start, end, step } => {
                        format!("{start}:{}:{step}", end.map_or(String::new(), |e| e.to_string()))
                    }
                    Step::Filter(filter) => format!("?{filter:?}"),
                })
                .collect();
            out.push_str(if segment.descendant { "..[" } else { "[" });
            out.push_str(&steps.join(","));
            out.push(']');
        }
        out
    }

    #[test]
    fn selectors_that_stream_are_read_as_the_rfc_says() {
        for (text, expected) in [
            ("$", ""),
            ("$.email", "['email']"),
            ("$['e mail']", "['e mail']"),
            (r#"$["\u0065mail"]"#, "['email']"),
            (r"$['it\'s']", "['it's']"),
            ("$.größe", "['größe']"),
            ("$..email", "..['email']"),
            ("$..*", "..[*]"),
            ("$..[1]", "..[1]"),
            ("$.a[*].b", "['a'][*]['b']"),
            ("$['a','b', 3]", "['a','b',3]"),
            ("$[2:]", "[2::1]"),
            ("$[ 1 : 7 : 3 ]", "[1:7:3]"),
            ("$[::2]", "[0::2]"),
            ("$ .a [0]", "['a'][0]"),
            ("@.id", "['data'][*]['id']"),
            ("@", "['data'][*]"),
            ("@..id", "['data'][*]..['id']"),
        ] {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_decided_while_streaming_is_refused_with_its_reason() {
        for (text, reason) in [
            ("$[?$.a]", "whole document"),
            ("$.a[-1]", "counts from the end"),
            ("$.a[-2:]", "counts from the end"),
            ("$.a[::-1]", "counts from the end"),
            ("$.a[2:2]", "selects nothing"),
            ("$.a[1:2:0]", "selects nothing"),
            ("keys($.by_user)", "only under `fields` and `subjects`"),
            ("url($.link, \"/v1/{account.id}\")", "only under `fields` and `open`"),
        ] {
            check(text, Err(reason));
        }
    }

    #[test]
    fn filters_are_read_by_the_rfc_and_what_they_cannot_look_at_is_named() {
        for text in [
            "$[?@.a]",
            "$[? @['a b'][0].c == -1.50e+3 ]",
            "$[?!(@.a && !@.b) || @ != null]",
            "$.a[1,?@.b<\"x\",'c']",
            "$[?@[ 'a' ]]",
            "@.items[?@.kind=='x'].note",
        ] {
            let each = Selector::parse("$.data[*]").expect("a selector");
            let read = Selector::parse_within(text, Some(&each));
            assert!(read.unwrap_or_else(|e| panic!("{text}: {e}")).has_filter());
        }
        for (text, reason) in [
            ("$[?$.a]", "whole document"),
            ("$[?@.a==$.b]", "whole document"),
            ("$[?length(@.a)>1]", "functions"),
            ("$[?match(@.a,'x')]", "functions"),
            ("$[?@.*]", "several"),
            ("$[?@..a]", "several"),
            ("$[?@['a','b']]", "several"),
            ("$[?@[0:1]]", "several"),
            ("$[?@[?@.a]]", "within a filter"),
            ("$[?@.a[-1]]", "counts from the end"),
            ("$..[?@.a]", "at or behind `..`"),
            ("$..a[?@.a]", "at or behind `..`"),
            ("$[?1]", "no test"),
            ("$[?@.a==01]", "leading zeros"),
            ("$[?@[ 'a' ]==1]", "no blanks"),
            ("$[?!@.a==1]", "expected"),
            ("$[?@.a==1==1]", "expected"),
            ("$[?@.a & @.b]", "expected"),
            ("$[?@.a='x']", "expected"),
            ("$[?@.a==nul]", "expected"),
            ("$[?(@.a]", "expected"),
            ("$[?]", "expected"),
        ] {
            let message = Selector::parse_within(text, None).expect_err(text).message;
            assert!(message.contains(reason), "{text}: {message}");
        }
        let many = format!("$[?{}]", vec!["@.a"; 33].join("||"));
        assert!(Selector::parse_within(&many, None).is_err());
        let deep = format!("$[?{}@.a{}]", "(".repeat(17), ")".repeat(17));
        assert!(Selector::parse_within(&deep, None).is_err());
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "",
            "a",
            "$.a b",
            "$.a\nb",
            "$. a",
            "$.",
            "$..",
            "$...a",
            "$[",
            "$[]",
            "$[0 1]",
            "$[01]",
            "$['a",
            "$['a\\x']",
            "$[\"\\ud800\"]",
            "$.a ",
            " $.a",
            "$.1a",
            "$.a-b",
            "$a",
            "$[-0]",
            "$[9007199254740992]",
            "$['a' 'b']",
            "$[+1]",
            "@",
            "$.a,$.b",
            "$[?count(@..*)]",
            "$[?@.x in ['a']]",
            "$$",
            "$.$",
            "$[$]",
        ] {
            assert!(Selector::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_says_in_which_column() {
        let error = Selector::parse("$.a b").expect_err("a blank in a name");
        assert_eq!(error.column, Some(4));
        let error = Selector::parse("$.ä[-1]").expect_err("an index from the end");
        assert_eq!(error.column, Some(4));
    }
}
