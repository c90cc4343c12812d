//! A picture on its way: held whole within a bound, then written without its metadata, or not at all.

use crate::minimize::{Malformed, MalformedKind, Tally, picture};
use crate::terms::Picture;

/// Largest picture, in bytes. It is held whole, beside its copy without metadata.
const LARGEST: usize = 16 << 20;

/// A picture that is being taken in.
pub(super) struct Held {
    kind: Picture,
    bytes: Vec<u8>,
    tally: Tally,
}

impl Held {
    /// `cells`: how many the plan has; the picture is the first.
    pub(super) fn new(kind: Picture, cells: usize) -> Self {
        let tally = Tally { cells: vec![0; cells], ..Tally::default() };
        Self { kind, bytes: Vec::new(), tally }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.tally.bytes_in += piece.len() as u64;
        if self.bytes.len() + piece.len() > LARGEST {
            return Err(self.malformed(MalformedKind::Element));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let alone = picture::alone(self.kind, &self.bytes);
        let alone = alone.ok_or_else(|| self.malformed(MalformedKind::Picture))?;
        self.bytes.clear();
        self.tally.bytes_out = alone.len() as u64;
        if let Some(cell) = self.tally.cells.first_mut() {
            *cell += 1;
        }
        out.extend_from_slice(&alone);
        Ok(())
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn malformed(&self, kind: MalformedKind) -> Malformed {
        Malformed { kind, offset: self.tally.bytes_in }
    }
}
