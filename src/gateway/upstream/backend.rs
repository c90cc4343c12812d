//! One backend with all its addresses: who is asked, how often, and what is learnt from it.
//!
//! A request goes to one address. When no answer has begun there it may go on to another, within
//! bounds; nothing of a failed attempt is ever looked at. What comes of requests decides which
//! addresses are asked, and whether the backend is.

use std::hash::RandomState;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::UPGRADE;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval};
use tower::retry::budget::{Budget as _, TpsBudget};

use super::address::Address;
use super::breaker::{Breaker, Passage};
use super::choose::Choice;
use super::connect::{Connections, is_out_of_turns};
use super::fault::UpstreamFault;
use super::names::Names;
use super::outcome::{Attempt, Passing, Watch};
use super::patience::Patience;
use super::{Answer, UpstreamBody, has_one_length};
use crate::config::{HealthConfig, RetryConfig, UpstreamConfig};
use crate::gateway::tls::TlsError;
use crate::observe::{BreakerState, Metrics, UpstreamEvent, UpstreamHappening};
use crate::terms::{DataSubject, DecisionId, UpstreamId};

/// Over how long requests are counted that retries are a share of.
const BUDGET_OF: Duration = Duration::from_secs(10);

/// One backend.
pub(super) struct Backend {
    id: UpstreamId,
    config: UpstreamConfig,
    connections: Connections,
    /// As tunnels are connected.
    tunnels: Connections,
    addresses: ArcSwap<Vec<Arc<Address>>>,
    names: tokio::sync::Mutex<Names>,
    /// Addresses are left out one at a time.
    ejecting: Mutex<()>,
    /// The number of the next request.
    turns: AtomicUsize,
    /// The key under which subjects are spread.
    keys: RandomState,
    /// Turns of requests under way.
    slots: Arc<Semaphore>,
    /// Places to wait for a turn. Beyond them the gateway refuses instead of queueing without end.
    pending: Semaphore,
    /// What may be tried again.
    budget: Option<TpsBudget>,
    breaker: Option<Mutex<Breaker>>,
    /// It is in force, or was.
    is_attended: AtomicBool,
    metrics: Arc<Metrics>,
}

/// What a backend is asked.
pub(super) struct Asking<'a> {
    /// All but the URI.
    pub(super) request: Request<Full<Bytes>>,
    /// Path and query as they were judged.
    pub(super) path: PathAndQuery,
    /// Whom it is about, as far as path and query say.
    pub(super) subject: Option<&'a DataSubject>,
    /// The decision that it rests on, for the log.
    pub(super) decision: &'a DecisionId,
}

