//! tamis.yaml → [`Config`], all errors at once.

mod callers;
mod file;
mod forwarding;
mod node;
mod read;
mod registers;
mod reload;
mod rules;
#[cfg(test)]
mod tests;
mod upstream;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::minimize::JsonLimits;
use crate::policy::Diagnostics;
use crate::registers::RegisterPlace;
use crate::terms::{Digest, RecipientId, UpstreamId};

pub use callers::AdminConfig;
pub use forwarding::{ClientAddress, Forwarding, IdentityForwarding, Trace};
pub use reload::{ReloadConfig, Widening};
pub use rules::rules;
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
    /// Authorities that client certificates must come from; `None`: none are asked for.
    pub client_ca: Option<PathBuf>,
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
    /// The key ring's file.
    pub key_ring: PathBuf,
    /// Where the registers are.
    pub registers: RegisterPlace,
    /// The ledger's directory.
    pub ledger: PathBuf,
    /// The key that signs the ledger's checkpoints; `None`: none are signed.
    pub checkpoint_key: Option<PathBuf>,
    /// Where access-log lines go.
    pub access_log: LogTarget,
    /// Who may call the admin API.
    pub admin: AdminConfig,
    /// Bounds.
    pub limits: Limits,
    /// What a reload may do.
    pub reload: ReloadConfig,
    /// What the file loosens with keys that begin with `dangerous_`, in words; logged when it comes into
    /// force.
    pub loosenings: Vec<String>,
}

/// Addresses to listen on. Port 0 picks a free one, which is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// HTTPS.
    pub https: SocketAddr,
    /// Plaintext, which only redirects; `None`: closed.
    pub http: Option<SocketAddr>,
    /// Admin API, HTTPS; `None`: closed.
    pub admin: Option<SocketAddr>,
    /// Metrics and health, plaintext; `None`: closed.
    pub metrics: Option<SocketAddr>,
}

/// A certificate chain and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, end entity first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
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
    /// Longest wait for a request's head.
    pub head_timeout: Duration,
    /// Longest wait for a client to take or send the next piece.
    pub idle_timeout: Duration,
    /// How long requests in flight may go on after a signal to stop.
    pub drain_timeout: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// An answer that conceals its reason leaves at a whole multiple of this after its request, so
    /// that a refusal out of the registers takes as long as a backend that has no such thing.
    pub concealed_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json: JsonLimits::default(),
            // A backend that answers with more should page; operators may say otherwise.
            response_body_bytes: 256 << 20,
            request_body_bytes: 1 << 20,
            // JSON compresses 5 to 20 times; a hundred is a bomb or a very dull document.
            decompression_ratio: 100,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(30),
            connections: 4096,
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
