//! Spellings of an id: what somebody has said cannot be gone round by writing their id in another way,
//! whatever a backend makes of it.

use super::backend::json;
use super::stage::Stage;

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

/// Other ways to write 42 and u1, percent-encoded where they must be.
const OTHERS: [&str; 17] = [
    "042",
    "0042",
    "+42",
    "42.0",
    "42.",
    "4.2e1",
    "42e0",
    "0x2a",
    "0x2A",
    "4_2",
    "%2042",
    "42%20",
    "42%C2%A0",
    "%EF%BC%94%EF%BC%92",
    "42%E2%80%8B",
    "U1",
    "u%EF%BC%91",
];

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_an_id_is_nobody_and_the_backend_is_not_asked() {
    let stage = Stage::with_rules(RULES).await;
    for id in ["42", "u1"] {
        stage.record(&format!(
            r#"{{"kind":"erasure","subject":"{id}","requested_at":"2026-01-01T00:00:00Z"}}"#
        ));
        stage.backend.says(&format!("/people/{id}"), json(r#"{"id":"7","name":"CANARY"}"#));
        // Who is inside is told that there is somebody.
        assert_eq!(stage.ask("desk", &format!("/people/{id}")).await.status, 403);
    }
    for other in OTHERS {
        let path = format!("/people/{other}");
        stage.backend.says(&path, json(r#"{"id":"42","name":"CANARY"}"#));
        stage.backend.asked();
        let answer = stage.ask("desk", &path).await;
        assert_eq!(answer.status, 404, "{other}");
        assert_eq!(stage.backend.asked(), Vec::<String>::new(), "{other}");
    }
    // Who says that the backend takes ids as they are written is taken at their word.
    let rules = RULES.replace("registers:\n", "registers:\n  ids: exact\n");
    let stage = Stage::with_rules(&rules).await;
    stage.backend.says("/people/U1", json(r#"{"id":"U1","name":"Testina"}"#));
    assert_eq!(stage.ask("desk", "/people/U1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_whose_id_is_spelt_otherwise_stays_away() {
    let stage = Stage::with_rules(RULES).await;
    stage.record(r#"{"kind":"erasure","subject":"42","requested_at":"2026-01-01T00:00:00Z"}"#);
    let spelt =
        ["\"042\"", "\"+42\"", "\"42.0\"", "42", "\"４２\"", "\"U1\"", "\" 42\"", "\"0x2a\""];
    let others = spelt.map(|id| format!(r#"{{"id":{id},"name":"CANARY"}}"#)).join(",");
    let list = format!(r#"{{"people":[{others},{{"id":43,"name":"Testina"}}]}}"#);
    stage.backend.says("/people", json(&list));
    let answer = stage.ask("desk", "/people").await;
    assert_eq!(answer.body.as_deref(), Some(r#"{"people":[{"id":43,"name":"Testina"}]}"#));
}
