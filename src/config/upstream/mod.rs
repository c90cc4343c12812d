//! `upstreams:` of tamis.yaml: where each backend is, how it is reached, and what it may cost.

mod read;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;

use super::CertificateFiles;

pub(super) use self::read::upstreams;

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://host:port` or `https://host:port`; no path. What it is called by, whatever its addresses.
    pub url: Uri,
    /// Where it is dialled; never empty.
    pub places: Vec<Place>,
    /// How names among them are looked up again.
    pub resolve_every: Duration,
    /// Which of its addresses a request goes to.
    pub balance: Balance,
    /// What is spoken.
    pub protocol: UpstreamProtocol,
    /// How it is known, and how the gateway shows who asks.
    pub tls: UpstreamTls,
    /// Bounds on waiting for it.
    pub timeouts: UpstreamTimeouts,
    /// Bounds on what it is asked at once.
    pub at_once: AtOnce,
    /// How its addresses are looked at; `None`: they are not.
    pub health: Option<HealthConfig>,
    /// When an address is left out after failures; `None`: never.
    pub ejection: Option<EjectionConfig>,
    /// When a request is tried again; `None`: never.
    pub retry: Option<RetryConfig>,
    /// When it is not asked for a while; `None`: it always is.
    pub breaker: Option<BreakerConfig>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Place {
    /// Whether it can only mean this machine.
    fn is_loopback(&self) -> bool {
        let address: Result<IpAddr, _> = self.host.parse();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// Which of several addresses a request goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequests,
    /// Requests about one data subject go to one address.
    Subject,
}

/// What is spoken with a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2 over TLS, agreed on in the handshake (ALPN).
    H2,
    /// HTTP/2 in plaintext, without asking first.
    H2c,
}

impl UpstreamProtocol {
    /// As it stands in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H2c => "h2c",
        }
    }
}

/// TLS towards a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Authorities that its certificate must come from; `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// What these authorities have revoked; empty: nobody asks.
    pub crls: Vec<PathBuf>,
    /// What the gateway shows; `None`: nothing.
    pub certificate: Option<CertificateFiles>,
    /// The name that is asked for (SNI) and must stand in the certificate; `None`: the URL's host.
    pub server_name: Option<String>,
}

impl UpstreamTls {
    /// The files that it is read from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.certificate.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        self.ca.iter().chain(&self.crls).chain(pair).map(PathBuf::as_path)
    }
}

/// How long a backend is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Longest wait for a connection, and for a turn where as many requests as may be are under way.
    pub connect: Duration,
    /// Longest wait for the head of an answer.
    pub response: Duration,
    /// Longest wait between two pieces of its body.
    pub idle: Duration,
    /// Longest that all waits for one answer may be together.
    pub total: Duration,
}

/// How much a backend is asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Requests under way.
    pub requests: usize,
    /// Requests that wait for their turn; those beyond are refused at once.
    pub pending: usize,
    /// Connections to each address.
    pub connections: usize,
}

/// How addresses are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked with `GET`; 2xx is good.
    pub path: PathAndQuery,
    /// How often.
    pub every: Duration,
    /// Longest wait for the answer.
    pub timeout: Duration,
    /// Good answers in a row after which it is asked again.
    pub healthy: u32,
    /// Bad ones in a row after which it is not.
    pub unhealthy: u32,
}

/// When an address is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Failures in a row.
    pub failures: u32,
    /// How long the first time; each time more.
    pub length: Duration,
    /// How long at most.
    pub longest: Duration,
}

/// When a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Attempts, the first among them.
    pub attempts: u32,
    /// Share of the requests of the last ten seconds, in per cent.
    pub percent: u8,
    /// Retries a second that are there whatever that share is.
    pub floor: u32,
}

/// When a backend is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row.
    pub failures: u32,
    /// Share of failures within ten seconds, in per cent.
    pub percent: u8,
    /// Requests within these seconds below which no share is looked at.
    pub requests: u32,
    /// How long, until one request is let through to see.
    pub open: Duration,
}

impl UpstreamConfig {
    /// Whether what it is asked and answers crosses a network that anybody could listen on.
    #[must_use]
    pub fn is_overheard(&self) -> bool {
        self.url.scheme_str() != Some("https") && !self.places.iter().all(Place::is_loopback)
    }
}
