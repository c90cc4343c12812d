//! Registers that many gateways share, at the wire: while they cannot be reached what rests on consent
//! stops and the rest goes on, and what was withdrawn meanwhile does not come back.

use std::time::{Duration, Instant};

use tamis::policy::Policy;
use tamis::registers::{PostgresSettings, Record, RegisterPlace, RegisterStore};
use tamis::terms::{Personal, PurposePattern};
use tempfile::tempdir;

use super::TESTINA;
use super::backend::json;
use super::stage::Stage;
use crate::postgres::proxy::Proxy;
use crate::postgres::server::{Database, shared};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// Asks again and again until the partner gets this status.
async fn partner_gets(stage: &Stage, status: u16) {
    let until = Instant::now() + Duration::from_mins(1);
    while stage.ask("partner", "/people/u1").await.status != status {
        assert!(Instant::now() < until, "never {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_consent_stops_while_registers_cannot_be_reached_and_the_rest_goes_on() {
    let (seat, aside) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let proxy = Proxy::to(shared().port);
    let database = Database::on(shared(), "at_the_wire", seat.path(), proxy.port);
    let beside = shared().settings("at_the_wire", aside.path(), shared().port);
    let beside = RegisterStore::postgres(&beside).expect("settings");
    let policy = Policy::parse("rules.yaml", RULES).expect("it loads");
    let digest = policy.purposes["share.partner"].text_digest;
    let given = format!(
        r#"{{"id":"con_1","subject":"u1","purpose":"share.partner","purpose_text_digest":"{digest}",
            "recipients":["partner"],"status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
    );
    beside.record(&Record::parse(given.as_bytes()).expect("a record")).expect("taken");

    let max_staleness = Duration::from_secs(1);
    let settings = PostgresSettings { max_staleness, ..database.settings };
    let stage = Stage::on(RULES, RegisterPlace::Postgres(settings)).await;
    stage.backend.says("/people/u1", json(TESTINA));
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 200);

    proxy.stall();
    partner_gets(&stage, 404).await;
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200, "rests on a contract");
    assert!(stage.ledger().contains("\"reason\":\"consent-unknown\""));
    let person = Personal::new("u1".into());
    let ended = beside.withdraw(&person, &PurposePattern::new("share.partner"), None);
    assert_eq!(ended.expect("taken"), 1);

    proxy.go_on();
    let until = Instant::now() + Duration::from_mins(1);
    while !stage.ledger().contains("\"reason\":\"consent-missing\"") {
        assert_eq!(stage.ask("partner", "/people/u1").await.status, 404, "old facts");
        assert!(Instant::now() < until, "never followed again");
    }
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
}
