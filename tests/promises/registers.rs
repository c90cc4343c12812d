//! The registers: what a person has said counts at once, in whatever order it is delivered, and
//! saying it twice changes nothing.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tamis::policy::Policy;
use tamis::registers::{Record, RecordError, Recorded, RegisterStore, Registers};
use tamis::terms::{
    AgeClass, CategoryPattern, ConsentStatus, DataSubject, Personal, PurposeId, PurposePattern,
    RecipientId, Statements,
};

use crate::postgres::server::Database;

mod acts;
mod heard;
mod moved;

use acts::every_act_of_a_person_is_told_with_its_proof_and_nobody_elses;
use moved::{
    a_withdrawal_made_elsewhere_ends_what_was_given_before_it,
    recipients_are_told_of_an_erasure_once_wherever_it_moved, what_ended_elsewhere_ends_here,
    what_is_exported_decides_the_same_in_other_registers,
    what_is_taken_from_an_export_is_known_when_it_is_taken_again,
};

/// The promises below that every store keeps.
macro_rules! on_each_store {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $promise() { super::$promise(super::Kind::Embedded); })*
        }
        mod postgres {
            $(#[test] fn $promise() { super::$promise(super::Kind::Postgres); })*
        }
    };
}

mod endings;
mod records;

on_each_store!(
    a_person_never_heard_of_has_said_nothing,
    every_kind_of_record_reads_back,
    several_people_are_looked_up_at_once_each_with_what_they_said,
    no_order_of_delivery_revives_a_withdrawn_consent,
    the_latest_word_counts_whatever_came_first,
    a_withdrawal_dated_ahead_counts_at_once_and_a_consent_dated_ahead_not_yet,
    withdrawing_a_purpose_ends_what_lies_beneath_it_and_nothing_beside_it,
    withdrawing_from_one_recipient_leaves_the_others,
    a_consent_delivered_after_its_withdrawal_arrives_withdrawn,
    what_a_consent_covers_never_changes_under_its_id,
    another_statement_under_a_known_id_is_not_lost_in_silence,
    the_newest_history_says_when_a_consent_expires,
    a_dispute_is_of_its_categories_until_it_is_resolved_and_no_restriction,
    restrictions_and_objections_are_lifted_and_do_not_come_back_by_being_sent_again,
    lookups_and_changes_from_many_threads_agree,
    an_import_is_taken_whole_or_not_at_all,
    changes_are_listed_by_kind_and_purpose_and_not_by_person,
    what_is_exported_decides_the_same_in_other_registers,
    what_is_taken_from_an_export_is_known_when_it_is_taken_again,
    a_withdrawal_made_elsewhere_ends_what_was_given_before_it,
    what_ended_elsewhere_ends_here,
    recipients_are_told_of_an_erasure_once_wherever_it_moved,
    every_act_of_a_person_is_told_with_its_proof_and_nobody_elses,
);

/// Where a store keeps what it is told.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Embedded,
    Postgres,
}

struct Store {
    directory: tempfile::TempDir,
    registers: RegisterStore,
}

impl Store {
    fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let registers = match kind {
            Kind::Embedded => {
                RegisterStore::embedded(&directory.path().join("registers.db")).expect("opens")
            }
            Kind::Postgres => Database::new(directory.path()).follow(),
        };
        Self { directory, registers }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("registers.db")
    }

    fn take(&self, json: &str) -> Recorded {
        let record = Record::parse(json.as_bytes()).expect("a record");
        self.registers.record(&record).expect("taken")
    }

    /// What `subject` has said, which is the same where others are looked up with them.
    fn of(&self, subject: &str) -> Arc<Statements> {
        let [subject, nobody] = [subject, "nobody"].map(person);
        let together = self.registers.all(&[&nobody, &subject]).expect("available");
        let alone = self.registers.statements(&subject).expect("available");
        assert_eq!(together, [Arc::default(), Arc::clone(&alone)]);
        alone
    }

    /// The state of the consent with this id, now.
    fn status(&self, subject: &str, id: &str) -> ConsentStatus {
        let statements = self.of(subject);
        let consent = statements.consents.iter().find(|consent| &*consent.id == id);
        consent.expect("there").status(Timestamp::now())
    }
}

