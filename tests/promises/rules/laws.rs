//! Laws of the rules: a limit only tightens; the order of lists means nothing.

use std::fmt::Write as _;

use proptest::prelude::*;
use tamis::action::Action;
use tamis::policy::{Plan, Policy};
use tamis::terms::{PurposeId, RecipientId};

const CATEGORIES: [&str; 4] = ["contact.email", "contact.phone", "payment.amount", "place"];
const PURPOSES: [&str; 3] = ["service", "research", "adverts"];

const ACTIONS: [&str; 20] = [
    "keep",
    "mask last 4",
    "mask first 2",
    "mask bin+last4",
    "redact",
    "initials",
    "generalise year",
    "generalise 5-year band",
    "generalise bucket 10",
    "generalise prefix 2",
    "generalise 0.1 deg",
    "generalise 0.1 deg",
    "prefix /24 /48",
    "pseudonym",
    "pseudonym daily",
    "token",
    "fpe",
    "scrub",
    "blank",
    "remove",
];

const HEAD: &str = r#"tamis: 1
policy:
  id: laws
  title: Rules made up by chance
  source: {revision: "1"}
  controller: {name: Beispiel GmbH, seat: DE}
  default: remove
categories: {contact.email: {type: text}, contact.phone: {type: text}, payment.amount: {}, place: {}}
purposes:
  service: {text: Service, basis: contract}
  research: {text: Research, basis: contract}
  adverts: {text: Adverts, basis: contract}
recipients:
  desk: {role: internal, country: DE, authenticate: {mtls: "dns:desk.example.invalid"}, purposes: [service, research, adverts]}
routes:
  - match: GET /people/{id}
    upstream: people
    subjects: {person: "path:id"}
    fields: {"$.email": contact.email, "$.phone": contact.phone, "$.amount": payment.amount, "$.place": place}
"#;

/// One line of `release` or `limits`.
type Line = String;

fn pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "contact.email",
        "contact.phone",
        "payment.amount",
        "place",
        "contact.*",
        "\"*\"",
    ])
}

fn action() -> impl Strategy<Value = &'static str> {
    prop::sample::select(ACTIONS.to_vec())
}

fn grant() -> impl Strategy<Value = Line> {
    let shown = prop::collection::btree_map(pattern(), action(), 1..4);
    let purposes = prop::sample::subsequence(PURPOSES.to_vec(), 1..=3);
    (shown, purposes).prop_map(|(shown, purposes)| {
        let shown: Vec<String> =
            shown.iter().map(|(pattern, action)| format!("{pattern}: {action}")).collect();
        format!(
            "  - {{to: [desk], for: [{}], show: {{{}}}}}",
            purposes.join(", "),
            shown.join(", ")
        )
    })
}

fn limit() -> impl Strategy<Value = Line> {
    let to = prop::collection::vec(action(), 1..4);
    let when = prop::option::of(prop::sample::select(PURPOSES.to_vec()));
    (pattern(), to, when).prop_map(|(pattern, to, when)| {
        let when = when.map(|purpose| format!(", when: {{for: {purpose}}}")).unwrap_or_default();
        format!("  - {{limit: {pattern}, to: [{}]{when}}}", to.join(", "))
    })
}

fn actions(grants: &[Line], limits: &[Line], purposes: &[&str]) -> Vec<Action> {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "release:\n{}", grants.join("\n"));
    if !limits.is_empty() {
        let _ = writeln!(text, "limits:\n{}", limits.join("\n"));
    }
    let policy = Policy::parse("laws.yaml", &text).unwrap_or_else(|found| panic!("{found}"));
    let mut purposes: Vec<PurposeId> = purposes.iter().map(|one| PurposeId::from(*one)).collect();
    purposes.sort();
    let plan = Plan::build(&policy, 0, &RecipientId::from("desk"), &purposes).expect("small");
    plan.cells.iter().map(|cell| cell.action.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_more_limit_never_widens(
        grants in prop::collection::vec(grant(), 1..4),
        limits in prop::collection::vec(limit(), 0..4),
        more in limit(),
        purposes in prop::sample::subsequence(PURPOSES.to_vec(), 1..=3),
    ) {
        let before = actions(&grants, &limits, &purposes);
        let after = actions(&grants, &[limits, vec![more]].concat(), &purposes);
        for (category, (before, after)) in CATEGORIES.iter().zip(before.iter().zip(&after)) {
            prop_assert!(after.at_least(before), "{category}: {before} became {after}");
        }
    }

    #[test]
    fn the_order_of_grants_and_limits_means_nothing(
        grants in prop::collection::vec(grant(), 1..5).prop_shuffle(),
        limits in prop::collection::vec(limit(), 0..5).prop_shuffle(),
        purposes in prop::sample::subsequence(PURPOSES.to_vec(), 1..=3),
    ) {
        let reversed = |lines: &[Line]| lines.iter().rev().cloned().collect::<Vec<_>>();
        prop_assert_eq!(
            actions(&grants, &limits, &purposes),
            actions(&reversed(&grants), &reversed(&limits), &purposes)
        );
    }

    #[test]
    fn one_more_purpose_never_widens(
        grants in prop::collection::vec(grant(), 1..5),
        limits in prop::collection::vec(limit(), 0..4),
    ) {
        let one = actions(&grants, &limits, &["service"]);
        let two = actions(&grants, &limits, &["service", "research"]);
        for (category, (one, two)) in CATEGORIES.iter().zip(one.iter().zip(&two)) {
            prop_assert!(two.at_least(one), "{category}: {one} became {two}");
        }
    }

    #[test]
    fn nothing_leaves_that_no_grant_shows(
        grants in prop::collection::vec(grant(), 1..5),
        limits in prop::collection::vec(limit(), 0..4),
    ) {
        let other: Vec<Line> =
            grants.iter().map(|line| line.replace(PURPOSES[0], PURPOSES[1])).collect();
        for action in actions(&other, &limits, &[PURPOSES[0]]) {
            prop_assert!(!action.releases(), "{action} for a purpose that nobody grants");
        }
    }
}
