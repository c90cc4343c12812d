//! The file as written: tree → [`Config`], all findings at once, secure defaults for what is not said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use http::Uri;

use super::acme::acme;
use super::callers::admin;
use super::consent_service::consent_service;
use super::forwarding::forwarding;
use super::key_ring::key_ring;
use super::ledger;
use super::limits::limits;
use super::listen::listen;
use super::node::Node;
use super::read::{Code, Findings, Section};
use super::registers;
use super::reload::reload;
use super::targets::targets;
use super::tls::{crls, key_log, tls};
use super::upstream::upstreams;
use super::webhooks::webhooks;
use super::{
    AnswerCoding, CertificateFiles, Config, ConfigError, IssuerConfig, JwksSource, LogTarget,
    TlsConfig,
};
use crate::policy::{Diagnostics, Sources};
use crate::terms::Digest;

/// Signature algorithms that an issuer may be given; anything symmetric is out by construction.
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text =
        fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.into(), error))?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut findings = Findings::new(path);
    let config = match serde_saphyr::from_str::<Node>(text) {
        Ok(root) => config(path, &root, &mut findings),
        Err(error) => {
            let location = error.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
            findings.note(Code::Yaml, location, format!("not YAML: {}", first_line(&error)), None);
            None
        }
    };
    let findings = findings.into_vec();
    match config {
        Some(config) if findings.is_empty() => Ok(config),
        Some(_) | None => Err(ConfigError::Rejected(Diagnostics {
            findings,
            sources: Sources::alone(&path.display().to_string(), text),
        })),
    }
}

fn first_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().lines().next().unwrap_or("malformed").to_owned()
}

fn config(path: &Path, root: &Node, findings: &mut Findings) -> Option<Config> {
    let mut loosenings = Vec::new();
    let mut top = Section::new("configuration", root, findings);
    let rules = top.required("rules", findings).and_then(|node| findings.path(node));
    let node = top.optional("node").map_or(Some("tamis".into()), |node| findings.text(node));
    let listen = listen(top.optional("listen"), findings);
    let acme_node = top.optional("acme");
    let acme = acme(acme_node, &listen, findings);
    // One that the gateway gets by itself is enough.
    let certificates = match acme_node {
        Some(_) => top.optional("certificates"),
        None => top.required("certificates", findings),
    };
    let certificates = certificates.map(|node| certificates_of(node, findings)).unwrap_or_default();
    let client_ca = optional_path(top.optional("client_ca"), findings);
    let crls = crls(top.optional("crls"), client_ca.is_some(), "client_ca", findings);
    let tls = tls(top.optional("tls"), findings);
    let tls = TlsConfig {
        dangerous_key_log: key_log(
            top.optional("dangerous_tls_key_log"),
            &mut loosenings,
            findings,
        ),
        ..tls
    };
    let upstreams = top
        .required("upstreams", findings)
        .map(|node| upstreams(node, &mut loosenings, findings))
        .unwrap_or_default();
    let forwarding = forwarding(top.optional("forwarding"), findings);
    let issuers = named(top.optional("issuers"), "issuers", findings, issuer);
    let api_keys = digests(top.optional("api_keys"), findings);
    let webhooks = webhooks(top.optional("webhooks"), findings);
    let consent_service = consent_service(top.optional("consent_service"), findings);
    let key_ring = top.required("key_ring", findings).and_then(|node| key_ring(node, findings));
    let registers = registers::place(top.optional("registers"), node.as_deref(), findings);
    let ledger = ledger::place(top.optional("ledger"), node.as_deref(), findings);
    let checkpoint_key = optional_path(top.optional("checkpoint_key"), findings);
    let targets_node = top.optional("checkpoint_targets");
    let checkpoint_targets = targets(targets_node, findings);
    if let Some(node) = targets_node.filter(|_| checkpoint_key.is_none()) {
        let message = "checkpoint_targets: no checkpoint is signed".to_owned();
        let help = Some("name a key as `checkpoint_key`; see tamis ledger new-key".into());
        findings.note(Code::Missing, node.location, message, help);
    }
    let access_log = match top.optional("access_log") {
        None => Some(LogTarget::Stdout),
        Some(node) => findings.text(node).map(|text| match text.as_str() {
            "stdout" => LogTarget::Stdout,
            file => LogTarget::File(findings.beside(file)),
        }),
    };
    let admin = admin(top.optional("admin"), findings);
    let encoding = match top.optional("encoding") {
        None => AnswerCoding::default(),
        Some(node) => AnswerCoding::read(node, &mut loosenings, findings),
    };
    let limits = limits(top.optional("limits"), findings);
    let reload = reload(top.optional("reload"), findings);
    top.close(findings);
    Some(Config {
        file: path.into(),
        rules: rules?,
        node: node?,
        listen,
        certificates,
        acme,
        client_ca,
        crls,
        tls,
        upstreams,
        forwarding,
        issuers,
        api_keys,
        webhooks,
        consent_service,
        key_ring: key_ring?,
        registers: registers?,
        ledger: ledger?,
        checkpoint_key,
        checkpoint_targets,
        access_log: access_log?,
        admin,
        encoding,
        limits,
        reload,
        loosenings,
    })
}

