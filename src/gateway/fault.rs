//! Requests that are not understood: judged before anyone asks who sent them.

use http::request::Parts;

use crate::config::Limits;

/// What is wrong with a request. Names a kind; never repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(super) enum RequestFault {
    /// The path has no single meaning.
    #[error("ambiguous or malformed path")]
    Path,
    /// The query has no single meaning.
    #[error("ambiguous or malformed query")]
    Query,
    /// No host, several, or one that contradicts the request's target.
    #[error("host missing, malformed or contradictory")]
    Host,
    /// A host that this gateway's certificates do not name, or another than the TLS layer was asked for.
    #[error("host is not served here")]
    Misdirected,
    /// A header that the gateway reads is malformed.
    #[error("malformed header")]
    Header,
    /// A condition that no answer of ours can meet.
    #[error("condition cannot be met")]
    Condition,
    /// An HTTP version in which a broken answer cannot be told from a whole one.
    #[error("HTTP version not supported")]
    Version,
    /// A path and query beyond the limit.
    #[error("target too long")]
    TargetTooLong,
    /// More header fields than the limit.
    #[error("too many header fields")]
    TooManyHeaders,
    /// A CONNECT that is no handshake of a tunnel of the rules: it names nobody whom it is about.
    #[error("CONNECT is not taken here")]
    Connect,
    /// The route opens tunnels and answers nothing else.
    #[error("a WebSocket handshake of version 13 is expected here")]
    Handshake,
    /// A page of an origin that may not open the tunnel.
    #[error("a page of this origin may not ask for it")]
    Origin,
    /// Something came behind a handshake before that was answered.
    #[error("something was sent before the handshake was answered")]
    Early,
    /// The request has a body, and the route takes none.
    #[error("request body not accepted")]
    Body,
}

/// Whether target and number of fields are within their limits. A head that is too large as a whole has
/// been refused before there was a request.
pub(super) fn sized(head: &Parts, limits: &Limits) -> Result<(), RequestFault> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes {
        return Err(RequestFault::TargetTooLong);
    }
    // HTTP/1.1 is held to it by its reader; HTTP/2 has a bound of bytes alone.
    if head.headers.len() > limits.header_fields {
        return Err(RequestFault::TooManyHeaders);
    }
    Ok(())
}
