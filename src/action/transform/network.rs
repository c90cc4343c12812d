//! Addresses, agents and links made coarser.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of an address, `203.0.113.0/24`. An IPv4-mapped IPv6 address is an IPv4 address:
/// cut as IPv6, its /48 would be `::`, but its text could hold all of it.
pub(super) fn ip_prefix(value: &str, v4: u8, v6: u8) -> Option<String> {
    Some(match value.trim().parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4.into())).unwrap_or(0);
            format!("{}/{}", Ipv4Addr::from(u32::from(address) & mask), v4.min(32))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6.into())).unwrap_or(0);
            format!("{}/{}", Ipv6Addr::from(u128::from(address) & mask), v6.min(128))
        }
    })
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

/// `Firefox/142`; `Other` for what is not on the list.
pub(super) fn agent_family(value: &str) -> String {
    for (token, family) in FAMILIES {
        if let Some(version) = after(value, token) {
            return with_major(family, version);
        }
    }
    match after(value, "Version/") {
        Some(version) if value.contains("Safari/") => with_major("Safari", version),
        _ => "Other".to_owned(),
    }
}

/// What follows `token` where it begins a word.
fn after<'a>(value: &'a str, token: &str) -> Option<&'a str> {
    let at = value.match_indices(token).map(|(at, _)| at).find(|at| {
        !value[..*at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '-')
    })?;
    Some(&value[at + token.len()..])
}

fn with_major(family: &str, version: &str) -> String {
    let major: String = version.chars().take_while(char::is_ascii_digit).take(5).collect();
    if major.is_empty() { family.to_owned() } else { format!("{family}/{major}") }
}

/// Scheme, host and port of a web address. `None` for a relative one and for other schemes: the
/// "host" of a `mailto:` is a person.
pub(super) fn origin(value: &str) -> Option<String> {
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
    Some(match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Words after which the next segment names one thing or person, though they are no plural.
const NAMING: [&str; 14] = [
    "account", "author", "by", "customer", "friend", "member", "people", "person", "profile",
    "seller", "shop", "u", "user", "buyer",
];

/// Longest segment that is taken for a word of the site rather than for an id in letters.
const WORD: usize = 20;

/// `/users/{}/orders` for `/users/42/orders?page=2#top`, with the origin in front if the address has
/// one. Query and fragment are gone. A segment stays only if it is a word of lower-case letters (or a
/// version such as `v2`) and does not follow a plural or another word that names one of many
/// (`/users/testina` is `/users/{}`). A nickname that follows neither is not recognised: where paths
/// hold such, use `origin`. `None` if the value is neither a path nor a web address.
pub(super) fn path_template(value: &str) -> Option<String> {
    let value = value.trim();
    let (origin, path) = if value.starts_with('/') && !value.starts_with("//") {
        (String::new(), value)
    } else {
        let origin = origin(value)?;
        let (_, rest) = value.split_once("://")?;
        (origin, rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]))
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut template = origin;
    let mut names_next = false;
    for segment in path.split('/').skip(1) {
        template.push('/');
        let word = is_word(segment);
        let version = is_version(segment);
        if segment.is_empty() || version || (word && !names_next) {
            template.push_str(segment);
        } else {
            template.push_str("{}");
        }
        names_next = word && !names_next && (segment.ends_with('s') || NAMING.contains(&segment));
    }
    Some(template)
}

fn is_word(segment: &str) -> bool {
    (1..=WORD).contains(&segment.len()) && segment.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_version(segment: &str) -> bool {
    let figures = segment.strip_prefix('v').unwrap_or_default();
    matches!(figures.len(), 1 | 2) && figures.bytes().all(|byte| byte.is_ascii_digit())
}
