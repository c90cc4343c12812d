//! One body under one permit: the minimizer, the judge it asks, and what the judge asks in turn.
//!
//! Synchronous and without sockets, so that the gateway and `tamis minimize` run the same code. It
//! never writes a byte that the minimizer has not decided. In come pieces of a decoded body, out go
//! minimized bytes; a failure means that nothing more may be written.

use std::ops::Range;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::action::Action;
use crate::decide::{Adjustment, Gate, Judge, Met, Part, Permit, SubjectIds};
use crate::keys::{KeyRing, Treating};
use crate::minimize::head::Links;
use crate::minimize::link::Origins;
use crate::minimize::{
    Finish, JsonLimits, Located, Malformed, MalformedKind, Minimizer, Need, Question, Scope, Tally,
    Treatments, Verdict, aggregate,
};
use crate::policy::CellId;
use crate::policy::model::{Form, LinkHeader};
use crate::policy::plan::Cell;
use crate::registers::{Fetching, Registers, RegistersUnavailable};
use crate::terms::{CategoryId, DataSubject, Picture, RefusalReason, Statements};

use super::idle::Lent;
use super::picture::Held;

/// A body that is being minimized.
pub struct Minimizing {
    permit: Arc<Permit>,
    judge: Judge,
    body: Body,
    registers: Arc<dyn Registers>,
    treating: Treating,
    /// Ids that stood in the answer's head, by role; they hold for every part of the body.
    stated: Vec<(usize, SubjectIds)>,
    /// The treatments that hold where no gate tightened anything inside the body.
    base: Treatments,
    /// What the gates tightened in `base`.
    tightened: Vec<Adjustment>,
    /// The treatments of what stands in no element: `None` while nobody was asked about the document.
    document: Option<Treatments>,
    /// How often each cell was met in the head, and what was left out there.
    in_head: (Vec<u64>, u64),
    /// Why the whole answer was refused, once it was.
    refused: Option<RefusalReason>,
    /// What the minimizer asked and was not told yet.
    asked: Vec<Question>,
    /// Whether consents matter to the recipient, so that they have to be fetched where they are elsewhere.
    fetches: bool,
}

/// A person, and what they have said.
type SaidBy = (DataSubject, Arc<Statements>);

/// What people have said, looked up for some parts of a body at once, in the order in which they are found.
struct Said {
    people: Vec<SaidBy>,
    /// So many of them, in front, every part is about.
    everywhere: usize,
    /// Who stands in each part.
    parts: Vec<Range<usize>>,
}

/// What is made of a body.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every body is JSON: a box would cost them all"
)]
enum Body {
    Json(Lent),
    Picture(Held),
    Aggregate(aggregate::Held),
}

/// Why a body ended as failed. Nothing in it comes from the body.
#[derive(Debug, thiserror::Error)]
pub enum MinimizingError {
    /// The backend sent what cannot be minimized.
    #[error("the body cannot be minimized")]
    Malformed(#[source] Malformed),
    /// The gates refuse the whole answer.
    #[error("the answer is refused: {}", .0.code())]
    Refused(RefusalReason),
    /// Nobody can say what the subjects have permitted.
    #[error("the registers do not answer")]
    Registers(#[source] RegistersUnavailable),
}

impl MinimizingError {
    /// The reason of the refusal.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        match self {
            Self::Malformed(Malformed { kind: MalformedKind::Aggregate(_), .. }) => {
                RefusalReason::AggregateGuard
            }
            // The backend did nothing wrong; and that the member is there is about a person.
            Self::Malformed(Malformed { kind: MalformedKind::Refused, .. }) => {
                RefusalReason::Dropped
            }
            Self::Malformed(_) => RefusalReason::Unfilterable,
            Self::Refused(reason) => *reason,
            Self::Registers(_) => RefusalReason::RegisterStale,
        }
    }
}

/// What holds before anything of a body was looked at.
struct Begun {
    permit: Arc<Permit>,
    judge: Judge,
    registers: Arc<dyn Registers>,
    treating: Treating,
    stated: Vec<(usize, SubjectIds)>,
    base: Treatments,
    tightened: Vec<Adjustment>,
}

impl Begun {
    /// `asks`: those who stand in the head decide about the whole of it, now.
    fn new(
        permit: &Arc<Permit>,
        stated: Vec<(usize, SubjectIds)>,
        registers: Arc<dyn Registers>,
        (keys, origins): (Arc<KeyRing>, Arc<Origins>),
        asks: bool,
        now: Timestamp,
    ) -> Result<Self, MinimizingError> {
        // Nobody was asked about whom the request's body names.
        if !permit.is_whole() {
            return Err(MinimizingError::Refused(RefusalReason::ConsentMissing));
        }
        let mut judge = Judge::new(Arc::clone(permit));
        let mut tightened = permit.adjustments().to_vec();
        if asks {
            let said = |subject: &_| registers.statements(subject);
            let gate = judge.gate(Part::Document, stated.clone(), said, now);
            match gate.map_err(MinimizingError::Registers)? {
                Gate::Release(adjustments) => tightened = adjustments,
                Gate::Drop(reason) => return Err(MinimizingError::Refused(reason)),
            }
        }
        let mut treating = Treating::new(keys, permit, origins, now);
        let base = treating.treatments(&tightened);
        let permit = Arc::clone(permit);
        Ok(Self { permit, judge, registers, treating, stated, base, tightened })
    }

