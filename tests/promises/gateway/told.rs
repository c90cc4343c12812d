//! What backends are told of callers: what is configured, in the gateway's own words, and no claim of a
//! client.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use super::TESTINA;
use super::backend::json;
use super::stage::{HOST, Stage};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A request that claims to be somebody else's in every header there is for it.
async fn asked_of_backend(stage: &Stage, recipient: &str) -> String {
    stage.backend.says("/people/u1", json(TESTINA));
    let _ = stage.backend.asked();
    let claims = "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\n\
                  Tamis-Identity: CANARY\r\ntracestate: canary=1\r\nbaggage: canary=1";
    let text = format!(
        "GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n{claims}\r\ntraceparent: {TRACE}\r\n\
         Connection: close\r\n\r\n"
    );
    let got = stage.raw(recipient, text.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    let asked = stage.backend.asked().concat();
    for claim in ["198.51.100", "CANARY", "canary", "tracestate", "baggage"] {
        assert!(!asked.contains(claim), "{claim}: {asked}");
    }
    asked
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut found = head.lines().filter_map(|line| {
        let (named, value) = line.split_once(": ")?;
        named.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = found.next();
    assert_eq!(found.next(), None, "{name} once: {head}");
    value
}

#[tokio::test]
async fn by_default_a_backend_is_told_the_clients_network_and_nothing_else() {
    let stage = Stage::set().await;
    let asked = asked_of_backend(&stage, "courier").await;
    assert_eq!(value(&asked, "x-forwarded-for"), Some("127.0.0.0"));
    assert_eq!(value(&asked, "x-forwarded-proto"), Some("https"));
    for name in ["forwarded", "traceparent", "tamis-identity"] {
        assert_eq!(value(&asked, name), None, "{name}");
    }
}

#[tokio::test]
async fn an_address_is_told_as_far_as_it_is_configured() {
    for (word, address, by) in [("none", None, "unknown"), ("full", Some("127.0.0.1"), "127.0.0.1")]
    {
        let more = format!("forwarding: {{address: {word}, forwarded: true}}\n");
        let stage = Stage::embedded_with(RULES, &[], &more).await;
        let asked = asked_of_backend(&stage, "courier").await;
        assert_eq!(value(&asked, "x-forwarded-for"), address);
        let expected = format!("for={by};host=\"{HOST}\";proto=https");
        assert_eq!(value(&asked, "forwarded"), Some(&*expected));
    }
}

#[tokio::test]
async fn the_trace_of_a_third_party_ends_here_and_an_internal_one_goes_on() {
    let stage = Stage::embedded_with(RULES, &[], "forwarding: {trace: internal}\n").await;
    let asked = asked_of_backend(&stage, "desk").await;
    assert_eq!(value(&asked, "traceparent"), Some(TRACE));
    for (stage, recipient) in [
        (&stage, "courier"),
        (&Stage::embedded_with(RULES, &[], "forwarding: {trace: new}\n").await, "desk"),
    ] {
        let asked = asked_of_backend(stage, recipient).await;
        let trace = value(&asked, "traceparent").expect("one of its own");
        assert!(!trace.contains("0af7651916cd43dd8448eb211c80319c"), "{trace}");
        let decision = value(&asked, "x-request-id").expect("it is there");
        let number = decision.strip_prefix("d_").expect("a decision");
        assert_eq!(trace.split('-').nth(1), Some(number), "one is found by the other");
    }
}

#[tokio::test]
async fn who_asks_is_told_in_a_signed_token_for_one_backend() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("random bytes");
    let secret = pair.serialize_pem();
    let public = DecodingKey::from_ed_pem(pair.public_key_pem().as_bytes()).expect("a key");
    let files = [("identity.key", secret.as_str())];
    let more = "forwarding: {identity: {key: identity.key}}\n";
    let stage = Stage::embedded_with(RULES, &files, more).await;
    let asked = asked_of_backend(&stage, "courier").await;
    let token = value(&asked, "tamis-identity").expect("it is there");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["people"]);
    validation.set_issuer(&["tamis"]);
    let claims = decode::<Value>(token, &public, &validation).expect("signed by it").claims;
    assert_eq!(claims["recipient"], "courier");
    assert_eq!(claims["role"], "processor");
    assert_eq!(claims["purposes"], serde_json::json!(["service.parcel"]));
    assert_eq!(claims["jti"].as_str(), value(&asked, "x-request-id"));
    assert_eq!(claims.get("sub"), None, "nobody acts but the courier");
    let life = claims["exp"].as_i64().zip(claims["iat"].as_i64()).expect("times");
    assert_eq!(life.0 - life.1, 60);
    validation.set_audience(&["orders"]);
    assert!(decode::<Value>(token, &public, &validation).is_err(), "for no other backend");

    // The person who acts, only where it is said.
    for (person, more) in [
        (None, more.to_owned()),
        (Some("u1"), more.replace("identity.key}", "identity.key, person: true}")),
    ] {
        let stage = Stage::embedded_with(RULES, &files, &more).await;
        stage.backend.says("/people/u1", json(TESTINA));
        assert_eq!(stage.ask_as("u1", "GET", "/people/u1", None).await.status, 200);
        let asked = stage.backend.asked().concat();
        let token = value(&asked, "tamis-identity").expect("it is there");
        validation.set_audience(&["people"]);
        let claims = decode::<Value>(token, &public, &validation).expect("signed by it").claims;
        assert_eq!(claims.get("sub").and_then(Value::as_str), person);
        assert_eq!(claims["role"], "self");
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_or_that_is_none_stops_the_start() {
    let more = "forwarding: {identity: {key: identity.key}}\n";
    let refused =
        async |more: &str, files: &[(&str, &str)]| match Stage::try_embedded(RULES, files, more)
            .await
        {
            Ok(_) => panic!("it starts"),
            Err(error) => format!("{error:?}"),
        };
    let error = refused(more, &[("identity.key", "no key")]).await;
    assert!(error.contains("NotAKey"), "{error}");
    let error = refused(&more.replace("identity.key}", "rules.yaml}"), &[]).await;
    assert!(error.contains("Exposed"), "{error}");
}
