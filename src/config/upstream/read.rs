//! Reading `upstreams:`: every finding is noted, and what is not said has a default that holds.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use rustls_pki_types::ServerName;

use super::super::file::{client_certificate, optional_path};
use super::super::node::{Node, Value};
use super::super::read::{Code, Findings, Section};
use super::super::tls::crls;
use super::{
    AtOnce, Balance, BreakerConfig, EjectionConfig, HealthConfig, Place, RetryConfig,
    UpstreamConfig, UpstreamProtocol, UpstreamTimeouts, UpstreamTls,
};
use crate::terms::UpstreamId;

pub(in crate::config) fn upstreams(
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
    let places = places(url.as_ref(), section.optional("addresses"), findings);
    let every = section.optional("resolve_every").and_then(|node| findings.duration(node));
    let resolve_every = every.unwrap_or(Duration::from_secs(30));
    let balance = balance(section.optional("balance"), findings);
    let protocol = protocol(url.as_ref(), section.optional("protocol"), findings);
    let tls = tls(name, url.as_ref(), &mut section, findings);
    let timeouts = timeouts(&mut section, findings);
    let at_once = at_once(&mut section, findings);
    let health = section.optional("health").and_then(|node| health(name, node, findings));
    let ejection = ejection(name, section.optional("ejection"), findings);
    let retry = retry(name, section.optional("retry"), findings);
    let breaker = breaker(name, section.optional("breaker"), findings);
    let plaintext = section
        .optional("dangerous_plaintext")
        .and_then(|node| findings.boolean(node))
        .unwrap_or(false);
    section.close(findings);
    let upstream = UpstreamConfig {
        url: url?,
        places,
        resolve_every,
        balance,
        protocol,
        tls,
        timeouts,
        at_once,
        health,
        ejection,
        retry,
        breaker,
    };
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

/// Where it is dialled: what is said, or else where the URL leads.
fn places(url: Option<&Uri>, node: Option<&Node>, findings: &mut Findings) -> Vec<Place> {
    let Some(node) = node else {
        let of_url = url.and_then(|url| place(url.authority()?, usual_port(url)));
        return of_url.into_iter().collect();
    };
    let nodes = findings.list(node);
    if nodes.is_empty() {
        let message = "addresses: at least one is needed".to_owned();
        let help = "leave the key out where the URL says where the backend is";
        findings.note(Code::Missing, node.location, message, Some(help.into()));
    }
    let mut places = Vec::new();
    for node in nodes {
        let Some(text) = findings.text(node) else { continue };
        let authority = text.parse::<Authority>().ok().filter(|_| !text.contains('@'));
        match authority.and_then(|authority| place(&authority, url.and_then(usual_port))) {
            Some(place) if places.contains(&place) => {
                let message = "this address stands here twice".to_owned();
                findings.note(Code::Value, node.location, message, None);
            }
            Some(place) => places.push(place),
            None => {
                let help = "write 10.0.0.1:8443, '[fd00::1]:8443' or people-1.example.com:8443";
                let message = "not an address to dial".to_owned();
                findings.note(Code::Value, node.location, message, Some(help.into()));
            }
        }
    }
    places
}

fn place(authority: &Authority, usual: Option<u16>) -> Option<Place> {
    let port = match authority.port() {
        // `host:` and `host:99999` name no port.
        Some(port) => Some(port.as_u16()).filter(|port| *port > 0)?,
        None if authority.as_str().ends_with(authority.host()) => usual?,
        None => return None,
    };
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then(|| Place { host: host.to_ascii_lowercase(), port })
}

/// The port of the URL, said or not: where an address names none, it is this one.
fn usual_port(url: &Uri) -> Option<u16> {
    url.port_u16().or(match url.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })
}

/// One of these words; the first where nothing is said.
fn word<T: Copy + Default>(
    what: &str,
    words: &[(&str, T)],
    node: Option<&Node>,
    findings: &mut Findings,
) -> T {
    let Some(node) = node else { return T::default() };
    let Some(text) = findings.text(node) else { return T::default() };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return *value;
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let help = Some(format!("one of {}", known.join(", ")));
    findings.note(Code::Value, node.location, format!("not a {what}"), help);
    T::default()
}

fn balance(node: Option<&Node>, findings: &mut Findings) -> Balance {
    let words = [
        ("round-robin", Balance::RoundRobin),
        ("least-requests", Balance::LeastRequests),
        ("subject", Balance::Subject),
    ];
    word("way to choose an address", &words, node, findings)
}

fn protocol(url: Option<&Uri>, node: Option<&Node>, findings: &mut Findings) -> UpstreamProtocol {
    let all = [UpstreamProtocol::H1, UpstreamProtocol::H2, UpstreamProtocol::H2c];
    let words = all.map(|protocol| (protocol.as_str(), protocol));
    let protocol = word("protocol", &words, node, findings);
    let wrong = match (protocol, url.and_then(Uri::scheme_str)) {
        (UpstreamProtocol::H2, Some("http")) => {
            Some("`h2` needs an https URL; in plaintext it is `h2c`")
        }
        (UpstreamProtocol::H2c, Some("https")) => Some("`h2c` is plaintext; over TLS it is `h2`"),
        _ => None,
    };
    if let (Some(wrong), Some(node)) = (wrong, node) {
        findings.note(Code::Value, node.location, wrong.to_owned(), None);
    }
    protocol
}

