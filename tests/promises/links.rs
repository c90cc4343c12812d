//! Links in answers: the ids in them are treated as the rules say, and what is no link of a catalogued
//! route is removed, however the answer is cut.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use tamis::decide::{Caller, Facts, KnownSubject, RouteMatch, decide};
use tamis::gateway::minimizing::Minimizing;
use tamis::keys::KeyRing;
use tamis::minimize::JsonLimits;
use tamis::minimize::link::Origins;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{DataSubject, Personal, Statements};

const RULES: &str = include_str!("../cases/links.rules.yaml");
const KEY: &str = "1: 62d56a0c0305e05fc92b3716e46d6b9c66174db7f02a51582124d50fdb20156e";

struct Nobody;

impl Registers for Nobody {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(Arc::default())
    }
}

fn origins() -> Arc<Origins> {
    let backends = [
        ("people".into(), "http://people.internal:8080/".to_owned()),
        ("elsewhere".into(), "https://elsewhere.internal/".to_owned()),
    ];
    let hosts = ["api.example.invalid".to_owned()];
    Arc::new(Origins::new(backends, hosts).called("localhost:8443"))
}

/// What `recipient` gets of a document on the route at this position, in pieces of these lengths.
fn minimized(recipient: &str, route: usize, document: &str, piece: usize) -> String {
    let policy = Arc::new(Policy::parse("rules.yaml", RULES).expect("sound rules"));
    let caller = Caller { recipient: recipient.into(), person: None, purposes: None };
    let matched = RouteMatch { index: route, parameters: Vec::new() };
    let known = KnownSubject {
        role: 0,
        id: Personal::new("42".into()),
        statements: Arc::new(Statements::default()),
    };
    let known = if policy.routes[route].each.is_some() { vec![] } else { vec![known] };
    let facts = Facts { known: &known, ..Facts::plain(&caller, &matched, &[]) };
    let permit = decide(&policy, &facts, "d_links".into(), Timestamp::now()).expect("permitted");
    let keys = (Arc::new(KeyRing::parse("a key of tests", KEY).expect("a key")), origins());
    let (now, limits) = (Timestamp::now(), JsonLimits::default());
    let mut body = Minimizing::json(&Arc::new(permit), vec![], Arc::new(Nobody), keys, limits, now)
        .expect("nobody stands in the head");
    let mut out = Vec::new();
    for piece in document.as_bytes().chunks(piece) {
        body.feed(piece, &mut out, now).expect("JSON");
    }
    body.finish(&mut out, now).expect("whole");
    String::from_utf8(out).expect("JSON")
}

/// The same however it is cut.
fn at_every_split(recipient: &str, route: usize, document: &str) -> Value {
    let whole = minimized(recipient, route, document, document.len());
    for piece in [1, 2, 3, 7, 64, 1000] {
        assert_eq!(minimized(recipient, route, document, piece), whole, "pieces of {piece}");
    }
    serde_json::from_str(&whole).expect("JSON")
}

fn link(recipient: &str, link: &str) -> Option<String> {
    let document = json!({"before": 1, "plain": 1, "link": link, "help": 2}).to_string();
    let got = at_every_split(recipient, 0, &document);
    assert_eq!(got["plain"], 1, "{link}");
    match got.get("link") {
        None => None,
        Some(Value::String(link)) => Some(link.clone()),
        Some(other) => panic!("{other}"),
    }
}