impl Backend {
    /// In the place of the one `before` it, if there is one.
    pub(super) fn new(
        id: &UpstreamId,
        config: &UpstreamConfig,
        before: Option<&Self>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, TlsError> {
        let (within, before) = (config.timeouts.connect, before.map(|before| &before.connections));
        let connections = Connections::new(&config.tls, config.protocol, within, before)?;
        Ok(Self::over(connections, id, config, metrics))
    }

    /// The same, with what has been revoked since; `None`: nothing was.
    pub(super) fn tightened(&self) -> (Option<Self>, Vec<TlsError>) {
        let (connections, refused) = self.connections.tightened(&self.config.tls);
        let over = |connections| Self::over(connections, &self.id, &self.config, &self.metrics);
        (connections.map(over), refused)
    }

    fn over(
        connections: Connections,
        id: &UpstreamId,
        config: &UpstreamConfig,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let names = Names::new(&config.places);
        let found = names.addresses();
        let backend = Self {
            id: id.clone(),
            tunnels: connections.for_tunnels(),
            connections,
            addresses: ArcSwap::default(),
            ejecting: Mutex::new(()),
            turns: AtomicUsize::new(0),
            keys: RandomState::new(),
            slots: Arc::new(Semaphore::new(config.at_once.requests)),
            pending: Semaphore::new(config.at_once.pending),
            budget: config.retry.as_ref().map(budget),
            breaker: config.breaker.map(|rules| Mutex::new(Breaker::new(rules, Instant::now()))),
            is_attended: AtomicBool::new(false),
            metrics: Arc::clone(metrics),
            config: config.clone(),
            names: tokio::sync::Mutex::new(names),
        };
        backend.take(&found);
        backend
    }

    /// Asks for it.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        asking: Asking<'_>,
    ) -> Result<Answer, UpstreamFault> {
        let Asking { mut request, path, subject, decision } = asking;
        *request.uri_mut() = self.uri(path).ok_or(UpstreamFault::Unknown)?;
        let mut passing = self.admit()?;
        let mut patience = Patience::new(self.config.timeouts.total);
        let slot = self.turn(&mut patience).await?;
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        let asked = Instant::now();
        // Its attempts share it: one that goes elsewhere takes no turn from the next request, which
        // would else begin where this one did.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let mut tried = Vec::new();
        let mut address = match self.choose(subject, turn, &mut patience).await {
            Ok(address) => address,
            Err(fault) => {
                // A name that leads nowhere is a failure; that checks say no is known already.
                if fault == UpstreamFault::Connect {
                    passing.failed();
                }
                return Err(fault);
            }
        };
        loop {
            let attempt = Attempt::begin(self, address);
            tried.push(attempt.address.at);
            let fault = match self.attempt(&attempt.address, &request, &mut patience).await {
                Ok(response) => {
                    let (mut head, incoming) = response.into_parts();
                    let upgrade = head.extensions.remove::<OnUpgrade>();
                    let watch = Watch::over(attempt, passing, head.status);
                    let idle_timeout = self.config.timeouts.idle;
                    let took = asked.elapsed();
                    let body =
                        UpstreamBody { incoming, idle_timeout, patience, watch, _slot: slot };
                    let (status, headers) = (head.status, head.headers);
                    return Ok(Answer { status, headers, took, body, upgrade });
                }
                Err(fault) => fault,
            };
            if fault == UpstreamFault::Busy {
                // A queue of our own is no fault of anybody's.
                return Err(fault);
            }
            attempt.failed(fault.code());
            drop(attempt);
            let Some(next) = self.elsewhere(fault, request.method(), (subject, turn), &tried)
            else {
                passing.failed();
                return Err(fault);
            };
            let (attempts, kind) = (tried.len(), fault.code());
            self.tell(UpstreamHappening::Retried { decision, attempts, kind });
            address = next;
        }
    }

    /// Where a request goes on to after a fault, if it may: no answer has begun, and asking twice is
    /// asking once. The budget keeps a backend in trouble from being asked twice as much as before.
    fn elsewhere(
        &self,
        fault: UpstreamFault,
        method: &Method,
        (subject, turn): (Option<&DataSubject>, usize),
        tried: &[SocketAddr],
    ) -> Option<Arc<Address>> {
        let (rules, budget) = (self.config.retry.as_ref()?, self.budget.as_ref()?);
        let was_sent = match fault {
            // Nothing was: there was no connection to send it on.
            UpstreamFault::Connect => false,
            UpstreamFault::Broken | UpstreamFault::Timeout => true,
            UpstreamFault::Unknown
            | UpstreamFault::Busy
            | UpstreamFault::Sick
            | UpstreamFault::Suspended(_)
            | UpstreamFault::Total
            | UpstreamFault::Framing => return None,
        };
        if tried.len() >= rules.attempts as usize || (was_sent && !method.is_idempotent()) {
            return None;
        }
        let next = self.pick(subject, turn, tried)?;
        if was_sent && !budget.withdraw() {
            self.tell(UpstreamHappening::RetryHeldBack);
            return None;
        }
        Some(next)
    }

