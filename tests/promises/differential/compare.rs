//! One document under one set of rules: what the engine makes of it, whole and cut, against what the
//! oracle says. Used by the seeded test and by the fuzz target alike.

use std::fmt::Debug;

use tamis::minimize::{Level, Malformed, MalformedKind, Question, Verdict};
use tamis::policy::automaton::Unlisted;
use tamis::terms::RefusalReason;

use crate::engine::{Engine, Outcome, RuleText, spelled, treatment};
use crate::oracle::{Act, Judged, Refused, Rest, Rule, What, read, rewrite};

pub(crate) struct Case {
    pub(crate) document: Vec<u8>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) rest: Rest,
    /// What verdicts are drawn from, with the question.
    pub(crate) salt: u64,
    /// Lengths of chunks, taken in turn.
    pub(crate) cuts: Vec<usize>,
}

/// What kind of document it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Rewritten,
    Malformed,
    /// By a rule, a verdict, or a bound of the engine.
    Refused,
    /// Its rules are over the compiler's bound.
    Uncompiled,
}

/// A verdict that depends on the question and nothing else: half are released as they are, a
/// quarter tightened.
fn judge(salt: u64, question: &str) -> Judged {
    let hash = question.bytes().fold(salt ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    match hash >> 40 & 7 {
        0..=3 => Judged::Release(Act::Keep),
        4 => Judged::Release(Act::Redact),
        5 => Judged::Release(Act::Remove),
        _ => Judged::Drop,
    }
}

/// What a rule is for, as the engine's tests spell it.
fn spelling(what: What) -> String {
    match what {
        What::Cell(act, true) => format!("subtree {}", act.text()),
        What::Cell(act, false) => act.text().to_owned(),
        What::Count(act) => format!("count {}", act.text()),
        What::Each => "each".to_owned(),
        What::Subject(role) => format!("subject {role}"),
        What::Name(act, otherwise) => format!("name {}", name_action(act, otherwise)),
        What::Named(role) => format!("named {role}"),
    }
}

/// The action of a name: what is kept may be a pseudonym.
fn name_action(act: Act, otherwise: bool) -> &'static str {
    if otherwise && act == Act::Keep { "pseudonym" } else { act.text() }
}

fn verdict(case: &Case, question: &Question, engine: &Engine) -> Verdict {
    match judge(case.salt, &spelled(question)) {
        Judged::Drop => Verdict::Drop(RefusalReason::ConsentMissing),
        Judged::Release(Act::Keep) => Verdict::Release(engine.treatments.clone()),
        Judged::Release(floor) => {
            let acts = case.rules.iter().filter_map(|rule| match rule.what {
                What::Cell(act, _) | What::Count(act) => Some(act.max(floor).text()),
                What::Name(act, otherwise) => Some(name_action(act.max(floor), otherwise)),
                What::Each | What::Subject(_) | What::Named(_) => None,
            });
            Verdict::Release(acts.map(treatment).collect())
        }
    }
}

fn cut<'a>(mut rest: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(rest.len().min(*length));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Where an element holds what one rule drops it for and what another refuses the answer for, the
/// oracle goes by what comes first, and an engine may go by what is stricter.
fn may_refuse(rules: &[Rule]) -> bool {
    let some = |act| {
        rules
            .iter()
            .any(|rule| matches!(rule.what, What::Cell(of, _) | What::Name(of, _) if of == act))
    };
    some(Act::Drop) && some(Act::Refuse) && rules.iter().any(|rule| rule.what == What::Each)
}

