//! Runs the JSON rewriter in the ways the tests need: any rules, any chunks, any verdicts.

use std::sync::Arc;

use tamis::action::pseudonym::{Canonical, Domain, DomainKey, Scope, Use};
use tamis::action::{Action, Scalar, Treatment};
use tamis::keys::KeyRing;
use tamis::minimize::{
    Finish, JsonLimits, JsonMinimizer, Level, Malformed, Minimizer, Need, Question, Tally, Verdict,
};
use tamis::policy::automaton::{Automaton, CellId, CompileError, Mark, RoleIndex, Unlisted};
use tamis::policy::path::Selector;

/// A selector and what it is for: `keep`, `mask last 4`, …; `subtree keep`; `each`; `subject 0`;
/// `count keep`; of the names of members `name keep`, `name pseudonym`, … and `named 0`, whose they are.
pub(crate) type RuleText<'a> = (&'a str, &'a str);

/// Rules that can be run many times.
#[derive(Clone)]
pub(crate) struct Engine {
    automaton: Arc<Automaton>,
    pub(crate) treatments: Arc<[Treatment]>,
    pub(crate) holds_document: bool,
    pub(crate) limits: JsonLimits,
    level: Level,
}

/// Output, tally and the questions as they were asked, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) tally: Tally,
    pub(crate) questions: Vec<String>,
}

/// The key of every pseudonym here.
fn key() -> Arc<DomainKey> {
    const RING: &str = "1: 62d56a0c0305e05fc92b3716e46d6b9c66174db7f02a51582124d50fdb20156e";
    let ring = KeyRing::parse("a key of tests", RING).expect("a key");
    Arc::new(ring.key(&Domain {
        used_for: Use::Pseudonym,
        policy: "engine",
        category: "account.id",
        scope: Scope::Recipient,
        recipient: "desk",
        purpose: "",
        extra: "",
        period: "",
    }))
}

/// The pseudonym of a text.
pub(crate) fn pseudonym(text: &str) -> String {
    let mut out = Vec::new();
    treatment("pseudonym").apply(Scalar::String(text), &mut out);
    String::from_utf8(out).expect("JSON").trim_matches('"').to_owned()
}

pub(crate) fn treatment(action: &str) -> Treatment {
    let action = action.parse::<Action>().expect(action);
    Treatment {
        key: matches!(action, Action::Pseudonym(_)).then(key),
        action,
        scope: Scope::Recipient,
        opens: None,
        link: None,
        canonical: Canonical::default(),
        groups: None,
        today: jiff::civil::date(2026, 11, 24),
    }
}

impl Engine {
    pub(crate) fn new(rules: &[RuleText<'_>], unlisted: Unlisted) -> Self {
        Self::compile(rules, unlisted).expect("small")
    }

    /// As [`new`](Self::new), for rules that may be too many.
    pub(crate) fn compile(
        rules: &[RuleText<'_>],
        unlisted: Unlisted,
    ) -> Result<Self, CompileError> {
        let mut marks = Vec::new();
        let mut treatments = Vec::new();
        let mut holds_document = false;
        let each = rules
            .iter()
            .find(|(_, what)| *what == "each")
            .map(|(selector, _)| Selector::parse(selector).expect("a list"));
        for (selector, what) in rules {
            let selector = Selector::parse_within(selector, each.as_ref()).expect(selector);
            let mark = match what.split_once(' ') {
                None if *what == "each" => Mark::Each,
                Some(("subject", role)) => {
                    holds_document |= !each.as_ref().is_some_and(|each| selector.continues(each));
                    Mark::Subject(RoleIndex(role.parse().expect("a role")))
                }
                Some(("named", role)) => {
                    holds_document |= !each.as_ref().is_some_and(|each| selector.continues(each));
                    Mark::KeyOf(RoleIndex(role.parse().expect("a role")))
                }
                _ => {
                    let cell = CellId(u16::try_from(treatments.len()).expect("few cells"));
                    let (action, mark) = if let Some(action) = what.strip_prefix("subtree ") {
                        (action, Mark::Cell { cell, subtree: true })
                    } else if let Some(action) = what.strip_prefix("name ") {
                        (action, Mark::Key(cell))
                    } else if let Some(action) = what.strip_prefix("count ") {
                        (action, Mark::Count(cell))
                    } else {
                        (*what, Mark::Cell { cell, subtree: false })
                    };
                    treatments.push(treatment(action));
                    mark
                }
            };
            marks.push((selector, mark));
        }
        Ok(Self {
            automaton: Arc::new(Automaton::compile(&marks, unlisted)?),
            treatments: treatments.into(),
            holds_document,
            limits: JsonLimits::default(),
            level: Level::best(),
        })
    }

    /// The same, with blocks looked at in another way.
    pub(crate) fn at_level(&self, level: Level) -> Self {
        Self { level, ..self.clone() }
    }

    /// Runs over chunks; `judge` answers questions.
    pub(crate) fn run<'a>(
        &self,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        judge: impl FnMut(&Question, &Self) -> Verdict,
    ) -> Result<Outcome, (Malformed, Vec<u8>)> {
        let mut minimizer = JsonMinimizer::at_level(
            self.level,
            self.automaton.clone(),
            self.treatments.clone(),
            self.holds_document,
            self.limits,
        );
        self.run_with(&mut minimizer, chunks, judge)
    }

    /// As [`run`](Self::run), with a rewriter that had other bodies before.
    pub(crate) fn run_again<'a>(
        &self,
        minimizer: &mut JsonMinimizer,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        judge: impl FnMut(&Question, &Self) -> Verdict,
    ) -> Result<Outcome, (Malformed, Vec<u8>)> {
        let (automaton, treatments) = (self.automaton.clone(), self.treatments.clone());
        minimizer.restart(automaton, treatments, self.holds_document, self.limits);
        let outcome = self.run_with(minimizer, chunks, judge);
        minimizer.forget();
        outcome
    }

