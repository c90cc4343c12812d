//! Every metric's name, once. Labels are closed sets or names of the policy.
//!
//! A label never holds what a client or a backend sent. A small counter is itself a disclosure ("one
//! refusal: restricted"), so that reasons which concern a data subject share one code here.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::checkpoint::CheckpointMetrics;
use super::consent_service::ConsentServiceMetrics;
use super::tunnel::TunnelMetrics;
use super::upstream::UpstreamMetrics;
use crate::terms::RefusalReason;

/// From 50 µs, what a commit on a fast disk takes, to 13 s, beyond any time-out of ours.
pub(super) const SECONDS: [f64; 10] =
    [0.000_05, 0.000_2, 0.000_8, 0.003_2, 0.012_8, 0.05, 0.2, 0.8, 3.2, 12.8];

/// From 256 B to 64 MiB.
const BYTES: [f64; 10] = [
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The registry of this process.
pub struct Metrics {
    registry: Registry,
    registers_seen: Mutex<Option<Instant>>,
    register_age: Gauge,
    pub(super) decisions: IntCounterVec,
    pub(super) requests: IntCounterVec,
    pub(super) fields: IntCounterVec,
    pub(super) blanked: IntCounterVec,
    pub(super) elements_released: IntCounterVec,
    pub(super) elements_dropped: IntCounterVec,
    pub(super) undated: IntCounterVec,
    pub(super) links_left_out: IntCounterVec,
    pub(super) unlisted: IntCounterVec,
    pub(super) observed: IntCounterVec,
    pub(super) observed_parts: IntCounterVec,
    pub(super) filter: HistogramVec,
    pub(super) body: HistogramVec,
    pub(super) malformed: IntCounterVec,
    pub(super) tunnels: TunnelMetrics,
    pub(super) upstreams: UpstreamMetrics,
    pub(super) consent_service: ConsentServiceMetrics,
    pub(super) ledger_commit: Histogram,
    pub(super) ledger_refusals: IntCounter,
    pub(super) ledger_signed: IntGauge,
    pub(super) checkpoint_errors: IntCounter,
    pub(super) checkpoints: CheckpointMetrics,
    pub(super) ledger_retired: IntGauge,
    pub(super) retire_errors: IntCounter,
    pub(super) register_errors: IntCounter,
    pub(super) consent_file_errors: IntCounterVec,
    consents_known: IntGauge,
    pub(super) register_changes: IntCounterVec,
    pub(super) erasure_notices: IntCounterVec,
    erasure_notices_undelivered: IntGaugeVec,
    pub(super) admin_requests: IntCounterVec,
    pub(super) exports: IntCounterVec,
    pub(super) policy: IntGaugeVec,
    pub(super) reloads: IntCounterVec,
    reload_good: IntGauge,
    last_good: IntGauge,
    pub(super) connections: IntGauge,
    pub(super) connections_refused: IntCounterVec,
    pub(super) connections_ended: IntCounterVec,
    pub(super) late_answers: IntCounterVec,
    pub(super) encoded: IntCounterVec,
    pub(super) subject_budgets: IntCounterVec,
    pub(super) tls_failures: IntCounterVec,
    pub(super) orders: IntCounterVec,
    next_order: IntGauge,
    endings_good: IntGaugeVec,
    endings: IntGaugeVec,
    pub(super) unread: IntCounterVec,
    pub(super) log_lines_dropped: IntCounter,
    pub(super) log_not_kept: IntCounter,
    pub(super) internal_errors: IntCounterVec,
}

/// Registers what it makes. Its names and labels are constants, each given once, so that neither
/// making nor registering can fail; a test makes the registry.
pub(super) struct Maker(Registry);

impl Maker {
    pub(super) fn add<T: Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let made = made.expect("names and labels below are constants in Prometheus' grammar");
        self.0.register(Box::new(made.clone())).expect("each name below is given once");
        made
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, &[label]))
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let maker = Maker(Registry::new());
        Self {
            registers_seen: Mutex::new(None),
            register_age: maker.add(Gauge::new(
                "tamis_register_age_seconds",
                "Since what the registers answer was last known to be true",
            )),
            decisions: maker.counters(
                "tamis_decisions_total",
                "Decisions; reasons that concern a data subject are one",
                &["recipient_role", "purpose", "outcome", "reason"],
            ),
            requests: maker.counters(
                "tamis_requests_total",
                "Requests answered, by route template and status",
                &["route", "status"],
            ),
            fields: maker.counters(
                "tamis_fields_total",
                "Personal members met in released parts, by what the plan does to them",
                &["category", "action"],
            ),
            blanked: maker.counters(
                "tamis_blanked_members_total",
                "Values replaced because their action was not made for them",
                &["route"],
            ),
            elements_released: maker.counters(
                "tamis_elements_released_total",
                "Elements of lists released",
                &["route"],
            ),
            elements_dropped: maker.counters(
                "tamis_elements_dropped_total",
                "Elements of lists dropped",
                &["reason"],
            ),
            links_left_out: maker.counters(
                "tamis_answer_links_left_out_total",
                "Links in the head of a backend's answer that were left out, by route and header",
                &["route", "header"],
            ),
            undated: maker.counters(
                "tamis_undated_parts_total",
                "Elements and answers without the date that a retention period counts from",
                &["route"],
            ),
            unlisted: maker.counters(
                "tamis_unlisted_members_total",
                "Members removed because nobody catalogued them",
                &["route"],
            ),
            observed: maker.counters(
                "tamis_observed_total",
                "Requests of routes that are not in force, by what enforcing would come to",
                &["route", "mode", "outcome"],
            ),
            observed_parts: maker.counters(
                "tamis_observed_parts_total",
                "Members and elements that enforcing would remove, change, blank or drop",
                &["route", "effect"],
            ),
            filter: maker.histograms(
                "tamis_filter_seconds",
                "Time spent on minimizing one body",
                "route",
                &SECONDS,
            ),
            body: maker.histograms(
                "tamis_body_bytes",
                "Bytes of one minimized body",
                "route",
                &BYTES,
            ),
            malformed: maker.counters(
                "tamis_malformed_bodies_total",
                "Bodies of backends that could not be minimized",
                &["route", "kind"],
            ),
            tunnels: TunnelMetrics::new(&maker),
            upstreams: UpstreamMetrics::new(&maker),
            consent_service: ConsentServiceMetrics::new(&maker),
            ledger_commit: maker.add(Histogram::with_opts(
                HistogramOpts::new(
                    "tamis_ledger_commit_seconds",
                    "Time to make one batch of entries durable",
                )
                .buckets(SECONDS.to_vec()),
            )),
            ledger_refusals: maker.counter(
                "tamis_ledger_unavailable_total",
                "Disclosures refused because the ledger took no entry",
            ),
            ledger_signed: maker.add(IntGauge::new(
                "tamis_ledger_signed_records",
                "Records that the last signed checkpoint of the ledger covers",
            )),
            checkpoint_errors: maker.counter(
                "tamis_ledger_checkpoint_errors_total",
                "Checkpoints of the ledger that could not be kept",
            ),
            checkpoints: CheckpointMetrics::new(&maker),
            ledger_retired: maker.add(IntGauge::new(
                "tamis_ledger_retired_records",
                "Records that are gone, as of the last cut since the start",
            )),
            retire_errors: maker.counter(
                "tamis_ledger_retire_errors_total",
                "Times that records which are too old could not be removed",
            ),
            register_errors: maker.counter(
                "tamis_register_errors_total",
                "Questions that the registers did not answer",
            ),
            consent_file_errors: maker.counters(
                "tamis_consent_file_errors_total",
                "Readings of the file of consents that failed",
                &["kind"],
            ),
            consents_known: maker.add(IntGauge::new(
                "tamis_consents_known",
                "Whether consents from a file are known: 1, or 0 while what rests on them is refused",
            )),
            register_changes: maker.counters(
                "tamis_register_changes_total",
                "Statements of data subjects that changed",
                &["register", "change"],
            ),
            erasure_notices: maker.counters(
                "tamis_erasure_notices_total",
                "Attempts to tell recipients of erasures that failed, and what became of notices",
                &["recipient", "outcome"],
            ),
            erasure_notices_undelivered: maker.add(IntGaugeVec::new(
                Opts::new(
                    "tamis_erasure_notices_undelivered",
                    "Notices of erasures that wait, and that were given up",
                ),
                &["state"],
            )),
            admin_requests: maker.counters(
                "tamis_admin_requests_total",
                "Requests to the admin API, by route template and status",
                &["route", "status"],
            ),
            exports: maker.counters(
                "tamis_register_exports_total",
                "Exports over the admin API: `whole`, or why one was broken off",
                &["outcome"],
            ),
            policy: maker.add(IntGaugeVec::new(
                Opts::new("tamis_policy_info", "The policy in force"),
                &["policy", "digest"],
            )),
            reloads: maker.counters(
                "tamis_reloads_total",
                "Parts that were read anew while running, by what came of it",
                &["what", "outcome"],
            ),
            reload_good: maker.add(IntGauge::new(
                "tamis_reload_good",
                "Whether what is in force is what stands in the files: 1, or 0 after a refused reload",
            )),
            last_good: maker.add(IntGauge::new(
                "tamis_reload_last_good_timestamp_seconds",
                "When the files were last found to be good: at a start or a reload",
            )),
            connections: maker.add(IntGauge::new("tamis_connections", "Open client connections")),
            connections_refused: maker.counters(
                "tamis_connections_refused_total",
                "Connections closed at once: too many of all or of one address, or no header of a balancer",
                &["kind"],
            ),
            connections_ended: maker.counters(
                "tamis_connections_ended_total",
                "Connections ended for want of patience: a late head, nothing asked, nothing or not all taken",
                &["kind"],
            ),
            late_answers: maker.counters(
                "tamis_late_answers_total",
                "Answers that broke off since they were not taken in the time of an answer",
                &["route"],
            ),
            encoded: maker.counters(
                "tamis_encoded_answers_total",
                "Answers that were encoded for their clients",
                &["coding"],
            ),
            subject_budgets: maker.counters(
                "tamis_subject_budget_used_up_total",
                "Requests beyond the people that a recipient may be told of within an hour",
                &["recipient"],
            ),
            tls_failures: maker.counters(
                "tamis_tls_failures_total",
                "TLS handshakes that failed",
                &["kind"],
            ),
            orders: maker.counters(
                "tamis_acme_orders_total",
                "Orders of certificates, by what came of them",
                &["outcome", "kind"],
            ),
            next_order: maker.add(IntGauge::new(
                "tamis_acme_next_order_timestamp_seconds",
                "When a certificate is asked for next",
            )),
            endings_good: maker.gauges(
                "tamis_tls_material_good",
                "Whether a certificate, a list of revoked ones or a stapled answer counts: 1, or 0",
                &["what", "file"],
            ),
            endings: maker.gauges(
                "tamis_tls_material_not_after_timestamp_seconds",
                "When a certificate, a list of revoked ones or a stapled answer ends",
                &["what", "file"],
            ),
            unread: maker.counters(
                "tamis_unread_requests_total",
                "What was sent and is no request, by what is wrong with it",
                &["kind"],
            ),
            log_lines_dropped: maker.counter(
                "tamis_access_log_dropped_total",
                "Access-log lines dropped: their writer was behind, or they could not be made coarser",
            ),
            log_not_kept: maker.counter(
                "tamis_access_log_not_kept_total",
                "Times that the access log could not be made coarser or deleted as the rules say",
            ),
            internal_errors: maker.counters(
                "tamis_internal_errors_total",
                "Defects of our own",
                &["kind"],
            ),
            registry: maker.0,
        }
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let seen = self.registers_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Never seen is infinitely old, so that an alert on the age also finds a start that failed.
        self.register_age.set(seen.map_or(f64::INFINITY, |at| at.elapsed().as_secs_f64()));
        drop(seen);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// What the registers answer was true at this moment.
    pub fn registers_answered(&self, at: Instant) {
        let mut seen =
            self.registers_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *seen = Some(at);
    }

    /// Members of answers that no rule lists, by route, since the start.
    pub fn unlisted_members(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for family in self.unlisted.collect() {
            for metric in family.get_metric() {
                let route = metric.get_label().first().map(|label| label.value().to_owned());
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a counter of whole numbers, far below 2^53"
                )]
                let count = metric.get_counter().get_value() as u64;
                counts.extend(route.filter(|_| count > 0).map(|route| (route, count)));
            }
        }
        counts
    }

    /// Whether what stands in the files is in force; if so, since this moment.
    pub fn files_good(&self, good: bool, now: Timestamp) {
        self.reload_good.set(good.into());
        if good {
            self.last_good.set(now.as_second());
        }
    }

    /// Whether something that handshakes rest on counts, and until when, by what it is and its file.
    pub fn ending(&self, of: (&str, &str), counts: bool, until: Option<Timestamp>) {
        let labels = [of.0, of.1];
        self.endings_good.with_label_values(&labels).set(counts.into());
        if let Some(until) = until {
            self.endings.with_label_values(&labels).set(until.as_second());
        }
    }

    /// When a certificate is asked for next.
    pub fn next_order(&self, at: Timestamp) {
        self.next_order.set(at.as_second());
    }

    /// Handshakes rest on other things than those that are counted.
    pub fn forget_endings(&self) {
        self.endings_good.reset();
        self.endings.reset();
    }

    /// Whether consents from a file are known just now.
    pub fn consents_known(&self, known: bool) {
        self.consents_known.set(known.into());
    }

    /// So many notices of erasures wait, and so many were given up.
    pub fn erasure_notices_undelivered(&self, waiting: u64, given_up: u64) {
        for (state, count) in [("waiting", waiting), ("given-up", given_up)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.erasure_notices_undelivered.with_label_values(&[state]).set(count);
        }
    }

    /// Whether consents from a file were known when it was last looked at.
    #[must_use]
    pub fn are_consents_known(&self) -> bool {
        self.consents_known.get() == 1
    }

    /// A batch of entries became durable in this time.
    pub fn ledger_commit(&self, took: Duration) {
        self.ledger_commit.observe(took.as_secs_f64());
    }

    /// A client connection is open until the guard is dropped.
    #[must_use]
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts one open connection for as long as it lives.
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The code under which a reason is counted and logged where outsiders might look: reasons that
/// concern a data subject are one.
#[must_use]
pub const fn outward_code(reason: RefusalReason) -> &'static str {
    if reason.concerns_a_subject() { "not-available" } else { reason.code() }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, outward_code};
    use crate::terms::RefusalReason;

    #[test]
    fn the_registry_can_be_made_and_read() {
        let metrics = Metrics::new();
        assert!(metrics.text().contains("tamis_register_age_seconds inf"));
        metrics.registers_answered(std::time::Instant::now());
        assert!(!metrics.text().contains("tamis_register_age_seconds inf"));
    }

    #[test]
    fn open_connections_are_counted_until_they_close() {
        let metrics = Metrics::new();
        let open = metrics.connection();
        assert!(metrics.text().contains("tamis_connections 1"));
        drop(open);
        assert!(metrics.text().contains("tamis_connections 0"));
    }

    #[test]
    fn reasons_that_concern_a_person_are_one_code() {
        for reason in RefusalReason::ALL {
            let code = outward_code(reason);
            assert_eq!(code == "not-available", reason.concerns_a_subject(), "{code}");
        }
    }
}
