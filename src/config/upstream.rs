//! `upstreams:` of tamis.yaml: where each backend is, how it is reached, and what it may cost.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::file::optional_path;
use super::node::Node;
use super::read::{Code, Findings, Section};
use crate::terms::UpstreamId;

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://host:port` or `https://host:port`; no path.
    pub url: Uri,
    /// Authorities that its certificate must come from; `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// Bounds on waiting for it.
    pub timeouts: UpstreamTimeouts,
    /// Bounds on what it is asked at once.
    pub at_once: AtOnce,
}

/// How long a backend is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Longest wait for a connection, and for a turn where as many requests as may be are under way.
    pub connect: Duration,
    /// Longest wait for the head of an answer.
    pub response: Duration,
    /// Longest wait between two pieces of its body.
    pub idle: Duration,
    /// Longest that all waits for one answer may be together.
    pub total: Duration,
}

/// How much a backend is asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Requests under way.
    pub requests: usize,
    /// Requests that wait for their turn; those beyond are refused at once.
    pub pending: usize,
}

impl UpstreamConfig {
    /// Whether what it is asked and answers crosses a network that anybody could listen on.
    #[must_use]
    pub fn is_overheard(&self) -> bool {
        self.url.scheme_str() != Some("https") && !is_loopback(&self.url)
    }
}

pub(super) fn upstreams(
    node: &Node,
    loosenings: &mut Vec<String>,
    findings: &mut Findings,
) -> BTreeMap<UpstreamId, UpstreamConfig> {
    let mut upstreams = BTreeMap::new();
    for (key, node) in findings.map(node) {
        let name = format!("upstreams.{}", key.name);
        if let Some(upstream) = upstream(&name, node, loosenings, findings) {
            upstreams.insert(UpstreamId::from(key.name.as_str()), upstream);
        }
    }
    upstreams
}

fn upstream(
    name: &str,
    node: &Node,
    loosenings: &mut Vec<String>,
    findings: &mut Findings,
) -> Option<UpstreamConfig> {
    let mut section = Section::new(name, node, findings);
    let url_node = section.required("url", findings);
    let url = url_node.and_then(|node| origin(node, &["http", "https"], findings));
    let ca = optional_path(section.optional("ca"), findings);
    let timeouts = timeouts(&mut section, findings);
    let at_once = at_once(&mut section, findings);
    let plaintext = section
        .optional("dangerous_plaintext")
        .and_then(|node| findings.boolean(node))
        .unwrap_or(false);
    section.close(findings);
    let upstream = UpstreamConfig { url: url?, ca, timeouts, at_once };
    if upstream.is_overheard() {
        if plaintext {
            loosenings.push(format!("{name}: personal data cross a network in plaintext"));
        } else if let Some(node) = url_node {
            let message = format!("{name}: plaintext to another machine");
            let help = "use https, or write dangerous_plaintext: true beside it";
            findings.note(Code::Value, node.location, message, Some(help.into()));
        }
    }
    Some(upstream)
}

fn timeouts(section: &mut Section<'_>, findings: &mut Findings) -> UpstreamTimeouts {
    let total_node = section.optional("total_timeout");
    let mut duration = |node: Option<&Node>| node.and_then(|node| findings.duration(node));
    let total = duration(total_node);
    let connect = duration(section.optional("connect_timeout"));
    let response = duration(section.optional("response_timeout"));
    let idle = duration(section.optional("idle_timeout"));
    let seconds = Duration::from_secs;
    if let (Some(node), Some(total)) = (total_node, total)
        && response.is_some_and(|response| total < response)
    {
        let message = "total_timeout is shorter than response_timeout".to_owned();
        let help = "it bounds all waits of one answer together, the one for its head among them";
        findings.note(Code::Value, node.location, message, Some(help.into()));
    }
    let response =
        response.unwrap_or_else(|| total.map_or(seconds(15), |all| all.min(seconds(15))));
    UpstreamTimeouts {
        connect: connect.unwrap_or(seconds(2)),
        response,
        // Whoever may be slow to begin may be as slow between two pieces.
        idle: idle.unwrap_or(response),
        total: total.unwrap_or_else(|| seconds(60).max(response)),
    }
}

fn at_once(section: &mut Section<'_>, findings: &mut Findings) -> AtOnce {
    let mut count = |key, usual: usize| {
        let said = section.optional(key).and_then(|node| findings.count(node, 100_000));
        said.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual)
    };
    AtOnce { requests: count("max_requests", 256), pending: count("max_pending", 256) }
}

/// Whether the name can only mean this machine.
fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// `scheme://host[:port]`, without path, query or credentials.
fn origin(node: &Node, schemes: &[&str], findings: &mut Findings) -> Option<Uri> {
    let text = findings.text(node)?;
    let uri = text.parse::<Uri>().ok().filter(|uri| {
        let scheme = uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host = uri.host().is_some_and(|host| !host.is_empty());
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        scheme && bare && host && !user && !text.contains('#')
    });
    if uri.is_none() {
        let help = Some(format!("write {}://host:port, without a path", schemes.join(" or ")));
        findings.note(Code::Value, node.location, "not the address of a backend".into(), help);
    }
    uri
}
