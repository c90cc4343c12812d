//! tamis.yaml → [`Config`], all errors at once.

mod acme;
mod callers;
mod consent_service;
mod encoding;
mod file;
mod forwarding;
mod key_ring;
mod ledger;
mod limits;
mod listen;
mod node;
mod read;
mod registers;
mod reload;
mod rules;
mod targets;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;
mod webhooks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::KeyRingPlace;
use crate::ledger::LedgerPlace;
use crate::minimize::JsonLimits;
use crate::policy::Diagnostics;
use crate::registers::{ConsentServiceSettings, RegisterPlace};
use crate::terms::{Digest, RecipientId, UpstreamId};

pub use crate::https::CertificateFiles;
pub use acme::{AcmeChallenge, AcmeConfig, EabConfig};
pub use callers::AdminConfig;
pub use encoding::AnswerCoding;
pub use forwarding::{ClientAddress, Forwarding, IdentityForwarding, Trace};
pub use listen::{Listen, Network, ProxyProtocol};
pub use reload::{ReloadConfig, Widening};
pub use rules::rules;
pub use targets::{CheckpointTarget, DeliveryMethod};
pub use tls::{TlsConfig, TlsProfile};
pub use upstream::{
    AtOnce, Balance, BreakerConfig, EjectionConfig, HealthConfig, Place, RetryConfig,
    UpstreamConfig, UpstreamProtocol, UpstreamTimeouts, UpstreamTls,
};
pub use webhooks::WebhookConfig;

/// All settings of a gateway, checked. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The rules file.
    pub rules: PathBuf,
    /// The node's name in the ledger.
    pub node: String,
    /// Where to listen.
    pub listen: Listen,
    /// Server certificates; the first is used without SNI.
    pub certificates: Vec<CertificateFiles>,
    /// One more that the gateway gets by itself; `None`: none.
    pub acme: Option<AcmeConfig>,
    /// Authorities that client certificates must come from; `None`: none are asked for.
    pub client_ca: Option<PathBuf>,
    /// What these authorities have revoked; empty: nobody asks.
    pub crls: Vec<PathBuf>,
    /// What clients may speak.
    pub tls: TlsConfig,
    /// Backends by name.
    pub upstreams: BTreeMap<UpstreamId, UpstreamConfig>,
    /// What backends are told of callers.
    pub forwarding: Forwarding,
    /// Token issuers by `iss`.
    pub issuers: BTreeMap<String, IssuerConfig>,
    /// SHA-256 of API keys by reference.
    pub api_keys: BTreeMap<String, Digest>,
    /// How recipients that the rules tell of erasures are reached.
    pub webhooks: BTreeMap<RecipientId, WebhookConfig>,
    /// Where consents are asked for; `None`: they are in the registers.
    pub consent_service: Option<ConsentServiceSettings>,
    /// Where the key ring is.
    pub key_ring: KeyRingPlace,
    /// Where the registers are.
    pub registers: RegisterPlace,
    /// Where the ledger is.
    pub ledger: LedgerPlace,
    /// The key that signs the ledger's checkpoints; `None`: none are signed.
    pub checkpoint_key: Option<PathBuf>,
    /// Where signed checkpoints are sent, by name.
    pub checkpoint_targets: BTreeMap<String, CheckpointTarget>,
    /// Where access-log lines go.
    pub access_log: LogTarget,
    /// Who may call the admin API.
    pub admin: AdminConfig,
    /// Whether answers are encoded as clients accept.
    pub encoding: AnswerCoding,
    /// Bounds.
    pub limits: Limits,
    /// What a reload may do.
    pub reload: ReloadConfig,
    /// What the file loosens with keys that begin with `dangerous_`, in words; logged when it comes into
    /// force.
    pub loosenings: Vec<String>,
}

