//! What a ledger does when its server is gone, stands still, refuses, or knows less than it did.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use tamis::ledger::{ChainLedger, Ledger as _, Place, ServerSettings, verify};

use super::super::proxy::Proxy;
use super::super::server::{Server, eventually};
use super::{Scene, block_on, chain, disclosure, note, open};

/// A server of one's own, a way to it that can be disturbed, and a gateway there.
struct Disturbed {
    server: Server,
    proxy: Proxy,
    scene: Scene,
    settings: ServerSettings,
}

impl Disturbed {
    fn new() -> Self {
        let server = Server::start();
        let (proxy, scene) = (Proxy::to(server.port), Scene::on(&server, "ledgers"));
        let settings = scene.settings(&server, proxy.port, "gw-1");
        Self { server, proxy, scene, settings }
    }

    /// As an auditor reads the chain on `server`, whose way is not disturbed.
    fn chain_on(&self, server: &Server) -> Place {
        let words = self.scene.settings(server, server.port, "auditor");
        chain(&ServerSettings { node: "gw-1".into(), ..words })
    }
}

/// How many records there are on a server, and the number of the last.
fn records(server: &Server) -> String {
    server.sql("ledgers", "SELECT count(*), max(seq) FROM tamis_ledger.records")
}

fn enters(ledger: &ChainLedger) -> bool {
    block_on(ledger.note(&note("p"))).is_ok()
}

/// The ids of all disclosures in a chain that verifies.
fn entered(place: &Place) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    verify(place, None).expect("whole");
    let folder = super::exported(place);
    for line in all_lines(&folder.path().join("ledger")) {
        let record: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if record["kind"] == "disclosure" {
            let id = record["id"].as_str().expect("said").to_owned();
            assert!(found.insert(id), "entered twice");
        }
    }
    found
}

fn all_lines(directory: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("ours")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem.len() == 6))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let text = |path| std::fs::read_to_string(path).expect("ours");
    files
        .iter()
        .flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Enters one disclosure after the other until one is refused; those that were acknowledged.
fn until_refused(ledger: &ChainLedger, disturb: impl FnOnce(&dyn Fn() -> usize)) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let count = || acknowledged.lock().expect("unpoisoned").len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if block_on(ledger.open(&disclosure(number))).is_err() {
                    return;
                }
                acknowledged.lock().expect("unpoisoned").push(format!("d_{number}"));
            }
        });
        eventually("some are taken", || count() >= 20);
        disturb(&count);
    });
    acknowledged.into_inner().expect("unpoisoned")
}

#[test]
fn a_server_that_is_killed_loses_nothing_and_is_written_again() {
    let mut disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    let acknowledged = until_refused(&ledger, |_| disturbed.server.kill());
    assert!(!enters(&ledger), "nothing is disclosed meanwhile");
    eventually("it is told", || ledger.writable().is_err());
    disturbed.server.restart();
    eventually("it is written again", || enters(&ledger));
    assert!(ledger.writable().is_ok());
    drop(ledger);
    let entered = entered(&disturbed.chain_on(&disturbed.server));
    for id in &acknowledged {
        assert!(entered.contains(id), "{id} was acknowledged");
    }
    assert!(entered.len() <= acknowledged.len(), "what was refused is taken back");
}

#[test]
fn a_server_that_is_paused_ends_disclosures_until_it_goes_on() {
    let disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    let acknowledged = until_refused(&ledger, |_| disturbed.server.signal("STOP"));
    // A gateway that gets no requests says so too.
    eventually("it is told", || ledger.writable().is_err());
    disturbed.server.signal("CONT");
    eventually("it is written again", || enters(&ledger));
    drop(ledger);
    let entered = entered(&disturbed.chain_on(&disturbed.server));
    assert_eq!(entered, acknowledged.into_iter().collect(), "no more, no fewer");
}

#[test]
fn a_network_that_stalls_leaves_nothing_that_was_not_acknowledged() {
    let disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    let acknowledged = until_refused(&ledger, |_| disturbed.proxy.stall());
    eventually("it is told", || ledger.writable().is_err());
    // What was under way may arrive now, or never.
    disturbed.proxy.go_on();
    eventually("it is written again", || enters(&ledger));
    drop(ledger);
    let place = disturbed.chain_on(&disturbed.server);
    assert_eq!(entered(&place), acknowledged.into_iter().collect(), "no more, no fewer");
}

