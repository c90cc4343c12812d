//! `acme:` of tamis.yaml: a certificate that the gateway gets and renews by itself. Source: RFC 8555.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::file::optional_path;
use super::node::{Node, Value};
use super::read::{Code, Findings, Section};
use super::{CertificateFiles, Listen};

/// Pause after a first failure where the file does not say it. Authorities count failures by the hour.
const RETRY: Duration = Duration::from_mins(5);

/// Most names of one certificate. Authorities take a hundred.
const MOST_DOMAINS: usize = 100;

/// Whom the gateway asks for its certificate, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The directory of the authority, https.
    pub directory: Uri,
    /// Authorities that the directory's own certificate must come from; `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// Where the authority writes to when something is wrong: `mailto:` URLs.
    pub contact: Vec<String>,
    /// The names in the certificate, lower case.
    pub domains: Vec<String>,
    /// The folder of account and certificate.
    pub storage: PathBuf,
    /// How it is shown that the names are ours.
    pub challenge: AcmeChallenge,
    /// An account elsewhere that this one belongs to; `None`: none.
    pub eab: Option<EabConfig>,
    /// The pause after a first failure; it doubles with each.
    pub retry: Duration,
}

/// How it is shown that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// On the plaintext listener. Source: RFC 8555 §8.3.
    Http01,
    /// In a handshake on the HTTPS listener. Source: RFC 8737.
    TlsAlpn01,
}

/// External account binding. Source: RFC 8555 §7.3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EabConfig {
    /// The id of the key.
    pub kid: String,
    /// The file of the key, base64url.
    pub key: PathBuf,
}

impl AcmeConfig {
    /// Where the certificate is kept. One file holds chain and key, so that they are exchanged together.
    #[must_use]
    pub fn certificate(&self) -> CertificateFiles {
        let file = self.storage.join("certificate.pem");
        CertificateFiles { chain: file.clone(), key: file, ocsp: None }
    }
}

impl AcmeChallenge {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

pub(super) fn acme(
    node: Option<&Node>,
    listen: &Listen,
    findings: &mut Findings,
) -> Option<AcmeConfig> {
    let node = node?;
    let mut section = Section::new("acme", node, findings);
    let directory = section.required("directory", findings).and_then(|node| {
        let text = findings.text(node)?;
        let parsed = text.parse::<Uri>().ok();
        let parsed = parsed.filter(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
        if parsed.is_none() {
            let help = Some("https://acme-v02.api.letsencrypt.org/directory".into());
            findings.note(Code::Value, node.location, "not an https URL".into(), help);
        }
        parsed
    });
    let ca = optional_path(section.optional("ca"), findings);
    let contact = texts(section.optional("contact"), findings, |text| {
        let is_mail = text.strip_prefix("mailto:").is_some_and(|mail| mail.contains('@'));
        if is_mail { Ok(text) } else { Err("write mailto:ops@example.com") }
    });
    let domains_node = section.required("domains", findings);
    let domains = texts(domains_node, findings, |text| {
        let text = text.to_ascii_lowercase();
        if is_host(&text) {
            Ok(text)
        } else {
            Err("a DNS name such as api.example.com; wildcards and addresses are proven otherwise")
        }
    });
    if let Some(node) = domains_node
        && !(1..=MOST_DOMAINS).contains(&domains.len())
    {
        let message = format!("acme.domains: from 1 to {MOST_DOMAINS} names");
        findings.note(Code::Value, node.location, message, None);
    }
    let storage = section.required("storage", findings).and_then(|node| findings.path(node));
    let challenge =
        section.required("challenge", findings).and_then(|node| challenge(node, listen, findings));
    if let Some(agreed) = section.required("terms_agreed", findings)
        && !matches!(agreed.value, Value::Bool(true))
    {
        let message = "acme.terms_agreed: nothing is asked of an authority before".to_owned();
        let help = "read its terms of service, then write true";
        findings.note(Code::Value, agreed.location, message, Some(help.into()));
    }
    let eab = section.optional("eab").and_then(|node| {
        let mut section = Section::new("acme.eab", node, findings);
        let kid = section.required("kid", findings).and_then(|node| findings.text(node));
        let key = section.required("key", findings).and_then(|node| findings.path(node));
        section.close(findings);
        Some(EabConfig { kid: kid?, key: key? })
    });
    let retry = section.optional("retry").and_then(|node| findings.duration(node));
    section.close(findings);
    Some(AcmeConfig {
        directory: directory?,
        ca,
        contact,
        domains,
        storage: storage?,
        challenge: challenge?,
        eab,
        retry: retry.unwrap_or(RETRY),
    })
}

fn challenge(node: &Node, listen: &Listen, findings: &mut Findings) -> Option<AcmeChallenge> {
    let text = findings.text(node)?;
    let all = [AcmeChallenge::Http01, AcmeChallenge::TlsAlpn01];
    let challenge = all.into_iter().find(|challenge| challenge.as_str() == text);
    match challenge {
        None => {
            let help = Some("`http-01` or `tls-alpn-01`".into());
            findings.note(Code::Value, node.location, "not a challenge".into(), help);
        }
        Some(AcmeChallenge::Http01) if listen.http.is_none() => {
            let message =
                "`http-01` is answered on the plaintext listener, which is off".to_owned();
            let help = Some("open `listen: {http: …}`, or use `tls-alpn-01`".into());
            findings.note(Code::Value, node.location, message, help);
        }
        Some(_) => {}
    }
    challenge
}

/// Texts of a list, each once and each of this kind.
fn texts(
    node: Option<&Node>,
    findings: &mut Findings,
    read: impl Fn(String) -> Result<String, &'static str>,
) -> Vec<String> {
    let mut texts = Vec::new();
    let Some(node) = node else { return texts };
    for entry in findings.list(node) {
        let Some(text) = findings.text(entry) else { continue };
        match read(text) {
            Ok(text) if texts.contains(&text) => {
                let message = "this stands here twice".to_owned();
                findings.note(Code::Value, entry.location, message, None);
            }
            Ok(text) => texts.push(text),
            Err(help) => {
                let message = "not what stands here".to_owned();
                findings.note(Code::Value, entry.location, message, Some(help.into()));
            }
        }
    }
    texts
}

/// A DNS name of several labels. Source: RFC 1123 §2.1.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(is_label)
        && name.parse::<std::net::IpAddr>().is_err()
}
