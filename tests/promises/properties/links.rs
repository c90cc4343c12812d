//! Links by chance: routes, grants and texts, against a plain reading of what docs/RULES.md and
//! decision 0011 say of links.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use tamis::decide::Caller;
use tamis::gateway::rehearsal::{Asked, Backend, Stage, rehearse};
use tamis::keys::KeyRing;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{DataSubject, DecisionId, Statements};

use super::chance::Chance;
use super::played::{KEY, now};
use crate::differential::random::Random;
use crate::differential::setting;

/// Sets of rules; each reads some thirty links. A second or two of one core in a debug build.
const SETS: u64 = 300;
const LINKS: usize = 30;

const CATEGORIES: [&str; 4] = ["account.id", "order.id", "shop.id", "trait.zip"];
const ACTIONS: [&str; 9] =
    ["keep", "keep", "keep", "token", "pseudonym", "mask last 2", "fpe", "blank", "remove"];
const IDS: [&str; 6] = ["42", "u1", "o-7", "a.b", "12345678", "Zz_~9"];
/// Where a link may come from: nowhere, the backend of its route, the gateway.
const OWN: [&str; 3] = ["", "http://people", "https://gateway.invalid"];

struct Nobody;

impl Registers for Nobody {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(Arc::default())
    }
}

/// What stands at a parameter: a category, something open, a sealed cursor, or nothing is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Category(&'static str),
    Open,
    Sealed,
    Unsaid,
}

#[derive(Clone, Debug)]
struct Route {
    method: &'static str,
    /// A literal, or a parameter.
    segments: Vec<Result<&'static str, Stands>>,
    query: Vec<(&'static str, Stands)>,
}

#[derive(Debug)]
struct Set {
    routes: Vec<Route>,
    grants: Vec<(&'static str, &'static str)>,
    /// What each link may hold; empty where it is open.
    fields: Vec<Vec<&'static str>>,
}

impl Set {
    fn by_chance(random: &mut Chance) -> Self {
        let stands = |random: &mut Chance| match random.below(6) {
            0 => Stands::Open,
            1 if random.one_in(2) => Stands::Unsaid,
            _ => Stands::Category(random.choose(&CATEGORIES)),
        };
        let mut routes = Vec::new();
        for _ in 0..3 + random.below(4) {
            let mut segments = vec![Ok(random.choose(&["people", "orders", "shops"]))];
            for _ in 0..random.below(4) {
                segments.push(match random.below(3) {
                    0 => Ok(random.choose(&["people", "orders", "me"])),
                    _ => Err(stands(random)),
                });
            }
            let mut query = Vec::new();
            for name in ["limit", "of", "cursor"] {
                match random.below(4) {
                    0 if name == "cursor" => query.push((name, Stands::Sealed)),
                    0 => query.push((name, Stands::Open)),
                    1 => query.push((name, Stands::Category(random.choose(&CATEGORIES)))),
                    _ => {}
                }
            }
            let method = if random.one_in(8) { "DELETE" } else { "GET" };
            let query = if method == "GET" { query } else { Vec::new() };
            routes.push(Route { method, segments, query });
        }
        let grants = CATEGORIES.map(|category| (category, random.choose(&ACTIONS))).to_vec();
        let fields = (0..4)
            .map(|_| match random.below(4) {
                0 => Vec::new(),
                1 => vec![random.choose(&CATEGORIES)],
                _ => CATEGORIES.iter().filter(|_| !random.one_in(3)).copied().collect(),
            })
            .collect();
        Self { routes, grants, fields }
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "tamis: 1\npolicy: {id: links, title: By chance, source: {revision: \"1\"}, controller: \
             {name: Beispiel GmbH, seat: DE}, default: remove, conceal_as: 404}\n\
             categories: {identity.name: {}, account.id: {}, order.id: {}, shop.id: {}, trait.zip: {}}\n\
             purposes: {service: {text: Provide the service, basis: contract}}\n\
             recipients: {desk: {role: internal, country: DE, authenticate: {mtls: \
             \"dns:desk.example.invalid\"}, purposes: [service], default_purpose: service}}\n\
             registers: {ids: exact}\nroutes:\n",
        );
        let mut fields = String::new();
        let mut open = String::new();
        for (number, of) in self.fields.iter().enumerate() {
            match of.as_slice() {
                [] => {
                    let _ = write!(open, "\"url($.l{number})\", ");
                }
                of => {
                    let _ = write!(fields, "\"url($.l{number})\": [{}], ", of.join(", "));
                }
            }
        }
        let _ = writeln!(
            text,
            "  - {{match: \"GET /documents/{{id}}\", upstream: people, subjects: {{person: \
             \"path:id\"}}, fields: {{\"$.name\": identity.name, {fields}}}, open: [{open}\"$.plain\"]}}"
        );
        for (number, route) in self.routes.iter().enumerate() {
            let mut path = String::new();
            let mut said = Vec::new();
            for (at, segment) in route.segments.iter().enumerate() {
                match segment {
                    Ok(literal) => {
                        let _ = write!(path, "/{literal}");
                    }
                    Err(stands) => {
                        let _ = write!(path, "/{{p{at}}}");
                        said.extend(word(*stands).map(|word| format!("p{at}: {word}")));
                    }
                }
            }
            let query: Vec<String> = route
                .query
                .iter()
                .map(|(name, stands)| format!("{name}: {}", word(*stands).expect("said")))
                .collect();
            let _ = writeln!(
                text,
                "  - {{match: \"{} {path}\", upstream: people, subjects: {{person: \"$.id\"}}, path: \
                 {{{}}}, query: {{{}}}, fields: {{\"$.id\": account.id, \"$.n{number}\": order.id}}}}",
                route.method,
                said.join(", "),
                query.join(", "),
            );
        }
        let show: Vec<String> =
            self.grants.iter().map(|(category, action)| format!("{category}: {action}")).collect();
        text + &format!(
            "release:\n  - {{to: [desk], for: [service], show: {{identity.name: keep, {}}}}}\n",
            show.join(", ")
        )
    }

