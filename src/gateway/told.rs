//! What backends are told of the caller besides what is asked: a network, a trace, who it is.
//!
//! A client's own claims never arrive: these headers are the gateway's, and what it does not write is not
//! there. Sources: RFC 7239, W3C Trace Context, RFC 7519.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use zeroize::Zeroizing;

use super::headers::{insert, shorten};
use crate::config::{ClientAddress, Forwarding, Trace};
use crate::decide::{Caller, Permit};
use crate::terms::{PurposeId, Role, UpstreamId};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// A signed token that says who asks.
const TAMIS_IDENTITY: HeaderName = HeaderName::from_static("tamis-identity");

/// How long a token counts: longer than a backend takes to read it, shorter than it takes to be of use
/// elsewhere.
const TOKEN_SECONDS: i64 = 60;

/// Why backends cannot be told who asks.
#[derive(Debug, thiserror::Error)]
pub enum IdentityKeyError {
    /// The file cannot be read.
    #[error("the key {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Others can read the file.
    #[error("{} is open to others; run: chmod 600 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The file holds something else.
    #[error("{} is no Ed25519 key; make one: openssl genpkey -algorithm ed25519", .0.display())]
    NotAKey(PathBuf),
}

/// What backends are told.
pub(super) struct Told {
    forwarding: Forwarding,
    node: String,
    key: Option<EncodingKey>,
}

/// A request that was permitted.
pub(super) struct Asking<'a> {
    pub(super) permit: &'a Permit,
    pub(super) caller: &'a Caller,
    pub(super) upstream: Option<&'a UpstreamId>,
    pub(super) address: IpAddr,
    /// The host that it was judged for.
    pub(super) host: &'a str,
    pub(super) headers: &'a HeaderMap,
}

/// What a token says. `jti` is the decision's id, which the ledger has too.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    recipient: &'a str,
    role: Role,
    purposes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

impl Told {
    /// What they are told where nothing is configured.
    pub(super) fn usual() -> Self {
        Self { forwarding: Forwarding::default(), node: String::new(), key: None }
    }

    /// Reads the key, if `forwarding` names one.
    pub(super) fn new(forwarding: &Forwarding, node: &str) -> Result<Self, IdentityKeyError> {
        let key =
            forwarding.identity.as_ref().map(|identity| read_key(&identity.key)).transpose()?;
        Ok(Self { forwarding: forwarding.clone(), node: node.to_owned(), key })
    }

    /// Writes it into what a backend is sent.
    pub(super) fn write(&self, headers: &mut HeaderMap, asked: &Asking<'_>, now: Timestamp) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        let address = match self.forwarding.address {
            ClientAddress::None => None,
            ClientAddress::Prefix => {
                Some(shorten(asked.address, asked.permit.policy().access_log.ip_prefix))
            }
            ClientAddress::Full => Some(asked.address.to_canonical()),
        };
        if let Some(address) = address {
            insert(headers, X_FORWARDED_FOR, &address.to_string());
        }
        if self.forwarding.forwarded {
            insert(headers, FORWARDED, &forwarded(address, asked.host));
        }
        if let Some(trace) = self.trace(asked) {
            insert(headers, TRACEPARENT, &trace);
        }
        if let Some(token) = self.token(asked, now) {
            insert(headers, TAMIS_IDENTITY, &token);
        }
    }

    fn trace(&self, asked: &Asking<'_>) -> Option<String> {
        match self.forwarding.trace {
            Trace::None => None,
            Trace::New => new_trace(asked.permit),
            Trace::Internal => {
                let theirs = || given_trace(asked.headers).map(str::to_owned);
                let is_internal = asked.permit.role() == Role::Internal;
                is_internal.then(theirs).flatten().or_else(|| new_trace(asked.permit))
            }
        }
    }

    fn token(&self, asked: &Asking<'_>, now: Timestamp) -> Option<String> {
        let (key, identity) = (self.key.as_ref()?, self.forwarding.identity.as_ref()?);
        let permit = asked.permit;
        let person = asked.caller.person.as_ref().filter(|_| identity.person);
        let issued = now.as_second();
        let claims = Claims {
            iss: &self.node,
            aud: asked.upstream?.as_str(),
            iat: issued,
            exp: issued + TOKEN_SECONDS,
            jti: permit.decision().as_str(),
            recipient: permit.recipient().as_str(),
            role: permit.role(),
            purposes: permit.purposes().iter().map(PurposeId::as_str).collect(),
            sub: person.map(|id| id.expose().as_ref()),
        };
        // Without it a backend knows nobody, which it has to refuse by itself.
        encode(&Header::new(Algorithm::EdDSA), &claims, key).ok()
    }
}

fn read_key(path: &Path) -> Result<EncodingKey, IdentityKeyError> {
    let failed = |error| IdentityKeyError::File(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.mode() & 0o077 != 0 {
        return Err(IdentityKeyError::Exposed(path.to_owned()));
    }
    let pem = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    EncodingKey::from_ed_pem(&pem).map_err(|_| IdentityKeyError::NotAKey(path.to_owned()))
}

/// Who it was forwarded for, by which host. Source: RFC 7239 §6.
fn forwarded(address: Option<IpAddr>, host: &str) -> String {
    let by = match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
    };
    format!("for={by};host=\"{host}\";proto=https")
}

/// A trace that begins here, with the number of the decision, so that an operator finds one by the other.
fn new_trace(permit: &Permit) -> Option<String> {
    let id = permit.decision().as_str().strip_prefix("d_")?;
    let mut parent = [0; 8];
    getrandom::fill(&mut parent).ok()?;
    let trace = format!("00-{id}-{:016x}-00", u64::from_be_bytes(parent));
    is_trace(&trace).then_some(trace)
}

/// The trace that the caller is in: one, of the version that is known.
fn given_trace(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (Some(trace), None) = (given.next(), given.next()) else { return None };
    trace.to_str().ok().filter(|trace| is_trace(trace))
}

/// `00-{32}-{16}-{2}` in lower hexadecimal, neither id all zero.
fn is_trace(text: &str) -> bool {
    let is_hex = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_id = |part: &str, length| {
        part.len() == length && is_hex(part) && part.bytes().any(|byte| byte != b'0')
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        ["00", trace, parent, flags] => {
            is_id(trace, 32) && is_id(parent, 16) && flags.len() == 2 && is_hex(flags)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{forwarded, is_trace};

    #[test]
    fn only_a_whole_trace_of_the_known_version_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_trace(good));
        for bad in [
            good.to_uppercase(),
            good.replace("00-", "01-"),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            format!("{good}-extra"),
            good.replace('7', "g"),
            good[..54].to_owned(),
            String::new(),
        ] {
            assert!(!is_trace(&bad), "{bad}");
        }
    }

    #[test]
    fn an_address_of_ipv6_is_quoted_and_none_is_unknown() {
        let of = |address: &str| forwarded(address.parse().ok(), "api.example");
        assert_eq!(of("203.0.113.0"), "for=203.0.113.0;host=\"api.example\";proto=https");
        assert_eq!(of("2001:db8::"), "for=\"[2001:db8::]\";host=\"api.example\";proto=https");
        assert_eq!(of("none"), "for=unknown;host=\"api.example\";proto=https");
    }
}
