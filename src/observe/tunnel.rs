//! What is counted and told of tunnels. Labels are routes of the rules and closed sets: what passes
//! through a tunnel is neither seen nor told, but for how many bytes.

use prometheus::{IntCounterVec, IntGaugeVec};
use tracing::{info, warn};

use super::metrics::{Maker, Metrics, outward_code};
use crate::terms::{DecisionId, RefusalReason, RouteId};

/// What is counted of tunnels.
pub(super) struct TunnelMetrics {
    open: IntGaugeVec,
    ended: IntCounterVec,
    bytes: IntCounterVec,
}

impl TunnelMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            open: maker.gauges("tamis_tunnels_open", "Tunnels that are open", &["route"]),
            ended: maker.counters(
                "tamis_tunnels_ended_total",
                "Tunnels that ended, by who or what ended them",
                &["route", "ended"],
            ),
            bytes: maker.counters(
                "tamis_tunnel_bytes_total",
                "Bytes that passed through tunnels that ended, by where they went",
                &["route", "towards"],
            ),
        }
    }
}

/// Something that happened with a tunnel.
#[derive(Debug)]
pub struct TunnelEvent<'a> {
    /// The route.
    pub route: &'a RouteId,
    /// The decision it rests on, so that operators can find the entry.
    pub decision: &'a DecisionId,
    /// What.
    pub what: TunnelHappening,
}

/// What happened.
#[derive(Debug)]
pub enum TunnelHappening {
    /// It opened.
    Opened,
    /// It ended.
    Ended {
        /// Who or what ended it, by a stable code.
        ended: &'static str,
        /// Why it may not go on, where that ended it.
        refusal: Option<RefusalReason>,
        /// Bytes towards the client.
        sent: u64,
        /// Bytes towards the backend.
        received: u64,
    },
}

impl TunnelEvent<'_> {
    /// Writes the line and moves the metrics.
    pub fn emit(&self, metrics: &Metrics) {
        let (counted, route, decision) =
            (&metrics.tunnels, self.route.as_str(), self.decision.as_str());
        match self.what {
            TunnelHappening::Opened => {
                counted.open.with_label_values(&[route]).inc();
                info!(route, decision, "a tunnel opened");
            }
            TunnelHappening::Ended { ended, refusal, sent, received } => {
                counted.open.with_label_values(&[route]).dec();
                counted.ended.with_label_values(&[route, ended]).inc();
                for (towards, bytes) in [("client", sent), ("backend", received)] {
                    counted.bytes.with_label_values(&[route, towards]).inc_by(bytes);
                }
                if let Some(why) = refusal.map(outward_code) {
                    warn!(route, decision, ended, why, "a tunnel may not go on");
                } else {
                    info!(route, decision, ended, "a tunnel ended");
                }
            }
        }
    }
}
