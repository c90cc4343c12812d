//! The plaintext listener: says where HTTPS is, and to an authority of certificates what it asks for. It asks no backend, knows no rules
//! and reads no credential; one that was sent in plaintext has been seen by others.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, Method, Request, Response, Version, header};
use hyper::body::Incoming;

use super::authority;
use super::body::ClientBody;
use super::respond;
use super::route::Target;
use super::state::Gateway;

/// What the plaintext listener knows.
pub(super) struct Redirect {
    /// Whose hosts are served over HTTPS; no other one is repeated.
    pub(super) in_force: Arc<ArcSwap<Gateway>>,
    /// The port of the HTTPS listener.
    pub(super) https_port: u16,
}

impl Redirect {
    /// Answers one request.
    pub(super) fn answer(self: &Arc<Self>, request: &Request<Incoming>) -> Response<ClientBody> {
        if let Some(said) = self.challenge(request) {
            return respond::challenge(said);
        }
        self.location(request)
            .and_then(|location| respond::moved(&location))
            .unwrap_or_else(respond::plaintext_refused)
    }

    /// What an authority asks for while an order waits for it. Source: RFC 8555 §8.3.
    fn challenge(&self, request: &Request<Incoming>) -> Option<String> {
        let is_asked = *request.method() == Method::GET && request.uri().query().is_none();
        let tls = &self.in_force.load().tls;
        is_asked.then(|| tls.challenges.at(request.uri().path())).flatten()
    }

    fn location(&self, request: &Request<Incoming>) -> Option<String> {
        let is_read = *request.method() == Method::GET || *request.method() == Method::HEAD;
        if !is_read || request.version() < Version::HTTP_11 || announces_body(request.headers()) {
            return None;
        }
        let host = authority::host(request.uri(), request.headers()).ok()?;
        if !self.in_force.load().tls.names.contains(&host) {
            return None;
        }
        let target = Target::judge(request.uri()).ok()?.path_and_query();
        Some(match self.https_port {
            443 => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        })
    }
}

fn announces_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length.as_bytes() != b"0")
}
