//! Which host is meant: one, known, and the same in TLS and HTTP.
//!
//! A host that the certificates do not name is not served, so that no `Host` header can steer a
//! redirect, a rule or a cache. Source: RFC 9110 §7.2, §7.4 (421), RFC 9113 §8.3.1.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::fault::RequestFault;

/// The names that the gateway's certificates carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Lower case; `*.` in front covers one label.
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// The subject alternative names of one certificate, DER. One that cannot be parsed has none.
    pub(super) fn of(certificate: &[u8]) -> Self {
        let mut names = Self::default();
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return names };
        let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return names };
        for name in &alternatives.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        names
    }

    /// These names and those.
    pub(super) fn extend(&mut self, other: Self) {
        self.dns.extend(other.dns);
        self.addresses.extend(other.addresses);
    }

    /// The DNS names that stand for one host.
    pub(super) fn hosts(&self) -> Vec<String> {
        self.dns.iter().filter(|name| !name.starts_with('*')).cloned().collect()
    }

    /// Whether a host, lower case and without its port, is one of them.
    pub(super) fn contains(&self, host: &str) -> bool {
        if let Some(address) = ip_literal(host) {
            return self.addresses.contains(&address);
        }
        self.dns.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => name == host,
        })
    }
}

/// Whether a certificate, DER, carries no alternative name of any kind but these of hosts.
pub(super) fn carries_only(certificate: &[u8], names: &[String]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
    alternatives.value.general_names.iter().all(|name| match name {
        GeneralName::DNSName(name) => names.iter().any(|one| one.eq_ignore_ascii_case(name)),
        _ => false,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn ip_literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// The one host of a request, lower case and without its port.
pub(super) fn host(uri: &Uri, headers: &HeaderMap) -> Result<String, RequestFault> {
    let mut named = headers.get_all(header::HOST).iter();
    let from_header = named
        .next()
        .map(|value| value.to_str().ok().and_then(bare).ok_or(RequestFault::Host))
        .transpose()?;
    if named.next().is_some() {
        return Err(RequestFault::Host);
    }
    let from_target = uri
        .authority()
        .map(|authority| bare(authority.as_str()).ok_or(RequestFault::Host))
        .transpose()?;
    match (from_header, from_target) {
        (Some(header), Some(target)) if header != target => Err(RequestFault::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(RequestFault::Host),
    }
}

/// What a request whose [`host`] was read calls the gateway: host and port.
pub(super) fn called(uri: &Uri, headers: &HeaderMap) -> String {
    let named = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = named.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    authority.unwrap_or_default().to_ascii_lowercase()
}

/// `host[:port]`, taken apart strictly: no user, no trailing dot, no odd characters.
fn bare(authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            inside.parse::<std::net::Ipv6Addr>().ok()?;
            (
                &authority[..inside.len() + 2],
                after.strip_prefix(':').or((after.is_empty()).then_some(""))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let well_formed = !host.is_empty()
        && !host.ends_with('.')
        && !host.starts_with('.')
        && (host.starts_with('[') || host.bytes().all(is_name));
    let numeric = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (well_formed && numeric).then(|| host.to_ascii_lowercase())
}

/// Whether the request's host may be answered on a connection that was opened for `server_name`.
pub(super) fn judge(
    host: &str,
    server_name: Option<&str>,
    names: &Names,
) -> Result<(), RequestFault> {
    let meant = server_name.is_none_or(|name| name.eq_ignore_ascii_case(host));
    if meant && names.contains(host) { Ok(()) } else { Err(RequestFault::Misdirected) }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri, header};

    use super::{Names, RequestFault, host, judge};

    fn names() -> Names {
        Names {
            dns: vec!["api.example.invalid".into(), "*.shop.example.invalid".into()],
            addresses: vec!["127.0.0.1".parse().expect("address"), "::1".parse().expect("address")],
        }
    }

    #[test]
    fn one_host_and_only_one() {
        let cases: [(&str, &[&str], Result<&str, RequestFault>); 14] = [
            ("/", &["api.example.invalid"], Ok("api.example.invalid")),
            ("/", &["API.example.invalid:8443"], Ok("api.example.invalid")),
            ("/", &["[::1]:8443"], Ok("[::1]")),
            ("/", &[], Err(RequestFault::Host)),
            ("/", &[""], Err(RequestFault::Host)),
            ("/", &["api.example.invalid", "api.example.invalid"], Err(RequestFault::Host)),
            ("/", &["api.example.invalid."], Err(RequestFault::Host)),
            ("/", &["user@api.example.invalid"], Err(RequestFault::Host)),
            ("/", &["api.example.invalid:x"], Err(RequestFault::Host)),
            ("/", &["api.example.invalid/path"], Err(RequestFault::Host)),
            ("/", &["[::1]x"], Err(RequestFault::Host)),
            ("https://api.example.invalid/", &[], Ok("api.example.invalid")),
            ("https://api.example.invalid/", &["api.example.invalid"], Ok("api.example.invalid")),
            ("https://other.example.invalid/", &["api.example.invalid"], Err(RequestFault::Host)),
        ];
        for (target, hosts, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in hosts {
                headers.append(header::HOST, HeaderValue::from_str(value).expect("visible"));
            }
            let found = host(&Uri::from_static(target), &headers);
            assert_eq!(found.as_deref(), expected.as_deref(), "{target} {hosts:?}");
        }
    }

    #[test]
    fn a_host_must_be_named_by_a_certificate_and_by_the_handshake() {
        let cases = [
            ("api.example.invalid", Some("api.example.invalid"), true),
            ("api.example.invalid", Some("API.example.invalid"), true),
            ("api.example.invalid", None, true),
            ("127.0.0.1", None, true),
            ("[::1]", None, true),
            ("a.shop.example.invalid", None, true),
            ("a.b.shop.example.invalid", None, false),
            ("shop.example.invalid", None, false),
            ("other.example.invalid", None, false),
            ("10.0.0.1", None, false),
            ("a.shop.example.invalid", Some("api.example.invalid"), false),
            ("127.0.0.1", Some("api.example.invalid"), false),
        ];
        for (host, server_name, served) in cases {
            assert_eq!(
                judge(host, server_name, &names()).is_ok(),
                served,
                "{host} {server_name:?}"
            );
        }
    }
}
