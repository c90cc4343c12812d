//! Setting up and stopping: everything is read and checked before the first connection is taken.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::acme::Renewal;
use super::ahead;
use super::checkpoints::Checkpoints;
use super::consents::{Feed, keep_reading, staleness, with_service};
use super::erasures::keep_settling;
use super::expiry;
use super::files::Seen;
use super::ledgers::KeptLedger;
use super::listener::Door;
use super::listeners::{clients, plaintext, routed};
use super::loaded::{self, Loaded};
use super::notices::Notifier;
use super::pace::Pace;
use super::redirect::Redirect;
use super::reload::{Fed, Fetching, Reloaded, Reloader};
use super::retire::Retirement;
use super::rights::REPORTS;
use super::sockets::{HandedError, HandedSockets, Sockets};
use super::state::Gateway;
use super::taking_over;
use super::tls::{Tls, TlsError};
use super::told::IdentityKeyError;
use super::within::within;
use crate::admin::{
    Access, AdminState, Calls, ChangeDrain, Reporting, Standing, admin_router,
    keep_forgetting_answers, metrics_router,
};
use crate::config::{Config, Listen, LogTarget};
use crate::https::TrustError;
use crate::identity::IssuerError;
use crate::keys::{KeyRingError, NoteError, ServiceTokenError, WebhookSecretError};
use crate::ledger::{Ledger, LedgerUnavailable, Note, Place, SubjectIndex};
use crate::observe::{AccessLog, Event, Metrics};
use crate::policy::{Diagnostics, Policy};
use crate::registers::{
    ConsentService, ConsentServiceError, FedRegisters, PostgresSettings, RegisterPlace,
    RegisterStore, Registers, RegistersUnavailable,
};

