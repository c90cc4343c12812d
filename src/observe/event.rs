//! Everything that is counted or logged besides the access log.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::bodies::{measured, minimized};
use super::metrics::{Metrics, outward_code};
use crate::minimize::{MalformedKind, Tally};
use crate::policy::{Mode, Plan, Policy};
use crate::terms::{DecisionId, PurposeId, RecipientId, RefusalReason, Role, RouteId, UpstreamId};

/// Something that happened. Emitting it writes at most one log line and moves its metrics.
///
/// A variant's fields are names of the policy, closed enums, numbers, and texts of our own code that
/// hold no value of a request or an answer.
#[derive(Debug)]
pub enum Event<'a> {
    /// The gateway takes connections.
    Started {
        /// Its version.
        version: &'static str,
        /// What listens: `https`, `http`, `admin`, `metrics`, each with its address.
        listeners: &'a [(&'static str, SocketAddr)],
    },
    /// Another process writes the ledger still; connections wait until it ends.
    TakingOver,
    /// The gateway takes no more connections and finishes what is in flight.
    Stopping,
    /// The gateway has ended; `unfinished` requests were cut off by the drain time-out.
    Stopped {
        /// How many.
        unfinished: usize,
    },
    /// A loosening of the configuration is on: the name of its `dangerous_` key.
    Dangerous {
        /// The key.
        key: &'a str,
    },
    /// Decisions rest on this policy from here on.
    PolicyActivated {
        /// The policy.
        policy: &'a Policy,
    },
    /// A part of what is in force was read anew and is in force.
    Reloaded {
        /// `settings`, `rules`, `keys` or `certificates`.
        what: &'static str,
    },
    /// A reload was refused; what was in force stays so.
    ReloadRefused {
        /// `settings`, `rules`, `keys` or `certificates`.
        what: &'static str,
        /// In words: files, lines and names of the settings and the rules.
        why: &'a str,
    },
    /// A request was decided.
    Decided {
        /// Role of the recipient, where known.
        role: Option<Role>,
        /// The purposes, as far as they were established; all are names of the policy.
        purposes: &'a [PurposeId],
        /// `None`: permitted.
        refusal: Option<RefusalReason>,
    },
    /// A request was answered, with whatever status.
    Answered {
        /// The route, where one matched.
        route: Option<&'a RouteId>,
        /// The status sent.
        status: u16,
    },
    /// A body was minimized to its end.
    Minimized {
        /// What was meant to leave.
        plan: &'a Plan,
        /// What did.
        tally: &'a Tally,
        /// Parts without the date from which a retention period counts.
        undated: u64,
        /// Time spent on minimizing, without waiting for the backend or the client.
        took: Duration,
    },
    /// A request of a route that is not in force came to this.
    Observed {
        /// The route.
        route: &'a RouteId,
        /// Its mode.
        mode: Mode,
        /// `permitted` or `refused`.
        outcome: &'static str,
    },
    /// An answer of a route in shadow was minimized to its end and thrown away.
    Measured {
        /// What was meant to leave.
        plan: &'a Plan,
        /// What would have.
        tally: &'a Tally,
        /// Whether that differs from what the backend sent.
        changed: bool,
    },
    /// A body could not be minimized; the answer ended as failed.
    Malformed {
        /// The route.
        route: &'a RouteId,
        /// The decision, so that operators can find the entry.
        decision: &'a DecisionId,
        /// What was wrong.
        kind: MalformedKind,
        /// Where, in bytes of the decoded body.
        offset: u64,
    },
    /// A body was not even tried: media type, charset, coding, size.
    Unfilterable {
        /// The route.
        route: &'a RouteId,
        /// The decision, so that operators can find the entry.
        decision: &'a DecisionId,
        /// Which of them.
        kind: &'static str,
    },
    /// Links in an answer's head could not be minimized, and were left out of it.
    LinksLeftOut {
        /// The route.
        route: &'a RouteId,
        /// The decision, so that operators can find the entry.
        decision: &'a DecisionId,
        /// The header.
        header: &'static str,
        /// How many.
        count: u64,
    },
    /// A backend sent the head of its answer.
    UpstreamAnswered {
        /// The backend.
        upstream: &'a UpstreamId,
        /// Time from the request to the head.
        took: Duration,
    },
    /// A backend failed.
    UpstreamFailed {
        /// The backend.
        upstream: &'a UpstreamId,
        /// How: `connect`, `tls`, `timeout`, `reset`, `length`, `status` …
        kind: &'static str,
    },
    /// The ledger took no entry; the disclosure was refused.
    LedgerUnavailable {
        /// Why, in the ledger's words.
        why: &'a str,
    },
    /// A checkpoint of the ledger was signed and kept.
    CheckpointSigned {
        /// Records that it covers.
        records: u64,
        /// The signed note.
        note: &'a str,
    },
    /// A checkpoint of where the ledger is about to be cut.
    CheckpointOfCut {
        /// The last record that goes.
        records: u64,
        /// The signed note.
        note: &'a str,
    },
    /// Records of the ledger were removed, since they are older than the rules keep them.
    LedgerRetired {
        /// The last record that is gone.
        records: u64,
        /// Segments that went.
        segments: u64,
    },
    /// Records that are too old could not be removed.
    LedgerNotRetired {
        /// Why.
        why: &'a str,
    },
    /// A checkpoint of the ledger could not be kept; it is tried again.
    CheckpointFailed {
        /// The kind of error.
        kind: &'a str,
    },
    /// The registers did not answer; what rests on them was refused.
    RegistersUnavailable,
    /// The snapshot of registers that many gateways share was made.
    RegistersRead {
        /// People of whom something is known.
        people: usize,
        /// How long that took.
        took: Duration,
    },
    /// The snapshot follows the server again.
    RegistersFollowed {
        /// People of whom something is known.
        people: usize,
    },
    /// The snapshot does not follow the server; once it is too old what rests on consent is refused.
    RegistersUnfollowed {
        /// In words, without a value.
        why: &'a str,
    },
    /// The file of consents was read to its end after it changed.
    ConsentsRead {
        /// Lines that said something new.
        new: usize,
    },
    /// The last line of the file of consents has no line feed yet.
    ConsentsUnfinished,
    /// The file of consents cannot be read, so that nobody's consent is known.
    ConsentsUnknown {
        /// `unreadable`, `exposed`, `line` or `registers`.
        kind: &'static str,
        /// In words, without a value.
        why: &'a str,
    },
    /// A statement of a data subject changed. Whose it is stays in the registers.
    RegisterChanged {
        /// `consent`, `notice`, `objection`, `restriction`, `dispute`, `erasure` or `subject`.
        register: &'a str,
        /// `recorded`, `withdrawn` or `lifted`.
        change: &'a str,
    },
    /// A recipient was not told of an erasure at this attempt.
    ErasureNoticeFailed {
        /// To whom.
        recipient: &'a RecipientId,
        /// How: `connect`, `timeout`, `broken`, `status`, `not-listed`, `transfer`, `nameless`,
        /// `registers` or `ledger`.
        kind: &'static str,
    },
    /// What became of a notice of an erasure.
    ErasureNoticeEnded {
        /// To whom.
        recipient: &'a RecipientId,
        /// The notice's id, which says nothing of the person.
        notice: &'a str,
        /// `delivered` or `given-up`.
        outcome: &'static str,
        /// Attempts that were made.
        attempts: u32,
    },
    /// The admin API was used.
    AdminUsed {
        /// The caller's name in the configuration; `None`: nobody known.
        by: Option<&'a str>,
        /// The role by which it was theirs to do; `None`: it was not.
        role: Option<&'a str>,
        /// The method, if it is a common one.
        method: &'a str,
        /// The route, as a template.
        route: &'a str,
        /// The status sent.
        status: u16,
    },
    /// Everything that the registers hold was given out, to its end.
    Exported {
        /// How many records.
        records: u64,
    },
    /// An export was broken off.
    ExportBroken {
        /// `registers`: they could not be read on; `not-taken`: the client was gone or too slow.
        kind: &'static str,
    },
    /// A TLS handshake failed.
    TlsFailed {
        /// How: `timeout`, `alert`, `certificate`, `revoked`, `revocation-unknown`, `protocol`, `io`.
        kind: &'static str,
    },
    /// Something that handshakes rest on ends, or is of no use.
    Ending {
        /// `certificate`, `crl` or `ocsp`.
        what: &'static str,
        /// The file that it was read from.
        file: &'a str,
        /// `soon`, `over`, `useless`, or `good` again.
        state: &'static str,
        /// When, where that is known.
        until: Option<Timestamp>,
        /// Why it is of no use.
        why: Option<&'static str>,
    },
    /// An authority gave a certificate, which is kept.
    CertificateIssued {
        /// When it ends.
        until: Timestamp,
    },
    /// An authority gave no certificate; the one that is there stays.
    CertificateNotIssued {
        /// `call`, `late`, `not-ours`, `not-offered`, `storage`, `useless`, `key`, or the name of a problem
        /// of RFC 8555.
        kind: &'static str,
        /// In words; names of ours and no others.
        why: &'a str,
        /// When it is asked again.
        again: Timestamp,
    },
    /// Something was sent that is no request and ended its connection, without an exchange.
    Unread {
        /// `malformed`, `too-large`, `preface` or `frames`.
        kind: &'static str,
    },
    /// A connection beyond a limit was closed at once.
    ConnectionRefused {
        /// `all`: there were too many; `address`: too many from its address; `proxy-missing`,
        /// `proxy-malformed`, `proxy-too-long`, `proxy-ended`, `proxy-late`: a balancer did not say where
        /// it comes from as the PROXY protocol has it.
        kind: &'static str,
    },
    /// A connection was ended for want of patience.
    ConnectionEnded {
        /// `late-head`: a request that did not get whole; `idle`: nothing was asked; `stalled`: the
        /// client took nothing of its answer; `late-answer`: not all of it in the time of an answer.
        kind: &'static str,
    },
    /// A recipient asked beyond the people that its rules allow it within an hour.
    SubjectBudgetUsedUp {
        /// The recipient.
        recipient: &'a RecipientId,
    },
    /// An answer was not taken in the time of an answer, and broke off.
    AnswerLate {
        /// The route.
        route: &'a RouteId,
        /// The decision, so that operators can find the entry.
        decision: &'a DecisionId,
    },
    /// An answer is encoded for its client.
    Encoded {
        /// `zstd`, `br` or `gzip`.
        coding: &'static str,
    },
    /// An access-log line was dropped, since its writer was behind.
    LogLineDropped,
    /// Access-log lines cannot be kept as the rules say.
    LogNotKept {
        /// Why, in our own words.
        why: &'static str,
    },
    /// A defect of our own: a task panicked, an invariant did not hold.
    Internal {
        /// A word of our code for the place.
        kind: &'static str,
    },
}

