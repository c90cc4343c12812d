//! Reads the links in answers by the routes of the policy.
//!
//! A link leaves if it leads to a catalogued route and every value in it is declared there. It is an
//! absolute one of the backend that the route names, or of the gateway; or it begins with one slash.
//! All else is no link: other hosts, other schemes, `//host`, users, escapes of what needs none, dots,
//! backslashes, blanks, letters beyond ASCII, a parameter said twice. A fragment is dropped: it is for
//! nobody but a browser, and could say anything. Nothing is guessed and nothing normalised, so that the
//! gateway and whoever follows the link read the same.
//! Source: RFC 3986; docs/RULES.md, "Links".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::action::link::{Part, ReadsLinks};
use crate::policy::Policy;
use crate::policy::model::{QueryParameter, Route, Segment};
use crate::policy::target::{LONGEST, encoded, is_segment, pair, segments};
use crate::terms::{CategoryId, UpstreamId};

/// The methods of routes that a link is read by, in this order: who follows a link gets.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"];

/// Where backends and the gateway are, as `scheme://host[:port]`, lower case and without a port that
/// goes without saying.
#[derive(Clone, Debug)]
pub struct Origins {
    known: Arc<Known>,
    /// The gateway as the client calls it. Absolute links of an answer begin with it.
    public: String,
}

#[derive(Debug)]
struct Known {
    backends: BTreeMap<UpstreamId, String>,
    own: Vec<String>,
}

impl Origins {
    /// Backends by their addresses, and the gateway by its names: `hosts` are reached over HTTPS.
    #[must_use]
    pub fn new(
        backends: impl IntoIterator<Item = (UpstreamId, String)>,
        hosts: impl IntoIterator<Item = String>,
    ) -> Self {
        let at = |(id, at): (UpstreamId, String)| Some((id, origin(&at)?.0));
        let of_host = |host: String| Some(origin(&format!("https://{host}"))?.0);
        let backends = backends.into_iter().filter_map(at).collect();
        let own = hosts.into_iter().filter_map(of_host).collect();
        let known = Arc::new(Known { backends, own });
        Self { known, public: "https://gateway.invalid".to_owned() }
    }

    /// For a client that calls the gateway by this authority, `host` or `host:port`.
    #[must_use]
    pub fn called(&self, authority: &str) -> Self {
        let public = origin(&format!("https://{authority}")).map(|(origin, _)| origin);
        Self { known: Arc::clone(&self.known), public: public.unwrap_or_default() }
    }

    /// For documents that come from nowhere: a backend `NAME` is `http://NAME`, and the gateway
    /// `https://gateway.invalid`.
    #[must_use]
    pub fn made_up(policy: &Policy) -> Self {
        let named = policy.routes.iter().filter_map(|route| route.upstream.clone());
        Self::new(named.map(|id| (id.clone(), format!("http://{id}"))), [])
    }
}

/// The links of one answer.
pub struct Links {
    policy: Arc<Policy>,
    origins: Arc<Origins>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("policy", &self.policy.id).finish_non_exhaustive()
    }
}

impl Links {
    /// By the routes of `policy`.
    #[must_use]
    pub fn new(policy: Arc<Policy>, origins: Arc<Origins>) -> Self {
        Self { policy, origins }
    }

    /// The value of this category in a link, where it holds only one.
    #[must_use]
    pub fn only(&self, link: &str, category: &CategoryId) -> Option<String> {
        let mut values = self.read(link)?.into_iter().filter_map(|part| match part {
            Part::Value { of, text } if of == *category => Some(text),
            Part::Value { .. } | Part::Fixed(_) => None,
        });
        let value = values.next();
        value.filter(|_| values.next().is_none())
    }

    /// The route that a path is read by, and its segments, decoded.
    fn route(&self, path: &str) -> Option<(&Route, Vec<String>)> {
        let segments = segments(path)?;
        let read: Vec<&str> = segments.iter().map(String::as_str).collect();
        let matched = METHODS.iter().find_map(|method| self.policy.route(method, &read))?;
        Some((&self.policy.routes[matched.index], segments))
    }
}

