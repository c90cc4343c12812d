//! The JSON rewriter: strict, streaming, default-deny.
//!
//! # Layout
//! `utf8` lets only checked UTF-8 in · `tokens` (with `text` and `numbers`) is the grammar ·
//! `walk` takes tokens to the output under the automaton's states and the `rules` in force ·
//! `locate` finds subjects' ids in a part that is held back · this file is the protocol around them.
//!
//! # What is held
//! The document as a whole, if a subject's id stands at document level; else each element of the
//! list, until it was asked about. Both are bounded by [`JsonLimits::element_bytes`]. Everything
//! else streams: what is kept back is a separator, a member name, and a scalar that is treated.

mod capture;
mod locate;
mod numbers;
mod rules;
mod text;
mod tokens;
mod utf8;
mod walk;

use std::sync::Arc;

use locate::Locator;
use tokens::{Kind, Token, Tokens};
use utf8::{Character, Partial, Stop};
use walk::{Event, Root, Walk};

use super::{
    Fed, Finish, Malformed, MalformedKind, Minimizer, Need, Question, Scope, Tally, Treatments,
    Verdict,
};
use crate::policy::Automaton;
use crate::policy::automaton::StateId;
use crate::terms::RefusalReason;

/// Bounds of one body.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Deepest nesting of containers.
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

/// Rewrites one JSON document.
pub struct JsonMinimizer {
    limits: JsonLimits,
    stage: Stage,
    partial: Partial,
    /// Walks the document.
    walk: Walk,
    /// Walks elements that are released.
    inner: Walk,
    locator: Locator,
    /// The tokenizer of a document that is held.
    holding: Tokens,
    /// The document that is held.
    document: Vec<u8>,
    /// How much of it was walked.
    walked: usize,
    /// The element in hand, and where it stands.
    element: Vec<u8>,
    element_state: StateId,
    element_offset: u64,
    element_depth: usize,
    elements: u64,
    /// What an element became; reused.
    rewritten: Vec<u8>,
    tally: Tally,
}

#[derive(Debug)]
enum Stage {
    /// Taking in a document that is held.
    Holding,
    /// Walking.
    Walking,
    /// Taking in an element.
    Element,
    /// A question was asked.
    Asked(Scope),
    /// It was answered.
    Answered(Scope, Verdict),
    /// An error was returned, or the end: nothing more is written.
    Spent,
}

impl JsonMinimizer {
    /// A minimizer for one body. `treatments` are those of the document; an element may get others
    /// by its verdict. `holds_document`: ask about the document before anything is released.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "two handles that its parts share")]
    pub fn new(
        automaton: Arc<Automaton>,
        treatments: Treatments,
        holds_document: bool,
        limits: JsonLimits,
    ) -> Self {
        let walk = |root| Walk::new(automaton.clone(), treatments.clone(), root, limits);
        Self {
            limits,
            stage: if holds_document { Stage::Holding } else { Stage::Walking },
            partial: Partial::default(),
            walk: walk(Root::Document),
            inner: walk(Root::Element),
            locator: Locator::new(automaton.clone()),
            holding: Tokens::new(limits),
            document: Vec::new(),
            walked: 0,
            element: Vec::new(),
            element_state: StateId::DEAD,
            element_offset: 0,
            element_depth: 0,
            elements: 0,
            rewritten: Vec::new(),
            tally: Tally { cells: vec![0; treatments.len()], ..Tally::default() },
        }
    }

