//! What a change of rules widens and narrows, beside the members that leave: `tamis diff` and every
//! reload ask it.

use tamis::policy::Policy;
use tamis::policy::difference::{Way, changes};

const RULES: &str = r#"
tamis: 1
policy:
  id: compared
  title: Rules that are compared
  source: {file: compared.txt, revision: "2026-01-01"}
  controller: {name: Beispiel GmbH, seat: DE}
  default: remove
categories:
  account.id: {}
  contact.email: {}
  trait.job: {groups: {crafts: [baker, welder], care: [nurse]}}
purposes:
  service: {text: Provide the service, basis: contract}
recipients:
  desk: {role: internal, country: DE, authenticate: {mtls: "dns:desk.example.invalid"}, purposes: [service]}
  dealer: {role: internal, country: DE, authenticate: {mtls: "dns:dealer.example.invalid"}, purposes: [service], party: p-1, only_where: {"@.shop": "7"}}
routes:
  - match: GET /people/{id}/notes/{kind}
    upstream: people
    subjects: {person: "path:id", friend: "$.friend"}
    query: {mail: contact.email, page: open, next: sealed}
    path: {id: account.id, kind: open}
    fields: {"$.id": {is: account.id, of: person}, "$.email": {is: contact.email, of: person}}
    open: ["$.state"]
    parties_only: [person]
    derive: {"$.next": sealed next}
  - match: POST /people/{id}
    upstream: people
    subjects: {person: "path:id"}
    request_fields: {"$.email": contact.email, "$.agreed": open}
    request_must: {"$.agreed": true}
    purpose: service
  - match: GET /groups
    upstream: people
    aggregate: {k: 20, round: 10, rows: "$.groups[*]", count: "@.count", forbid: [contact.*]}
    fields: {"@.job": trait.job}
    open: ["@.count"]
release:
  - {to: [desk], for: [service], only_subject: self, show: {account.id: keep}}
  - {to: [desk], for: [service], show: {account.id: keep, contact.email: keep, trait.job: keep}}
registers:
  consent: {from: api}
  orders: {from: api, approvers: 3}
"#;

fn policy(rules: &str) -> Policy {
    Policy::parse("compared.rules.yaml", rules).unwrap_or_else(|found| panic!("{found}"))
}

/// What `to` in the place of `from` comes to, and back.
fn check(from: &str, to: &str, way: Way, back: Way, words: &str) {
    assert!(RULES.contains(from), "{from}");
    let (old, new) = (policy(RULES), policy(&RULES.replacen(from, to, 1)));
    for (old, new, way) in [(&old, &new, way), (&new, &old, back)] {
        let found = changes(old, new).expect("plans of a few cells");
        let told = found.iter().find(|one| format!("{}: {}", one.about, one.what).contains(words));
        assert!(found.iter().all(|one| !format!("{one:?}").contains("p-1")), "no id is told");
        assert_eq!(told.map(|one| one.way), Some(way), "{from} -> {to}: {words}: {found:#?}");
    }
}

#[test]
fn the_same_rules_widen_and_narrow_nothing() {
    assert_eq!(changes(&policy(RULES), &policy(RULES)), Ok(vec![]));
}

/// To take `aggregate` off a route once was no change at all for a reload: the members are the same.
#[test]
fn groups_that_become_people_are_widened() {
    let aggregate = r#"aggregate: {k: 20, round: 10, rows: "$.groups[*]", count: "@.count", forbid: [contact.*]}"#;
    let people = "each: \"$.groups[*]\"\n    subjects: {person: \"@.job\"}";
    check(aggregate, people, Way::Widened, Way::Changed, "route GET /groups: shows");
    check("k: 20", "k: 30", Way::Narrowed, Way::Widened, "fewest people of a group");
}

