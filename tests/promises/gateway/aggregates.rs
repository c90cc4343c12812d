//! Counts of groups at the wire: what a client gets, what is entered and counted, and that nothing of a
//! refused answer leaves.

use super::backend::json;
use super::stage::{Stage, changed};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

fn rules() -> String {
    let with = [
        ("categories:\n", "categories:\n  group.town: {}\n"),
        (
            "routes:\n",
            "routes:\n  - match: GET /towns\n    upstream: people\n    aggregate: {k: 20, round: 10, rows: \"$.towns[*]\", count: \"@.count\", forbid: [account.*]}\n    fields: {\"@.town\": group.town}\n    open: [\"@.count\"]\n",
        ),
        (
            "{to: [desk], for: [service], show: {",
            "{to: [desk], for: [service], show: {group.town: keep, ",
        ),
    ];
    changed(RULES, &with)
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_leave_without_the_small_ones_and_the_ledger_names_nobody() {
    let stage = Stage::with_rules(&rules()).await;
    let towns = r#"{"towns":[{"town":"Musterstadt","count":134},{"town":"CANARY","count":19}]}"#;
    stage.backend.says("/towns", json(towns));
    let got = stage.ask("desk", "/towns").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["tamis-aggregated"], "k=20, round=10");
    let expected = r#"{"towns":[{"town":"Musterstadt","count":130}]}"#;
    assert_eq!(got.body.as_deref(), Some(expected));

    let metrics = stage.metrics();
    assert!(
        metrics.contains("tamis_elements_dropped_total{reason=\"aggregate-guard\"} 1"),
        "{metrics}"
    );
    let kept = stage.stopped().await;
    let ledger = std::fs::read_to_string(kept.path().join("ledger/000001.jsonl"));
    let ledger = ledger.expect("the ledger has begun");
    assert!(ledger.contains("\"aggregated\":{\"k\":20}"), "{ledger}");
    assert!(ledger.contains("\"elements\":{\"dropped\":1,\"released\":1}"), "{ledger}");
    assert!(!ledger.contains("\"tags\"") && !ledger.contains("CANARY"), "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_answer_that_is_no_aggregate_nothing_leaves() {
    let stage = Stage::with_rules(&rules()).await;
    for (sent, kind) in [
        (r#"{"towns":[{"town":"Musterstadt","count":134,"id":"CANARY"}]}"#, "aggregate-member"),
        (r#"{"towns":[{"town":"CANARY@example.invalid","count":134}]}"#, "aggregate-personal"),
        (r#"{"towns":[{"town":"CANARY","count":"134"}]}"#, "aggregate-count"),
        (
            r#"{"towns":[{"town":"CANARY","count":34},{"town":"CANARY","count":35}]}"#,
            "aggregate-twice",
        ),
    ] {
        stage.backend.says("/towns", json(sent));
        let got = stage.ask("desk", "/towns").await;
        assert_eq!(got.status, 502, "{sent}");
        let body = got.body.expect("whole");
        assert!(body.contains("problems/aggregate-guard") && !body.contains("CANARY"), "{body}");
        assert!(stage.metrics().contains(kind), "{kind}");
    }
    // A question with one filter more is not asked.
    stage.backend.asked();
    assert_eq!(stage.ask("desk", "/towns?town=Musterstadt").await.status, 403);
    assert!(stage.backend.asked().is_empty());
}
