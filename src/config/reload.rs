//! `reload:` of tamis.yaml, and which settings a running gateway cannot change.
//!
//! Rules that release more than those in force are the one change that harms people when it happens
//! by mistake: half a file, the wrong branch. So it is refused unless somebody has said that it is
//! meant, once for these very rules (`confirmed`) or for all to come (`widening: accept`).

use super::Config;
use super::node::Node;
use super::read::{Code, Findings, Section};
use crate::terms::Digest;

/// What a reload may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadConfig {
    /// Rules that release more.
    pub widening: Widening,
    /// The digest of rules that may release more than those before them, as the refusal names it.
    pub confirmed: Option<Digest>,
}

/// What becomes of new rules that release more than those in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Widening {
    /// They are refused unless confirmed; a restart takes them.
    #[default]
    Refuse,
    /// They are taken: whoever writes them has them approved elsewhere.
    Accept,
}

impl ReloadConfig {
    /// Whether rules of this digest may release more than those before them.
    #[must_use]
    pub fn may_widen(&self, rules: &Digest) -> bool {
        self.widening == Widening::Accept || self.confirmed.as_ref() == Some(rules)
    }
}

pub(super) fn reload(node: Option<&Node>, findings: &mut Findings) -> ReloadConfig {
    let mut reload = ReloadConfig::default();
    let Some(node) = node else { return reload };
    let mut section = Section::new("reload", node, findings);
    if let Some(node) = section.optional("widening") {
        match findings.text(node).as_deref() {
            Some("refuse") => reload.widening = Widening::Refuse,
            Some("accept") => reload.widening = Widening::Accept,
            Some(_) => {
                let help = Some("`refuse` or `accept`".into());
                let message = "not what becomes of rules that release more".into();
                findings.note(Code::Value, node.location, message, help);
            }
            None => {}
        }
    }
    reload.confirmed = section.optional("confirmed").and_then(|node| findings.digest(node));
    section.close(findings);
    reload
}

impl Config {
    /// Settings in which this configuration differs from the one that a gateway started with, and that
    /// it reads only then. By their names in the file.
    #[must_use]
    pub fn needs_restart(&self, started: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.limits, &started.limits);
        [
            ("node", self.node != started.node),
            ("listen", self.listen != started.listen),
            ("acme", self.acme != started.acme),
            ("registers", self.registers != started.registers),
            ("consent_service", self.consent_service != started.consent_service),
            ("ledger", self.ledger != started.ledger),
            ("checkpoint_key", self.checkpoint_key != started.checkpoint_key),
            ("checkpoint_targets", self.checkpoint_targets != started.checkpoint_targets),
            ("access_log", self.access_log != started.access_log),
            ("limits.head_timeout", new.head_timeout != old.head_timeout),
            ("limits.idle_timeout", new.idle_timeout != old.idle_timeout),
            ("limits.answer_time", new.answer_time != old.answer_time),
            ("limits.drain_timeout", new.drain_timeout != old.drain_timeout),
            ("limits.connections", new.connections != old.connections),
            (
                "limits.connections_per_address",
                new.connections_per_address != old.connections_per_address,
            ),
            ("limits.streams", new.streams != old.streams),
            ("limits.headers", new.header_fields != old.header_fields),
            ("limits.head", new.head_bytes != old.head_bytes),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}
