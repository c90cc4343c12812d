//! Elements of lists, whose subjects are asked about before they leave.
//!
//! An element is rewritten before anybody was asked, under the document's treatments: mostly those are
//! the ones that its own verdict names. Until the verdicts are there, what was
//! written since the list's first element is a row of *segments*; with them it is put together, each
//! element with its separator or without, rewritten once more if its own treatments are others.
//!
//! ```text
//! {"data":[ {…} , {…} ], …        gap: behind the last element, up to the comma
//!          └lead┘└lead┘           lead: from the comma (or the bracket) to the element
//! ```

use super::subjects::Subjects;
use super::walk::Counts;
use crate::minimize::Question;
use crate::policy::automaton::StateId;
use crate::terms::RefusalReason;

/// A part of what was written; positions count from the first byte that is not decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment {
    /// A list's first element comes next. Whether a member stands before it.
    List { at: usize, emitted: bool },
    /// A child of a list, whole.
    Child(Child),
    /// The list ends. What lies between is its last gap.
    End { at: usize },
    /// The number of elements released so far stands here.
    Count { at: usize },
}

/// A child of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) lead: usize,
    pub(super) body: usize,
    /// Where the name of an element begins and ends, with its quotes.
    pub(super) name: Option<(usize, usize)>,
    pub(super) end: usize,
    pub(super) content: Content,
}

/// What a child is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// Nobody is asked about it; it leaves or not.
    Plain { leaves: bool },
    /// An element.
    Element(Element),
}

/// An element that was rewritten, and what is needed to do it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) state: StateId,
    /// Where it stands in the document.
    pub(super) start: u64,
    pub(super) end: u64,
    /// What the treatments made of it.
    pub(super) outcome: Outcome,
    /// It is the document's root.
    pub(super) is_root: bool,
}

/// An element about which the verdict is there.
pub(super) struct Met<'a> {
    pub(super) element: &'a Element,
    /// What was counted in it.
    pub(super) counted: &'a [u64],
    /// Its name as it was written, with its quotes; `None` in an array.
    pub(super) name: Option<&'a [u8]>,
    /// What was made of it under the document's treatments.
    pub(super) text: &'a [u8],
}

/// What is left of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It does not leave.
    Nothing,
    /// It leaves.
    Written,
    /// It leaves under another name, which is here with its quotes.
    Under(Vec<u8>),
}

/// What treatments make of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Its text, which may be empty: then nothing is left of it.
    Written,
    /// A rule drops it.
    Dropped,
    /// A rule refuses the answer.
    Refused,
}

/// A child that is being walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenChild {
    pub(super) lead: usize,
    pub(super) body: usize,
    /// See [`Child`].
    pub(super) name: Option<(usize, usize)>,
    /// It is an element: its state, and where it begins in the document.
    pub(super) element: Option<(StateId, u64)>,
    pub(super) outcome: Outcome,
    pub(super) leaves: bool,
}

/// The elements that are not decided.
#[derive(Debug, Default)]
pub(super) struct Elements {
    /// Where in the sink the first byte stands that is not decided.
    pub(super) origin: usize,
    pub(super) segments: Vec<Segment>,
    pub(super) questions: Vec<Question>,
    /// What was counted in each of the elements that are not decided, one after another: what was
    /// blanked, what was unlisted, what was withheld, and each cell.
    counts: Vec<u64>,
    pub(super) open: Option<OpenChild>,
    /// Number of open containers around the children of the open list.
    pub(super) list: Option<usize>,
    pub(super) subjects: Subjects,
    /// Elements met so far.
    pub(super) met: u64,
    /// Elements released so far, of those that are decided.
    pub(super) released: u64,
    /// A list has ended: its number can stand behind it.
    pub(super) ended: bool,
    /// A member of the open list was written, of those that are decided.
    emitted: bool,
}

/// Numbers that are laid aside for each element beside its cells.
const BESIDE_CELLS: usize = 3;

/// Why an element does not leave although its verdict lets it.
pub(super) const BY_RULE: RefusalReason = RefusalReason::NothingGranted;

