//! Plays one case: the rules, perhaps changed, and the exchange or finding that it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use super::difference::{differences, missing, stands_for};
use super::read::{Case, Change, Exchange, Expected, Gets, Notices, OneOrMany};
use super::said::{Papers, SaidRegisters};
use crate::decide::Caller;
use crate::gateway::names_told;
use crate::gateway::rehearsal::{Asked, Backend, Rehearsed, Stage, TowardsBackend, rehearse};
use crate::keys::KeyRing;
use crate::policy::{Policy, Sources};
use crate::registers::Registers as _;
use crate::terms::{DecisionId, Personal, RefusalReason};

/// The key of every case. It stands in the source, so that expected pseudonyms can be written down;
/// it must never be any deployment's.
const KEY: &str = "1: 62d56a0c0305e05fc92b3716e46d6b9c66174db7f02a51582124d50fdb20156e";

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise, in lines for people.
    Failed(Vec<String>),
}

/// Plays `case` by `policy`, which was compiled from `rules`.
#[must_use]
pub fn play(policy: &Arc<Policy>, rules: &Sources, case: &Case) -> Verdict {
    let lines = played(policy, rules, case).unwrap_or_else(|complaint| vec![complaint]);
    if lines.is_empty() { Verdict::Passed } else { Verdict::Failed(lines) }
}

fn played(policy: &Arc<Policy>, rules: &Sources, case: &Case) -> Result<Vec<String>, String> {
    let changed = case.change.as_ref().map(|change| changed(rules, change)).transpose()?;
    match &case.expected {
        Expected::Finding(code) => {
            let text = changed.as_ref().unwrap_or(rules);
            let (before, after) = (count(rules, code), count(text, code));
            Ok(if after > before {
                Vec::new()
            } else {
                vec![format!("expected a finding {code} about the change, got none")]
            })
        }
        Expected::Exchange(exchange) => exchanged(&by(policy, changed)?, exchange),
        Expected::Notices(notices) => told(&by(policy, changed)?, notices),
    }
}

/// The rules that a case is about.
fn by(policy: &Arc<Policy>, changed: Option<Sources>) -> Result<Arc<Policy>, String> {
    let Some(rules) = changed else { return Ok(Arc::clone(policy)) };
    let policy = Policy::of(&rules);
    let rejected = |rejected| format!("the changed rules are rejected:\n{rejected}");
    policy.map(Arc::new).map_err(rejected)
}

fn changed(rules: &Sources, change: &Change) -> Result<Sources, String> {
    rules
        .with(&change.instead_of, &change.write)
        .map_err(|times| format!("`instead_of` stands {times} times in the rules, not once"))
}

fn count(rules: &Sources, code: &str) -> usize {
    let findings = match Policy::of(rules) {
        Ok(policy) => policy.warnings,
        Err(rejected) => rejected.findings,
    };
    findings.iter().filter(|finding| finding.code == code).count()
}

/// Who is told of the erasure, by which names.
fn told(policy: &Arc<Policy>, notices: &Notices) -> Result<Vec<String>, String> {
    let keys = KeyRing::parse("the key of cases", KEY).map_err(|error| error.to_string())?;
    let registers = SaidRegisters::of(policy, &notices.said, &Papers::default(), notices.at)?;
    let person = Personal::new(notices.person.as_str().into());
    let said = registers.statements(&person).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let listed = &policy.registers.erasure_notices;
    for recipient in notices.tells.keys().filter(|id| !listed.contains_key(id.as_str())) {
        lines.push(format!("{recipient} is not told"));
    }
    for (id, notice) in listed {
        let got = names_told((policy, &keys), (id, notice), (&person, &said), notices.at).names();
        let Some(expected) = notices.tells.get(id.as_str()) else {
            lines.push(format!("{id} is told as well, of {got:?}"));
            continue;
        };
        let same = expected.len() == got.len()
            && expected.iter().zip(&got).all(|(expected, got)| stands_for(expected, got));
        if !same {
            lines.push(format!("{id}: expected to be told of {expected:?}, is told of {got:?}"));
        }
    }
    Ok(lines)
}

fn exchanged(policy: &Arc<Policy>, exchange: &Exchange) -> Result<Vec<String>, String> {
    let keys = KeyRing::parse("the key of cases", KEY).map_err(|error| error.to_string())?;
    let registers = SaidRegisters::of(policy, &exchange.said, &exchange.papers, exchange.at)?;
    let stage = Stage {
        policy: Arc::clone(policy),
        registers: Arc::new(registers),
        keys: Arc::new(keys),
        now: exchange.at,
    };
    let bound = exchange.credential_purposes.as_ref();
    let mut asked = Asked {
        caller: Caller {
            recipient: exchange.recipient.as_str().into(),
            person: exchange.person.as_deref().map(|id| Personal::new(id.into())),
            purposes: bound.map(|bound| bound.iter().map(|one| one.as_str().into()).collect()),
        },
        method: exchange.method.clone(),
        uri: exchange.uri.clone(),
        headers: exchange.headers.clone(),
        client: exchange.address,
        body: exchange.brings.as_ref().map(|body| body.clone().into_bytes()),
        decision: DecisionId::from("d_rehearsal"),
    };
    let backend = Backend {
        status: exchange.backend_status,
        headers: exchange.backend_headers.clone(),
        body: exchange.backend.clone().into_bytes(),
    };
    let mut lines = compare(exchange, &rehearse(&stage, &asked, &backend))?;
    if let Some(code) = &exchange.asked_again {
        // What the first answer used up is used up by another decision.
        asked.decision = DecisionId::from("d_rehearsal_again");
        let again = rehearse(&stage, &asked, &backend);
        lines.extend(
            outcome(exchange, Some(code), &again)?
                .into_iter()
                .map(|line| format!("asked again: {line}")),
        );
    }
    Ok(lines)
}

