//! Bodies of requests by chance: what reaches the backend, against a plain reading of "What comes in".

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tamis::decide::Caller;
use tamis::gateway::rehearsal::{Asked, Backend, Stage, rehearse};
use tamis::keys::KeyRing;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{DataSubject, DecisionId, RefusalReason, Statements};

use super::chance::Chance;
use super::played::{KEY, now};
use crate::differential::random::Random;
use crate::differential::setting;
use crate::oracle::{Tree, read};

/// Sets of rules; each reads ten bodies. A second of one core in a debug build.
const SETS: u64 = 300;

/// Places that may be named.
const PLACES: [&str; 6] = ["$.a", "$.b", "$.c[*]", "$.d.e", "$.d.f[*]", "$.g[*].a"];
const CATEGORIES: [&str; 3] = ["open", "contact.email", "account.id"];
/// Values that a member must have, as rules and as JSON write them.
const MUSTS: [(&str, &str); 4] =
    [("true", "true"), ("7", "7"), ("\"7\"", "\"7\""), ("yes", "\"yes\"")];

struct Nobody;

impl Registers for Nobody {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(Arc::default())
    }
}

struct Set {
    fields: BTreeMap<&'static str, &'static str>,
    must: Option<(&'static str, (&'static str, &'static str))>,
}

impl Set {
    fn by_chance(random: &mut Chance) -> Self {
        let mut fields = BTreeMap::new();
        for place in PLACES {
            if random.below(2) == 0 {
                fields.insert(place, random.choose(&CATEGORIES));
            }
        }
        fields.entry("$.b").or_insert("open");
        let must = (random.choose(&["$.a", "$.d.e", "$.n"]), random.choose(&MUSTS));
        Self { fields, must: random.one_in(2).then_some(must) }
    }

    fn text(&self) -> String {
        let fields = self.fields.iter().map(|(place, what)| format!("\"{place}\": {what}"));
        let fields = fields.collect::<Vec<_>>().join(", ");
        let must = self
            .must
            .map(|(place, (value, _))| format!(", request_must: {{\"{place}\": {value}}}"));
        format!(
            "tamis: 1\npolicy: {{id: bodies, title: By chance, source: {{revision: \"1\"}}, controller: \
             {{name: Beispiel GmbH, seat: DE}}, default: remove, conceal_as: 404}}\n\
             categories: {{account.id: {{}}, contact.email: {{}}}}\n\
             purposes: {{service: {{text: Provide the service, basis: contract}}}}\n\
             recipients: {{desk: {{role: internal, country: DE, authenticate: {{mtls: \
             \"dns:desk.example.invalid\"}}, purposes: [service], default_purpose: service}}}}\n\
             routes:\n  - {{match: \"POST /people/{{id}}\", upstream: people, subjects: {{person: \
             \"path:id\"}}, request_fields: {{{fields}}}{}}}\n\
             release:\n  - {{to: [desk], for: [service], show: {{account.id: keep}}}}\n",
            must.unwrap_or_default()
        )
    }

