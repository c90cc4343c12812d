//! The index of data subjects that the gateways on a server share.

use std::sync::Arc;

use jiff::Timestamp;
use tamis::keys::KeyRing;
use tamis::ledger::{
    ChainLedger, Concerned, Disclosure, IndexKey, LastAccount, Ledger as _, LedgerServer,
    SubjectIndex, about,
};
use tamis::observe::Metrics;
use tamis::terms::{DataSubject, Personal};
use tempfile::tempdir;

use super::super::server::shared;
use super::{Scene, block_on, disclosure};

fn person(id: &str) -> DataSubject {
    Personal::new(id.into())
}

fn keys(ring: &KeyRing) -> Vec<IndexKey> {
    ring.index_keys().into_iter().map(|(rows, secrets)| IndexKey { rows, secrets }).collect()
}

fn gateway(scene: &Scene, node: &str, ring: &KeyRing) -> (ChainLedger, Arc<SubjectIndex>) {
    let settings = scene.settings(shared(), shared().port, node);
    let server = LedgerServer::open(&settings).expect("settings");
    let index = Arc::new(SubjectIndex::on_server(&server, keys(ring)).expect("keys"));
    let ledger = ChainLedger::open_on_server(&server, &settings, Arc::new(Metrics::new()), None);
    (ledger.expect("opens").with_index(Arc::clone(&index)), index)
}

fn told_to(recipient: &str, ids: &[&str]) -> Disclosure {
    let people = Concerned {
        role: "person".into(),
        categories: vec![("contact.email".into(), "keep".into())],
        people: ids.iter().map(|id| person(id)).collect(),
    };
    Disclosure { recipient: recipient.into(), people: vec![people], ..disclosure(1) }
}

#[test]
fn what_one_person_is_told_comes_from_every_gateway_by_time_and_an_erasure_ends_it_everywhere() {
    let scene = Scene::new("ledger_people");
    let folder = tempdir().expect("a folder");
    let ring = KeyRing::generate(&folder.path().join("keys")).expect("a ring");
    let (first, index) = gateway(&scene, "gw-1", &ring);
    let (second, index_of_second) = gateway(&scene, "gw-2", &ring);
    for (ledger, recipient, ids) in [
        (&second, "courier", &["CANARY-1", "CANARY-2"][..]),
        (&first, "mailer", &["CANARY-1"]),
        (&second, "partner", &["CANARY-1"]),
    ] {
        block_on(ledger.open(&told_to(recipient, ids))).expect("durable");
        // Times in records are of milliseconds.
        let now = || Timestamp::now().as_millisecond();
        let before = now();
        super::super::server::eventually("the next millisecond", || now() > before);
    }
    for ledger in [&first, &second] {
        let told = block_on(ledger.about(&person("CANARY-1"))).expect("readable");
        let all: Vec<(&str, &str)> =
            told.disclosures.iter().map(|one| (&*one.recipient, &*one.node)).collect();
        assert_eq!(all, [("courier", "gw-2"), ("mailer", "gw-1"), ("partner", "gw-2")]);
        let nodes: Vec<&str> = told.up_to.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(nodes, ["gw-1", "gw-2"]);
    }
    assert!(!scene.sql("SELECT string_agg(line, '') FROM tamis_ledger.records").contains("CANARY"));
    assert!(
        !scene
            .sql("SELECT string_agg(row || secret, '') FROM tamis_ledger.secrets")
            .contains("CANARY")
    );

    // Both settle the erasure: whom to tell of it is kept once, and nobody finds the person any more.
    let now = Timestamp::now();
    let told = block_on(first.about(&person("CANARY-1"))).expect("readable");
    let last = LastAccount::of(&told, now);
    assert!(index.shred(&person("CANARY-1"), last.as_ref()).expect("written"));
    assert!(!index_of_second.shred(&person("CANARY-1"), last.as_ref()).expect("nothing left"));
    for index in [&index, &index_of_second] {
        assert!(!index.knows(&person("CANARY-1")).expect("readable"));
        let kept = index.last_accounts(&person("CANARY-1"), now).expect("readable");
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].recipients.len(), 3);
    }
    // The other gateway had the secret in memory, and makes no tag of it any more.
    let before = scene.sql("SELECT line FROM tamis_ledger.records WHERE node = 'gw-2' AND seq = 2");
    block_on(second.open(&told_to("partner", &["CANARY-1"]))).expect("durable");
    let after = scene.sql("SELECT line FROM tamis_ledger.records WHERE node = 'gw-2' AND seq = 3");
    let tag = |line: &str| line.split("\"t_").nth(1).expect("a tag")[..32].to_owned();
    assert_ne!(tag(&before), tag(&after));
    let told = about(second.place(), &index, &person("CANARY-2"), now).expect("readable");
    assert_eq!(told.disclosures.len(), 1, "nobody else is concerned");
}

#[test]
fn a_gateway_with_another_key_ring_has_no_part_in_the_index() {
    let scene = Scene::new("ledger_two_rings");
    let folder = tempdir().expect("a folder");
    let ring = |name: &str| KeyRing::generate(&folder.path().join(name)).expect("a ring");
    let (one, other) = (ring("one"), ring("other"));
    let (first, index) = gateway(&scene, "gw-1", &one);
    block_on(first.open(&told_to("mailer", &["CANARY-1"]))).expect("durable");
    let settings = scene.settings(shared(), shared().port, "gw-2");
    let server = LedgerServer::open(&settings).expect("settings");
    let refused = SubjectIndex::on_server(&server, keys(&other)).err().expect("another ring");
    assert!(refused.to_string().contains("another key ring"), "{refused}");
    assert!(SubjectIndex::on_server(&server, keys(&one)).is_ok(), "the same ring");
    // Nor has a running one, once its ring is exchanged.
    index.follow(keys(&other));
    assert!(block_on(first.open(&told_to("mailer", &["CANARY-1"]))).is_err());
    index.follow(keys(&one));
    assert!(block_on(first.open(&told_to("mailer", &["CANARY-1"]))).is_ok());
}

#[test]
fn the_same_new_people_on_two_gateways_at_once_get_one_secret_each() {
    let scene = Scene::new("ledger_same_people");
    let folder = tempdir().expect("a folder");
    let ring = KeyRing::generate(&folder.path().join("keys")).expect("a ring");
    let (first, _) = gateway(&scene, "gw-1", &ring);
    let (second, _) = gateway(&scene, "gw-2", &ring);
    let ids: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    let forth: Vec<&str> = ids.iter().map(String::as_str).collect();
    let back: Vec<&str> = forth.iter().rev().copied().collect();
    std::thread::scope(|scope| {
        for (ledger, ids) in [(&first, &forth), (&second, &back)] {
            scope.spawn(move || {
                for ids in ids.chunks(20) {
                    block_on(ledger.open(&told_to("mailer", ids))).expect("durable");
                }
            });
        }
    });
    assert_eq!(scene.sql("SELECT count(*) FROM tamis_ledger.secrets"), "300");
    for id in [&ids[0], &ids[150], &ids[299]] {
        let told = block_on(first.about(&person(id))).expect("readable");
        assert_eq!(told.disclosures.len(), 2, "{id}");
    }
}
