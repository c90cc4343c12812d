//! What is told about one exchange when it ends: one access-log line and its metrics.
//!
//! An account writes its line when it is dropped, so that no exchange goes untold: not one that
//! panics, and not one whose client has left.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use jiff::Timestamp;

use super::at_once::Turns;
use super::budget::{Budgets, Spending, UsedUp};
use crate::decide::{Met, Refusal};
use crate::observe::{AccessDecision, AccessLine, AccessLog, Event, Metrics, TlsVersion};
use crate::policy::model::{AccessLogRules, Route};
use crate::policy::{Mode, Policy};
use crate::terms::{DataSubject, DecisionId, PurposeId, RecipientId, RefusalReason, Role, RouteId};

/// Longest header that is looked at for the log; what is longer is no agent and no origin.
const LONGEST: usize = 512;

/// Accounts for one exchange.
pub(super) struct Account {
    pub(super) policy: Arc<Policy>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) decision: DecisionId,
    pub(super) began: Instant,
    log: Arc<AccessLog>,
    at: Timestamp,
    method: Method,
    client: IpAddr,
    tls: Option<TlsVersion>,
    user_agent: Option<String>,
    /// Headers that the rules name for the log.
    said: Vec<(String, String)>,
    referrer: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) route: Option<RouteId>,
    pub(super) mode: Mode,
    recipient: Option<(RecipientId, Role)>,
    purposes: Vec<PurposeId>,
    outcome: AccessDecision,
    status: Option<StatusCode>,
    bytes: u64,
    /// The backend was asked.
    pub(super) has_asked: bool,
    /// Its place among the requests that are answered at once.
    pub(super) turns: Turns,
    /// What it takes of the recipient's budget of people.
    spending: Option<Spending>,
    /// In how many seconds a request that is refused may be taken, where that is known.
    pub(super) retry_after: Option<u64>,
}

/// The headers of a request that the rules name for the log.
pub(super) fn said(headers: &HeaderMap, rules: &AccessLogRules) -> Vec<(String, String)> {
    rules.headers().filter_map(|name| Some((name.to_owned(), text(headers, name)?))).collect()
}

/// A header that came once and is not too long.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (value.len() <= LONGEST && values.next().is_none()).then(|| value.to_owned())
}

/// What is known of a request before it is read.
pub(super) struct Opening<'a> {
    pub(super) policy: Arc<Policy>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: Arc<AccessLog>,
    pub(super) decision: DecisionId,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) client: IpAddr,
    pub(super) tls: Option<TlsVersion>,
}

impl Account {
    /// Opens the account of a request that has just come.
    pub(super) fn open(opening: Opening<'_>) -> Self {
        let text = |name: HeaderName| text(opening.headers, name.as_str());
        let said = said(opening.headers, &opening.policy.access_log);
        Self {
            user_agent: text(header::USER_AGENT),
            referrer: text(header::REFERER),
            said,
            policy: opening.policy,
            metrics: opening.metrics,
            decision: opening.decision,
            began: Instant::now(),
            log: opening.log,
            at: Timestamp::now(),
            method: opening.method.clone(),
            client: opening.client,
            tls: opening.tls,
            authority: None,
            route: None,
            mode: Mode::default(),
            recipient: None,
            purposes: Vec::new(),
            outcome: AccessDecision::Own,
            status: None,
            bytes: 0,
            has_asked: false,
            turns: Turns::default(),
            spending: None,
            retry_after: None,
        }
    }

    /// Who asks and what for, as far as it is established.
    pub(super) fn established(
        &mut self,
        recipient: Option<(RecipientId, Role)>,
        purposes: &[PurposeId],
    ) {
        self.recipient = recipient;
        self.purposes = purposes.to_vec();
    }

    /// Takes places of the recipient's budget of people for those whom the request names.
    ///
    /// # Errors
    /// There are none left.
    pub(super) fn spend(
        &mut self,
        budgets: &Arc<Budgets>,
        recipient: &RecipientId,
        route: &Route,
        named: &[(usize, DataSubject)],
    ) -> Result<(), RefusalReason> {
        let named = named.iter().map(|(_, person)| person);
        let begun = budgets.begin(&self.policy, recipient, route, named);
        self.spending = begun.map_err(|used_up| self.used_up(recipient, used_up))?;
        Ok(())
    }

