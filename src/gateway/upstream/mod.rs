//! Backends, asked only with a [`Permit`].
//!
//! A backend has addresses, each with a pool of kept connections. A connection goes back to its pool
//! only after an answer that ended cleanly; hyper closes it when anything else is read from it. What a
//! backend answers is never handed to a client from here: [`Answer`] gives bytes to the minimizer.

mod address;
mod backend;
mod breaker;
mod choose;
mod connect;
mod fault;
mod health;
mod names;
mod outcome;
mod patience;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use self::backend::{Asking, Backend};
pub(super) use self::fault::UpstreamFault;
use self::health::keep_checking;
use self::outcome::Watch;
use self::patience::Patience;
use super::request_body;
use super::route::Target;
use super::tls::TlsError;
use crate::config::UpstreamConfig;
use crate::decide::Permit;
use crate::observe::Metrics;
use crate::terms::{DataSubject, UpstreamId};

/// All backends.
pub(super) struct Upstreams(BTreeMap<UpstreamId, Arc<Kept>>);

/// A backend and what goes on about it while requests do not.
pub(super) struct Kept {
    backend: Arc<Backend>,
    /// Ends with the last of those who share the backend.
    upkeep: Mutex<JoinSet<()>>,
}

/// What is asked of a backend besides what the permit says.
pub(super) struct Wanted<'a> {
    /// Path and query as they were judged.
    pub(super) target: &'a Target,
    /// The head that the gateway writes.
    pub(super) headers: HeaderMap,
    /// What the request brings, minimized.
    pub(super) body: Option<Bytes>,
    /// Whom it is about, as far as path and query say.
    pub(super) subject: Option<&'a DataSubject>,
}

/// An answer whose body has not been read yet.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// From the request to its head.
    pub(super) took: Duration,
    /// Its body.
    pub(super) body: UpstreamBody,
    /// Where another protocol was agreed on: the connection.
    upgrade: Option<OnUpgrade>,
}

/// A connection to a backend that speaks another protocol from now on. Under way until it is dropped.
pub(super) struct UpstreamTunnel {
    /// The connection.
    pub(super) stream: TokioIo<Upgraded>,
    _watch: Watch,
    _slot: OwnedSemaphorePermit,
}

impl Answer {
    /// The connection, once another protocol was agreed on.
    pub(super) async fn into_tunnel(self) -> Result<UpstreamTunnel, UpstreamFault> {
        let UpstreamBody { idle_timeout, mut patience, mut watch, _slot: slot, .. } = self.body;
        let upgraded = match self.upgrade {
            None => Err(UpstreamFault::Broken),
            Some(upgrade) => {
                let upgraded = patience.wait(idle_timeout, upgrade).await;
                upgraded.and_then(|it| it.map_err(|_| UpstreamFault::Broken))
            }
        };
        match upgraded {
            Ok(upgraded) => {
                Ok(UpstreamTunnel { stream: TokioIo::new(upgraded), _watch: watch, _slot: slot })
            }
            Err(fault) => {
                watch.failed(fault.code());
                Err(fault)
            }
        }
    }
}

/// A body as it comes from a backend; for the minimizer only.
pub(super) struct UpstreamBody {
    incoming: Incoming,
    idle_timeout: Duration,
    patience: Patience,
    /// Under way until the body was read or dropped.
    watch: Watch,
    /// Held as long.
    _slot: OwnedSemaphorePermit,
}

impl Upstreams {
    /// Prepares them. Nothing is connected yet. `same` gives what goes on as it is of those in force
    /// `before`.
    pub(super) fn new(
        config: &BTreeMap<UpstreamId, UpstreamConfig>,
        before: Option<&Self>,
        same: impl Fn(&UpstreamId, &UpstreamConfig) -> Option<Arc<Kept>>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, TlsError> {
        let mut upstreams = BTreeMap::new();
        for (id, config) in config {
            let kept = if let Some(kept) = same(id, config) {
                kept
            } else {
                let before = before.and_then(|before| before.0.get(id));
                let before = before.map(|kept| &*kept.backend);
                Kept::of(Backend::new(id, config, before, metrics)?)
            };
            upstreams.insert(id.clone(), kept);
        }
        Ok(Self(upstreams))
    }

    /// The same, with what has been revoked since. `None`: nothing was.
    pub(super) fn tightened(&self) -> (Option<Self>, Vec<TlsError>) {
        let (mut all, mut refused, mut is_other) = (self.0.clone(), Vec::new(), false);
        for kept in all.values_mut() {
            let (backend, faults) = kept.backend.tightened();
            refused.extend(faults);
            if let Some(backend) = backend {
                *kept = Kept::of(backend);
                is_other = true;
            }
        }
        (is_other.then_some(Self(all)), refused)
    }

    /// From now on names are looked up and addresses looked at.
    pub(super) fn attend(&self) {
        for kept in self.0.values() {
            kept.attend();
        }
    }

    /// Whether there is one of this name.
    pub(super) fn contains(&self, id: &UpstreamId) -> bool {
        self.0.contains_key(id)
    }

    /// One, to be shared with those that take the place of these.
    pub(super) fn kept(&self, id: &UpstreamId) -> Option<Arc<Kept>> {
        self.0.get(id).cloned()
    }

    /// Asks the backend of the permitted route for what was judged.
    pub(super) async fn fetch(
        &self,
        permit: &Permit,
        wanted: Wanted<'_>,
    ) -> Result<Answer, UpstreamFault> {
        let route = &permit.policy().routes[permit.plan().route_index];
        let kept = route.upstream.as_ref().and_then(|id| self.0.get(id));
        let backend = &kept.ok_or(UpstreamFault::Unknown)?.backend;
        let Wanted { target, headers, body, subject } = wanted;
        let brings = body.is_some();
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        // A `HEAD` is a `GET` here: its route is.
        let method = Method::from_bytes(route.method.as_bytes());
        *request.method_mut() = method.map_err(|_| UpstreamFault::Unknown)?;
        *request.headers_mut() = headers;
        if brings {
            let (name, value) = request_body::media_type();
            request.headers_mut().insert(name, value);
        }
        let path = PathAndQuery::try_from(target.path_and_query());
        let path = path.map_err(|_| UpstreamFault::Unknown)?;
        let decision = permit.decision();
        backend.fetch(Asking { request, path, subject, decision }).await
    }

    /// For `/status`.
    pub(super) fn document(&self) -> Value {
        let all = self.0.iter();
        all.map(|(id, kept)| (id.to_string(), kept.backend.document()))
            .collect::<Map<_, _>>()
            .into()
    }
}

impl Kept {
    fn of(backend: Backend) -> Arc<Self> {
        Arc::new(Self { backend: Arc::new(backend), upkeep: Mutex::default() })
    }

    fn attend(&self) {
        let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if upkeep.is_empty() {
            self.backend.attend();
            upkeep.spawn(Arc::clone(&self.backend).keep_looking_up());
            upkeep.spawn(Arc::clone(&self.backend).keep_telling());
            if let Some(rules) = self.backend.health() {
                upkeep.spawn(keep_checking(Arc::clone(&self.backend), rules.clone()));
            }
        }
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
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, UpstreamFault> {
        loop {
            let frame = self.patience.wait(self.idle_timeout, self.incoming.frame()).await;
            let frame =
                frame.and_then(|frame| frame.transpose().map_err(|_| UpstreamFault::Broken));
            match frame {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Err(fault) => {
                    self.watch.failed(fault.code());
                    return Err(fault);
                }
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
