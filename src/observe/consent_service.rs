//! What is counted and told of a consent service. Nothing of what was asked or answered.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use tracing::{error, info, warn};

use super::metrics::{Maker, Metrics};

/// What is counted.
pub(super) struct ConsentServiceMetrics {
    calls: IntCounterVec,
    people: IntCounter,
    cached: IntGauge,
    contradictions: IntCounter,
}

impl ConsentServiceMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            calls: maker.counters(
                "tamis_consent_service_calls_total",
                "Questions to the consent service: `answered`, or why one was not",
                &["outcome"],
            ),
            people: maker.counter(
                "tamis_consent_service_people_total",
                "People about whom the consent service was asked and has answered",
            ),
            cached: maker.add(IntGauge::new(
                "tamis_consent_service_cached_people",
                "People whose answers are kept",
            )),
            contradictions: maker.counter(
                "tamis_consent_service_contradictions_total",
                "Decisions without consents since service and registers have one id for two of them",
            ),
        }
    }
}

/// Something that happened with a consent service.
#[derive(Clone, Copy, Debug)]
pub enum ConsentServiceEvent {
    /// It answered as it should.
    Answered {
        /// About how many people.
        people: usize,
        /// How many are known now.
        cached: usize,
        /// The question before this one failed.
        was_failing: bool,
    },
    /// It did not; whom it was asked about is unknown.
    Failed {
        /// How: `connect`, `tls`, `timeout`, `broken`, `too-large`, `status`, `malformed` or `busy`.
        kind: &'static str,
        /// The question before this one was answered. A fault that lasts is told once.
        is_first: bool,
    },
    /// It and our registers know two consents of somebody by one id.
    Contradicted,
}

impl ConsentServiceEvent {
    /// Writes the line, where there is one, and moves the metrics.
    pub fn emit(self, metrics: &Metrics) {
        let counted = &metrics.consent_service;
        match self {
            Self::Answered { people, cached, was_failing } => {
                counted.calls.with_label_values(&["answered"]).inc();
                counted.people.inc_by(people as u64);
                counted.cached.set(i64::try_from(cached).unwrap_or(i64::MAX));
                if was_failing {
                    info!("the consent service answers again");
                }
            }
            Self::Failed { kind, is_first } => {
                counted.calls.with_label_values(&[kind]).inc();
                if is_first {
                    error!(
                        kind,
                        "the consent service does not answer: what rests on it is refused"
                    );
                }
            }
            Self::Contradicted => {
                counted.contradictions.inc();
                warn!("the consent service and the registers have one id for two consents");
            }
        }
    }
}
