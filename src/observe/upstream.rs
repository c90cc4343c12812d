//! What is counted and told of backends and each of their addresses.
//!
//! Labels are the backend's name and the addresses that the settings or their names' records give;
//! nothing of a request or an answer.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};
use tracing::{debug, info, warn};

use super::metrics::{Maker, Metrics, SECONDS};
use crate::terms::{DecisionId, UpstreamId};

/// Whether a backend is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// One request is under way to see.
    HalfOpen,
    /// It is not.
    Open,
}

impl BreakerState {
    /// As it stands in `/status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// What is counted of backends.
pub(super) struct UpstreamMetrics {
    pub(super) seconds: HistogramVec,
    pub(super) errors: IntCounterVec,
    requests: IntCounterVec,
    failures: IntCounterVec,
    in_service: IntGaugeVec,
    ejections: IntCounterVec,
    checks: IntCounterVec,
    retries: IntCounterVec,
    breaker: IntGaugeVec,
    suspensions: IntCounterVec,
    resolve_errors: IntCounterVec,
}

impl UpstreamMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        let of_address = ["upstream", "address"];
        Self {
            seconds: maker.histograms(
                "tamis_upstream_seconds",
                "Time to the head of a backend's answer",
                "upstream",
                &SECONDS,
            ),
            errors: maker.counters(
                "tamis_upstream_errors_total",
                "Backends that failed",
                &["upstream", "kind"],
            ),
            requests: maker.counters(
                "tamis_upstream_address_requests_total",
                "Attempts at an address of a backend",
                &of_address,
            ),
            failures: maker.counters(
                "tamis_upstream_address_failures_total",
                "Attempts at an address of a backend that failed",
                &["upstream", "address", "kind"],
            ),
            in_service: maker.gauges(
                "tamis_upstream_address_in_service",
                "Whether requests go to an address: 1, or 0 while it is sick or left out",
                &of_address,
            ),
            ejections: maker.counters(
                "tamis_upstream_ejections_total",
                "Times that an address was left out after failures",
                &of_address,
            ),
            checks: maker.counters(
                "tamis_upstream_health_checks_total",
                "Health checks of an address, by what came of them",
                &["upstream", "address", "outcome"],
            ),
            retries: maker.counters(
                "tamis_upstream_retries_total",
                "Attempts that failed and might go elsewhere: `made`, or held back by `budget`",
                &["upstream", "outcome"],
            ),
            breaker: maker.gauges(
                "tamis_upstream_breaker",
                "Whether a backend is asked: 0 it is, 1 one request is under way to see, 2 it is not",
                &["upstream"],
            ),
            suspensions: maker.counters(
                "tamis_upstream_suspensions_total",
                "Times that a backend was not asked any more",
                &["upstream"],
            ),
            resolve_errors: maker.counters(
                "tamis_upstream_resolve_errors_total",
                "Look-ups of a backend's names that failed",
                &["upstream"],
            ),
        }
    }
}

impl UpstreamMetrics {
    /// What is not there is neither in service nor out of it; its counters stay for their sums.
    fn forget(&self, upstream: &str, address: SocketAddr) {
        let address = address.to_string();
        let _ = self.in_service.remove_label_values(&[upstream, address.as_str()]);
    }
}

/// Something that happened with a backend.
#[derive(Debug)]
pub struct UpstreamEvent<'a> {
    /// The backend.
    pub upstream: &'a UpstreamId,
    /// What.
    pub what: UpstreamHappening<'a>,
}