fn certificates_of(node: &Node, findings: &mut Findings) -> Vec<CertificateFiles> {
    let entries = findings.list(node);
    if entries.is_empty() {
        let message = "certificates: at least one is needed".into();
        findings.note(Code::Missing, node.location, message, None);
    }
    let mut files = Vec::new();
    for entry in entries {
        let mut section = Section::new("certificates", entry, findings);
        let chain = section.required("chain", findings).and_then(|node| findings.path(node));
        let key = section.required("key", findings).and_then(|node| findings.path(node));
        let ocsp = optional_path(section.optional("ocsp"), findings);
        section.close(findings);
        files.extend(chain.zip(key).map(|(chain, key)| CertificateFiles { chain, key, ocsp }));
    }
    files
}

fn issuer(name: &str, node: &Node, findings: &mut Findings) -> Option<IssuerConfig> {
    let mut section = Section::new(name, node, findings);
    let jwks = section.required("jwks", findings).and_then(|node| jwks(name, node, findings));
    let audience = section.required("audience", findings).and_then(|node| findings.text(node));
    let mut algorithms = Vec::new();
    if let Some(node) = section.required("algorithms", findings) {
        for entry in findings.list(node) {
            let Some(word) = findings.text(entry) else { continue };
            if ALGORITHMS.contains(&word.as_str()) {
                algorithms.push(word);
            } else {
                let help = Some(format!("one of {}", ALGORITHMS.join(", ")));
                let message = "not an algorithm that is accepted".into();
                findings.note(Code::Value, entry.location, message, help);
            }
        }
        if algorithms.is_empty() {
            let message = format!("{name}: no algorithm is accepted");
            findings.note(Code::Missing, node.location, message, None);
        }
    }
    section.close(findings);
    Some(IssuerConfig { jwks: jwks?, audience: audience?, algorithms })
}

fn jwks(name: &str, node: &Node, findings: &mut Findings) -> Option<JwksSource> {
    let mut section = Section::new(&format!("{name}.jwks"), node, findings);
    let file = section.optional("file");
    let url = section.optional("url");
    let ca = section.optional("ca");
    section.close(findings);
    match (file, url) {
        (Some(file), None) => findings.path(file).map(JwksSource::File),
        (None, Some(url)) => {
            let ca = optional_path(ca, findings);
            let text = findings.text(url)?;
            let parsed = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https"));
            if parsed.is_none() {
                let help = Some("keys are fetched over https only".into());
                findings.note(Code::Value, url.location, "not an https URL".into(), help);
            }
            Some(JwksSource::Url { url: parsed?, ca })
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("{name}.jwks: needs `file` or `url`, one of them");
            findings.note(Code::Missing, node.location, message, None);
            None
        }
    }
}

fn digests(node: Option<&Node>, findings: &mut Findings) -> BTreeMap<String, Digest> {
    let mut digests = BTreeMap::new();
    let Some(node) = node else { return digests };
    for (key, node) in findings.map(node) {
        digests.extend(findings.digest(node).map(|digest| (key.name.clone(), digest)));
    }
    digests
}

fn named<T>(
    node: Option<&Node>,
    section: &str,
    findings: &mut Findings,
    read: impl Fn(&str, &Node, &mut Findings) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut named = BTreeMap::new();
    let Some(node) = node else { return named };
    for (key, node) in findings.map(node) {
        let name = format!("{section}.{}", key.name);
        named.extend(read(&name, node, findings).map(|value| (key.name.clone(), value)));
    }
    named
}

/// What the gateway shows to a service.
pub(super) fn client_certificate(
    name: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<CertificateFiles> {
    let mut section = Section::new(&format!("{name}.certificate"), node, findings);
    let chain = section.required("chain", findings).and_then(|node| findings.path(node));
    let key = section.required("key", findings).and_then(|node| findings.path(node));
    section.close(findings);
    Some(CertificateFiles { chain: chain?, key: key?, ocsp: None })
}

pub(super) fn optional_path(node: Option<&Node>, findings: &mut Findings) -> Option<PathBuf> {
    node.and_then(|node| findings.path(node))
}
