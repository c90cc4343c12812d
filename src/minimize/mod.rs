//! Streaming rewriters, sans-IO: bytes in, minimized bytes out, and questions about subjects.
//!
//! A [`Minimizer`] never writes a byte that it has not decided. It holds no socket, file, clock or
//! register: when it meets an element whose subject is only known inside the body it stops and asks;
//! the caller answers with a [`Verdict`] and goes on. What it refuses it names by kind and offset.

pub mod aggregate;
pub mod head;
pub mod json;
pub mod link;
pub mod picture;
mod strict;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::Treatment;
use crate::policy::RoleIndex;
use crate::terms::{DataSubject, RefusalReason};

pub use aggregate::Unsound;
pub use json::{JsonLimits, JsonMinimizer, Level};
pub(crate) use strict::{Strict, without_doubles};

/// Bytes in, minimized bytes out.
///
/// Protocol: `feed` until it says [`Need::Input`] for all of the input; on [`Need::Verdicts`] call
/// `answer` once for each question, in their order, and feed the rest of the input, even if nothing
/// is left of it; at the end call `finish` until it is done. Questions come in batches, so that
/// whoever must ask somebody far away can ask once. After an error the minimizer is spent: nothing more may be written to the client.
pub trait Minimizer: Send {
    /// Takes as much of `input` as it can and appends what is decided to `out`.
    ///
    /// # Errors
    /// The input cannot be minimized.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Fed, Malformed>;

    /// Answers the next of the questions that `feed` or `finish` asked last.
    fn answer(&mut self, verdict: Verdict);

    /// The input is complete. [`Finish::Verdicts`]: answer and call again.
    ///
    /// # Errors
    /// The input was not a whole document.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Malformed>;

    /// What has been counted so far.
    fn tally(&self) -> &Tally;
}

/// What `feed` did.
#[derive(Debug)]
pub struct Fed {
    /// How many bytes of the input were taken; the rest is to be fed again.
    pub consumed: usize,
    /// What is needed next.
    pub need: Need,
}

/// What a minimizer needs to go on.
#[derive(Debug)]
pub enum Need {
    /// More input: everything was taken.
    Input,
    /// An answer to each of these.
    Verdicts(Vec<Question>),
}

/// What `finish` did.
#[derive(Debug)]
pub enum Finish {
    /// All is written.
    Done,
    /// An answer to each of these is needed.
    Verdicts(Vec<Question>),
}

/// Whom a part of the document is about.
#[derive(Debug)]
pub struct Question {
    /// The part.
    pub scope: Scope,
    /// For each role whose id stands in the body: what was found, by position in the route.
    pub subjects: Vec<(RoleIndex, Located)>,
}

/// The part of a document that a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it. Roles of the elements are asked as well, with all ids of all elements.
    Document,
    /// One element of the list, counted from 0 over the input.
    Element(u64),
}

/// What stood where a subject's id should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// Nothing, `null` or an empty text.
    Nothing,
    /// Something else that is no string or integer, which nobody can read as an id.
    Unfit,
    /// One id. The same id several times counts once.
    One(DataSubject),
    /// Several different ids at a place that is selected with a wildcard.
    Many(Vec<DataSubject>),
    /// Several different ids at one place (duplicate members): nobody can say who.
    Ambiguous,
}

impl Located {
    /// Everybody who was found.
    #[must_use]
    pub fn each(&self) -> &[DataSubject] {
        match self {
            Self::Nothing | Self::Unfit | Self::Ambiguous => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// What becomes of the part that was asked about.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It leaves, treated by this table.
    Release(Treatments),
    /// It does not leave. For a document: the answer is refused.
    Drop(RefusalReason),
}

/// One treatment for each cell of the plan, by [`CellId`](crate::policy::CellId).
pub type Treatments = Arc<[Treatment]>;

/// Why a body could not be minimized. Never says what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct Malformed {
    /// What is wrong.
    pub kind: MalformedKind,
    /// Where, in bytes of the decoded body, from 0.
    pub offset: u64,
}

/// Kinds of what cannot be minimized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MalformedKind {
    /// Not JSON by RFC 8259.
    #[error("not JSON")]
    Syntax,
    /// Not UTF-8, or a lone surrogate.
    #[error("not UTF-8")]
    Encoding,
    /// It ended in the middle.
    #[error("incomplete")]
    Incomplete,
    /// Deeper than the limit.
    #[error("nested too deeply")]
    Depth,
    /// A member name longer than the limit.
    #[error("member name too long")]
    MemberName,
    /// An element, or a document that has to be held, larger than the limit.
    #[error("element too large")]
    Element,
    /// More members than the limit.
    #[error("too many members")]
    Members,
    /// No whole picture of its type.
    #[error("not a picture of its type")]
    Picture,
    /// An aggregate that is not what the rules say.
    #[error("no aggregate: {0}")]
    Aggregate(Unsound),
    /// The whole answer is refused by the subject gates; the reason is with the driver.
    #[error("refused")]
    Refused,
}

impl MalformedKind {
    /// The stable code for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Encoding => "encoding",
            Self::Incomplete => "incomplete",
            Self::Depth => "depth",
            Self::MemberName => "member-name",
            Self::Element => "element",
            Self::Members => "members",
            Self::Picture => "picture",
            Self::Aggregate(unsound) => unsound.code(),
            Self::Refused => "refused",
        }
    }
}

/// What was done to one body. Counts only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often each cell was met in released parts, by [`CellId`](crate::policy::CellId).
    pub cells: Vec<u64>,
    /// How many values got a placeholder because their action was not made for them, and links that were
    /// removed for what stands in them.
    pub blanked: u64,
    /// Members removed because nobody catalogued them.
    pub unlisted: u64,
    /// Members removed because nothing of them, or of what is catalogued in them, is released here.
    pub withheld: u64,
    /// Elements released.
    pub elements_released: u64,
    /// Elements dropped, by reason.
    pub elements_dropped: BTreeMap<RefusalReason, u64>,
    /// Bytes taken.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl Tally {
    /// Members removed, whether or not somebody catalogued them.
    #[must_use]
    pub const fn removed(&self) -> u64 {
        self.unlisted.saturating_add(self.withheld)
    }
}
