//! How a tunnel is asked for and agreed on, towards the client and towards the backend. Pure, but for the
//! key that each backend is asked with.
//!
//! Both are handshakes of their own: the backend sees a key of ours and nothing of the client's but the
//! names of protocols; what it agrees on is held against what was offered. Extensions are offered to
//! nobody: each changes what the bytes mean, and compression beside secrets tells of them.
//! Source: RFC 6455 §4, RFC 8441 §4–5.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use super::super::authority;
use super::super::fault::RequestFault;
use super::super::line::Line;
use super::super::respond::Released;
use crate::decide::RouteMatch;
use crate::policy::Policy;
use crate::policy::tunnel::Tunnel;

/// The one version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What is appended to a key. Source: RFC 6455 §1.3.
const KNOWN_TO_SERVERS: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Most names of protocols that a client may offer, and their length together.
const MOST_PROTOCOLS: usize = 16;
const LONGEST_PROTOCOLS: usize = 1024;

/// What a client offers.
pub(in crate::gateway) struct Offer {
    /// Names of protocols, in the client's order.
    protocols: Vec<String>,
    /// Over HTTP/1.1: what is to be signed.
    key: Option<String>,
    /// The client's side, once it was answered.
    pub(super) client: OnUpgrade,
    /// The connection that it came on.
    pub(super) line: Line,
}

/// A backend's answer is no agreement to what it was asked.
pub(super) struct NotAgreed;

/// The key that a backend is asked with.
pub(in crate::gateway) struct Key(Option<String>);

/// The method by which a request finds its route: one for a WebSocket over HTTP/2 is a `GET`.
pub(in crate::gateway) fn method(head: &Parts) -> Result<Method, RequestFault> {
    if head.method != Method::CONNECT {
        return Ok(head.method.clone());
    }
    let is_websocket =
        head.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    if is_websocket { Ok(Method::GET) } else { Err(RequestFault::Connect) }
}

/// What is offered, where the route opens tunnels. Everywhere else what a client says of protocols is
/// dropped with the other fields of one connection.
pub(in crate::gateway) fn offered(
    policy: &Policy,
    matched: Option<&RouteMatch>,
    head: &mut Parts,
) -> Result<Option<Offer>, RequestFault> {
    let tunnel = matched.and_then(|matched| policy.routes[matched.index].tunnel.as_ref());
    let Some(tunnel) = tunnel else {
        let is_connect = head.method == Method::CONNECT && matched.is_some();
        return if is_connect { Err(RequestFault::Connect) } else { Ok(None) };
    };
    let key = match (head.version, &head.method) {
        (Version::HTTP_11, method) if method == Method::GET => Some(key(&head.headers)?),
        (Version::HTTP_2, method) if method == Method::CONNECT => None,
        _ => return Err(RequestFault::Handshake),
    };
    if single(&head.headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(RequestFault::Handshake);
    }
    let protocols = protocols(&head.headers).ok_or(RequestFault::Handshake)?;
    if !may_open(tunnel, head) {
        return Err(RequestFault::Origin);
    }
    let client = head.extensions.remove::<OnUpgrade>();
    let line = head.extensions.remove::<Line>();
    let (Some(client), Some(line)) = (client, line) else { return Err(RequestFault::Handshake) };
    if !line.is_clear() {
        return Err(RequestFault::Early);
    }
    Ok(Some(Offer { protocols, key, client, line }))
}

/// Whether the page that asks, where a page does, is one of the gateway's own host or one that the rules
/// name. A browser shows a certificate and cookies by itself, whichever page asks. Source: RFC 6455 §10.2.
pub(super) fn may_open(tunnel: &Tunnel, head: &Parts) -> bool {
    let mut named = head.headers.get_all(ORIGIN).iter();
    let Some(origin) = named.next() else { return true };
    let Some(origin) = origin.to_str().ok().filter(|_| named.next().is_none()) else {
        return false;
    };
    let own = format!("https://{}", authority::called(&head.uri, &head.headers));
    origin == own || tunnel.origins.contains(origin)
}

/// The client's key, where everything else says too that this is a handshake.
fn key(headers: &HeaderMap) -> Result<String, RequestFault> {
    let upgrades = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let to_websocket =
        single(headers, &UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let key = single(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
    match key {
        Some(key) if upgrades && to_websocket => Ok(key.to_owned()),
        _ => Err(RequestFault::Handshake),
    }
}

/// The names of protocols; `None`: what says them is malformed.
fn protocols(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut length = 0;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().ok()?.split(',') {
            let name = name.trim_matches([' ', '\t']);
            length += name.len();
            let is_new = names.iter().all(|other| other != name);
            if !is_token(name) || !is_new {
                return None;
            }
            names.push(name.to_owned());
        }
    }
    (names.len() <= MOST_PROTOCOLS && length <= LONGEST_PROTOCOLS).then_some(names)
}

/// Source: RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// A field that came exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim_matches([' ', '\t']))
}

