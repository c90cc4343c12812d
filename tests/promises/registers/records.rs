//! What the registers take in: records that say what cannot be are rejected.

use tamis::registers::{Record, RecordError};

use super::{GIVEN, consent};

#[test]
fn records_that_say_what_cannot_be_are_rejected_by_the_field_and_without_its_value() {
    let base = consent("con_1", &[GIVEN]);
    let with = |from: &str, to: &str| base.replacen(from, to, 1);
    let long = "x".repeat(1025);
    for (json, field) in [
        ("[]".into(), "not an object"),
        ("{".into(), "not JSON, or a member twice"),
        (with("\"id\"", "\"subject\":\"CANARY\",\"id\""), "not JSON, or a member twice"),
        (with("\"at\"", "\"at\":\"CANARY\",\"at\""), "not JSON, or a member twice"),
        (with("\"id\"", "\"CANARY\":1,\"id\""), "unknown member"),
        (with("\"at\"", "\"CANARY\":1,\"at\""), "unknown member"),
        (with("\"subject\":\"u1\",", ""), "subject"),
        (with("\"u1\"", "\"\""), "subject"),
        (with("\"u1\"", "7"), "subject"),
        (with("\"u1\"", &format!("\"{long}\"")), "subject"),
        (with("\"con_1\"", "{\"CANARY\":1}"), "id"),
        (with("share.partner", "share.*"), "purpose"),
        (with("share.partner", "CANARY@example.invalid"), "purpose"),
        (with("share.partner", ""), "purpose"),
        (with("[\"loyalty-partner\",\"courier\"]", "\"CANARY\""), "recipients"),
        (with("given", "CANARY"), "events.status"),
        (with("2026-01-01T00:00:00Z", "CANARY"), "at"),
        (with("\"id\"", "\"status\":\"withdrawn\",\"id\""), "status"),
        (with("\"id\"", "\"explicit\":\"CANARY\",\"id\""), "explicit"),
        (with("\"id\"", "\"purpose_text_digest\":\"CANARY\",\"id\""), "purpose_text_digest"),
        (with("\"id\"", "\"expires_at\":\"CANARY\",\"id\""), "expires_at"),
        (with("\"id\"", "\"notice\":{\"CANARY\":1,\"ref\":\"n\"},\"id\""), "unknown member"),
        (r#"{"kind":"CANARY"}"#.into(), "kind"),
        (r#"{"kind":"whim","id":"w-7"}"#.into(), "kind"),
        (r#"{"id":"c","subject":"u1","purpose":"p"}"#.into(), "status"),
        (r#"{"id":"c","subject":"u1","purpose":"p","status":"given"}"#.into(), "given_at"),
        (
            r#"{"kind":"restriction","subject":"u1","since":"2026-01-01T00:00:00Z"}"#.into(),
            "categories",
        ),
        (
            r#"{"kind":"restriction","subject":"u1","categories":["*"],
                "since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}"#
                .into(),
            "until",
        ),
        (r#"{"kind":"subject","subject":"u1","age":"CANARY"}"#.into(), "age"),
        (r#"{"kind":"objection","subject":"u1","purpose":"a..b","since":"2026-01-01T00:00:00Z"}"#.into(), "purpose"),
    ] {
        let error = Record::parse(json.as_bytes()).expect_err(&json);
        assert!(matches!(error, RecordError::Invalid(found) if found == field), "{json}: {error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
    }
}

#[test]
fn a_statement_does_not_print_whose_it_is() {
    let record = Record::parse(consent("con_1", &[GIVEN]).replace("u1", "CANARY").as_bytes());
    assert!(!format!("{record:?}").contains("CANARY"));
}
