//! `limits:` of tamis.yaml. Each key has a row in docs/OPERATIONS.md, "Limits"; a test goes down it.

use super::Limits;
use super::node::Node;
use super::read::{Code, Findings, Section};

/// Largest head that may be configured: it is held whole for each connection.
const MOST_HEAD: usize = 64 << 10;

pub(super) fn limits(node: Option<&Node>, findings: &mut Findings) -> Limits {
    let mut limits = Limits::default();
    let Some(node) = node else { return limits };
    let mut section = Section::new("limits", node, findings);
    if let Some(n) = section.optional("json_depth").and_then(|node| findings.count(node, 128)) {
        limits.json.depth = u16::try_from(n).unwrap_or(u16::MAX);
    }
    if let Some(n) = section.optional("members").and_then(|node| findings.count(node, u64::MAX)) {
        limits.json.members = n;
    }
    for (key, slot) in [
        ("member_name", &mut limits.json.member_name_bytes),
        ("element", &mut limits.json.element_bytes),
        ("scalar", &mut limits.json.scalar_bytes),
        ("target", &mut limits.target_bytes),
    ] {
        if let Some(n) = section.optional(key).and_then(|node| findings.bytes(node)) {
            *slot = size(n);
        }
    }
    if let Some(node) = section.optional("head")
        && let Some(n) = findings.bytes(node).map(size)
    {
        if n > MOST_HEAD {
            let message = "a head of more than 64KiB".into();
            findings.note(Code::Value, node.location, message, None);
        }
        limits.head_bytes = n;
    }
    for (key, slot) in [
        ("response_body", &mut limits.response_body_bytes),
        ("request_body", &mut limits.request_body_bytes),
    ] {
        if let Some(n) = section.optional(key).and_then(|node| findings.bytes(node)) {
            *slot = n;
        }
    }
    for (key, slot) in [
        ("head_timeout", &mut limits.head_timeout),
        ("idle_timeout", &mut limits.idle_timeout),
        ("answer_time", &mut limits.answer_time),
        ("tunnel_idle", &mut limits.tunnel_idle),
        ("tunnel_time", &mut limits.tunnel_time),
        ("tunnel_check", &mut limits.tunnel_check),
        ("drain_timeout", &mut limits.drain_timeout),
        ("concealed_after", &mut limits.concealed_after),
    ] {
        if let Some(duration) = section.optional(key).and_then(|node| findings.duration(node)) {
            *slot = duration;
        }
    }
    for (key, most, slot) in [
        ("connections", 1_000_000, &mut limits.connections),
        ("connections_per_address", 1_000_000, &mut limits.connections_per_address),
        ("requests", 1_000_000, &mut limits.requests),
        ("recipient_requests", 1_000_000, &mut limits.recipient_requests),
        ("headers", 1_000, &mut limits.header_fields),
    ] {
        if let Some(n) = section.optional(key).and_then(|node| findings.count(node, most)) {
            *slot = size(n);
        }
    }
    for (key, most, slot) in [
        ("decompression_ratio", 10_000, &mut limits.decompression_ratio),
        ("streams", 1_000, &mut limits.streams),
        ("recipient_rate", 1_000_000, &mut limits.recipient_rate),
        ("recipient_burst", 1_000_000, &mut limits.recipient_burst),
    ] {
        if let Some(n) = section.optional(key).and_then(|node| findings.count(node, most)) {
            *slot = u32::try_from(n).unwrap_or(u32::MAX);
        }
    }
    section.close(findings);
    limits
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
