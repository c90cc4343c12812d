//! What ends, and by whom: erasures and how they are lifted; and what stands open, in lists.

use jiff::Timestamp;
use tamis::registers::{LiftedErasures, Recorded, Registers, RightRequest};
use tamis::terms::{CategoryPattern, PurposePattern, Right};

use super::{Kind, Store, person};

on_each_store!(
    several_erasures_are_the_strictest,
    an_erasure_is_lifted_by_two_people_and_does_not_come_back_by_being_sent_again,
    nobody_is_told_any_more_of_an_erasure_that_is_lifted,
    whoever_asks_again_after_a_lift_is_heard_again,
    orders_and_cases_are_listed_in_the_order_of_their_ids,
);

fn several_erasures_are_the_strictest(kind: Kind) {
    let store = Store::new(kind);
    for (at, except) in [
        ("2026-03-01T00:00:00Z", r#"["legal.claims","tax"]"#),
        ("2026-01-01T00:00:00Z", r#"["tax","other"]"#),
    ] {
        store.take(&format!(
            r#"{{"kind":"erasure","subject":"u1","requested_at":"{at}","except":{except}}}"#
        ));
    }
    let erasure = store.of("u1").erasure.clone().expect("erased");
    assert_eq!(erasure.effective_at.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(erasure.except, [PurposePattern::new("tax")]);
}

fn an_erasure_is_lifted_by_two_people_and_does_not_come_back_by_being_sent_again(kind: Kind) {
    let store = Store::new(kind);
    let erase = |day: &str| {
        format!(r#"{{"kind":"erasure","subject":"u1","requested_at":"2026-01-{day}T00:00:00Z"}}"#)
    };
    let is_erased = || store.of("u1").erasure.is_some();
    let waits = || store.registers.unsettled_erasures(Timestamp::now()).expect("readable").len();
    let lift = |by: &str| {
        let LiftedErasures { lifted, waiting } =
            store.registers.lift_erasures(&person("u1"), by).expect("taken");
        (lifted, waiting)
    };
    assert_eq!(lift("anna"), (0, 0), "there is none");
    store.take(&erase("01"));
    assert_eq!((lift("anna"), lift("anna")), ((0, 1), (0, 1)), "twice by one is once");
    assert!(is_erased() && waits() == 1);
    // One that comes in between was not meant by the first.
    store.take(&erase("02"));
    assert_eq!(lift("ben"), (1, 1));
    assert!(is_erased() && waits() == 1);
    assert_eq!(lift("anna"), (1, 0));
    assert!(!is_erased() && waits() == 0, "nothing more follows from it");
    assert_eq!(store.take(&erase("01")), Recorded::Known);
    assert!(!is_erased(), "delivered again");
    store.take(&erase("03"));
    assert!(is_erased(), "another one counts");
    assert!(store.registers.lift_erasures(&person("u1"), "Anna A.").is_err(), "no name");
    let changes = store.registers.changes_since(0, 100).expect("readable");
    let words: Vec<&str> = changes.iter().map(|change| change.change.as_str()).collect();
    assert_eq!(
        words,
        ["recorded", "approved", "recorded", "lifted", "lifted", "recorded"],
        "each is entered in the ledger"
    );
}

fn orders_and_cases_are_listed_in_the_order_of_their_ids(kind: Kind) {
    let store = Store::new(kind);
    for id in ["b-1", "a-10", "B-2", "a-9"] {
        store.take(&format!(
            r#"{{"kind":"order","id":"{id}","recipient":"court","authority":"Invented Court",
                "subjects":["u1","u2"],"categories":["identity.name"],
                "from":"2026-01-01T00:00:00Z","until":"2090-01-01T00:00:00Z"}}"#
        ));
        store.take(&format!(
            r#"{{"kind":"case","id":"{id}","purposes":["legal.claims"],"subjects":["u1","u2"],
                "opened_at":"2026-01-01T00:00:00Z"}}"#
        ));
        for approver in ["anna", "ben"] {
            if id.starts_with('a') {
                store.registers.approve_order(id, approver).expect("there is one");
            }
        }
    }
    let orders = store.registers.orders_after("", 3).expect("readable");
    let told: Vec<_> =
        orders.iter().map(|order| (order.id.as_ref(), order.approved_by.len())).collect();
    assert_eq!(told, [("B-2", 0), ("a-10", 2), ("a-9", 2)]);
    let rest = store.registers.orders_after("a-9", 3).expect("readable");
    assert_eq!(rest.iter().map(|order| order.id.as_ref()).collect::<Vec<_>>(), ["b-1"]);
    let cases = store.registers.cases_after("a-10", 10).expect("readable");
    assert_eq!(cases.iter().map(|case| case.id.as_ref()).collect::<Vec<_>>(), ["a-9", "b-1"]);
    assert!(store.registers.cases_after("b-1", 10).expect("readable").is_empty());
}

/// Notices that wait are called off, those of an erasure that was not planned yet are not made, and the
/// acts of the person say who lifted it.
fn nobody_is_told_any_more_of_an_erasure_that_is_lifted(kind: Kind) {
    let desk = ["desk".into()];
    for planned in [true, false] {
        let store = Store::new(kind);
        store.take(r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-01T00:00:00Z"}"#);
        if planned {
            assert_eq!(store.registers.plan_notices(&desk, Timestamp::now()).expect("taken"), 1);
            assert_eq!(store.registers.undelivered_notices(9).expect("readable").len(), 1);
        }
        for by in ["anna", "ben"] {
            store.registers.lift_erasures(&person("u1"), by).expect("taken");
        }
        let now = Timestamp::now();
        assert_eq!(store.registers.plan_notices(&desk, now).expect("taken"), 0);
        assert!(store.registers.due_notices(now, 9).expect("readable").is_empty());
        assert!(store.registers.undelivered_notices(9).expect("readable").is_empty());
        let acts = store.registers.acts_of(&person("u1")).expect("readable");
        let told: Vec<_> = acts.iter().map(|act| (&act["change"], &act["by"])).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(*told[1].0 == "approved" && *told[1].1 == "anna", "{told:?}");
        assert!(*told[2].0 == "lifted" && *told[2].1 == "ben", "{told:?}");
        let mut exported = Vec::new();
        assert_eq!(store.registers.export(&mut exported).expect("readable"), 0, "it is lifted");
    }
}

/// An open request is the same request; of one whose erasure was lifted nothing is in force any more.
fn whoever_asks_again_after_a_lift_is_heard_again(kind: Kind) {
    let store = Store::new(kind);
    let ask = |right| {
        let categories = vec![CategoryPattern::new("*")];
        let request = RightRequest { subject: person("u1"), right, categories };
        let taken = Registers::request(&store.registers, &request).expect("taken");
        taken.expect("not too many").id
    };
    let erased = ask(Right::Erasure);
    assert_eq!(ask(Right::Erasure), erased, "it is open, and holds");
    for by in ["anna", "ben"] {
        store.registers.lift_erasures(&person("u1"), by).expect("taken");
    }
    assert!(store.of("u1").erasure.is_none());
    assert_ne!(ask(Right::Erasure), erased);
    assert!(store.of("u1").erasure.is_some(), "before the receipt leaves");

    let restricted = ask(Right::Restriction);
    assert_eq!(store.registers.lift_restrictions(&person("u1")).expect("taken"), 1);
    assert_ne!(ask(Right::Restriction), restricted);
    assert_eq!(store.of("u1").restrictions.len(), 1);
}
