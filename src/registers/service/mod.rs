//! Consents from a service outside, asked for when a decision needs them and kept for a short while.
//!
//! What the service says is as of the moment at which it was asked. Older than the bound counts as
//! unknown, and so does everything else that is no good answer: what rests on consent stops, and the rest
//! goes on. What our own registers hold is added each time, and only ever takes away: an objection, a
//! restriction, an erasure, a withdrawal counts whatever the service says.
//!
//! Ids of people stand in the body of a `POST`, never in a URL, which would be logged on the way.

mod answer;
mod cache;
mod merge;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use self::answer::{OfPerson, freshness, question};
use self::cache::{Cache, Said};
use self::merge::merged;
use super::Fetching;
use super::elsewhere::{ConsentSource, ConsentsFrom};
use crate::https::{Bounds, CallFault, HttpsClient, Schemes, Trust, TrustError};
use crate::keys::{ServiceToken, ServiceTokenError};
use crate::observe::{ConsentServiceEvent, Metrics};
use crate::terms::{DataSubject, Statements};

/// People of one question.
const PEOPLE_PER_CALL: usize = 200;

/// Questions at a time; more wait for their turn.
const CALLS: usize = 8;

/// People who are being asked about at most; beyond it nobody is asked about, and is unknown.
const UNDER_WAY: usize = 10_000;

/// Largest answer.
const ANSWER_BYTES: usize = 4 << 20;

/// Largest sum of answers that are kept.
const CACHED_BYTES: usize = 64 << 20;

/// Faults one after the other after which the service is left alone for [`PAUSE`].
const FAULTS: u32 = 3;

/// How often whoever is not known any more is forgotten; nobody relies on them meanwhile.
const FORGETTING: Duration = Duration::from_secs(1);

/// How long nobody waits for a service that keeps failing.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the service is, and how far it is relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentServiceSettings {
    /// An `https` URL.
    pub url: Uri,
    /// Who may answer, and what the gateway shows.
    pub trust: Trust,
    /// The file with a bearer token, its owner's alone; `None`: none is sent.
    pub token: Option<PathBuf>,
    /// From the question to the last byte of the answer.
    pub timeout: Duration,
    /// What was said longer ago is not known.
    pub max_staleness: Duration,
    /// People whose answers are kept.
    pub cached_people: usize,
}

/// Why the service cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ConsentServiceError {
    /// Its certificates or ours.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The file with the token.
    #[error(transparent)]
    Token(#[from] ServiceTokenError),
}

/// A service, and what it said.
pub struct ConsentService {
    url: Uri,
    token: Option<HeaderValue>,
    client: HttpsClient,
    timeout: Duration,
    /// In milliseconds.
    max_staleness: AtomicU64,
    turns: Semaphore,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

struct State {
    cache: Cache,
    /// Who is being asked about. The sender goes when the answer is there, or none will be.
    under_way: HashMap<DataSubject, watch::Receiver<()>>,
    /// Faults since the last good answer.
    faults: u32,
    left_alone_until: Option<Instant>,
    /// When whoever is not known any more was forgotten last.
    forgotten: Instant,
}

/// A question under way. However it ends, nobody waits for it any more.
struct Flight {
    service: Arc<ConsentService>,
    people: Vec<DataSubject>,
    _landed: watch::Sender<()>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.service.state();
        for person in &self.people {
            state.under_way.remove(person);
        }
    }
}

