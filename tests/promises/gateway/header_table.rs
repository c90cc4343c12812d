//! docs/HTTP.md, row by row: what it says of each header is what happens at the wire.

use super::backend::{answer, json};
use super::stage::{HOST, Stage};
use super::{FOR_COURIER, TESTINA};

const PAGE: &str = include_str!("../../../docs/HTTP.md");

/// The rows below a heading: a header and what happens to it.
fn rows(heading: &str) -> Vec<(String, String)> {
    let (_, rest) = PAGE.split_once(heading).expect("it has this heading");
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let mut found = Vec::new();
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for name in cells[1].split(", ") {
            found.push((name.trim_matches('`').to_ascii_lowercase(), cells[2].to_owned()));
        }
    }
    assert!(found.len() > 30, "{heading}: {found:?}");
    found
}

/// The lines of a head that follow `name: `.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let (head, _) = head.split_once("\r\n\r\n").unwrap_or((head, ""));
    let line = |line: &'a str| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    };
    head.lines().filter_map(line).collect()
}

/// What a header is tried with where anything at all would not be looked at.
fn sample(name: &str) -> &'static str {
    match name {
        "accept-language" | "content-language" => "de",
        "cookie" => "session=1",
        "set-cookie" => "session=1; Secure",
        "sec-gpc" => "1",
        "transfer-encoding" => "chunked",
        "content-encoding" => "identity",
        "tamis-purpose" => "service.parcel",
        "tamis-case" | "tamis-order" => "\"canary-1\"",
        _ => "CANARY",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_request_headers_is_what_happens() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let rows = rows("### From clients");
    for (name, verb) in &rows {
        let sent = sample(name);
        let more = match name.as_str() {
            "host" => format!("Host: {HOST}\r\n"),
            "connection" => format!("Host: {HOST}\r\nConnection: close, CANARY\r\n"),
            _ => format!("Host: {HOST}\r\n{name}: {sent}\r\nConnection: close\r\n"),
        };
        let text = format!("GET /people/u1 HTTP/1.1\r\n{more}\r\n");
        // Some hold the connection open until they are told to end.
        let text = if name == "host" {
            text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        } else {
            text
        };
        let got = stage.raw("courier", text.as_bytes()).await;
        let asked = stage.backend.asked().concat();
        assert!(!asked.contains("CANARY"), "{name}: {asked}");
        match verb.as_str() {
            "dropped" => {
                assert!(got.contains(FOR_COURIER), "{name}: {got}");
                assert_eq!(values(&asked, name), Vec::<&str>::new(), "{name}: {asked}");
            }
            "read" => assert_eq!(values(&asked, name), Vec::<&str>::new(), "{name}: {asked}"),
            "passed" => assert_eq!(values(&asked, name), [sent], "{name}: {asked}"),
            "written" => {
                assert!(got.contains(FOR_COURIER), "{name}: {got}");
                let there = values(&asked, name);
                assert!(there.len() == 1 && there != [sent], "{name}: {asked}");
            }
            "refused" => {
                assert!(got.starts_with("HTTP/1.1 4"), "{name}: {got}");
                assert_eq!(asked, "", "{name}");
            }
            other => panic!("{name}: no such word: {other}"),
        }
        for line in asked.lines().skip(1).filter(|line| !line.is_empty()) {
            let sent = line.split(':').next().unwrap_or_default();
            assert!(rows.iter().any(|(named, _)| named == sent), "{sent} is in no row");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_answer_headers_is_what_happens() {
    let stage = Stage::set().await;
    let rows = rows("### From backends");
    for (name, verb) in &rows {
        let said = sample(name);
        let line = match name.as_str() {
            // `answer` says it already.
            "content-length" => String::new(),
            "content-type" => "Content-Type: application/vnd.canary+json\r\n".to_owned(),
            _ => format!("Content-Type: application/json\r\n{name}: {said}\r\n"),
        };
        let line =
            if name == "content-length" { "Content-Type: application/json\r\n" } else { &line };
        stage.backend.says("/people/u1", answer(line, TESTINA.as_bytes()));
        let text = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        let got = stage.raw("courier", text.as_bytes()).await;
        assert!(got.contains(FOR_COURIER), "{name}: {got}");
        assert!(!got.to_ascii_lowercase().contains("canary"), "{name}: {got}");
        let there = values(&got, name);
        match verb.as_str() {
            // What is tried is no link; `answer_heads` has those that are.
            "dropped" | "read" | "reduced" => {
                assert_eq!(there, Vec::<&str>::new(), "{name}: {got}");
            }
            "passed" => assert!(there.len() == 1 && there[0].starts_with(said), "{name}: {got}"),
            "written" => assert!(there.len() == 1 && there != [said], "{name}: {got}"),
            other => panic!("{name}: no such word: {other}"),
        }
        let (head, _) = got.split_once("\r\n\r\n").expect("a head");
        for line in head.lines().skip(1) {
            let sent = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let is_framing = ["connection", "transfer-encoding"].contains(&sent.as_str());
            let is_named = rows.iter().any(|(named, _)| *named == sent);
            assert!(is_framing || is_named, "{sent} is in no row");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_tells_only_whoever_holds_the_bytes() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let ask = async |recipient: &str, tag: &str| {
        let asked = super::stage::request("GET", "/people/u1", &[("if-none-match", tag)]);
        stage.send(Some(recipient), asked).await
    };
    let first = stage.ask("courier", "/people/u1").await;
    let tag = first.headers["etag"].to_str().expect("visible").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert!(!stage.ask("courier", "/people/u9").await.headers.contains_key("etag"));
    for named in [tag.clone(), format!("\"other\", {tag}"), tag.replace("W/", "")] {
        let same = ask("courier", &named).await;
        assert_eq!((same.status.as_u16(), same.body.as_deref()), (304, Some("")), "{named}");
        assert_eq!(same.headers["etag"], tag.as_str());
        assert_eq!(same.headers["cache-control"], "private, no-store");
    }
    // The backend was asked and the ledger written each time: what was withdrawn is never "unchanged".
    assert_eq!(stage.backend.asked().len(), 5);
    assert_eq!(ask("courier", "\"other\"").await.status, 200);
    assert_eq!(ask("desk", &tag).await.status, 200, "another recipient's tag is another");
    let hidden = TESTINA.replace("\"secret\":\"CANARY\"", "\"secret\":\"other\"");
    stage.backend.says("/people/u1", json(&hidden));
    assert_eq!(ask("courier", &tag).await.status, 304, "what is withheld does not show");
    stage.backend.says("/people/u1", json(&TESTINA.replace("Testina", "Imagina")));
    let changed = ask("courier", &tag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], tag.as_str());
    let head = stage.send(Some("courier"), super::stage::request("HEAD", "/people/u1", &[])).await;
    assert!(!head.headers.contains_key("etag"));
    let body = stage.ask_http2("partner", "/people/u1").await;
    assert!(!body.headers.contains_key("etag"), "a refusal has none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_problem_means_is_told_to_everyone() {
    let stage = Stage::set().await;
    let refused = stage.send(None, super::stage::request("GET", "/people/u1", &[])).await;
    let refused: serde_json::Value =
        serde_json::from_str(&refused.body.expect("whole")).expect("JSON");
    let codes = tamis::terms::RefusalReason::ALL.map(tamis::terms::RefusalReason::code);
    let own = refused["type"].as_str().expect("a type").to_owned();
    let types = codes.iter().chain(&["not-available", "plaintext"]);
    let all = types.map(|code| format!("/.well-known/tamis/problems/{code}"));
    for kind in all.chain([own]) {
        let told = stage.send(None, super::stage::request("GET", &kind, &[])).await;
        assert_eq!(told.status, 200, "{kind}");
        let told: serde_json::Value =
            serde_json::from_str(&told.body.expect("whole")).expect("JSON");
        assert_eq!(told["type"], kind.as_str());
        assert!(told["title"].is_string() && told["who_has_to_act"].is_string(), "{told}");
        if told["type"] == refused["type"] {
            assert_eq!((&told["title"], &told["status"]), (&refused["title"], &refused["status"]));
        }
    }
    for nothing in ["", "nothing", "not-found/", "NOT-FOUND"] {
        let target = format!("/.well-known/tamis/problems/{nothing}");
        let told = stage.send(None, super::stage::request("GET", &target, &[])).await;
        assert_eq!(told.status, 401, "{nothing}: nobody known asks for no route");
    }
}
