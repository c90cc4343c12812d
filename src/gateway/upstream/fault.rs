//! Why a backend gave no usable answer.

use std::time::Duration;

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
    /// It kept failing, and is not asked for so long.
    #[error("backend is not asked for a while")]
    Suspended(Duration),
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
            Self::Suspended(_) => "suspended",
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
            Self::Sick | Self::Suspended(_) => RefusalReason::UpstreamSuspended,
            Self::Timeout | Self::Total => RefusalReason::UpstreamTimeout,
            Self::Framing => RefusalReason::Unfilterable,
        }
    }

    /// When it is worth asking again, where that is known.
    pub(in crate::gateway) const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Suspended(length) => Some(length),
            Self::Unknown
            | Self::Busy
            | Self::Connect
            | Self::Sick
            | Self::Timeout
            | Self::Total
            | Self::Broken
            | Self::Framing => None,
        }
    }
}