impl ConsentService {
    /// Reads what `settings` name. The service is not asked yet.
    ///
    /// # Errors
    /// See [`ConsentServiceError`].
    pub fn new(
        settings: &ConsentServiceSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConsentServiceError> {
        let bounds = Bounds {
            connect: settings.timeout,
            total: settings.timeout,
            answer_bytes: ANSWER_BYTES,
            kept: CALLS,
        };
        let state = State {
            cache: Cache::new(settings.cached_people, CACHED_BYTES),
            under_way: HashMap::new(),
            faults: 0,
            left_alone_until: None,
            forgotten: Instant::now(),
        };
        let token = settings.token.as_deref().map(ServiceToken::open).transpose()?;
        let service = Self {
            url: settings.url.clone(),
            token: token.map(|token| token.bearer()),
            client: HttpsClient::new(&settings.trust, Schemes::HttpsOnly, bounds)?,
            timeout: settings.timeout,
            max_staleness: AtomicU64::new(0),
            turns: Semaphore::new(CALLS),
            state: Mutex::new(state),
            metrics,
        };
        service.bound(settings.max_staleness);
        Ok(service)
    }

    /// From now on what was said longer ago is not known.
    pub fn bound(&self, max_staleness: Duration) {
        let milliseconds = u64::try_from(max_staleness.as_millis()).unwrap_or(u64::MAX);
        self.max_staleness.store(milliseconds, Ordering::Relaxed);
    }

    fn max_staleness(&self) -> Duration {
        Duration::from_millis(self.max_staleness.load(Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the service said of `person`, if that is known at `now`.
    fn said(&self, person: &DataSubject, now: Instant) -> Option<Said> {
        let max_staleness = self.max_staleness();
        let state = self.state();
        state.cache.of(person).filter(|said| said.is_known(now, max_staleness)).cloned()
    }

    async fn ask(&self, people: &[DataSubject]) {
        let answered = self.answer(people).await;
        let now = Instant::now();
        let mut state = self.state();
        let event = match answered {
            Ok((said, as_of, fresh_for)) => {
                let was_failing = std::mem::take(&mut state.faults) > 0;
                state.left_alone_until = None;
                // Not with each answer: whoever is asked about meanwhile waits for it.
                if now.saturating_duration_since(state.forgotten) >= FORGETTING {
                    state.cache.forget(now, self.max_staleness());
                    state.forgotten = now;
                }
                for (person, (consents, bytes)) in people.iter().zip(said) {
                    let said = Said { consents, as_of, fresh_for, bytes };
                    state.cache.keep(person.clone(), said);
                }
                let cached = state.cache.len();
                ConsentServiceEvent::Answered { people: people.len(), cached, was_failing }
            }
            Err(kind) => {
                // That we ask too much at once is no fault of the service.
                state.faults = state.faults.saturating_add(u32::from(kind != "busy"));
                if state.faults >= FAULTS {
                    state.left_alone_until = Some(now + PAUSE);
                }
                ConsentServiceEvent::Failed { kind, is_first: state.faults == 1 }
            }
        };
        drop(state);
        event.emit(&self.metrics);
    }

    /// What is said of each of `people`, as of when, and how long that may be relied on.
    async fn answer(
        &self,
        people: &[DataSubject],
    ) -> Result<(Vec<OfPerson>, Instant, Duration), &'static str> {
        let turn = timeout(self.timeout, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err("busy") };
        // Before the question: what the service looked at is no older than this.
        let asked_at = Instant::now();
        let mut request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Bytes::from(question(people)))
            .map_err(|_| CallFault::Broken.code())?;
        request.headers_mut().extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        let answer = self.client.call(request).await.map_err(CallFault::code)?;
        let said = if answer.status == StatusCode::OK {
            answer::read(people, &answer.headers, &answer.body).ok_or("malformed")?
        } else if answer.status == StatusCode::NOT_FOUND && people.len() == 1 {
            // Of one person it says so; of several nobody could tell whom it means.
            vec![OfPerson::default()]
        } else {
            return Err("status");
        };
        let (age, fresh_for) = freshness(&answer.headers, self.max_staleness());
        Ok((said, asked_at.checked_sub(age).unwrap_or(asked_at), fresh_for))
    }
}

/// Our own registers, with the consents of a service.
pub type ServiceRegisters = ConsentsFrom<ConsentService>;

impl ConsentSource for ConsentService {
    fn whole(&self, own: Arc<Statements>, subject: &DataSubject) -> Arc<Statements> {
        let said = self.said(subject, Instant::now()).filter(|_| !own.consents_unknown);
        let whole = said.and_then(|said| {
            let whole = merged(&own, &said.consents, jiff::Timestamp::now());
            if whole.is_none() {
                ConsentServiceEvent::Contradicted.emit(&self.metrics);
            }
            whole
        });
        Arc::new(whole.unwrap_or_else(|| own.without_consents()))
    }

    /// Asks about those of `people` of whom nothing is known now. Whoever is being asked about already is
    /// waited for and not asked about again. `None`: there is nothing to wait for.
    fn fetch(self: Arc<Self>, people: &[DataSubject]) -> Option<Fetching> {
        let runtime = Handle::try_current().ok()?;
        let (now, max_staleness) = (Instant::now(), self.max_staleness());
        let (mut waits, mut flights, mut asked) = (Vec::new(), Vec::new(), HashSet::new());
        let mut state = self.state();
        let is_left_alone = state.left_alone_until.is_some_and(|until| now < until);
        for person in people {
            let said = state.cache.of(person);
            if said.is_some_and(|said| said.is_known(now, max_staleness)) {
                continue;
            }
            if let Some(flight) = state.under_way.get(person) {
                waits.push(flight.clone());
            } else if !is_left_alone && state.under_way.len() + asked.len() < UNDER_WAY {
                asked.insert(person.clone());
            }
        }
        let asked: Vec<DataSubject> = asked.into_iter().collect();
        for people in asked.chunks(PEOPLE_PER_CALL) {
            let (landed, flight) = watch::channel(());
            let people = people.to_vec();
            state.under_way.extend(people.iter().map(|person| (person.clone(), flight.clone())));
            waits.push(flight);
            flights.push(Flight { service: Arc::clone(&self), people, _landed: landed });
        }
        drop(state);
        if waits.is_empty() {
            return None;
        }
        for flight in flights {
            // A task of its own: others may wait for it when whoever was first is gone.
            runtime.spawn(async move { flight.service.ask(&flight.people).await });
        }
        Some(Box::pin(async move {
            for mut flight in waits {
                // Nothing is ever sent: it ends.
                let _ = flight.changed().await;
            }
        }))
    }

    fn may_fetch(&self) -> bool {
        true
    }
}
