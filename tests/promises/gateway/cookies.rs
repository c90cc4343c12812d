//! Cookies pass by their class, and where one needs consent, by the word of who is signed in.

use tamis::policy::Policy;

use super::backend::answer;
use super::stage::{Stage, request};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

const SENT: &str = "session=s1; ads=CANARY; other=CANARY";

/// What `person` has said of cookies for advertising: a record, without its braces.
fn consent(stage: &Stage, person: &str, rest: &str) {
    let policy = Policy::parse("gateway.rules.yaml", RULES).expect("it loads");
    let digest = policy.purposes["cookies.advertising"].text_digest;
    stage.record(&format!(
        r#"{{"id":"c-{person}","subject":"{person}","purpose":"cookies.advertising",
            "purpose_text_digest":"{digest}",{rest}}}"#
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_needs_consent_passes_both_ways_for_who_is_signed_in_and_agreed() {
    let objects = "objection: {from: api, gpc: {objects_to: [cookies.advertising]}}";
    let rules = RULES.replace("objection: {from: api}", objects);
    assert_ne!(rules, RULES);
    let stage = Stage::with_rules(&rules).await;
    let given = r#""status":"given","given_at":"2026-01-01T00:00:00Z""#;
    for person in ["u1", "u2", "u3", "u4", "u5"] {
        consent(&stage, person, given);
    }
    stage
        .stores
        .registers
        .changing(|changing| changing.withdraw_consent("c-u2", jiff::Timestamp::now()))
        .expect("taken");
    for record in [
        r#"{"kind":"objection","subject":"u3","purpose":"cookies.*","since":"2026-01-02T00:00:00Z"}"#,
        r#"{"kind":"restriction","subject":"u4","categories":["*"],"since":"2026-01-02T00:00:00Z"}"#,
        r#"{"kind":"erasure","subject":"u5","requested_at":"2026-01-02T00:00:00Z","effective_at":"2026-01-02T00:00:00Z"}"#,
    ] {
        stage.record(record);
    }
    // What the answer is about says nothing of who is signed in.
    let body = br#"{"id":"u1","name":"Testina Musterfrau"}"#;
    let sets = "Content-Type: application/json\r\nSet-Cookie: session=s2; Path=/\r\n\
                Set-Cookie: ads=CANARY; SameSite=None\r\nSet-Cookie: other=CANARY\r\n";
    stage.backend.says("/people/u1", answer(sets, body));

    let cases = [
        (Some("u1"), &[][..], true),
        (Some("u1"), &[("sec-gpc", "1")], false),
        (Some("u2"), &[], false),
        (Some("u3"), &[], false),
        (Some("u4"), &[], false),
        (Some("u5"), &[], false),
        (Some("nobody-in-the-register"), &[], false),
        // A service is nobody who could have agreed.
        (None, &[], false),
    ];
    for (person, headers, passes) in cases {
        let bearer = person.map(|person| format!("Bearer {}", stage.token(person)));
        let mut headers: Vec<(&str, &str)> = headers.to_vec();
        headers.push(("cookie", SENT));
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let certificate = person.is_none().then_some("desk");
        let got = stage.send(certificate, request("GET", "/people/u1", &headers)).await;
        let asked = stage.backend.asked().concat();
        let sent =
            if passes { "cookie: session=s1; ads=CANARY\r\n" } else { "cookie: session=s1\r\n" };
        if person.is_none() || person == Some("u1") {
            assert_eq!(got.status, 200, "{person:?}");
            assert!(asked.contains(sent), "{person:?} {headers:?}: {asked}");
        }
        assert_eq!(asked.contains("CANARY"), passes, "{person:?} {headers:?}: {asked}");
        let answered: Vec<&str> = got
            .headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if passes {
            assert_eq!(
                answered,
                [
                    "session=s2; Path=/; Secure; HttpOnly; SameSite=Lax",
                    "ads=CANARY; Secure; SameSite=Lax"
                ]
            );
        }
        assert_eq!(
            answered.concat().contains("CANARY"),
            passes,
            "{person:?} {headers:?}: {answered:?}"
        );
    }
}
