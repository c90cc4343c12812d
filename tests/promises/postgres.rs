//! Registers in PostgreSQL: tables up and down, a change seen by every gateway, and what a gateway does
//! when the server is gone, stands still, or knows less than before.

mod faults;
mod ledger;
pub(crate) mod proxy;
pub(crate) mod server;

use jiff::Timestamp;
use tamis::registers::{Record, RegisterStore, Registers as _};
use tamis::terms::{ConsentStatus, DataSubject, Personal, PurposePattern};
use tempfile::tempdir;

use server::{Database, eventually, shared};

fn person(id: &str) -> DataSubject {
    Personal::new(id.into())
}

fn given(id: &str) -> Record {
    let json = format!(
        r#"{{"id":"{id}","subject":"u1","purpose":"share.partner","recipients":["courier"],
            "status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
    );
    Record::parse(json.as_bytes()).expect("a record")
}

/// The state of the consent `id` of u1; `None`: consents are unknown, or there is none.
fn status(store: &RegisterStore, id: &str) -> Option<ConsentStatus> {
    let said = store.statements(&person("u1")).ok()?;
    let consent = said.consents.iter().find(|consent| &*consent.id == id)?;
    Some(consent.status(Timestamp::now()))
}

#[test]
fn tables_go_up_and_down_and_keep_what_each_version_has() {
    let seat = tempdir().expect("a folder");
    shared().sql("postgres", "CREATE DATABASE up_and_down OWNER gateway");
    let settings = shared().settings("up_and_down", seat.path(), shared().port);
    let tables = || {
        let query = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables
          WHERE schemaname = 'tamis'";
        shared().sql("up_and_down", query)
    };
    let unmigrated = RegisterStore::postgres(&settings).expect("settings");
    let error = unmigrated.available().expect_err("no tables");
    assert!(error.0.to_string().contains("tamis registers migrate"), "{}", error.0);

    assert_eq!(RegisterStore::migrate(&settings, Some(1)).expect("up"), (0, 1));
    shared().sql("up_and_down", "INSERT INTO tamis.subjects VALUES ('u1', 'adult', 'DE')");
    let first = tables();
    assert_eq!(RegisterStore::migrate(&settings, Some(2)).expect("up"), (1, 2));
    let second = tables();
    assert_eq!(RegisterStore::migrate(&settings, Some(3)).expect("up"), (2, 3));
    let third = tables();
    let settled = "INSERT INTO tamis.erasures VALUES ('old', '', 'u2', '2026-01-01T00:00:00Z',
          '2026-01-01T00:00:00Z', '[]');
        INSERT INTO tamis.settled_erasures VALUES ('old', 'gw-1', '2026-01-01T00:00:00Z'),
          ('old', 'gw-2', '2026-01-01T00:00:01Z')";
    shared().sql("up_and_down", settled);
    assert_eq!(RegisterStore::migrate(&settings, Some(4)).expect("up"), (3, 4));
    let fourth = tables();
    assert_eq!(RegisterStore::migrate(&settings, None).expect("up"), (4, 5));
    let fifth = tables();
    let lengths = [&first, &second, &third, &fourth, &fifth].map(String::len);
    assert!(lengths.is_sorted_by(|fewer, more| fewer < more), "{lengths:?}");
    let told = RegisterStore::postgres(&settings).expect("settings");
    let planned = told.plan_notices(&["desk".into()], Timestamp::now());
    assert_eq!(planned.expect("readable"), 0, "of what was done with before nobody is told");
    drop(told);
    let region = || {
        let said = RegisterStore::postgres(&settings).expect("settings");
        said.statements(&person("u1")).ok().and_then(|said| said.region.clone())
    };
    assert_eq!(region(), Some("DE".into()));

    assert_eq!(RegisterStore::migrate(&settings, Some(4)).expect("down"), (5, 4));
    assert_eq!(tables(), fourth);
    assert_eq!(RegisterStore::migrate(&settings, Some(3)).expect("down"), (4, 3));
    assert_eq!(tables(), third);
    assert_eq!(RegisterStore::migrate(&settings, Some(2)).expect("down"), (3, 2));
    assert_eq!(tables(), second);
    assert_eq!(region(), None, "not with tables of another version");
    assert_eq!(RegisterStore::migrate(&settings, Some(1)).expect("down"), (2, 1));
    assert_eq!(tables(), first);
    assert_eq!(RegisterStore::migrate(&settings, None).expect("up"), (1, 5));
    assert_eq!((tables(), region()), (fifth, Some("DE".into())), "kept all the while");
    assert_eq!(RegisterStore::migrate(&settings, Some(0)).expect("down"), (5, 0));
    assert_eq!(tables(), "");
    assert!(RegisterStore::migrate(&settings, Some(6)).is_err(), "there is no such version");
    shared().sql("postgres", "DROP DATABASE IF EXISTS up_and_down WITH (FORCE)");
}

