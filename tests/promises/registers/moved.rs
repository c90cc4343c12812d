//! Records that one store gives out and another takes: they decide there as they did here.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tamis::registers::NoticeEnd;
use tamis::terms::DecisionId;

use super::*;

const PEOPLE: [&str; 3] = ["u1", "u2", "u3"];

/// What the store gives out, by line.
fn export(store: &Store) -> Vec<String> {
    let mut out = Vec::new();
    let count = store.registers.export(&mut out).expect("available");
    let lines: Vec<String> =
        String::from_utf8(out).expect("text").lines().map(str::to_owned).collect();
    assert_eq!(lines.len() as u64, count);
    lines
}

fn take_all(store: &Store, lines: &[String]) -> usize {
    let records: Vec<Record> =
        lines.iter().map(|line| Record::parse(line.as_bytes()).expect("a record")).collect();
    store.registers.record_all(&records).expect("taken")
}

fn other(kind: Kind) -> Kind {
    match kind {
        Kind::Embedded => Kind::Postgres,
        Kind::Postgres => Kind::Embedded,
    }
}

/// All that `person` has said, without what nobody can hand on: approvals.
fn said(store: &Store, person: &str) -> Statements {
    let mut said = Statements::clone(&store.of(person));
    // By id: the order of delivery is no statement.
    said.consents.sort_by(|one, other| one.id.cmp(&other.id));
    for order in &mut said.orders {
        order.approved_by.clear();
    }
    said
}

#[allow(clippy::needless_pass_by_value, reason = "as the other promises of each store")]
pub(super) fn what_is_exported_decides_the_same_in_other_registers(kind: Kind) {
    let store = Store::new(kind);
    let digest = tamis::terms::Digest::of(b"the text");
    let given = |id: &str, at: &str| consent(id, &[(at, "given")]);
    // Withdrawn by purpose, before and after it was given by the sender's clock.
    store.take(&given("con_old", "2026-01-01T00:00:00Z"));
    store.take(&given("con_ahead", "2998-01-01T00:00:00Z"));
    store.registers.withdraw(&person("u1"), &PurposePattern::new("share.*"), None).expect("taken");
    store.take(&given("con_again", "2999-01-01T00:00:00Z"));
    // Narrowed to one of two recipients.
    for id in ["con_narrow", "con_narrow_ahead"] {
        let at = if id == "con_narrow" { "2026-01-01T00:00:00Z" } else { "2998-01-01T00:00:00Z" };
        store.take(&given(id, at).replace("u1", "u2"));
    }
    let purpose = PurposePattern::new("share.partner");
    store.registers.withdraw(&person("u2"), &purpose, Some(&"courier".into())).expect("taken");
    // Ended before it came.
    let at = "2026-01-05T00:00:00Z".parse().expect("a time");
    store.registers.changing(|changing| changing.withdraw_consent("con_late", at)).expect("taken");
    store.registers.changing(|changing| changing.withdraw_consent("con_again", at)).expect("taken");
    for record in [
        format!(
            r#"{{"id":"con_full","subject":"u3","purpose":"share.partner","explicit":true,
                "purpose_text_digest":"{digest}","recipients":["courier"],
                "categories":["contact.email"],"expires_at":"2999-01-01T09:00:00Z",
                "notice":{{"ref":"notice-12","revision":"2","language":"en",
                "shown_at":"2026-01-01T08:59:40Z"}},"method":"paper","jurisdiction":"MY",
                "evidence":"{digest}","source":"app",
                "events":[{{"at":"2026-01-01T09:00:00Z","status":"given"}},
                {{"at":"2026-01-02T09:00:00Z","status":"refused"}},
                {{"at":"2026-01-03T09:00:00Z","status":"renewed"}}]}}"#
        ),
        r#"{"kind":"notice","id":"n","subject":"u1","purpose":"share.partner",
            "shown_at":"2026-01-01T08:59:40Z"}"#
            .into(),
        r#"{"kind":"objection","subject":"u1","purpose":"marketing.*","channel":"email",
            "since":"2026-01-02T00:00:00Z","source":"unsubscribe"}"#
            .into(),
        r#"{"kind":"objection","id":"o-2","subject":"u2","purpose":"*","since":"2026-01-02T00:00:00Z"}"#
            .into(),
        r#"{"kind":"restriction","subject":"u1","categories":["contact.*","*"],"ground":"asked",
            "since":"2026-01-02T00:00:00Z","until":"2999-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"dispute","subject":"u3","categories":["contact.email","identity.name"],
            "since":"2026-01-02T00:00:00Z"}"#
            .into(),
        r#"{"kind":"erasure","subject":"u2","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2999-01-03T00:00:00Z","except":["legal.claims"]}"#
            .into(),
        r#"{"kind":"subject","subject":"u1","age":"minor"}"#.into(),
        r#"{"kind":"subject","subject":"u2","region":"DE"}"#.into(),
        r#"{"kind":"one-time-grant","id":"g-1","subject":"u1","purpose":"portability",
            "recipient":"bank","granted_at":"2026-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"one-time-grant","id":"g-2","subject":"u1","purpose":"portability",
            "recipient":"bank","granted_at":"2026-01-01T00:00:00Z","expires_at":"2999-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"order","id":"ord-1","recipient":"court","authority":"Invented Court",
            "type":"court","subjects":["u2","u1"],"categories":["identity.name"],
            "from":"2026-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z",
            "gag_until":"2998-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u1"],
            "opened_at":"2026-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u3"],
            "opened_at":"2026-01-01T00:00:00Z"}"#
            .into(),
        r#"{"kind":"case","id":"C-2","purposes":["legal.claims"],"subjects":["u3"],
            "opened_at":"2026-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z"}"#
            .into(),
    ] {
        store.take(&record);
    }
    let decision = DecisionId::from("d-1");
    assert!(store.registers.use_grants(&["g-2".into()], &decision).expect("available"));
    store.registers.approve_order("ord-1", "dpo-1").expect("taken");
    store.registers.lift_order("ord-1").expect("taken");
    store.registers.close_case("C-1").expect("taken");
    store.registers.lift_objection(&person("u2"), &PurposePattern::new("*")).expect("taken");
    store
        .registers
        .resolve_disputes(&person("u3"), Some(&CategoryPattern::new("contact.email")))
        .expect("taken");

    let lines = export(&store);
    let kinds: BTreeSet<String> = lines
        .iter()
        .map(|line| Record::parse(line.as_bytes()).expect("a record").kind().to_owned())
        .collect();
    assert_eq!(kinds.len(), 11, "every kind there is: {kinds:?}");
    let moved = Store::new(other(kind));
    take_all(&moved, &lines);
    for person in PEOPLE {
        assert_eq!(said(&moved, person), said(&store, person), "{person}");
    }
    let order = moved.registers.order("ord-1").expect("available").expect("there");
    assert!(order.approved_by.is_empty() && order.lifted, "nobody can give another's approval");
    assert!(moved.registers.case("C-1").expect("available").expect("there").closed);
    assert!(!moved.registers.use_grants(&["g-2".into()], &decision).expect("available"), "used");
    assert!(moved.registers.use_grants(&["g-1".into()], &decision).expect("available"));
    // What was withdrawn before it came arrives withdrawn there too.
    for there in [&store, &moved] {
        there.take(&given("con_late", "2026-01-01T00:00:00Z"));
        assert_eq!(there.status("u1", "con_late"), ConsentStatus::Withdrawn);
    }
}

