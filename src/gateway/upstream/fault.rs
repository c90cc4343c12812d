//! Why a backend gave no usable answer.

use crate::terms::RefusalReason;

/// Why a backend gave no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::gateway) enum UpstreamFault {
    /// The route names none, or one that is not configured.
    #[error("no such backend")]
    Unknown,
    /// Too many requests at once.
    #[error("backend is busy")]
    Busy,
    /// No connection.
    #[error("cannot connect to the backend")]
    Connect,
    /// Health checks say that none of its addresses is well.
    #[error("backend is not well")]
    Sick,
    /// No head, or no next piece, in time.
    #[error("backend took too long")]
    Timeout,
    /// Piece by piece in time, and too slow all the same.
    #[error("backend took too long over the whole answer")]
    Total,
    /// It broke off, or did not speak HTTP.
    #[error("backend broke off")]
    Broken,
    /// Its answer has two lengths, or one that nobody can tell.
    #[error("backend's answer has an unclear length")]
    Framing,
}

impl UpstreamFault {
    /// The stable code for logs and metrics.
    pub(in crate::gateway) const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Busy => "busy",
            Self::Connect => "connect",
            Self::Sick => "sick",
            Self::Timeout => "timeout",
            Self::Total => "total-timeout",
            Self::Broken => "broken",
            Self::Framing => "framing",
        }
    }

    /// The reason of the refusal that follows.
    pub(in crate::gateway) const fn reason(self) -> RefusalReason {
        match self {
            Self::Unknown => RefusalReason::PolicyInvalid,
            Self::Busy => RefusalReason::Overloaded,
            Self::Connect | Self::Broken => RefusalReason::UpstreamUnavailable,
            Self::Sick => RefusalReason::UpstreamSuspended,
            Self::Timeout | Self::Total => RefusalReason::UpstreamTimeout,
            Self::Framing => RefusalReason::Unfilterable,
        }
    }
}
