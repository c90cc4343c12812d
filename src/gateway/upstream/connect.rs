//! Connections to one address of a backend.
//!
//! The URL says what the backend is called, in TLS and in `Host`; the address says where it is
//! dialled. The wait for a turn, dialling and handshake together have one deadline, and connections are
//! counted.

use std::io;
use std::iter::successors;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, MaybeHttpsStream};
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, ResolveServerName};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use crate::config::{UpstreamProtocol, UpstreamTls};
use crate::gateway::authorities::{Authorities, Files};
use crate::gateway::tls::{self, TlsError};
use crate::https::pem;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Connecting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// HTTP/2 in a TLS handshake. Source: RFC 7301 §6.
const H2: &[u8] = b"h2";

/// How all addresses of one backend are connected to.
#[derive(Clone)]
pub(super) struct Connections {
    tls: Arc<ClientConfig>,
    /// Who vouches for the backend, where what they have revoked counts.
    trust: Option<Arc<Authorities>>,
    server_name: Arc<dyn ResolveServerName + Send + Sync>,
    protocol: UpstreamProtocol,
    within: Duration,
}

impl Connections {
    /// Reads authorities and certificate. No list is older than the one in force `before`.
    pub(super) fn new(
        config: &UpstreamTls,
        protocol: UpstreamProtocol,
        within: Duration,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let trust = match Files::of(config) {
            None => None,
            Some(files) => {
                let before = before.and_then(|before| before.trust.as_deref());
                let before = before.map(|before| before.in_force(false));
                let (read, refused) = Authorities::read(files, before, Timestamp::now());
                Some(Arc::new(refused.into_iter().next().map_or(Ok(read), Err)?))
            }
        };
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)
            .map_err(TlsError::Versions)?;
        let builder = match (&config.ca, &trust) {
            (_, Some(trust)) => builder.with_webpki_verifier(trust.of_a_backend()?),
            (Some(file), None) => builder.with_root_certificates(pem::authorities(file)?),
            (None, None) => builder.with_webpki_roots(),
        };
        let mut tls = match &config.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, key) = tls::pair(files)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| TlsError::Pair(files.chain.clone(), error))?
            }
        };
        // A resumed session is not judged again, and would outlive the list that says it is revoked.
        if !config.crls.is_empty() {
            tls.resumption = Resumption::disabled();
        }
        // Nothing is offered for HTTP/1.1: some old servers end a handshake that offers anything.
        if protocol == UpstreamProtocol::H2 {
            tls.alpn_protocols = vec![H2.to_vec()];
        }
        let fixed = config.server_name.clone().map(ServerName::try_from).transpose();
        let server_name: Arc<dyn ResolveServerName + Send + Sync> = match fixed {
            Ok(Some(name)) => Arc::new(FixedServerNameResolver::new(name)),
            // What is no name was refused with the settings.
            Ok(None) | Err(_) => Arc::new(DefaultServerNameResolver::default()),
        };
        Ok(Self { tls: Arc::new(tls), trust, server_name, protocol, within })
    }

    /// With what has been revoked since, and without authorities that are gone; nothing else is read.
    /// `None`: nothing has changed.
    pub(super) fn tightened(&self, config: &UpstreamTls) -> (Option<Self>, Vec<TlsError>) {
        let (Some(trust), Some(files)) = (&self.trust, Files::of(config)) else {
            return (None, Vec::new());
        };
        let (read, mut refused) =
            Authorities::read(files, Some(trust.in_force(true)), Timestamp::now());
        if read.is_as(trust) {
            return (None, refused);
        }
        match read.of_a_backend() {
            Ok(verifier) => {
                let mut tls = ClientConfig::clone(&self.tls);
                tls.dangerous().set_certificate_verifier(verifier);
                let (tls, trust) = (Arc::new(tls), Some(Arc::new(read)));
                (Some(Self { tls, trust, ..self.clone() }), refused)
            }
            Err(error) => {
                refused.push(error);
                (None, refused)
            }
        }
    }

    /// The same for tunnels, which begin as requests of HTTP/1.1 whatever else the backend speaks.
    pub(super) fn for_tunnels(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols.clear();
        Self { tls: Arc::new(tls), protocol: UpstreamProtocol::H1, ..self.clone() }
    }

    /// To this address. `at_once`: one for each that there may be; `None`: for a health check, which must
    /// not wait for what requests hold.
    pub(super) fn to(&self, address: SocketAddr, at_once: Option<&Arc<Semaphore>>) -> Connector {
        let (tls, server_name) = (Arc::clone(&self.tls), Arc::clone(&self.server_name));
        Connector {
            https: HttpsConnector::new(Dial(address), tls, false, server_name),
            turns: at_once.cloned(),
            is_agreed: self.protocol == UpstreamProtocol::H2,
            within: self.within,
        }
    }
}

/// Dials one address, whatever the URL's host is.
#[derive(Clone, Copy)]
pub(super) struct Dial(SocketAddr);

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Connecting<Self::Response, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Connects to one address.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<Dial>,
    turns: Option<Arc<Semaphore>>,
    /// HTTP/2 must be agreed on.
    is_agreed: bool,
    within: Duration,
}

impl Service<Uri> for Connector {
    type Response = Counted;
    type Error = BoxError;
    type Future = Connecting<Counted, BoxError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.https.call(to);
        let (turns, within, is_agreed) = (self.turns.clone(), self.within, self.is_agreed);
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let turn = turns.as_ref().map(|turns| Arc::clone(turns).try_acquire_owned());
            let (turn, has_waited) = match (turns, turn) {
                (Some(turns), Some(Err(_))) => {
                    let turn = timeout_at(deadline, turns.acquire_owned()).await;
                    (Some(turn.map_err(|_| OutOfTurns)??), true)
                }
                (_, turn) => (turn.and_then(Result::ok), false),
            };
            let stream = match timeout_at(deadline, connecting).await {
                Ok(stream) => stream?,
                // The address had less time than is its due.
                Err(_) if has_waited => return Err(OutOfTurns.into()),
                Err(late) => return Err(late.into()),
            };
            if is_agreed && !stream.connected().is_negotiated_h2() {
                return Err(io::Error::other("the backend does not speak HTTP/2").into());
            }
            Ok(Counted { stream, _turn: turn })
        })
    }
}

/// All connections to the address that there may be were taken for too long. That is for us to say, and
/// no fault of the address.
#[derive(Debug, thiserror::Error)]
#[error("no more connections at once")]
struct OutOfTurns;

/// Whether a request was not sent because there was no connection left for it.
pub(super) fn is_out_of_turns(error: &(dyn std::error::Error + 'static)) -> bool {
    successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<OutOfTurns>)
}

/// A connection, which counts as one until it is closed.
pub(super) struct Counted {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}