pub(super) fn what_is_taken_from_an_export_is_known_when_it_is_taken_again(kind: Kind) {
    let store = Store::new(kind);
    let lines = [
        consent("con_1", &[GIVEN, REFUSED, RENEWED]),
        r#"{"kind":"withdrawal","subject":"u1","purpose":"share.*","at":"2026-02-02T00:00:00Z"}"#
            .into(),
        r#"{"kind":"withdrawal","id":"con_9","at":"2026-02-02T00:00:00Z"}"#.into(),
        r#"{"kind":"objection","subject":"u1","purpose":"marketing.*","since":"2026-01-02T00:00:00Z"}"#
            .into(),
        r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u3"],
            "opened_at":"2026-01-01T00:00:00Z","closed_at":"2026-02-01T00:00:00Z"}"#
            .into(),
    ];
    assert_eq!(take_all(&store, &lines), lines.len());
    let exported = export(&store);
    assert_eq!(take_all(&store, &exported), 0, "into the registers that it came from");
    let moved = Store::new(kind);
    take_all(&moved, &exported);
    assert_eq!(export(&moved), exported);
    assert_eq!(take_all(&moved, &exported), 0);
    assert_eq!(take_all(&moved, &lines), 0, "nor does what was delivered before");
}

/// A withdrawal that another system lists ends what was given before it and nothing after it,
/// whichever is heard of first.
pub(super) fn a_withdrawal_made_elsewhere_ends_what_was_given_before_it(kind: Kind) {
    let withdrawal = r#"{"kind":"withdrawal","subject":"u1","purpose":"share.partner","at":"2026-02-01T00:00:00Z"}"#;
    for first in [true, false] {
        let store = Store::new(kind);
        if first {
            store.take(withdrawal);
        }
        store.take(&consent("con_before", &[GIVEN]));
        store.take(&consent("con_after", &[("2026-03-01T00:00:00Z", "given")]));
        if !first {
            store.take(withdrawal);
        }
        assert_eq!(store.status("u1", "con_before"), ConsentStatus::Withdrawn);
        assert_eq!(store.status("u1", "con_after"), ConsentStatus::Given);
    }
    let store = Store::new(kind);
    let ahead = withdrawal.replace("2026-02", "2999-02");
    let error = store.registers.record(&Record::parse(ahead.as_bytes()).expect("a record"));
    assert!(matches!(error, Err(RecordError::Invalid("at"))), "it would end all there will be");
}

