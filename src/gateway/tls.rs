//! TLS: 1.2 and 1.3 with authenticated encryption and forward secrecy only, by aws-lc-rs.
//!
//! No early data, so nothing can be replayed. Client certificates are asked for when there are
//! authorities to judge them by; one that does not verify ends the handshake, none at all is left to
//! the other ways of telling who asks. Source: RFC 9325.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::{
    CertificateError, HandshakeKind, KeyLog, NoKeyLog, ProtocolVersion, ServerConfig,
    SupportedCipherSuite, SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::acme::{self, Challenged, Challenges};
use super::authorities::{Authorities, Before, Files};
use super::authority::Names;
use super::certificates::{ByName, Served};
use super::key_log::KeyLogFile;
use super::revocation::CrlFault;
use super::vouched::{Vouched, Vouching};
use crate::config::{AcmeChallenge, AcmeConfig, CertificateFiles, Config, TlsProfile};
use crate::https::pem::{self, PemError};
use crate::observe::TlsVersion;
use crate::terms::Digest;

/// Versions that are spoken, in both directions.
pub(super) static VERSIONS: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Versions that clients may speak: what profile and rules both allow.
fn versions(profile: TlsProfile, only_1_3: bool) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match profile {
        TlsProfile::Intermediate if !only_1_3 => VERSIONS,
        TlsProfile::Intermediate | TlsProfile::Modern => ONLY_1_3,
    }
}

/// Suites of both profiles: which of them a handshake takes is for its version and the client to say.
/// Source: Mozilla, "Server Side TLS" 5.8; without those that exchange keys over finite fields, which
/// rustls does not have.
static SUITES: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// HTTP versions offered to clients.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be set up. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds nothing that is looked for.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Certificate and key do not belong together, or are of no use.
    #[error("certificate and key do not fit: {}", .0.display())]
    Pair(PathBuf, #[source] rustls::Error),
    /// A certificate carries no name under which it could be asked for.
    #[error("certificate names no host: {}", .0.display())]
    Nameless(PathBuf),
    /// The authorities of client certificates are of no use.
    #[error("client authorities cannot be used: {}", .0.display())]
    ClientAuthorities(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A list of revoked certificates cannot be relied on.
    #[error("the list of revoked certificates {} cannot be relied on", .0.display())]
    Crl(PathBuf, #[source] CrlFault),
    /// An authority keeps no list, so that its certificates would all be refused.
    #[error("`crls` has no list of one of the authorities in {}; its certificates would all be refused", .0.display())]
    NoCrl(PathBuf),
    /// Clients take this certificate only with an answer of its authority, and none is named.
    #[error(
        "{} says that it counts only with an answer of its authority (must-staple); name it as `ocsp`",
        .0.display()
    )]
    NothingToStaple(PathBuf),
    /// Clients take this certificate only with an answer of its authority, and the one there is no use.
    #[error(
        "{} says that it counts only with an answer of its authority (must-staple), and {} cannot be \
         sent: {}",
        .0.display(), .1.display(), .2
    )]
    MustStaple(PathBuf, PathBuf, &'static str),
    /// Session keys cannot be written.
    #[error("session keys cannot be written to {}", .0.display())]
    KeyLog(PathBuf, #[source] std::io::Error),
    /// The provider does not speak the versions.
    #[error("TLS versions are not available")]
    Versions(#[source] rustls::Error),
}

impl TlsError {
    /// What of TLS it is about, by the name of its setting.
    pub(super) const fn part(&self) -> &'static str {
        match self {
            Self::ClientAuthorities(..) => CLIENT_CA,
            Self::Crl(..) | Self::NoCrl(_) => CRLS,
            Self::Pem(..)
            | Self::Pair(..)
            | Self::Nameless(_)
            | Self::NothingToStaple(_)
            | Self::MustStaple(..)
            | Self::KeyLog(..)
            | Self::Versions(_) => CERTIFICATES,
        }
    }
}

/// Parts of TLS, as they are told.
pub(super) const CERTIFICATES: &str = "certificates";
const CLIENT_CA: &str = "client_ca";
pub(super) const CRLS: &str = "crls";

/// The one crypto provider of the process. What is recorded today may be read by tomorrow's quantum
/// computers, so the hybrid exchange goes first.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let kx_groups =
        vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups,
        ..aws_lc_rs::default_provider()
    })
}

