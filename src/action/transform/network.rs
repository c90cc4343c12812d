//! Addresses, agents and links made coarser.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io::Write as _;

/// Writes the network of an address, `203.0.113.0/24`. An IPv4-mapped IPv6 address is an IPv4
/// address: cut as IPv6, its /48 would be `::`, but its text could hold all of it.
pub(super) fn ip_prefix(value: &str, v4: u8, v6: u8, out: &mut Vec<u8>) -> Option<()> {
    match value.trim().parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4.into())).unwrap_or(0);
            write!(out, "{}/{}", Ipv4Addr::from(u32::from(address) & mask), v4.min(32))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6.into())).unwrap_or(0);
            write!(out, "{}/{}", Ipv6Addr::from(u128::from(address) & mask), v6.min(128))
        }
    }
    .ok()
}

/// Product tokens of user agents and the family they stand for. The first that occurs decides: many
/// agents name their ancestors as well. A closed list, since a product token can hold anything.
const FAMILIES: [(&str, &str); 33] = [
    ("Googlebot/", "Googlebot"),
    ("bingbot/", "bingbot"),
    ("YandexBot/", "YandexBot"),
    ("DuckDuckBot/", "DuckDuckBot"),
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("Opera/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Trident/", "Internet Explorer"),
    ("MSIE ", "Internet Explorer"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("okhttp/", "OkHttp"),
    ("Dart/", "Dart"),
    ("CFNetwork/", "CFNetwork"),
    ("Go-http-client/", "Go-http-client"),
    ("python-requests/", "python-requests"),
    ("axios/", "axios"),
    ("PostmanRuntime/", "Postman"),
];

/// Writes `Firefox/142`; `Other` for what is not on the list.
pub(super) fn agent_family(value: &str, out: &mut Vec<u8>) {
    for (token, family) in FAMILIES {
        if let Some(version) = after(value, token) {
            return with_major(family, version, out);
        }
    }
    match after(value, "Version/") {
        Some(version) if value.contains("Safari/") => with_major("Safari", version, out),
        _ => out.extend_from_slice(b"Other"),
    }
}

/// What follows `token` where it begins a word.
fn after<'a>(value: &'a str, token: &str) -> Option<&'a str> {
    let at = value.match_indices(token).map(|(at, _)| at).find(|at| {
        !value[..*at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '-')
    })?;
    Some(&value[at + token.len()..])
}

fn with_major(family: &str, version: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(family.as_bytes());
    let figures = version.bytes().take(5).take_while(u8::is_ascii_digit).count();
    if figures > 0 {
        out.push(b'/');
        out.extend_from_slice(&version.as_bytes()[..figures]);
    }
}

/// Writes scheme, host and port of a web address. `None` for a relative one and for other schemes: the
/// "host" of a `mailto:` is a person.
pub(super) fn origin(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let uri: http::Uri = value.trim().parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "ws" | "wss") {
        return None;
    }
    let host = uri.host()?.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    match uri.port_u16() {
        Some(port) => write!(out, "{scheme}://{host}:{port}"),
        None => write!(out, "{scheme}://{host}"),
    }
    .ok()
}

/// Words after which the next segment names one thing or person, though they are no plural.
const NAMING: [&str; 14] = [
    "account", "author", "by", "customer", "friend", "member", "people", "person", "profile",
    "seller", "shop", "u", "user", "buyer",
];

/// Longest segment that is taken for a word of the site rather than for an id in letters.
const WORD: usize = 20;

/// Writes `/users/{}/orders` for `/users/42/orders?page=2#top`, with the origin in front if the address has
/// one. Query and fragment are gone. A segment stays only if it is a word of lower-case letters (or a
/// version such as `v2`) and does not follow a plural or another word that names one of many
/// (`/users/testina` is `/users/{}`). A nickname that follows neither is not recognised: where paths
/// hold such, use `origin`. `None` if the value is neither a path nor a web address.
pub(super) fn path_template(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let value = value.trim();
    let path = if value.starts_with('/') && !value.starts_with("//") {
        value
    } else {
        origin(value, out)?;
        let (_, rest) = value.split_once("://")?;
        rest.find(['/', '?', '#']).map_or("", |at| &rest[at..])
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut names_next = false;
    for segment in path.split('/').skip(1) {
        out.push(b'/');
        let word = is_word(segment);
        let version = is_version(segment);
        // What stays is letters and figures only, so nothing needs an escape.
        let stays = segment.is_empty() || version || (word && !names_next);
        out.extend_from_slice(if stays { segment.as_bytes() } else { b"{}" });
        names_next = word && !names_next && (segment.ends_with('s') || NAMING.contains(&segment));
    }
    Some(())
}

fn is_word(segment: &str) -> bool {
    (1..=WORD).contains(&segment.len()) && segment.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_version(segment: &str) -> bool {
    let figures = segment.strip_prefix('v').unwrap_or_default();
    matches!(figures.len(), 1 | 2) && figures.bytes().all(|byte| byte.is_ascii_digit())
}
