//! Where people are, as the answer says: data leave only by a mechanism from there, and nothing
//! leaves before it was read.

use super::backend::json;
use super::stage::{Stage, changed};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

/// The rules with a transfer table that asks the answers too.
fn rules() -> String {
    let with = [
        (
            "    subjects: {person: \"path:id\"}\n    fields: {\"$.id\": account.id, \"$.name\"",
            "    subjects: {person: \"path:id\"}\n    region: \"$.at.country\"\n    fields: {\"$.id\": account.id, \"$.name\"",
        ),
        (
            "    subjects: {payer: \"@.payer\", payee: \"@.payee.id\"}\n",
            "    subjects: {payer: \"@.payer\", payee: \"@.payee.id\"}\n    region: {payer: \"@.from\", payee: \"@.payee.country\"}\n",
        ),
        (
            "registers:\n",
            "transfers:\n  region_of_subject: {from: [route.region, directory], unknown: EEA}\n  allowed_countries: [EEA]\n  table: [{from: [\"HK\", EEA], to: EEA, by: adequacy}]\n  otherwise: refuse\nregisters:\n",
        ),
    ];
    changed(RULES, &with)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_in_the_answer_decides_together_with_the_directory() {
    let stage = Stage::with_rules(&rules()).await;
    for (person, region) in [("u2", "DE"), ("u3", "BR")] {
        stage.record(&format!(
            r#"{{"kind":"subject","subject":"{person}","age":"adult","region":"{region}"}}"#
        ));
    }
    let cases = [
        ("u1", r#""at":{"country":"HK"},"#, 200),
        ("u1", r#""at":{"country":"hk"},"#, 200),
        ("u1", r#""at":{"country":"BR"},"#, 403),
        ("u1", r#""at":{"country":"Hong Kong"},"#, 403),
        ("u1", r#""at":{"country":7},"#, 403),
        ("u1", r#""at":{"country":"HK","country":"DE"},"#, 403),
        // No word at all: a backend that tells it otherwise than it did says nothing to rely on.
        ("u1", r#""at":{"country":["BR"]},"#, 403),
        ("u1", r#""at":{"country":{"code":"BR"}},"#, 403),
        ("u1", r#""at":{"country":true},"#, 403),
        ("u1", r#""at":{"country":1.5},"#, 403),
        ("u1", r#""at":{"country":""},"#, 200),
        // It says nothing: the rules' `unknown` is in force.
        ("u1", r#""at":{"country":null},"#, 200),
        ("u1", "", 200),
        ("u2", r#""at":{"country":"HK"},"#, 200),
        ("u2", r#""at":{"country":"BR"},"#, 403),
        ("u3", r#""at":{"country":"HK"},"#, 403),
    ];
    for (person, member, status) in cases {
        // The name comes first: it may not leave before the region was read.
        let answer = format!(r#"{{"id":"{person}","name":"CANARY",{member}"end":1}}"#);
        stage.backend.says(&format!("/people/{person}"), json(&answer));
        let answer = stage.ask("desk", &format!("/people/{person}")).await;
        assert_eq!(answer.status, status, "{person} {member}");
        let body = answer.body.expect("whole");
        assert_eq!(body.contains("CANARY"), status == 200, "{person} {member} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_person_of_an_element_has_a_region_of_their_own() {
    let stage = Stage::with_rules(&rules()).await;
    let payments = r#"{"payments":[
        {"payer":"u1","amount":1,"from":"DE","payee":{"id":"u2","name":"A","country":"HK"}},
        {"payer":"u1","amount":2,"from":"BR","payee":{"id":"u2","name":"CANARY","country":"HK"}},
        {"payer":"u1","amount":3,"from":"DE","payee":{"id":"u2","name":"CANARY","country":"BR"}}]}"#;
    stage.backend.says("/payments", json(payments));
    let body = stage.ask("desk", "/payments").await.body.expect("whole");
    let expected = r#"{"payments":[{"payer":"u1","amount":1,"payee":{"id":"u2","name":"A"}}]}"#;
    assert_eq!(body.replace(['\n', ' '], ""), expected);
}
