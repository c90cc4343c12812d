//! Findings of a load: all at once, each with file, line, column, caret and a suggestion.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Sources;

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
    /// The rules load; what happened under them says something about them.
    Note,
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
    /// The texts, so that lines can be drawn.
    pub sources: Sources,
}

impl Severity {
    /// The word that people and programs are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Whether a terminal reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Plain ASCII, for files, pipes and tests.
    Plain,
    /// With colours.
    Coloured,
}

/// Draws findings in the manner of rustc: code, message, file, line, caret, help.
#[must_use]
pub fn render(findings: &[Diagnostic], sources: &Sources, look: Look) -> String {
    let renderer = match look {
        Look::Plain => Renderer::plain(),
        Look::Coloured => Renderer::styled(),
    };
    let drawn = findings.iter().map(|finding| {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let first = &*sources.first().text;
        let source = sources.text_of(&finding.place.file).unwrap_or(first);
        let snippet = Snippet::source(source)
            .path(finding.place.file.as_ref())
            .annotation(AnnotationKind::Primary.span(bytes_of(&finding.place, source)));
        let mut group =
            level.primary_title(finding.message.as_str()).id(finding.code).element(snippet);
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    });
    let mut text = drawn.collect::<Vec<_>>().join("\n\n");
    text.push('\n');
    text
}

/// Where a place stands in the text, in bytes. A place past the end is the end.
fn bytes_of(place: &Place, source: &str) -> std::ops::Range<usize> {
    let before = place.line.saturating_sub(1) as usize;
    let start_of_line: usize = source.split_inclusive('\n').take(before).map(str::len).sum();
    let line = source[start_of_line..].split('\n').next().unwrap_or_default();
    let at = |characters: u32| {
        let offset = line.char_indices().nth(characters as usize).map(|(offset, _)| offset);
        start_of_line + offset.unwrap_or(line.len())
    };
    let column = place.column.saturating_sub(1);
    at(column)..at(column.saturating_add(place.length))
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.findings, &self.sources, Look::Plain))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_characters_not_bytes() {
        let source = "a: 1\nbü: \"ö\" # x\n";
        let place = Place { file: "f".into(), line: 2, column: 5, length: 3 };
        assert_eq!(&source[bytes_of(&place, source)], "\"ö\"");
        let past = Place { file: "f".into(), line: 9, column: 5, length: 3 };
        assert_eq!(bytes_of(&past, source), source.len()..source.len());
    }
}
