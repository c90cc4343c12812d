//! `promises.yaml`: what the text of a privacy policy promises, sentence by sentence.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::policy::{Diagnostic, Place, Policy, Severity};

/// A quote is for finding the sentence, not for reading it here.
const QUOTE_WORDS: usize = 12;

/// The promises of one policy.
#[derive(Debug, Default)]
pub struct Promises {
    /// By id.
    pub promises: BTreeMap<String, Promise>,
    /// Where the text contradicts itself.
    pub contradictions: Vec<Contradiction>,
    /// The file they were read from.
    pub file: String,
}

/// One promise.
#[derive(Debug)]
pub struct Promise {
    /// The line of the policy's text.
    pub line: u32,
    /// Its words, at most twelve.
    pub quote: String,
    /// How far a gateway can keep it.
    pub kind: Kind,
    /// Tests of the program that prove it where no exchange could: `file::test`.
    pub proven_by: Vec<String>,
    /// Its line in `promises.yaml`.
    pub at: u64,
}

/// How far a gateway can keep a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// On all traffic that passes through it.
    Full,
    /// Some of it; `beyond` of the rules says what is left to others.
    Partial,
    /// Not at all.
    Beyond,
}

impl Kind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Beyond => "beyond",
        }
    }
}

/// Two sentences that cannot both hold, or a sentence that the law forbids to rely on. It is shown and
/// not settled in silence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// The promises concerned.
    pub between: Vec<String>,
    /// What contradicts what.
    pub says: String,
    /// What the rules do until the controller has settled it.
    pub meanwhile: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    promises: BTreeMap<String, Spanned<RawPromise>>,
    #[serde(default)]
    contradictions: Vec<Contradiction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPromise {
    line: u32,
    quote: String,
    kind: Kind,
    #[serde(default)]
    proven_by: Vec<String>,
}

impl Promises {
    /// Reads a file. The error is in words, with file and line.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, String> {
        let raw: RawFile = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let words = error.without_snippet().to_string();
            format!("{file}:{line}: {}", words.lines().next().unwrap_or("malformed"))
        })?;
        let mut promises = BTreeMap::new();
        for (id, spanned) in raw.promises {
            let at = spanned.referenced.line();
            let RawPromise { line, quote, kind, proven_by } = spanned.value;
            let words = quote.split_whitespace().count();
            if words == 0 || words > QUOTE_WORDS {
                return Err(format!("{file}:{at}: a quote of {words} words, not 1 to 12"));
            }
            promises.insert(id, Promise { line, quote, kind, proven_by, at });
        }
        for contradiction in &raw.contradictions {
            if let Some(id) = contradiction.between.iter().find(|id| !promises.contains_key(*id)) {
                return Err(format!("{file}: a contradiction names {id}, which is no promise"));
            }
        }
        Ok(Self { promises, contradictions: raw.contradictions, file: file.to_owned() })
    }

    /// T501: promises that no rule mentions, and mentions of what is no promise. `rules`: the name of
    /// the rules file.
    #[must_use]
    pub fn findings(&self, rules: &str, policy: &Policy) -> Vec<Diagnostic> {
        if self.promises.is_empty() {
            return Vec::new();
        }
        let finding = |place: Place, message: String, help: Option<&str>| Diagnostic {
            code: "T501",
            severity: Severity::Error,
            message,
            place,
            help: help.map(str::to_owned),
        };
        let cited = &policy.promises;
        let mut findings = Vec::new();
        for (id, places) in &cited.kept {
            for place in places.iter().filter(|_| !self.promises.contains_key(id)) {
                let message = format!("`{id}` is no promise of {}", self.file);
                findings.push(finding(place.clone(), message, None));
            }
        }
        for (id, promise) in &self.promises {
            if !cited.mentions(id) {
                // What is missing stands nowhere: the rules' first line, where `policy` could name it.
                let place = Place { file: rules.into(), line: 1, column: 1, length: 1 };
                let message = format!(
                    "promise `{id}` ({}, line {}) is kept by no rule",
                    self.file, promise.at
                );
                let help = "name it under `keeps` of a rule, or under `beyond` or `not_encoded`";
                findings.push(finding(place, message, Some(help)));
            }
        }
        findings
    }
}
