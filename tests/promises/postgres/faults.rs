//! What a gateway does when the server is gone, stands still, or knows less than it did: nothing rests on
//! consent, nothing is taken back into force, nothing that was acknowledged is lost, and nobody has to
//! start the gateway anew.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tamis::registers::{PostgresSettings, Record, RegisterStore, Registers as _};
use tamis::terms::{ConsentStatus, PurposePattern};
use tempfile::tempdir;

use super::proxy::Proxy;
use super::server::{Database, Server, eventually};
use super::{given, person, status};

/// Short, so that a test need not wait for long.
const BOUND: Duration = Duration::from_secs(1);

/// A server, a way to it that can be disturbed, and a gateway's place.
struct Scene {
    server: Server,
    proxy: Proxy,
    seat: tempfile::TempDir,
    settings: PostgresSettings,
}

impl Scene {
    fn new() -> Self {
        let (server, seat) = (Server::start(), tempdir().expect("a folder"));
        let proxy = Proxy::to(server.port);
        let database = Database::on(&server, "people", seat.path(), proxy.port);
        let settings = PostgresSettings { max_staleness: BOUND, ..database.settings };
        Self { server, proxy, seat, settings }
    }

    /// Another gateway, or the same one started anew.
    fn gateway(&self) -> RegisterStore {
        let database = Database { settings: self.settings.clone() };
        database.follow()
    }

    /// As somebody reaches a server whose way is not disturbed.
    fn beside(server: &Server, seat: &Path) -> RegisterStore {
        RegisterStore::postgres(&server.settings("people", seat, server.port)).expect("settings")
    }
}

fn objection() -> Record {
    let json = r#"{"kind":"objection","subject":"u1","purpose":"marketing.*",
        "since":"2026-01-01T00:00:00Z"}"#;
    Record::parse(json.as_bytes()).expect("a record")
}

fn consents_are_unknown(gateway: &RegisterStore) -> bool {
    let said = gateway.statements(&person("u1")).expect("it knows what it knew");
    assert_eq!(said.objections.len(), 1, "an objection holds all the while");
    said.consents_unknown
}

fn withdraw(store: &RegisterStore) {
    let ended = store.withdraw(&person("u1"), &PurposePattern::new("share"), None);
    assert_eq!(ended.expect("taken"), 1);
}

#[test]
fn a_server_that_is_killed_loses_nothing_and_is_followed_again() {
    let mut scene = Scene::new();
    let gateway = scene.gateway();
    gateway.record(&objection()).expect("taken");
    let acknowledged = Mutex::new(Vec::new());
    let count = || acknowledged.lock().expect("unpoisoned").len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                let id = format!("con_{number}");
                if gateway.record(&given(&id)).is_err() {
                    return;
                }
                acknowledged.lock().expect("unpoisoned").push(id);
            }
        });
        eventually("some are taken", || count() >= 20);
        scene.server.kill();
    });
    eventually("consents unknown", || consents_are_unknown(&gateway));
    assert!(gateway.available().is_err() && gateway.order("ord-7").is_err());
    assert!(gateway.record(&given("con_late")).is_err(), "not acknowledged");
    scene.server.restart();
    eventually("followed again", || !consents_are_unknown(&gateway));
    for id in acknowledged.into_inner().expect("unpoisoned") {
        assert_eq!(status(&gateway, &id), Some(ConsentStatus::Given), "{id}");
    }
    gateway.record(&given("con_after")).expect("taken");
    assert_eq!(status(&gateway, "con_after"), Some(ConsentStatus::Given));
}

#[test]
fn a_server_that_is_paused_ends_what_rests_on_consent_until_it_goes_on() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    gateway.record(&objection()).expect("taken");
    gateway.record(&given("con_1")).expect("taken");
    scene.server.signal("STOP");
    eventually("consents unknown", || consents_are_unknown(&gateway));
    assert_eq!(status(&gateway, "con_1"), None);
    scene.server.signal("CONT");
    eventually("known again", || status(&gateway, "con_1") == Some(ConsentStatus::Given));
    withdraw(&gateway);
    assert_eq!(status(&gateway, "con_1"), Some(ConsentStatus::Withdrawn));
}

#[test]
fn a_network_that_stalls_never_brings_back_what_was_withdrawn_meanwhile() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    gateway.record(&objection()).expect("taken");
    gateway.record(&given("con_1")).expect("taken");
    scene.proxy.stall();
    let aside = tempdir().expect("a folder");
    withdraw(&Scene::beside(&scene.server, aside.path()));
    eventually("consents unknown", || consents_are_unknown(&gateway));
    scene.proxy.go_on();
    eventually("known again", || {
        let now = status(&gateway, "con_1");
        assert_ne!(now, Some(ConsentStatus::Given), "old facts");
        now == Some(ConsentStatus::Withdrawn)
    });
}

