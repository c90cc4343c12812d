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
use tokio::time::timeout_at;

use super::account::Account;
use super::body::Piece;
use super::decode::{DecodeError, Decoder};
use super::encode::Encoder;
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
            tunnel: None,
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

/// How the rest of an answer is sent, and where it is accounted for.
pub(super) struct Delivery {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) receipt: Receipt,
    pub(super) pieces: Sender<Piece>,
    /// Encodes them, where the client accepts it.
    pub(super) encoder: Option<Encoder>,
    pub(super) status: u16,
    /// Minimized bytes that were sent, before they were encoded.
    pub(super) bytes: u64,
    /// Longest wait for the client to take a piece.
    pub(super) patience: Duration,
    /// When the whole answer must have been taken.
    pub(super) until: Instant,
}

impl Delivery {
    /// Sends what was minimized. Nothing, where there is nothing.
    async fn take(&mut self, minimized: Vec<u8>, is_last: bool) -> Result<(), RefusalReason> {
        self.bytes += minimized.len() as u64;
        let bytes = match &mut self.encoder {
            None => minimized,
            Some(_) if is_last => {
                let last = self.encoder.take().map_or(Ok(Vec::new()), |it| it.last(&minimized));
                last.map_err(|_| RefusalReason::PolicyInvalid)?
            }
            Some(_) if minimized.is_empty() => minimized,
            Some(encoder) => encoder.piece(&minimized).map_err(|_| RefusalReason::PolicyInvalid)?,
        };
        if !bytes.is_empty() {
            self.send(Piece::Minimized(bytes.into())).await?;
        }
        if is_last {
            self.send(Piece::End).await?;
        }
        Ok(())
    }

    /// A client that takes nothing, takes too long in all or has left ends its answer.
    async fn send(&self, piece: Piece) -> Result<(), RefusalReason> {
        let until = self.until.min(Instant::now() + self.patience);
        match timeout_at(until.into(), self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            // Its connection may have been ended for that before this was.
            Ok(Err(_)) | Err(_) if Instant::now() >= self.until => Err(RefusalReason::AnswerLate),
            Ok(Err(_)) | Err(_) => Err(RefusalReason::RequestMalformed),
        }
    }
}

/// Sends the rest of an answer whose head and first bytes are on their way, and accounts for it.
pub(super) async fn deliver(mut transit: Transit, mut account: Account, mut way: Delivery) {
    let broken = loop {
        let mut out = Vec::with_capacity(TURN);
        let progress = match timeout_at(way.until.into(), transit.advance(&mut out)).await {
            Ok(Ok(progress)) => progress,
            Ok(Err(error)) => {
                error.tell(&transit.permit, &account);
                break error.reason();
            }
            Err(_) => break RefusalReason::AnswerLate,
        };
        // Nothing of anybody beyond the budget, or without their entry.
        let met = match account.tell(transit.take_met()) {
            Ok(met) => met,
            Err(reason) => break reason,
        };
        if !met.is_empty() {
            let people = Concerned::of(&transit.permit, met);
            if let Err(unavailable) = way.ledger.also(&way.receipt, &people).await {
                Event::LedgerUnavailable { why: &unavailable.0 }.emit(&account.metrics);
                break RefusalReason::LedgerUnavailable;
            }
        }
        let is_last = progress == Progress::Ended;
        match way.take(out, is_last).await {
            Ok(()) if is_last => {
                transit.complete(account, &*way.ledger, way.receipt, way.status, way.bytes);
                return;
            }
            Ok(()) => {}
            Err(reason) => break reason,
        }
    };
    match broken {
        RefusalReason::AnswerLate => {
            let (route, decision) = (&transit.permit.plan().route, transit.permit.decision());
            Event::AnswerLate { route, decision }.emit(&account.metrics);
        }
        RefusalReason::PolicyInvalid => Event::Internal { kind: "encoding" }.emit(&account.metrics),
        _ => {}
    }
    transit.break_off(account, &*way.ledger, way.receipt, way.status, (broken, way.bytes));
}
