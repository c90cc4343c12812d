//! Links in the head of an answer, at the wire, read as somebody would who wants to learn more than the
//! rules say: what a link names is treated as in a body, and what cannot be read in one way stays behind.

use serde_json::Value;
use tamis::policy::Policy;

use super::backend::{Reply, answer};
use super::stage::{Answer, HOST, Stage, changed, request};

const RULES: &str = include_str!("../../cases/head.rules.yaml");

const PERSON: &str = r#"{"id":"CANARY42","name":"Testina"}"#;

/// A status with these header lines, and a body.
fn says(status: &str, headers: &str, body: &str) -> Reply {
    let json = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let Reply::Bytes(bytes) = answer(&format!("{headers}{json}"), body.as_bytes()) else {
        unreachable!()
    };
    let text = String::from_utf8(bytes).expect("ours");
    Reply::Bytes(text.replacen("200 OK", status, 1).into_bytes())
}

fn lines<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect()
}

/// That nothing of the answer, head or body, holds what must not leave.
fn is_clean(answer: &Answer) {
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains("CANARY") && !value.contains("127.0.0.1"), "{name}: {value}");
    }
    let body = answer.body.as_deref().expect("whole");
    assert!(!body.contains("CANARY"), "{body}");
}

/// What the dealer is sent in `name` of a person whose backend sends `headers`.
async fn sent(stage: &Stage, headers: &str, name: &str) -> Vec<String> {
    stage.backend.says("/people/CANARY42", says("200 OK", headers, PERSON));
    let answer = stage.ask("dealer", &format!("/people/{}", token(stage).await)).await;
    assert_eq!(answer.status, 200, "{headers:?}");
    is_clean(&answer);
    lines(&answer, name).into_iter().map(str::to_owned).collect()
}

