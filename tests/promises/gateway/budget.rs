//! `subjects_per_hour`: of how many people a recipient is told within an hour.

use std::sync::Arc;

use tokio::sync::Notify;

use super::backend::{Reply, json};
use super::stage::{Answer, Stage, changed, until};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// The rules under which courier and partner may be told of so many people within an hour.
pub(super) fn of(most: u32) -> String {
    let with = format!("subjects_per_hour: {most},");
    changed(
        RULES,
        &[
            ("courier: {role: processor,", &format!("courier: {{role: processor, {with}")),
            ("partner: {role: third-party,", &format!("partner: {{role: third-party, {with}")),
        ],
    )
}

fn person(id: &str) -> Reply {
    json(&format!(r#"{{"id":"{id}","name":"Testina {id}"}}"#))
}

fn list(people: impl Iterator<Item = usize>) -> String {
    let people: Vec<String> =
        people.map(|n| format!(r#"{{"id":"u{n}","name":"Testina {n}"}}"#)).collect();
    people.join(",")
}

async fn stage(most: u32) -> Stage {
    let stage = Stage::with_rules(&of(most)).await;
    for id in ["u1", "u2", "u3", "u4"] {
        stage.backend.says(&format!("/people/{id}"), person(id));
    }
    stage
}

fn is_used_up(answer: &Answer) {
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.headers["retry-after"].to_str().expect("a number").parse().expect("one");
    assert!((1..=3600).contains(&wait), "{wait}");
    let body = answer.body.as_deref().unwrap_or_default();
    assert!(body.contains("/problems/subject-budget") && !body.contains("Testina"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_is_told_of_no_more_people_than_its_rules_allow() {
    let stage = stage(2).await;
    for _ in 0..2 {
        for id in ["u1", "u2"] {
            let path = format!("/people/{id}");
            assert_eq!(stage.ask("courier", &path).await.status, 200, "the same two again");
        }
    }
    stage.backend.asked();
    is_used_up(&stage.ask("courier", "/people/u3").await);
    is_used_up(&stage.ask("courier", "/people").await);
    assert_eq!(stage.backend.asked(), Vec::<String>::new(), "nobody was asked");
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200, "it may go on about those");
    assert_eq!(stage.ask("desk", "/people/u3").await.status, 200, "others have no budget");
    let ledger = stage.ledger();
    assert_eq!(ledger.matches("\"reason\":\"subject-budget\"").count(), 2, "{ledger}");
    let counted = "tamis_subject_budget_used_up_total{recipient=\"courier\"} 2";
    assert!(stage.metrics().contains(counted), "{}", stage.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_learned_of_anybody_once_the_budget_is_used_up() {
    let stage = stage(2).await;
    let digest =
        tamis::policy::Policy::parse("rules", &of(2)).expect("it loads").purposes["share.partner"]
            .text_digest;
    for id in ["u1", "u2", "u3"] {
        stage.record(&format!(
            r#"{{"id":"con_{id}","subject":"{id}","purpose":"share.partner","recipients":["partner"],
                "purpose_text_digest":"{digest}","status":"given","given_at":"2026-01-01T00:00:00Z"}}"#
        ));
    }
    // Whoever has not consented or is not there takes nothing of the budget.
    for id in ["u4", "nobody", "u4", "nobody-else"] {
        let answer = stage.ask("partner", &format!("/people/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
    }
    for id in ["u1", "u2"] {
        assert_eq!(stage.ask("partner", &format!("/people/{id}")).await.status, 200, "{id}");
    }
    // Consented, not consented, not there: all the same now.
    for id in ["u3", "u4", "nobody"] {
        is_used_up(&stage.ask("partner", &format!("/people/{id}")).await);
    }
    // Nor if they are asked about while the last place is held.
    let stage = Stage::limited(&of(1), "concealed_after: 1ms").await;
    let go = Arc::new(Notify::new());
    let Reply::Bytes(whole) = person("u1") else { unreachable!() };
    stage.backend.says("/people/u1", Reply::InTwo(Vec::new(), Arc::clone(&go), whole));
    stage.backend.says("/people/u2", person("u2"));
    let first = async { stage.ask("courier", "/people/u1").await };
    let others = async {
        until("the backend is asked", || !stage.backend.asked().is_empty()).await;
        for id in ["u2", "nobody"] {
            is_used_up(&stage.ask("courier", &format!("/people/{id}")).await);
        }
        go.notify_one();
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_more_people_is_refused_or_breaks_off_before_them() {
    let stage = stage(3).await;
    stage.backend.says("/people", json(&format!(r#"{{"people":[{}]}}"#, list(1..5))));
    is_used_up(&stage.ask("courier", "/people").await);
    stage.backend.says("/people", json(&format!(r#"{{"people":[{}]}}"#, list(1..4))));
    assert_eq!(stage.ask("courier", "/people").await.status, 200, "none of the four was counted");

    // A long one breaks off where it would go beyond.
    let stage = Stage::limited(&of(4000), "concealed_after: 1ms").await;
    let go = Arc::new(Notify::new());
    let body = format!(r#"{{"people":[{},"#, list(0..4000));
    let rest = format!("{}]}}", list(4000..6000));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len() + rest.len()
    );
    stage.backend.says("/people", Reply::InTwo(head.into(), Arc::clone(&go), rest.into()));
    go.notify_one();
    let answer = stage.ask("courier", "/people").await;
    assert_eq!(
        (answer.status.as_u16(), answer.body),
        (200, None),
        "it can be told from a whole one"
    );
    let directory = stage.stopped().await;
    let ledger = std::fs::read_to_string(directory.path().join("ledger/000001.jsonl"));
    let ledger = ledger.expect("the ledger has begun");
    assert!(ledger.contains("\"subject-budget\""), "{ledger}");
}