fn tls(
    name: &str,
    url: Option<&Uri>,
    section: &mut Section<'_>,
    findings: &mut Findings,
) -> UpstreamTls {
    let (ca, certificate) = (section.optional("ca"), section.optional("certificate"));
    let server_name = section.optional("server_name");
    if url.and_then(Uri::scheme_str) == Some("http") {
        for (key, node) in [("certificate", certificate), ("server_name", server_name)] {
            if let Some(node) = node {
                let message = format!("{name}: `{key}` does nothing without an https URL");
                findings.note(Code::Value, node.location, message, None);
            }
        }
    }
    let pair = certificate.and_then(|node| client_certificate(name, node, findings));
    let server_name = server_name.and_then(|node| {
        let text = findings.text(node)?;
        if ServerName::try_from(text.as_str()).is_err() {
            let message = "not a name that a certificate could carry".to_owned();
            findings.note(Code::Value, node.location, message, None);
        }
        Some(text)
    });
    let ca = optional_path(ca, findings);
    let crls = crls(section.optional("crls"), ca.is_some(), &format!("{name}.ca"), findings);
    UpstreamTls { ca, crls, certificate: pair, server_name }
}

/// Whether `off` is written. YAML 1.1 readers took a bare `off` for false; people may write either.
fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text == "off",
        Value::Bool(on) => !on,
        Value::Null | Value::Integer(_) | Value::Float | Value::List(_) | Value::Map(_) => false,
    }
}

/// Whole numbers of a section, each with the one that holds where nothing is said.
fn number(
    section: &mut Section<'_>,
    key: &'static str,
    most: u32,
    usual: u32,
    findings: &mut Findings,
) -> u32 {
    let said = section.optional(key).and_then(|node| findings.count(node, most.into()));
    said.and_then(|n| u32::try_from(n).ok()).unwrap_or(usual)
}

fn percent(section: &mut Section<'_>, key: &'static str, usual: u8, findings: &mut Findings) -> u8 {
    u8::try_from(number(section, key, 100, usual.into(), findings)).unwrap_or(usual)
}

fn span(
    section: &mut Section<'_>,
    key: &'static str,
    usual: Duration,
    findings: &mut Findings,
) -> Duration {
    section.optional(key).and_then(|node| findings.duration(node)).unwrap_or(usual)
}

fn health(name: &str, node: &Node, findings: &mut Findings) -> Option<HealthConfig> {
    let mut section = Section::new(&format!("{name}.health"), node, findings);
    let path = section.required("path", findings).and_then(|node| {
        let text = findings.text(node)?;
        let path = text.parse::<PathAndQuery>().ok();
        let path = path.filter(|_| text.starts_with('/') && !text.contains('#'));
        if path.is_none() {
            let help = Some("write /healthz".into());
            findings.note(Code::Value, node.location, "not a path".into(), help);
        }
        path
    });
    let every = span(&mut section, "every", Duration::from_secs(5), findings);
    let timeout = span(&mut section, "timeout", Duration::from_secs(1), findings);
    let healthy = number(&mut section, "healthy", 100, 2, findings);
    let unhealthy = number(&mut section, "unhealthy", 100, 3, findings);
    section.close(findings);
    Some(HealthConfig { path: path?, every, timeout, healthy, unhealthy })
}

/// A section that has defaults of its own and can be `off`.
fn with_defaults<T>(
    name: &str,
    node: Option<&Node>,
    usual: T,
    findings: &mut Findings,
    read: impl FnOnce(T, &mut Section<'_>, &mut Findings) -> T,
) -> Option<T> {
    let Some(node) = node else { return Some(usual) };
    if is_off(node) {
        return None;
    }
    let mut section = Section::new(name, node, findings);
    let said = read(usual, &mut section, findings);
    section.close(findings);
    Some(said)
}

fn ejection(name: &str, node: Option<&Node>, findings: &mut Findings) -> Option<EjectionConfig> {
    let (length, longest) = (Duration::from_secs(30), Duration::from_mins(5));
    let usual = EjectionConfig { failures: 5, length, longest };
    with_defaults(&format!("{name}.ejection"), node, usual, findings, |usual, section, findings| {
        let length = span(section, "for", usual.length, findings);
        EjectionConfig {
            failures: number(section, "failures", 1_000, usual.failures, findings),
            length,
            longest: span(section, "at_most", usual.longest.max(length), findings).max(length),
        }
    })
}

fn retry(name: &str, node: Option<&Node>, findings: &mut Findings) -> Option<RetryConfig> {
    let usual = RetryConfig { attempts: 2, percent: 10, floor: 1 };
    with_defaults(&format!("{name}.retry"), node, usual, findings, |usual, section, findings| {
        RetryConfig {
            attempts: number(section, "attempts", 10, usual.attempts, findings),
            percent: percent(section, "percent", usual.percent, findings),
            floor: number(section, "floor", 1_000, usual.floor, findings),
        }
    })
}

fn breaker(name: &str, node: Option<&Node>, findings: &mut Findings) -> Option<BreakerConfig> {
    let open = Duration::from_secs(1);
    let usual = BreakerConfig { failures: 20, percent: 50, requests: 40, open };
    with_defaults(&format!("{name}.breaker"), node, usual, findings, |usual, section, findings| {
        BreakerConfig {
            failures: number(section, "failures", 10_000, usual.failures, findings),
            percent: percent(section, "percent", usual.percent, findings),
            requests: number(section, "requests", 100_000, usual.requests, findings),
            open: span(section, "open", usual.open, findings),
        }
    })
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
    AtOnce {
        requests: count("max_requests", 256),
        pending: count("max_pending", 256),
        connections: count("max_connections", 256),
    }
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