/// The server's side of TLS, and the names it answers to.
pub(super) struct Tls {
    /// For clients of the API.
    pub(super) public: Side,
    /// For the admin listener: the same certificates, and its own authorities of clients.
    pub(super) admin: Side,
    /// The certificates.
    pub(super) served: Arc<ByName>,
    /// What an authority asks, to see that names are ours; the same over all reloads.
    pub(super) challenges: Arc<Challenges>,
    /// Where the certificate will be that is to be got, as long as there is none.
    pub(super) awaited: Option<PathBuf>,
    /// The names in them.
    pub(super) names: Names,
    inputs: Inputs,
}

/// Over what it was read from. A key belongs to its certificate.
#[derive(Clone)]
struct Inputs {
    /// Versions, and the file of session keys.
    base: Vec<u8>,
    /// With that, and with answers of authorities.
    certificates: Digest,
    client_ca: Digest,
    crls: Digest,
}

/// One listener's side.
#[derive(Clone)]
pub(super) struct Side {
    /// What handshakes are made with.
    pub(super) config: Arc<ServerConfig>,
    /// Who vouches for its clients.
    pub(super) vouching: Arc<Vouching>,
}

/// What handshakes are made with before a reload.
#[derive(Clone, Copy)]
pub(super) struct InForce<'a> {
    /// That.
    pub(super) tls: &'a Tls,
    /// What certificates and authorities came with is not taken: nobody vouches who did not before.
    pub(super) is_bound: bool,
}

/// What was read while something is in force already.
pub(super) struct Anew {
    /// All that is good, and what is in force in place of the rest; `None`: nothing could be made of it.
    pub(super) tls: Option<Tls>,
    /// Why the rest is refused.
    pub(super) refused: Vec<TlsError>,
}

impl Anew {
    /// What was read another way before was refused as well; each reason is told once.
    pub(super) fn after(mut self, before: Self) -> Self {
        let told: Vec<String> = self.refused.iter().map(ToString::to_string).collect();
        let others = before.refused.into_iter();
        self.refused.extend(others.filter(|fault| !told.contains(&fault.to_string())));
        self
    }
}

impl Tls {
    /// Reads certificates, authorities and what these have revoked; all of it is good.
    pub(super) fn new(config: &Config, only_1_3: bool) -> Result<Self, TlsError> {
        Self::read(config, only_1_3, None, &mut Vec::new())
    }

    /// Reads them anew, each part apart: what is refused gives way to what is in force in its place.
    pub(super) fn anew(config: &Config, only_1_3: bool, in_force: InForce<'_>) -> Anew {
        let mut refused = Vec::new();
        let tls = Self::read(config, only_1_3, Some(in_force), &mut refused);
        let tls = tls.map_err(|error| refused.push(error)).ok();
        Anew { tls, refused }
    }

