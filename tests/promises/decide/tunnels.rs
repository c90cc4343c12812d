//! A tunnel opens for who may have all that may be in it, as it is, or not at all.

use std::sync::Arc;

use jiff::Timestamp;
use tamis::decide::{Caller, Facts, KnownSubject, RouteMatch, decide};
use tamis::policy::Policy;
use tamis::terms::{
    CategoryPattern, DataSubject, Personal, RecipientId, RefusalReason, Restriction, Statements,
};

const TEXT: &str = r#"tamis: 1
policy:
  id: tunnels
  title: A policy with one tunnel
  source: {file: none, revision: "2026-01-01"}
  controller: {name: Beispiel GmbH, seat: DE}
  default: remove
categories:
  account.id: {}
  contact.email: {}
  location.gps: {}
purposes:
  service: {text: Provide the service, basis: contract}
recipients:
  desk: {role: internal, country: DE, authenticate: {mtls: "dns:desk.example.invalid"}, purposes: [service], default_purpose: service}
routes:
  - match: GET /people/{id}/with/{other}
    upstream: people
    tunnel: websocket
    subjects: {person: "path:id", other: "path:other"}
    discloses: [{is: account.id, of: person}, {is: contact.email, of: person}, {is: location.gps, of: other}]
release:
  - {to: [desk], for: [service], show: {account.id: keep, contact.email: keep}}
  - {to: [desk], for: [service], show: {location.gps: keep}}
registers:
  consent: {from: api}
  restriction: {from: api}
"#;

fn person(id: &str) -> DataSubject {
    Personal::new(id.into())
}

/// What the desk is told, with this in place of that, where the other person has said this.
fn decided(changes: &[(&str, &str)], other: Statements) -> Result<usize, RefusalReason> {
    let text = changes.iter().fold(TEXT.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replacen(from, to, 1)
    });
    let policy = Policy::parse("rules.yaml", &text).unwrap_or_else(|found| panic!("{found}"));
    let caller = Caller { recipient: RecipientId::from("desk"), person: None, purposes: None };
    let route = RouteMatch {
        index: 0,
        parameters: vec![("id".into(), person("u1")), ("other".into(), person("u2"))],
    };
    let known = [(0, "u1", Statements::default()), (1, "u2", other)]
        .map(|(role, id, said)| KnownSubject { role, id: person(id), statements: Arc::new(said) });
    let facts = Facts { known: &known, ..Facts::plain(&caller, &route, &[]) };
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a moment");
    let permit = decide(&Arc::new(policy), &facts, "d_1".into(), now);
    permit.map(|permit| permit.told_through().len()).map_err(|refusal| refusal.reason)
}

#[test]
fn what_an_answer_would_leave_out_keeps_a_tunnel_shut() {
    const NOTHING: Result<usize, RefusalReason> = Err(RefusalReason::NothingGranted);
    assert_eq!(decided(&[], Statements::default()), Ok(2), "of both something may be in it");
    let of_both = "show: {location.gps: keep}";
    for (from, to, expected) in [
        ("contact.email: keep", "contact.email: mask last 4", NOTHING),
        (", contact.email: keep", "", NOTHING),
        (of_both, "show: {location.gps: pseudonym}", NOTHING),
        (of_both, "show: {location.gps: keep, contact.email: blank}", NOTHING),
        ("registers:", "limits: [{limit: contact.email, to: redact}]\nregisters:", NOTHING),
        (
            "registers:",
            "retention: [{category: location.gps, after: 1y, start: \"@.at\"}]\nregisters:",
            NOTHING,
        ),
        ("country: DE,", "country: DE, only_where: {\"@.dealer\": \"7\"},", NOTHING),
        ("basis: contract", "basis: consent", Err(RefusalReason::ConsentMissing)),
        (
            of_both,
            "needs: [consent], show: {location.gps: keep}",
            Err(RefusalReason::ConsentMissing),
        ),
        (
            "registers:",
            "limits: [{together_never: [contact.email, location.gps]}]\nregisters:",
            Err(RefusalReason::ConsentMissing),
        ),
        (of_both, "only_subject: self, show: {location.gps: keep}", Err(RefusalReason::NotAParty)),
    ] {
        assert_eq!(decided(&[(from, to)], Statements::default()), expected, "{to}");
    }
}

#[test]
fn one_of_two_people_keeps_the_tunnel_of_both_shut() {
    let restricted = Statements {
        restrictions: vec![Restriction {
            categories: vec![CategoryPattern::new("location.*")],
            since: "2026-01-01T00:00:00Z".parse().expect("a moment"),
            until: None,
            disputed: false,
        }],
        ..Statements::default()
    };
    assert_eq!(decided(&[], restricted), Err(RefusalReason::ConsentMissing));
}