    /// A rewriter that can be restarted for any rules.
    pub(crate) fn minimizer(&self) -> JsonMinimizer {
        let (automaton, treatments) = (self.automaton.clone(), self.treatments.clone());
        JsonMinimizer::new(automaton, treatments, self.holds_document, self.limits)
    }

    fn run_with<'a>(
        &self,
        minimizer: &mut JsonMinimizer,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        mut judge: impl FnMut(&Question, &Self) -> Verdict,
    ) -> Result<Outcome, (Malformed, Vec<u8>)> {
        let mut out = Vec::new();
        let mut questions = Vec::new();
        let mut ask = |minimizer: &mut JsonMinimizer, asked: Vec<Question>| {
            for question in asked {
                questions.push(spelled(&question));
                minimizer.answer(judge(&question, self));
            }
        };
        for chunk in chunks {
            let mut rest = chunk;
            loop {
                let fed = minimizer.feed(rest, &mut out).map_err(|e| (e, out.clone()))?;
                rest = &rest[fed.consumed..];
                match fed.need {
                    Need::Input => break,
                    Need::Verdicts(asked) => ask(minimizer, asked),
                }
            }
            assert!(rest.is_empty(), "all input is taken unless something is asked");
        }
        while let Finish::Verdicts(asked) =
            minimizer.finish(&mut out).map_err(|e| (e, out.clone()))?
        {
            ask(minimizer, asked);
        }
        let tally = minimizer.tally().clone();
        Ok(Outcome { text: String::from_utf8(out).expect("UTF-8 leaves"), tally, questions })
    }

    /// Runs over the whole input at once, releasing whatever is asked about.
    pub(crate) fn whole(&self, input: &[u8]) -> Result<Outcome, (Malformed, Vec<u8>)> {
        self.run([input], release)
    }

    /// Runs whole, byte by byte, and at every single split; all must agree. Returns the outcome.
    pub(crate) fn everywhere(
        &self,
        input: &[u8],
        judge: impl Fn(&Question, &Self) -> Verdict,
    ) -> Result<Outcome, Malformed> {
        let whole = self.run([input], &judge).map_err(|(malformed, _)| malformed);
        let name = String::from_utf8_lossy(input);
        for split in 0..=input.len() {
            let (head, tail) = input.split_at(split);
            let found = self.run([head, tail], &judge).map_err(|(malformed, _)| malformed);
            assert_eq!(found, whole, "{name} split at {split}");
        }
        let bytes = self.run(input.chunks(1), &judge).map_err(|(malformed, _)| malformed);
        assert_eq!(bytes, whole, "{name} byte by byte");
        whole
    }
}

pub(crate) fn release(_: &Question, engine: &Engine) -> Verdict {
    Verdict::Release(engine.treatments.clone())
}

/// A question as text: ids are shown, since in tests they are invented.
pub(crate) fn spelled(question: &Question) -> String {
    use tamis::minimize::{Located, Scope};
    let scope = match question.scope {
        Scope::Document => "document".to_owned(),
        Scope::Element(index) => format!("element {index}"),
    };
    let subjects: Vec<String> = question
        .subjects
        .iter()
        .map(|(role, located)| {
            let found = match located {
                Located::Nothing | Located::Unfit => "nothing".to_owned(),
                Located::Ambiguous => "ambiguous".to_owned(),
                Located::One(id) => id.expose().to_string(),
                Located::Many(ids) => {
                    let ids: Vec<&str> = ids.iter().map(|id| id.expose().as_ref()).collect();
                    ids.join("+")
                }
            };
            format!("{}={found}", role.0)
        })
        .collect();
    format!("{scope}: {}", subjects.join(" "))
}
