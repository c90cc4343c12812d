//! Findings of a load: all at once, each with file, line, column, caret and a suggestion.

use std::fmt;
use std::sync::Arc;

/// Where something stands in a file. Lines and columns count from 1; columns count characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// How many characters the thing is long; at least 1.
    pub length: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rules are rejected.
    Error,
    /// The rules load; somebody should look.
    Warning,
    /// The rules load; this version refuses what is named.
    Refusal,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code, such as `T101`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one line, without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to write instead.
    pub help: Option<String>,
}

/// All findings of one load that was rejected, with the text they speak of.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// In the order of the file; at least one is an error.
    pub findings: Vec<Diagnostic>,
    /// The text, so that lines can be drawn.
    pub source: Arc<str>,
}
