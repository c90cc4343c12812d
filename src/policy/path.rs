//! JSONPath selectors (RFC 9535): text → our own syntax tree. Parsed by jsonpath-rust, whose known
//! faults are caught here; what a streaming engine cannot decide is refused with the reason.

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
    /// What is selected there, as a union.
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
    /// Elements `start, start+step, …` below `end`.
    Slice {
        /// First.
        start: u64,
        /// One past the last; `None`: to the end.
        end: Option<u64>,
        /// At least 1.
        step: u64,
    },
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
        let _ = text;
        todo!("engine")
    }

    /// Parses `@…` as continuing `each`, or `$…` by itself.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); also `@` where there is no list.
    pub fn parse_within(text: &str, each: Option<&Self>) -> Result<Self, SelectorError> {
        let _ = (text, each);
        todo!("engine")
    }
}