fn person(id: &str) -> DataSubject {
    Personal::new(id.into())
}

/// A consent of u1 for `share.partner`, to loyalty-partner and courier.
fn consent(id: &str, events: &[(&str, &str)]) -> String {
    let events: Vec<_> = events
        .iter()
        .map(|(at, status)| format!(r#"{{"at":"{at}","status":"{status}"}}"#))
        .collect();
    format!(
        r#"{{"id":"{id}","subject":"u1","purpose":"share.partner",
            "recipients":["loyalty-partner","courier"],"events":[{}]}}"#,
        events.join(",")
    )
}

const GIVEN: (&str, &str) = ("2026-01-01T00:00:00Z", "given");
const WITHDRAWN: (&str, &str) = ("2026-02-01T00:00:00Z", "withdrawn");
const RENEWED: (&str, &str) = ("2026-03-01T00:00:00Z", "renewed");
const REFUSED: (&str, &str) = ("2026-04-01T00:00:00Z", "refused");

fn a_person_never_heard_of_has_said_nothing(kind: Kind) {
    assert_eq!(*Store::new(kind).of("nobody"), Statements::default());
}

fn every_kind_of_record_reads_back(kind: Kind) {
    let store = Store::new(kind);
    let digest = tamis::terms::Digest::of(b"the text");
    for json in [
        format!(
            r#"{{"id":"con_1","subject":"u1","purpose":"share.partner",
                "purpose_text_digest":"{digest}","recipients":["loyalty-partner"],
                "categories":["contact.email"],"status":"given","explicit":true,
                "given_at":"2026-01-01T09:00:00Z","expires_at":"2999-01-01T09:00:00Z",
                "notice":{{"ref":"notice-12","revision":"2026-10-01","language":"en",
                "shown_at":"2026-01-01T08:59:40Z"}},"method":"web-form","jurisdiction":"MY",
                "evidence":"{digest}","source":"consent-app",
                "events":[{{"at":"2026-01-01T09:00:00Z","status":"given"}}]}}"#
        ),
        r#"{"kind":"objection","subject":"u1","purpose":"marketing.*","channel":"email",
            "since":"2026-01-02T00:00:00Z","source":"unsubscribe"}"#
            .into(),
        r#"{"kind":"restriction","subject":"u1","categories":["*"],
            "ground":"accuracy-contested","since":"2026-01-02T00:00:00Z","until":null}"#
            .into(),
        r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-02T00:00:00Z",
            "effective_at":"2026-01-03T00:00:00Z","except":["legal.claims"]}"#
            .into(),
        format!(
            r#"{{"kind":"notice","subject":"u1","purpose":"share.partner",
                "purpose_text_digest":"{digest}","shown_at":"2026-01-01T08:59:40Z"}}"#
        ),
        r#"{"kind":"subject","subject":"u1","age":"adult","region":"DE"}"#.into(),
    ] {
        assert_eq!(store.take(&json), Recorded::New);
        assert_eq!(store.take(&json), Recorded::Known, "twice changes nothing: {json}");
    }
    let said = store.of("u1");
    let [consent] = said.consents.as_slice() else { panic!("one consent") };
    assert_eq!(consent.status(Timestamp::now()), ConsentStatus::Given);
    assert_eq!(consent.purpose_text_digest, Some(digest));
    assert!(consent.explicit);
    assert_eq!(consent.recipients, [RecipientId::from("loyalty-partner")]);
    assert_eq!(said.notices[0].purpose_text_digest, Some(digest));
    assert!(said.objections[0].purpose.covers(&PurposeId::from("marketing.email")));
    assert_eq!(said.restrictions[0].until, None);
    let erasure = said.erasure.as_ref().expect("erased");
    assert_eq!(erasure.effective_at.to_string(), "2026-01-03T00:00:00Z");
    assert_eq!(erasure.except, [PurposePattern::new("legal.claims")]);
    assert_eq!(
        (said.age, said.region.as_ref().map(ToString::to_string)),
        (AgeClass::Adult, Some("DE".into()))
    );
    assert_eq!(*store.of("u2"), Statements::default(), "nobody else has said it");
}

