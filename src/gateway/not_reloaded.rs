//! Why a reload is refused, in words for whoever wrote the files.

use std::error::Error;

use super::start::StartError;
use super::tls::TlsError;
use crate::config::ConfigError;
use crate::identity::IssuerError;
use crate::keys::KeyRingError;
use crate::ledger::LedgerUnavailable;
use crate::policy::Diagnostics;
use crate::policy::difference::Change;
use crate::terms::Digest;

/// Findings and changes that are told; beyond it their number.
const TOLD: usize = 5;

/// Why a reload was refused. Names files, lines and names of the settings and the rules.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("settings rejected")]
    Settings(#[from] ConfigError),
    #[error("these settings need a restart: {}", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    #[error("these rules need a restart: {}", .0.join(", "))]
    RulesNeedRestart(Vec<&'static str>),
    #[error("rejected")]
    Read(#[from] StartError),
    #[error("rejected")]
    Certificates(#[from] TlsError),
    #[error("these rest on certificates that are rejected: {}", .0.join(", "))]
    RestsOnCertificates(Vec<&'static str>),
    #[error(
        "the rules release more than those in force; to take them write `reload: {{confirmed: {digest}}}` or \
         restart; {}",
        told(.changes.iter().map(|change| format!("{} {}: {}: {} -> {}", change.way.as_str(),
            change.about, change.what, change.before, change.after)))
    )]
    Widens { digest: Digest, changes: Vec<Change> },
    #[error("a plan grows too large: {0}")]
    Plans(String),
    #[error("an issuer's keys cannot be had")]
    Issuer(#[source] IssuerError),
    #[error("the ledger does not take the new rules")]
    Ledger(#[source] LedgerUnavailable),
    #[error("a defect of our own while reading")]
    Defect,
}

impl ReloadError {
    /// Whether it may pass without a change of any file.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Issuer(_)
            | Self::Ledger(_)
            | Self::Defect
            | Self::Read(StartError::Moving(_) | StartError::Keys(KeyRingError::Wrap(_))) => true,
            Self::Settings(_)
            | Self::NeedsRestart(_)
            | Self::RulesNeedRestart(_)
            | Self::Read(_)
            | Self::Certificates(_)
            | Self::RestsOnCertificates(_)
            | Self::Widens { .. }
            | Self::Plans(_) => false,
        }
    }

    /// What the fault is about.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Settings(_)
            | Self::NeedsRestart(_)
            | Self::RestsOnCertificates(_)
            | Self::Issuer(_)
            | Self::Defect => SETTINGS,
            Self::Read(StartError::Keys(_)) => KEYS,
            Self::Read(StartError::Tls(error)) | Self::Certificates(error) => error.part(),
            Self::Read(
                StartError::Issuer(_)
                | StartError::IdentityKey(_)
                | StartError::Outside(_)
                | StartError::ServiceToken(_)
                | StartError::NoWebhook(_)
                | StartError::WebhookSecret(_),
            ) => SETTINGS,
            Self::Read(_)
            | Self::RulesNeedRestart(_)
            | Self::Widens { .. }
            | Self::Plans(_)
            | Self::Ledger(_) => RULES,
        }
    }

    /// Whether these words tell the same.
    pub(super) fn is_in(&self, words: &str) -> bool {
        let own = self.in_words();
        words.ends_with(own.strip_prefix("rejected: ").unwrap_or(&own))
    }

    /// With its causes, and each finding with its place.
    pub(super) fn in_words(&self) -> String {
        let findings = |found: &Diagnostics| {
            told(found.findings.iter().map(|finding| {
                format!(
                    "{}: {}[{}]: {}",
                    finding.place,
                    finding.severity.as_str(),
                    finding.code,
                    finding.message
                )
            }))
        };
        match self {
            Self::Settings(ConfigError::Rejected(found)) => return findings(found),
            Self::Read(StartError::Rules(found)) => return findings(found),
            _ => {}
        }
        let mut words = match self {
            Self::Read(error) => error.to_string(),
            other => other.to_string(),
        };
        let mut cause = match self {
            Self::Read(error) => error.source(),
            other => other.source(),
        };
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        words
    }
}

pub(super) const SETTINGS: &str = "settings";
pub(super) const RULES: &str = "rules";
pub(super) const KEYS: &str = "keys";

fn told(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(TOLD);
    all.truncate(TOLD);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}
