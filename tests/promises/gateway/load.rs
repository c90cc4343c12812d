//! Clients that go on asking, over HTTP/1.1 and HTTP/2, as the standards let them, and what came of it.
//! Shared with `examples/changes`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is asked, and of whom.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) tls: ClientConfig,
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// What must stand in no answer.
    pub(crate) secret: &'static str,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Counts {
    /// Whole answers of 200.
    pub(crate) answered: AtomicU64,
    /// Requests of which the client was told that nobody had looked at them, and which it sent again.
    pub(crate) again: AtomicU64,
    /// Connections that ended before anything was asked on them, and which the client made again.
    pub(crate) unmade: AtomicU64,
    /// Answers with something that nobody may have.
    pub(crate) leaks: AtomicU64,
    /// What else became of requests, by its kind.
    failures: Mutex<BTreeMap<String, u64>>,
    /// Told of each count.
    news: Notify,
}

impl Counts {
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        self.failures.lock().expect("no panic").clone()
    }

    fn failed(&self, kind: String) {
        *self.failures.lock().expect("no panic").entry(kind).or_default() += 1;
    }

    fn one(&self, counter: fn(&Self) -> &AtomicU64) {
        counter(self).fetch_add(1, Ordering::SeqCst);
        self.news.notify_waiters();
    }
}

/// Clients at work.
pub(crate) struct Load {
    pub(crate) counts: Arc<Counts>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    /// So many of each kind: one connection of HTTP/1.1 that is kept, a new one for each request, and
    /// HTTP/2.
    pub(crate) fn start(asked: &Asked, of_each: usize) -> Self {
        let (counts, is_over) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let mut clients = JoinSet::new();
        for _ in 0..of_each {
            let client = |protocol: &[u8]| {
                let mut tls = asked.tls.clone();
                tls.alpn_protocols = vec![protocol.to_vec()];
                Client {
                    connector: TlsConnector::from(Arc::new(tls)),
                    asked: asked.clone(),
                    counts: Arc::clone(&counts),
                    is_over: Arc::clone(&is_over),
                }
            };
            clients.spawn(client(b"http/1.1").keeps(true));
            clients.spawn(client(b"http/1.1").keeps(false));
            clients.spawn(client(b"h2").multiplexes());
        }
        Self { counts, is_over, clients }
    }

    /// Waits until so many more were answered.
    pub(crate) async fn more(&self, answers: u64) {
        let enough = self.counts.answered() + answers;
        loop {
            let news = self.counts.news.notified();
            if self.counts.answered() >= enough {
                return;
            }
            news.await;
        }
    }

    /// Lets each finish what it asked.
    pub(crate) async fn stop(self) -> Arc<Counts> {
        self.is_over.store(true, Ordering::SeqCst);
        self.clients.join_all().await;
        self.counts
    }
}

struct Client {
    connector: TlsConnector,
    asked: Asked,
    counts: Arc<Counts>,
    is_over: Arc<AtomicBool>,
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    async fn connect(&self) -> Option<TlsStream<TcpStream>> {
        let stream = match TcpStream::connect(self.asked.address).await {
            Ok(stream) => stream,
            Err(error) => {
                self.counts.failed(format!("connection: {}", error.kind()));
                return None;
            }
        };
        let name = ServerName::try_from(self.asked.host.clone()).expect("a name");
        let made = self.connector.connect(name, stream).await;
        if made.is_err() {
            self.counts.one(|counts| &counts.unmade);
        }
        made.ok()
    }

    fn request(&self, target: &str) -> Request<Empty<Bytes>> {
        let mut request = Request::get(target).body(Empty::new()).expect("a target");
        request.headers_mut().extend(self.asked.headers.clone());
        request
    }

    async fn take(&self, answer: Response<Incoming>) {
        let status = answer.status();
        match answer.into_body().collect().await {
            Ok(body) => {
                let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                if body.contains(self.asked.secret) {
                    self.counts.one(|counts| &counts.leaks);
                }
                if status == 200 {
                    self.counts.one(|counts| &counts.answered);
                } else {
                    self.counts.failed(format!("status {}", status.as_u16()));
                }
            }
            Err(_) => self.counts.failed("broke off".into()),
        }
    }

    /// There was no answer. `is_known`: nobody has looked at the request, and the client knows.
    fn gave_none(&self, is_known: bool, error: &hyper::Error) {
        if is_known {
            self.counts.one(|counts| &counts.again);
        } else {
            self.counts.failed(format!("no answer: {error}"));
        }
    }

    /// Over HTTP/1.1. `kept`: as long as the server does not say that the connection ends.
    async fn keeps(self, kept: bool) {
        while self.goes_on() {
            let Some(stream) = self.connect().await else { continue };
            let Ok((mut sender, driver)) = http1::handshake(TokioIo::new(stream)).await else {
                continue;
            };
            let driver = tokio::spawn(driver);
            while self.goes_on() && sender.ready().await.is_ok() {
                let mut request = self.request(&self.asked.path);
                request.headers_mut().insert(HOST, self.asked.host.parse().expect("a host"));
                match sender.try_send_request(request).await {
                    Ok(answer) => {
                        let ends = answer.headers().get(CONNECTION).is_some_and(|it| it == "close");
                        self.take(answer).await;
                        if ends || !kept {
                            break;
                        }
                    }
                    Err(mut error) => {
                        // Whoever has it back knows that it was not sent: the connection ended before.
                        let was_kept = error.take_message().is_some();
                        self.gave_none(was_kept, error.error());
                        break;
                    }
                }
            }
            drop(sender);
            driver.abort();
        }
    }

    async fn multiplexes(self) {
        let target = format!("https://{}{}", self.asked.host, self.asked.path);
        while self.goes_on() {
            let Some(stream) = self.connect().await else { continue };
            let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let Ok((mut sender, driver)) = made else { continue };
            let driver = tokio::spawn(driver);
            while self.goes_on() && sender.ready().await.is_ok() {
                match sender.try_send_request(self.request(&target)).await {
                    Ok(answer) => self.take(answer).await,
                    Err(mut error) => {
                        let was_kept = error.take_message().is_some();
                        self.gave_none(was_kept || is_unprocessed(error.error()), error.error());
                        break;
                    }
                }
            }
            drop(sender);
            driver.abort();
        }
    }
}

/// Whether the server has said goodbye to a request that it has not looked at. Source: RFC 9113 §6.8.
fn is_unprocessed(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    let of_frames = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    of_frames.is_some_and(|error| {
        let reason = error.reason();
        (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR))
            || (error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM))
    })
}