fn several_people_are_looked_up_at_once_each_with_what_they_said(kind: Kind) {
    let store = Store::new(kind);
    // Names that lists in SQL or JSON could take apart, or take for each other.
    let mut ids = vec!["u1", "u'2", "[\"u1\"]", "u\"3", "ü\u{1F600}", "u1 ", "U1", "\\u0000"];
    if kind == Kind::Embedded {
        // No text of PostgreSQL's.
        ids.extend(["u1\0", "u1\0u2"]);
    }
    for (number, id) in ids.iter().enumerate().skip(1) {
        let id = serde_json::to_string(id).expect("text");
        store.take(&format!(
            r#"{{"kind":"objection","subject":{id},"purpose":"p{number}","since":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    let people: Vec<DataSubject> = ids.iter().map(|id| person(id)).collect();
    let asked: Vec<&DataSubject> = people.iter().chain(&people).collect();
    // The second time from what was kept.
    for _ in 0..2 {
        let found = store.registers.all(&asked).expect("available");
        let objected: Vec<Vec<&str>> = found
            .iter()
            .map(|said| said.objections.iter().map(|it| it.purpose.as_str()).collect())
            .collect();
        let own = |number| if number == 0 { vec![] } else { vec![format!("p{number}")] };
        let expected: Vec<Vec<String>> = (0..ids.len()).chain(0..ids.len()).map(own).collect();
        assert_eq!(objected, expected);
    }
    store.take(
        r#"{"kind":"objection","subject":"u1","purpose":"late","since":"2026-01-01T00:00:00Z"}"#,
    );
    let found = store.registers.all(&asked).expect("available");
    assert_eq!(found[0].objections.len(), 1, "what was kept is not older than the registers");
}

fn no_order_of_delivery_revives_a_withdrawn_consent(kind: Kind) {
    let deliveries: [[&[(&str, &str)]; 3]; 4] = [
        [&[GIVEN], &[WITHDRAWN], &[RENEWED]],
        [&[WITHDRAWN], &[GIVEN], &[RENEWED]],
        [&[RENEWED], &[GIVEN, WITHDRAWN], &[GIVEN]],
        [&[GIVEN, WITHDRAWN, RENEWED], &[RENEWED], &[GIVEN]],
    ];
    for delivery in deliveries {
        let store = Store::new(kind);
        for events in delivery {
            store.take(&consent("con_1", events));
        }
        assert_eq!(store.status("u1", "con_1"), ConsentStatus::Withdrawn, "{delivery:?}");
    }
}

fn the_latest_word_counts_whatever_came_first(kind: Kind) {
    for (events, expected) in [
        (vec![GIVEN, REFUSED], ConsentStatus::Refused),
        (vec![REFUSED, GIVEN], ConsentStatus::Refused),
        (vec![RENEWED, GIVEN], ConsentStatus::Renewed),
        (vec![GIVEN, (GIVEN.0, "refused")], ConsentStatus::Refused),
        (vec![(GIVEN.0, "refused"), GIVEN], ConsentStatus::Refused),
    ] {
        let store = Store::new(kind);
        for event in &events {
            store.take(&consent("con_1", &[*event]));
        }
        assert_eq!(store.status("u1", "con_1"), expected, "{events:?}");
    }
}

fn a_withdrawal_dated_ahead_counts_at_once_and_a_consent_dated_ahead_not_yet(kind: Kind) {
    let store = Store::new(kind);
    store.take(&consent("con_1", &[GIVEN, ("2999-01-01T00:00:00Z", "withdrawn")]));
    assert_eq!(store.status("u1", "con_1"), ConsentStatus::Withdrawn);
    store.take(&consent("con_2", &[("2999-01-01T00:00:00Z", "given")]));
    assert_eq!(store.status("u1", "con_2"), ConsentStatus::Unknown);
    store.take(
        r#"{"kind":"objection","subject":"u1","purpose":"marketing","since":"2999-01-01T00:00:00Z"}"#,
    );
    assert!(store.of("u1").objections[0].since <= Timestamp::now());
}

fn withdrawing_a_purpose_ends_what_lies_beneath_it_and_nothing_beside_it(kind: Kind) {
    let store = Store::new(kind);
    for (id, purpose) in
        [("a", "marketing"), ("b", "marketing.email"), ("c", "marketing.sms.de"), ("d", "share")]
    {
        store.take(&format!(
            r#"{{"id":"{id}","subject":"u1","purpose":"{purpose}","status":"given",
                "given_at":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    let ended = store
        .registers
        .withdraw(&person("u1"), &PurposePattern::new("marketing"), None)
        .expect("taken");
    assert_eq!(ended, 3);
    for (id, expected) in [
        ("a", ConsentStatus::Withdrawn),
        ("b", ConsentStatus::Withdrawn),
        ("c", ConsentStatus::Withdrawn),
        ("d", ConsentStatus::Given),
    ] {
        assert_eq!(store.status("u1", id), expected, "{id}");
    }
    let again = store.registers.withdraw(&person("u1"), &PurposePattern::new("marketing"), None);
    assert_eq!(again.expect("taken"), 0, "harmless twice");
}

fn withdrawing_from_one_recipient_leaves_the_others(kind: Kind) {
    let store = Store::new(kind);
    store.take(&consent("con_1", &[GIVEN]));
    let purpose = PurposePattern::new("share.partner");
    let withdraw = |recipient: &str| {
        let recipient = RecipientId::from(recipient);
        store.registers.withdraw(&person("u1"), &purpose, Some(&recipient)).expect("taken")
    };
    assert_eq!(withdraw("stranger"), 0);
    assert_eq!(withdraw("loyalty-partner"), 1);
    assert_eq!(store.of("u1").consents[0].recipients, [RecipientId::from("courier")]);
    assert_eq!(store.status("u1", "con_1"), ConsentStatus::Given);
    assert_eq!(withdraw("courier"), 1);
    // With nobody left it must not read as a consent that names nobody, which covers everybody.
    assert_eq!(store.status("u1", "con_1"), ConsentStatus::Withdrawn);
}

fn a_consent_delivered_after_its_withdrawal_arrives_withdrawn(kind: Kind) {
    let store = Store::new(kind);
    store.registers.withdraw(&person("u1"), &PurposePattern::new("share.*"), None).expect("taken");
    store.take(&consent("con_1", &[GIVEN]));
    assert_eq!(store.status("u1", "con_1"), ConsentStatus::Withdrawn);

    let at = Timestamp::now();
    let withdraw = || store.registers.changing(|changing| changing.withdraw_consent("con_2", at));
    assert_eq!(withdraw().expect("taken"), Recorded::New);
    assert_eq!(withdraw().expect("taken"), Recorded::Known);
    store.take(&consent("con_2", &[GIVEN]));
    assert_eq!(store.status("u1", "con_2"), ConsentStatus::Withdrawn);

    // Asked again and given again: a new consent with a new id.
    let now = Timestamp::now().to_string();
    store.take(&consent("con_3", &[(&now, "given")]));
    assert_eq!(store.status("u1", "con_3"), ConsentStatus::Given);
}

fn what_a_consent_covers_never_changes_under_its_id(kind: Kind) {
    let store = Store::new(kind);
    let given = consent("con_1", &[GIVEN]);
    store.take(&given);
    for (from, to) in [
        ("\"u1\"", "\"u2\""),
        ("share.partner", "marketing"),
        ("courier", "stranger"),
        ("\"id\"", "\"explicit\":true,\"id\""),
        ("\"id\"", "\"categories\":[\"contact.email\"],\"id\""),
    ] {
        let record = Record::parse(given.replacen(from, to, 1).as_bytes()).expect("a record");
        let error = store.registers.record(&record).expect_err(to);
        assert!(matches!(error, RecordError::Invalid("id")), "{to}: {error}");
    }
    // The same recipients in another order are the same consent.
    let swapped =
        given.replace(r#"["loyalty-partner","courier"]"#, r#"["courier","loyalty-partner"]"#);
    assert_eq!(store.take(&swapped), Recorded::Known);
}

fn another_statement_under_a_known_id_is_not_lost_in_silence(kind: Kind) {
    let store = Store::new(kind);
    store.take(
        r#"{"kind":"objection","id":"o1","subject":"u1","purpose":"a","since":"2026-01-01T00:00:00Z"}"#,
    );
    let other = Record::parse(
        br#"{"kind":"objection","id":"o1","subject":"u2","purpose":"a","since":"2026-01-01T00:00:00Z"}"#,
    )
    .expect("a record");
    assert!(matches!(store.registers.record(&other), Err(RecordError::Invalid("id"))));
}

fn the_newest_history_says_when_a_consent_expires(kind: Kind) {
    let with_expiry = |event: (&str, &str), expires: &str| {
        consent("con_1", &[event]).replacen('{', &format!(r#"{{"expires_at":"{expires}","#), 1)
    };
    let (old, new) = ("2026-01-02T00:00:00Z", "2999-01-01T00:00:00Z");
    for (order, expected) in [
        ([with_expiry(GIVEN, old), with_expiry(RENEWED, new)], ConsentStatus::Renewed),
        ([with_expiry(RENEWED, new), with_expiry(GIVEN, old)], ConsentStatus::Renewed),
        ([with_expiry(GIVEN, new), with_expiry(GIVEN, old)], ConsentStatus::Expired),
        ([with_expiry(GIVEN, old), with_expiry(GIVEN, new)], ConsentStatus::Expired),
    ] {
        let store = Store::new(kind);
        for json in &order {
            store.take(json);
        }
        assert_eq!(store.status("u1", "con_1"), expected, "{order:?}");
    }
}

fn a_dispute_is_of_its_categories_until_it_is_resolved_and_no_restriction(kind: Kind) {
    let store = Store::new(kind);
    let dispute = r#"{"kind":"dispute","subject":"u1","categories":["contact.*","payment.amount"],
                      "since":"2026-01-01T00:00:00Z"}"#;
    let disputed = || {
        let said = store.of("u1");
        let of = |one: &tamis::terms::Restriction| {
            assert!(one.disputed);
            one.categories.iter().map(|one| one.as_str().to_owned()).collect::<Vec<_>>()
        };
        let mut all: Vec<String> = said.restrictions.iter().flat_map(of).collect();
        all.sort();
        all
    };
    assert_eq!(store.take(dispute), Recorded::New);
    assert_eq!(store.take(dispute), Recorded::Known);
    assert_eq!(disputed(), ["contact.*", "payment.amount"]);
    let resolve = |category: Option<&str>| {
        let category = category.map(CategoryPattern::new);
        store.registers.resolve_disputes(&person("u1"), category.as_ref()).expect("taken")
    };
    assert_eq!(store.registers.lift_restrictions(&person("u1")).expect("taken"), 0);
    assert_eq!([resolve(Some("contact.email")), resolve(Some("contact.*"))], [0, 1]);
    assert_eq!(disputed(), ["payment.amount"]);
    assert_eq!(store.take(dispute), Recorded::Known, "it does not come back by being sent again");
    assert_eq!([resolve(None), resolve(None)], [1, 0]);
    assert!(store.of("u1").restrictions.is_empty());
    let changes = store.registers.changes_since(0, 9).expect("available");
    let words: Vec<_> = changes.iter().map(|one| (&*one.register, &*one.change)).collect();
    assert_eq!(words, [("dispute", "recorded"), ("dispute", "lifted"), ("dispute", "lifted")]);
}

#[test]
fn a_dispute_is_not_taken_where_the_rules_would_do_nothing_about_it() {
    let record = br#"{"kind":"dispute","subject":"u1","categories":["account.id"],
                      "since":"2026-01-01T00:00:00Z"}"#;
    let record = Record::parse(record).expect("a record");
    let rules = include_str!("../cases/clean.rules.yaml");
    let with = rules.replacen("limits:", "limits:\n  - {disputed_data: remove}", 1);
    for (rules, expected) in [(rules, false), (with.as_str(), true)] {
        let policy = Policy::parse("rules.yaml", rules).expect("it loads");
        assert_eq!(tamis::registers::check_record(&policy, &record).is_ok(), expected);
    }
}

fn restrictions_and_objections_are_lifted_and_do_not_come_back_by_being_sent_again(kind: Kind) {
    let store = Store::new(kind);
    let restriction = r#"{"kind":"restriction","subject":"u1","categories":["*"],
                          "since":"2026-01-01T00:00:00Z"}"#;
    let objection = r#"{"kind":"objection","subject":"u1","purpose":"marketing.*",
                        "since":"2026-01-01T00:00:00Z"}"#;
    store.take(restriction);
    store.take(objection);
    let marketing = PurposePattern::new("marketing.*");
    assert_eq!(store.registers.lift_restrictions(&person("u1")).expect("taken"), 1);
    assert_eq!(store.registers.lift_objection(&person("u1"), &marketing).expect("taken"), 1);
    for json in [restriction, objection] {
        assert_eq!(store.take(json), Recorded::Known);
    }
    assert_eq!(*store.of("u1"), Statements::default());
}

#[test]
fn a_change_by_another_process_counts_at_the_next_lookup() {
    let gateway = Store::new(Kind::Embedded);
    let command = RegisterStore::embedded(&gateway.path()).expect("opens beside");
    for round in 0..20 {
        let id = format!("con_{round}");
        let now = Timestamp::now().to_string();
        let given = Record::parse(consent(&id, &[(&now, "given")]).as_bytes()).expect("a record");
        command.record(&given).expect("taken");
        assert_eq!(gateway.status("u1", &id), ConsentStatus::Given);
        assert_eq!(gateway.status("u1", &id), ConsentStatus::Given, "from the cache");
        command
            .withdraw(&person("u1"), &PurposePattern::new("share.partner"), None)
            .expect("taken");
        assert_eq!(gateway.status("u1", &id), ConsentStatus::Withdrawn);
    }
}

fn lookups_and_changes_from_many_threads_agree(kind: Kind) {
    let store = Arc::new(Store::new(kind));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for round in 0..25 {
                    let (subject, id) = (format!("u{thread}"), format!("con_{thread}_{round}"));
                    store.take(&format!(
                        r#"{{"id":"{id}","subject":"{subject}","purpose":"share.partner",
                            "status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
                    ));
                    assert_eq!(store.of(&subject).consents.len(), round + 1);
                    // While another thread says more of them.
                    store.registers.statements(&person("u0")).expect("available");
                }
            });
        }
    });
}

