//! TLS: 1.2 and 1.3 with authenticated encryption and forward secrecy only, by aws-lc-rs.
//!
//! No early data, so nothing can be replayed. Client certificates are asked for when there are
//! authorities to judge them by; one that does not verify ends the handshake, none at all is left to
//! the other ways of telling who asks. Source: RFC 9325.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{
    CertificateError, HandshakeKind, KeyLog, NoKeyLog, ProtocolVersion, RootCertStore,
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::acme::{self, Challenged, Challenges};
use super::authority::Names;
use super::certificates::{ByName, Served};
use super::key_log::KeyLogFile;
use super::revocation::{CrlFault, Crls, NotTheirs};
use super::vouched::{Vouched, Vouching};
use crate::config::{AcmeChallenge, AcmeConfig, CertificateFiles, Config, TlsProfile};
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
    #[error("cannot read certificates or a key from {}", .0.display())]
    Pem(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// Over certificates, authorities and versions: a key belongs to its certificate.
    pub(super) inputs: Digest,
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

impl Tls {
    /// Reads certificates, authorities and what these have revoked.
    pub(super) fn new(
        config: &Config,
        only_1_3: bool,
        in_force: Option<InForce<'_>>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let now = Timestamp::now();
        let mut names = Names::default();
        let mut all = Vec::new();
        let mut inputs = format!("{:?}", versions(config.tls.profile, only_1_3)).into_bytes();
        let own = config.acme.as_ref().map(AcmeConfig::certificate);
        let awaited = own.as_ref().map(|own| own.chain.clone()).filter(|file| !file.exists());
        // One that is in force is not given up because its file cannot be seen.
        let may_wait = in_force.as_ref().is_none_or(|before| before.tls.awaited.is_some());
        let awaited = awaited.filter(|_| may_wait);
        let own = own.filter(|_| awaited.is_none());
        for files in config.certificates.iter().chain(&own) {
            let served = Served::new(files, pair(files)?, &provider, now.as_second())?;
            note(&mut inputs, "certificate", &served.chain);
            let answer = served.staple.as_ref().and_then(|staple| staple.answer.as_ref().ok());
            note(&mut inputs, "answer", answer.map(|answer| &answer.der));
            names.extend(served.names.clone());
            all.push(served);
        }
        let key_log: Arc<dyn KeyLog> = match &config.tls.dangerous_key_log {
            None => Arc::new(NoKeyLog),
            Some(file) => {
                inputs.extend_from_slice(file.as_os_str().as_encoded_bytes());
                let opened = KeyLogFile::open(file);
                Arc::new(opened.map_err(|error| TlsError::KeyLog(file.clone(), error))?)
            }
        };
        let served = Arc::new(ByName(all));
        let listening = Listening {
            provider: &provider,
            versions: versions(config.tls.profile, only_1_3),
            key_log: &key_log,
        };
        let mut read = |ca, crls: &[PathBuf], in_force: Option<(&Side, bool)>| {
            let read = Authorities::read(ca, crls, in_force, now)?;
            note(&mut inputs, "authorities", read.iter().flat_map(|read| &read.all));
            note(&mut inputs, "lists", read.iter().flat_map(|read| read.crls.ders()));
            Ok::<_, TlsError>(read)
        };
        let before = |side: fn(&Tls) -> &Side| {
            in_force.map(|InForce { tls, is_bound }| (side(tls), is_bound))
        };
        let public = read(config.client_ca.as_deref(), &config.crls, before(|tls| &tls.public))?;
        let admin = &config.admin;
        let admin = read(admin.client_ca.as_deref(), &admin.crls, before(|tls| &tls.admin))?;
        let challenges =
            in_force.map(|before| Arc::clone(&before.tls.challenges)).unwrap_or_default();
        let is_asked = |acme: &AcmeConfig| acme.challenge == AcmeChallenge::TlsAlpn01;
        let public = if config.acme.as_ref().is_some_and(is_asked) {
            let (served, challenges) = (Arc::clone(&served), Arc::clone(&challenges));
            let resolver = Arc::new(Challenged { served, challenges });
            listening.side(public, resolver, &[ALPN[0], ALPN[1], acme::ALPN])?
        } else {
            listening.side(public, Arc::<ByName>::clone(&served), &ALPN)?
        };
        let admin = listening.side(admin, Arc::<ByName>::clone(&served), &ALPN)?;
        let inputs = Digest::of(&inputs);
        Ok(Self { public, admin, served, challenges, awaited, names, inputs })
    }
}

/// A chain and the key that goes with it, as they stand in the files.
pub(super) fn pair(
    files: &CertificateFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = pems(&files.chain)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::Pem(files.key.clone(), error.into()))?;
    Ok((chain, key))
}

