//! The JSON rewriter: strict, streaming, default-deny.
//!
//! # Layout
//! `lanes` classifies 64 bytes at once · `grammar` (with `escapes`, `scalars` and `nesting`) finds
//! the tokens and everything that is no JSON · `walk` takes tokens to the output under the
//! automaton's states and the `rules` in force, as `fates` decides · `elements` and `subjects` are
//! the elements that are asked about · `engine` is the loop and its window · this file is the
//! protocol around them. docs/ENGINE.md explains it with drawings.
//!
//! # What is held
//! The document as a whole, if a subject's id stands at document level; else each element of the
//! list, until it was asked about. Both are bounded by [`JsonLimits::element_bytes`]. Everything
//! else streams: what is kept back is a separator, a member name, a scalar that is treated, and less
//! than a block of 64 bytes.

mod elements;
mod engine;
mod escapes;
mod fates;
mod grammar;
mod lanes;
mod marks;
mod nesting;
mod rules;
mod scalars;
mod shapes;
mod subjects;
mod text;
mod walk;

use std::sync::Arc;

use elements::{BY_RULE, Element, Left, Met, Outcome};
use engine::{Engine, STEP};
use walk::{Counts, Root, Walk};
use zeroize::Zeroize;

use super::{
    Fed, Finish, Malformed, MalformedKind, Minimizer, Need, Question, Scope, Tally, Treatments,
    Verdict,
};
use crate::policy::Automaton;

pub use lanes::Level;

/// What is wrong, and where in the window.
#[derive(Clone, Copy, Debug)]
struct Fault {
    kind: MalformedKind,
    at: usize,
}

impl Fault {
    /// The one of two that comes first.
    fn earlier(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}

/// Bounds of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Deepest nesting of containers; beyond 128 it counts as 128.
    pub depth: u16,
    /// Longest member name, escaped, in bytes.
    pub member_name_bytes: usize,
    /// Largest element of a list, or document that has to be held, in bytes.
    pub element_bytes: usize,
    /// Longest scalar that an action must see whole, as written, in bytes; a longer one is blanked.
    pub scalar_bytes: usize,
    /// Most members in one body.
    pub members: u64,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            depth: 128,
            member_name_bytes: 4 * 1024,
            element_bytes: 256 * 1024,
            scalar_bytes: 64 * 1024,
            members: u64::MAX,
        }
    }
}

/// Largest buffer that a rewriter keeps from one body to the next.
const KEPT: usize = 64 * 1024;

/// Rewrites one JSON document, and the next after a restart.
pub struct JsonMinimizer {
    limits: JsonLimits,
    level: Level,
    stage: Stage,
    engine: Engine,
    /// Rewrites elements whose treatments are others than the ones they were walked with.
    inner: Option<Box<Engine>>,
    /// The treatments of the document itself.
    treatments: Treatments,
    /// What was written and is not decided.
    staged: Vec<u8>,
    verdicts: Vec<Verdict>,
    tally: Tally,
}

#[derive(Debug)]
enum Stage {
    /// Taking in a document that is held.
    Holding,
    /// Walking what comes in.
    Walking,
    /// Walking a document that was held.
    WalkingHeld,
    /// So many questions were asked and not answered; what to go on with.
    Asked(usize, Box<Stage>),
    /// An error was returned, or the end: nothing more is written.
    Spent,
}

impl JsonMinimizer {
    /// A minimizer for one body. `treatments` are those of the document; an element may get others
    /// by its verdict. `holds_document`: ask about the document before anything is released.
    #[must_use]
    pub fn new(
        automaton: Arc<Automaton>,
        treatments: Treatments,
        holds_document: bool,
        limits: JsonLimits,
    ) -> Self {
        Self::at_level(Level::best(), automaton, treatments, holds_document, limits)
    }