    /// Counts people of whom something is about to leave against the recipient's budget. Gives those
    /// whom the ledger is to know.
    ///
    /// # Errors
    /// There are more than are left; nothing of them may leave.
    pub(super) fn tell(&mut self, met: Vec<Met>) -> Result<Vec<Met>, RefusalReason> {
        let told = self.spending.as_ref().map_or(Ok(()), |spending| spending.tell(&met));
        if let (Err(used_up), Some((recipient, _))) = (told, self.recipient.clone()) {
            return Err(self.used_up(&recipient, used_up));
        }
        told.map_err(|_| RefusalReason::SubjectBudget)?;
        Ok(if self.policy.ledger.subject_index { met } else { Vec::new() })
    }

    /// Takes places for people whom the request's body names too.
    ///
    /// # Errors
    /// There are none left.
    pub(super) fn spend_more(
        &mut self,
        recipient: &RecipientId,
        named: &[(usize, DataSubject)],
    ) -> Result<(), RefusalReason> {
        let named = named.iter().map(|(_, person)| person);
        let begun = self.spending.as_mut().map_or(Ok(()), |spending| spending.name(named));
        begun.map_err(|used_up| self.used_up(recipient, used_up))
    }

    fn used_up(&mut self, recipient: &RecipientId, used_up: UsedUp) -> RefusalReason {
        Event::SubjectBudgetUsedUp { recipient }.emit(&self.metrics);
        self.retry_after = Some(used_up.retry_after);
        RefusalReason::SubjectBudget
    }

    /// The gateway answered itself, about nobody.
    pub(super) fn served(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// The request was permitted, and its answer begins.
    pub(super) fn released(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.outcome = AccessDecision::Released;
        self.decided(None);
    }

    /// The answer was complete. `is_changed`: something was removed or changed.
    pub(super) fn completed(&mut self, bytes: u64, is_changed: bool) {
        self.bytes = bytes;
        if is_changed {
            self.outcome = AccessDecision::Minimized;
        }
    }

    /// The answer broke off after `bytes`.
    pub(super) fn broken_off(&mut self, reason: RefusalReason, bytes: u64) {
        self.bytes = bytes;
        self.outcome = AccessDecision::BrokenOff(reason);
    }

    /// The request was refused.
    pub(super) fn refused(&mut self, refusal: &Refusal, status: StatusCode) {
        if let Some(recipient) = refusal.recipient.clone().zip(refusal.role) {
            self.established(Some(recipient), &refusal.purposes);
        }
        self.status = Some(status);
        self.outcome = AccessDecision::Refused(refusal.reason);
        self.decided(Some(refusal.reason));
    }

    /// Time since the request came.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn decided(&self, refusal: Option<RefusalReason>) {
        let role = self.recipient.as_ref().map(|(_, role)| *role);
        Event::Decided { role, purposes: &self.purposes, refusal }.emit(&self.metrics);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) => status.as_u16(),
            None if std::thread::panicking() => {
                self.outcome = AccessDecision::Refused(RefusalReason::PolicyInvalid);
                StatusCode::INTERNAL_SERVER_ERROR.as_u16()
            }
            // The client left before there was an answer.
            None => 0,
        };
        Event::Answered { route: self.route.as_ref(), status }.emit(&self.metrics);
        let line = AccessLine {
            at: self.at,
            method: &self.method,
            route: self.route.as_ref(),
            status,
            bytes: self.bytes,
            took: self.began.elapsed(),
            recipient: self.recipient.as_ref().map(|(id, role)| (id, *role)),
            purposes: &self.purposes,
            client: self.client,
            user_agent: self.user_agent.as_deref(),
            referrer: self.referrer.as_deref(),
            headers: &self.said,
            authority: self.authority.as_deref(),
            decision: self.outcome,
            decision_id: Some(&self.decision),
            tls: self.tls,
        };
        self.log.write(&line, &self.policy.access_log);
    }
}
