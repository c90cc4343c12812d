//! A backend's body on its way through decoder and minimizer.
//!
//! Bytes of the backend come in, minimized bytes come out; there is no other way through. Time-outs
//! and limits hold for every piece.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::account::Account;
use super::body::Piece;
use super::decode::{DecodeError, Decoder};
use super::minimizing::{Minimizing, MinimizingError};
use super::upstream::{UpstreamBody, UpstreamFault};
use crate::action::Action;
use crate::decide::{Met, Permit};
use crate::ledger::{Concerned, Ledger, Outcome, Receipt};
use crate::minimize::Tally;
use crate::minimize::head::Links;
use crate::observe::{Event, Metrics};
use crate::policy::CellId;
use crate::terms::RefusalReason;

/// How much is minimized before other requests get their turn.
const TURN: usize = 64 * 1024;

/// The same of a coded body while people's statements may have to be fetched.
const CODED_TURN: usize = 4 * 1024;

/// How much of an answer is minimized before its head is sent. A body that fails within it is
/// refused with a status; one that fails later can only break off.
pub(super) const HELD: usize = 64 * 1024;

/// One body on its way.
pub(super) struct Transit {
    body: UpstreamBody,
    decoder: Decoder,
    minimizing: Minimizing,
    permit: Arc<Permit>,
    /// A piece that was read and not minimized yet.
    rest: Bytes,
    /// Time spent on minimizing.
    busy: Duration,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be.
    More,
    /// The body is complete, and so is what was written.
    Ended,
}