/// A token issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Where its keys are.
    pub jwks: JwksSource,
    /// The `aud` that tokens must carry.
    pub audience: String,
    /// JOSE algorithm names that are accepted: `RS256`, `ES256`, `EdDSA`.
    pub algorithms: Vec<String>,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A JWK Set file.
    File(PathBuf),
    /// An https URL.
    Url {
        /// Where.
        url: http::Uri,
        /// Authorities that its certificate must come from; `None`: the public ones.
        ca: Option<PathBuf>,
    },
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Bounds on what clients and backends may ask of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bounds of one JSON body.
    pub json: JsonLimits,
    /// Largest body of a backend after decoding, in bytes.
    pub response_body_bytes: u64,
    /// Largest request body, in bytes.
    pub request_body_bytes: u64,
    /// Largest ratio of decoded to encoded bytes.
    pub decompression_ratio: u32,
    /// Longest path and query of a request, in bytes.
    pub target_bytes: usize,
    /// Most header fields of a request.
    pub header_fields: usize,
    /// Largest head of a request, in bytes.
    pub head_bytes: usize,
    /// Longest wait for a request's head.
    pub head_timeout: Duration,
    /// Longest wait for a client to take or send the next piece.
    pub idle_timeout: Duration,
    /// Longest time of one answer, from its request until its client has taken the last piece.
    pub answer_time: Duration,
    /// Longest time in which nothing passes through a tunnel, in either direction.
    pub tunnel_idle: Duration,
    /// Longest time of one tunnel.
    pub tunnel_time: Duration,
    /// How often it is judged again whether a tunnel may go on.
    pub tunnel_check: Duration,
    /// How long requests in flight may go on after a signal to stop.
    pub drain_timeout: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections at once from one address, or from one network of 64 bits of IPv6.
    pub connections_per_address: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Most requests at once, over all connections.
    pub requests: usize,
    /// Most requests of one recipient at once.
    pub recipient_requests: usize,
    /// Requests that one recipient may send a second, in the long run.
    pub recipient_rate: u32,
    /// Requests that one recipient may send at once after it was quiet.
    pub recipient_burst: u32,
    /// An answer that conceals its reason leaves at a whole multiple of this after its request, so
    /// that a refusal out of the registers takes as long as a backend that has no such thing.
    pub concealed_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Nothing of a member is kept once it has passed; this bounds the work of one body.
            json: JsonLimits { members: 20_000_000, ..JsonLimits::default() },
            // A backend that answers with more should page; operators may say otherwise.
            response_body_bytes: 256 << 20,
            request_body_bytes: 1 << 20,
            // JSON compresses 5 to 20 times; a hundred is a bomb or a very dull document.
            decompression_ratio: 100,
            // What everybody must be able to read. Source: RFC 9110 §4.1.
            target_bytes: 8 << 10,
            header_fields: 100,
            head_bytes: 32 << 10,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            // The largest answer, taken at some 450 KB a second.
            answer_time: Duration::from_mins(10),
            // As nginx has it; a client that pings every half minute stays.
            tunnel_idle: Duration::from_mins(1),
            // So that nobody listens for ever on what was decided once, and restarts are not all that
            // makes clients connect again.
            tunnel_time: Duration::from_hours(1),
            // What a withdrawal may take to end what goes on.
            tunnel_check: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            connections: 4096,
            // One address may be many clients behind one router, and must not be all there are.
            connections_per_address: 1024,
            // As Envoy has it at the edge.
            streams: 100,
            requests: 1024,
            // Half of what one backend is asked at once, so that nobody has all of it.
            recipient_requests: 128,
            // Far above what a service asks and below what makes a gateway busy with it alone.
            recipient_rate: 20_000,
            recipient_burst: 20_000,
            concealed_after: Duration::from_millis(50),
        }
    }
}

/// Why a configuration was rejected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file says what it must not; all findings at once.
    #[error("the configuration is rejected")]
    Rejected(Diagnostics),
}

impl Config {
    /// Reads and checks a configuration file. Relative paths in it are taken from its directory.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        file::load(path)
    }
}
