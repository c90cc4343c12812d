//! Findings of a load, collected while reading goes on.

use crate::action::distance;
use crate::policy::{Diagnostic, Place, Severity};

/// All findings so far.
#[derive(Debug, Default)]
pub(in crate::policy) struct Findings {
    list: Vec<Diagnostic>,
}

impl Findings {
    /// The rules are rejected because of this.
    pub(in crate::policy) fn error(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
    ) {
        self.add(code, Severity::Error, place, message.into(), None);
    }

    /// As [`error`](Self::error), with what to write instead.
    pub(in crate::policy) fn error_with(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(code, Severity::Error, place, message.into(), help);
    }

    /// Somebody should look at this.
    pub(in crate::policy) fn warn(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(code, Severity::Warning, place, message.into(), help);
    }

    fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        place: &Place,
        message: String,
        help: Option<String>,
    ) {
        self.list.push(Diagnostic { code, severity, message, place: place.clone(), help });
    }

    /// Whether the rules are rejected already.
    pub(in crate::policy) fn has_error(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All of them, file by file in the order of each.
    pub(in crate::policy) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| {
            (&a.place.file, a.place.line, a.place.column, a.severity, a.code, &a.message).cmp(&(
                &b.place.file,
                b.place.line,
                b.place.column,
                b.severity,
                b.code,
                &b.message,
            ))
        });
        self.list.dedup();
        self.list
    }
}

/// "did you mean": the candidate that is close to what was written, if there is one.
pub(crate) fn closest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let (distance, candidate) =
        candidates.into_iter().map(|candidate| (distance(written, candidate), candidate)).min()?;
    let near = distance <= 2 || distance * 3 <= candidate.len();
    (near && distance < candidate.len()).then(|| format!("did you mean `{candidate}`?"))
}
