//! Backends that are down, the end, and what is left behind.

use std::fs;

use tamis::config::Config;
use tamis::gateway::{Gateway, StartError};
use tamis::keys::NoteSigner;
use tamis::ledger::{Checkpoint, kept_notes, verify};

use super::TESTINA;
use super::backend::{Reply, json};
use super::stage::{HOST, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_down_is_a_bad_gateway() {
    let mut stage = Stage::set().await;
    let elsewhere = super::backend::Backend::start().await;
    // The one the gateway knows goes away.
    drop(std::mem::replace(&mut stage.backend, elsewhere));
    let answer = stage.ask("courier", "/people/u1").await;
    assert_eq!(answer.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_finish_and_no_others_begin() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let idle = stage.connect(Some("courier"), HOST, Some(b"http/1.1")).await;
    assert!(idle.is_ok());
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    let address = stage.running.addresses.https;
    let (log, running) = (stage.path("access.log"), stage.running);
    assert_eq!(running.stop().await, 0, "nothing was cut off");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
    let log = fs::read_to_string(log).expect("written");
    assert!(log.contains("GET /people/{id}") && !log.contains("u1"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_person_is_left_in_the_access_log() {
    let stage = Stage::set().await;
    stage.backend.says("/people/CANARY", json(TESTINA));
    stage.backend.says("/people/slow", Reply::Stall(Vec::new()));
    for target in ["/people/CANARY", "/people/CANARY?lang=CANARY", "/CANARY", "/people/slow"] {
        stage.ask("courier", target).await;
    }
    let (path, running) = (stage.path("access.log"), stage.running);
    running.stop().await;
    let log = fs::read_to_string(path).expect("written");
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(!log.contains("CANARY") && !log.contains("127.0.0.1"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_consents_from_the_file_that_its_rules_name() {
    let rules = include_str!("../../cases/gateway.rules.yaml");
    let rules =
        rules.replace("from: api, max_staleness", "from: {file: consents.ndjson}, max_staleness");
    let policy = tamis::policy::Policy::parse("rules.yaml", &rules).expect("it loads");
    let digest = policy.purposes["share.partner"].text_digest;
    let given = format!(
        "{{\"id\":\"con_1\",\"subject\":\"u1\",\"purpose\":\"share.partner\",\
         \"purpose_text_digest\":\"{digest}\",\"recipients\":[\"partner\"],\"status\":\"given\",\
         \"given_at\":\"2026-01-01T00:00:00Z\"}}\n"
    );
    let stage = Stage::embedded(&rules, &[("consents.ndjson", &given)]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 200);
    stage.backend.says("/people/u2", json(TESTINA));
    assert_eq!(stage.ask("partner", "/people/u2").await.status, 404);

    // A file that cannot be read stops what rests on consent, and nothing else.
    let stage = Stage::embedded(&rules, &[("consents.ndjson", &(given + "{}\n"))]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 404);
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    assert!(stage.ledger().contains("\"reason\":\"consent-unknown\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_promise_checkpoints_are_served_with_a_key_that_signs_to_the_end() {
    let stage = Stage::set().await;
    let rules = fs::read_to_string(stage.path("rules.yaml")).expect("ours");
    fs::write(stage.path("rules.yaml"), format!("{rules}\nledger: {{checkpoint: 5m}}\n"))
        .expect("ours");
    let text = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let text = format!("{text}ledger: signed\nregisters: signed.sqlite\n");
    let load = |text: &str| {
        fs::write(stage.path("signed.yaml"), text).expect("ours");
        Config::load(&stage.path("signed.yaml")).expect("a configuration of ours")
    };
    let refused = Gateway::start(load(&text)).await.err().expect("no key, no start");
    assert!(matches!(refused, StartError::NoCheckpointKey), "{refused}");

    let name = "ledger.example.invalid/gw-1";
    let signer = NoteSigner::generate(&stage.path("ledger.key"), name).expect("makes a key");
    let running = Gateway::start(load(&format!("{text}checkpoint_key: ledger.key\n")))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    running.stop().await;
    let place = stage.path("signed");
    let found = verify(&place, None).expect("whole");
    let notes = kept_notes(&place).expect("readable");
    let key = signer.key();
    let last = Checkpoint::parse(key.open(notes.notes.last().expect("one")).expect("signed"));
    assert_eq!(last.expect("a checkpoint").size, found.records, "all that was entered");
    assert!(found.records > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_ask_for_tls_towards_backends_do_not_start_without() {
    const RULES: &str = include_str!("../../cases/gateway.rules.yaml");
    let required = RULES.replace("tls: {hsts: 1y}", "tls: {hsts: 1y, upstream: required}");
    assert_ne!(required, RULES);
    // What stays on this machine is overheard by nobody.
    let stage = Stage::with_rules(&required).await;
    let config = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let loopback = format!("'http://{}'", stage.backend.address);
    let elsewhere = "'http://people.example.invalid', dangerous_plaintext: true";
    let overheard = config.replace(&loopback, elsewhere);
    assert_ne!(overheard, config);
    let stores = overheard.replacen("key_ring", "registers: others\nledger: other\nkey_ring", 1);
    fs::write(stage.path("other.yaml"), stores).expect("writable");
    let config = Config::load(&stage.path("other.yaml")).expect("it is said to be dangerous");
    let started = Gateway::start(config).await;
    assert!(matches!(started, Err(StartError::PlaintextUpstream(_))), "{:?}", started.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_ask_for_tls_1_3_end_the_handshakes_of_others() {
    const RULES: &str = include_str!("../../cases/gateway.rules.yaml");
    for (rules, reached) in
        [(RULES.to_owned(), true), (RULES.replace("hsts: 1y", "min: \"1.3\""), false)]
    {
        let stage = Stage::with_rules(&rules).await;
        assert!(stage.connect(Some("desk"), HOST, None).await.is_ok(), "TLS 1.3 is always spoken");
        assert_eq!(stage.speaks_tls_1_2().await, reached);
    }
}