    /// What reaches the backend; `None`: it is refused.
    fn expected(&self, body: &str) -> Option<Tree> {
        let tree = read(body.as_bytes())?;
        if is_doubled(&tree) {
            return None;
        }
        if let Some((place, (_, value))) = self.must {
            let mut at = &tree;
            for name in place.trim_start_matches("$.").split('.') {
                let Tree::Object(members) = at else { return None };
                at = &members.iter().find(|(member, _)| member == name)?.1;
            }
            if *at != read(value.as_bytes())? {
                return None;
            }
        }
        let places: Vec<Vec<&str>> = self
            .fields
            .keys()
            .map(|place| {
                place.split(['.', '[']).skip(1).map(|part| part.trim_end_matches(']')).collect()
            })
            .collect();
        Some(left(&tree, &places, false).unwrap_or(Tree::Null))
    }
}

/// What is left of a value. `places`: the ways that go on from here; `here`: it is named itself.
fn left(value: &Tree, places: &[Vec<&str>], here: bool) -> Option<Tree> {
    let onward = |step: &str, is_index: bool| -> (Vec<Vec<&str>>, bool) {
        let next = places.iter().filter(|way| {
            way.first().is_some_and(|first| *first == "*" || !is_index && *first == step)
        });
        let next: Vec<Vec<&str>> = next.map(|way| way[1..].to_vec()).collect();
        let named = next.iter().any(Vec::is_empty);
        (next.into_iter().filter(|way| !way.is_empty()).collect(), named)
    };
    match value {
        Tree::Array(elements) if here || !places.is_empty() => {
            let left = elements.iter().filter_map(|element| {
                let (places, named) = onward("", true);
                let named = named || here && !matches!(element, Tree::Object(_));
                left(element, &places, named)
            });
            Some(Tree::Array(left.collect()))
        }
        Tree::Object(members) if !places.is_empty() => {
            let left = members.iter().filter_map(|(name, member)| {
                let (places, named) = onward(name, false);
                Some((name.clone(), left(member, &places, named)?))
            });
            Some(Tree::Object(left.collect()))
        }
        Tree::Array(_) | Tree::Object(_) => None,
        scalar => here.then(|| scalar.clone()),
    }
}

fn is_doubled(tree: &Tree) -> bool {
    match tree {
        Tree::Array(elements) => elements.iter().any(is_doubled),
        Tree::Object(members) => members.iter().enumerate().any(|(at, (name, member))| {
            members[..at].iter().any(|(before, _)| before == name) || is_doubled(member)
        }),
        _ => false,
    }
}

/// A body, mostly an object with members that the rules may name.
fn body(random: &mut Chance) -> String {
    let mut members = Vec::new();
    for name in ["a", "b", "c", "d", "g", "n", "x"] {
        if random.one_in(4) {
            continue;
        }
        let value = match name {
            "d" => format!("{{\"e\":{},\"f\":[{}],\"y\":1}}", value(random), value(random)),
            "g" => format!("[{{\"a\":{},\"z\":2}},{}]", value(random), value(random)),
            _ => value(random),
        };
        members.push(format!("\"{name}\":{value}"));
        if random.one_in(30) {
            members.push(format!("\"{}\":3", random.choose(&[name, "\\u0061", "q"])));
        }
    }
    let whole = format!("{{{}}}", members.join(","));
    match random.below(20) {
        0 => whole[..whole.len() - 1].to_owned(),
        1 => format!("{whole}{{}}"),
        _ => whole,
    }
}

fn value(random: &mut Chance) -> String {
    let values = [
        "true",
        "7",
        "\"7\"",
        "\"yes\"",
        "null",
        "\"a@example.invalid\"",
        "[1,\"two\",{\"a\":3}]",
        "{\"a\":4}",
        "[]",
        "\"\"",
        "7.0",
    ];
    random.choose(&values).to_owned()
}

#[test]
fn what_reaches_the_backend_is_what_the_rules_name() {
    let first = setting("TAMIS_FIRST").unwrap_or(0);
    let sets = setting("TAMIS_WORLDS").unwrap_or(SETS);
    let (mut passed, mut refused) = (0_u64, 0_u64);
    for number in first..first + sets {
        let mut random = Chance::new(Random::seeded(number ^ (1 << 43)));
        let set = Set::by_chance(&mut random);
        let policy = Policy::parse("bodies.yaml", &set.text());
        let policy = Arc::new(policy.unwrap_or_else(|found| panic!("{found}")));
        for _ in 0..10 {
            let body = body(&mut random);
            let found = reaches(&policy, &body);
            let expected = set.expected(&body);
            let is_it = match (&expected, &found) {
                (None, Err(reason)) => *reason == RefusalReason::RequestContent,
                (Some(wanted), Ok(found)) => read(found).as_ref() == Some(wanted),
                _ => false,
            };
            assert!(
                is_it,
                "set {number}: {body}\n   got {:?}\n   expected {expected:?}\n{}",
                found.as_ref().map(|found| String::from_utf8_lossy(found)),
                set.text()
            );
            *(if found.is_ok() { &mut passed } else { &mut refused }) += 1;
        }
    }
    assert!(sets < SETS || passed > sets && refused > sets, "{passed} {refused}");
}

/// The body as the backend gets it, or why it does not.
fn reaches(policy: &Arc<Policy>, body: &str) -> Result<Vec<u8>, RefusalReason> {
    let stage = Stage {
        policy: Arc::clone(policy),
        registers: Arc::new(Nobody),
        keys: Arc::new(KeyRing::parse("a key of tests", KEY).expect("a key")),
        now: now(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("content-length", HeaderValue::from(body.len()));
    let asked = Asked {
        caller: Caller { recipient: "desk".into(), person: None, purposes: None },
        method: Method::POST,
        uri: "/people/u1".parse().expect("a target"),
        headers,
        client: "203.0.113.77".parse().expect("an address"),
        body: Some(body.as_bytes().to_vec()),
        decision: DecisionId::from("d_bodies"),
    };
    let backend =
        Backend { status: StatusCode::OK, headers: HeaderMap::new(), body: b"{}".to_vec() };
    let got = rehearse(&stage, &asked, &backend);
    match got.towards_backend {
        Some(request) => Ok(request.body.expect("a body").to_vec()),
        None => Err(got.body.expect_err("nothing reached the backend")),
    }
}