    /// The same, with blocks looked at in a way of the caller's choice; for tests and measurements.
    #[must_use]
    pub fn at_level(
        level: Level,
        automaton: Arc<Automaton>,
        treatments: Treatments,
        holds_document: bool,
        limits: JsonLimits,
    ) -> Self {
        let walk = Walk::new(automaton, treatments.clone(), limits);
        let mut minimizer = Self {
            limits,
            level,
            stage: Stage::Spent,
            engine: Engine::new(level, walk, limits),
            inner: None,
            treatments,
            staged: Vec::new(),
            verdicts: Vec::new(),
            tally: Tally::default(),
        };
        minimizer.begin(holds_document);
        minimizer
    }

    /// Begins another body with the memory of the last one.
    pub fn restart(
        &mut self,
        automaton: Arc<Automaton>,
        treatments: Treatments,
        holds_document: bool,
        limits: JsonLimits,
    ) {
        self.limits = limits;
        self.engine.limit(limits);
        if let Some(inner) = &mut self.inner {
            inner.limit(limits);
        }
        if let Some(inner) = &mut self.inner {
            inner.walk.follow(automaton.clone());
        }
        self.engine.walk.follow(automaton);
        self.engine.walk.treat(treatments.clone());
        self.treatments = treatments;
        self.begin(holds_document);
    }

    fn begin(&mut self, holds_document: bool) {
        let start = self.engine.walk.automaton.start();
        let root = if holds_document { Root::Unwritten } else { Root::Document };
        self.engine.restart(root, start, 0);
        self.staged.clear();
        self.verdicts.clear();
        self.tally = Tally { cells: vec![0; self.treatments.len()], ..Tally::default() };
        self.stage = if holds_document { Stage::Holding } else { Stage::Walking };
    }

    /// Overwrites what is left of a body, and lets go of what is larger than most bodies need. The
    /// names of members that are expected in the next body stay.
    pub fn forget(&mut self) {
        self.stage = Stage::Spent;
        self.verdicts.clear();
        self.engine.forget_body();
        if let Some(inner) = &mut self.inner {
            inner.forget_body();
        }
        self.staged.zeroize();
        if self.staged.capacity() > KEPT {
            self.staged = Vec::new();
        }
    }

