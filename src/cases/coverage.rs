//! Promise by promise: which rules name it, which cases prove it, and what is openly left.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::promises::Kind;
use super::{Pack, Verdict, play};
use crate::policy::Place;

/// How a promise is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A rule names it and a case, or a test of the program, proves it.
    Proven,
    /// The rules say why it is not encoded, and a case or none shows it.
    NotEncoded,
    /// A rule names it; nothing proves it, and only a part of it is a gateway's to keep.
    Named,
    /// Only `beyond` mentions it: no gateway can keep it.
    Beyond,
    /// Nothing accounts for it.
    Open,
}

impl State {
    /// All states, the best first.
    pub const ALL: [Self; 5] =
        [Self::Proven, Self::NotEncoded, Self::Named, Self::Beyond, Self::Open];

    /// What it says, for who reads the account without knowing the tools.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Proven => "A rule keeps it, and an example or a test shows that it does.",
            Self::NotEncoded => {
                "It is left out of the rules on purpose; the reason stands beside it."
            }
            Self::Named => {
                "A rule names it, but nothing shows it: only a part of it is a gateway's to keep."
            }
            Self::Beyond => "No gateway can keep it; somebody else has to.",
            Self::Open => "Nothing accounts for it.",
        }
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::NotEncoded => "not encoded",
            Self::Named => "named",
            Self::Beyond => "beyond",
            Self::Open => "OPEN",
        }
    }
}

/// One promise with what accounts for it.
#[derive(Debug)]
pub struct Row {
    /// The promise's id.
    pub id: String,
    /// How far a gateway can keep it.
    pub kind: Kind,
    /// The line in the policy's text.
    pub line: u32,
    /// Its words.
    pub quote: String,
    /// Lines of the rules that name it.
    pub rules: Vec<RuleLine>,
    /// Cases that prove it and pass, as `file:line: name`.
    pub cases: Vec<String>,
    /// Tests of the program that prove it.
    pub tests: Vec<String>,
    /// What no gateway can do about it.
    pub beyond: Option<String>,
    /// Why it is not encoded.
    pub not_encoded: Option<String>,
    /// How it is accounted for.
    pub state: State,
}

/// A line of the rules, where the rule begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLine {
    /// The file's name without its folder.
    pub file: String,
    /// The line.
    pub line: u32,
    /// What stands there.
    pub text: String,
}

impl RuleLine {
    /// `rules.yaml:12`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// All promises of a pack.
#[derive(Debug)]
pub struct Coverage {
    /// The policy's title.
    pub title: String,
    /// The revision of its text.
    pub revision: String,
    /// The digest of its rules.
    pub digest: String,
    /// By id.
    pub rows: Vec<Row>,
    /// What contradicts what, in words.
    pub contradictions: Vec<super::promises::Contradiction>,
    /// What is wrong with the accounts themselves: failing cases, and cases that prove what is
    /// no promise.
    pub complaints: Vec<String>,
}

impl Coverage {
    /// Counts a pack. Plays its cases: one that fails proves nothing.
    #[must_use]
    pub fn of(pack: &Pack) -> Self {
        let policy = &pack.policy;
        let mut complaints = Vec::new();
        let mut passing = Vec::new();
        for case in &pack.cases {
            match play(policy, &pack.sources, case) {
                Verdict::Passed => passing.push(case),
                Verdict::Failed(_) => {
                    complaints.push(format!("{}:{}: `{}` fails", case.file, case.line, case.name));
                }
            }
            for id in case.keeps.iter().filter(|id| !pack.promises.promises.contains_key(*id)) {
                complaints.push(format!("{}:{}: {id} is no promise", case.file, case.line));
            }
        }
        complaints.extend(
            pack.promises
                .findings(&pack.file.display().to_string(), policy)
                .into_iter()
                .map(|finding| format!("{}: {}", finding.place, finding.message)),
        );
        let mut rows = Vec::new();
        for (id, promise) in &pack.promises.promises {
            let places = policy.promises.kept.get(id).map(Vec::as_slice).unwrap_or_default();
            let cases: Vec<String> = passing
                .iter()
                .filter(|case| case.keeps.contains(id))
                .map(|case| format!("{}:{}: {}", case.file, case.line, case.name))
                .collect();
            let beyond = policy.promises.beyond.get(id).cloned();
            let not_encoded = policy.promises.not_encoded.get(id).cloned();
            let proven = !cases.is_empty() || !promise.proven_by.is_empty();
            let state = match (places.is_empty(), proven) {
                (false, true) => State::Proven,
                (_, _) if not_encoded.is_some() => State::NotEncoded,
                (false, false) if promise.kind != Kind::Full => State::Named,
                (true, _) if beyond.is_some() && promise.kind != Kind::Full => State::Beyond,
                _ => State::Open,
            };
            rows.push(Row {
                id: id.clone(),
                kind: promise.kind,
                line: promise.line,
                quote: promise.quote.clone(),
                rules: places.iter().map(|place| rule_line(pack, place)).collect(),
                cases,
                tests: promise.proven_by.clone(),
                beyond,
                not_encoded,
                state,
            });
        }
        let contradictions = pack.promises.contradictions.clone();
        Self {
            title: policy.title.clone(),
            revision: policy.revision.clone(),
            digest: policy.digest.to_string(),
            rows,
            contradictions,
            complaints,
        }
    }

