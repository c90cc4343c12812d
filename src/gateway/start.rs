//! Setting up and stopping: everything is read and checked before the first connection is taken.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::service::service_fn;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::listener::Door;
use super::redirect::Redirect;
use super::service;
use super::state::Gateway;
use super::tls::{Tls, TlsError};
use super::upstream::Upstreams;
use crate::config::{Config, Listen, LogTarget};
use crate::identity::Identifier;
use crate::keys::{KeyRing, KeyRingError};
use crate::ledger::{FileLedger, Ledger, LedgerUnavailable, Note};
use crate::observe::{AccessLog, Event, Metrics};
use crate::policy::{Diagnostics, Policy};
use crate::registers::{EmbeddedRegisters, Registers, RegistersUnavailable};

/// Why the gateway did not start. Nothing was answered.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The rules cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The rules are rejected; all findings at once.
    #[error("the rules are rejected")]
    Rules(Diagnostics),
    /// A route names a backend that the configuration does not have.
    #[error("route {route} goes to backend {upstream}, which is not configured")]
    Upstream {
        /// The route.
        route: String,
        /// The backend.
        upstream: String,
    },
    /// Certificates, keys or authorities.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The key ring.
    #[error("the key ring cannot be used")]
    Keys(#[from] KeyRingError),
    /// The registers.
    #[error("the registers cannot be opened")]
    Registers(#[from] RegistersUnavailable),
    /// The ledger.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerUnavailable),
    /// The access log.
    #[error("the access log cannot be opened")]
    AccessLog(#[source] io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
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
    stop: watch::Sender<bool>,
    listeners: JoinSet<usize>,
    upkeep: JoinSet<()>,
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
        let policy = policy(&config.rules)?;
        let metrics = Arc::new(Metrics::new());
        let registers = Arc::new(EmbeddedRegisters::open(&config.registers)?);
        let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open(&config.ledger, &config.node)?);
        let stores = Stores {
            registers: Arc::<EmbeddedRegisters>::clone(&registers) as Arc<dyn Registers>,
            ledger: Arc::clone(&ledger),
        };
        let mut running = Self::start_on(config, policy, stores, metrics).await?;
        running.upkeep.spawn(enter_register_changes(registers, ledger));
        Ok(running)
    }

    /// Starts a gateway on stores of the embedder's own. There is no admin listener, since it writes
    /// to the embedded registers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(config: Config, stores: Stores) -> Result<Running, StartError> {
        let policy = policy(&config.rules)?;
        let config = Config { listen: Listen { admin: None, ..config.listen }, ..config };
        Self::start_on(config, policy, stores, Arc::new(Metrics::new())).await
    }

    async fn start_on(
        config: Config,
        policy: Policy,
        stores: Stores,
        metrics: Arc<Metrics>,
    ) -> Result<Running, StartError> {
        let upstreams = Upstreams::new(&config.upstreams)?;
        for route in policy.routes.iter().filter(|route| route.refuses.is_none()) {
            if let Some(upstream) = route.upstream.as_ref().filter(|id| !upstreams.contains(id)) {
                let (route, upstream) = (route.id.to_string(), upstream.to_string());
                return Err(StartError::Upstream { route, upstream });
            }
        }
        let tls = Tls::new(&config.certificates, config.client_ca.as_deref())?;
        let keys = Arc::new(KeyRing::open(&config.key_ring)?);
        let access_log = match &config.access_log {
            LogTarget::Stdout => AccessLog::stdout(Arc::clone(&metrics)),
            LogTarget::File(path) => AccessLog::file(path, Arc::clone(&metrics)),
        };
        let access_log = Arc::new(access_log.map_err(StartError::AccessLog)?);
        for loosening in &config.loosenings {
            Event::Dangerous { key: loosening }.emit(&metrics);
        }
        // From here on disclosures rest on this policy; a ledger that cannot take even this takes none.
        stores.ledger.note(&Note::activation(&policy)).await?;
        Event::PolicyActivated { policy: &policy }.emit(&metrics);

        let sockets = Sockets::bind(&config.listen).await?;
        let addresses = sockets.addresses;
        let gateway = Arc::new(Self {
            policy: ArcSwap::from_pointee(policy),
            identifier: identifier(&config),
            registers: stores.registers,
            ledger: stores.ledger,
            keys,
            upstreams,
            names: tls.names.clone(),
            limits: config.limits,
            metrics: Arc::clone(&metrics),
            access_log,
        });
        let (stop, stopping) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(connections(config.limits.connections)));
        let door = Door { slots, limits: config.limits, metrics: Arc::clone(&metrics), stopping };
        let mut listeners = JoinSet::new();
        listeners.spawn(clients(Arc::clone(&gateway), door.clone(), &tls, sockets.https));
        if let Some(listener) = sockets.http {
            let https_port = addresses.https.port();
            let redirect = Redirect { names: tls.names, https_port };
            listeners.spawn(plaintext(Arc::new(redirect), door, listener));
        }
        let mut open = vec![("https", addresses.https)];
        open.extend(addresses.http.map(|address| ("http", address)));
        open.extend(addresses.admin.map(|address| ("admin", address)));
        open.extend(addresses.metrics.map(|address| ("metrics", address)));
        let version = env!("CARGO_PKG_VERSION");
        Event::Started { version, listeners: &open }.emit(&metrics);
        Ok(Running { addresses, metrics, stop, listeners, upkeep: JoinSet::new() })
    }
}