    /// Takes `input` from `at` on, as far as it goes without a question.
    fn drive(
        &mut self,
        input: &[u8],
        at: &mut usize,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<Question>, Malformed> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Spent) {
                Stage::Holding => {
                    let whole = self.hold(input, at, last)?;
                    self.stage = if whole { Stage::Asked(Scope::Document) } else { Stage::Holding };
                    return Ok(whole.then(|| self.locator.question(Scope::Document)));
                }
                Stage::Walking => match self.walk.run(input, at, last, out)? {
                    Event::Input => {
                        self.stage = Stage::Walking;
                        return Ok(None);
                    }
                    // Spent from now on.
                    Event::End => return Ok(None),
                    Event::Element { state, token, start } => {
                        self.begin_element(state, token, &input[start..*at]);
                        self.stage = Stage::Element;
                        if self.is_whole_element(token) {
                            return Ok(Some(self.ask()));
                        }
                    }
                    Event::Drop => return Err(self.refused()),
                },
                Stage::Element => {
                    if !self.take_element(input, at, last)? {
                        self.stage = Stage::Element;
                        return Ok(None);
                    }
                    return Ok(Some(self.ask()));
                }
                Stage::Answered(Scope::Element(_), verdict) => {
                    self.judge_element(verdict, out)?;
                    self.stage = Stage::Walking;
                }
                Stage::Answered(Scope::Document, Verdict::Release(treatments)) => {
                    self.tally.cells.resize(treatments.len(), 0);
                    self.walk.treat(treatments);
                    self.stage = Stage::Walking;
                    return Ok(None);
                }
                Stage::Answered(Scope::Document, Verdict::Drop(_))
                | Stage::Asked(_)
                | Stage::Spent => return Err(self.refused()),
            }
        }
    }

    /// Takes in a document that is held. True: it is complete.
    fn hold(&mut self, input: &[u8], at: &mut usize, last: bool) -> Result<bool, Malformed> {
        let room = self.limits.element_bytes.saturating_sub(self.document.len());
        let end = input.len().min(at.saturating_add(room));
        let begin = *at;
        loop {
            let start = *at;
            let token = self.holding.next(&input[..end], at, last && end == input.len())?;
            self.locator.token(token, &input[start..*at]);
            match token {
                Token::Input if end < input.len() => {
                    let offset = self.holding.offset();
                    return Err(Malformed { kind: MalformedKind::Element, offset });
                }
                Token::Input | Token::End => {
                    self.document.extend_from_slice(&input[begin..*at]);
                    return Ok(token == Token::End);
                }
                Token::Blank
                | Token::Open { .. }
                | Token::Close
                | Token::Comma
                | Token::Colon
                | Token::Scalar(_) => {}
            }
        }
    }

    fn begin_element(&mut self, state: StateId, token: Token, bytes: &[u8]) {
        let open = matches!(token, Token::Open { .. });
        self.element.clear();
        self.element.extend_from_slice(bytes);
        self.element_state = state;
        self.element_offset = self.walk.offset() - bytes.len() as u64;
        self.element_depth = self.walk.depth() - usize::from(open);
        self.locator.restart(state);
        self.locator.token(token, bytes);
    }

    /// Takes in an element. True: it is complete.
    fn take_element(
        &mut self,
        input: &[u8],
        at: &mut usize,
        last: bool,
    ) -> Result<bool, Malformed> {
        let room = self.limits.element_bytes.saturating_sub(self.element.len());
        let end = input.len().min(at.saturating_add(room));
        let begin = *at;
        loop {
            let start = *at;
            let token = self.walk.token(&input[..end], at, last && end == input.len())?;
            if token == Token::Input && end < input.len() {
                let offset = self.walk.offset();
                return Err(Malformed { kind: MalformedKind::Element, offset });
            }
            self.locator.token(token, &input[start..*at]);
            let whole = self.is_whole_element(token);
            if whole || token == Token::Input {
                self.element.extend_from_slice(&input[begin..*at]);
                return Ok(whole);
            }
        }
    }

    fn is_whole_element(&self, token: Token) -> bool {
        let ends = match token {
            Token::Close => true,
            Token::Scalar(piece) => piece.last && piece.kind != Kind::Name,
            Token::Input
            | Token::End
            | Token::Blank
            | Token::Open { .. }
            | Token::Comma
            | Token::Colon => false,
        };
        ends && self.walk.depth() == self.element_depth
    }

    fn ask(&mut self) -> Question {
        let scope = Scope::Element(self.elements);
        self.elements += 1;
        self.stage = Stage::Asked(scope);
        self.locator.question(scope)
    }

    fn judge_element(&mut self, verdict: Verdict, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let treatments = match verdict {
            Verdict::Release(treatments) => treatments,
            Verdict::Drop(reason) => {
                self.drop_element(reason, out);
                return Ok(());
            }
        };
        self.rewritten.clear();
        self.inner.restart(self.element_state, treatments, self.element_offset);
        match self.inner.run(&self.element, &mut 0, true, &mut self.rewritten)? {
            // A rule of the policy, not a statement of the subject.
            Event::Drop => {
                self.drop_element(RefusalReason::NothingGranted, out);
                return Ok(());
            }
            Event::End => {}
            Event::Input | Event::Element { .. } => return Err(self.refused()),
        }
        self.count_inner();
        if self.rewritten.is_empty() {
            self.walk.element_ended(None, out);
        } else {
            self.walk.element_ended(Some(&self.rewritten), out);
            self.walk.elements += 1;
            self.tally.elements_released += 1;
        }
        Ok(())
    }

    fn drop_element(&mut self, reason: RefusalReason, out: &mut Vec<u8>) {
        self.walk.element_ended(None, out);
        *self.tally.elements_dropped.entry(reason).or_default() += 1;
    }

    /// Adds what was counted in a released element.
    fn count_inner(&mut self) {
        add(&mut self.tally, &self.inner.counts);
    }

    fn refused(&self) -> Malformed {
        Malformed { kind: MalformedKind::Refused, offset: self.walk.offset() }
    }

    /// Takes all of `input`, checked as it goes.
    fn take(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Question>), Malformed> {
        let mut consumed = 0;
        loop {
            if !self.partial.is_empty() {
                consumed += self.partial.fill(&input[consumed..]);
                match self.partial.character() {
                    Character::Partial => return Ok((consumed, None)),
                    Character::Invalid => return Err(self.not_utf8()),
                    Character::Whole => {}
                }
                let character = self.partial;
                let mut at = 0;
                let question = self.drive(character.bytes(), &mut at, false, out)?;
                if question.is_some() && at == 0 {
                    // A number ended before the character; it is still to be read.
                    return Ok((consumed, question));
                }
                self.partial.clear();
            }
            let rest = &input[consumed..];
            if rest.is_empty() {
                return Ok((consumed, None));
            }
            let (valid, stop) = utf8::checked(rest);
            let mut at = 0;
            let question = self.drive(valid, &mut at, false, out)?;
            consumed += at;
            if question.is_some() {
                return Ok((consumed, question));
            }
            match stop {
                Stop::Window => {}
                Stop::Split => consumed += self.partial.fill(&input[consumed..]),
                Stop::Invalid => return Err(self.not_utf8()),
            }
        }
    }

    fn not_utf8(&self) -> Malformed {
        let held = self.holding.offset();
        Malformed { kind: MalformedKind::Encoding, offset: held.max(self.walk.offset()) }
    }

    /// Brings the tally up to date with the walk.
    fn count(&mut self, consumed: usize, written: usize) {
        self.tally.bytes_in += consumed as u64;
        self.tally.bytes_out += written as u64;
        add(&mut self.tally, &self.walk.counts);
        self.walk.counts.clear();
    }
}

