//! A client that keeps its certificate and its sessions from one connection to the next.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tamis::identity::development::Issued;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::stage::{HOST, Stage, request};

pub(super) struct Client {
    pub(super) config: ClientConfig,
    roots: RootCertStore,
    name: &'static str,
    at: SocketAddr,
}

impl Client {
    /// One that shows this certificate, over these versions.
    pub(super) fn new(
        stage: &Stage,
        shows: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Self::with(stage, shows, versions, provider)
    }

    pub(super) fn with(
        stage: &Stage,
        shows: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
    ) -> Self {
        let roots = authorities(stage.authority());
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots.clone());
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
                builder
                    .with_client_auth_cert(
                        vec![chain.expect("PEM of ours")],
                        key.expect("PEM of ours"),
                    )
                    .expect("a pair of ours")
            }
        };
        Self { config, roots, name: HOST, at: stage.running.addresses.https }
    }

    /// One that trusts this authority too, PEM.
    pub(super) fn trusting(mut self, authority: &str) -> Self {
        self.roots.extend(authorities(authority).roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(self.roots.clone());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        self.config.dangerous().set_certificate_verifier(verifier.expect("authorities"));
        self
    }

    /// One that asks for this name.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) fn to(self, at: SocketAddr) -> Self {
        Self { at, ..self }
    }

    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.at).await?;
        let name = ServerName::try_from(self.name).expect("a name");
        TlsConnector::from(Arc::new(self.config.clone())).connect(name, stream).await
    }

    /// Over a new connection; `None`: it ended before there was an answer. In TLS 1.3 a client learns only
    /// so that its certificate was refused.
    pub(super) async fn ask(&self, target: &str) -> Option<u16> {
        let connection = Connection::over(self.connect().await.ok()?).await?;
        connection.named(self.name).ask(target).await
    }
}

/// A certificate of a client of this name, and its key.
pub(super) fn issued(stage: &Stage, name: &str) -> Issued {
    let name = format!("dns:{name}.example.invalid");
    stage.authority.issue_client(&name, Timestamp::now()).expect("a name")
}

fn authorities(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(pem.as_bytes());
    roots.add(authority.expect("PEM")).expect("an authority");
    roots
}

/// A connection that stays open.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    host: &'static str,
}

impl Connection {
    pub(super) async fn over(stream: TlsStream<TcpStream>) -> Option<Self> {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(Self { sender, host: HOST })
    }

    /// For requests that name this host.
    pub(super) fn named(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub(super) async fn ask(&mut self, target: &str) -> Option<u16> {
        self.sender.ready().await.ok()?;
        let request = request("GET", target, &[("host", self.host)]);
        let response = self.sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect().await.ok()?;
        Some(status)
    }
}
