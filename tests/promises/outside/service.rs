//! A service outside, of the tests' own: HTTP/1.1 over TLS on a port of the loopback, with an authority of
//! its own. Keeps what it was asked and answers as the test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tamis::identity::development::Authority;
use tokio::net::TcpListener;

/// One request that came.
#[derive(Clone)]
pub(crate) struct Call {
    /// Which of the connections it came over, from 1.
    pub(crate) connection: usize,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// A status and a body, its length said.
    Say(u16, Vec<u8>),
    /// The same, its length not said.
    Chunks(u16, Vec<u8>),
    /// A status, a type and a body.
    Typed(u16, &'static str, Vec<u8>),
    /// A status, with headers and a body.
    Headed(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The other one, once somebody has given the word.
    After(Arc<tokio::sync::Semaphore>, Box<Reply>),
    /// That it is elsewhere.
    Elsewhere(String),
    /// A head, these bytes, and nothing more.
    Stall(Vec<u8>),
    /// Nothing.
    Hang,
    /// The end of the connection.
    Break,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Say(status, Vec::new())
    }
}

/// A service that runs until the test ends.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    authority: Authority,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Service {
    pub(crate) async fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::begin(answer, None, "127.0.0.1:0".parse().expect("an address")).await
    }

    /// One that lets nobody in without a certificate by this authority.
    pub(crate) async fn asking(
        clients: &Authority,
        answer: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        Self::begin(answer, Some(clients), address).await
    }

    async fn begin(
        answer: impl Fn(&Call) -> Reply + Send + Sync + 'static,
        clients: Option<&Authority>,
        address: SocketAddr,
    ) -> Self {
        let authority = Authority::generate(Timestamp::now()).expect("an authority");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls(&authority, clients)));
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (heard, answer) = (Arc::clone(&calls), Arc::new(answer));
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections += 1;
                let (acceptor, connection) = (acceptor.clone(), connections);
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                        async move {
                            let call = whole(request, connection).await;
                            heard.lock().expect("ours").push(call.clone());
                            said(answer(&call)).await
                        }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let served = http.serve_connection(TokioIo::new(stream), service).await;
                    drop(served);
                });
            }
        });
        Self { address, authority, calls }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Who vouches for it, PEM.
    pub(crate) fn authority(&self) -> &str {
        self.authority.certificate()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().expect("ours").len()
    }

    /// What it was asked so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("ours").clone()
    }
}

fn tls(authority: &Authority, clients: Option<&Authority>) -> ServerConfig {
    let issued = authority.issue_server(&["localhost"], Timestamp::now()).expect("names");
    let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let pem = CertificateDer::from_pem_slice(clients.certificate().as_bytes());
            roots.add(pem.expect("PEM")).expect("an authority of ours");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("authorities"))
        }
    };
    builder.with_single_cert(vec![chain], key).expect("a pair of ours")
}

async fn whole(request: http::Request<Incoming>, connection: usize) -> Call {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    Call {
        connection,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: body.unwrap_or_default().to_vec(),
    }
}

async fn said(reply: Reply) -> Result<Response<Piece>, Broken> {
    let answer = |status: u16, piece| {
        Response::builder().status(status).body(piece).expect("an answer of ours")
    };
    let piece = |bytes: Vec<u8>, ends, says_length| Piece {
        bytes: Some(Bytes::from(bytes)),
        ends,
        says_length,
    };
    Ok(match reply {
        Reply::Say(status, body) => answer(status, piece(body, true, true)),
        Reply::Chunks(status, body) => answer(status, piece(body, true, false)),
        Reply::Typed(status, of_type, body) => {
            let mut answer = answer(status, piece(body, true, true));
            answer.headers_mut().insert("content-type", of_type.parse().expect("text"));
            answer
        }
        Reply::Headed(status, headers, body) => {
            let mut answer = answer(status, piece(body, true, true));
            for (name, value) in headers {
                answer.headers_mut().insert(name, value.parse().expect("text"));
            }
            answer
        }
        Reply::After(word, reply) => {
            drop(word.acquire().await);
            return Box::pin(said(*reply)).await;
        }
        Reply::Elsewhere(url) => {
            let mut answer = answer(302, piece(Vec::new(), true, true));
            answer.headers_mut().insert("location", url.parse().expect("text"));
            answer
        }
        Reply::Stall(body) => answer(200, piece(body, false, false)),
        Reply::Hang => std::future::pending().await,
        Reply::Break => return Err(Broken),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the test breaks off")]
struct Broken;

/// A body of one piece, or a piece and no end.
struct Piece {
    bytes: Option<Bytes>,
    ends: bool,
    says_length: bool,
}

impl Body for Piece {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            _ if self.ends => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, Bytes::len);
        if self.says_length { SizeHint::with_exact(left as u64) } else { SizeHint::default() }
    }
}