    /// A text that may be a link: of some route, then bent now and then.
    fn link(&self, random: &mut Chance) -> String {
        let route = &self.routes[random.below(self.routes.len())];
        let mut link = random.choose(&OWN).to_owned();
        for segment in &route.segments {
            link += "/";
            link += segment.unwrap_or_else(|_| random.choose(&IDS));
        }
        let mut sign = '?';
        for (name, _) in &route.query {
            if random.one_in(2) {
                let _ = write!(link, "{sign}{name}={}", random.choose(&IDS));
                sign = '&';
            }
        }
        if random.one_in(3) {
            return bent(&link, random);
        }
        link
    }

    /// What should leave of a text in the link with this number.
    fn expected(&self, number: usize, text: &str) -> Option<String> {
        if text.len() > 4096 || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return None;
        }
        // A member that holds several categories leaves where each of them does.
        let is_withheld = |category: &&str| self.grants.contains(&(*category, "remove"));
        if self.fields[number].iter().any(is_withheld) {
            return None;
        }
        let text = text.split('#').next().unwrap_or_default();
        let (address, rest) = if text.starts_with('/') {
            ("", text)
        } else {
            let rest = OWN[1..].iter().find_map(|own| text.strip_prefix(own))?;
            ("https://gateway.invalid", rest)
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let is_odd = |segment: &&str| ["", ".", ".."].contains(segment) || !plain(segment);
        if segments.iter().any(is_odd) {
            return None;
        }
        let route = self.read_by(&segments)?;
        let mut out = address.to_owned();
        for (segment, declared) in segments.iter().zip(&route.segments) {
            out += "/";
            out += &match declared {
                Ok(literal) => (*literal).to_owned(),
                Err(stands) => self.left(number, *stands, segment)?,
            };
        }
        let mut seen = Vec::new();
        let mut sign = '?';
        for pair in query.filter(|query| !query.is_empty()).into_iter().flat_map(|q| q.split('&')) {
            let (name, value) = pair.split_once('=')?;
            let (_, stands) = route.query.iter().find(|(declared, _)| *declared == name)?;
            // A slash ends nothing behind the question mark; a cursor is the same however it is written.
            let is_sealed = *stands == Stands::Sealed;
            let read = if is_sealed {
                value.replace("%34", "4").replace("%2F", "/")
            } else {
                value.to_owned()
            };
            if seen.contains(&name) || !plain(&read.replace('/', "")) || value.is_empty() {
                return None;
            }
            seen.push(name);
            let _ = write!(out, "{sign}{name}={}", self.left(number, *stands, value)?);
            sign = '&';
        }
        Some(out)
    }

    /// What is left of a value, as a pattern; `None`: the link is no more.
    fn left(&self, number: usize, stands: Stands, value: &str) -> Option<String> {
        match stands {
            Stands::Open => Some(value.to_owned()),
            Stands::Sealed => Some("\u{0}tk1_".to_owned()),
            Stands::Unsaid => None,
            Stands::Category(category) if !self.fields[number].contains(&category) => None,
            Stands::Category(category) => {
                let (_, action) = self.grants.iter().find(|(of, _)| *of == category)?;
                match *action {
                    // A slash would have to be written otherwise than it was.
                    "keep" => (!value.contains('/')).then(|| value.to_owned()),
                    "token" => Some("\u{0}tk1_".to_owned()),
                    "pseudonym" => Some("\u{0}ps1_".to_owned()),
                    _ => None,
                }
            }
        }
    }