    /// Which parts are others than in `before`.
    pub(super) fn differs(&self, before: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.inputs, &before.inputs);
        let parts = [
            (CERTIFICATES, new.certificates != old.certificates),
            (CLIENT_CA, new.client_ca != old.client_ca),
            (CRLS, new.crls != old.crls),
        ];
        parts.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
    }

    fn read(
        config: &Config,
        only_1_3: bool,
        in_force: Option<InForce<'_>>,
        refused: &mut Vec<TlsError>,
    ) -> Result<Self, TlsError> {
        let now = Timestamp::now();
        let served = served(config, in_force, now, refused);
        let mut base = format!("{:?}", versions(config.tls.profile, only_1_3)).into_bytes();
        let key_log: Arc<dyn KeyLog> = match &config.tls.dangerous_key_log {
            None => Arc::new(NoKeyLog),
            Some(file) => {
                base.extend_from_slice(file.as_os_str().as_encoded_bytes());
                match (KeyLogFile::open(file), in_force) {
                    (Ok(opened), _) => Arc::new(opened),
                    (Err(error), Some(before)) => {
                        refused.push(TlsError::KeyLog(file.clone(), error));
                        Arc::clone(&before.tls.public.config.key_log)
                    }
                    (Err(error), None) => return Err(TlsError::KeyLog(file.clone(), error)),
                }
            }
        };
        let mut read = |ca: Option<&Path>, crls: &[PathBuf], side: fn(&Self) -> &Side| {
            let Some(authorities) = ca else { return Authorities::default() };
            let before = in_force.map(|InForce { tls, is_bound }| {
                let vouching = &side(tls).vouching;
                Before { authorities: vouching.authorities(), crls: vouching.crls(), is_bound }
            });
            let (read, faults) = Authorities::read(Files { authorities, crls }, before, now);
            refused.extend(faults.into_iter().map(|fault| match fault {
                TlsError::Pem(error) => {
                    let (file, why) = error.into_parts();
                    TlsError::ClientAuthorities(file, why)
                }
                other => other,
            }));
            read
        };
        let public = read(config.client_ca.as_deref(), &config.crls, |tls| &tls.public);
        let admin = &config.admin;
        let admin = read(admin.client_ca.as_deref(), &admin.crls, |tls| &tls.admin);
        // A start has nothing to fall back on.
        if in_force.is_none() && !refused.is_empty() {
            return Err(refused.remove(0));
        }

        let (mut client_ca, mut crls) = (Vec::new(), Vec::new());
        for side in [&public, &admin] {
            note(&mut client_ca, "authorities", &side.all);
            note(&mut crls, "lists", side.crls.ders());
        }
        let (client_ca, crls) = (Digest::of(&client_ca), Digest::of(&crls));
        let inputs = Inputs { certificates: served.digest(&base), base, client_ca, crls };
        let challenges =
            in_force.map(|before| Arc::clone(&before.tls.challenges)).unwrap_or_default();
        let awaited = awaited(config, in_force);
        let names = served.names();
        let served = Arc::new(served);
        let (resolver, protocols) = shown(&served, &challenges, config.acme.as_ref());
        let listening = Listening { versions: versions(config.tls.profile, only_1_3), key_log };
        let public = listening.side(public, resolver, protocols)?;
        let admin = listening.side(admin, Arc::<ByName>::clone(&served), &ALPN)?;
        Ok(Self { public, admin, served, challenges, awaited, names, inputs })
    }

    /// With the certificate that was got anew, and all else as it is.
    pub(super) fn renewed(&self, acme: &AcmeConfig) -> Result<Self, TlsError> {
        let own = acme.certificate();
        let own = Served::new(&own, pair(&own)?, &provider(), Timestamp::now().as_second())?;
        let mut all = self.served.0.clone();
        match all.iter_mut().find(|served| served.file == own.file) {
            Some(before) => *before = Arc::new(own),
            None => all.push(Arc::new(own)),
        }
        let served = ByName(all);
        let (names, certificates) = (served.names(), served.digest(&self.inputs.base));
        let inputs = Inputs { certificates, ..self.inputs.clone() };
        let (served, challenges) = (Arc::new(served), Arc::clone(&self.challenges));
        let (resolver, _) = shown(&served, &challenges, Some(acme));
        let public = self.public.showing(resolver);
        let admin = self.admin.showing(Arc::<ByName>::clone(&served));
        Ok(Self { public, admin, served, challenges, awaited: None, names, inputs })
    }
}

impl Side {
    fn showing(&self, resolver: Arc<dyn ResolvesServerCert>) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = resolver;
        Self { config: Arc::new(config), vouching: Arc::clone(&self.vouching) }
    }
}

/// Where the certificate will be that is to be got, as long as there is none.
fn awaited(config: &Config, in_force: Option<InForce<'_>>) -> Option<PathBuf> {
    let file = config.acme.as_ref()?.certificate().chain;
    // One that is in force is not given up because its file cannot be seen.
    let may_wait = in_force.is_none_or(|before| before.tls.awaited.is_some());
    (may_wait && !file.exists()).then_some(file)
}

