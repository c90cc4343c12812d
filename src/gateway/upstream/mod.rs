//! Backends: a pool of kept connections each, asked only with a [`Permit`].
//!
//! One attempt, HTTP/1.1. A connection goes back to the pool only after an answer that ended cleanly;
//! hyper closes it when anything else is read from it. What a backend answers is never handed to a
//! client from here: [`Answer`] gives bytes to the minimizer.

mod fault;
mod patience;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::fault::UpstreamFault;
use self::patience::Patience;
use super::request_body;
use super::route::Target;
use super::tls::{self, TlsError};
use crate::config::{UpstreamConfig, UpstreamTimeouts};
use crate::decide::Permit;
use crate::terms::UpstreamId;

/// Kept connections are closed before most backends close theirs, so that a request seldom meets a
/// connection that is going away.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Largest head, and piece of a body, read at a time.
const BUFFER: usize = 64 * 1024;

/// All backends.
pub(in crate::gateway) struct Upstreams(BTreeMap<UpstreamId, Upstream>);

struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    origin: Uri,
    timeouts: UpstreamTimeouts,
    /// Turns of requests under way.
    slots: Arc<Semaphore>,
    /// Places to wait for a turn. Beyond them the gateway refuses instead of queueing without end.
    pending: Semaphore,
}

/// An answer whose body has not been read yet.
pub(in crate::gateway) struct Answer {
    /// Its status.
    pub(in crate::gateway) status: StatusCode,
    /// Its headers.
    pub(in crate::gateway) headers: HeaderMap,
    /// From the request to its head.
    pub(in crate::gateway) took: Duration,
    /// Its body.
    pub(in crate::gateway) body: UpstreamBody,
}

/// A body as it comes from a backend; for the minimizer only.
pub(in crate::gateway) struct UpstreamBody {
    incoming: Incoming,
    idle_timeout: Duration,
    patience: Patience,
    /// Held until the body was read or dropped.
    _slot: OwnedSemaphorePermit,
}

impl Upstreams {
    /// Prepares the pools. Nothing is connected yet.
    pub(in crate::gateway) fn new(
        config: &BTreeMap<UpstreamId, UpstreamConfig>,
    ) -> Result<Self, TlsError> {
        let mut upstreams = BTreeMap::new();
        for (id, config) in config {
            upstreams.insert(id.clone(), Upstream::new(config)?);
        }
        Ok(Self(upstreams))
    }

    /// Whether there is one of this name.
    pub(in crate::gateway) fn contains(&self, id: &UpstreamId) -> bool {
        self.0.contains_key(id)
    }

    /// Asks the backend of the permitted route for what was judged.
    pub(in crate::gateway) async fn fetch(
        &self,
        permit: &Permit,
        target: &Target,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, UpstreamFault> {
        let route = &permit.policy().routes[permit.plan().route_index];
        let upstream = route.upstream.as_ref().and_then(|id| self.0.get(id));
        let upstream = upstream.ok_or(UpstreamFault::Unknown)?;
        let mut request = Request::new(Full::new(body.clone().unwrap_or_default()));
        // A `HEAD` is a `GET` here: its route is.
        let method = Method::from_bytes(route.method.as_bytes());
        *request.method_mut() = method.map_err(|_| UpstreamFault::Unknown)?;
        *request.headers_mut() = headers;
        if body.is_some() {
            let (name, value) = request_body::media_type();
            request.headers_mut().insert(name, value);
        }
        upstream.fetch(target, request).await
    }
}

impl Upstream {
    fn new(config: &UpstreamConfig) -> Result<Self, TlsError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(config.timeouts.connect));
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)
            .map_err(TlsError::Versions)?;
        let builder = match &config.ca {
            Some(file) => HttpsConnectorBuilder::new().with_tls_config(
                builder.with_root_certificates(tls::roots(file)?).with_no_client_auth(),
            ),
            None => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(tls::provider())
                .map_err(TlsError::Versions)?,
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .http1_max_buf_size(BUFFER)
            .build(connector);
        Ok(Self {
            client,
            origin: config.url.clone(),
            timeouts: config.timeouts,
            slots: Arc::new(Semaphore::new(config.at_once.requests)),
            pending: Semaphore::new(config.at_once.pending),
        })
    }

    async fn fetch(
        &self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, UpstreamFault> {
        let mut patience = Patience::new(self.timeouts.total);
        let slot = self.turn(&mut patience).await?;
        let mut uri = self.origin.clone().into_parts();
        let path = PathAndQuery::try_from(target.path_and_query());
        uri.path_and_query = Some(path.map_err(|_| UpstreamFault::Unknown)?);
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| UpstreamFault::Unknown)?;

        let asked = Instant::now();
        let most = self.timeouts.connect.saturating_add(self.timeouts.response);
        let response =
            patience.wait(most, self.client.request(request)).await?.map_err(|error| {
                if error.is_connect() { UpstreamFault::Connect } else { UpstreamFault::Broken }
            })?;
        let (head, incoming) = response.into_parts();
        if !has_one_length(head.version, &head.headers) {
            return Err(UpstreamFault::Framing);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            took: asked.elapsed(),
            body: UpstreamBody {
                incoming,
                idle_timeout: self.timeouts.idle,
                patience,
                _slot: slot,
            },
        })
    }

    /// A turn, which ends when what it was for is dropped.
    async fn turn(&self, patience: &mut Patience) -> Result<OwnedSemaphorePermit, UpstreamFault> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let _place = self.pending.try_acquire().map_err(|_| UpstreamFault::Busy)?;
        let turn = Arc::clone(&self.slots).acquire_owned();
        let turn = patience.wait(self.timeouts.connect, turn).await;
        turn.map_err(|_| UpstreamFault::Busy)?.map_err(|_| UpstreamFault::Busy)
    }
}

/// One length, or none, or chunks: two ways to find the end are two different bodies.
/// Source: RFC 9112 §6.3.
fn has_one_length(version: Version, headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match encodings.next() {
        None => lengths <= 1,
        Some(encoding) => {
            lengths == 0
                && version == Version::HTTP_11
                && encoding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && encodings.next().is_none()
        }
    }
}

impl UpstreamBody {
    /// The next piece; `None` when the body is complete. Trailers are dropped.
    pub(in crate::gateway) async fn next(&mut self) -> Result<Option<Bytes>, UpstreamFault> {
        loop {
            let frame = self.patience.wait(self.idle_timeout, self.incoming.frame()).await?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| UpstreamFault::Broken)?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
    use http::{HeaderMap, HeaderValue, Version};

    use super::has_one_length;

    #[test]
    fn an_answer_with_two_ends_is_refused() {
        type Case<'a> = (Version, &'a [(HeaderName, &'static str)], bool);
        let cases: [Case<'_>; 8] = [
            (Version::HTTP_11, &[], true),
            (Version::HTTP_11, &[(CONTENT_LENGTH, "2")], true),
            (Version::HTTP_11, &[(TRANSFER_ENCODING, "chunked")], true),
            (Version::HTTP_11, &[(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "2")], false),
            (Version::HTTP_11, &[(CONTENT_LENGTH, "2"), (CONTENT_LENGTH, "2")], false),
            (Version::HTTP_11, &[(TRANSFER_ENCODING, "gzip, chunked")], false),
            (Version::HTTP_11, &[(TRANSFER_ENCODING, "xchunked")], false),
            (Version::HTTP_10, &[(TRANSFER_ENCODING, "chunked")], false),
        ];
        for (version, fields, expected) in cases {
            let headers: HeaderMap = fields
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(has_one_length(version, &headers), expected, "{headers:?}");
        }
    }
}
