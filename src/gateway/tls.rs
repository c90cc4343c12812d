//! TLS: 1.2 and 1.3 with authenticated encryption and forward secrecy only, by aws-lc-rs.
//!
//! No early data, so nothing can be replayed. Client certificates are asked for when there are
//! authorities to judge them by; one that does not verify ends the handshake, none at all is left to
//! the other ways of telling who asks. Source: RFC 9325.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::authority::Names;
use super::vouched::{Vouched, Vouching};
use crate::config::CertificateFiles;
use crate::observe::TlsVersion;
use crate::terms::Digest;

/// Versions that are spoken, in both directions.
pub(super) static VERSIONS: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Versions that clients may speak.
pub(super) fn versions(only_1_3: bool) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    if only_1_3 { ONLY_1_3 } else { VERSIONS }
}

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
    /// The provider does not speak the versions.
    #[error("TLS versions are not available")]
    Versions(#[source] rustls::Error),
}

/// The one crypto provider of the process.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The server's side of TLS, and the names it answers to.
pub(super) struct Tls {
    /// For clients of the API.
    pub(super) public: Side,
    /// For the admin listener: the same certificates, and its own authorities of clients.
    pub(super) admin: Side,
    /// The names in the certificates.
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

impl Tls {
    /// Reads certificates and authorities. Where what they came with is not taken, nobody vouches who
    /// did not `before`.
    pub(super) fn new(
        certificates: &[CertificateFiles],
        authorities: Authorities<'_>,
        versions: &[&'static SupportedProtocolVersion],
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let mut names = Names::default();
        let mut resolver = ByName(Vec::new());
        let mut inputs = format!("{versions:?}").into_bytes();
        for files in certificates {
            let (chain, key) = pair(files)?;
            note(&mut inputs, "certificate", &chain);
            let own = chain.first().map(|certificate| Names::of(certificate)).unwrap_or_default();
            if own == Names::default() {
                return Err(TlsError::Nameless(files.chain.clone()));
            }
            names.extend(own.clone());
            let pair = CertifiedKey::from_der(chain, key, &provider)
                .map_err(|error| TlsError::Pair(files.chain.clone(), error))?;
            resolver.0.push((own, Arc::new(pair)));
        }
        let resolver = Arc::new(resolver);
        let mut listener = |file: Option<&Path>, before: Option<&Side>| {
            let authorities = file.map(|file| Ok((file, pems::<CertificateDer<'static>>(file)?)));
            let mut authorities = authorities.transpose()?;
            if let (Some((_, read)), Some(before)) = (&mut authorities, before) {
                before.vouching.bound(read);
            }
            let read = authorities.as_ref().map(|(_, read)| read.as_slice());
            note(&mut inputs, "authorities", read.unwrap_or_default());
            listener(&provider, authorities, versions, &resolver)
        };
        let public = listener(authorities.recipients, before.map(|before| &before.public))?;
        let admin = listener(authorities.callers, before.map(|before| &before.admin))?;
        Ok(Self { public, admin, names, inputs: Digest::of(&inputs) })
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

fn note(inputs: &mut Vec<u8>, what: &str, certificates: &[CertificateDer<'_>]) {
    inputs.extend_from_slice(format!("\n{what} {}", certificates.len()).as_bytes());
    for certificate in certificates {
        inputs.extend_from_slice(format!(" {}:", certificate.len()).as_bytes());
        inputs.extend_from_slice(certificate);
    }
}

/// Authorities of client certificates, of each listener its own: a recipient's certificate opens no
/// admin API. `None`: no certificate is asked for.
#[derive(Clone, Copy)]
pub(super) struct Authorities<'a> {
    /// Of those who are disclosed to.
    pub(super) recipients: Option<&'a Path>,
    /// Of those who call the admin API.
    pub(super) callers: Option<&'a Path>,
}

fn listener(
    provider: &Arc<CryptoProvider>,
    client_ca: Option<(&Path, Vec<CertificateDer<'static>>)>,
    versions: &[&'static SupportedProtocolVersion],
    resolver: &Arc<ByName>,
) -> Result<Side, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Versions)?;
    let (builder, vouching) = match client_ca {
        None => (builder.with_no_client_auth(), Vouching::nobody()),
        Some((file, authorities)) => {
            let unusable = |error| TlsError::ClientAuthorities(file.to_owned(), error);
            let mut of = Vec::new();
            note(&mut of, "authorities", &authorities);
            let all = authorities.clone();
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(trusted(file, authorities)?),
                Arc::clone(provider),
            )
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable(error.into()))?;
            let vouching = Vouching::by(Arc::clone(&verifier), all, Digest::of(&of));
            (builder.with_client_cert_verifier(verifier), vouching)
        }
    };
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<ByName>::clone(resolver);
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Side { config: Arc::new(config), vouching: Arc::new(vouching) })
}

/// Authorities from a PEM file; all of them must be usable.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    trusted(file, pems(file)?)
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

/// Chooses a certificate by the name the client asks for; the first one for a client that names none.
struct ByName(Vec<(Names, Arc<CertifiedKey>)>);

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByName({} certificates)", self.0.len())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = match hello.server_name() {
            Some(name) => {
                let name = name.to_ascii_lowercase();
                self.0.iter().find(|(names, _)| names.contains(&name))
            }
            None => self.0.first(),
        };
        chosen.map(|(_, pair)| Arc::clone(pair))
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
    /// The version spoken.
    pub(super) version: Option<TlsVersion>,
}

impl Handshake {
    /// Reads it from a connection whose handshake is complete.
    pub(super) fn of(stream: &TlsStream<TcpStream>, side: &Side) -> Self {
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates();
        Self {
            server_name: connection.server_name().map(str::to_owned),
            certificate: chain.and_then(|chain| Vouched::new(chain, &side.vouching)),
            is_http2: connection.alpn_protocol() == Some(b"h2"),
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
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            "certificate"
        }
        Some(_) => "protocol",
        None => "io",
    }
}
