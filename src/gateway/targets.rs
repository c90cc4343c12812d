//! Hands signed checkpoints to places that the gateway cannot rewrite.
//!
//! Each waits on disk until its target takes it. The newest goes first, since it says all that the others
//! say; then those before it, in their order. A target may be told one more than once, and can tell by its
//! bytes, its `Idempotency-Key` or its number of records that it has it. A witness takes the newest alone.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method, Request};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::start::StartError;
use super::witness::{self, NotWitnessed};
use crate::config::{CheckpointTarget, Config, DeliveryMethod};
use crate::https::{Bounds, CallFault, HttpsClient, Schemes, TrustError};
use crate::keys::{ServiceToken, ServiceTokenError, WitnessKey};
use crate::ledger::{Outbox, Place, Taken, keep_note};
use crate::observe::{CheckpointEvent, CheckpointHappening, Metrics};
use crate::terms::Digest;

/// A target's status counts, and of a witness a few lines. A connection for a round.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(20),
    answer_bytes: 16 << 10,
    kept: 1,
};

/// Between a round that failed and the next; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest of these pauses: a checkpoint is to be elsewhere within minutes of the target's return.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How long the end of the gateway waits for its last checkpoint to be taken. What is not taken then is
/// when the next gateway starts.
const LAST_CALL: Duration = Duration::from_secs(10);

/// Says that the same checkpoint is the same request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why a checkpoint was not handed over.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallFault),
    /// Certificates cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] ServiceTokenError),
    /// The outbox cannot be read or written.
    #[error("the outbox cannot be used")]
    Outbox(#[from] io::Error),
    /// A witness does not vouch for it.
    #[error(transparent)]
    Witness(#[from] NotWitnessed),
}

impl Undelivered {
    /// The stable code for logs and metrics.
    const fn code(&self) -> &'static str {
        match self {
            Self::Call(fault) => fault.code(),
            Self::Trust(_) => "certificates",
            Self::Token(_) => "token",
            Self::Outbox(_) => "outbox",
            Self::Witness(fault) => fault.code(),
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Call(CallFault::Status(status)) => Some(status.as_u16()),
            Self::Witness(fault) => fault.status(),
            Self::Call(_) | Self::Trust(_) | Self::Token(_) | Self::Outbox(_) => None,
        }
    }
}

/// What a checkpoint is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// All that is in the ledger.
    Whole,
    /// A part, at the end of which it is about to be cut.
    Part,
}

/// All targets of one gateway.
#[derive(Default)]
pub(crate) struct Targets(Vec<Arc<Target>>);

struct Target {
    name: String,
    config: CheckpointTarget,
    outbox: Arc<Outbox>,
    /// Whose checkpoints they are.
    ledger: Place,
    /// There is something to hand over.
    wake: Notify,
    /// Why the last attempt failed, if it did.
    fault: Mutex<Option<(&'static str, Timestamp)>>,
    metrics: Arc<Metrics>,
}

impl Targets {
    /// Opens the outbox of each target, and sees to it that what it is reached with can be read.
    pub(crate) fn open(
        config: &Config,
        ledger: &Place,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let mut targets = Vec::new();
        for (name, target) in &config.checkpoint_targets {
            let outbox = Outbox::open(config.ledger.beside(), name)
                .map_err(|error| StartError::Outbox(name.clone(), error))?;
            let target = Target {
                name: name.clone(),
                config: target.clone(),
                outbox: Arc::new(outbox),
                ledger: ledger.clone(),
                wake: Notify::new(),
                fault: Mutex::new(None),
                metrics: Arc::clone(metrics),
            };
            reached_with(&target.config)?;
            target.stands();
            targets.push(Arc::new(target));
        }
        Ok(Self(targets))
    }

    /// Keeps a note, durably, until each target has taken it.
    ///
    /// # Errors
    /// It cannot be kept for one of them.
    pub(super) fn put(&self, of: Signed, records: u64, note: &str) -> io::Result<()> {
        // A witness takes nothing that is older than what it has seen.
        let takes = |target: &&Arc<Target>| of == Signed::Whole || target.config.witness.is_none();
        for target in self.0.iter().filter(takes) {
            for records in target.outbox.put(records, note)? {
                target.emit(CheckpointHappening::GivenUp { records });
            }
            target.stands();
            target.wake.notify_one();
        }
        Ok(())
    }

