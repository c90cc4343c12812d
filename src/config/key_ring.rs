//! `key_ring:`, a file in clear, or one that lies under a key which a service outside unwraps.

use http::Uri;
use http::uri::PathAndQuery;

use super::file::{client_certificate, optional_path};
use super::node::{Node, Value};
use super::read::{Code, Findings, Section};
use crate::https::Trust;
use crate::keys::{KeyRingPlace, VaultTransit};

/// Where Vault mounts the engine where nothing is said.
const MOUNT: &str = "transit";

pub(super) fn key_ring(node: &Node, findings: &mut Findings) -> Option<KeyRingPlace> {
    if !matches!(node.value, Value::Map(_)) {
        return findings.path(node).map(|file| KeyRingPlace::plain(&file));
    }
    let mut section = Section::new("key_ring", node, findings);
    let file = section.required("file", findings).and_then(|node| findings.path(node));
    let unwrap = section.required("unwrap", findings).and_then(|node| unwrap(node, findings));
    section.close(findings);
    Some(KeyRingPlace { file: file?, unwrap: Some(unwrap?) })
}

fn unwrap(node: &Node, findings: &mut Findings) -> Option<VaultTransit> {
    let mut section = Section::new("key_ring.unwrap", node, findings);
    let vault = section.required("vault", findings).and_then(|node| vault(node, findings));
    section.close(findings);
    vault
}

fn vault(node: &Node, findings: &mut Findings) -> Option<VaultTransit> {
    let name = "key_ring.unwrap.vault";
    let mut section = Section::new(name, node, findings);
    let url = section.required("url", findings).and_then(|node| origin(node, findings));
    let key = section.required("key", findings).and_then(|node| word(node, findings));
    let token = section.required("token_file", findings).and_then(|node| findings.path(node));
    let mount = match section.optional("mount") {
        Some(node) => word(node, findings),
        None => Some(MOUNT.to_owned()),
    };
    let namespace = section.optional("namespace").and_then(|node| word(node, findings));
    let authorities = optional_path(section.optional("ca"), findings);
    let certificate =
        section.optional("certificate").and_then(|node| client_certificate(name, node, findings));
    section.close(findings);
    let tls = Trust { authorities, certificate };
    Some(VaultTransit { url: url?, mount: mount?, key: key?, namespace, token: token?, tls })
}

fn origin(node: &Node, findings: &mut Findings) -> Option<Uri> {
    let text = findings.text(node)?;
    let is_origin = |url: &Uri| {
        let authority = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let path = url.path_and_query().is_none_or(|path| path.as_str() == "/");
        url.scheme_str() == Some("https") && authority && path
    };
    let url = text.parse::<Uri>().ok().filter(is_origin);
    if url.is_none() {
        let help = Some("write https://vault.example.com:8200".into());
        findings.note(Code::Value, node.location, "not the address of a Vault".into(), help);
    }
    url
}

/// What stands in a path: names between slashes.
fn word(node: &Node, findings: &mut Findings) -> Option<String> {
    let text = findings.text(node)?;
    let plain = |sign: u8| sign.is_ascii_alphanumeric() || b"-_./".contains(&sign);
    let is_word = text.bytes().all(plain)
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && format!("/{text}").parse::<PathAndQuery>().is_ok();
    if !is_word {
        let message = "not a name that stands in a path of Vault".into();
        findings.note(Code::Value, node.location, message, None);
    }
    is_word.then_some(text)
}
