//! `forwarding:`, what backends are told of the caller besides what is asked.

use std::path::PathBuf;

use super::node::Node;
use super::read::{Code, Findings, Section};

/// What backends are told of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// The client's address.
    pub address: ClientAddress,
    /// `Forwarded` too (RFC 7239), and not only `X-Forwarded-For`.
    pub forwarded: bool,
    /// An id by which a request is followed from service to service.
    pub trace: Trace,
    /// Who asks; `None`: they are not told.
    pub identity: Option<IdentityForwarding>,
}

/// How much of a client's address backends are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddress {
    /// Nothing.
    None,
    /// Its network, as short as in the access log.
    #[default]
    Prefix,
    /// All of it.
    Full,
}

/// What backends are told of a trace. Source: W3C Trace Context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Nothing.
    #[default]
    None,
    /// A new trace for each request, with the decision's number.
    New,
    /// That of an internal recipient goes on; others get a new one.
    Internal,
}

/// How backends are told who asks: in a token that the gateway signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityForwarding {
    /// An Ed25519 key, PKCS #8 in PEM.
    pub key: PathBuf,
    /// With the id of the person who acts, where the caller's credential names one.
    pub person: bool,
}

pub(super) fn forwarding(node: Option<&Node>, findings: &mut Findings) -> Forwarding {
    let mut told = Forwarding::default();
    let Some(node) = node else { return told };
    let mut section = Section::new("forwarding", node, findings);
    let addresses = [
        ("none", ClientAddress::None),
        ("prefix", ClientAddress::Prefix),
        ("full", ClientAddress::Full),
    ];
    if let Some(word) = word(section.optional("address"), &addresses, findings) {
        told.address = word;
    }
    let traces = [("none", Trace::None), ("new", Trace::New), ("internal", Trace::Internal)];
    if let Some(word) = word(section.optional("trace"), &traces, findings) {
        told.trace = word;
    }
    if let Some(flag) = section.optional("forwarded").and_then(|node| findings.boolean(node)) {
        told.forwarded = flag;
    }
    if let Some(node) = section.optional("identity") {
        let mut inner = Section::new("forwarding.identity", node, findings);
        let key = inner.required("key", findings).and_then(|node| findings.path(node));
        let person = inner.optional("person").and_then(|node| findings.boolean(node));
        inner.close(findings);
        let person = person.unwrap_or(false);
        told.identity = key.map(|key| IdentityForwarding { key, person });
    }
    section.close(findings);
    told
}

/// One of `words`.
pub(super) fn word<T: Copy>(
    node: Option<&Node>,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let node = node?;
    let text = findings.text(node)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = Some(format!("one of {}", known.join(", ")));
        findings.note(Code::Value, node.location, "no such word here".into(), help);
    }
    found
}
