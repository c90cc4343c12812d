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
