//! Headers in both directions, by allow-list: what is not named here does not pass.
//!
//! Towards the backend: the gateway writes its own head and lets only a few of the client's fields
//! through, so credentials, hop-by-hop fields, forwarding claims, ranges, conditions and method
//! overrides of a client never arrive. Towards the client: fields of the backend describe a body
//! that no longer exists (`ETag`, `Digest`, `Content-Length`, `Content-Range`) or say who the backend
//! is; all of that stays behind. So do links (`Location`, `Link`), but for what the rules of the route
//! let leave of them.
//! Source: RFC 9110 §7.6, RFC 6265 §4, docs/LIFE_OF_A_REQUEST.md.

use std::net::IpAddr;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_LOCATION, COOKIE,
    HeaderName, LINK, LOCATION, SET_COOKIE,
};
use http::{HeaderMap, HeaderValue};

use super::cookies::Cookies;
use super::purpose;
use crate::minimize::head::Links;
use crate::policy::model::LinkHeader;
use crate::terms::Picture;

/// Fresh for every request; the decision's id, so that the backend's log can be joined by operators.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest value of a client's or backend's field that passes.
const LONGEST: usize = 256;

/// What the backend is sent of, and besides, a client's headers; who the client is, is told elsewhere.
pub(super) fn towards_upstream(
    client: &HeaderMap,
    cookies: &Cookies<'_>,
    media: &[Picture],
    request_id: &str,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pictures: Vec<&str> = media.iter().map(|kind| kind.media_type()).collect();
    let accepted = if media.is_empty() { "application/json" } else { &pictures.join(", ") };
    insert(&mut headers, ACCEPT, accepted);
    // A backend that answers encoded all the same is decoded; see `decode`.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    insert(&mut headers, X_REQUEST_ID, request_id);
    if let Some(languages) = single(client, &ACCEPT_LANGUAGE, is_language_byte) {
        headers.insert(ACCEPT_LANGUAGE, languages.clone());
    }
    if purpose::gpc(client) {
        headers.insert(purpose::SEC_GPC, HeaderValue::from_static("1"));
    }
    if let Some(cookies) = cookies.towards_upstream(client) {
        insert(&mut headers, COOKIE, &cookies);
    }
    headers
}

/// What the client is sent of a backend's headers; the gateway's own are added in `respond`.
pub(super) fn towards_client(upstream: &HeaderMap, cookies: &Cookies<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(languages) = single(upstream, &CONTENT_LANGUAGE, is_language_byte) {
        headers.insert(CONTENT_LANGUAGE, languages.clone());
    }
    for cookie in cookies.towards_client(upstream) {
        headers.append(SET_COOKIE, cookie);
    }
    headers
}

/// The backend's headers in which links stand.
pub(super) fn of_links(upstream: &HeaderMap) -> HeaderMap {
    let is_one = |name: &HeaderName| {
        LinkHeader::ALL.iter().any(|one| one.as_str().eq_ignore_ascii_case(name.as_str()))
    };
    let named = upstream.iter().filter(|(name, _)| is_one(name));
    named.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Adds the links that may leave.
pub(super) fn add_links(headers: &mut HeaderMap, links: &Links) {
    for (header, line) in &links.lines {
        let name = match header {
            LinkHeader::Location => LOCATION,
            LinkHeader::ContentLocation => CONTENT_LOCATION,
            LinkHeader::Link => LINK,
        };
        // A link is visible ASCII; one that is no header value is left out.
        if let Ok(value) = HeaderValue::from_str(line) {
            headers.append(name, value);
        }
    }
}

/// A field that came exactly once, not too long, of expected bytes only.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    expected: impl Fn(u8) -> bool,
) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let bytes = value.as_bytes();
    let fits = bytes.len() <= LONGEST && bytes.iter().all(|byte| expected(*byte));
    (fits && values.next().is_none()).then_some(value)
}

fn is_language_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-,;=.* ".contains(&byte)
}

pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Values are addresses, ids of our own and checked cookies; one that is no header value is left
    // out, which withholds.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The network of an address: its first bits, the rest zero. An IPv4 address in IPv6 clothes is IPv4.
pub(super) fn shorten(address: IpAddr, (v4, v6): (u8, u8)) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - v4.min(32))).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - v6.min(128))).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::shorten;

    #[test]
    fn addresses_are_shortened_to_their_network() {
        let cases = [
            ("203.0.113.77", (24, 48), "203.0.113.0"),
            ("::ffff:203.0.113.77", (24, 48), "203.0.113.0"),
            ("2001:db8:1:2:3::4", (24, 48), "2001:db8:1::"),
            ("203.0.113.77", (0, 0), "0.0.0.0"),
            ("2001:db8::1", (0, 0), "::"),
            ("203.0.113.77", (32, 128), "203.0.113.77"),
            ("203.0.113.77", (255, 255), "203.0.113.77"),
        ];
        for (address, bits, expected) in cases {
            let address: IpAddr = address.parse().expect("address");
            assert_eq!(shorten(address, bits).to_string(), expected, "{address} {bits:?}");
        }
    }
}