    fn with(self, body: Body, document: Option<Treatments>) -> Minimizing {
        let Self { permit, judge, registers, treating, stated, base, tightened } = self;
        let in_head = (vec![0; permit.plan().cells.len()], 0);
        let fetches = permit.policy().rests_on_consent(permit.recipient());
        Minimizing {
            permit,
            judge,
            body,
            registers,
            treating,
            stated,
            base,
            tightened,
            document,
            in_head,
            refused: None,
            asked: Vec::new(),
            fetches,
        }
    }
}

impl Minimizing {
    /// Prepares one body, of groups where the route counts them. `stated`: ids that stood in headers of the
    /// answer, by role. `keys`: those of pseudonyms, and where links lead. `now` dates the pseudonyms and
    /// the gates known from request and head.
    ///
    /// # Errors
    /// [`MinimizingError::Refused`] and [`MinimizingError::Registers`], for subjects in the head.
    pub fn json(
        permit: &Arc<Permit>,
        stated: Vec<(usize, SubjectIds)>,
        registers: Arc<dyn Registers>,
        keys: (Arc<KeyRing>, Arc<Origins>),
        limits: JsonLimits,
        now: Timestamp,
    ) -> Result<Self, MinimizingError> {
        let plan = permit.plan();
        // A body that is not held asks nothing of its own about who stands in the head.
        let asks = !stated.is_empty() && !plan.holds_document;
        let begun = Begun::new(permit, stated, registers, keys, asks, now)?;
        let route = &permit.policy().routes[plan.route_index];
        let body = match &route.aggregate {
            None => Body::Json(Lent::take(plan, &begun.base, limits)),
            Some(rules) => {
                let shape = aggregate::Shape::of(route, rules, &begun.base);
                Body::Aggregate(aggregate::Held::new(shape))
            }
        };
        let document = (!plan.holds_document).then(|| Arc::clone(&begun.base));
        Ok(begun.with(body, document))
    }

    /// Prepares a picture, which leaves whole or not at all. Arguments: see [`json`](Self::json).
    ///
    /// # Errors
    /// [`MinimizingError::Refused`] and [`MinimizingError::Registers`].
    pub(super) fn picture(
        permit: &Arc<Permit>,
        kind: Picture,
        stated: Vec<(usize, SubjectIds)>,
        registers: Arc<dyn Registers>,
        keys: (Arc<KeyRing>, Arc<Origins>),
        now: Timestamp,
    ) -> Result<Self, MinimizingError> {
        let begun = Begun::new(permit, stated, registers, keys, true, now)?;
        // Nothing but to keep it can be done with a picture.
        if begun.base.first().is_none_or(|first| first.action != Action::Keep) {
            return Err(MinimizingError::Refused(RefusalReason::ConsentMissing));
        }
        let body = Body::Picture(Held::new(kind, permit.plan().cells.len()));
        let document = Some(Arc::clone(&begun.base));
        Ok(begun.with(body, document))
    }

    /// What may leave of the links in the answer's head. To be asked before the head leaves, and once
    /// nothing can be found in the body any more that decides about it: what is not known by then
    /// withholds them.
    pub fn links(&mut self, headers: &HeaderMap) -> Links {
        let plan = Arc::clone(self.permit.plan());
        let route = &self.permit.policy().routes[plan.route_index];
        let mut links = Links::default();
        for header in LinkHeader::ALL.into_iter().filter(|header| route.names(*header)) {
            let values: Vec<&[u8]> =
                headers.get_all(header.as_str()).iter().map(HeaderValue::as_bytes).collect();
            let of_header = |cell: &Cell| cell.form == Form::Header(header);
            let rules = self.document.as_ref().and_then(|treatments| {
                let cells = plan.cells.iter().zip(treatments.iter());
                let own = cells.filter(|(cell, _)| of_header(cell));
                let links = own.filter_map(|(_, treatment)| treatment.link.clone());
                links.reduce(|all, link| Arc::new(all.and(&link)))
            });
            links.take(header, &values, rules.as_deref());
        }
        for (at, cell) in plan.cells.iter().enumerate() {
            let is_of = |(header, category): &&(LinkHeader, CategoryId)| {
                cell.form == Form::Header(*header) && cell.category.as_ref() == Some(category)
            };
            self.in_head.0[at] += links.values.iter().filter(is_of).count() as u64;
        }
        self.in_head.1 += links.left_out.iter().map(|(_, count)| count).sum::<u64>();
        links
    }