/// The token of account 42 for the dealer.
fn token() -> String {
    let got = at_every_split("dealer", 0, r#"{"id":"42"}"#);
    got["id"].as_str().expect("a token").to_owned()
}

#[test]
fn an_id_in_a_link_is_what_the_recipient_gets_of_it_elsewhere() {
    assert_eq!(link("desk", "/people/42").as_deref(), Some("/people/42"));
    let token = token();
    assert!(token.starts_with("tk1_"), "{token}");
    assert_eq!(link("dealer", "/people/42"), Some(format!("/people/{token}")));
    let pseudonym = at_every_split("app", 0, r#"{"id":"42"}"#)["id"].clone();
    let pseudonym = pseudonym.as_str().expect("a pseudonym").to_owned();
    assert_eq!(link("app", "/people/42"), Some(format!("/people/{pseudonym}")));
    // What is masked leads nowhere, and what is not granted leaves in no clothes.
    assert_eq!(link("bank", "/people/12345678"), None);
    assert_eq!(link("court", "/people/42"), None);
}

#[test]
fn absolute_links_of_the_backend_and_of_the_gateway_become_links_of_the_gateway() {
    let token = token();
    let own = Some(format!("https://localhost:8443/people/{token}"));
    for from in [
        "http://people.internal:8080",
        "http://PEOPLE.internal:8080",
        "https://localhost:8443",
        "https://api.example.invalid",
        "https://api.example.invalid:443",
    ] {
        assert_eq!(link("dealer", &format!("{from}/people/42")), own, "{from}");
    }
    let elsewhere = Some(format!("https://localhost:8443/elsewhere/{token}"));
    assert_eq!(link("dealer", "https://elsewhere.internal/elsewhere/42"), elsewhere);
    // A backend's address for another backend's route, and every other address, is nobody's.
    for from in [
        "https://elsewhere.internal",
        "http://people.internal",
        "https://people.internal:8080",
        "http://people.internal:8081",
        "http://people.internal:08080",
        "http://people.internal:8080:8080",
        "http://people.internal.:8080",
        "http://user@people.internal:8080",
        "http://user:people.internal:8080@people.internal:8080",
        "http://people.internal:8080@evil.example.invalid",
        "http://people.internal%3a8080",
        "http://people.internal:",
        "HTTP://people.internal:8080",
        "http:/people.internal:8080",
        "http:people.internal:8080",
        "http:///people.internal:8080",
        "//people.internal:8080",
        "///people.internal:8080",
        "https://evil.example.invalid",
        "https://api.example.invalid:8444",
        "http://api.example.invalid",
        "https://xapi.example.invalid",
        "https://api.example.invalid.evil.invalid",
        "https://",
        "javascript:",
        "data:text/html,",
        "mailto:",
        "\\\\people.internal:8080",
        "http:\\\\people.internal:8080",
        "people.internal:8080",
        "https://api.example.invalid\\@evil.invalid",
    ] {
        assert_eq!(link("dealer", &format!("{from}/people/42")), None, "{from}");
    }
}

#[test]
fn what_is_no_link_of_a_catalogued_route_is_removed() {
    for text in [
        "",
        "/people/",
        "/people/42/",
        "/people/42/unknown",
        "/people/42?cursor=x",
        "/people?unknown=1",
        "/people?cursor",
        "/people?limit=1&limit=2",
        "/people?filter[id]=1&filter[id]=2",
        "/people?&",
        "/people?limit=1&",
        "/people?=1",
        "/people?email=a@example.invalid",
        "/people?filter%5bid%5d=42",
        "/undeclared/42",
        "people/42",
        "../people/42",
        "/people/../people/42",
        "/people/./42",
        "/people/%2e%2e/people/42",
        "/people/%2E/42",
        "/people//42",
        "//people/42",
        "/people/42%2Fcard",
        "/people/42%5Ccard",
        "/people\\42",
        "/people/4%32",
        "/people/%34%32",
        "/%70eople/42",
        "/people/42%00",
        "/people/42%0d%0aSet-Cookie:x",
        "/people/42;v=1",
        "/people/42%3B",
        "/people/%ff",
        "/people/%",
        "/people/%zz",
        " /people/42",
        "/people/42 ",
        "/people/4 2",
        "/people/42\n",
        "/people/42\u{0}",
        "/people/42\t",
        "/people/müller",
        "/people/42\u{202e}",
        "/people/４２",
        "/people/<42>",
        "/people/\"42\"",
        "/people/42|",
        "/people/42^",
        "/people/`42`",
        "/people/{id}",
        "42",
        "CANARY",
    ] {
        assert_eq!(link("dealer", text), None, "{text:?}");
    }
    let long = format!("/people/{}", "4".repeat(5000));
    assert_eq!(link("desk", &long), None, "longer than the bound");
    let short = format!("/people/{}", "4".repeat(3000));
    assert_eq!(link("desk", &short), Some(short));
}

#[test]
fn a_fragment_is_dropped_whatever_it_says() {
    let token = token();
    for fragment in ["#", "#name=CANARY", "#/people/42", "#?cursor=x", "#@evil.invalid", "##"] {
        let expected = Some(format!("/people/{token}"));
        assert_eq!(link("dealer", &format!("/people/42{fragment}")), expected, "{fragment}");
    }
    assert_eq!(link("dealer", "/people/42?#x"), Some(format!("/people/{token}")));
}

#[test]
fn other_methods_open_segments_and_queries_are_read_by_their_routes() {
    let token = token();
    for (text, expected) in [
        ("/people/42/card", format!("/people/{token}/card")),
        ("/shops/main%20street/people/42", format!("/shops/main%20street/people/{token}")),
        ("/people?limit=5&filter[id]=42", format!("/people?limit=5&filter%5Bid%5D={token}")),
        ("/people?limit", "/people?limit".to_owned()),
        ("/people", "/people".to_owned()),
        ("/", "/".to_owned()),
    ] {
        assert_eq!(link("dealer", text).as_deref(), Some(expected.as_str()), "{text}");
    }
}

#[test]
fn a_link_of_several_values_needs_each_of_them() {
    let of = |recipient: &str, link: &str| {
        let document = json!({"order": link}).to_string();
        at_every_split(recipient, 0, &document).get("order").cloned()
    };
    assert_eq!(of("desk", "/people/42/orders/o-1"), Some(json!("/people/42/orders/o-1")));
    let both = of("dealer", "/people/42/orders/o-1").expect("granted");
    let both = both.as_str().expect("a text");
    assert!(both.starts_with(&format!("/people/{}/orders/tk1_", token())), "{both}");
    assert!(!both.contains("42") && !both.contains("o-1"), "{both}");
    assert_eq!(of("app", "/people/42/orders/o-1"), None, "no grant for one of them");
    assert_eq!(link("dealer", "/people/42/orders/o-1"), None, "this link speaks of accounts alone");
}

#[test]
fn an_open_link_holds_nobody_and_a_cursor_in_it_is_sealed() {
    let next = |recipient: &str, text: &str| {
        let document = json!({"people": [], "next": text}).to_string();
        at_every_split(recipient, 1, &document).get("next").cloned()
    };
    assert_eq!(next("dealer", "/people?limit=5"), Some(json!("/people?limit=5")));
    assert_eq!(next("dealer", "/people/42"), None, "an id, where the rules say that there is none");
    assert_eq!(next("desk", "/people/42"), None);
    let sealed = next("dealer", "/people?limit=5&cursor=after%3D42").expect("sealed");
    let sealed = sealed.as_str().expect("a text").to_owned();
    assert!(sealed.starts_with("/people?limit=5&cursor=tk1_"), "{sealed}");
    assert_ne!(next("desk", "/people?limit=5&cursor=after%3D42"), Some(json!(sealed)));
    // The same cursor, whatever of it was encoded; and never one that is read in two ways.
    for same in ["after%3d42", "after=42", "%61fter%3D42"] {
        let again = next("dealer", &format!("/people?limit=5&cursor={same}"));
        assert_eq!(again, Some(json!(sealed)), "{same}");
    }
    for none in ["after+42", "%ff", ""] {
        assert_eq!(next("dealer", &format!("/people?cursor={none}")), None, "{none}");
    }
}

#[test]
fn links_in_lists_and_elements_leave_or_go_one_by_one() {
    let token = token();
    let document = json!({"links": ["/people/42", "https://evil.invalid/people/42", "/people/42#x", 7,
        null, true, {"a": "/people/42"}, ["/people/42"]], "id": "42"});
    let got = at_every_split("dealer", 0, &document.to_string());
    let one = format!("/people/{token}");
    assert_eq!(got, json!({"links": [one, one, null, [one]], "id": token}));

    let document = json!({"people": [
        {"id": "42", "href": "/people/42", "name": "Testina"},
        {"href": "/people/42;x", "id": "43"},
        {"id": "44", "href": 44},
    ], "next": "/people?limit=2"});
    let got = at_every_split("dealer", 1, &document.to_string());
    assert_eq!(got["people"][0]["href"], json!(format!("/people/{token}")));
    assert_eq!(got["people"][1].get("href"), None);
    assert_eq!(got["people"][2].get("href"), None);
    assert_eq!(got["next"], "/people?limit=2");
}

#[test]
fn an_escaped_or_doubled_member_is_a_link_like_any_other() {
    let token = token();
    let document =
        r#"{"li\u006ek" : "\/people\/4\u0032" , "link":"/people/42/x","link":"/people/42"}"#;
    let whole = minimized("dealer", 0, document, 1000);
    let expected = format!(r#"{{"li\u006ek" : "/people/{token}" ,"link":"/people/{token}"}}"#);
    assert_eq!(whole, expected);
    at_every_split("dealer", 0, document);
}
