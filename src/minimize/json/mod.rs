//! The JSON rewriter.

use std::sync::Arc;

use super::{Fed, Finish, Malformed, Minimizer, Tally, Treatments, Verdict};
use crate::policy::Automaton;

/// Bounds of one body.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Deepest nesting of containers.
    pub depth: u16,
    /// Longest member name, escaped, in bytes.
    pub member_name_bytes: usize,
    /// Largest element of a list, or document that has to be held, in bytes.
    pub element_bytes: usize,
    /// Longest scalar that an action must see whole, in bytes; a longer one is blanked.
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
pub struct JsonMinimizer {}

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
        let _ = (automaton, treatments, holds_document, limits);
        todo!("engine")
    }
}

impl Minimizer for JsonMinimizer {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Fed, Malformed> {
        let _ = (input, out);
        todo!("engine")
    }

    fn answer(&mut self, verdict: Verdict) {
        let _ = verdict;
        todo!("engine")
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Malformed> {
        let _ = out;
        todo!("engine")
    }

    fn tally(&self) -> &Tally {
        todo!("engine")
    }
}