    /// The cells of which values stand in the links that left.
    #[must_use]
    pub fn told_in_head(&self) -> Vec<CellId> {
        let met = (0_u16..).zip(&self.in_head.0).filter(|(_, count)| **count > 0);
        met.map(|(at, _)| CellId(at)).collect()
    }

    /// Takes a piece of the body and appends what may leave to `out`. Nobody is waited for: what the
    /// registers do not know now is unknown.
    ///
    /// # Errors
    /// See [`MinimizingError`]; what is in `out` by then has been decided, the rest never comes.
    pub fn feed(
        &mut self,
        mut piece: &[u8],
        out: &mut Vec<u8>,
        now: Timestamp,
    ) -> Result<(), MinimizingError> {
        while self.feed_until_asked(&mut piece, out, now)?.is_some() {}
        Ok(())
    }

    /// As [`feed`](Self::feed), as far as it goes without what the registers have to fetch: to be called
    /// again with the rest of the piece when that is there. `None`: all of the piece was taken.
    ///
    /// # Errors
    /// See [`MinimizingError`].
    pub fn feed_until_asked(
        &mut self,
        piece: &mut &[u8],
        out: &mut Vec<u8>,
        now: Timestamp,
    ) -> Result<Option<Fetching>, MinimizingError> {
        loop {
            self.answer(now)?;
            let minimizer = match &mut self.body {
                Body::Json(minimizer) => minimizer,
                Body::Picture(held) => {
                    held.feed(piece).map_err(MinimizingError::Malformed)?;
                    return Ok(None);
                }
                Body::Aggregate(held) => {
                    held.feed(piece).map_err(MinimizingError::Malformed)?;
                    return Ok(None);
                }
            };
            let fed = minimizer.feed(piece, out).map_err(|fault| self.failed(fault))?;
            *piece = &piece[fed.consumed..];
            match fed.need {
                Need::Input => return Ok(None),
                Need::Verdicts(questions) => self.asked = questions,
            }
            let fetching = self.fetch();
            if fetching.is_some() {
                return Ok(fetching);
            }
        }
    }

    /// The body is complete. Nobody is waited for.
    ///
    /// # Errors
    /// See [`MinimizingError`].
    pub fn finish(&mut self, out: &mut Vec<u8>, now: Timestamp) -> Result<(), MinimizingError> {
        while self.finish_until_asked(out, now)?.is_some() {}
        Ok(())
    }

    /// As [`finish`](Self::finish), as far as it goes without what the registers have to fetch. `None`: all
    /// is written.
    ///
    /// # Errors
    /// See [`MinimizingError`].
    pub fn finish_until_asked(
        &mut self,
        out: &mut Vec<u8>,
        now: Timestamp,
    ) -> Result<Option<Fetching>, MinimizingError> {
        loop {
            self.answer(now)?;
            let minimizer = match &mut self.body {
                Body::Json(minimizer) => minimizer,
                Body::Picture(held) => {
                    held.finish(out).map_err(MinimizingError::Malformed)?;
                    return Ok(None);
                }
                Body::Aggregate(held) => {
                    held.finish(out).map_err(MinimizingError::Malformed)?;
                    return Ok(None);
                }
            };
            match minimizer.finish(out).map_err(|fault| self.failed(fault))? {
                Finish::Done => return Ok(None),
                Finish::Verdicts(questions) => self.asked = questions,
            }
            let fetching = self.fetch();
            if fetching.is_some() {
                return Ok(fetching);
            }
        }
    }

