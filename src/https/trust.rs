//! Who may answer, and how the gateway shows who calls: authorities and a client certificate, from PEM
//! files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::ClientConfig;

use super::pem::{self, PemError};

/// A certificate chain and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, end entity first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// What its authority says of it (OCSP), DER, to be stapled in handshakes of a server; `None`: nothing
    /// is.
    pub ocsp: Option<PathBuf>,
}

/// TLS towards a service outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authorities that its certificate must come from; `None`: the public ones.
    pub authorities: Option<PathBuf>,
    /// What the gateway shows; `None`: nothing.
    pub certificate: Option<CertificateFiles>,
}

/// Why TLS towards a service cannot be set up. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A PEM file cannot be read, or holds nothing that is looked for.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Certificate and key do not belong together, or are of no use.
    #[error("certificate and key do not fit: {}", .0.display())]
    Pair(PathBuf, #[source] rustls::Error),
    /// The provider does not speak the versions.
    #[error("TLS versions are not available")]
    Versions(#[source] rustls::Error),
}

impl Trust {
    /// By these authorities, without a certificate of our own.
    #[must_use]
    pub const fn by(authorities: Option<PathBuf>) -> Self {
        Self { authorities, certificate: None }
    }

    /// The files that it is read from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.certificate.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        self.authorities.iter().chain(pair).map(PathBuf::as_path)
    }

    /// TLS 1.2 and 1.3, by the one provider of the process.
    pub(super) fn config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TrustError::Versions)?;
        let builder = match &self.authorities {
            Some(file) => builder.with_root_certificates(pem::authorities(file)?),
            None => builder.with_webpki_roots(),
        };
        let Some(files) = &self.certificate else { return Ok(builder.with_no_client_auth()) };
        builder
            .with_client_auth_cert(pem::certificates(&files.chain)?, pem::key(&files.key)?)
            .map_err(|error| TrustError::Pair(files.chain.clone(), error))
    }
}