/// What differs, in words.
pub(crate) fn compare(case: &Case) -> Result<Found, String> {
    let texts: Vec<String> = case.rules.iter().map(|rule| spelling(rule.what)).collect();
    let pairs: Vec<RuleText<'_>> = case
        .rules
        .iter()
        .zip(&texts)
        .map(|(rule, text)| (rule.path.text.as_str(), text.as_str()))
        .collect();
    let unlisted = match case.rest {
        Rest::Keep => Unlisted::Keep,
        Rest::Remove => Unlisted::Remove,
    };
    let Ok(engine) = Engine::compile(&pairs, unlisted) else { return Ok(Found::Uncompiled) };
    let judged = |question: &Question, engine: &Engine| verdict(case, question, engine);
    let differs = |what: &str, left: &dyn Debug, right: &dyn Debug| {
        let document = String::from_utf8_lossy(&case.document);
        let Case { cuts, rest, salt, .. } = case;
        Err(format!(
            "{what}\n    {left:?}\n    {right:?}\n{document:?}\n{pairs:?} {rest:?} cut at {cuts:?}, \
             verdicts of {salt}"
        ))
    };

    let whole = engine.run([&case.document[..]], judged).map_err(|(malformed, _)| malformed);
    let chunks = engine.run(cut(&case.document, &case.cuts), judged).map_err(|(fault, _)| fault);
    let tree = read(&case.document);
    // A rule refuses in the middle of a value: at which byte, and whether before or behind a fault in
    // that same value, is left to the engine.
    let refused = |found: &Result<Outcome, Malformed>| {
        found.as_ref().is_err_and(|malformed| malformed.kind == MalformedKind::Refused)
    };
    let refusals = match tree {
        Some(_) => refused(&whole) && refused(&chunks),
        None => whole.is_err() && chunks.is_err() && (refused(&whole) || refused(&chunks)),
    };
    if whole != chunks && !refusals {
        return differs("whole and cut", &whole, &chunks);
    }
    // Every level sees the same; one document in four, for the time it takes.
    for level in Level::available().iter().filter(|_| case.salt.is_multiple_of(4)) {
        let engine = engine.at_level(*level);
        let found = engine.run([&case.document[..]], judged).map_err(|(malformed, _)| malformed);
        if found != whole {
            return differs("best level and another", &whole, &(level, found));
        }
    }
    let Some(tree) = tree else {
        return match whole {
            Err(_) if refused(&whole) => Ok(Found::Refused),
            Err(_) => Ok(Found::Malformed),
            Ok(_) => differs("accepted, and is no JSON", &whole, &()),
        };
    };
    let expected = rewrite(&case.rules, case.rest, &|question| judge(case.salt, question), &tree);
    match (whole, expected) {
        (Err(Malformed { kind, .. }), expected) => {
            let limits = engine.limits;
            let long = case.document.len();
            let refused = match kind {
                MalformedKind::Refused => expected == Err(Refused) || may_refuse(&case.rules),
                MalformedKind::Depth => tree.depth() > usize::from(limits.depth),
                MalformedKind::MemberName => long > limits.member_name_bytes,
                MalformedKind::Element => long > limits.element_bytes,
                MalformedKind::Members => long as u64 > limits.members,
                MalformedKind::Syntax
                | MalformedKind::Encoding
                | MalformedKind::Incomplete
                | MalformedKind::Picture
                | MalformedKind::Aggregate(_) => false,
            };
            if refused { Ok(Found::Refused) } else { differs("refused", &kind, &expected) }
        }
        (Ok(outcome), Err(Refused)) => differs("should be refused", &outcome, &()),
        (Ok(outcome), Ok(expected)) => {
            let Outcome { text, tally, questions } = &outcome;
            if *questions != expected.questions {
                return differs("questions", questions, &expected.questions);
            }
            let found = read(text.as_bytes());
            if found.as_ref() != Some(&expected.tree) {
                return differs("output", text, &expected.tree);
            }
            let dropped = tally.elements_dropped.values().sum::<u64>();
            let elements = (tally.elements_released, dropped);
            if elements != (expected.released, expected.dropped) {
                return differs("elements", &elements, &expected);
            }
            // A removed root leaves `null`, which may be what stood there.
            let untouched = expected.tree == tree
                && questions.is_empty()
                && tally.unlisted == 0
                && tally.cells.iter().all(|count| *count == 0);
            if untouched && text.as_bytes() != case.document {
                return differs("untouched bytes", text, &());
            }
            Ok(Found::Rewritten)
        }
    }
}
