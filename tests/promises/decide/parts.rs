//! Parts of an answer: what is one line, what stands beside the lines, who is found by a query.

use std::sync::Arc;

use tamis::action::Action;
use tamis::decide::{Gate, Judge, Part, SubjectIds};
use tamis::terms::{CategoryPattern, RefusalReason, Restriction, Statements};

use super::{
    BASKET, BILL, GROUP, ORDER, PEOPLE, PERSON, RECEIPT, Request, action_of, ask, at, changed,
    judge, outcome, policy, subject,
};

#[test]
fn an_answer_that_is_no_list_is_one_line() {
    let policy = policy();
    let asked_by = |person: &'static str, route: usize| Request {
        recipient: "user",
        person: Some(person),
        purposes: &[],
        route,
        ..Request::default()
    };
    let said = Statements::default();
    for (person, sees_it) in [("u1", true), ("stranger", false)] {
        let permit = ask(&policy, &asked_by(person, RECEIPT)).expect("decided inside the body");
        let buyer = [(0, SubjectIds::One(subject("u1")))];
        let whole = judge(&mut Judge::new(Arc::new(permit)), Part::Document, &buyer, &said);
        assert_eq!(matches!(whole, Gate::Release(_)), sees_it, "named in the body, to {person}");

        let known = ask(&policy, &asked_by(person, BILL));
        assert_eq!(known.is_ok(), sees_it, "named in the path, to {person}");
    }
}

#[test]
fn own_lines_shows_nothing_that_stands_in_no_line() {
    let policy = policy();
    let plan = policy
        .plan(BASKET, &"user".into(), &["service.order".into()])
        .expect("the plan is small enough");
    let action = |selector: &str| {
        let cell = plan.cells.iter().find(|cell| cell.selector == selector);
        cell.expect("the route has it").action.clone()
    };
    assert_eq!(action("@.amount"), Action::OwnLines);
    assert_eq!(action("$.sum"), Action::Remove);
}

#[test]
fn a_query_does_not_find_people_by_what_their_gates_take_out() {
    let policy = policy();
    let restricted = |category: &str| Statements {
        restrictions: vec![Restriction {
            categories: vec![CategoryPattern::new(category)],
            since: at(-1),
            until: None,
            disputed: false,
        }],
        ..Statements::default()
    };
    let by_name = |route| Request { route, query: &["name"], ..Request::default() };
    let one = Request { said: restricted("identity.name"), ..by_name(PERSON) };
    assert_eq!(outcome(&policy, &one), Err(RefusalReason::ConsentMissing));
    let other = Request { said: restricted("contact.email"), ..by_name(PERSON) };
    assert_eq!(outcome(&policy, &other), Ok(()), "another member is taken out");

    let permit = ask(&policy, &by_name(PEOPLE)).expect("subjects are known only inside the body");
    let mut court = Judge::new(Arc::new(permit));
    let someone = [(0, SubjectIds::One(subject("u1")))];
    let answers = [
        (restricted("identity.name"), false),
        (restricted("contact.email"), true),
        (Statements::default(), true),
    ];
    for (said, is_found) in answers {
        let gate = judge(&mut court, Part::Element, &someone, &said);
        assert_eq!(matches!(gate, Gate::Release(_)), is_found, "{said:?}");
    }
}

#[test]
fn a_grant_for_one_person_is_none_for_an_answer_about_several() {
    let policy = changed(
        "research, claims, cases], show",
        "research, claims, cases], single_subject: true, show",
    );
    assert_eq!(outcome(&policy, &Request::default()), Ok(()));
    for route in [PEOPLE, GROUP] {
        let request = Request { route, ..Request::default() };
        assert_eq!(outcome(&policy, &request), Err(RefusalReason::NothingGranted), "{route}");
    }
}

#[test]
fn the_order_of_transfer_mechanisms_means_nothing() {
    let first = "    - {from: EEA, to: \"US\", by: scc";
    let other = "    - {from: EEA, to: \"US\", by: bcr, measure: {identity.name: initials}}\n";
    let last = "  otherwise: refuse";
    for policy in
        [changed(first, &format!("{other}{first}")), changed(last, &format!("{other}{last}"))]
    {
        let request = Request { recipient: "american", ..Request::default() };
        let permit = ask(&policy, &request).expect("two mechanisms lead there");
        assert_eq!(action_of(&permit, "identity.name"), Action::Initials);
        assert_eq!(action_of(&permit, "contact.email").to_string(), "pseudonym");
    }
}

/// A second purpose, which by itself would show every line, must not open the lines of others.
#[test]
fn a_second_purpose_opens_no_lines_of_others() {
    let policy = policy();
    let request = Request {
        recipient: "user",
        person: Some("seller-1"),
        purposes: &["service", "service.order"],
        route: ORDER,
        ..Request::default()
    };
    let mut court = Judge::new(Arc::new(ask(&policy, &request).expect("both are allowed")));
    let document = vec![
        (0, SubjectIds::One(subject("buyer"))),
        (1, SubjectIds::Many(vec![subject("seller-1"), subject("seller-2")])),
    ];
    let said = Statements::default();
    assert!(matches!(judge(&mut court, Part::Document, &document, &said), Gate::Release(_)));
    let line = |seller: &str| vec![(1, SubjectIds::One(subject(seller)))];
    let own = judge(&mut court, Part::Element, &line("seller-1"), &said);
    assert!(matches!(own, Gate::Release(_)));
    let other = judge(&mut court, Part::Element, &line("seller-2"), &said);
    assert_eq!(other, Gate::Drop(RefusalReason::NotAParty));
}