    /// Whether people's statements may have to be fetched.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.fetches && self.registers.may_fetch()
    }

    /// Begins to fetch what the people of the questions have said, where that has to be.
    fn fetch(&self) -> Option<Fetching> {
        if !self.may_wait() {
            return None;
        }
        let ids = self.permit.policy().registers.ids;
        let found = self.asked.iter().flat_map(|question| &question.subjects);
        // Roles beyond the route's own find other things than people.
        let roles = self.permit.policy().routes[self.permit.plan().route_index].subjects.len();
        let found = found.filter(|(role, _)| usize::from(role.0) < roles);
        let people = found.flat_map(|(_, located)| located.each());
        let people: Vec<_> = people.filter(|id| ids.admits(id.expose())).cloned().collect();
        if people.is_empty() { None } else { self.registers.fetch(&people) }
    }

    /// Of whom something may leave since this was last asked.
    pub fn take_met(&mut self) -> Vec<Met> {
        self.judge.take_met()
    }

    /// What has been counted so far, in body and head.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = match &self.body {
            Body::Json(minimizer) => minimizer.tally().clone(),
            Body::Picture(held) => held.tally().clone(),
            Body::Aggregate(held) => held.tally().clone(),
        };
        for (sum, count) in tally.cells.iter_mut().zip(&self.in_head.0) {
            *sum += count;
        }
        tally.blanked += self.in_head.1;
        tally
    }

    /// In how many parts the date was missing from which a retention period counts.
    #[must_use]
    pub const fn undated(&self) -> u64 {
        self.judge.undated()
    }

    /// Answers what was asked.
    fn answer(&mut self, now: Timestamp) -> Result<(), MinimizingError> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let questions = std::mem::take(&mut self.asked);
        let said = self.said(&questions)?;
        for (question, part) in questions.into_iter().zip(&said.parts) {
            let (everywhere, here) =
                (&said.people[..said.everywhere], &said.people[part.start..part.end]);
            let verdict = self.verdict(question, (everywhere, here), now)?;
            if let Body::Json(minimizer) = &mut self.body {
                minimizer.answer(verdict);
            }
        }
        Ok(())
    }

    /// What the people in these parts have said, and those whom all parts are about, by one look at the
    /// registers.
    fn said(&self, questions: &[Question]) -> Result<Said, MinimizingError> {
        // Behind those of people stand the places of dates and countries.
        let roles = self.permit.policy().routes[self.permit.plan().route_index].subjects.len();
        let stated = self.stated.iter().filter(|(role, _)| *role < roles);
        let mut people: Vec<&DataSubject> =
            self.judge.known_people().chain(stated.flat_map(|(_, ids)| ids.each())).collect();
        let everywhere = people.len();
        let mut parts = Vec::with_capacity(questions.len());
        for question in questions {
            let mut begin = people.len();
            let subjects = question.subjects.iter().filter(|(role, _)| usize::from(role.0) < roles);
            for person in subjects.flat_map(|(_, found)| found.each()) {
                // A list is often of one person throughout.
                if people.len() > everywhere && people.last() == Some(&person) {
                    begin = begin.min(people.len() - 1);
                } else {
                    people.push(person);
                }
            }
            parts.push(begin..people.len());
        }
        let said = self.registers.all(&people).map_err(MinimizingError::Registers)?;
        let people = people.into_iter().cloned().zip(said).collect();
        Ok(Said { people, everywhere, parts })
    }

    fn verdict(
        &mut self,
        question: Question,
        (everywhere, here): (&[SaidBy], &[SaidBy]),
        now: Timestamp,
    ) -> Result<Verdict, MinimizingError> {
        let part = match question.scope {
            Scope::Document => Part::Document,
            Scope::Element(_) => Part::Element,
        };
        let mut located = self.stated.clone();
        located.extend(question.subjects.into_iter().filter_map(|(role, found)| {
            let ids = match found {
                Located::Nothing => return None,
                Located::Unfit | Located::Ambiguous => SubjectIds::Unresolved,
                Located::One(id) => SubjectIds::One(id),
                Located::Many(ids) => SubjectIds::Many(ids),
            };
            Some((usize::from(role.0), ids))
        }));
        let registers = &self.registers;
        // They are asked for in the order in which they stand here, perhaps more than once.
        let mut next = 0;
        let statements = |subject: &DataSubject| {
            let is_theirs = |(person, _): &(DataSubject, _)| person == subject;
            let (before, behind) = here.split_at(next);
            let behind = behind.iter().position(is_theirs).map(|at| next + at);
            if let Some(at) = behind.or_else(|| before.iter().position(is_theirs)) {
                next = at + 1;
                return Ok(Arc::clone(&here[at].1));
            }
            match everywhere.iter().find(|one| is_theirs(one)) {
                Some((_, said)) => Ok(Arc::clone(said)),
                // Whom the document names has just become known.
                None => registers.statements(subject),
            }
        };
        let gate = self.judge.gate(part, located, statements, now);
        let gate = gate.map_err(MinimizingError::Registers)?;
        Ok(match gate {
            Gate::Release(adjustments) => {
                let treatments = if adjustments == self.tightened {
                    Arc::clone(&self.base)
                } else {
                    self.treating.treatments(&adjustments)
                };
                if part == Part::Document {
                    self.document = Some(Arc::clone(&treatments));
                }
                Verdict::Release(treatments)
            }
            Gate::Drop(reason) => {
                if part == Part::Document {
                    self.refused = Some(reason);
                }
                Verdict::Drop(reason)
            }
        })
    }

    /// A refused document shows as a fault of the minimizer; its reason is known here.
    fn failed(&self, fault: Malformed) -> MinimizingError {
        self.refused.map_or(MinimizingError::Malformed(fault), MinimizingError::Refused)
    }
}