fn add(tally: &mut Tally, counts: &walk::Counts) {
    if tally.cells.len() < counts.cells.len() {
        tally.cells.resize(counts.cells.len(), 0);
    }
    for (sum, count) in tally.cells.iter_mut().zip(&counts.cells) {
        *sum += count;
    }
    tally.blanked += counts.blanked;
    tally.unlisted += counts.unlisted;
}

impl Minimizer for JsonMinimizer {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Fed, Malformed> {
        let before = out.len();
        let taken = self.take(input, out);
        if taken.is_err() {
            self.stage = Stage::Spent;
        }
        let (consumed, question) = taken?;
        self.count(consumed, out.len() - before);
        Ok(Fed { consumed, need: question.map_or(Need::Input, Need::Verdict) })
    }

    fn answer(&mut self, verdict: Verdict) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Spent) {
            Stage::Asked(scope) => Stage::Answered(scope, verdict),
            // Nobody asked: an answer to another question must not release anything.
            _ => Stage::Spent,
        };
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Malformed> {
        let before = out.len();
        let finished = self.end(out);
        if finished.is_err() {
            self.stage = Stage::Spent;
        }
        let question = finished?;
        self.count(0, out.len() - before);
        Ok(question.map_or(Finish::Done, Finish::Verdict))
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl JsonMinimizer {
    fn end(&mut self, out: &mut Vec<u8>) -> Result<Option<Question>, Malformed> {
        if !self.partial.is_empty() {
            let offset = self.not_utf8().offset;
            return Err(Malformed { kind: MalformedKind::Incomplete, offset });
        }
        if let Stage::Answered(Scope::Document, _) = self.stage {
            self.drive(&[], &mut 0, false, out)?;
        }
        let document = std::mem::take(&mut self.document);
        let mut at = self.walked;
        let walking = !matches!(self.stage, Stage::Holding);
        let question = if walking {
            self.drive(&document, &mut at, true, out)
        } else {
            self.drive(&[], &mut 0, true, out)
        };
        self.document = document;
        self.walked = at;
        question
    }
}