/// What happened.
#[derive(Debug)]
pub enum UpstreamHappening<'a> {
    /// An address was asked.
    Asked(SocketAddr),
    /// An attempt at an address failed.
    AttemptFailed {
        /// Where.
        address: SocketAddr,
        /// How, as in [`super::Event::UpstreamFailed`].
        kind: &'static str,
    },
    /// The request goes on to another address.
    Retried {
        /// Whose request.
        decision: &'a DecisionId,
        /// Attempts so far.
        attempts: usize,
        /// Why the last one failed.
        kind: &'static str,
    },
    /// It would, but too many do.
    RetryHeldBack,
    /// A health check came to something.
    Checked {
        /// Of which address.
        address: SocketAddr,
        /// Whether it was good.
        is_good: bool,
    },
    /// Health checks changed their mind.
    Health {
        /// About which address.
        address: SocketAddr,
        /// Requests go there again, or no more.
        is_well: bool,
    },
    /// An address is left out after failures.
    Ejected {
        /// Which.
        address: SocketAddr,
        /// For how long.
        length: Duration,
    },
    /// Whether requests go to an address, as it is just now.
    Standing {
        /// Which.
        address: SocketAddr,
        /// They do.
        is_in_service: bool,
    },
    /// An address is no longer one of the backend's; what is under way there ends.
    Gone(SocketAddr),
    /// Nobody asks this backend any more at an address: others have taken its place.
    Forgotten(SocketAddr),
    /// An address is one of the backend's from now on.
    Found(SocketAddr),
    /// A name could not be looked up; what it led to before stays.
    Unresolved,
    /// The breaker is in another state.
    Breaker(BreakerState),
    /// The state of the breaker, as it is just now.
    BreakerStands(BreakerState),
}

impl UpstreamEvent<'_> {
    /// Writes the line, where there is one, and moves the metrics.
    pub fn emit(&self, metrics: &Metrics) {
        use UpstreamHappening as What;

        let (counted, upstream) = (&metrics.upstreams, self.upstream.as_str());
        match self.what {
            What::Asked(address) => {
                counted.requests.with_label_values(&[upstream, &address.to_string()]).inc();
            }
            What::AttemptFailed { address, kind } => {
                let address = address.to_string();
                counted.failures.with_label_values(&[upstream, address.as_str(), kind]).inc();
            }
            What::Retried { decision, attempts, kind } => {
                counted.retries.with_label_values(&[upstream, "made"]).inc();
                let decision = decision.as_str();
                info!(upstream, decision, attempts, kind, "asked again elsewhere");
            }
            What::RetryHeldBack => {
                counted.retries.with_label_values(&[upstream, "budget"]).inc();
            }
            What::Checked { address, is_good } => {
                let outcome = if is_good { "good" } else { "bad" };
                let address = address.to_string();
                counted.checks.with_label_values(&[upstream, address.as_str(), outcome]).inc();
            }
            What::Health { address, is_well: true } => {
                info!(upstream, %address, "backend's address is well again");
            }
            What::Health { address, is_well: false } => {
                warn!(upstream, %address, "backend's address is sick, nothing is asked there");
            }
            What::Ejected { address, length } => {
                counted.ejections.with_label_values(&[upstream, &address.to_string()]).inc();
                let seconds = length.as_secs_f64();
                warn!(upstream, %address, seconds, "backend's address is left out after failures");
            }
            What::Standing { address, is_in_service } => {
                let address = address.to_string();
                let gauge = counted.in_service.with_label_values(&[upstream, address.as_str()]);
                gauge.set(is_in_service.into());
            }
            What::Gone(address) => {
                info!(upstream, %address, "backend has this address no more");
                counted.forget(upstream, address);
            }
            What::Forgotten(address) => counted.forget(upstream, address),
            What::Found(address) => info!(upstream, %address, "backend has this address"),
            What::Unresolved => {
                counted.resolve_errors.with_label_values(&[upstream]).inc();
                warn!(upstream, "backend's name cannot be looked up, its last addresses stay");
            }
            What::BreakerStands(state) => {
                counted.breaker.with_label_values(&[upstream]).set(state.number());
            }
            What::Breaker(state) => {
                counted.breaker.with_label_values(&[upstream]).set(state.number());
                match state {
                    BreakerState::Open => {
                        counted.suspensions.with_label_values(&[upstream]).inc();
                        warn!(upstream, "backend keeps failing and is not asked for a while");
                    }
                    BreakerState::HalfOpen => debug!(upstream, "backend is asked once, to see"),
                    BreakerState::Closed => info!(upstream, "backend is asked again"),
                }
            }
        }
    }
}