/// Turns the head that a backend is sent into a handshake with a key of ours.
pub(in crate::gateway) fn ask(headers: &mut HeaderMap, offer: &Offer) -> Key {
    // No body is expected.
    headers.remove(ACCEPT);
    headers.remove(ACCEPT_ENCODING);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
    let mut nonce = [0; 16];
    // Without randomness there is no key that an answer could fit.
    let key = getrandom::fill(&mut nonce).ok().map(|()| STANDARD.encode(nonce));
    if let Some(value) = key.as_deref().and_then(|key| HeaderValue::from_str(key).ok()) {
        headers.insert(SEC_WEBSOCKET_KEY, value);
    }
    if !offer.protocols.is_empty()
        && let Ok(value) = HeaderValue::from_str(&offer.protocols.join(", "))
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    Key(key)
}

/// What answers a key. Source: RFC 6455 §4.2.2.
fn accept(key: &str) -> String {
    STANDARD
        .encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{KNOWN_TO_SERVERS}").as_bytes()))
}

impl Offer {
    /// The protocol that a backend agreed on, if on one.
    ///
    /// # Errors
    /// What it says is no agreement to what it was asked.
    pub(super) fn agreed(
        &self,
        key: &Key,
        answer: &HeaderMap,
    ) -> Result<Option<String>, NotAgreed> {
        let expected = key.0.as_deref().map(accept).ok_or(NotAgreed)?;
        let is_accepted = single(answer, &SEC_WEBSOCKET_ACCEPT) == Some(&expected);
        let upgrades = single(answer, &CONNECTION).is_some_and(|value| {
            value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
        });
        let to_websocket =
            single(answer, &UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        // None was offered.
        let extends = answer.contains_key(SEC_WEBSOCKET_EXTENSIONS);
        if !is_accepted || !upgrades || !to_websocket || extends {
            return Err(NotAgreed);
        }
        if !answer.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            return Ok(None);
        }
        let chosen = single(answer, &SEC_WEBSOCKET_PROTOCOL);
        let offered = self.protocols.iter().find(|name| Some(name.as_str()) == chosen);
        offered.map(|name| Some(name.clone())).ok_or(NotAgreed)
    }

    /// How a client is told that the tunnel is open, and the fields that say so.
    pub(super) fn accepted(&self, protocol: Option<&str>) -> (Released, HeaderMap) {
        let mut headers = HeaderMap::new();
        if let Some(value) = protocol.and_then(|name| HeaderValue::from_str(name).ok()) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        let Some(key) = &self.key else { return (Released::Connected, headers) };
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        if let Ok(value) = HeaderValue::from_str(&accept(key)) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, value);
        }
        (Released::Switched, headers)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
    use http::{HeaderMap, HeaderName};

    use super::*;

    /// Source: RFC 6455 §1.3.
    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let named = list
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        named.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn a_handshake_has_one_reading() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(key(&fields(&good)).is_ok());
        for (name, value) in [
            ("connection", "keep-alive"),
            ("upgrade", "websocket, h2c"),
            ("upgrade", "h2c"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", ""),
        ] {
            let spoilt = good.map(|(known, old)| (known, if known == name { value } else { old }));
            assert!(key(&fields(&spoilt)).is_err(), "{name}: {value}");
            let without: Vec<_> = good.into_iter().filter(|(known, _)| *known != name).collect();
            assert!(key(&fields(&without)).is_err(), "no {name}");
        }
        let twice = [&good[..], &[("upgrade", "websocket")]].concat();
        assert!(key(&fields(&twice)).is_err());
    }

    #[test]
    fn protocols_are_tokens_each_named_once() {
        for (values, expected) in [
            (&[][..], Some(vec![])),
            (&["chat.v1, chat.v2"], Some(vec!["chat.v1", "chat.v2"])),
            (&["a", "b"], Some(vec!["a", "b"])),
            (&["a, a"], None),
            (&["a,"], None),
            (&["a b"], None),
            (&["a/b"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
            }
            let found = protocols(&headers);
            let found = found.as_ref().map(|all| all.iter().map(String::as_str).collect());
            assert_eq!(found, expected, "{values:?}");
        }
        let mut many = HeaderMap::new();
        let names: Vec<String> = (0..17).map(|n| format!("p{n}")).collect();
        let value = HeaderValue::from_str(&names.join(", ")).expect("visible");
        many.append(SEC_WEBSOCKET_PROTOCOL, value);
        assert_eq!(protocols(&many), None);
    }
}