    /// Whether the backend is asked at all.
    fn admit(self: &Arc<Self>) -> Result<Passing, UpstreamFault> {
        let passage = match self.with_breaker(Breaker::admit) {
            None => Passage::Usual,
            Some(Ok(passage)) => passage,
            Some(Err(length)) => return Err(UpstreamFault::Suspended(length)),
        };
        Ok(Passing::new(self, passage))
    }

    /// Asks or tells the breaker, and tells when it is in another state then. `None`: there is none.
    pub(super) fn with_breaker<T>(
        &self,
        act: impl FnOnce(&mut Breaker, Instant) -> T,
    ) -> Option<T> {
        // Nothing panics between two writes to it.
        let mut breaker = self.breaker.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        let came_of_it = act(&mut breaker, Instant::now());
        let state = breaker.state();
        if before == BreakerState::HalfOpen && state == BreakerState::Open {
            // Still down: that it is open was told when it opened.
            self.tell(UpstreamHappening::BreakerStands(state));
        } else if state != before {
            self.tell(UpstreamHappening::Breaker(state));
        }
        Some(came_of_it)
    }

    /// One attempt at one address, as far as the head of its answer.
    async fn attempt(
        &self,
        address: &Address,
        request: &Request<Full<Bytes>>,
        patience: &mut Patience,
    ) -> Result<Response<Incoming>, UpstreamFault> {
        let timeouts = &self.config.timeouts;
        let most = timeouts.connect.saturating_add(timeouts.response);
        // Nothing else asks for another protocol; what a client says of that stays behind.
        let is_tunnel = request.headers().contains_key(UPGRADE);
        let pool = if is_tunnel { &address.tunnels } else { &address.pool };
        let answered = patience.wait(most, pool.request(request.clone())).await?;
        let response = answered.map_err(|error| {
            if is_out_of_turns(&error) {
                UpstreamFault::Busy
            } else if error.is_connect() {
                UpstreamFault::Connect
            } else {
                UpstreamFault::Broken
            }
        })?;
        if has_one_length(response.version(), response.headers()) {
            Ok(response)
        } else {
            Err(UpstreamFault::Framing)
        }
    }

