//! Counts of groups: what leaves, what is hidden, what refuses the whole, and whether anybody can
//! compute what is hidden.

mod alike;
mod checked;
mod computed;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use tamis::decide::Caller;
use tamis::gateway::rehearsal::{Asked, Backend, Stage, rehearse};
use tamis::keys::KeyRing;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{DataSubject, RefusalReason, Statements};

/// Rules with one aggregate route, whose settings are `AGGREGATE`.
const RULES: &str = r#"
tamis: 1
policy:
  id: counts
  title: Counts of groups
  source: {file: counts.txt, revision: "2026-01-01"}
  controller: {name: Beispiel GmbH, seat: DE}
  default: remove
categories:
  group.sex: {}
  group.age: {}
  group.job: {groups: {crafts: [baker, welder], care: [nurse]}}
  group.app: {}
  contact.email: {}
purposes:
  statistics: {text: Know how many use what, basis: legitimate-interests, balancing: LIA-1}
  asked: {text: Only with consent, basis: consent}
recipients:
  desk: {role: internal, country: DE, authenticate: {mtls: "dns:desk.example.invalid"}, purposes: [statistics, asked]}
  printer: {role: internal, country: DE, authenticate: {mtls: "dns:printer.example.invalid"}, purposes: [statistics]}
  court: {role: authority, country: DE, authenticate: {mtls: "dns:court.example.invalid"}, purposes: [statistics]}
routes:
  - match: GET /groups
    upstream: people
    aggregate: {AGGREGATE, rows: "$.data.groups[*]", count: "@.count"}
    fields: {"@.sex": group.sex, "@.age": group.age, "@.job": group.job, "@.app": group.app}
    open: ["@.count", "@.views", "$.period", "$.data.title"]
release:
  - {to: [desk], for: [statistics], aggregate_only: true, show: {group.sex: keep, group.age: generalise 10-year band, group.job: generalise group, group.app: keep}}
  - {to: [desk], for: [asked], show: {group.sex: keep}}
  - {to: [printer], for: [statistics], show: {group.sex: keep, group.job: pseudonym}}
registers:
  consent: {from: api}
  orders: {from: api}
"#;

/// Nobody has said anything.
struct Silence;

impl Registers for Silence {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(Arc::default())
    }
}

fn policy(aggregate: &str) -> Arc<Policy> {
    Arc::new(policy_of(&RULES.replace("AGGREGATE", aggregate)))
}

fn policy_of(rules: &str) -> Policy {
    Policy::parse("counts.rules.yaml", rules).unwrap_or_else(|rejected| panic!("{rejected}"))
}

/// What a recipient gets for a purpose when the backend answers `body`, or the reason of the refusal.
fn answer(
    policy: &Arc<Policy>,
    to: &str,
    purpose: &str,
    body: &str,
) -> Result<String, &'static str> {
    let stage = Stage {
        policy: Arc::clone(policy),
        registers: Arc::new(Silence),
        keys: Arc::new(KeyRing::ephemeral().expect("random bytes")),
        now: Timestamp::UNIX_EPOCH,
    };
    let mut headers = HeaderMap::new();
    headers.insert("tamis-purpose", purpose.parse().expect("a name"));
    let asked = Asked {
        caller: Caller { recipient: to.into(), person: None, purposes: None },
        method: Method::GET,
        uri: "/groups".parse().expect("a path"),
        headers,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        body: None,
        decision: "d_counts".into(),
    };
    let backend = Backend {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    };
    let got = rehearse(&stage, &asked, &backend);
    got.body.map(|body| String::from_utf8(body).expect("JSON")).map_err(RefusalReason::code)
}