/// Whom recipients were told of is told of once, wherever the registers are; of whom they were not told yet
/// they are told from there.
pub(super) fn recipients_are_told_of_an_erasure_once_wherever_it_moved(kind: Kind) {
    let erasure = |id: &str| {
        format!(r#"{{"kind":"erasure","subject":"{id}","requested_at":"2026-01-01T00:00:00Z"}}"#)
    };
    let desk: [RecipientId; 1] = ["desk".into()];
    let store = Store::new(kind);
    store.take(&erasure("u1"));
    let plan =
        |store: &Store| store.registers.plan_notices(&desk, Timestamp::now()).expect("available");
    assert_eq!(plan(&store), 1);
    let waits = store.registers.undelivered_notices(9).expect("available");
    let moved_too_early = Store::new(kind);
    take_all(&moved_too_early, &export(&store));
    assert_eq!(plan(&moved_too_early), 1, "nobody took it yet");
    let end = NoticeEnd::Delivered;
    store.registers.end_notice(&waits[0].id, end, Timestamp::now()).expect("available");
    store.take(&erasure("u2"));
    let moved = Store::new(other(kind));
    take_all(&moved, &export(&store));
    assert_eq!(plan(&moved), 1, "of u2 alone");
}

/// A case that is closed elsewhere ends here too, also for those whom the record does not name.
pub(super) fn what_ended_elsewhere_ends_here(kind: Kind) {
    let store = Store::new(kind);
    let case = r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u1","u2"],
        "opened_at":"2026-01-01T00:00:00Z"}"#;
    store.take(case);
    let closed = case.replace(
        r#""subjects":["u1","u2"],"#,
        r#""subjects":["u1"],"closed_at":"2026-03-01T00:00:00Z","#,
    );
    assert_eq!(store.take(&closed), Recorded::New);
    assert_eq!(store.take(&closed), Recorded::Known);
    for person in ["u1", "u2"] {
        assert!(store.of(person).cases[0].closed, "{person}");
    }
    store.take(case);
    assert!(store.of("u1").cases[0].closed, "and does not open again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any order of consents and withdrawals, some of them dated ahead.
    #[test]
    fn any_history_is_moved_as_it_counts(
        steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..6_u8, any::<bool>()), 1..14),
    ) {
        let store = Store::new(Kind::Embedded);
        for (what, whose, number, ahead) in steps {
            let whose = PEOPLE[whose];
            let year = if ahead { 2998 } else { 2026 };
            let at = format!("{year}-0{}-01T00:00:00Z", number + 1);
            let status = if what == 0 { "given" } else { "refused" };
            let purpose = PurposePattern::new(if number % 2 == 0 { "share.*" } else { "other" });
            let recipient: RecipientId = "courier".into();
            match what {
                0 | 1 => {
                    let record = consent(&format!("con_{whose}_{number}"), &[(&at, status)]);
                    store.take(&record.replace("u1", whose));
                }
                2 => {
                    let recipient = (number > 2).then_some(&recipient);
                    let done = store.registers.withdraw(&person(whose), &purpose, recipient);
                    done.expect("taken");
                }
                _ => {
                    let id = format!("con_{whose}_{number}");
                    let at = at.parse().expect("a time");
                    store.registers.changing(|changing| changing.withdraw_consent(&id, at)).expect("taken");
                }
            }
        }
        let moved = Store::new(Kind::Embedded);
        take_all(&moved, &export(&store));
        for person in PEOPLE {
            prop_assert_eq!(said_by_status(&moved, person), said_by_status(&store, person));
        }
    }
}

/// Each consent's state and recipients, now: what counts of it.
fn said_by_status(store: &Store, person: &str) -> Vec<(String, ConsentStatus, Vec<RecipientId>)> {
    let now = Timestamp::now();
    let of = said(store, person).consents.into_iter();
    of.map(|consent| (consent.id.to_string(), consent.status(now), consent.recipients)).collect()
}