    /// The route that takes such a path: as a GET if one does. A literal beats a parameter, from the left.
    fn read_by(&self, segments: &[&str]) -> Option<&Route> {
        ["GET", "DELETE"].into_iter().find_map(|method| {
            let takes = |route: &&Route| {
                route.method == method
                    && route.segments.len() == segments.len()
                    && route
                        .segments
                        .iter()
                        .zip(segments)
                        .all(|(own, segment)| own.is_err() || *own == Ok(*segment))
            };
            let literals = |route: &&Route| -> Vec<bool> {
                route.segments.iter().map(Result::is_ok).collect()
            };
            self.routes.iter().filter(takes).max_by_key(literals)
        })
    }
}

fn word(stands: Stands) -> Option<&'static str> {
    match stands {
        Stands::Category(category) => Some(category),
        Stands::Open => Some("open"),
        Stands::Sealed => Some("sealed"),
        Stands::Unsaid => None,
    }
}

/// A link of which one place is otherwise than it should be.
fn bent(link: &str, random: &mut Chance) -> String {
    let with = |from: &str, to: &str| link.replacen(from, to, 1);
    match random.below(18) {
        0 => format!("{link}#name=CANARY"),
        1 => format!("{link}/"),
        2 => with("/", "//"),
        3 => with("/", "/./"),
        4 => with("/", "/../"),
        5 => with("/", "\\"),
        6 => with("4", "%34"),
        7 => with("u1", "u1%2Fx"),
        8 => format!("https://evil.example.invalid{link}"),
        9 => with("://", "://someone@"),
        10 => format!("{link}{}unknown=1", if link.contains('?') { '&' } else { '?' }),
        11 => match link.split_once('?') {
            Some((_, query)) => format!("{link}&{query}"),
            None => format!("{link}?"),
        },
        12 => with("u1", "ü1"),
        13 => with("/", "/;v=1/"),
        14 => format!(" {link}"),
        15 => with("http://people", "https://people"),
        16 => with("=", ""),
        _ => format!("{link}{}", "4".repeat(4096)),
    }
}

#[test]
fn links_leave_as_a_plain_reading_of_the_rules_says() {
    let first = setting("TAMIS_FIRST").unwrap_or(0);
    let sets = setting("TAMIS_WORLDS").unwrap_or(SETS);
    let (mut left, mut removed, mut rejected) = (0_u64, 0_u64, 0_u64);
    for number in first..first + sets {
        let mut random = Chance::new(Random::seeded(number ^ (1 << 42)));
        let set = Set::by_chance(&mut random);
        let Ok(policy) = Policy::parse("links.yaml", &set.text()).map(Arc::new) else {
            rejected += 1;
            continue;
        };
        for _ in 0..LINKS {
            let field = random.below(set.fields.len());
            let text = set.link(&mut random);
            let expected = set.expected(field, &text);
            let found = told(&policy, field, &text);
            let is_it = match (&expected, &found) {
                (None, None) => true,
                (Some(wanted), Some(found)) => stands_for(wanted, found),
                _ => false,
            };
            assert!(
                is_it,
                "set {number}: {text} as l{field}\n   got {found:?}\n   expected {expected:?}\n{}",
                set.text()
            );
            *(if found.is_some() { &mut left } else { &mut removed }) += 1;
        }
    }
    let enough = |count: u64| count > sets;
    assert!(sets < SETS || enough(left) && enough(removed), "{left} {removed} {rejected}");
}

/// What of this text leaves at this member.
fn told(policy: &Arc<Policy>, field: usize, text: &str) -> Option<String> {
    let stage = Stage {
        policy: Arc::clone(policy),
        registers: Arc::new(Nobody),
        keys: Arc::new(KeyRing::parse("a key of tests", KEY).expect("a key")),
        now: now(),
    };
    let asked = Asked {
        caller: Caller { recipient: "desk".into(), person: None, purposes: None },
        method: Method::GET,
        uri: "/documents/d1".parse().expect("a target"),
        headers: HeaderMap::new(),
        client: "203.0.113.77".parse().expect("an address"),
        body: None,
        decision: DecisionId::from("d_links"),
    };
    let document = serde_json::json!({"plain": 1, format!("l{field}"): text}).to_string();
    let backend =
        Backend { status: StatusCode::OK, headers: HeaderMap::new(), body: document.into_bytes() };
    let body = rehearse(&stage, &asked, &backend).body.ok()?;
    let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    Some(told.get(format!("l{field}"))?.as_str().expect("a text").to_owned())
}

/// Whether a link is the expected one, where keyed values are known by their prefix only.
fn stands_for(expected: &str, found: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        text.split(['/', '?', '&', '=']).map(str::to_owned).collect()
    };
    let (expected, found) = (parts(expected), parts(found));
    expected.len() == found.len()
        && expected.iter().zip(&found).all(|(wanted, found)| match wanted.strip_prefix('\u{0}') {
            Some(prefix) => found.starts_with(prefix),
            None => wanted == found,
        })
}
