//! Requests that are not understood: judged before anyone asks who sent them.

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
    /// The request has a body, and the route takes none.
    #[error("request body not accepted")]
    Body,
}
