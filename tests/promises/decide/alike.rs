//! A judge that has seen a list judges its next element as one that has seen nothing.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use tamis::decide::{Gate, Judge, Part, Permit, SubjectIds};
use tamis::policy::Policy;
use tamis::terms::{AgeClass, Objection, PurposePattern, RefusalReason, Restriction, Statements};

use super::{
    BASKET, BILL, GROUP, ORDER, PEOPLE, PERSON, RECEIPT, Request, ask, at, changed, given, policy,
    subject,
};

/// What people have said, by the first letter of their id; most of them nothing.
fn said_by(policy: &Policy, id: &str) -> Statements {
    let mut said = Statements::default();
    match id.as_bytes().first() {
        Some(b'o') => {
            let (purpose, since) = (PurposePattern::new("*"), at(-1));
            said.objections.push(Objection { purpose, since });
        }
        Some(b'c') => {
            said.consents.push(given(policy, "marketing.email", &[]));
            said.age = AgeClass::Adult;
        }
        Some(b'r') => said.restrictions.push(Restriction {
            categories: vec![],
            since: at(-1),
            until: None,
            disputed: false,
        }),
        Some(b'u') => said.consents_unknown = true,
        _ => {}
    }
    said
}

fn judged(
    court: &mut Judge,
    part: Part,
    found: &[(usize, SubjectIds)],
    now: Timestamp,
    policy: &Policy,
) -> Gate {
    let said = |id: &tamis::terms::DataSubject| {
        Ok::<_, RefusalReason>(Arc::new(said_by(policy, id.expose())))
    };
    court.gate(part, found.to_vec(), said, now).expect("the registers answer")
}

#[test]
fn what_was_judged_before_changes_no_verdict() {
    let mut number = 1_u64;
    let mut roll = |sides: usize| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (number >> 33) as usize % sides
    };
    let ids = ["s1", "s2", "s3", "S4", "seller", "o1", "c1", "r1", "u1", ""];
    let until = changed("until: \"2030-10-01\"", "until: \"2026-09-21\"");
    let parties = changed(
        "mtls: \"dns:desk.example.invalid\"}",
        "mtls: \"dns:desk.example.invalid\"}, party: seller",
    );
    let mut verdicts = std::collections::HashSet::new();
    for policy in [policy(), until, parties] {
        for (recipient, purposes) in [
            ("self", "rights.self"),
            ("user", "service.order"),
            ("user", "service"),
            ("desk", "service.support"),
            ("desk", "marketing.email"),
            ("desk", "adults.club"),
            ("desk", "research"),
            ("partner", "share.partner"),
            ("american", "service.support"),
        ] {
            for route in [PERSON, PEOPLE, ORDER, RECEIPT, BILL, BASKET, GROUP] {
                let request = Request {
                    recipient,
                    person: ["self", "user"].contains(&recipient).then_some("seller"),
                    purposes: &[purposes],
                    route,
                    gpc: roll(2) == 0,
                    ..Request::default()
                };
                let Ok(permit) = ask(&policy, &request) else { continue };
                verdicts.extend(list(&policy, &Arc::new(permit), &ids, &mut roll));
            }
        }
    }
    assert!(verdicts.len() > 5, "{verdicts:?}");
}

/// Judges a list, each element by one judge for all and by one of its own.
fn list(
    policy: &Policy,
    permit: &Arc<Permit>,
    ids: &[&str],
    roll: &mut impl FnMut(usize) -> usize,
) -> Vec<String> {
    let roles = permit.policy().routes[permit.plan().route_index].subjects.len();
    let mut part = || -> Vec<(usize, SubjectIds)> {
        let mut found = Vec::new();
        for role in 0..roles {
            let mut one = || subject(ids[roll(ids.len())]);
            let (first, second) = (one(), one());
            match roll(6) {
                0 => {}
                1 => found.push((role, SubjectIds::Unresolved)),
                2 => found.push((role, SubjectIds::Many(vec![first, second]))),
                _ => found.push((role, SubjectIds::One(first))),
            }
        }
        found
    };
    let document = part();
    let mut court = Judge::new(Arc::clone(permit));
    judged(&mut court, Part::Document, &document, at(0), policy);
    let mut verdicts = Vec::new();
    for number in 0..60 {
        // The days go by: a mechanism of transfer ends on one of them.
        let now = at(0).checked_add((number / 10 * 12).hours()).expect("within range");
        let element = part();
        let mut fresh = Judge::new(Arc::clone(permit));
        judged(&mut fresh, Part::Document, &document, at(0), policy);
        let expected = judged(&mut fresh, Part::Element, &element, now, policy);
        let verdict = judged(&mut court, Part::Element, &element, now, policy);
        assert_eq!(verdict, expected, "{number}: {} {element:?}", permit.recipient());
        verdicts.push(format!("{verdict:?}"));
    }
    verdicts
}