impl Elements {
    /// Begins another document.
    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.questions.clear();
        self.counts.clear();
        self.open = None;
        self.list = None;
        self.subjects.clear();
        self.met = 0;
        self.released = 0;
        self.ended = false;
    }

    /// Keeps what was counted in an element until it is decided.
    pub(super) fn lay_aside(&mut self, counts: &Counts) {
        let beside: [u64; BESIDE_CELLS] = [counts.blanked, counts.unlisted, counts.withheld];
        self.counts.extend(beside);
        self.counts.extend_from_slice(&counts.cells);
    }

    /// Whether something that was written is not decided.
    #[inline]
    pub(super) fn are_undecided(&self) -> bool {
        self.list.is_some() || !self.segments.is_empty()
    }

    /// Puts together what is decided by now, from `staged` to `out`. `judge` says of each element
    /// what becomes of it, and which name it has then if not its own; it gets the element, what was
    /// counted in it (of which `cells` are cells), its name and its text.
    pub(super) fn resolve<E>(
        &mut self,
        staged: &mut Vec<u8>,
        out: &mut Vec<u8>,
        cells: usize,
        mut judge: impl FnMut(&Met<'_>, &mut Vec<u8>) -> Result<Left, E>,
    ) -> Result<(), E> {
        let mut copied = 0;
        let counts = std::mem::take(&mut self.counts);
        let mut counted = counts.chunks(cells + BESIDE_CELLS);
        let mut segments = std::mem::take(&mut self.segments);
        for segment in segments.drain(..) {
            match segment {
                Segment::List { at, emitted } => {
                    out.extend_from_slice(&staged[copied..at]);
                    copied = at;
                    self.emitted = emitted;
                }
                Segment::Child(child) => {
                    if self.emitted {
                        out.extend_from_slice(&staged[copied..child.lead]);
                    }
                    copied = child.end;
                    let text = &staged[child.body..child.end];
                    let length = out.len();
                    self.lead(&staged[child.lead..child.body], out);
                    let leaves = match child.content {
                        Content::Plain { leaves } => {
                            out.extend_from_slice(text);
                            leaves
                        }
                        Content::Element(element) => {
                            let counted = counted.next().unwrap_or_default();
                            let name = child.name.map(|(open, close)| &staged[open..close]);
                            let body = out.len();
                            let met = Met { element: &element, counted, name, text };
                            // Of what is not decided, not even a name may stay behind an error.
                            let judged = judge(&met, out);
                            let left = judged.inspect_err(|_| out.truncate(length))?;
                            let leaves = left != Left::Nothing;
                            if let (Left::Under(name), Some((open, close))) = (left, child.name) {
                                let at = |staged: usize| body - (child.body - staged);
                                out.splice(at(open)..at(close), name);
                            }
                            self.released += u64::from(leaves);
                            leaves
                        }
                    };
                    if leaves {
                        self.emitted = true;
                    } else {
                        out.truncate(length);
                        if let Content::Element(Element { is_root: true, .. }) = child.content {
                            out.extend_from_slice(b"null");
                        }
                    }
                }
                Segment::End { at } => {
                    if self.emitted {
                        out.extend_from_slice(&staged[copied..at]);
                    }
                    copied = at;
                }
                Segment::Count { at } => {
                    out.extend_from_slice(&staged[copied..at]);
                    out.extend_from_slice(self.released.to_string().as_bytes());
                    copied = at;
                }
            }
        }
        self.segments = segments;
        self.counts = counts;
        self.counts.clear();
        if self.list.is_none() {
            out.extend_from_slice(&staged[copied..]);
            staged.clear();
            return Ok(());
        }
        staged.drain(..copied);
        if let Some(open) = &mut self.open {
            open.lead -= copied;
            open.body -= copied;
            open.name = open.name.map(|(open, close)| (open - copied, close - copied));
        }
        Ok(())
    }

    /// Writes a child's separator; the comma only behind another member.
    fn lead(&self, lead: &[u8], out: &mut Vec<u8>) {
        let lead = match lead {
            [b',', rest @ ..] if !self.emitted => rest,
            lead => lead,
        };
        out.extend_from_slice(lead);
    }
}
