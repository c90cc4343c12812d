//! `webhooks:` of tamis.yaml: what recipients that the rules tell of erasures are reached with. Where they
//! are, the rules say: who may be told what is theirs, and secrets are not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::file::optional_path;
use super::node::Node;
use super::read::{Findings, Section};
use crate::terms::RecipientId;

/// How a receiver of notices is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The file with the secret that it shares.
    pub secret: PathBuf,
    /// Authorities that its certificate must come from; `None`: the public ones.
    pub ca: Option<PathBuf>,
}

pub(super) fn webhooks(
    node: Option<&Node>,
    findings: &mut Findings,
) -> BTreeMap<RecipientId, WebhookConfig> {
    let mut webhooks = BTreeMap::new();
    let Some(node) = node else { return webhooks };
    for (key, node) in findings.map(node) {
        let mut section = Section::new(&format!("webhooks.{}", key.name), node, findings);
        let secret = section.required("secret", findings).and_then(|node| findings.path(node));
        let ca = optional_path(section.optional("ca"), findings);
        section.close(findings);
        let webhook = secret.map(|secret| WebhookConfig { secret, ca });
        webhooks.extend(webhook.map(|webhook| (RecipientId::from(key.name.as_str()), webhook)));
    }
    webhooks
}