#[test]
fn an_empty_server_in_the_place_of_the_old_one_is_not_believed_until_somebody_says_so() {
    let scene = Scene::new();
    let empty = Server::start();
    // Both authorities, as where one authority signs for all servers.
    let both: String = [scene.server.authority(), empty.authority()]
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("readable"))
        .collect();
    let ca = scene.seat.path().join("both.pem");
    std::fs::write(&ca, both).expect("written");
    let scene = Scene { settings: PostgresSettings { ca: Some(ca), ..scene.settings }, ..scene };
    let gateway = scene.gateway();
    gateway.record(&objection()).expect("taken");
    gateway.record(&given("con_1")).expect("taken");

    let aside = tempdir().expect("a folder");
    Database::on(&empty, "people", aside.path(), empty.port);
    let beside = Scene::beside(&empty, aside.path());
    for number in 0..5 {
        beside.record(&given(&format!("con_{number}"))).expect("taken");
    }
    scene.proxy.turn_to(empty.port);
    eventually("consents unknown", || consents_are_unknown(&gateway));
    // What was taken there would be lost when the old one is back.
    assert!(gateway.record(&given("con_lost")).is_err(), "not acknowledged");
    assert!(consents_are_unknown(&gateway));
    let anew = scene.gateway();
    assert!(anew.record(&given("con_lost")).is_err(), "nor by one that is started anew");
    assert!(anew.statements(&person("u1")).is_err(), "which believes nothing there either");
    drop(anew);
    assert_eq!(status(&beside, "con_lost"), None, "and nothing was entered there");

    scene.proxy.turn_to(scene.server.port);
    eventually("the old one is back", || status(&gateway, "con_1") == Some(ConsentStatus::Given));

    scene.proxy.turn_to(empty.port);
    eventually("consents unknown", || consents_are_unknown(&gateway));
    let mark = std::fs::read_to_string(&scene.settings.mark).expect("there");
    let history = mark.split(' ').next().expect("begins with the history");
    beside.accept_history(Some(history)).expect("said");
    eventually("believed", || status(&gateway, "con_4") == Some(ConsentStatus::Given));
    let said = gateway.statements(&person("u1")).expect("known");
    assert!(said.objections.is_empty(), "nothing of the old one is left");
}

#[test]
fn a_replica_that_lost_changes_is_not_believed_however_many_it_has_since() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    gateway.record(&objection()).expect("taken");
    gateway.record(&given("con_1")).expect("taken");
    let replica = scene.server.copy();
    withdraw(&gateway);
    eventually("written down", || {
        let mark = std::fs::read_to_string(&scene.settings.mark).unwrap_or_default();
        mark.split(' ').nth(1) == Some("3")
    });

    let aside = tempdir().expect("a folder");
    let beside = Scene::beside(&replica, aside.path());
    assert_eq!(status(&beside, "con_1"), Some(ConsentStatus::Given), "it lost the withdrawal");
    scene.proxy.turn_to(replica.port);
    let stays_unknown = |gateway: &RegisterStore| {
        eventually("consents unknown", || {
            assert_ne!(status(gateway, "con_1"), Some(ConsentStatus::Given), "old facts");
            consents_are_unknown(gateway)
        });
    };
    stays_unknown(&gateway);
    assert!(gateway.record(&given("con_lost")).is_err(), "it would be lost with the replica");
    for number in 2..6 {
        beside.record(&given(&format!("con_{number}"))).expect("taken");
    }
    stays_unknown(&gateway);
    assert!(scene.gateway().statements(&person("u1")).is_err(), "nor by one that is started anew");

    // Whoever knows what was lost enters it again, and then says so.
    withdraw_all(&beside);
    beside.accept_history(None).expect("said");
    eventually("believed", || {
        let now = status(&gateway, "con_1");
        assert_ne!(now, Some(ConsentStatus::Given), "old facts");
        now == Some(ConsentStatus::Withdrawn)
    });
}

fn withdraw_all(store: &RegisterStore) {
    let ended = store.withdraw(&person("u1"), &PurposePattern::new("share"), None);
    assert_eq!(ended.expect("taken"), 5);
}

#[test]
fn a_withdrawal_counts_although_nobody_was_told_of_it() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    gateway.record(&given("con_1")).expect("taken");
    // As where notices are lost: the table is written beside the program, which would give one.
    scene.server.sql(
        "people",
        "BEGIN; INSERT INTO tamis.consent_events
           VALUES ('con_1', '2026-02-01T00:00:00Z', 'withdrawn', '2026-02-01T00:00:00Z');
         UPDATE tamis.head SET number = number + 1;
         INSERT INTO tamis.commits SELECT number, 'a mark' FROM tamis.head;
         UPDATE tamis.people SET touched = (SELECT number FROM tamis.head) WHERE subject = 'u1';
         COMMIT",
    );
    eventually("seen", || status(&gateway, "con_1") == Some(ConsentStatus::Withdrawn));
}