impl ReadsLinks for Links {
    fn read(&self, text: &str) -> Option<Vec<Part>> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (from, rest) = if text.starts_with('/') {
            // Two slashes name another host.
            (None, text.strip_prefix("//").map_or(Some(text), |_| None)?)
        } else {
            let (origin, rest) = origin(text)?;
            (Some(origin), rest)
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (route, segments) = self.route(path)?;
        if let Some(from) = &from {
            let backend =
                route.upstream.as_ref().and_then(|id| self.origins.known.backends.get(id));
            let is_own = *from == self.origins.public || self.origins.known.own.contains(from);
            if !is_own && backend != Some(from) {
                return None;
            }
        }
        let mut parts =
            vec![Part::Fixed(from.map_or_else(String::new, |_| self.origins.public.clone()))];
        for (template, segment) in route.template.iter().zip(segments) {
            parts.push(Part::Fixed("/".to_owned()));
            parts.push(in_path(route, template, segment)?);
        }
        if route.template.is_empty() {
            parts.push(Part::Fixed("/".to_owned()));
        }
        in_query(route, query, &mut parts)?;
        Some(parts)
    }

    fn write(&self, value: &str) -> Option<String> {
        is_segment(value).then(|| encoded(value))
    }
}

fn in_path(route: &Route, template: &Segment, segment: String) -> Option<Part> {
    Some(match template {
        Segment::Literal(literal) => Part::Fixed(literal.clone()),
        Segment::Parameter(name) => match route.path.get(name) {
            Some(category) => Part::Value { of: category.clone(), text: segment },
            None if route.open_path.contains(name) => Part::Fixed(encoded(&segment)),
            None => return None,
        },
    })
}

fn in_query(route: &Route, query: &str, parts: &mut Vec<Part>) -> Option<()> {
    let mut names = Vec::new();
    for raw in query.split('&').filter(|_| !query.is_empty()) {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        // A name that comes twice means the first to some readers and the last to others.
        if names.contains(&name) {
            return None;
        }
        let separator = if names.is_empty() { "?" } else { "&" };
        names.push(name);
        let (of, text) = match route.query.get(name)? {
            QueryParameter::Open => {
                pair(raw)?;
                parts.push(Part::Fixed(format!("{separator}{raw}")));
                continue;
            }
            QueryParameter::Category(category) => (category, pair(raw)?.1),
            // A cursor is the backend's own text and leaves sealed: nobody else reads it. But a plus is
            // a blank to some backends.
            QueryParameter::Sealed { domain } if !value.contains('+') => {
                (domain, percent_decode_str(value).decode_utf8().ok()?.into_owned())
            }
            QueryParameter::Sealed { .. } => return None,
        };
        if text.is_empty() {
            return None;
        }
        parts.push(Part::Fixed(format!("{separator}{}=", encoded(name))));
        parts.push(Part::Value { of: of.clone(), text });
    }
    Some(())
}

/// Where an absolute address leads, and its path and query. `None` for one that could be read in two
/// ways: a user, a port that is none, a host of odd characters.
fn origin(text: &str) -> Option<(String, &str)> {
    let (scheme, usual, rest) = if let Some(rest) = text.strip_prefix("https://") {
        ("https", "443", rest)
    } else {
        ("http", "80", text.strip_prefix("http://")?)
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => (&authority[..at], Some(&authority[at + 1..])),
        Some(_) | None => (authority, None),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = if let Some(address) = in_brackets {
        address.parse::<core::net::Ipv6Addr>().is_ok()
    } else {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !host.is_empty() && !host.ends_with('.') && host.bytes().all(is_plain)
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_host || !port.is_none_or(is_port) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let origin = match port.filter(|port| *port != usual) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    Some((origin, rest))
}
