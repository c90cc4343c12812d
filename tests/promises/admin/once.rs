//! A change that is sent again under its key is made once and answered as before: after a restart, after
//! a crash, at another gateway of the same registers. What is kept for it says nothing of anybody.

use std::time::{Duration, Instant};

use http::StatusCode;
use rusqlite::Connection;
use serde_json::json;
use tamis::registers::RegisterStore;
use tempfile::tempdir;

use super::calls::{Answer, As, Desk, rules};
use crate::postgres::server::{Database, shared};

const DESK: As<'static> = As::Token("consent-desk");
const OBJECTIONS: &str = "/v1/objections";

fn objection(subject: &str) -> String {
    let since = "2026-01-01T00:00:00Z";
    json!({"subject": subject, "purpose": "share.*", "since": since}).to_string()
}

async fn keyed(desk: &Desk, who: As<'_>, way: (&str, &str), key: &str, body: &str) -> Answer {
    let with_key = |request: &mut http::Request<_>| {
        request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
    };
    desk.call_with(who, way.0, way.1, body, with_key).await.expect("an answer")
}

async fn object(desk: &Desk, key: &str, subject: &str) -> Answer {
    keyed(desk, DESK, ("PUT", OBJECTIONS), key, &objection(subject)).await
}

fn is_repeated(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// What the registers' file says to this question.
fn count(desk: &Desk, question: &str) -> i64 {
    let file = Connection::open(desk.path("registers.sqlite")).expect("opens");
    file.busy_timeout(Duration::from_secs(5)).expect("set");
    file.query_row(question, [], |row| row.get(0)).expect("answered")
}

fn changes(desk: &Desk) -> i64 {
    count(desk, "SELECT count(*) FROM changes")
}

#[tokio::test]
async fn the_first_answer_holds_after_a_restart() {
    let desk = Desk::open().await;
    let first = object(&desk, "k-1", "u1").await;
    let desk = desk.restarted().await;
    let again = object(&desk, "k-1", "u1").await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((is_repeated(&first), is_repeated(&again)), (false, true));
    assert_eq!(first.text, again.text);
    let reused = object(&desk, "k-1", "u2").await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reused.text.contains("key-reused"), "{}", reused.text);
    assert_eq!(changes(&desk), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_after_the_change_gives_the_first_answer_when_it_is_back() {
    let mut desk = Desk::open().await;
    for round in 0..6 {
        let person = format!("u{round}");
        desk = desk.apart().await;
        let before = changes(&desk);
        let (body, key) = (objection(&person), format!("k-{round}"));
        let calling = async {
            // Whether there is an answer or none is chance.
            let with_key = |request: &mut http::Request<_>| {
                request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
            };
            drop(desk.call_with(DESK, "PUT", OBJECTIONS, &body, with_key).await);
        };
        let made = async {
            let until = Instant::now() + Duration::from_mins(1);
            while changes(&desk) == before {
                assert!(Instant::now() < until, "it was never made");
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = made => {}
            () = calling => assert_eq!(changes(&desk), before + 1),
        }
        desk.kill();
        desk = desk.apart().await;
        let again = object(&desk, &key, &person).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::CREATED, r#"{"new":true}"#));
        assert!(is_repeated(&again), "round {round}");
        assert_eq!(changes(&desk), before + 1, "made once");
        desk = desk.restarted().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_on_one_server_make_a_change_once_and_answer_alike() {
    let seats = [tempdir().expect("a folder"), tempdir().expect("a folder")];
    let database = Database::new(seats[0].path());
    let url = std::fs::read_to_string(&database.settings.url_file).expect("written");
    let name = url.rsplit('/').next().expect("a database").to_owned();
    let mut desks = Vec::new();
    for (number, seat) in seats.iter().enumerate() {
        let settings = shared().settings(&name, seat.path(), shared().port);
        let ca = settings.ca.expect("over the network");
        let settings = format!(
            "node: gw-{number}\nregisters: {{store: postgres, url_file: {}, ca: {}, mark: {}}}\n",
            settings.url_file.display(),
            ca.display(),
            settings.mark.display()
        );
        desks.push(Desk::open_on(&rules(), "calls_per_minute: 100000", &settings).await);
    }
    let rounds = 8;
    for round in 0..rounds {
        let (key, person) = (format!("k-{round}"), format!("u{round}"));
        let send = |at: usize| object(&desks[at], &key, &person);
        let answers = tokio::join!(send(0), send(1), send(1), send(0));
        let answers: [Answer; 4] = answers.into();
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
            assert_eq!(answer.text, r#"{"new":true}"#);
        }
        assert_eq!(answers.iter().filter(|answer| !is_repeated(answer)).count(), 1);
        let other = object(&desks[1], &key, "u-other").await;
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    }
    let made = shared().sql(&name, "SELECT count(*) FROM tamis.changes");
    assert_eq!(made, rounds.to_string());
    let kept = shared().sql(&name, "SELECT count(*) FROM tamis.answered_calls");
    assert_eq!(kept, rounds.to_string());
}

#[tokio::test]
async fn every_change_that_there_is_is_made_once_under_a_key() {
    let desk = Desk::open().await;
    let document = desk.call(As::Token("dpo"), "GET", "/openapi.json", "").await.json();
    let given_up = "INSERT INTO erasure_notices VALUES ('en_1', 'none', 'desk',
      '2026-01-01T00:00:00.000Z', 36, '2026-01-01T00:00:00.000Z', 'given-up', NULL, NULL);
      INSERT INTO requests VALUES ('rq_1', 'u3', 'rectification', '[]', '2026-01-01T00:00:00Z', NULL)";
    let file = Connection::open(desk.path("registers.sqlite")).expect("opens");
    file.execute_batch(given_up).expect("written");
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("methods") {
            if about["x-touches"] == "registers" {
                calls.push((method.to_ascii_uppercase(), path.as_str(), about));
            }
        }
    }
    // What enters comes before what ends it.
    calls.sort_by_key(|(method, path, _)| (method != "PUT", path.contains("{id}"), *path));
    assert!(calls.len() >= 20, "{}", calls.len());
    for (number, (method, path, about)) in calls.iter().enumerate() {
        let json = &about["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let schema = json.as_str().map(|name| document.pointer(&name[1..]).expect("it is there"));
        let body = schema.map_or_else(String::new, |schema| schema["examples"][0].to_string());
        let id = match path.split('/').nth(2) {
            Some("consents") => "con_1",
            Some("orders") => "ord-7",
            Some("erasure-notices") => "en_1",
            _ => "C-1",
        };
        let filled = path.replace("{id}", id).replace("{receipt}", "rq_1");
        let (key, way) = (format!("k-{number}"), (method.as_str(), filled.as_str()));
        let first = keyed(&desk, As::Token("dpo"), way, &key, &body).await;
        assert!(first.status.is_success(), "{method} {path}: {}", first.text);
        let made = changes(&desk);
        let again = keyed(&desk, As::Token("dpo"), way, &key, &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{method} {path}");
        assert_eq!(again.headers["content-type"], first.headers["content-type"]);
        assert_eq!((is_repeated(&first), is_repeated(&again)), (false, true), "{method} {path}");
        assert_eq!(changes(&desk), made, "{method} {path}");
    }
}

#[tokio::test]
async fn what_was_refused_changed_nothing_and_is_judged_again() {
    let desk = Desk::open().await;
    let approve = ("POST", "/v1/orders/ord-7/approval");
    let early = keyed(&desk, As::Token("dpo"), approve, "k-1", "").await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    let order = r#"{"id":"ord-7","recipient":"court","authority":"Invented Court",
        "subjects":["u1"],"categories":["identity.name"],
        "from":"2026-01-01T00:00:00Z","until":"2090-01-01T00:00:00Z"}"#;
    desk.call(As::Token("dpo"), "PUT", "/v1/orders", order).await;
    let now = keyed(&desk, As::Token("dpo"), approve, "k-1", "").await;
    assert_eq!((now.status, now.json()["new"].clone()), (StatusCode::OK, json!(true)));
    // An import that is taken back takes its answer back.
    let lines = objection("u1").replacen('{', r#"{"kind":"objection","id":"o-1","#, 1);
    let other = lines.replace("share.*", "share.partner");
    let import = ("POST", "/v1/import");
    let bad = keyed(&desk, DESK, import, "k-2", &format!("[{lines},{other}]")).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", bad.text);
    let good = keyed(&desk, DESK, import, "k-2", &lines).await;
    assert_eq!(good.json(), json!({"records": 1, "new": 1}), "{}", good.text);
}

#[tokio::test]
async fn answers_are_kept_for_an_hour_and_not_without_number() {
    let desk = Desk::open().await;
    assert_eq!(object(&desk, "k-1", "u1").await.status, StatusCode::CREATED);
    let file = Connection::open(desk.path("registers.sqlite")).expect("opens");
    let registers = RegisterStore::embedded(&desk.path("registers.sqlite")).expect("opens");
    let forget = || registers.forget_answers(jiff::Timestamp::now()).expect("taken out");
    let kept = || count(&desk, "SELECT count(*) FROM answered_calls");
    forget();
    assert_eq!(kept(), 1);
    let age = |seconds: i64| {
        let older = "UPDATE answered_calls SET at = at - ?1";
        file.execute(older, [seconds]).expect("ours");
    };
    age(3_500);
    assert!(is_repeated(&object(&desk, "k-1", "u1").await), "not over yet");
    age(101);
    let anew = object(&desk, "k-1", "u1").await;
    assert_eq!((anew.status, is_repeated(&anew)), (StatusCode::OK, false), "an hour is over");
    assert_eq!(kept(), 1, "in the place of the first");
    age(3_601);
    forget();
    assert_eq!(kept(), 0);

    // As after 65,534 others.
    object(&desk, "k-2", "u2").await;
    object(&desk, "k-3", "u3").await;
    let others = "UPDATE answered_calls SET turn = turn - 65533 WHERE turn = 1";
    assert_eq!(file.execute(others, []).expect("ours"), 1);
    assert_eq!(object(&desk, "k-last", "u-last").await.status, StatusCode::CREATED, "one more");
    let refused = object(&desk, "k-4", "u4").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text);
    assert_eq!(refused.headers["retry-after"], "3601");
    assert!(is_repeated(&object(&desk, "k-2", "u2").await), "what is kept stays");
    let body = objection("u4");
    let other = keyed(&desk, As::Token("dpo"), ("PUT", OBJECTIONS), "k-4", &body).await;
    assert_eq!(other.status, StatusCode::CREATED, "another caller's are another's");
    let plain = desk.call(DESK, "PUT", OBJECTIONS, &objection("u5")).await;
    assert_eq!(plain.status, StatusCode::CREATED, "and none is needed");
}

#[tokio::test]
async fn what_is_kept_of_a_call_names_neither_its_key_nor_anybody() {
    let desk = Desk::open().await;
    object(&desk, "CANARY-KEY", "CANARY-1").await;
    let lines = objection("CANARY-2").replacen('{', r#"{"kind":"objection","id":"o","#, 1);
    keyed(&desk, DESK, ("POST", "/v1/import"), "CANARY-KEY-2", &lines).await;
    let file = Connection::open(desk.path("registers.sqlite")).expect("opens");
    let mut query = file.prepare("SELECT * FROM answered_calls").expect("a table");
    let columns = query.column_count();
    let rows = query.query_map([], |row| {
        let cells = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
        cells.collect::<Result<Vec<_>, _>>()
    });
    let text = format!("{:?}", rows.expect("rows").collect::<Vec<_>>());
    assert!(text.contains("consent-desk"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    // Whoever has the file and guesses the request has not guessed the key.
    let guessed = tamis::terms::Digest::of(objection("CANARY-1").as_bytes()).to_string();
    assert!(!text.contains(&guessed));
}
