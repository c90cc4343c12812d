//! A client as recipients have one: HTTPS, the demo's authority, a certificate or a token.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::https::pem;

/// Largest answer the client takes, in bytes.
const ANSWER_LIMIT_BYTES: usize = 16 << 20;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why a client has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its certificate, key or token cannot be used.
    #[error("the credential cannot be used")]
    Credential(#[source] Fault),
    /// The server was not reached, or is not who it should be.
    #[error("no connection to {0}")]
    Connection(SocketAddr, #[source] Fault),
    /// The answer broke off or is too large.
    #[error("the answer did not end as it should")]
    Broken(#[source] Fault),
}

/// A complete answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client of the gateway.
pub struct Client {
    connector: TlsConnector,
    headers: HeaderMap,
}

impl Client {
    /// A client that trusts the authority in the PEM file `ca` and shows a certificate, if it has one.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn new(ca: &Path, certificate: Option<(&Path, &Path)>) -> Result<Self, ClientError> {
        let config = tls(ca, certificate).map_err(ClientError::Credential)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), headers: HeaderMap::new() })
    }

    /// The same client, which sends this header with every request.
    ///
    /// # Errors
    /// The value holds what a header cannot.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Result<Self, ClientError> {
        let value =
            HeaderValue::from_str(value).map_err(|error| ClientError::Credential(error.into()))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Gets `path` from the server at `address`, which must prove to be `localhost`.
    ///
    /// # Errors
    /// See [`ClientError`]. A refusal is an answer, not an error.
    pub async fn fetch(&self, address: SocketAddr, path: &str) -> Result<Answer, ClientError> {
        let request = Request::get(path)
            .body(Full::default())
            .map_err(|error| ClientError::Connection(address, error.into()))?;
        self.send(address, request).await
    }

    /// Sends a request as it is, with the client's own headers and a `Host` added.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send(
        &self,
        address: SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, ClientError> {
        let broken = |error: Fault| ClientError::Broken(error);
        let (head, body) = self.begin(address, request).await?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT_BYTES).collect().await.map_err(broken)?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// As [`send`](Self::send), and gives the answer when its head is there, with a body that is still
    /// to come and may break off.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn begin(
        &self,
        address: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let connection = |error: Fault| ClientError::Connection(address, error);
        let tcp = TcpStream::connect(address).await.map_err(|error| connection(error.into()))?;
        let name = ServerName::try_from("localhost").map_err(|error| connection(error.into()))?;
        let tls = self.connector.connect(name, tcp).await.map_err(|e| connection(e.into()))?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|error| connection(error.into()))?;
        // Ends by itself with the connection, once sender and body are gone.
        tokio::spawn(driver);
        let host = HeaderValue::from_str(&format!("localhost:{}", address.port()))
            .map_err(|error| connection(error.into()))?;
        request.headers_mut().insert(header::HOST, host);
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        sender.send_request(request).await.map_err(|error| ClientError::Broken(error.into()))
    }
}

fn tls(ca: &Path, certificate: Option<(&Path, &Path)>) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(pem::authorities(ca)?);
    Ok(match certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(pem::certificates(chain)?, pem::key(key)?)?
        }
    })
}