fn an_import_is_taken_whole_or_not_at_all(kind: Kind) {
    let store = Store::new(kind);
    let good = Record::parse(consent("con_1", &[GIVEN]).as_bytes()).expect("a record");
    let other = consent("con_1", &[GIVEN]).replace("courier", "stranger");
    let bad = Record::parse(other.as_bytes()).expect("a record");
    let (at, error) =
        store.registers.record_all(&[good.clone(), bad]).expect_err("the second contradicts");
    assert_eq!(at, 1);
    assert!(matches!(error, RecordError::Invalid("id")), "{error}");
    assert_eq!(*store.of("u1"), Statements::default(), "nothing half done");
    assert_eq!(store.registers.record_all(&[good.clone(), good]).expect("taken"), 1);
}

fn changes_are_listed_by_kind_and_purpose_and_not_by_person(kind: Kind) {
    let store = Store::new(kind);
    store.take(&consent("con_1", &[GIVEN]).replace("u1", "CANARY"));
    store.take(&consent("con_1", &[GIVEN]).replace("u1", "CANARY"));
    store
        .registers
        .withdraw(&person("CANARY"), &PurposePattern::new("share.*"), None)
        .expect("taken");
    store.registers.lift_restrictions(&person("CANARY")).expect("nothing to lift is no error");
    let changes = store.registers.changes_since(0, 100).expect("available");
    let listed: Vec<_> = changes
        .iter()
        .map(|change| {
            (change.number, &*change.register, &*change.change, change.purpose.as_deref())
        })
        .collect();
    assert_eq!(
        listed,
        [
            (1, "consent", "recorded", Some("share.partner")),
            (2, "consent", "withdrawn", Some("share.*")),
        ]
    );
    assert!(!format!("{changes:?}").contains("CANARY"));
    assert_eq!(store.registers.changes_since(1, 100).expect("available").len(), 1);

    store.registers.mark_entered(2).expect("taken");
    store.registers.mark_entered(1).expect("taken");
    assert_eq!(store.registers.entered().expect("available"), 2, "it only moves on");
}

