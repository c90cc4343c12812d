//! What was sent on a connection and is no request, and ended it: told to the operator, since no
//! exchange is.
//!
//! The HTTP library answers such bytes itself, with a status and no body or not at all, and closes. It
//! takes from them nothing that could be logged; neither does this: only what kind of fault it was. A
//! fault of one HTTP/2 stream ends that stream alone and is not told, until there are too many.

use std::error::Error as _;

use http::Method;
use jiff::Timestamp;

use super::exchange::Peer;
use super::respond;
use super::state::Gateway;
use crate::observe::{AccessDecision, AccessLine, Event};
use crate::terms::RefusalReason;

/// Why something that was sent is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// A head that the standard does not allow. Source: RFC 9112 §2–§6.
    Malformed,
    /// A head beyond the limits of size and number.
    TooLarge,
    /// The preface of HTTP/2 where HTTP/1.1 was agreed. Nothing is answered. Source: RFC 9113 §3.4.
    Preface,
    /// Frames that break the rules of HTTP/2 for a whole connection, or are too many of a kind. Source: RFC 9113 §5.4.1.
    Frames,
}

impl Unread {
    /// What of a connection's end was the fault of what was sent on it. `None`: it broke off, was
    /// idle, or the client said goodbye.
    pub(super) fn of(error: &hyper::Error) -> Option<Self> {
        if error.is_parse_version_h2() {
            return Some(Self::Preface);
        }
        if error.is_parse_too_large() {
            return Some(Self::TooLarge);
        }
        if error.is_parse() {
            return Some(Self::Malformed);
        }
        let of_frames = error.source().and_then(|source| source.downcast_ref::<h2::Error>())?;
        // Found here, not told by the other side or by the socket.
        of_frames.is_library().then_some(Self::Frames)
    }

    /// The stable code for metrics.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::Preface => "preface",
            Self::Frames => "frames",
        }
    }

    /// Writes the line that an exchange would have written. Nothing is known but who was connected.
    pub(super) fn account(self, gateway: &Gateway, peer: &Peer) {
        let status = respond::unread(self);
        Event::Answered { route: None, status }.emit(&gateway.metrics);
        // A method of no meaning, which the log writes as such.
        let Ok(method) = Method::from_bytes(b"-") else { return };
        let policy = &gateway.policy;
        let line = AccessLine {
            at: Timestamp::now(),
            method: &method,
            route: None,
            status,
            bytes: 0,
            took: std::time::Duration::ZERO,
            recipient: None,
            purposes: &[],
            client: peer.address,
            user_agent: None,
            referrer: None,
            headers: &[],
            authority: None,
            decision: AccessDecision::Refused(RefusalReason::RequestMalformed),
            decision_id: None,
            tls: peer.handshake.version,
        };
        gateway.access_log.write(&line, &policy.access_log);
    }
}
