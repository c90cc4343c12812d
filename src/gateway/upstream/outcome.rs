//! What becomes of a request, learnt once: by the address that was asked, and by the breaker.
//!
//! An attempt belongs to an address, a request with all its attempts to the breaker. Whatever is
//! dropped without a word has told nothing against anybody: its client left.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::address::Address;
use super::backend::Backend;
use super::breaker::{Breaker, Passage};
use crate::observe::UpstreamHappening;

/// One attempt at one address, under way until it is dropped.
pub(super) struct Attempt {
    backend: Arc<Backend>,
    pub(super) address: Arc<Address>,
}

impl Attempt {
    pub(super) fn begin(backend: &Arc<Backend>, address: Arc<Address>) -> Self {
        address.began();
        backend.tell(UpstreamHappening::Asked(address.at));
        Self { backend: Arc::clone(backend), address }
    }

    /// It failed, in its head or later.
    pub(super) fn failed(&self, kind: &'static str) {
        let address = self.address.at;
        self.backend.tell(UpstreamHappening::AttemptFailed { address, kind });
        self.backend.failed_at(&self.address, Instant::now());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.address.ended();
    }
}

/// A request that the breaker let through, which learns once what became of it.
pub(super) struct Passing {
    backend: Arc<Backend>,
    passage: Passage,
    is_told: bool,
}

impl Passing {
    pub(super) fn new(backend: &Arc<Backend>, passage: Passage) -> Self {
        Self { backend: Arc::clone(backend), passage, is_told: false }
    }

    /// A head came. If that is what was to be seen, all others may go again; they need not wait for
    /// the end of a long body.
    fn answered(&mut self) {
        if self.passage == Passage::Probe {
            self.backend.with_breaker(|breaker, now| breaker.succeeded(Passage::Probe, now));
            self.passage = Passage::Usual;
        }
    }

    fn succeeded(&mut self) {
        self.tell(Breaker::succeeded);
    }

    pub(super) fn failed(&mut self) {
        self.tell(Breaker::failed);
    }

    fn tell(&mut self, what: impl FnOnce(&mut Breaker, Passage, Instant)) {
        if !std::mem::replace(&mut self.is_told, true) {
            let passage = self.passage;
            self.backend.with_breaker(|breaker, now| what(breaker, passage, now));
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.tell(Breaker::came_to_nothing);
    }
}

/// Watches over an answer whose head has come, and learns once what became of it. One that is dropped
/// before its end was good as far as anybody knows: its client left, or nobody wanted its body.
pub(super) struct Watch {
    attempt: Attempt,
    passing: Passing,
    is_told: bool,
}

impl Watch {
    pub(super) fn over(attempt: Attempt, mut passing: Passing, status: StatusCode) -> Self {
        let is_answer = !is_gateway_error(status);
        if is_answer {
            passing.answered();
        }
        let mut watch = Self { attempt, passing, is_told: false };
        if !is_answer {
            watch.failed("status");
        }
        watch
    }

    /// It broke off, or was none to begin with.
    pub(super) fn failed(&mut self, kind: &'static str) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.attempt.failed(kind);
            self.passing.failed();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_told {
            self.attempt.address.standing().succeeded(Instant::now());
            self.passing.succeeded();
        }
    }
}

/// 502, 503 and 504 say that there was nobody to answer. Another error of the backend's, 500 among
/// them, is an answer: it may be about this one request, and no client should be able to take a
/// backend out of service by asking for what makes it fail.
fn is_gateway_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}