fn note(inputs: &mut Vec<u8>, what: &str, parts: impl IntoIterator<Item: AsRef<[u8]>>) {
    inputs.extend_from_slice(format!("\n{what}").as_bytes());
    for part in parts {
        inputs.extend_from_slice(format!(" {}:", part.as_ref().len()).as_bytes());
        inputs.extend_from_slice(part.as_ref());
    }
}

/// Authorities of client certificates, of each listener its own: a recipient's certificate opens no
/// admin API.
struct Authorities<'a> {
    file: &'a Path,
    all: Vec<CertificateDer<'static>>,
    crls: Crls,
}

impl<'a> Authorities<'a> {
    /// `None`: no certificate is asked for.
    fn read(
        file: Option<&'a Path>,
        crls: &[PathBuf],
        in_force: Option<(&Side, bool)>,
        now: Timestamp,
    ) -> Result<Option<Self>, TlsError> {
        let Some(file) = file else { return Ok(None) };
        let mut all = pems::<CertificateDer<'static>>(file)?;
        if let Some((before, true)) = in_force {
            before.vouching.bound(&mut all);
        }
        let before = in_force.map(|(side, _)| side.vouching.crls());
        let crls = lists((crls, before, now), (file, &all))?;
        Ok(Some(Self { file, all, crls }))
    }

    fn vouching(self, provider: &Arc<CryptoProvider>) -> Result<Vouching, TlsError> {
        let Self { file, all, crls } = self;
        let mut of = Vec::new();
        note(&mut of, "authorities", &all);
        note(&mut of, "lists", crls.ders());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(trusted(file, all.clone())?),
            Arc::clone(provider),
        )
        .with_crls(crls.ders())
        .enforce_revocation_expiration()
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::ClientAuthorities(file.to_owned(), error.into()))?;
        Ok(Vouching::by(verifier, all, crls, Digest::of(&of)))
    }
}

/// What all listeners share.
struct Listening<'a> {
    provider: &'a Arc<CryptoProvider>,
    versions: &'a [&'static SupportedProtocolVersion],
    key_log: &'a Arc<dyn KeyLog>,
}

impl Listening<'_> {
    fn side(
        &self,
        authorities: Option<Authorities<'_>>,
        resolver: Arc<dyn ResolvesServerCert>,
        protocols: &[&[u8]],
    ) -> Result<Side, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(self.versions)
            .map_err(TlsError::Versions)?;
        let vouching = authorities.map(|authorities| authorities.vouching(self.provider));
        let vouching = vouching.transpose()?.unwrap_or_else(Vouching::nobody);
        let builder = match vouching.verifier() {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        config.key_log = Arc::clone(self.key_log);
        Ok(Side { config: Arc::new(config), vouching: Arc::new(vouching) })
    }
}

/// Authorities from a PEM file; all of them must be usable.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    trusted(file, pems(file)?)
}

/// Lists that can be relied on, of these authorities.
fn lists(
    (files, in_force, now): (&[PathBuf], Option<&Crls>, Timestamp),
    (authorities, all): (&Path, &[CertificateDer<'_>]),
) -> Result<Crls, TlsError> {
    let read = Crls::read(files, in_force, now);
    let read = read.map_err(|(file, fault)| TlsError::Crl(file, fault))?;
    read.of(all, &provider()).map_err(|fault| match fault {
        NotTheirs::Signature(file) => TlsError::Crl(file, CrlFault::Signature),
        NotTheirs::Missing => TlsError::NoCrl(authorities.to_owned()),
    })
}

/// Judges certificates of a backend by these authorities and by what they have revoked.
pub(super) fn unrevoked(
    file: &Path,
    crls: &[PathBuf],
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let all = pems::<CertificateDer<'static>>(file)?;
    let crls = lists((crls, None, Timestamp::now()), (file, &all))?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(trusted(file, all)?), provider())
        .with_crls(crls.ders())
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| TlsError::Pem(file.to_owned(), error.into()))
}

fn trusted(
    file: &Path,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate).map_err(|error| TlsError::Pem(file.to_owned(), error.into()))?;
    }
    Ok(roots)
}

fn pems<T: rustls::pki_types::pem::PemObject>(file: &Path) -> Result<Vec<T>, TlsError> {
    let unreadable =
        |error: rustls::pki_types::pem::Error| TlsError::Pem(file.to_owned(), error.into());
    let found: Vec<T> = T::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if found.is_empty() {
        return Err(unreadable(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
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