    /// Bytes of the buffers that stand beside the rewriter and have bounds of their own: the window,
    /// what is not decided, the names that are expected and the decisions that are kept.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let inner = self.inner.as_ref().map_or(0, |inner| size_of_val(&**inner) + inner.buffered());
        self.engine.buffered() + self.staged.capacity() + inner
    }

    /// Goes on with answers, and with input as far as it goes without a question.
    fn drive(
        &mut self,
        input: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Vec<Question>), Malformed> {
        let mut consumed = 0;
        loop {
            match std::mem::replace(&mut self.stage, Stage::Spent) {
                Stage::Holding => {
                    self.engine.hold(input)?;
                    if !last {
                        self.stage = Stage::Holding;
                        return Ok((input.len(), Vec::new()));
                    }
                    // Looked through as a whole: how it came in pieces must not matter.
                    while !self.engine.step_held(out)? {}
                    let walk = &mut self.engine.walk;
                    let question =
                        walk.elements.subjects.question(&walk.automaton, Scope::Document);
                    self.stage = Stage::Asked(1, Box::new(Stage::Holding));
                    return Ok((input.len(), vec![question]));
                }
                Stage::Walking => {
                    let rest = &input[consumed..];
                    let step = rest.len().min(STEP);
                    let ends = last && step == rest.len();
                    self.walk(out, |engine, sink| engine.step(&rest[..step], ends, sink))?;
                    consumed += step;
                    let next = if ends { Stage::Spent } else { Stage::Walking };
                    if let Some(questions) = self.asks(next, out)? {
                        return Ok((consumed, questions));
                    }
                    if consumed == input.len() {
                        return Ok((consumed, Vec::new()));
                    }
                }
                Stage::WalkingHeld => {
                    let mut whole = false;
                    self.walk(out, |engine, sink| {
                        whole = engine.step_held(sink)?;
                        Ok(())
                    })?;
                    let next = if whole { Stage::Spent } else { Stage::WalkingHeld };
                    if let Some(questions) = self.asks(next, out)? {
                        return Ok((consumed, questions));
                    }
                    if whole {
                        return Ok((consumed, Vec::new()));
                    }
                }
                Stage::Asked(questions, next) if questions == self.verdicts.len() => match *next {
                    Stage::Holding => match self.verdicts.pop() {
                        Some(Verdict::Release(treatments)) => {
                            self.release_document(treatments);
                            self.stage = Stage::WalkingHeld;
                        }
                        _ => return Err(self.refused()),
                    },
                    next => {
                        self.resolve(out)?;
                        let done = matches!(next, Stage::Spent);
                        self.stage = next;
                        if done || (consumed == input.len() && !last) {
                            return Ok((consumed, Vec::new()));
                        }
                    }
                },
                Stage::Asked(..) | Stage::Spent => return Err(self.refused()),
            }
        }
    }

    /// Walks on, writing to `out` what is decided and to `staged` what is not.
    fn walk(
        &mut self,
        out: &mut Vec<u8>,
        step: impl FnOnce(&mut Engine, &mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.engine.walk.elements.are_undecided() {
            self.engine.walk.elements.origin = 0;
            return step(&mut self.engine, &mut self.staged);
        }
        self.engine.walk.elements.origin = out.len();
        let outcome = step(&mut self.engine, out);
        let elements = &self.engine.walk.elements;
        if elements.are_undecided() {
            self.staged.extend_from_slice(&out[elements.origin..]);
            out.truncate(elements.origin);
        }
        outcome
    }

    /// The questions about elements, if there are any. Without one, what is decided is written.
    fn asks(&mut self, next: Stage, out: &mut Vec<u8>) -> Result<Option<Vec<Question>>, Malformed> {
        let elements = &mut self.engine.walk.elements;
        if elements.questions.is_empty() {
            if !elements.segments.is_empty() {
                self.resolve(out)?;
            }
            self.stage = next;
            return Ok(None);
        }
        let questions = std::mem::take(&mut elements.questions);
        self.stage = Stage::Asked(questions.len(), Box::new(next));
        Ok(Some(questions))
    }

    /// Writes what is decided by the verdicts.
    fn resolve(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut elements = std::mem::take(&mut self.engine.walk.elements);
        let mut staged = std::mem::take(&mut self.staged);
        let verdicts = std::mem::take(&mut self.verdicts);
        let mut next = verdicts.iter();
        let cells = self.treatments.len();
        let outcome = elements.resolve(&mut staged, out, cells, |met, out| match next.next() {
            Some(Verdict::Release(treatments)) => self.release(met, treatments, out),
            Some(Verdict::Drop(reason)) => {
                *self.tally.elements_dropped.entry(*reason).or_default() += 1;
                Ok(Left::Nothing)
            }
            None => Err(self.refused()),
        });
        self.engine.walk.elements = elements;
        self.staged = staged;
        outcome
    }

    /// Writes a released element. Returns what is left of it.
    fn release(
        &mut self,
        met: &Met<'_>,
        treatments: &Treatments,
        out: &mut Vec<u8>,
    ) -> Result<Left, Malformed> {
        let (length, element) = (out.len(), met.element);
        let own = Arc::ptr_eq(treatments, self.engine.walk.treatments());
        let outcome = if own {
            out.extend_from_slice(met.text);
            if element.outcome == Outcome::Written
                && let [blanked, unlisted, withheld, cells @ ..] = met.counted
            {
                add(&mut self.tally, [*blanked, *unlisted, *withheld], cells);
            }
            element.outcome
        } else {
            self.rewrite(element, treatments, out)?
        };
        match outcome {
            Outcome::Written if out.len() == length => Ok(Left::Nothing),
            Outcome::Written => {
                let inner = self.inner.as_mut().filter(|_| !own);
                let walk = inner.map_or(&mut self.engine.walk, |inner| &mut inner.walk);
                let Some(left) = walk.under_its_name(element.state, met.name) else {
                    self.tally.blanked += 1;
                    *self.tally.elements_dropped.entry(BY_RULE).or_default() += 1;
                    return Ok(Left::Nothing);
                };
                self.tally.elements_released += 1;
                Ok(left)
            }
            Outcome::Dropped => {
                *self.tally.elements_dropped.entry(BY_RULE).or_default() += 1;
                Ok(Left::Nothing)
            }
            Outcome::Refused => {
                Err(Malformed { kind: MalformedKind::Refused, offset: element.start })
            }
        }
    }

    /// Rewrites an element under other treatments than it was walked with.
    fn rewrite(
        &mut self,
        element: &Element,
        treatments: &Treatments,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Malformed> {
        let walk = &self.engine.walk;
        let inner = self.inner.get_or_insert_with(|| {
            let walk = Walk::new(walk.automaton.clone(), treatments.clone(), self.limits);
            Box::new(Engine::new(self.level, walk, self.limits))
        });
        let refused = Malformed { kind: MalformedKind::Refused, offset: element.start };
        let bytes = self.engine.bytes(element.start, element.end).ok_or(refused)?;
        inner.walk.treat(treatments.clone());
        inner.restart(Root::Element, element.state, element.start);
        inner.hold(bytes)?;
        while !inner.step_held(out)? {}
        if inner.walk.outcome == Outcome::Written {
            let Counts { cells, blanked, unlisted, withheld } = &inner.walk.counts;
            add(&mut self.tally, [*blanked, *unlisted, *withheld], cells);
        }
        Ok(inner.walk.outcome)
    }

    fn release_document(&mut self, treatments: Treatments) {
        self.tally.cells.resize(treatments.len(), 0);
        self.engine.walk.treat(treatments.clone());
        self.treatments = treatments;
        let start = self.engine.walk.automaton.start();
        self.engine.again(Root::Document, start);
    }

    fn refused(&self) -> Malformed {
        Malformed { kind: MalformedKind::Refused, offset: self.engine.offset() }
    }

    /// Brings the tally up to date with the walk.
    fn count(&mut self, consumed: usize, written: usize) {
        self.tally.bytes_in += consumed as u64;
        self.tally.bytes_out += written as u64;
        let counted = self.engine.walk.counted();
        let Counts { cells, blanked, unlisted, withheld } = &*counted;
        add(&mut self.tally, [*blanked, *unlisted, *withheld], cells);
        counted.forget();
    }

    /// An error ends everything.
    fn spent<T>(&mut self, outcome: Result<T, Malformed>) -> Result<T, Malformed> {
        if outcome.is_err() {
            self.stage = Stage::Spent;
            self.engine.walk.elements.clear();
            self.staged.clear();
        }
        outcome
    }
}

/// Adds what was counted.
fn add(tally: &mut Tally, [blanked, unlisted, withheld]: [u64; 3], cells: &[u64]) {
    tally.blanked += blanked;
    tally.unlisted += unlisted;
    tally.withheld += withheld;
    if tally.cells.len() < cells.len() {
        tally.cells.resize(cells.len(), 0);
    }
    for (sum, count) in tally.cells.iter_mut().zip(cells) {
        *sum += count;
    }
}

impl Minimizer for JsonMinimizer {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Fed, Malformed> {
        let before = out.len();
        let driven = self.drive(input, false, out);
        let (consumed, questions) = self.spent(driven)?;
        self.count(consumed, out.len() - before);
        let need = if questions.is_empty() { Need::Input } else { Need::Verdicts(questions) };
        Ok(Fed { consumed, need })
    }

    fn answer(&mut self, verdict: Verdict) {
        if matches!(&self.stage, Stage::Asked(questions, _) if self.verdicts.len() < *questions) {
            self.verdicts.push(verdict);
        } else {
            // Nobody asked: an answer to another question must not release anything.
            self.stage = Stage::Spent;
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Malformed> {
        let before = out.len();
        let driven = self.drive(&[], true, out);
        let (_, questions) = self.spent(driven)?;
        self.count(0, out.len() - before);
        Ok(if questions.is_empty() { Finish::Done } else { Finish::Verdicts(questions) })
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}