    /// Promises in a state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// Whether every promise is accounted for and nothing is wrong with the accounts.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.complaints.is_empty() && self.count(State::Open) == 0
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let contradictions: Vec<Value> = self
            .contradictions
            .iter()
            .map(
                |one| json!({"between": one.between, "says": one.says, "meanwhile": one.meanwhile}),
            )
            .collect();
        json!({
            "policy": self.title,
            "revision": self.revision,
            "digest": self.digest,
            "promises": self.rows.len(),
            "accounted_for": self.rows.len() - self.count(State::Open),
            "proven": self.count(State::Proven),
            "whole": self.is_whole(),
            "rows": rows,
            "contradictions": contradictions,
            "complaints": self.complaints,
        })
    }

    /// The last line of the printed account.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} of {} promises accounted for",
            self.rows.len() - self.count(State::Open),
            self.rows.len()
        );
        let mut between = ": ";
        for state in State::ALL.into_iter().filter(|state| self.count(*state) > 0) {
            let _ = write!(text, "{between}{} {}", self.count(state), state.as_str());
            between = ", ";
        }
        text
    }
}

fn rule_line(pack: &Pack, place: &Place) -> RuleLine {
    let file = place.file.rsplit('/').next().unwrap_or_default().to_owned();
    let text = pack.sources.text_of(&place.file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = (place.line as usize).saturating_sub(1);
    let indent = |at: usize| {
        let line = lines.get(at).copied().unwrap_or_default();
        line.len() - line.trim_start().len()
    };
    // Where `keeps` has a line of its own, the rule begins above it.
    if lines.get(at).is_some_and(|line| line.trim_start().starts_with("keeps:")) {
        let own = indent(at);
        at = (0..at).rev().find(|above| indent(*above) < own).unwrap_or(at);
    }
    // Whoever reads the promise knows which one it is.
    let text = lines.get(at).copied().unwrap_or_default().trim();
    let text = match text.split_once(", keeps: [") {
        Some((rule, kept)) => {
            format!("{rule}{}", kept.split_once(']').map_or("", |(_, rest)| rest))
        }
        None => text.to_owned(),
    };
    RuleLine { file, line: u32::try_from(at + 1).unwrap_or(place.line), text }
}

impl Row {
    fn to_json(&self) -> Value {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| json!({"file": rule.file, "line": rule.line, "text": rule.text}))
            .collect();
        json!({
            "id": self.id,
            "kind": self.kind.as_str(),
            "state": self.state.as_str(),
            "line": self.line,
            "quote": self.quote,
            "rules": rules,
            "cases": self.cases,
            "tests": self.tests,
            "beyond": self.beyond,
            "not_encoded": self.not_encoded,
        })
    }
}