impl Event<'_> {
    /// Writes the line and moves the metrics.
    pub fn emit(&self, metrics: &Metrics) {
        match self {
            Self::Started { version, listeners } => {
                info!(version, ?listeners, "started");
            }
            Self::TakingOver => {
                info!("another process writes the ledger still, waiting for its end");
            }
            Self::Stopping => info!("stopping"),
            Self::Stopped { unfinished } => info!(unfinished, "stopped"),
            Self::Dangerous { key } => warn!(key, "a safeguard is switched off"),
            Self::PolicyActivated { policy } => {
                let digest = policy.digest.to_string();
                metrics.policy.reset();
                metrics.policy.with_label_values(&[policy.id.as_ref(), digest.as_str()]).set(1);
                info!(policy = &*policy.id, revision = policy.revision, digest, "policy activated");
            }
            Self::Reloaded { what } => {
                metrics.reloads.with_label_values(&[what, "activated"]).inc();
                info!(what, "reloaded");
            }
            Self::ReloadRefused { what, why } => {
                metrics.reloads.with_label_values(&[what, "refused"]).inc();
                error!(what, why, "reload refused, what was in force stays so");
            }
            Self::Decided { role, purposes, refusal } => {
                let role = role.map_or("unknown", Role::as_str);
                let outcome = if refusal.is_some() { "refused" } else { "permitted" };
                let reason = refusal.map_or("none", outward_code);
                let labels = [role, purpose_label(purposes), outcome, reason];
                metrics.decisions.with_label_values(&labels).inc();
            }
            Self::Answered { route, status } => {
                let route = route.map_or("-", |route| route.as_str());
                metrics.requests.with_label_values(&[route, status.to_string().as_str()]).inc();
            }
            Self::Minimized { plan, tally, undated, took } => {
                metrics.undated.with_label_values(&[plan.route.as_str()]).inc_by(*undated);
                minimized(metrics, plan, tally, *took);
            }
            Self::Observed { route, mode, outcome } => {
                let labels = [route.as_str(), mode.as_str(), outcome];
                metrics.observed.with_label_values(&labels).inc();
            }
            Self::Measured { plan, tally, changed } => measured(metrics, plan, tally, *changed),
            Self::Malformed { route, decision, kind, offset } => {
                metrics.malformed.with_label_values(&[route.as_str(), kind.code()]).inc();
                let (route, decision) = (route.as_str(), decision.as_str());
                warn!(route, decision, kind = kind.code(), offset, "body not minimized");
            }
            Self::Unfilterable { route, decision, kind } => {
                metrics.malformed.with_label_values(&[route.as_str(), kind]).inc();
                let (route, decision) = (route.as_str(), decision.as_str());
                warn!(route, decision, kind, "body cannot be minimized");
            }
            Self::LinksLeftOut { route, decision, header, count } => {
                metrics.links_left_out.with_label_values(&[route.as_str(), header]).inc_by(*count);
                let (route, decision) = (route.as_str(), decision.as_str());
                warn!(route, decision, header, count, "links in a head were left out");
            }
            Self::UpstreamAnswered { upstream, took } => {
                let seconds = took.as_secs_f64();
                metrics.upstreams.seconds.with_label_values(&[upstream.as_str()]).observe(seconds);
            }
            Self::UpstreamFailed { upstream, kind } => {
                metrics.upstreams.errors.with_label_values(&[upstream.as_str(), kind]).inc();
                warn!(upstream = upstream.as_str(), kind, "backend failed");
            }
            Self::LedgerUnavailable { why } => {
                metrics.ledger_refusals.inc();
                error!(why, "ledger unavailable, nothing personal is disclosed");
            }
            Self::CheckpointSigned { records, note } => {
                metrics.ledger_signed.set(i64::try_from(*records).unwrap_or(i64::MAX));
                info!(records, note, "ledger checkpoint");
            }
            Self::CheckpointOfCut { records, note } => {
                info!(records, note, "checkpoint of where the ledger is cut");
            }
            Self::LedgerRetired { records, segments } => {
                metrics.ledger_retired.set(i64::try_from(*records).unwrap_or(i64::MAX));
                info!(records, segments, "records of the ledger are not kept any longer");
            }
            Self::LedgerNotRetired { why } => {
                metrics.retire_errors.inc();
                error!(why, "records of the ledger are kept too long");
            }
            Self::CheckpointFailed { kind } => {
                metrics.checkpoint_errors.inc();
                error!(kind, "a checkpoint of the ledger cannot be kept");
            }
            Self::RegistersUnavailable => {
                metrics.register_errors.inc();
                error!("registers unavailable, what rests on them is refused");
            }
            Self::RegistersRead { people, took } => {
                info!(people, seconds = took.as_secs_f64(), "the registers were read");
            }
            Self::RegistersFollowed { people } => info!(people, "the registers are followed again"),
            Self::RegistersUnfollowed { why } => {
                metrics.register_errors.inc();
                error!(why, "the registers cannot be followed");
            }
            Self::ConsentsRead { new } => info!(new, "the file of consents was read"),
            Self::ConsentsUnfinished => warn!("the file of consents ends in half a line"),
            Self::ConsentsUnknown { kind, why } => {
                metrics.consent_file_errors.with_label_values(&[kind]).inc();
                error!(kind, why, "consents unknown, what rests on them is refused");
            }
            Self::RegisterChanged { register, change } => {
                metrics.register_changes.with_label_values(&[register, change]).inc();
                info!(register, change, "register changed");
            }
            Self::ErasureNoticeFailed { recipient, kind } => {
                let recipient = recipient.as_str();
                metrics.erasure_notices.with_label_values(&[recipient, "failed"]).inc();
                warn!(recipient, kind, "a recipient could not be told of an erasure");
            }
            Self::ErasureNoticeEnded { recipient, notice, outcome, attempts } => {
                let recipient = recipient.as_str();
                metrics.erasure_notices.with_label_values(&[recipient, outcome]).inc();
                if *outcome == "delivered" {
                    info!(recipient, notice, attempts, "a recipient was told of an erasure");
                } else {
                    error!(recipient, notice, attempts, "a recipient is not told of an erasure");
                }
            }
            Self::AdminUsed { by, role, method, route, status } => {
                let labels = [*route, &status.to_string()];
                metrics.admin_requests.with_label_values(&labels).inc();
                info!(by, role, method, route, status, "admin API used");
            }
            Self::Exported { records } => {
                metrics.exports.with_label_values(&["whole"]).inc();
                info!(records, "the registers were exported");
            }
            Self::ExportBroken { kind } => {
                metrics.exports.with_label_values(&[kind]).inc();
                warn!(kind, "an export of the registers was broken off");
            }
            Self::TlsFailed { kind } => {
                metrics.tls_failures.with_label_values(&[kind]).inc();
                tracing::debug!(kind, "TLS handshake failed");
            }
            Self::Ending { what, file, state, until, why } => {
                let until = until.map(tracing::field::display);
                match *state {
                    "good" => info!(what, file, until, "it counts again"),
                    "soon" => warn!(what, file, until, "it ends soon; renew it"),
                    _ => error!(what, file, state, until, why, "it does not count"),
                }
            }
            Self::CertificateIssued { until } => {
                metrics.orders.with_label_values(&["issued", "none"]).inc();
                info!(until = tracing::field::display(until), "a certificate was issued");
            }
            Self::CertificateNotIssued { kind, why, again } => {
                metrics.orders.with_label_values(&["failed", kind]).inc();
                let again = tracing::field::display(again);
                error!(kind, why, again, "no certificate was issued, what was in force stays so");
            }
            Self::Unread { kind } => metrics.unread.with_label_values(&[kind]).inc(),
            Self::ConnectionRefused { kind } => {
                metrics.connections_refused.with_label_values(&[kind]).inc();
            }
            Self::ConnectionEnded { kind } => {
                metrics.connections_ended.with_label_values(&[kind]).inc();
            }
            Self::SubjectBudgetUsedUp { recipient } => {
                metrics.subject_budgets.with_label_values(&[recipient.as_str()]).inc();
            }
            Self::AnswerLate { route, decision } => {
                metrics.late_answers.with_label_values(&[route.as_str()]).inc();
                let (route, decision) = (route.as_str(), decision.as_str());
                warn!(route, decision, "an answer was not taken in time");
            }
            Self::Encoded { coding } => metrics.encoded.with_label_values(&[coding]).inc(),
            Self::LogLineDropped => metrics.log_lines_dropped.inc(),
            Self::LogNotKept { why } => {
                metrics.log_not_kept.inc();
                error!(why, "access log not kept as the rules say");
            }
            Self::Internal { kind } => {
                metrics.internal_errors.with_label_values(&[kind]).inc();
                error!(kind, "internal error");
            }
        }
    }
}