#[test]
fn the_file_is_for_its_owner_only() {
    let store = Store::new(Kind::Embedded);
    store.take(&consent("con_1", &[GIVEN]));
    for file in std::fs::read_dir(store.directory.path()).expect("readable") {
        let file = file.expect("readable");
        let mode = file.metadata().expect("there").mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
    let path = store.path();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(RegisterStore::embedded(&path).is_err(), "readable by everybody");
}

#[test]
fn a_file_that_is_gone_replaced_foreign_or_newer_is_no_register() {
    let store = Store::new(Kind::Embedded);
    store.take(&consent("con_1", &[GIVEN]));
    assert!(store.registers.available().is_ok());
    let aside = store.directory.path().join("aside");
    std::fs::rename(store.path(), &aside).expect("ours");
    assert!(store.registers.statements(&person("u1")).is_err(), "gone");
    assert!(store.registers.available().is_err());
    std::fs::copy(&aside, store.path()).expect("ours");
    assert!(store.registers.statements(&person("u1")).is_err(), "replaced");
    let withdrawn =
        store.registers.changing(|changing| changing.withdraw_consent("con_1", Timestamp::now()));
    assert!(matches!(withdrawn, Err(RecordError::Unavailable(_))), "not into a file nobody reads");
    std::fs::rename(&aside, store.path()).expect("ours");
    assert_eq!(store.status("u1", "con_1"), ConsentStatus::Given, "back");

    let other = |name: &str, prepare: &str| {
        let path = store.directory.path().join(name);
        let connection = rusqlite::Connection::open(&path).expect("opens");
        connection.execute_batch(prepare).expect("prepared");
        drop(connection);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        RegisterStore::embedded(&path).is_err()
    };
    assert!(other("foreign.db", "CREATE TABLE people (name TEXT)"));
    assert!(other("newer.db", "PRAGMA application_id = 1415671145; PRAGMA user_version = 7"));
    let path = store.directory.path().join("garbage.db");
    std::fs::write(&path, "this is no database, and long enough to be seen as none").expect("ours");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    assert!(RegisterStore::embedded(&path).is_err());
}

#[test]
fn a_row_that_cannot_be_read_makes_the_answer_fail() {
    for damage in [
        "UPDATE consent_events SET status = 'CANARY'",
        "UPDATE consent_events SET at = 'CANARY'",
        "UPDATE consents SET recipients = 'CANARY'",
        "UPDATE consents SET expires_at = 'CANARY'",
        "DROP TABLE withdrawals",
    ] {
        let store = Store::new(Kind::Embedded);
        store.take(&consent("con_1", &[GIVEN]));
        store.of("u1");
        let opened = rusqlite::Connection::open(store.path());
        opened.and_then(|file| file.execute_batch(damage)).expect("damaged");
        let error = store.registers.statements(&person("u1")).expect_err(damage);
        assert!(!format!("{error:?} {}", error.0).contains("CANARY"));
    }
}
