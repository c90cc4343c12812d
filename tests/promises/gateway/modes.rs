//! Routes that are not in force yet: judged and counted, and nothing of them leaves.

use super::backend::json;
use super::stage::{Stage, request};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

const U1: &str =
    r#"{"id":"u1","name":"CANARY Musterfrau","email":"CANARY@example.invalid","secret":"CANARY"}"#;

const PEOPLE: &str = r#"{"total":2,"people":[{"id":"u1","name":"CANARY"},{"id":"u2","name":"CANARY","health":"CANARY"}]}"#;

/// The rules with `GET /people` in a mode, and so `GET /people/{id}` and `PUT /people/{id}`.
async fn stage(mode: &str) -> Stage {
    let mut rules = RULES.to_owned();
    for route in ["GET /people/{id}\n", "GET /people\n", "PUT /people/{id}\n"] {
        assert!(rules.contains(route), "{route}");
        rules = rules.replacen(route, &format!("{route}    mode: {mode}\n"), 1);
    }
    let stage = Stage::with_rules(&rules).await;
    stage.backend.says("/people/u1", json(U1));
    stage.backend.says("/people", json(PEOPLE));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_an_answer_is_measured_and_nothing_of_it_leaves() {
    let stage = stage("shadow").await;
    for target in ["/people/u1", "/people"] {
        let answer = stage.ask("desk", target).await;
        assert_eq!(answer.status, 403, "{target}");
        let body = answer.body.expect("whole");
        assert!(body.contains("not-in-force") && !body.contains("CANARY"), "{body}");
        assert!(!format!("{:?}", answer.headers).contains("CANARY"));
    }
    assert_eq!(stage.backend.asked().len(), 2, "the backend was asked");
    let metrics = stage.metrics();
    for line in [
        r#"tamis_observed_total{mode="shadow",outcome="changed",route="GET /people/{id}"} 1"#,
        r#"tamis_observed_total{mode="shadow",outcome="changed",route="GET /people"} 1"#,
        r#"tamis_observed_parts_total{effect="removed",route="GET /people/{id}"} 2"#,
        r#"tamis_observed_parts_total{effect="removed",route="GET /people"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("CANARY") && !metrics.contains("u1"));
    assert!(!stage.ledger().contains("\"open\""), "nothing was disclosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_and_counted_in_every_mode() {
    for mode in ["observe", "shadow"] {
        let stage = stage(mode).await;
        stage.record(r#"{"kind":"erasure","subject":"u1","requested_at":"2026-01-01T00:00:00Z"}"#);
        let answer = stage.ask("desk", "/people/u1").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.expect("whole").contains("erased"));
        let line = format!(
            r#"tamis_observed_total{{mode="{mode}",outcome="refused",route="GET /people/{{id}}"}} 1"#
        );
        let metrics = stage.metrics();
        assert!(metrics.contains(&line), "{line}\n{metrics}");
        assert_eq!(stage.backend.asked(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_observe_asks_no_backend_and_to_measure_writes_nothing() {
    let observed = stage("observe").await;
    assert_eq!(observed.ask("desk", "/people/u1").await.status, 403);
    assert_eq!(observed.backend.asked(), Vec::<String>::new());
    let line =
        r#"tamis_observed_total{mode="observe",outcome="permitted",route="GET /people/{id}"} 1"#;
    assert!(observed.metrics().contains(line));

    let shadowed = stage("shadow").await;
    let (mut parts, body) = request("PUT", "/people/u1", &[("content-type", "application/json")])
        .map(|_| http_body_util::Full::new(bytes::Bytes::from(r#"{"email":"x"}"#)))
        .into_parts();
    parts.version = http::Version::HTTP_11;
    let answer = shadowed.send(Some("desk"), http::Request::from_parts(parts, body)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(shadowed.backend.asked(), Vec::<String>::new(), "a write is not done twice");
    let line =
        r#"tamis_observed_total{mode="shadow",outcome="permitted",route="PUT /people/{id}"} 1"#;
    assert!(shadowed.metrics().contains(line));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mode_and_with_the_last_one_answers_leave() {
    for stage in [stage("enforce").await, Stage::with_rules(RULES).await] {
        stage.backend.says("/people/u1", json(U1));
        assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
        assert!(!stage.metrics().contains("tamis_observed_total{"));
    }
}