fn compare(exchange: &Exchange, got: &Rehearsed) -> Result<Vec<String>, String> {
    let mut lines = outcome(exchange, exchange.refused.as_deref(), got)?;
    if let Some(status) = exchange.status.filter(|status| *status != got.status) {
        lines.push(format!("expected status {status}, got {}", got.status));
    }
    lines.extend(headers("answer header", &exchange.answer_headers, &got.headers));
    lines.extend(towards(exchange, got.towards_backend.as_ref())?);
    if let Some(expected) = &exchange.logs {
        let line = serde_json::from_str(&got.log_line)
            .map_err(|error| format!("the access log's line is no JSON: {error}"))?;
        lines.extend(differences("log", expected, &line));
    }
    if let Some(expected) = &exchange.logs_cold {
        match &got.log_line_cold {
            Some(line) => {
                let line = serde_json::from_str(line)
                    .map_err(|error| format!("the older line is no JSON: {error}"))?;
                lines.extend(differences("older log", expected, &line));
            }
            None => lines.push("older lines of the access log stay as they are".to_owned()),
        }
    }
    Ok(lines)
}

/// Refused for the expected reason, or answered with the expected body.
fn outcome(
    exchange: &Exchange,
    refused: Option<&str>,
    got: &Rehearsed,
) -> Result<Vec<String>, String> {
    if let Some(code) = refused
        && !RefusalReason::ALL.iter().any(|reason| reason.code() == code)
    {
        return Err(format!("`{code}` is no reason of a refusal"));
    }
    let mut lines = Vec::new();
    match (&got.body, refused) {
        (Err(reason), Some(code)) if reason.code() == code => {}
        (Err(reason), expected) => {
            let expected =
                expected.map_or("an answer".to_owned(), |code| format!("to be refused: {code}"));
            let detail = got.detail.as_ref().map(|detail| format!(" ({detail})"));
            let detail = detail.unwrap_or_default();
            lines.push(format!("expected {expected}, is refused: {}{detail}", reason.code()));
        }
        (Ok(body), Some(code)) => {
            let text = String::from_utf8_lossy(body);
            lines.push(format!("expected to be refused: {code}, gets {text}"));
        }
        (Ok(body), None) => lines.extend(bodies(exchange, body)?),
    }
    Ok(lines)
}

/// What the backend is asked.
fn towards(exchange: &Exchange, got: Option<&TowardsBackend>) -> Result<Vec<String>, String> {
    let (with, wanted) = (&exchange.backend_asked_with, exchange.backend_asked_for.as_ref());
    let Some(got) = got else {
        let expects = !with.is_empty() || wanted.is_some() || exchange.backend_gets.is_some();
        let complaint = "the backend would not be asked".to_owned();
        return Ok(expects.then_some(complaint).into_iter().collect());
    };
    let mut lines = headers("header to the backend", with, &got.headers);
    if let Some(target) = wanted.filter(|target| **target != got.target) {
        lines.push(format!("expected the backend to be asked for {target}, got {}", got.target));
    }
    if let Some(expected) = &exchange.backend_gets {
        let sent = got.body.as_deref().unwrap_or_default();
        let sent: Value = serde_json::from_slice(sent)
            .map_err(|error| format!("what the backend gets is no JSON: {error}"))?;
        lines.extend(differences("body to the backend", expected, &sent));
    }
    Ok(lines)
}

fn bodies(exchange: &Exchange, body: &[u8]) -> Result<Vec<String>, String> {
    let Some(gets) = &exchange.gets else { return Ok(Vec::new()) };
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    Ok(match gets {
        Gets::Json(expected) => {
            let got: Value = serde_json::from_str(text)
                .map_err(|error| format!("the answer is no JSON: {error}"))?;
            differences("$", expected, &got)
        }
        Gets::AtLeast(expected) => {
            let got: Value = serde_json::from_str(text)
                .map_err(|error| format!("the answer is no JSON: {error}"))?;
            missing("$", expected, &got)
        }
        Gets::Bytes(expected) if expected == text => Vec::new(),
        Gets::Bytes(expected) => {
            vec![format!("expected exactly {expected}\n     got exactly {text}")]
        }
    })
}

fn headers(
    what: &str,
    expected: &BTreeMap<String, Option<OneOrMany>>,
    got: &HeaderMap,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, values) in expected {
        let got: Vec<String> = got
            .get_all(name.to_ascii_lowercase())
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let expected = values.as_ref().map(OneOrMany::list).unwrap_or_default();
        let same = got.len() == expected.len()
            && expected.iter().zip(&got).all(|(expected, got)| stands_for(expected, got));
        if !same {
            lines.push(format!("{what} {name}: expected {expected:?}, got {got:?}"));
        }
    }
    lines
}
