//! What is counted and told of the places to which signed checkpoints are sent.
//!
//! Labels are the names that the settings give; nothing here is about a person.

use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec};
use tracing::{error, info, warn};

use super::metrics::{Maker, Metrics};

/// What is counted of targets.
pub(super) struct CheckpointMetrics {
    deliveries: IntCounterVec,
    waiting: IntGaugeVec,
    delivered_records: IntGaugeVec,
    delivered_at: IntGaugeVec,
}

impl CheckpointMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            deliveries: maker.counters(
                "tamis_checkpoint_deliveries_total",
                "Attempts to hand a signed checkpoint to a target, by what came of them",
                &["target", "outcome"],
            ),
            waiting: maker.gauges(
                "tamis_checkpoints_waiting",
                "Signed checkpoints that a target has not taken yet",
                &["target"],
            ),
            delivered_records: maker.gauges(
                "tamis_checkpoint_delivered_records",
                "Records that the last checkpoint covers which a target took",
                &["target"],
            ),
            delivered_at: maker.gauges(
                "tamis_checkpoint_delivered_timestamp_seconds",
                "When a target took a checkpoint last",
                &["target"],
            ),
        }
    }
}

/// Something that happened with a target.
#[derive(Debug)]
pub struct CheckpointEvent<'a> {
    /// Its name in the settings.
    pub target: &'a str,
    /// What.
    pub what: CheckpointHappening,
}

/// What happened.
#[derive(Debug)]
pub enum CheckpointHappening {
    /// It took a checkpoint.
    Delivered {
        /// The records that it covers.
        records: u64,
    },
    /// It did not take one, which waits.
    NotDelivered {
        /// The records that it covers.
        records: u64,
        /// How, by a stable code.
        kind: &'static str,
        /// The status that it answered, where it did.
        status: Option<u16>,
    },
    /// One will never be sent: too many wait.
    GivenUp {
        /// The records that it covers.
        records: u64,
    },
    /// How it stands just now.
    Stands {
        /// Checkpoints that wait.
        waiting: usize,
        /// What it took last: the records, and when.
        taken: Option<(u64, Timestamp)>,
    },
}

impl CheckpointEvent<'_> {
    /// Writes the line, where there is one, and moves the metrics.
    pub fn emit(&self, metrics: &Metrics) {
        use CheckpointHappening as What;

        let (counted, target) = (&metrics.checkpoints, self.target);
        let count = |outcome| counted.deliveries.with_label_values(&[target, outcome]).inc();
        match self.what {
            What::Delivered { records } => {
                count("delivered");
                info!(target_name = target, records, "a checkpoint was delivered");
            }
            What::NotDelivered { records, kind: kind @ ("ahead" | "contradicted"), .. } => {
                count(kind);
                error!(target_name = target, records, kind, "a witness has seen another ledger");
            }
            What::NotDelivered { records, kind, status } => {
                count(kind);
                warn!(target_name = target, records, kind, status, "a checkpoint is not delivered");
            }
            What::GivenUp { records } => {
                count("given-up");
                error!(target_name = target, records, "a checkpoint is given up, too many wait");
            }
            What::Stands { waiting, taken } => {
                let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                counted.waiting.with_label_values(&[target]).set(number(waiting as u64));
                if let Some((records, at)) = taken {
                    let records = number(records);
                    counted.delivered_records.with_label_values(&[target]).set(records);
                    counted.delivered_at.with_label_values(&[target]).set(at.as_second());
                }
            }
        }
    }
}
