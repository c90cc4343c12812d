//! One call: a request of ours out, a whole answer in, within bounds.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use zeroize::Zeroizing;

use super::trust::{Trust, TrustError};

/// What a service is told of who calls.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("tamis/", env!("CARGO_PKG_VERSION")));

/// How long a connection that is kept may be idle: shorter than services usually keep theirs, so that a
/// request seldom meets one that is being closed.
const IDLE: Duration = Duration::from_secs(15);

/// Room that is made at once for an answer whose length is not said: all of it for services that answer
/// with secrets.
const FIRST_ROOM: usize = 64 << 10;

type BoxError = Box<dyn Error + Send + Sync>;

type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// What one call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest wait for a connection: its name, TCP and TLS together.
    pub connect: Duration,
    /// From the call to the last byte of the answer, the connection included.
    pub total: Duration,
    /// Largest body of an answer, in bytes.
    pub answer_bytes: usize,
    /// Connections that are kept for the next call; 0: each call has its own, which is closed after it.
    pub kept: usize,
}

/// Which URLs are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `https` alone.
    HttpsOnly,
    /// `http` as well; whoever offers that names it `dangerous_`.
    HttpToo,
}

/// What was answered, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status; redirects are not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`Bounds::answer_bytes`]; wiped when it is dropped, since some services answer
    /// with secrets.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer, or none that counts. Says nothing of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// No connection.
    #[error("not reachable")]
    Connect,
    /// No TLS, or none that proves who answers.
    #[error("no TLS that proves who answers")]
    Tls,
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// It broke off, or did not speak HTTP.
    #[error("it broke off")]
    Broken,
    /// The answer is larger than it may be.
    #[error("an answer larger than it may be")]
    TooLarge,
    /// It answered with another status than 2xx. Redirects are not followed.
    #[error("status {0}")]
    Status(StatusCode),
}

impl CallFault {
    /// The stable code for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::TooLarge => "too-large",
            Self::Status(_) => "status",
        }
    }
}

impl Answer {
    /// This answer, if it says that what was asked was done.
    ///
    /// # Errors
    /// `Status`.
    pub fn success(self) -> Result<Self, CallFault> {
        if self.status.is_success() { Ok(self) } else { Err(CallFault::Status(self.status)) }
    }
}

/// Calls services outside.
#[derive(Clone)]
pub struct HttpsClient {
    client: Client<Connector, Full<Bytes>>,
    bounds: Bounds,
}

impl HttpsClient {
    /// Reads authorities and certificate.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn new(trust: &Trust, schemes: Schemes, bounds: Bounds) -> Result<Self, TrustError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(trust.config()?);
        let builder = match schemes {
            Schemes::HttpsOnly => builder.https_only(),
            Schemes::HttpToo => builder.https_or_http(),
        };
        let https = builder.enable_http1().wrap_connector(http);
        // The connector's own time-out counts TCP alone.
        let within = https.map_future(move |connecting| async move {
            timeout(bounds.connect, connecting).await.map_err(BoxError::from)?
        });
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(bounds.kept)
            .build(BoxCloneSyncService::new(within));
        Ok(Self { client, bounds })
    }

    /// Sends a request once. An answer of any status is an answer.
    ///
    /// # Errors
    /// See [`CallFault`]; `Status` is none of this method's.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Answer, CallFault> {
        let deadline = Instant::now() + self.bounds.total;
        let (head, body) = self.begun(request, deadline).await?.into_parts();
        let body = timeout_at(deadline, whole(body, self.bounds.answer_bytes)).await;
        let body = body.map_err(|_| CallFault::Timeout)??;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Sends a request of which only the status counts. A body that comes with it is not read.
    ///
    /// # Errors
    /// See [`CallFault`]; any status but 2xx is `Status`.
    pub async fn deliver(&self, request: Request<Bytes>) -> Result<(), CallFault> {
        let deadline = Instant::now() + self.bounds.total;
        let status = self.begun(request, deadline).await?.status();
        if status.is_success() { Ok(()) } else { Err(CallFault::Status(status)) }
    }

    async fn begun(
        &self,
        mut request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, CallFault> {
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, AGENT);
        if self.bounds.kept == 0 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let answered = timeout_at(deadline, self.client.request(request.map(Full::new))).await;
        answered.map_err(|_| CallFault::Timeout)?.map_err(|error| fault(&error))
    }
}

fn fault(error: &hyper_util::client::legacy::Error) -> CallFault {
    if is_caused_by(error, <dyn Error>::is::<tokio::time::error::Elapsed>) {
        CallFault::Timeout
    } else if is_caused_by(error, is_of_tls) {
        CallFault::Tls
    } else if error.is_connect() {
        CallFault::Connect
    } else {
        CallFault::Broken
    }
}

fn is_caused_by(error: &(dyn Error + 'static), is_so: fn(&(dyn Error + 'static)) -> bool) -> bool {
    is_so(error) || error.source().is_some_and(|cause| is_caused_by(cause, is_so))
}

/// What an I/O error was made of, perhaps another one, is not among its sources.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_of_tls(inner))
}

/// The whole body. Room is made at once where its length is said: what grows leaves copies behind.
async fn whole(mut body: Incoming, most: usize) -> Result<Zeroizing<Vec<u8>>, CallFault> {
    let said = body.size_hint().exact().map(|said| usize::try_from(said).unwrap_or(usize::MAX));
    if said.is_some_and(|said| said > most) {
        return Err(CallFault::TooLarge);
    }
    let mut read = Zeroizing::new(Vec::with_capacity(said.unwrap_or(FIRST_ROOM.min(most))));
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| CallFault::Broken)?.into_data() else { continue };
        if piece.len() > most - read.len() {
            return Err(CallFault::TooLarge);
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}