    /// Hands over what waits, to each target beside the others, for as long as the gateway runs.
    pub(super) async fn keep_delivering(self: Arc<Self>) {
        let mut targets = JoinSet::new();
        for target in &self.0 {
            targets.spawn(Arc::clone(target).keep_delivering());
        }
        while targets.join_next().await.is_some() {}
    }

    /// One more round for each target, at the end of the gateway's life.
    pub(super) async fn last_call(&self) {
        let mut rounds = JoinSet::new();
        for target in &self.0 {
            let target = Arc::clone(target);
            rounds.spawn(async move { target.round().await });
        }
        let ended = async { while rounds.join_next().await.is_some() {} };
        let _ = timeout(LAST_CALL, ended).await;
    }

    /// How each stands, for `/status`; times of last success with their age in whole seconds.
    pub(super) fn document(&self, now: Timestamp) -> Value {
        let targets = self.0.iter().map(|target| (target.name.clone(), target.document(now)));
        targets.collect::<Map<_, _>>().into()
    }

    /// What is wrong with any of them, in words; `None`: nothing is.
    pub(super) fn warning(&self) -> Option<String> {
        let wrong: Vec<String> = self.0.iter().filter_map(|target| target.warning()).collect();
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }
}

/// Sees to it that what a target is reached with can be read.
pub(super) fn reached_with(target: &CheckpointTarget) -> Result<(), StartError> {
    client(target)?;
    token(target)?;
    Ok(())
}

fn client(target: &CheckpointTarget) -> Result<HttpsClient, TrustError> {
    HttpsClient::new(&target.tls, Schemes::HttpsOnly, BOUNDS)
}

fn token(target: &CheckpointTarget) -> Result<Option<ServiceToken>, ServiceTokenError> {
    target.token.as_deref().map(ServiceToken::open).transpose()
}

impl Target {
    async fn keep_delivering(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.round().await {
                pause = FIRST_PAUSE;
                self.wake.notified().await;
            } else {
                // A checkpoint that is signed meanwhile is a reason to try at once.
                let _ = timeout(pause, self.wake.notified()).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Hands over all that waits. Whether nothing waits any more.
    async fn round(&self) -> bool {
        let done = self.deliver_all().await;
        let (waiting, taken) = self.aside(|outbox| Ok(standing(outbox))).await.unwrap_or_default();
        self.say(waiting, taken.as_ref());
        match done {
            Ok(()) => {
                *self.fault() = None;
                true
            }
            Err((records, error)) => {
                let (kind, status) = (error.code(), error.status());
                *self.fault() = Some((kind, Timestamp::now()));
                self.emit(CheckpointHappening::NotDelivered { records, kind, status });
                false
            }
        }
    }

    async fn deliver_all(&self) -> Result<(), (u64, Undelivered)> {
        let waiting = self.aside(Outbox::waiting).await;
        let mut waiting = waiting.map_err(|error| (0, error.into()))?;
        let Some(newest) = waiting.pop() else { return Ok(()) };
        waiting.insert(0, newest);
        // Read anew for each round, so that tokens and certificates may change.
        let client = self.client().map_err(|error| (newest, error.into()))?;
        let token = self.token().map_err(|error| (newest, error.into()))?;
        if let Some(witness) = &self.config.witness {
            let done = self.ask_witness(&client, token.as_ref(), witness, newest).await;
            return done.map_err(|error| (newest, error));
        }
        let mut refused = None;
        for records in waiting {
            match self.deliver(&client, token.as_ref(), records).await {
                Ok(()) => {}
                // It answers, and does not take this one; it may take the next.
                Err(error @ Undelivered::Call(CallFault::Status(_))) if records != newest => {
                    refused.get_or_insert((records, error));
                }
                Err(error) => return Err((records, error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn deliver(
        &self,
        client: &HttpsClient,
        token: Option<&ServiceToken>,
        records: u64,
    ) -> Result<(), Undelivered> {
        let note = self.aside(move |outbox| outbox.note(records)).await?;
        let method = match self.config.method {
            DeliveryMethod::Post => Method::POST,
            DeliveryMethod::Put => Method::PUT,
        };
        let mut request = self.request(method, token, records, note.clone())?;
        // Source: draft-ietf-httpapi-idempotency-key-header, a string of RFC 8941.
        let key = format!("\"{}\"", Digest::of(note.as_bytes()).hex()).try_into();
        request.headers_mut().extend(key.ok().map(|key| (IDEMPOTENCY_KEY, key)));
        client.deliver(request).await?;
        let done = Taken { records, at: Timestamp::now(), note };
        self.aside(move |outbox| outbox.take(&done)).await?;
        self.emit(CheckpointHappening::Delivered { records });
        Ok(())
    }

    /// Lets a witness vouch for the newest checkpoint. Those before it are covered by it, and a witness
    /// takes none of them afterwards.
    async fn ask_witness(
        &self,
        client: &HttpsClient,
        token: Option<&ServiceToken>,
        witness: &WitnessKey,
        records: u64,
    ) -> Result<(), Undelivered> {
        let note = self.aside(move |outbox| outbox.note(records)).await?;
        let known = self.aside(Outbox::taken).await.unwrap_or_default();
        let known = known.map_or(0, |taken| taken.records);
        let asked = witness::asked(&self.ledger, known.min(records), records, &note).await?;
        let mut answer = client.call(self.request(Method::POST, token, records, asked)?).await?;
        if let Some(seen) = witness::seen_instead(&answer, known, records)? {
            let asked = witness::asked(&self.ledger, seen, records, &note).await?;
            answer = client.call(self.request(Method::POST, token, records, asked)?).await?;
        }
        let note = witness::cosigned(witness, &note, answer)?;
        // With its cosignatures, for who verifies the ledger or proves a record.
        let now = Timestamp::now();
        let ledger = self.ledger.clone();
        self.aside(move |outbox| {
            keep_note(&ledger, &now.to_string(), &note)?;
            outbox.take(&Taken { records, at: now, note })?;
            let waiting = outbox.waiting()?.into_iter();
            waiting.filter(|covered| *covered < records).try_for_each(|it| outbox.pass_over(it))
        })
        .await?;
        self.emit(CheckpointHappening::Delivered { records });
        Ok(())
    }

    fn request(
        &self,
        method: Method,
        token: Option<&ServiceToken>,
        records: u64,
        body: String,
    ) -> Result<Request<Bytes>, CallFault> {
        let url = self.config.url_of(records).ok_or(CallFault::Connect)?;
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.bearer());
        }
        request.body(Bytes::from(body)).map_err(|_| CallFault::Connect)
    }

    fn client(&self) -> Result<HttpsClient, TrustError> {
        client(&self.config)
    }

    fn token(&self) -> Result<Option<ServiceToken>, ServiceTokenError> {
        token(&self.config)
    }

    /// Does something with the outbox on a thread that may wait for the disk.
    async fn aside<T: Send + 'static>(
        &self,
        does: impl FnOnce(&Outbox) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let outbox = Arc::clone(&self.outbox);
        let done = tokio::task::spawn_blocking(move || does(&outbox));
        done.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }

    /// To be called where it may wait for the disk.
    fn stands(&self) {
        let (waiting, taken) = standing(&self.outbox);
        self.say(waiting, taken.as_ref());
    }

    fn say(&self, waiting: usize, taken: Option<&Taken>) {
        let taken = taken.map(|taken| (taken.records, taken.at));
        self.emit(CheckpointHappening::Stands { waiting, taken });
    }

    fn emit(&self, what: CheckpointHappening) {
        CheckpointEvent { target: &self.name, what }.emit(&self.metrics);
    }

    fn document(&self, now: Timestamp) -> Value {
        let (waiting, taken) = standing(&self.outbox);
        let taken = taken.map(|taken| {
            let age = now.duration_since(taken.at).as_secs().max(0);
            json!({"records": taken.records, "at": taken.at, "age": age})
        });
        let fault = self.fault().map(|(kind, at)| json!({"kind": kind, "at": at}));
        json!({"waiting": waiting, "delivered": taken, "fault": fault})
    }

    fn warning(&self) -> Option<String> {
        let (kind, _) = (*self.fault())?;
        let waiting = self.outbox.waiting().unwrap_or_default().len();
        Some(format!("{}: {waiting} checkpoints are not delivered ({kind})", self.name))
    }

    fn fault(&self) -> MutexGuard<'_, Option<(&'static str, Timestamp)>> {
        // Nothing panics between two writes to it.
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many wait in an outbox, and what was taken last; as if there were none, where it cannot be read.
fn standing(outbox: &Outbox) -> (usize, Option<Taken>) {
    (outbox.waiting().unwrap_or_default().len(), outbox.taken().unwrap_or_default())
}