/// How long a start waits for registers on a server. Without them it starts all the same, and refuses
/// what rests on them until they are there.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Why the gateway did not start. Nothing was answered.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The rules cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The rules are rejected; all findings at once.
    #[error("the rules are rejected")]
    Rules(Diagnostics),
    /// The rules were written while they were read.
    #[error("{} changed while it was read", .0.display())]
    Moving(PathBuf),
    /// A route names a backend that the configuration does not have.
    #[error("route {route} goes to backend {upstream}, which is not configured")]
    Upstream {
        /// The route.
        route: String,
        /// The backend.
        upstream: String,
    },
    /// The rules ask for TLS towards backends, and one is reached without.
    #[error("the rules say `tls: {{upstream: required}}`, and `{0}` is reached in plaintext")]
    PlaintextUpstream(String),
    /// The rules tell a recipient of erasures.
    #[error(
        "the rules tell `{0}` of erasures; name the file of the secret that it shares, \
         `webhooks: {{{0}: {{secret: FILE}}}}`"
    )]
    NoWebhook(String),
    /// The address at which a recipient is told of erasures.
    #[error("`{0}` cannot be told of erasures at this URL")]
    WebhookUrl(String),
    /// The secret that a recipient shares.
    #[error("notices of erasures cannot be signed")]
    WebhookSecret(#[from] WebhookSecretError),
    /// Certificates, keys or authorities.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// TLS towards a service outside.
    #[error("TLS towards a service outside cannot be set up")]
    Outside(#[from] TrustError),
    /// The folder of a certificate that is to be got.
    #[error("{} cannot hold a certificate", .0.display())]
    Acme(PathBuf, #[source] io::Error),
    /// The key ring.
    #[error("the key ring cannot be used")]
    Keys(#[from] KeyRingError),
    /// The key with which backends are told who asks.
    #[error("cannot tell backends who asks")]
    IdentityKey(#[from] IdentityKeyError),
    /// The consent service cannot be asked.
    #[error(transparent)]
    ConsentService(#[from] ConsentServiceError),
    /// Consents come from two places, of which one may not know what the other has heard.
    #[error("consents come from a file by the rules and from `consent_service` by the settings")]
    TwoSources,
    /// The registers.
    #[error("the registers cannot be opened")]
    Registers(#[from] RegistersUnavailable),
    /// The rules promise signed checkpoints of the ledger.
    #[error(
        "the rules ask for checkpoints of the ledger, or keep it for a time; make a key with `tamis ledger new-key` and name it \
         as `checkpoint_key`"
    )]
    NoCheckpointKey,
    /// The key that signs checkpoints.
    #[error("checkpoints cannot be signed")]
    CheckpointKey(#[from] NoteError),
    /// What waits for a checkpoint target.
    #[error("checkpoints for `{0}` cannot be kept")]
    Outbox(String, #[source] io::Error),
    /// The token by which a service outside knows the gateway.
    #[error("a service outside cannot be shown a token")]
    ServiceToken(#[from] ServiceTokenError),
    /// The ledger.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerUnavailable),
    /// A token issuer's keys.
    #[error("the keys of a token issuer cannot be used")]
    Issuer(#[from] IssuerError),
    /// The access log.
    #[error("the access log cannot be opened")]
    AccessLog(#[source] io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Sockets that were handed over.
    #[error("the sockets that were handed over cannot be used")]
    Handed(#[from] HandedError),
}

/// Where the gateway listens, with the ports that the system gave.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// HTTPS.
    pub https: SocketAddr,
    /// Plaintext, which only redirects.
    pub http: Option<SocketAddr>,
    /// Admin API.
    pub admin: Option<SocketAddr>,
    /// Metrics and health.
    pub metrics: Option<SocketAddr>,
}

/// A gateway that takes connections.
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    metrics: Arc<Metrics>,
    access_log: Arc<AccessLog>,
    /// Told to whoever asks whether the gateway is ready.
    is_stopping: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<usize>,
    upkeep: JoinSet<()>,
    /// Calls of the admin API, which go on when their clients are gone.
    calls: Arc<Calls>,
    drain_timeout: Duration,
    /// Signs once more when everything has ended.
    checkpoints: Option<Arc<Checkpoints>>,
    reloader: Arc<Reloader>,
}

/// What was found to be good before anybody may connect.
struct Checked {
    loaded: Loaded,
    seen: Seen,
    tls: Arc<Tls>,
    renewal: Option<Renewal>,
    metrics: Arc<Metrics>,
}

impl Checked {
    fn read(config: Config) -> Result<Self, StartError> {
        let mut seen = Seen::default();
        seen.note(&config.file);
        let metrics = Arc::new(Metrics::new());
        let loaded = Loaded::read(config, None, &mut seen, &metrics)?;
        let tls = Arc::new(loaded::tls(&loaded.config, &loaded.policy, &mut seen)?);
        let renewal = Renewal::of(&loaded.config, &tls, &metrics)?;
        ahead::look(&loaded.config)?;
        Ok(Self { loaded, seen, tls, renewal, metrics })
    }
}

/// What runs on stores of our own.
struct Embedded {
    registers: Arc<RegisterStore>,
    feed: Option<Arc<Feed>>,
    service: Option<Arc<ConsentService>>,
    place: Place,
    index: Arc<SubjectIndex>,
    reports: Arc<Reporting>,
    checkpoints: Option<Arc<Checkpoints>>,
    retirement: Option<Arc<Retirement>>,
}

/// Stores that an embedder or a test brings along.
pub struct Stores {
    /// What people have said.
    pub registers: Arc<dyn Registers>,
    /// What was disclosed.
    pub ledger: Arc<dyn Ledger>,
}

impl Gateway {
    /// Starts a gateway with the embedded stores that `config` names.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Running, StartError> {
        // A start holds much at once; whoever waits for it need not.
        Box::pin(Self::start_handed(config, HandedSockets::default())).await
    }

    /// As [`start`](Self::start), on sockets that were handed over, as far as there are some.
    ///
    /// Where another process may still serve on the same addresses, its ledger is waited for as long as
    /// that process may take to finish. Connections wait meanwhile.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_handed(
        config: Config,
        handed: HandedSockets,
    ) -> Result<Running, StartError> {
        let checked = Checked::read(config)?;
        let (loaded, metrics) = (&checked.loaded, Arc::clone(&checked.metrics));
        let (config, policy, keys) = (&loaded.config, &loaded.policy, &loaded.keys);
        let registers = Arc::new(match &config.registers {
            RegisterPlace::File(path) => RegisterStore::embedded(path)?,
            RegisterPlace::Postgres(settings) => {
                let max_staleness = settings.max_staleness.min(staleness(policy));
                let settings = PostgresSettings { max_staleness, ..settings.clone() };
                RegisterStore::following(&settings, Arc::clone(&metrics))?
            }
        });
        let waiting = Arc::clone(&registers);
        let known = tokio::task::spawn_blocking(move || waiting.wait_until_known(START_PATIENCE));
        drop(known.await);
        let service = config.consent_service.as_ref();
        let service = service.map(|service| ConsentService::new(service, Arc::clone(&metrics)));
        let service = service.transpose()?.map(Arc::new);
        // Once all is good that can be looked at without the ledger: whoever connects from here on waits
        // for us, also where another process has the ledger still.
        let takes_over = config.listen.reuse_port || !handed.is_empty();
        let sockets = Sockets::bind(&config.listen, handed)?;
        let kept = taking_over::kept_ledger(config, policy, keys, &metrics, takes_over).await?;
        let KeptLedger { ledger, index, checkpoints, retirement } = kept;
        let retirement = retirement.map(Arc::new);
        let feed = Feed::of(policy, &config.rules, &registers, &metrics).map(Arc::new);
        let answering: Arc<dyn Registers> = match &feed {
            None => Arc::<RegisterStore>::clone(&registers),
            Some(feed) => {
                // Before the first request, so that a start does not refuse what a run would not.
                feed.read_aside(policy).await;
                Arc::new(FedRegisters::new(
                    Arc::<RegisterStore>::clone(&registers),
                    Arc::clone(&feed.file),
                ))
            }
        };
        let answering = with_service(answering, service.as_ref(), policy, config);
        let key = checkpoints.as_ref().map(|checkpoints| checkpoints.key());
        let reports = Reporting::new(ledger.place().clone(), Arc::clone(&index), key);
        let reports = Arc::new(reports);
        let place = ledger.place().clone();
        let stores = Stores { registers: answering, ledger };
        let embedded =
            Embedded { registers, feed, service, place, index, reports, checkpoints, retirement };
        Box::pin(Self::start_on(checked, stores, Some(embedded), sockets)).await
    }

    /// Starts a gateway on stores of the embedder's own. There are no listeners for admin and metrics,
    /// since they work on the embedded registers, and no file of consents is read: what the stores
    /// say counts. Nobody is told of erasures: whoever keeps them does that.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(config: Config, stores: Stores) -> Result<Running, StartError> {
        let checked = Checked::read(config)?;
        let listen = Listen { admin: None, metrics: None, ..checked.loaded.config.listen.clone() };
        let sockets = Sockets::bind(&listen, HandedSockets::default())?;
        Box::pin(Self::start_on(checked, stores, None, sockets)).await
    }

    async fn start_on(
        Checked { loaded, seen, tls, renewal, metrics }: Checked,
        stores: Stores,
        embedded: Option<Embedded>,
        sockets: Sockets,
    ) -> Result<Running, StartError> {
        let Loaded { config, policy, upstreams, told, webhooks, keys, identifier, new_issuers } =
            loaded;
        let origins = loaded::origins(&config, &tls);
        let access_log = match &config.access_log {
            LogTarget::Stdout => AccessLog::stdout(&policy.access_log, Arc::clone(&metrics)),
            LogTarget::File(path) => {
                AccessLog::file(path, &policy.access_log, Arc::clone(&metrics))
            }
        };
        let access_log = Arc::new(access_log.map_err(StartError::AccessLog)?);
        for loosening in &config.loosenings {
            Event::Dangerous { key: loosening }.emit(&metrics);
        }
        loosened(&policy, &metrics);
        // From here on disclosures rest on this policy; a ledger that cannot take even this takes none.
        stores.ledger.note(&Note::activation(&policy)).await?;
        Event::PolicyActivated { policy: &policy }.emit(&metrics);

        let addresses = sockets.addresses;
        let pace = Arc::new(Pace::default());
        upstreams.attend();
        let in_force = Arc::new(ArcSwap::from_pointee(Self {
            policy: Arc::clone(&policy),
            identifier,
            registers: stores.registers,
            ledger: Arc::clone(&stores.ledger),
            keys,
            upstreams,
            told,
            webhooks,
            tls: Arc::clone(&tls),
            origins,
            encoding: config.encoding,
            limits: config.limits,
            waits: Arc::default(),
            tags: Arc::default(),
            metrics: Arc::clone(&metrics),
            access_log: Arc::clone(&access_log),
            pace: Arc::clone(&pace),
            rates: Arc::default(),
            budgets: Arc::default(),
            at_once: Arc::default(),
            of_recipients: Arc::default(),
            reports: Arc::new(Semaphore::new(REPORTS)),
        }));
        let policy = Arc::new(ArcSwap::new(policy));
        let (stop, stopping) = watch::channel(false);
        let limits = within(config.limits, getrlimit(Resource::Nofile).current);
        let slots = Arc::new(Semaphore::new(limits.connections));
        let door = Door {
            slots,
            addresses: Arc::default(),
            limits,
            metrics: Arc::clone(&metrics),
            takes_tunnels: false,
            stopping,
        };
        let mut listeners = JoinSet::new();
        listeners.spawn(clients(Arc::clone(&in_force), door.clone(), sockets.https));
        if let Some(listener) = sockets.http {
            let https_port = addresses.https.port();
            let redirect = Redirect { in_force: Arc::clone(&in_force), https_port };
            listeners.spawn(plaintext(Arc::new(redirect), door.clone(), listener));
        }
        let mut upkeep = JoinSet::new();
        upkeep.spawn(pace.keep_forgetting());
        upkeep.spawn(expiry::keep_watching(Arc::clone(&in_force), Arc::clone(&metrics)));
        let calls = Arc::new(Calls::default());
        let mut fetching = Fetching::default();
        fetching.follow(&config, new_issuers);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let now = Timestamp::now();
        metrics.files_good(true, now);
        let backends = Arc::clone(&in_force);
        let backends = move || backends.load().upstreams.document();
        let signing = embedded.as_ref().and_then(|embedded| embedded.checkpoints.as_ref());
        let targets = signing.map(|signing| Arc::clone(signing.targets())).unwrap_or_default();
        let targets = move |now| (targets.document(now), targets.warning());
        let material = Arc::clone(&in_force);
        let material = move || expiry::concern(&material.load().tls, Timestamp::now());
        let standing = Arc::new(Standing::since(now, backends, material).sending(targets));
        let (mut stores_of_ours, mut checkpoints) = (None, None);
        if let Some(embedded) = embedded {
            let Embedded {
                registers,
                feed,
                service,
                place,
                index,
                reports,
                checkpoints: signing,
                retirement,
            } = embedded;
            upkeep.spawn(keep_settling(Arc::clone(&registers), place, Arc::clone(&index)));
            let notifier = Notifier::new(Arc::clone(&registers), Arc::clone(&in_force));
            upkeep.spawn(notifier.keep_telling());
            let feed = Arc::new(ArcSwapOption::new(feed));
            upkeep.spawn(keep_reading(Arc::clone(&feed), Arc::clone(&policy)));
            if let Some(signing) = &signing {
                upkeep.spawn(Arc::clone(signing).keep_signing());
                upkeep.spawn(Arc::clone(signing.targets()).keep_delivering());
            }
            if let Some(retirement) = &retirement {
                upkeep.spawn(Arc::clone(retirement).keep_retiring());
            }
            let ledger = stores.ledger;
            let drain =
                ChangeDrain::new(Arc::clone(&registers), Arc::clone(&ledger), Arc::clone(&metrics));
            let access = Access::new(config.admin.clone(), tls.names.hosts());
            let access = Arc::new(ArcSwap::from_pointee(access));
            stores_of_ours = Some(Fed {
                registers: Arc::clone(&registers),
                feed,
                service,
                index,
                access: Arc::clone(&access),
                checkpoints: signing.clone(),
                retirement,
            });
            checkpoints = signing;
            let state = AdminState {
                policy: Arc::clone(&policy),
                registers,
                consents_elsewhere: config.consent_service.is_some(),
                ledger,
                drain: Arc::new(drain),
                metrics: Arc::clone(&metrics),
                access,
                reports,
                calls: Arc::clone(&calls),
                standing: Arc::clone(&standing),
                stopping: Arc::clone(&is_stopping),
            };
            upkeep.spawn(keep_forgetting_answers(Arc::clone(&state.registers)));
            upkeep.spawn(enter_register_changes(Arc::clone(&state.drain)));
            if let Some(listener) = sockets.admin {
                let router = admin_router(state.clone());
                listeners.spawn(routed(router, Some(Arc::clone(&in_force)), &door, listener));
            }
            if let Some(listener) = sockets.metrics {
                listeners.spawn(routed(metrics_router(state), None, &door, listener));
            }
        }
        let drain_timeout = config.limits.drain_timeout;
        let files = (config, seen, fetching);
        let reloader = Arc::new(Reloader::new(in_force, policy, stores_of_ours, standing, files));
        if let Some(renewal) = renewal {
            upkeep.spawn(renewal.keep_renewing(Arc::clone(&reloader)));
        }
        let mut open = vec![("https", addresses.https)];
        open.extend(addresses.http.map(|address| ("http", address)));
        open.extend(addresses.admin.map(|address| ("admin", address)));
        open.extend(addresses.metrics.map(|address| ("metrics", address)));
        let version = env!("CARGO_PKG_VERSION");
        Event::Started { version, listeners: &open }.emit(&metrics);
        Ok(Running {
            addresses,
            metrics,
            access_log,
            is_stopping,
            stop,
            listeners,
            upkeep,
            calls,
            drain_timeout,
            checkpoints,
            reloader,
        })
    }
}

impl Running {
    /// What is counted so far, in Prometheus' text format: for those who run a gateway within their
    /// own program.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// Reads settings, rules, keys and certificates anew. What does not hold leaves in force what is.
    pub async fn reload(&self) -> Reloaded {
        self.reloader.reload().await
    }

    /// Looks once whether files have changed. They are read at the second look that finds them so,
    /// unless they changed again meanwhile. `None`: nothing was read.
    pub async fn look_at_files(&self) -> Option<Reloaded> {
        self.reloader.look().await
    }

    /// From now on looks at the files once a second.
    pub fn follow_files(&mut self) {
        self.upkeep.spawn(Arc::clone(&self.reloader).keep_looking());
    }

    /// From the next line on the access log's file is opened anew: somebody moved it away.
    pub fn reopen_log(&self) {
        self.access_log.reopen();
    }

    /// Takes no more connections, lets those that are open finish within the drain time-out, and
    /// ends. Returns how many were cut off.
    pub async fn stop(mut self) -> usize {
        Event::Stopping.emit(&self.metrics);
        self.is_stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        let mut unfinished = 0;
        while let Some(ended) = self.listeners.join_next().await {
            unfinished += ended.unwrap_or_default();
        }
        // A call whose client is gone has its entry all the same; one that hangs is not waited for.
        let _ = timeout(self.drain_timeout, self.calls.ended()).await;
        self.upkeep.shutdown().await;
        if let Some(checkpoints) = &self.checkpoints {
            // What was not signed now is when the next gateway starts; the event said so.
            let _ = checkpoints.sign_the_end().await;
            checkpoints.targets().last_call().await;
        }
        Event::Stopped { unfinished }.emit(&self.metrics);
        unfinished
    }
}

/// Says what the rules loosen.
pub(super) fn loosened(policy: &Policy, metrics: &Metrics) {
    let notices = policy.registers.erasure_notices.iter();
    for (recipient, _) in notices.filter(|(_, notice)| notice.plaintext) {
        let key = format!("webhook of {recipient}: people are named across a network in plaintext");
        Event::Dangerous { key: &key }.emit(metrics);
    }
}

/// Enters in the ledger, once a second, what commands changed in the registers.
async fn enter_register_changes(drain: Arc<ChangeDrain>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        // What could not be entered is kept and tried again; the cause has been told where it arose.
        if let Err(error) = drain.run().await {
            tracing::debug!(%error, "changes of the registers wait");
        }
    }
}