    /// A turn, which ends when what it was for is dropped.
    async fn turn(&self, patience: &mut Patience) -> Result<OwnedSemaphorePermit, UpstreamFault> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let _place = self.pending.try_acquire().map_err(|_| UpstreamFault::Busy)?;
        let turn = Arc::clone(&self.slots).acquire_owned();
        let turn = patience.wait(self.config.timeouts.connect, turn).await;
        turn.map_err(|_| UpstreamFault::Busy)?.map_err(|_| UpstreamFault::Busy)
    }

    /// An address in service.
    async fn choose(
        &self,
        subject: Option<&DataSubject>,
        turn: usize,
        patience: &mut Patience,
    ) -> Result<Arc<Address>, UpstreamFault> {
        if self.addresses.load().is_empty() {
            // The first request may come before the first look-up.
            let known = patience.wait(self.config.timeouts.connect, self.look_up_first()).await;
            known.map_err(|_| UpstreamFault::Connect)?;
        }
        self.pick(subject, turn, &[]).ok_or_else(|| {
            // Nowhere to connect to, or nobody there who is well.
            let is_nowhere = self.addresses.load().is_empty();
            if is_nowhere { UpstreamFault::Connect } else { UpstreamFault::Sick }
        })
    }

    /// An address in service that was not tried yet.
    fn pick(
        &self,
        subject: Option<&DataSubject>,
        turn: usize,
        tried: &[SocketAddr],
    ) -> Option<Arc<Address>> {
        let (all, now) = (self.addresses.load(), Instant::now());
        let open: Vec<(SocketAddr, usize)> = all
            .iter()
            .filter(|address| !tried.contains(&address.at) && address.is_in_service(now))
            .map(|address| (address.at, address.under_way()))
            .collect();
        let (balance, keys) = (self.config.balance, &self.keys);
        let chosen = Choice { balance, turn, subject, keys }.among(&open)?;
        all.iter().find(|address| address.at == chosen).cloned()
    }

    /// A request failed at this address. Where that happens too often it is left out, if that leaves
    /// at least half of them: addresses that all fail have the same cause, and fewer would not help.
    pub(super) fn failed_at(&self, address: &Address, now: Instant) {
        let Some(rules) = &self.config.ejection else { return };
        if !address.standing().failed(rules, now) {
            return;
        }
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.addresses.load();
        let out = all.iter().filter(|other| !other.is_in_service(now)).count();
        let is_one_of_them = all.iter().any(|other| other.at == address.at);
        if !is_one_of_them || !address.is_in_service(now) || (out + 1) * 2 > all.len() {
            return;
        }
        let length = address.standing().eject(rules, now);
        self.tell(UpstreamHappening::Ejected { address: address.at, length });
        self.tell_standing();
    }

    /// How its addresses are looked at.
    pub(super) fn health(&self) -> Option<&HealthConfig> {
        self.config.health.as_ref()
    }

    /// Where a path of the backend is.
    pub(super) fn uri(&self, path: PathAndQuery) -> Option<Uri> {
        let mut parts = self.config.url.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }

    /// Its addresses as they are now.
    pub(super) fn addresses(&self) -> Arc<Vec<Arc<Address>>> {
        self.addresses.load_full()
    }

    async fn look_up_first(&self) {
        let mut names = self.names.lock().await;
        // Somebody else may have been first.
        if self.addresses.load().is_empty() {
            self.look_up(&mut names).await;
        }
    }

    async fn look_up(&self, names: &mut Names) {
        if !names.look_up().await {
            self.tell(UpstreamHappening::Unresolved);
        }
        self.take(&names.addresses());
    }

    /// These are its addresses from now on. Those that stay keep their connections and their standing;
    /// what is under way at others ends there.
    fn take(&self, found: &[SocketAddr]) {
        let before = self.addresses.load_full();
        if before.iter().map(|address| &address.at).eq(found) {
            return;
        }
        let known = |at: &SocketAddr| before.iter().find(|address| address.at == *at);
        let made = |at: &SocketAddr| {
            self.tell(UpstreamHappening::Found(*at));
            let at_once = self.config.at_once;
            let how = (&self.connections, &self.tunnels);
            Arc::new(Address::new(*at, how, self.config.protocol, at_once))
        };
        let now: Vec<Arc<Address>> =
            found.iter().map(|at| known(at).cloned().unwrap_or_else(|| made(at))).collect();
        self.addresses.store(Arc::new(now));
        for gone in before.iter().filter(|address| !found.contains(&address.at)) {
            self.tell(UpstreamHappening::Gone(gone.at));
        }
        self.tell_standing();
    }

    /// Looks its names up again and again, for as long as it is polled.
    pub(super) async fn keep_looking_up(self: Arc<Self>) {
        if !self.names.lock().await.has_names() {
            return;
        }
        let mut round = interval(self.config.resolve_every);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            round.tick().await;
            let mut names = self.names.lock().await;
            self.look_up(&mut names).await;
        }
    }

    /// From now on it is in force: what it is and becomes is told.
    pub(super) fn attend(&self) {
        if !self.is_attended.swap(true, Ordering::Relaxed) {
            for address in &**self.addresses.load() {
                self.tell(UpstreamHappening::Found(address.at));
            }
            self.tell_standing();
        }
    }

    /// Tells once a second how it stands: an address that was left out comes back without an event.
    pub(super) async fn keep_telling(self: Arc<Self>) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            self.tell_standing();
        }
    }

    /// Tells how its addresses and its breaker stand.
    pub(super) fn tell_standing(&self) {
        let now = Instant::now();
        for address in &**self.addresses.load() {
            let is_in_service = address.is_in_service(now);
            self.tell(UpstreamHappening::Standing { address: address.at, is_in_service });
        }
        if let Some(state) = self.with_breaker(|breaker, _| breaker.state()) {
            self.tell(UpstreamHappening::BreakerStands(state));
        }
    }

    /// Counts it, and writes the line where there is one.
    pub(super) fn tell(&self, what: UpstreamHappening<'_>) {
        // One that is only being read, for a reload that may be refused, has nothing to say.
        if self.is_attended.load(Ordering::Relaxed) {
            UpstreamEvent { upstream: &self.id, what }.emit(&self.metrics);
        }
    }

    /// For `/status`.
    pub(super) fn document(&self) -> Value {
        let now = Instant::now();
        let addresses: Vec<Value> = self
            .addresses
            .load()
            .iter()
            .map(|address| {
                json!({
                    "address": address.at,
                    "in_service": address.is_in_service(now),
                    "out": address.standing().why_out(now),
                    "under_way": address.under_way(),
                })
            })
            .collect();
        let state = self.with_breaker(|breaker, _| breaker.state());
        json!({
            "protocol": self.config.protocol.as_str(),
            "breaker": state.map_or("off", BreakerState::as_str),
            "addresses": addresses,
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // One that has taken its place says again within a second what of this is true of it.
        for address in &**self.addresses.load() {
            self.tell(UpstreamHappening::Forgotten(address.at));
        }
    }
}

/// A share of the requests of the last seconds, and so many a second whatever that share is.
fn budget(rules: &RetryConfig) -> TpsBudget {
    TpsBudget::new(BUDGET_OF, rules.floor, f32::from(rules.percent) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn backend(settings: &str, metrics: &Arc<Metrics>) -> Backend {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tamis.yaml");
        let text = format!(
            "rules: r\ncertificates: [{{chain: c, key: k}}]\nkey_ring: k\n\
             upstreams: {{people: {{url: 'http://127.0.0.1:1', {settings}}}}}\n"
        );
        std::fs::write(&file, text).expect("ours");
        let config = Config::load(&file).expect("settings of ours");
        let id = UpstreamId::from("people");
        Backend::new(&id, &config.upstreams["people"], None, metrics).expect("no files are named")
    }

    fn addresses(of: &[u16]) -> Vec<SocketAddr> {
        of.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
    }

    #[test]
    fn addresses_that_stay_are_the_same_and_those_that_go_are_forgotten() {
        let metrics = Arc::new(Metrics::new());
        let backend = backend("", &metrics);
        backend.take(&addresses(&[1, 2]));
        assert!(!metrics.text().contains("in_service{"), "nothing is said before it is in force");
        backend.attend();
        let before = backend.addresses();
        before[1].began();
        backend.take(&addresses(&[2, 3]));
        let now = backend.addresses();
        assert!(Arc::ptr_eq(&before[1], &now[0]), "with its connections and what is under way");
        let in_service = |port: u16| {
            let gauge = "tamis_upstream_address_in_service";
            format!("{gauge}{{address=\"127.0.0.1:{port}\",upstream=\"people\"}} 1")
        };
        let text = metrics.text();
        assert!(!text.contains(&in_service(1)) && text.contains(&in_service(3)), "{text}");
        drop(backend);
        assert!(!metrics.text().contains("in_service{"));
    }

    #[test]
    fn at_most_half_are_left_out_whatever_takes_them_out() {
        let metrics = Arc::new(Metrics::new());
        let settings = "addresses: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:4'], \
                        ejection: {failures: 1}, health: {path: /, unhealthy: 1}";
        let backend = backend(settings, &metrics);
        let (all, now) = (backend.addresses(), Instant::now());
        let rules = backend.health().expect("said").clone();
        assert_eq!(all[3].standing().checked(false, &rules), Some(false));
        for address in &all[..3] {
            backend.failed_at(address, now);
        }
        let in_service = all.iter().map(|address| address.is_in_service(now));
        assert!(in_service.eq([false, true, true, false]), "one is sick, one left out");
    }
}