#[test]
fn a_change_of_one_gateway_or_command_is_seen_by_the_others() {
    let seat = tempdir().expect("a folder");
    let database = Database::new(seat.path());
    let (one, other, command) = (database.follow(), database.follow(), database.ask());
    one.record(&given("con_1")).expect("taken");
    assert_eq!(status(&one, "con_1"), Some(ConsentStatus::Given), "at once where it was taken");
    eventually("the other sees it", || status(&other, "con_1") == Some(ConsentStatus::Given));
    let ended = command.withdraw(&person("u1"), &PurposePattern::new("share"), None);
    assert_eq!(ended.expect("taken"), 1);
    for store in [&one, &other] {
        eventually("withdrawn", || status(store, "con_1") == Some(ConsentStatus::Withdrawn));
    }
}

#[test]
fn what_was_said_before_a_gateway_began_is_known_to_it() {
    let seat = tempdir().expect("a folder");
    let database = Database::new(seat.path());
    let command = database.ask();
    let people: Vec<Record> = (0..4_500)
        .map(|number| {
            let json = format!(
                r#"{{"kind":"objection","subject":"u{number}","purpose":"marketing.*",
                    "since":"2026-01-01T00:00:00Z"}}"#
            );
            Record::parse(json.as_bytes()).expect("a record")
        })
        .collect();
    assert_eq!(command.record_all(&people).expect("taken"), people.len());
    let gateway = database.follow();
    for number in [0, 1, 1_999, 2_000, 2_001, 4_499] {
        let said = gateway.statements(&person(&format!("u{number}"))).expect("known");
        assert_eq!(said.objections.len(), 1, "u{number}");
    }
    let nobody = gateway.statements(&person("u4500")).expect("known");
    assert!(nobody.objections.is_empty());
}

#[test]
fn each_gateway_enters_changes_and_settles_erasures_for_itself() {
    let seat = tempdir().expect("a folder");
    let database = Database::new(seat.path());
    let one = database.ask();
    let settings = tamis::registers::PostgresSettings { node: "gw-2".into(), ..database.settings };
    let two = RegisterStore::postgres(&settings).expect("settings");
    let erased = r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-01T00:00:00Z"}"#;
    one.record(&Record::parse(erased.as_bytes()).expect("a record")).expect("taken");
    one.mark_entered(1).expect("noted");
    assert_eq!((one.entered().expect("known"), two.entered().expect("known")), (1, 1));
    one.record(&given("con_1")).expect("taken");
    two.mark_entered(2).expect("noted");
    one.mark_entered(1).expect("noted");
    assert_eq!((one.entered().expect("known"), two.entered().expect("known")), (1, 2));
    let now = Timestamp::now();
    let erasure = one.unsettled_erasures(now).expect("known").pop().expect("one");
    one.settle_erasure(&erasure.id).expect("noted");
    let left = |store: &RegisterStore| store.unsettled_erasures(now).expect("known").len();
    assert_eq!((left(&one), left(&two)), (0, 1));
}

#[test]
fn a_server_that_would_forget_or_cannot_be_trusted_is_not_used() {
    let seat = tempdir().expect("a folder");
    let database = Database::new(seat.path());
    let usable = |settings| {
        let store = RegisterStore::postgres(&settings);
        store.and_then(|store| store.available()).map_err(|error| error.0.to_string())
    };
    assert!(usable(database.settings.clone()).is_ok());
    let without = tamis::registers::PostgresSettings { ca: None, ..database.settings.clone() };
    assert!(usable(without).expect_err("no authority").contains("`ca`"));
    let stranger = tamis::identity::development::Authority::generate(Timestamp::now());
    let stranger_file = seat.path().join("stranger.pem");
    let certificate = stranger.expect("an authority").certificate().to_owned();
    std::fs::write(&stranger_file, certificate).expect("written");
    let ca = Some(stranger_file);
    let strange = tamis::registers::PostgresSettings { ca, ..database.settings.clone() };
    assert!(usable(strange).is_err(), "another authority");
    // The role's own settings stand in for the server's.
    let hasty = "ALTER ROLE gateway SET synchronous_commit = off";
    shared().sql("postgres", hasty);
    assert!(usable(database.settings.clone()).is_ok(), "set right for the connection");
    shared().sql("postgres", "ALTER ROLE gateway RESET synchronous_commit");
    let file = &database.settings.url_file;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(file, open).expect("ours");
    assert!(usable(database.settings.clone()).expect_err("exposed").contains("owner's alone"));
}