#[test]
fn whatever_may_be_asked_more_is_widened() {
    use Way::{Changed, Narrowed, Widened};
    for (from, to, way, back, words) in [
        ("page: open", "page: open, sort: open", Widened, Narrowed, "query parameter sort"),
        ("mail: contact.email", "mail: open", Widened, Narrowed, "query parameter mail"),
        ("mail: contact.email", "mail: account.id", Changed, Changed, "query parameter mail"),
        ("page: open", "page: sealed", Narrowed, Widened, "query parameter page"),
        (", kind: open}", "}", Narrowed, Widened, "path parameter kind"),
        ("{id: account.id, ", "{", Narrowed, Widened, "path parameter id"),
        ("kind: open}", "kind: contact.email}", Changed, Widened, "path parameter kind"),
        ("\"$.email\": contact.email, ", "", Narrowed, Widened, "$.email of a request"),
        (
            "    request_must: {\"$.agreed\": true}\n",
            "",
            Widened,
            Narrowed,
            "$.agreed of a request must be",
        ),
        ("    parties_only: [person]\n", "", Widened, Narrowed, "who asks must be"),
        ("[person]", "[person, friend]", Widened, Narrowed, "who asks must be"),
    ] {
        check(from, to, way, back, words);
    }
    // A route that is not in force is not asked for.
    let route = "  - match: POST /people/{id}\n";
    let shadow = format!("{route}    mode: observe\n");
    check(route, &shadow, Narrowed, Widened, "desk for service by POST /people/{id}");
}

/// What was asked of a literal path is asked of the parameter in its place where the literal is gone.
#[test]
fn a_route_that_is_gone_may_be_answered_by_another() {
    let blocked = "  - match: GET /people/{id}\n    upstream: people\n    subjects: {person: \"path:id\"}\n    \
                   fields: {\"$.id\": account.id}\n  - match: GET /people/blocked\n    upstream: people\n    \
                   open: [\"$.state\"]\n";
    let before = RULES.replacen("routes:\n", &format!("routes:\n{blocked}"), 1);
    let literal = "  - match: GET /people/blocked\n    upstream: people\n    open: [\"$.state\"]\n";
    let after = before.replacen(literal, "", 1);
    assert_ne!(before, after);
    let found = changes(&policy(&before), &policy(&after)).expect("plans of a few cells");
    let told = found.iter().find(|one| one.about == "route GET /people/blocked");
    let told = told.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!((told.way, told.after.as_str()), (Way::Changed, "GET /people/{id}"));
}

#[test]
fn whose_it_is_and_how_it_is_treated_is_compared() {
    use Way::{Changed, Narrowed, Widened};
    let email = r#""$.email": {is: contact.email, of: person}"#;
    for (from, to, way, back, words) in [
        (
            email,
            r#""$.email": {is: contact.email, of: friend}"#,
            Changed,
            Changed,
            "what stands at $.email",
        ),
        (
            email,
            r#""$.email": {is: contact.email, of: person, subtree: true}"#,
            Widened,
            Narrowed,
            "all beneath $.email",
        ),
        ("\"$.state\"]", "{subtree: \"$.state\"}]", Widened, Narrowed, "all beneath $.state"),
        ("friend: \"$.friend\"", "friend: \"$.other\"", Changed, Changed, "whom it is about"),
        ("care: [nurse]", "care: [], nurses: [nurse]", Changed, Changed, "category trait.job"),
        ("account.id: {}", "account.id: {type: decimal}", Changed, Changed, "category account.id"),
        ("only_subject: self, ", "", Widened, Narrowed, "only about the person who asks"),
        (", only_where: {\"@.shop\": \"7\"}", "", Widened, Narrowed, "only where @.shop"),
        ("party: p-1", "party: p-2", Changed, Changed, "which party it is"),
        ("\"@.shop\": \"7\"", "\"@.shop\": \"8\"", Changed, Changed, "only where @.shop"),
        ("approvers: 3", "approvers: 2", Widened, Narrowed, "people who approve an order"),
        ("upstream: people", "upstream: others", Changed, Changed, "backend"),
    ] {
        check(from, to, way, back, words);
    }
}
