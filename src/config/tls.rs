//! TLS in tamis.yaml: what clients may speak (`tls:`), lists of revoked certificates (`crls`), and the one
//! way to have session keys written down (`dangerous_tls_key_log`).

use std::path::PathBuf;

use super::node::Node;
use super::read::{Code, Findings, Section};

/// What clients may speak, on every listener that speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Versions and suites.
    pub profile: TlsProfile,
    /// Where session keys are written, so that recordings of the traffic can be read; `None`: nowhere.
    pub dangerous_key_log: Option<PathBuf>,
}

/// Versions and suites. Source: Mozilla, "Server Side TLS", version 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsProfile {
    /// TLS 1.2 and 1.3, authenticated encryption and forward secrecy only. What everything that is
    /// maintained speaks.
    #[default]
    Intermediate,
    /// TLS 1.3 only.
    Modern,
}

impl TlsProfile {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intermediate => "intermediate",
            Self::Modern => "modern",
        }
    }
}

pub(super) fn tls(node: Option<&Node>, findings: &mut Findings) -> TlsConfig {
    let mut tls = TlsConfig::default();
    let Some(node) = node else { return tls };
    let mut section = Section::new("tls", node, findings);
    if let Some(node) = section.optional("profile")
        && let Some(text) = findings.text(node)
    {
        let all = [TlsProfile::Intermediate, TlsProfile::Modern];
        if let Some(profile) = all.into_iter().find(|profile| profile.as_str() == text) {
            tls.profile = profile;
        } else {
            let help = "`intermediate` (TLS 1.2 and 1.3) or `modern` (TLS 1.3 only)";
            let message = "not a profile of TLS".into();
            findings.note(Code::Value, node.location, message, Some(help.into()));
        }
    }
    section.close(findings);
    tls
}

/// Lists of revoked certificates, which say something only beside the authorities that keep them.
pub(super) fn crls(
    node: Option<&Node>,
    has_authorities: bool,
    authorities: &str,
    findings: &mut Findings,
) -> Vec<PathBuf> {
    let Some(node) = node else { return Vec::new() };
    let mut files = Vec::new();
    let entries = findings.list(node);
    if entries.is_empty() {
        let message = "crls: at least one list is needed".to_owned();
        let help = "leave the key out where nobody is to ask what was revoked";
        findings.note(Code::Missing, node.location, message, Some(help.into()));
    }
    for entry in entries {
        let Some(file) = findings.path(entry) else { continue };
        if files.contains(&file) {
            let message = "this list stands here twice".to_owned();
            findings.note(Code::Value, entry.location, message, None);
        }
        files.push(file);
    }
    if !has_authorities {
        let message = "crls: no certificate is judged by them".to_owned();
        let help = format!("name the authorities that keep these lists in `{authorities}`");
        findings.note(Code::Missing, node.location, message, Some(help));
    }
    files
}

/// Where session keys are written, if anywhere.
pub(super) fn key_log(
    node: Option<&Node>,
    loosenings: &mut Vec<String>,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let file = node.and_then(|node| findings.path(node))?;
    loosenings.push(
        "dangerous_tls_key_log: whoever has this file can read what was recorded of the traffic"
            .into(),
    );
    Some(file)
}
