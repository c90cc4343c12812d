//! Rewriters between two bodies: their buffers, expected names and decisions are used again.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::minimize::{JsonLimits, JsonMinimizer, Treatments};
use crate::policy::Plan;

/// Rewriters kept by each thread. More bodies at once have new ones.
const MOST: usize = 16;

thread_local! {
    static IDLE: RefCell<Vec<JsonMinimizer>> = const { RefCell::new(Vec::new()) };
}

/// A rewriter for one body. When that is done with, what was left of it is overwritten.
pub(super) struct Lent(Option<JsonMinimizer>);

impl Lent {
    /// A rewriter for the next body.
    pub(super) fn take(plan: &Plan, treatments: &Treatments, limits: JsonLimits) -> Self {
        let automaton = Arc::clone(&plan.automaton);
        let treatments = Arc::clone(treatments);
        let idle = IDLE.with_borrow_mut(Vec::pop);
        Self(Some(match idle {
            Some(mut idle) => {
                idle.restart(automaton, treatments, plan.holds_document, limits);
                idle
            }
            None => JsonMinimizer::new(automaton, treatments, plan.holds_document, limits),
        }))
    }
}

impl Deref for Lent {
    type Target = JsonMinimizer;

    fn deref(&self) -> &JsonMinimizer {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut JsonMinimizer {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut done) = self.0.take() else { return };
        done.forget();
        // At a thread's end there may be nobody left to keep it.
        let _ = IDLE.try_with(|idle| {
            if let Ok(mut idle) = idle.try_borrow_mut()
                && idle.len() < MOST
            {
                idle.push(done);
            }
        });
    }
}