/// Why a body ends as failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransitError {
    /// The backend.
    #[error(transparent)]
    Upstream(#[from] UpstreamFault),
    /// Its coding.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its content.
    #[error(transparent)]
    Minimizing(#[from] MinimizingError),
}

impl TransitError {
    /// The reason of the refusal.
    pub(super) const fn reason(&self) -> RefusalReason {
        match self {
            Self::Upstream(fault) => fault.reason(),
            Self::Decode(_) => RefusalReason::Unfilterable,
            Self::Minimizing(error) => error.reason(),
        }
    }

    /// Tells the operator.
    pub(super) fn tell(&self, permit: &Permit, account: &Account) {
        let (route, decision) = (&permit.plan().route, permit.decision());
        let event = match self {
            Self::Upstream(fault) => {
                let routes = &permit.policy().routes;
                let Some(upstream) = &routes[permit.plan().route_index].upstream else { return };
                Event::UpstreamFailed { upstream, kind: fault.code() }
            }
            Self::Decode(error) => Event::Unfilterable { route, decision, kind: error.code() },
            Self::Minimizing(MinimizingError::Malformed(fault)) => {
                Event::Malformed { route, decision, kind: fault.kind, offset: fault.offset }
            }
            Self::Minimizing(MinimizingError::Registers(_)) => Event::RegistersUnavailable,
            // A refusal is counted as one.
            Self::Minimizing(MinimizingError::Refused(_)) => return,
        };
        event.emit(&account.metrics);
    }
}

impl Transit {
    pub(super) fn new(
        permit: Arc<Permit>,
        body: UpstreamBody,
        decoder: Decoder,
        minimizing: Minimizing,
    ) -> Self {
        let (rest, busy) = (Bytes::new(), Duration::ZERO);
        Self { body, decoder, minimizing, permit, rest, busy }
    }

    /// Goes on by one turn and appends what may leave to `out`.
    pub(super) async fn advance(&mut self, out: &mut Vec<u8>) -> Result<Progress, TransitError> {
        if self.rest.is_empty() {
            let Some(piece) = self.body.next().await? else {
                return self.finish(out).await.map(|()| Progress::Ended);
            };
            self.rest = piece;
        } else {
            yield_now().await;
        }
        if self.minimizing.may_wait() {
            return self.advance_waiting(out).await.map(|()| Progress::More);
        }
        let turn = self.rest.split_to(self.rest.len().min(TURN));
        let began = Instant::now();
        let minimizing = &mut self.minimizing;
        let fed = self.decoder.push(&turn, |decoded| {
            minimizing.feed(decoded, out, Timestamp::now()).map_err(TransitError::from)
        });
        self.busy += began.elapsed();
        fed.map(|()| Progress::More)
    }

    /// As above, where people's statements may have to be fetched: of a coded body little is decoded at a
    /// time, since it is held while somebody is waited for.
    async fn advance_waiting(&mut self, out: &mut Vec<u8>) -> Result<(), TransitError> {
        let turn = if self.decoder.is_identity() { TURN } else { CODED_TURN };
        let turn = self.rest.split_to(self.rest.len().min(turn));
        let mut held = Vec::with_capacity(turn.len());
        self.decoder.push(&turn, |decoded| {
            held.extend_from_slice(decoded);
            Ok::<_, TransitError>(())
        })?;
        self.minimize(&held, out).await
    }

    /// Minimizes what was decoded, and waits for what has to be fetched.
    async fn minimize(&mut self, mut held: &[u8], out: &mut Vec<u8>) -> Result<(), TransitError> {
        loop {
            let began = Instant::now();
            let fed = self.minimizing.feed_until_asked(&mut held, out, Timestamp::now());
            self.busy += began.elapsed();
            match fed? {
                None => return Ok(()),
                Some(fetching) => fetching.await,
            }
        }
    }

    async fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TransitError> {
        let mut held = Vec::new();
        self.decoder.finish(|decoded| {
            held.extend_from_slice(decoded);
            Ok::<_, TransitError>(())
        })?;
        self.minimize(&held, out).await?;
        loop {
            let began = Instant::now();
            let finished = self.minimizing.finish_until_asked(out, Timestamp::now());
            self.busy += began.elapsed();
            match finished? {
                None => return Ok(()),
                Some(fetching) => fetching.await,
            }
        }
    }

    /// Of whom something is in what was written since this was last asked.
    pub(super) fn take_met(&mut self) -> Vec<Met> {
        self.minimizing.take_met()
    }

    /// What may leave of the links in the answer's head, now that its first bytes may.
    pub(super) fn links(&mut self, headers: &HeaderMap) -> Links {
        self.minimizing.links(headers)
    }

    /// What has been counted so far.
    pub(super) fn tally(&self) -> Tally {
        self.minimizing.tally()
    }

    /// The answer is complete: tells ledger, metrics and access log.
    pub(super) fn complete(
        &self,
        mut account: Account,
        ledger: &dyn Ledger,
        receipt: Receipt,
        status: u16,
        bytes: u64,
    ) {
        let (plan, tally) = (self.permit.plan(), &self.tally());
        let undated = self.minimizing.undated();
        Event::Minimized { plan, tally, undated, took: self.busy }.emit(&account.metrics);
        account.completed(bytes, self.is_changed());
        ledger.close(receipt, self.outcome(None, status, bytes));
    }

    /// The answer was measured and does not leave.
    pub(super) fn measured(&self, metrics: &Metrics) {
        let (plan, tally, changed) = (self.permit.plan(), &self.tally(), self.is_changed());
        Event::Measured { plan, tally, changed }.emit(metrics);
    }

    /// The answer broke off: tells ledger and access log.
    pub(super) fn break_off(
        &self,
        mut account: Account,
        ledger: &dyn Ledger,
        receipt: Receipt,
        status: u16,
        (reason, bytes): (RefusalReason, u64),
    ) {
        account.broken_off(reason, bytes);
        ledger.close(receipt, self.outcome(Some(reason), status, bytes));
    }

    fn outcome(&self, refusal: Option<RefusalReason>, status: u16, bytes: u64) -> Outcome {
        let tally = self.tally();
        let is_list = self.permit.policy().routes[self.permit.plan().route_index].each.is_some();
        let dropped = tally.elements_dropped.values().sum();
        Outcome {
            complete: refusal.is_none(),
            refusal,
            status,
            bytes,
            elements: is_list.then_some((tally.elements_released, dropped)),
            unlisted: tally.unlisted,
        }
    }

    /// Whether anything was removed or changed on the way.
    fn is_changed(&self) -> bool {
        let (plan, tally) = (self.permit.plan(), self.tally());
        let changed = (0_u16..).zip(&tally.cells).any(|(at, met)| {
            *met > 0
                && usize::from(at) < plan.cells.len()
                && plan.cell(CellId(at)).action != Action::Keep
        });
        changed
            || tally.removed() > 0
            || tally.blanked > 0
            || !tally.elements_dropped.is_empty()
            || !self.permit.adjustments().is_empty()
    }
}

/// Sends the rest of an answer whose head and first bytes are on their way, and accounts for it.
pub(super) async fn deliver(
    mut transit: Transit,
    mut account: Account,
    ledger: Arc<dyn Ledger>,
    receipt: Receipt,
    pieces: Sender<Piece>,
    (status, mut bytes): (u16, u64),
    patience: Duration,
) {
    let broken = loop {
        let mut out = Vec::with_capacity(TURN);
        let progress = match transit.advance(&mut out).await {
            Ok(progress) => progress,
            Err(error) => {
                error.tell(&transit.permit, &account);
                break error.reason();
            }
        };
        // Nothing of anybody beyond the budget, or without their entry.
        let met = match account.tell(transit.take_met()) {
            Ok(met) => met,
            Err(reason) => break reason,
        };
        if !met.is_empty() {
            let people = Concerned::of(&transit.permit, met);
            if let Err(unavailable) = ledger.also(&receipt, &people).await {
                Event::LedgerUnavailable { why: &unavailable.0 }.emit(&account.metrics);
                break RefusalReason::LedgerUnavailable;
            }
        }
        if !out.is_empty() {
            let length = out.len() as u64;
            // A client that takes nothing, or has left, ends its answer.
            let sent = timeout(patience, pieces.send(Piece::Minimized(out.into()))).await;
            if !matches!(sent, Ok(Ok(()))) {
                break RefusalReason::RequestMalformed;
            }
            bytes += length;
        }
        if progress == Progress::Ended {
            let sent = timeout(patience, pieces.send(Piece::End)).await;
            if matches!(sent, Ok(Ok(()))) {
                transit.complete(account, &*ledger, receipt, status, bytes);
                return;
            }
            break RefusalReason::RequestMalformed;
        }
    };
    transit.break_off(account, &*ledger, receipt, status, (broken, bytes));
}
