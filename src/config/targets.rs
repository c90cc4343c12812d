//! `checkpoint_targets:` of tamis.yaml: places that the gateway cannot rewrite, to which signed checkpoints
//! of the ledger are sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;

use super::file::{client_certificate, optional_path};
use super::node::{Key, Node};
use super::read::{Code, Findings, Section};
use crate::https::Trust;
use crate::keys::WitnessKey;

/// Stands in a URL where the number of records goes.
const RECORDS: &str = "{records}";

/// Where checkpoints go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointTarget {
    /// An https URL, perhaps with `{records}` in its path or query.
    pub url: String,
    /// By which method.
    pub method: DeliveryMethod,
    /// The key of a witness, which cosigns what continues all that it has seen; `None`: it only keeps.
    pub witness: Option<WitnessKey>,
    /// The file with the token by which it knows the gateway; `None`: it is sent none.
    pub token: Option<PathBuf>,
    /// How it is known, and how the gateway shows who calls.
    pub tls: Trust,
}

/// How a checkpoint is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryMethod {
    /// The target adds it to what it has.
    #[default]
    Post,
    /// It becomes what is at the URL.
    Put,
}

impl CheckpointTarget {
    /// Where the checkpoint over so many records goes; `None`: the URL is none.
    #[must_use]
    pub fn url_of(&self, records: u64) -> Option<Uri> {
        let url = self.url.replace(RECORDS, &records.to_string());
        let url: Uri = match &self.witness {
            // The URL is the prefix for submissions. Source: C2SP tlog-witness.
            Some(_) => format!("{}/add-checkpoint", url.trim_end_matches('/')).parse().ok()?,
            None => url.parse().ok()?,
        };
        let is_https = url.scheme_str() == Some("https") && url.host().is_some();
        // A password in a URL would stand in the settings, and is sent nowhere.
        let is_plain = url.authority().is_some_and(|at| !at.as_str().contains('@'));
        (is_https && is_plain).then_some(url)
    }
}

pub(super) fn targets(
    node: Option<&Node>,
    findings: &mut Findings,
) -> BTreeMap<String, CheckpointTarget> {
    let mut targets = BTreeMap::new();
    let Some(node) = node else { return targets };
    for (key, node) in findings.map(node) {
        let target = target(key, node, findings);
        targets.extend(target.map(|target| (key.name.clone(), target)));
    }
    targets
}

fn target(key: &Key, node: &Node, findings: &mut Findings) -> Option<CheckpointTarget> {
    let name = format!("checkpoint_targets.{}", key.name);
    // What waits for it is kept in a folder of this name.
    let plain = |sign: u8| sign.is_ascii_alphanumeric() || sign == b'-' || sign == b'_';
    if !(1..=64).contains(&key.name.len()) || !key.name.bytes().all(plain) {
        let help = Some("letters, digits, - and _, at most 64 of them".into());
        findings.note(Code::Value, key.location, "not a target's name".into(), help);
    }
    let mut section = Section::new(&name, node, findings);
    let url_node = section.required("url", findings);
    let method_node = section.optional("method");
    let method = method(method_node, findings);
    let witness_node = section.optional("witness");
    let witness = witness_node.and_then(|node| witness(node, findings));
    if let Some(node) = method_node.filter(|_| witness_node.is_some()) {
        let message = format!("{name}: how a witness is asked is given");
        let help = Some("leave `method` out".into());
        findings.note(Code::Value, node.location, message, help);
    }
    let token = optional_path(section.optional("token_file"), findings);
    let authorities = optional_path(section.optional("ca"), findings);
    let certificate =
        section.optional("certificate").and_then(|node| client_certificate(&name, node, findings));
    section.close(findings);
    let url = url_node.and_then(|node| findings.text(node));
    let tls = Trust { authorities, certificate };
    let target = CheckpointTarget { url: url?, method, witness, token, tls };
    if let Some(node) = url_node
        && target.url_of(0).is_none()
    {
        let help = Some("checkpoints are sent over https only".into());
        findings.note(Code::Value, node.location, "not an https URL".into(), help);
    }
    if let Some(node) = url_node
        && method == DeliveryMethod::Put
        && !target.url.contains(RECORDS)
    {
        let message = format!("{name}: each checkpoint would take the place of the one before");
        let help = Some(format!("let `{RECORDS}` stand in the URL"));
        findings.note(Code::Value, node.location, message, help);
    }
    Some(target)
}

fn witness(node: &Node, findings: &mut Findings) -> Option<WitnessKey> {
    let text = findings.text(node)?;
    text.parse()
        .map_err(|wrong: &str| findings.note(Code::Value, node.location, wrong.into(), None))
        .ok()
}

fn method(node: Option<&Node>, findings: &mut Findings) -> DeliveryMethod {
    let Some(node) = node else { return DeliveryMethod::default() };
    match findings.text(node).as_deref() {
        Some("post") | None => DeliveryMethod::Post,
        Some("put") => DeliveryMethod::Put,
        Some(_) => {
            let help = Some("`post` or `put`".into());
            findings.note(Code::Value, node.location, "not a method".into(), help);
            DeliveryMethod::Post
        }
    }
}
