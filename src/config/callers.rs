//! `admin:` of tamis.yaml: who may call the admin API, as what, and how often.
//!
//! Nobody is a caller by default, and no caller has a role by default. A token or a name in a
//! certificate belongs to one caller, or two approvals could be one person's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::node::{Key, Node};
use super::read::{Code, Findings, Section};
use super::tls::crls;
use crate::terms::{AdminCaller, AdminRole, CertificateName, is_file_id};

/// Calls of one caller in a minute where the file does not say it: a consent application at ten a
/// second. Bulk goes by import, which is one call.
const CALLS_PER_MINUTE: u32 = 600;

/// The admin API's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Authorities of callers' client certificates; `None`: none are asked for.
    pub client_ca: Option<PathBuf>,
    /// What these authorities have revoked; empty: nobody asks.
    pub crls: Vec<PathBuf>,
    /// Callers by name.
    pub callers: BTreeMap<String, AdminCaller>,
    /// Calls that one caller may make in a minute.
    pub calls_per_minute: u32,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            client_ca: None,
            crls: Vec::new(),
            callers: BTreeMap::new(),
            calls_per_minute: CALLS_PER_MINUTE,
        }
    }
}

pub(super) fn admin(node: Option<&Node>, findings: &mut Findings) -> AdminConfig {
    let mut admin = AdminConfig::default();
    let Some(node) = node else { return admin };
    let mut section = Section::new("admin", node, findings);
    admin.client_ca = section.optional("client_ca").and_then(|node| findings.path(node));
    let has_ca = admin.client_ca.is_some();
    admin.crls = crls(section.optional("crls"), has_ca, "admin.client_ca", findings);
    let most = section.optional("calls_per_minute");
    if let Some(calls) = most.and_then(|node| findings.count(node, 1_000_000)) {
        admin.calls_per_minute = u32::try_from(calls).unwrap_or(u32::MAX);
    }
    if let Some(node) = section.optional("callers") {
        for (key, node) in findings.map(node) {
            let Some(caller) = caller(key, node, findings) else { continue };
            if caller.certificate.is_some() && admin.client_ca.is_none() {
                let message = format!("admin.callers.{}: no certificate is asked for", key.name);
                let help = "name the authorities of callers' certificates in `admin.client_ca`";
                findings.note(Code::Missing, node.location, message, Some(help.into()));
            }
            if admin.callers.values().any(|other| is_shared(other, &caller)) {
                let message = format!("admin.callers.{}: another caller has that too", key.name);
                let help = "a token and a name in a certificate belong to one caller";
                findings.note(Code::Value, node.location, message, Some(help.into()));
            }
            admin.callers.insert(key.name.clone(), caller);
        }
    }
    section.close(findings);
    admin
}

fn caller(key: &Key, node: &Node, findings: &mut Findings) -> Option<AdminCaller> {
    let name = format!("admin.callers.{}", key.name);
    // It stands in the ledger, where nothing can be erased.
    if !is_file_id(&key.name) {
        let message = "not a caller's name".into();
        let help = "letters, digits and ._:/#-, at most 64 of them".into();
        findings.note(Code::Value, key.location, message, Some(help));
    }
    let mut section = Section::new(&name, node, findings);
    let mut roles = BTreeSet::new();
    if let Some(node) = section.required("roles", findings) {
        for entry in findings.list(node) {
            let Some(word) = findings.text(entry) else { continue };
            let role = AdminRole::parse(&word);
            if role.is_none() {
                let known = AdminRole::ALL.map(AdminRole::as_str).join(", ");
                let help = Some(format!("one of {known}"));
                findings.note(Code::Value, entry.location, "not a role".into(), help);
            }
            roles.extend(role);
        }
        if roles.is_empty() {
            findings.note(Code::Missing, node.location, format!("{name}: no role"), None);
        }
    }
    let token = section.optional("token").and_then(|node| findings.digest(node));
    let certificate = section.optional("certificate").and_then(|node| {
        let text = findings.text(node)?;
        let parsed = CertificateName::parse(&text);
        if parsed.is_none() {
            let help = Some("write `dns:<name>`, `spiffe://…` or `uri:<URI>`".into());
            let message = "not a name in a client certificate".into();
            findings.note(Code::Value, node.location, message, help);
        }
        parsed
    });
    section.close(findings);
    if token.is_none() && certificate.is_none() {
        let message = format!("{name}: needs `token` or `certificate`, or both");
        findings.note(Code::Missing, node.location, message, None);
        return None;
    }
    Some(AdminCaller { roles, token, certificate })
}

fn is_shared(one: &AdminCaller, other: &AdminCaller) -> bool {
    one.token.is_some() && one.token == other.token
        || one.certificate.is_some() && one.certificate == other.certificate
}