/// The dealer's token of the person.
async fn token(stage: &Stage) -> String {
    stage.backend.says("/people", says("200 OK", "", &format!(r#"{{"people":[{PERSON}]}}"#)));
    let list = stage.ask("dealer", "/people").await;
    let list: Value = serde_json::from_str(&list.body.expect("whole")).expect("JSON");
    list["people"][0]["id"].as_str().expect("a token").to_owned()
}

/// What the opening entries of the ledger say, but the first `skip`.
fn entries(stage: &Stage, skip: usize) -> Vec<Value> {
    let ledger = stage.ledger();
    let lines = ledger.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line.get("released").is_some()).skip(skip).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_told_by_token_and_entered_in_the_ledger() {
    let rules = format!("{RULES}\nledger: {{subject_index: encrypted}}\n");
    let stage = Stage::embedded(&rules, &[]).await;
    let at = stage.backend.address;
    let location = format!("Location: http://{at}/people/CANARY42#CANARY\r\nX-Id: CANARY42\r\n");
    stage.backend.says("/people", says("201 Created", &location, ""));
    let made = stage.post("dealer", "/people", r#"{"name":"Testina"}"#).await;
    assert_eq!((made.status.as_u16(), made.body.as_deref()), (201, Some("")));
    is_clean(&made);
    let [link] = lines(&made, "location")[..] else { panic!("one place") };
    let path = link.strip_prefix(&format!("https://{HOST}")).expect("of the gateway").to_owned();
    assert!(path.starts_with("/people/tk1_"), "{path}");
    // It leads to what was made.
    stage.backend.says("/people/CANARY42", says("200 OK", "", PERSON));
    assert_eq!(stage.ask("dealer", &path).await.status, 200);

    let entered = entries(&stage, 0);
    assert_eq!(entered.len(), 2, "{entered:?}");
    let text = entered[0].to_string();
    assert!(text.contains("account.id") && !text.contains("identity.name"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    // And ended.
    let ledger = stage.ledger();
    assert!(ledger.lines().any(|line| line.contains(r#""status":201"#)), "{ledger}");

    // Who is granted no id is told that it is done; nothing was disclosed.
    let made = stage.post("court", "/people", r#"{"name":"Testina"}"#).await;
    assert_eq!((made.status.as_u16(), lines(&made, "location").len()), (201, 0));
    is_clean(&made);
    assert_eq!(entries(&stage, 2).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_entry_in_the_ledger_no_head_leaves_that_names_somebody() {
    let stage = Stage::with_rules(RULES).await;
    let location = "Location: /people/CANARY42\r\n";
    stage.backend.says("/people", says("201 Created", location, ""));
    stage.backend.says("/people/CANARY42", says("303 See Other", location, "CANARY"));
    stage.switches.ledger_fails.store(true, std::sync::atomic::Ordering::SeqCst);
    for answer in [
        stage.post("desk", "/people", r#"{"name":"Testina"}"#).await,
        stage.ask("desk", "/people/CANARY42").await,
    ] {
        assert_eq!((answer.status.as_u16(), lines(&answer, "location").len()), (503, 0));
        is_clean(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_named_in_a_head_is_asked_as_in_a_body() {
    let stage = Stage::with_rules(RULES).await;
    let location = "Location: /people/CANARY42\r\n";
    stage.backend.says("/people/CANARY42", says("303 See Other", location, ""));
    stage.backend.says("/people", says("201 Created", location, ""));
    // Of whoever did not consent nothing leaves, not even where they are.
    for answer in [
        stage.ask("app", "/people/CANARY42").await,
        stage.post("app", "/people", r#"{"name":"Testina"}"#).await,
    ] {
        assert_eq!((answer.status.as_u16(), lines(&answer, "location").len()), (404, 0));
        is_clean(&answer);
    }
    let restricted = r#"{"kind":"restriction","subject":"CANARY42","categories":["account.id"],
        "since":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(
        lines(&stage.ask("desk", "/people/CANARY42").await, "location"),
        ["/people/CANARY42"]
    );
    stage.record(&restricted.replace('\n', ""));
    // What is left of the redirect leads nowhere; what was made is made.
    assert_eq!(stage.ask("desk", "/people/CANARY42").await.status, 502);
    let made = stage.post("desk", "/people", r#"{"name":"Testina"}"#).await;
    assert_eq!((made.status.as_u16(), lines(&made, "location").len()), (201, 0));
    // Nobody can say who is meant.
    for odd in ["", "Location: /people\r\n", "Location: /people/1\r\nLocation: /people/2\r\n"] {
        stage.backend.says("/people", says("201 Created", odd, ""));
        let made = stage.post("desk", "/people", r#"{"name":"Testina"}"#).await;
        assert_eq!(lines(&made, "location").len(), 0, "{odd}");
        assert_ne!(made.status, 201, "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_to_the_gateway_or_is_refused() {
    let stage = Stage::with_rules(RULES).await;
    let at = stage.backend.address;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let head = format!("Location: http://{at}/people/CANARY42\r\nContent-Type: text/html\r\n");
        let body = r#"<a href="CANARY">CANARY</a>"#;
        stage.backend.says("/people/CANARY42", says(status, &head, body));
        let answer = stage.ask("dealer", &format!("/people/{}", token(&stage).await)).await;
        assert_eq!(answer.status.as_str(), &status[..3]);
        assert_eq!(answer.body.as_deref(), Some(""), "{status}");
        is_clean(&answer);
        let location = lines(&answer, "location").concat();
        assert!(location.starts_with(&format!("https://{HOST}/people/tk1_")), "{location}");
    }
    // One that says nothing, leads elsewhere, or stands where the rules let no header say where.
    for status in ["300 Choices", "304 Not Modified", "305 Use Proxy", "303 See Other"] {
        for head in ["", "Location: https://evil.example.invalid/people/CANARY42\r\n"] {
            stage.backend.says("/people/CANARY42", says(status, head, ""));
            let answer = stage.ask("desk", "/people/CANARY42").await;
            assert_eq!(answer.status, 502, "{status} {head}");
            is_clean(&answer);
        }
    }
    let head = "Location: /people/CANARY42\r\n";
    stage.backend.says("/silent/CANARY42", says("303 See Other", head, ""));
    assert_eq!(stage.ask("desk", "/silent/CANARY42").await.status, 502);
    // Whose id stands in the body is not known without it.
    stage.backend.says("/sold/7", says("303 See Other", head, ""));
    assert_eq!(stage.ask("desk", "/sold/7").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_read_in_one_way_only() {
    let stage = Stage::with_rules(RULES).await;
    let (at, token) = (stage.backend.address, token(&stage).await);
    for (location, expected) in [
        ("/people/CANARY42".to_owned(), Some(format!("/people/{token}"))),
        (format!("http://{at}/people/CANARY42"), Some(format!("https://{HOST}/people/{token}"))),
        (format!("https://{HOST}/people/CANARY42"), Some(format!("https://{HOST}/people/{token}"))),
        ("/people/CANARY42#CANARY".to_owned(), Some(format!("/people/{token}"))),
        ("/people?limit=2".to_owned(), Some("/people?limit=2".to_owned())),
        // Another host in any clothes.
        ("//evil.example.invalid/people/CANARY42".to_owned(), None),
        (format!("//{at}/people/CANARY42"), None),
        ("https://evil.example.invalid/people/CANARY42".to_owned(), None),
        (format!("http://CANARY@{at}/people/CANARY42"), None),
        (format!("https://{at}/people/CANARY42"), None),
        ("https:/people/CANARY42".to_owned(), None),
        ("javascript:CANARY".to_owned(), None),
        // What depends on where it is read.
        ("people/CANARY42".to_owned(), None),
        ("../people/CANARY42".to_owned(), None),
        ("?id=CANARY42".to_owned(), None),
        (String::new(), None),
        // What two readers read differently.
        ("/people/CANAR%5942".to_owned(), None),
        ("/people/CANARY42%2Forders".to_owned(), None),
        ("/people/%43ANARY42".to_owned(), None),
        ("/people//CANARY42".to_owned(), None),
        ("/x/../people/CANARY42".to_owned(), None),
        ("/people/CANARY42%0D%0ASet-Cookie:%20CANARY".to_owned(), None),
        ("/people/CANARY42%00".to_owned(), None),
        ("/people\\CANARY42".to_owned(), None),
        ("/people/CANARY42, /people/CANARY43".to_owned(), None),
        ("/people/CANARY 42".to_owned(), None),
        // What nobody declared.
        ("/people/CANARY42?debug=CANARY".to_owned(), None),
        ("/people?limit=1&limit=CANARY".to_owned(), None),
        ("/unheard/of/CANARY42".to_owned(), None),
        (format!("/people/{}", "x".repeat(9000)), None),
    ] {
        for name in ["Content-Location", "Location"] {
            let got = sent(&stage, &format!("{name}: {location}\r\n"), name).await;
            assert_eq!(got, expected.iter().cloned().collect::<Vec<_>>(), "{name}: {location}");
        }
    }
    // An order is no more than its category grants; twice is no address.
    let got = sent(&stage, "Location: /people/CANARY42/orders/CANARY7\r\n", "location").await;
    assert_eq!(got, Vec::<String>::new());
    let got =
        sent(&stage, "Content-Location: /people/CANARY42/orders/CANARY7\r\n", "content-location");
    let got = got.await.concat();
    assert!(got.starts_with(&format!("/people/{token}/orders/tk1_")), "{got}");
    let twice = "Location: /people/CANARY42\r\nLocation: /people/CANARY42\r\n";
    assert_eq!(sent(&stage, twice, "location").await, Vec::<String>::new());
    // Bytes that are no text.
    let odd = "Location: /people/CANARY42\u{e9}\r\n";
    assert_eq!(sent(&stage, odd, "location").await, Vec::<String>::new());
    let counted = stage.metrics();
    let line = "tamis_answer_links_left_out_total{header=\"Location\",route=\"GET /people/{id}\"}";
    assert!(counted.contains(line), "{counted}");
    assert!(!counted.contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_list_of_links_each_is_judged_by_itself() {
    let stage = Stage::with_rules(RULES).await;
    let token = token(&stage).await;
    let own = format!("</people/{token}>; rel=\"self\"");
    let policy = "</.well-known/privacy-policy>; rel=\"privacy-policy\"";
    for (head, expected) in [
        // Several in one line, and in several lines.
        (
            "Link: </people/CANARY42>; rel=self, </people?limit=2>; rel=\"next\"\r\n",
            vec![own.as_str(), "</people?limit=2>; rel=\"next\""],
        ),
        (
            "Link: </people/CANARY42>; rel=self\r\nLink: </people?limit=2>; rel=\"next\"\r\n",
            vec![&own, "</people?limit=2>; rel=\"next\""],
        ),
        // A link that must not leave takes no other one with it.
        (
            "Link: <https://evil.example.invalid/CANARY>; rel=next, </people/CANARY42>; rel=self\r\n",
            vec![&own],
        ),
        // In quotes a comma is a comma.
        (
            "Link: </people/CANARY42>; title=\"CANARY, </people/CANARY43>; rel=up\"; rel=self\r\n",
            vec![&own],
        ),
        (
            "Link: </people/CANARY42>; title=\"\\\", </people/CANARY43>; rel=\\\"up\"; rel=self\r\n",
            vec![&own],
        ),
        // Words that are of no registry, and other contexts.
        ("Link: </people/CANARY42>; rel=CANARY\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=\"self https://CANARY.invalid/42\"\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=self; anchor=\"/people/CANARY43\"\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=privacy-policy\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=self; CANARY=\"CANARY\"; type=\"CANARY\"\r\n", vec![&own]),
        // What is no list.
        ("Link: /people/CANARY42; rel=self\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=\"self\r\n", vec![]),
        ("Link: </people/CANARY42>; rel=self </people/CANARY43>; rel=up\r\n", vec![]),
        ("Link: </people/CANARY42%0d%0aX-CANARY: 1>; rel=self\r\n", vec![]),
        ("Link: <</people/CANARY42>>; rel=self\r\n", vec![]),
    ] {
        let mut got = sent(&stage, head, "link").await;
        // That of the rules stands beside them, whatever the backend says.
        assert_eq!(got.pop().as_deref(), Some(policy), "{head}");
        assert_eq!(got, expected, "{head}");
    }
    let many = "</people/CANARY42>; rel=self, ".repeat(200);
    assert_eq!(sent(&stage, &format!("Link: {many}\r\n"), "link").await.len(), 64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_waits_until_it_is_known_whose_answer_it_is() {
    let stage = Stage::with_rules(RULES).await;
    let link = "Link: </people/CANARY42>; rel=item\r\n";
    stage.backend.says("/sold/7", says("200 OK", link, PERSON));
    let answer = stage.ask("desk", "/sold/7").await;
    assert_eq!(lines(&answer, "link"), ["</people/CANARY42>; rel=\"item\""]);
    stage.record(
        r#"{"kind":"restriction","subject":"CANARY42","categories":["account.id"],"since":"2026-01-01T00:00:00Z"}"#,
    );
    let answer = stage.ask("desk", "/sold/7").await;
    assert_eq!((answer.status.as_u16(), lines(&answer, "link").len()), (200, 0));
    is_clean(&answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_in_a_link_of_the_head_comes_back_sealed() {
    let stage = Stage::with_rules(RULES).await;
    let link = "Link: </people?limit=2&cursor=CANARY42>; rel=next\r\n";
    stage.backend.says("/people", says("200 OK", link, r#"{"people":[]}"#));
    let answer = stage.ask("dealer", "/people").await;
    is_clean(&answer);
    let next = lines(&answer, "link")[0];
    let target = next.strip_prefix('<').and_then(|next| next.split_once('>')).expect("a link").0;
    stage.backend.asked();
    stage.ask("dealer", target).await;
    let asked = stage.backend.asked().concat();
    assert!(asked.starts_with("GET /people?limit=2&cursor=CANARY42 HTTP/1.1\r\n"), "{asked}");
    assert_eq!(stage.ask("desk", target).await.status, 400, "another's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_for_once_is_used_up_by_a_redirect_and_not_by_head() {
    let stage = Stage::with_rules(RULES).await;
    let location = "Location: /people/CANARY42\r\n";
    let digest = Policy::parse("rules.yaml", RULES).expect("sound").purposes["share"].text_digest;
    stage.record(&format!(
        r#"{{"id":"c-1","subject":"CANARY42","purpose":"share","purpose_text_digest":"{digest}",
            "recipients":["bank"],"categories":[],"status":"given",
            "given_at":"2026-01-01T00:00:00Z"}}"#
    ));
    stage.record(
        r#"{"kind":"one-time-grant","id":"g-1","subject":"CANARY42","purpose":"share",
            "recipient":"bank","granted_at":"2026-01-01T00:00:00Z"}"#,
    );
    let head = || stage.send(Some("bank"), request("HEAD", "/people/CANARY42", &[]));
    stage.backend.says("/people/CANARY42", Reply::Last(
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{location}Content-Length: 2\r\n\r\n").into(),
    ));
    let answer = head().await;
    assert_eq!(lines(&answer, "location").len(), 0, "what no grant was used for");
    is_clean(&answer);
    stage.backend.says("/people/CANARY42", says("303 See Other", location, ""));
    assert_eq!(head().await.status, 502);
    let answer = stage.ask("bank", "/people/CANARY42").await;
    assert_eq!(
        (answer.status.as_u16(), lines(&answer, "location")),
        (303, vec!["/people/CANARY42"])
    );
    assert_eq!(stage.ask("bank", "/people/CANARY42").await.status, 404, "it is used up");
}

/// What stands in a head alone is told too: it counts against the budget of people.
#[tokio::test(flavor = "multi_thread")]
async fn people_who_are_named_in_heads_alone_count_against_the_budget() {
    let with = "dealer: {role: processor, subjects_per_hour: 2,";
    let rules = changed(RULES, &[("dealer: {role: processor,", with)]);
    let stage = Stage::with_rules(&rules).await;
    for id in ["CANARY1", "CANARY2", "CANARY3"] {
        let location = format!("Location: /people/{id}\r\n");
        stage.backend.says("/people", says("201 Created", &location, ""));
        let made = stage.post("dealer", "/people", r#"{"name":"Testina"}"#).await;
        let is_beyond = id == "CANARY3";
        assert_eq!(made.status, if is_beyond { 429 } else { 201 }, "{id}");
        assert_eq!(lines(&made, "location").len(), usize::from(!is_beyond), "{id}");
        is_clean(&made);
    }
}