impl Running {
    /// Takes no more connections, lets those that are open finish within the drain time-out, and
    /// ends. Returns how many were cut off.
    pub async fn stop(mut self) -> usize {
        Event::Stopping.emit(&self.metrics);
        self.stop.send_replace(true);
        let mut unfinished = 0;
        while let Some(ended) = self.listeners.join_next().await {
            unfinished += ended.unwrap_or_default();
        }
        self.upkeep.shutdown().await;
        Event::Stopped { unfinished }.emit(&self.metrics);
        unfinished
    }
}

fn policy(path: &Path) -> Result<Policy, StartError> {
    let text =
        fs::read_to_string(path).map_err(|error| StartError::Unreadable(path.to_owned(), error))?;
    Policy::parse(&path.display().to_string(), &text).map_err(StartError::Rules)
}

fn identifier(config: &Config) -> Identifier {
    let _ = config;
    Identifier { issuers: HashMap::new(), api_keys: crate::identity::ApiKeys::default() }
}

/// Bound sockets.
struct Sockets {
    addresses: Addresses,
    https: TcpListener,
    http: Option<TcpListener>,
    admin: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Sockets {
    async fn bind(listen: &Listen) -> Result<Self, StartError> {
        let https = bind(listen.https).await?;
        let http = bind_optional(listen.http).await?;
        let admin = bind_optional(listen.admin).await?;
        let metrics = bind_optional(listen.metrics).await?;
        let address = |listener: &Option<(TcpListener, SocketAddr)>| {
            listener.as_ref().map(|(_, address)| *address)
        };
        let addresses = Addresses {
            https: https.1,
            http: address(&http),
            admin: address(&admin),
            metrics: address(&metrics),
        };
        let socket =
            |listener: Option<(TcpListener, SocketAddr)>| listener.map(|(socket, _)| socket);
        let (http, admin, metrics) = (socket(http), socket(admin), socket(metrics));
        Ok(Self { addresses, https: https.0, http, admin, metrics })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

async fn bind_optional(
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// How many connections are held at once: what is configured, and no more than the process has
/// descriptors for. Each may need one more towards a backend, and stores and logs need theirs.
fn connections(configured: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = usize::try_from(descriptors.saturating_sub(RESERVED) / 2).unwrap_or(usize::MAX);
    configured.min(most.max(1))
}

/// Descriptors for listeners, ledger, registers, logs and key files.
const RESERVED: u64 = 96;

fn clients(
    gateway: Arc<Gateway>,
    door: Door,
    tls: &Tls,
    listener: TcpListener,
) -> impl Future<Output = usize> + use<> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.public));
    let inner = door.clone();
    door.accept(listener, move |stream, address| {
        service::connection(Arc::clone(&gateway), inner.clone(), acceptor.clone(), stream, address)
    })
}

fn plaintext(
    redirect: Arc<Redirect>,
    door: Door,
    listener: TcpListener,
) -> impl Future<Output = usize> {
    let inner = door.clone();
    door.accept(listener, move |stream, _: SocketAddr| {
        let redirect = Arc::clone(&redirect);
        let service = service_fn(move |request| {
            std::future::ready(Ok::<_, std::convert::Infallible>(redirect.answer(&request)))
        });
        inner.clone().http::<TcpStream, _, _>(stream, false, service)
    })
}

/// Enters in the ledger, once a second, what commands and the admin API changed in the registers.
async fn enter_register_changes(registers: Arc<EmbeddedRegisters>, ledger: Arc<dyn Ledger>) {
    let _ = (registers, ledger);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
    }
}