/// One label for a set of purposes, so that its values stay as few as the policy's purposes.
fn purpose_label(purposes: &[PurposeId]) -> &str {
    match purposes {
        [] => "none",
        [purpose] => purpose.as_str(),
        [_, _, ..] => "several",
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Event, Metrics, Tally};
    use crate::policy::Policy;
    use crate::terms::{PurposeId, RefusalReason, Role};

    #[test]
    fn a_refusal_for_a_person_s_state_does_not_say_which() {
        let metrics = Metrics::new();
        let purposes = [PurposeId::from("share.partner")];
        for reason in [RefusalReason::Restricted, RefusalReason::ConsentMissing] {
            let (role, refusal) = (Some(Role::ThirdParty), Some(reason));
            Event::Decided { role, purposes: &purposes, refusal }.emit(&metrics);
        }
        let text = metrics.text();
        let line = "tamis_decisions_total{outcome=\"refused\",purpose=\"share.partner\",\
                    reason=\"not-available\",recipient_role=\"third-party\"} 2";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("restricted"));
    }

    #[test]
    fn what_has_no_date_is_counted_by_route() {
        let metrics = Metrics::new();
        let rules = include_str!("../../rules/template/rules.yaml");
        let policy = Policy::parse("template", rules).expect("it loads");
        let (recipient, route) = (policy.recipients.keys().next().expect("one"), &policy.routes[0]);
        let purposes = &policy.recipients[recipient].purposes;
        let plan = policy.plan(0, recipient, purposes).expect("small");
        let tally = Tally::default();
        for undated in [2, 0, 3] {
            let event =
                Event::Minimized { plan: &plan, tally: &tally, undated, took: Duration::ZERO };
            event.emit(&metrics);
        }
        let line = format!("tamis_undated_parts_total{{route=\"{}\"}} 5", route.id);
        assert!(metrics.text().contains(&line), "{}", metrics.text());
    }

    #[test]
    fn several_purposes_are_one_label() {
        let metrics = Metrics::new();
        let purposes = [PurposeId::from("a"), PurposeId::from("b")];
        Event::Decided { role: None, purposes: &purposes, refusal: None }.emit(&metrics);
        assert!(metrics.text().contains("purpose=\"several\",reason=\"none\""));
    }
}
