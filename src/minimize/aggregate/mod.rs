//! An aggregate answer: rows of groups with counts, read whole, checked, and written anew.
//!
//! Nothing of the backend's text is copied: what leaves are the checked keys and rounded numbers of
//! the groups that `table` lets leave, sorted. What is not expected (a member that nobody
//! catalogued, a number that is no count, a text that looks like an address) refuses the whole answer,
//! since a backend that sends it does not count as the rules say it does.
//!
//! # Layout
//! `shape` is what the rules say of one route and recipient · `read` takes the document to rows ·
//! `table` decides · this file holds the bytes and writes.

mod read;
mod shape;
mod table;

use serde_json::Value;

use super::{Malformed, MalformedKind, Tally, without_doubles};
use crate::action::write_string;

use read::Read;
pub use shape::Shape;
use table::{Part, Shown, guard};

/// Largest aggregate, in bytes. It is a small document; what is larger lists people, not groups.
const LARGEST: usize = 1 << 20;

/// Measures are kept in thousandths, so that sums are exact.
const THOUSANDTHS: u64 = 1000;

/// Why a document is no aggregate by the rules. Says nothing of what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unsound {
    /// A member that the route does not name, or the list of rows is not where it should be.
    #[error("a member that is not catalogued, or no list of rows")]
    Member,
    /// More rows than an aggregate has.
    #[error("too many rows")]
    Rows,
    /// A row without a whole number of people, or a total that is none.
    #[error("a count that is no whole number")]
    Count,
    /// A number that is missing, negative, too large, or none at all.
    #[error("a number that is none")]
    Measure,
    /// A part of a row's key is missing, or not of a kind that the rules can treat.
    #[error("a part of a key that is none")]
    Key,
    /// Two rows with one key.
    #[error("two rows with one key")]
    Twice,
    /// A row that stands for all values, and the rules do not say that there are such rows.
    #[error("a total that the rules do not declare")]
    Total,
    /// A value that looks like an address, a number of a person, or a place finer than a city, or a text
    /// that is too long for a title.
    #[error("a value that looks personal")]
    Personal,
}

impl Unsound {
    /// The stable code for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Member => "aggregate-member",
            Self::Rows => "aggregate-rows",
            Self::Count => "aggregate-count",
            Self::Measure => "aggregate-measure",
            Self::Key => "aggregate-key",
            Self::Twice => "aggregate-twice",
            Self::Total => "aggregate-total",
            Self::Personal => "aggregate-personal",
        }
    }
}

/// An aggregate that is being taken in.
#[derive(Debug)]
pub struct Held {
    shape: Shape,
    bytes: Vec<u8>,
    tally: Tally,
}

impl Held {
    /// Prepares one answer.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let tally = Tally { cells: vec![0; shape.cells], ..Tally::default() };
        Self { shape, bytes: Vec::new(), tally }
    }

    /// Takes a piece of the body. Nothing leaves before all of it was checked.
    ///
    /// # Errors
    /// [`MalformedKind::Element`]: it is too large.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.tally.bytes_in += piece.len() as u64;
        if self.bytes.len() + piece.len() > LARGEST {
            return Err(self.malformed(MalformedKind::Element));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The body is complete: appends what may leave to `out`.
    ///
    /// # Errors
    /// [`MalformedKind::Syntax`] and [`MalformedKind::Aggregate`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let document = without_doubles(&self.bytes);
        self.bytes.clear();
        let document = document.ok_or_else(|| self.malformed(MalformedKind::Syntax))?;
        let mut read = read::document(&self.shape, &document)
            .map_err(|unsound| self.malformed(MalformedKind::Aggregate(unsound)))?;
        let totals: Vec<u64> = read.totals.iter().map(|(_, count)| *count).collect();
        let shown = guard(&self.shape.floors, std::mem::take(&mut read.rows), &totals);
        let begin = out.len();
        self.write_object(&document, &[], &read, &shown, out);
        self.count(&shown, out.len() - begin);
        Ok(())
    }

    /// What has been counted so far. Groups and totals that are hidden are elements dropped.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    fn count(&mut self, shown: &Shown, written: usize) {
        let rows = shown.groups.len() as u64;
        for dimension in self.shape.dimensions.iter().filter(|dimension| dimension.leaves()) {
            self.tally.cells[dimension.cell] += rows;
        }
        for measure in &self.shape.measures {
            self.tally.cells[measure.cell] += rows;
        }
        self.tally.elements_released = rows;
        if shown.hidden > 0 {
            let reason = crate::terms::RefusalReason::AggregateGuard;
            self.tally.elements_dropped.insert(reason, shown.hidden);
        }
        self.tally.bytes_out = written as u64;
    }

    /// Writes one object on the way to the list, from checked parts alone. `at`: its names.
    fn write_object(
        &self,
        value: &Value,
        at: &[&str],
        read: &Read,
        shown: &Shown,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        let begin = out.len();
        let members = value.as_object().into_iter().flatten();
        for (name, value) in members {
            let path = [at, &[name.as_str()]].concat();
            let total = read.totals.iter().position(|(total, _)| *total == path);
            if total.is_some_and(|total| !shown.totals[total]) {
                continue;
            }
            if out.len() > begin {
                out.push(b',');
            }
            write_string(name, out);
            out.push(b':');
            if path == self.shape.list {
                self.write_rows(shown, out);
            } else if let Some(total) = total {
                self.write_number(read.totals[total].1 * THOUSANDTHS, out);
            } else if self.shape.is_on_the_way(&path) {
                self.write_object(value, &path, read, shown, out);
            } else {
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
        out.push(b'}');
    }

    fn write_rows(&self, shown: &Shown, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, group) in shown.groups.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            let mut first = true;
            let mut name = |name: &str, out: &mut Vec<u8>| {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
            };
            let leaving = self.shape.dimensions.iter().filter(|dimension| dimension.leaves());
            for (dimension, part) in leaving.zip(&group.key) {
                name(&dimension.name, out);
                match part {
                    Part::Value(text) => out.extend_from_slice(text),
                    Part::All => write_string(self.shape.all.as_deref().unwrap_or_default(), out),
                }
            }
            if let Some(count) = &self.shape.shown_count {
                name(count, out);
                self.write_number(group.count * THOUSANDTHS, out);
            }
            let others = self.shape.measures.iter().filter(|measure| !measure.is_count);
            for (measure, sum) in others.zip(&group.measures) {
                name(&measure.name, out);
                self.write_number(*sum, out);
            }
            out.push(b'}');
        }
        out.push(b']');
    }

    /// Writes a number of thousandths as the nearest multiple of the step.
    fn write_number(&self, thousandths: u64, out: &mut Vec<u8>) {
        let rounded = rounded(thousandths, self.shape.round);
        out.extend_from_slice(rounded.to_string().as_bytes());
    }

    const fn malformed(&self, kind: MalformedKind) -> Malformed {
        Malformed { kind, offset: self.tally.bytes_in }
    }
}

/// The multiple of `step` that is nearest; of two the even one, so that sums do not drift. Always the
/// same for the same number: to ask again tells nothing new.
const fn rounded(thousandths: u64, step: u64) -> u64 {
    let unit = step * THOUSANDTHS;
    let (whole, rest) = (thousandths / unit, thousandths % unit);
    let up = rest * 2 > unit || (rest * 2 == unit && whole % 2 == 1);
    (whole + if up { 1 } else { 0 }) * step
}