/// The answer to a transaction that took place is lost: what it wrote is taken back, and that is entered.
#[test]
fn what_was_written_and_never_acknowledged_is_taken_back() {
    let disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    assert!(enters(&ledger));
    // The server takes its time with the commit, and meanwhile the connection ends.
    disturbed.server.sql(
        "ledgers",
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON tamis_ledger.records
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(ledger.open(&disclosure(1))));
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("it is committing", || disturbed.server.sql("ledgers", asleep) == "1");
        disturbed.proxy.stall();
        eventually("it is done there", || records(&disturbed.server) == "2|2");
        disturbed.server.sql("ledgers", "DROP TRIGGER slow ON tamis_ledger.records");
        assert!(waiting.join().expect("no panic").is_err(), "nobody was told");
    });
    disturbed.proxy.turn_to(disturbed.server.port);
    disturbed.proxy.go_on();
    eventually("it is written again", || enters(&ledger));
    drop(ledger);
    let place = disturbed.chain_on(&disturbed.server);
    assert!(entered(&place).is_empty());
    let folder = super::exported(&place);
    let text = all_lines(&folder.path().join("ledger")).join("\n");
    assert!(text.contains("\"kind\":\"recovery\""), "{text}");
}

#[test]
fn an_empty_or_older_server_is_not_written_and_the_right_one_is_gone_on_with() {
    let disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    assert!(enters(&ledger));
    let older = disturbed.server.copy();
    assert!(enters(&ledger));
    let empty = Server::start();
    drop(Scene::on(&empty, "ledgers"));
    // Both authorities, as where one authority signs for all servers.
    let both: String = [disturbed.server.authority(), empty.authority()]
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("readable"))
        .collect();
    drop(ledger);
    let both_file = disturbed.scene.seat.path().join("both.pem");
    std::fs::write(&both_file, both).expect("written");
    let settings = ServerSettings { ca: Some(both_file), ..disturbed.settings.clone() };
    let ledger = open(&settings).expect("goes on");

    for (what, other, holds) in [("older", &older, "1|1"), ("empty", &empty, "0|")] {
        disturbed.proxy.turn_to(other.port);
        let error = block_on(ledger.open(&disclosure(1))).expect_err(what);
        eventually("it is told", || {
            let told = ledger.writable().map_err(|error| error.to_string());
            told.is_err_and(|told| told.contains("acknowledged are missing there"))
        });
        assert!(!error.to_string().is_empty());
        assert!(!enters(&ledger), "{what}: nothing is disclosed");
        assert_eq!(records(other), holds, "{what}: nothing is written");

        disturbed.proxy.turn_to(disturbed.server.port);
        eventually("the right one is back", || enters(&ledger));
    }
    drop(ledger);
    // Nor does a gateway that is started anew believe them.
    for (what, other) in [("older", &older), ("empty", &empty)] {
        disturbed.proxy.turn_to(other.port);
        let refused = open(&settings).err().expect(what);
        assert!(refused.contains("missing there"), "{what}: {refused}");
        assert_ne!(records(other), records(&disturbed.server), "{what}");
    }
    disturbed.proxy.turn_to(disturbed.server.port);
    let ledger = open(&settings).expect("goes on");
    assert!(enters(&ledger));
    drop(ledger);
    verify(disturbed.chain_on(&disturbed.server), None).expect("whole");
}

#[test]
fn a_server_that_takes_no_writes_or_is_full_ends_disclosures_until_it_takes_them() {
    let disturbed = Disturbed::new();
    let ledger = open(&disturbed.settings).expect("opens");
    assert!(enters(&ledger));
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON tamis_ledger.records
        FOR EACH STATEMENT EXECUTE FUNCTION full_disk()";
    let read_only = "ALTER DATABASE ledgers SET default_transaction_read_only = on;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway'";
    for (what, disturb, mend) in [
        ("full", full, "DROP TRIGGER full_disk ON tamis_ledger.records"),
        (
            "read-only",
            read_only,
            "SET transaction_read_only = off;
          ALTER DATABASE ledgers RESET default_transaction_read_only",
        ),
    ] {
        disturbed.server.sql("ledgers", disturb);
        eventually(what, || !enters(&ledger));
        assert!(block_on(ledger.open(&disclosure(1))).is_err(), "{what}");
        disturbed.server.sql("ledgers", mend);
        eventually("it is written again", || enters(&ledger));
    }
    drop(ledger);
    assert!(entered(&disturbed.chain_on(&disturbed.server)).is_empty());
}
