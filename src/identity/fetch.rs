//! Fetches a key set: https only, to the configured address only (no redirects), bounded in size and
//! time. What comes back is bytes; whether they are keys is decided elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::issuer::SET_BYTES;

/// From the first byte out to the last one in.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is no https URL.
    #[error("not an https URL")]
    NotHttps,
    /// The authorities cannot be read, or there are none in the file.
    #[error("no authorities in {}", .0.display())]
    Authorities(PathBuf),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The other side could not be reached, or broke off.
    #[error("not reachable")]
    Unreachable,
    /// It took too long.
    #[error("no answer within {} seconds", TIMEOUT.as_secs())]
    TooLate,
    /// It answered with another status than 200. Redirects are not followed.
    #[error("status {0}")]
    Status(StatusCode),
    /// The answer is larger than a key set can be.
    #[error("more than {SET_BYTES} bytes")]
    TooLarge,
}

/// Fetches one key set.
pub(super) struct KeyFetcher {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl KeyFetcher {
    pub(super) fn new(url: Uri, authorities: Option<&Path>) -> Result<Self, FetchError> {
        if url.scheme_str() != Some("https") || url.host().is_none() {
            return Err(FetchError::NotHttps);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = HttpsConnectorBuilder::new();
        let builder = match authorities {
            None => builder.with_provider_and_webpki_roots(provider).map_err(FetchError::Tls)?,
            Some(path) => {
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(FetchError::Tls)?
                    .with_root_certificates(roots(path)?)
                    .with_no_client_auth();
                builder.with_tls_config(config)
            }
        };
        let client = Client::builder(TokioExecutor::new())
            .build(builder.https_only().enable_http1().build());
        Ok(Self { url, client })
    }

    pub(super) async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        tokio::time::timeout(TIMEOUT, self.answer()).await.map_err(|_| FetchError::TooLate)?
    }

    async fn answer(&self) -> Result<Vec<u8>, FetchError> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(|_| FetchError::NotHttps)?;
        let answer = self.client.request(request).await.map_err(|_| FetchError::Unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), SET_BYTES).collect().await;
        match body {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => {
                Err(FetchError::TooLarge)
            }
            Err(_) => Err(FetchError::Unreachable),
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, FetchError> {
    let none = || FetchError::Authorities(path.to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| none())? {
        roots.add(certificate.map_err(|_| none())?).map_err(|_| none())?;
    }
    if roots.is_empty() { Err(none()) } else { Ok(roots) }
}