/// All certificates. One that is refused gives way to the one in force from the same file; where there is
/// none, all that are in force stay, since nobody knows in whose place it was to come.
fn served(
    config: &Config,
    in_force: Option<InForce<'_>>,
    now: Timestamp,
    refused: &mut Vec<TlsError>,
) -> ByName {
    let own = config.acme.as_ref().map(AcmeConfig::certificate);
    let own = own.filter(|_| awaited(config, in_force).is_none());
    let before = in_force.map(|before| before.tls.served.0.as_slice()).unwrap_or_default();
    let (mut all, mut is_whole) = (Vec::new(), true);
    for files in config.certificates.iter().chain(&own) {
        let read = pair(files)
            .and_then(|pair| Served::new(files, pair, &provider(), now.as_second()).map(Arc::new));
        let read = read.map_err(|fault| refused.push(fault)).ok();
        let kept = || before.iter().find(|served| served.file == files.chain).cloned();
        match read.or_else(kept) {
            Some(served) => all.push(served),
            None => is_whole = false,
        }
    }
    ByName(if is_whole { all } else { before.to_vec() })
}

/// What clients are shown, and the protocols that they may speak.
fn shown(
    served: &Arc<ByName>,
    challenges: &Arc<Challenges>,
    acme: Option<&AcmeConfig>,
) -> (Arc<dyn ResolvesServerCert>, &'static [&'static [u8]]) {
    const ASKED: [&[u8]; 3] = [ALPN[0], ALPN[1], acme::ALPN];
    if acme.is_some_and(|acme| acme.challenge == AcmeChallenge::TlsAlpn01) {
        let (served, challenges) = (Arc::clone(served), Arc::clone(challenges));
        (Arc::new(Challenged { served, challenges }), &ASKED)
    } else {
        (Arc::<ByName>::clone(served), &ALPN)
    }
}

/// A chain and the key that goes with it, as they stand in the files.
pub(super) fn pair(
    files: &CertificateFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    Ok((pem::certificates(&files.chain)?, pem::key(&files.key)?))
}

/// Adds these parts to what a digest is made of.
pub(super) fn note(inputs: &mut Vec<u8>, what: &str, parts: impl IntoIterator<Item: AsRef<[u8]>>) {
    inputs.extend_from_slice(format!("\n{what}").as_bytes());
    for part in parts {
        inputs.extend_from_slice(format!(" {}:", part.as_ref().len()).as_bytes());
        inputs.extend_from_slice(part.as_ref());
    }
}

/// What all listeners share.
struct Listening {
    versions: &'static [&'static SupportedProtocolVersion],
    key_log: Arc<dyn KeyLog>,
}

impl Listening {
    fn side(
        &self,
        authorities: Authorities,
        resolver: Arc<dyn ResolvesServerCert>,
        protocols: &[&[u8]],
    ) -> Result<Side, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .map_err(TlsError::Versions)?;
        let vouching = authorities.of_clients()?;
        let builder = match vouching.verifier() {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        config.key_log = Arc::clone(&self.key_log);
        Ok(Side { config: Arc::new(config), vouching: Arc::new(vouching) })
    }
}

/// What the handshake established.
pub(super) struct Handshake {
    /// The name that the client asked for.
    pub(super) server_name: Option<String>,
    /// The client's certificate, verified by those who vouched for clients then.
    pub(super) certificate: Option<Vouched>,
    /// Whether HTTP/2 was agreed.
    pub(super) is_http2: bool,
    /// Whether an authority looked for its answer: then the connection has served its turn.
    pub(super) is_challenge: bool,
    /// The version spoken.
    pub(super) version: Option<TlsVersion>,
}

impl Handshake {
    /// Reads it from a connection whose handshake is complete.
    pub(super) fn of(stream: &TlsStream<TcpStream>, side: &Side) -> Self {
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates();
        // Whoever resumes a session shows nothing: what is known of the certificate is as old as that.
        let is_shown = connection.handshake_kind() != Some(HandshakeKind::Resumed);
        Self {
            server_name: connection.server_name().map(str::to_owned),
            certificate: chain.and_then(|chain| Vouched::new(chain, &side.vouching, is_shown)),
            is_http2: connection.alpn_protocol() == Some(b"h2"),
            is_challenge: connection.alpn_protocol() == Some(acme::ALPN),
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::V1_2),
                Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::V1_3),
                Some(_) | None => None,
            },
        }
    }
}

/// The kind of a failed handshake, for the metric.
pub(super) fn failure(error: &std::io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(_)) => "alert",
        Some(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => "revoked",
        Some(
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownRevocationStatus
                | CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. },
            )
            | rustls::Error::InvalidCertRevocationList(_),
        ) => "revocation-unknown",
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            "certificate"
        }
        Some(_) => "protocol",
        None => "io",
    }
}
