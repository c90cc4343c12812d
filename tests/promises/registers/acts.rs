//! What a person said and did, act by act: nothing that was taken back is left out.

use serde_json::Value;

use super::*;

pub(super) fn every_act_of_a_person_is_told_with_its_proof_and_nobody_elses(kind: Kind) {
    let store = Store::new(kind);
    store.take(
        r#"{"id":"con_1","subject":"u1","purpose":"share.partner","recipients":["courier"],
            "notice":{"ref":"notice-12"},"method":"web-form","source":"app",
            "events":[{"at":"2026-01-01T09:00:00Z","status":"given"},
            {"at":"2026-01-02T09:00:00Z","status":"refused"}]}"#,
    );
    store.take(&consent("con_other", &[GIVEN]).replace("u1", "u2"));
    store.registers.withdraw(&person("u1"), &PurposePattern::new("share.*"), None).expect("taken");
    store.take(
        r#"{"kind":"objection","subject":"u1","purpose":"marketing.*","channel":"email",
            "since":"2026-01-02T00:00:00Z"}"#,
    );
    let marketing = PurposePattern::new("marketing.*");
    store.registers.lift_objection(&person("u1"), &marketing).expect("taken");
    store.take(
        r#"{"kind":"dispute","subject":"u1","categories":["contact.email"],
            "since":"2026-01-03T00:00:00Z"}"#,
    );
    store.registers.resolve_disputes(&person("u1"), None).expect("taken");
    store.take(
        r#"{"kind":"one-time-grant","id":"g-1","subject":"u1","purpose":"portability",
            "recipient":"bank","granted_at":"2026-01-04T00:00:00Z"}"#,
    );
    let decision = tamis::terms::DecisionId::from("d-1");
    assert!(store.registers.use_grants(&["g-1".into()], &decision).expect("available"));

    let acts = store.registers.acts_of(&person("u1")).expect("available");
    let word = |act: &Value, name: &str| act[name].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<String> =
        acts.iter().map(|act| word(act, "register") + " " + &word(act, "change")).collect();
    assert_eq!(told[0], "objection recorded", "the oldest first: {told:?}");
    told.sort();
    assert_eq!(
        told,
        [
            "consent given",
            "consent recorded",
            "consent refused",
            "consent withdrawn",
            "dispute lifted",
            "dispute recorded",
            "objection lifted",
            "objection recorded",
            "one-time-grant recorded",
            "one-time-grant used",
        ]
    );
    let times: Vec<Timestamp> =
        acts.iter().map(|act| word(act, "at").parse().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let consent = acts.iter().find(|act| act["id"] == "con_1" && act["change"] == "recorded");
    let evidence = &consent.expect("there")["evidence"];
    assert_eq!(evidence["notice"]["ref"], "notice-12");
    assert_eq!(evidence["method"], "web-form");
    assert!(!Value::Array(acts).to_string().contains("con_other"), "another's");
    assert!(store.registers.acts_of(&person("nobody")).expect("available").is_empty());
}
