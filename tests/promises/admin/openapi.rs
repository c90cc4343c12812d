//! The document at `/openapi.json` against a gateway that listens: every call of it is sent, with what
//! it says the call takes, and every answer is held against the schema of its status.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value;
use tamis::registers::{RegisterStore, Registers as _, RightRequest};
use tamis::terms::{AdminRole, CategoryPattern, Personal, Right};

use super::calls::{Answer, As, Desk};
use super::schema::wrong;

/// One operation of the document.
struct Operation<'d> {
    method: String,
    path: String,
    about: &'d Value,
}

impl Operation<'_> {
    /// The schema of the body, if it takes one.
    fn takes<'d>(&self, document: &'d Value) -> Option<&'d Value> {
        let name = self.about["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            .as_str()?
            .trim_start_matches('#');
        Some(document.pointer(name).expect("the schema is there"))
    }

    /// A body as the document shows it; empty where the call takes none.
    fn example(&self, document: &Value) -> String {
        self.takes(document).map_or_else(String::new, |schema| schema["examples"][0].to_string())
    }

    fn roles(&self) -> BTreeSet<&str> {
        self.about["x-roles"]
            .as_array()
            .expect("roles")
            .iter()
            .map(|role| role.as_str().expect("text"))
            .collect()
    }

    /// Whether the document has this status, and its schema fits the answer.
    fn declares(&self, document: &Value, answer: &Answer) {
        let at = format!("{} {} {}", self.method, self.path, answer.status);
        let response = &self.about["responses"][answer.status.as_str()];
        assert!(response.is_object(), "{at} is not declared: {}", answer.text);
        let kind = answer.headers["content-type"].to_str().expect("text");
        let schema = &response["content"][kind]["schema"];
        assert!(schema.is_object(), "{at}: {kind} is not declared");
        let values = match kind {
            "application/x-ndjson" => {
                let lines = answer.text.lines();
                lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
            }
            _ => vec![answer.json()],
        };
        for value in values {
            let found = wrong(document, schema, &value, "$");
            assert_eq!(found, None, "{at}: {}", answer.text);
        }
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("methods") {
            let method = method.to_ascii_uppercase();
            all.push(Operation { method, path: path.clone(), about });
        }
    }
    // What enters comes before what looks up or ends it.
    all.sort_by_key(|one| (one.method != "PUT", one.path != "/v1/consents", one.path.clone()));
    all
}

/// The path with the ids that the examples enter.
fn filled(path: &str, receipt: &str) -> String {
    let id = match path.split('/').nth(2) {
        Some("consents") => "con_1",
        Some("orders") => "ord-7",
        Some("erasure-notices") => "en_1",
        _ => "C-1",
    };
    // Of reports those that need nothing said beyond the example.
    let name = if path.ends_with("/query") { "subject" } else { "refusals" };
    path.replace("{id}", id).replace("{receipt}", receipt).replace("{name}", name)
}

async fn document(desk: &Desk) -> Value {
    let answer = desk.call(As::Token("auditor"), "GET", "/openapi.json", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

#[tokio::test]
async fn every_call_of_the_document_answers_as_it_says() {
    let desk = Desk::open().await;
    let registers = RegisterStore::embedded(&desk.path("registers.sqlite")).expect("opens");
    let request = RightRequest {
        subject: Personal::new("u3".into()),
        right: Right::Rectification,
        categories: vec![CategoryPattern::new("contact.*")],
    };
    let receipt = registers.request(&request).expect("taken").expect("not too many").id;
    // Of an erasure that is not there, so that nobody is told.
    let given_up = "INSERT INTO erasure_notices VALUES ('en_1', 'none', 'desk',
      '2026-01-01T00:00:00.000Z', 36, '2026-01-01T00:00:00.000Z', 'given-up', NULL, NULL)";
    let connection = rusqlite::Connection::open(desk.path("registers.sqlite")).expect("opens");
    connection.execute_batch(given_up).expect("written");
    let document = document(&desk).await;
    for operation in operations(&document) {
        let (method, path) = (operation.method.as_str(), filled(&operation.path, &receipt));
        let body = operation.example(&document);
        let may = operation.roles();
        let asked = desk.call(As::Token("dpo"), method, &path, &body).await;
        assert!(may.contains("dpo"), "an officer may do all that there is");
        assert!(asked.status.is_success(), "{method} {path}: {}", asked.text);
        operation.declares(&document, &asked);

        for role in AdminRole::ALL.map(AdminRole::as_str) {
            let answer = desk.call(As::Token(role), method, &path, &body).await;
            operation.declares(&document, &answer);
            let refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(refused, !may.contains(role), "{role}: {method} {path}");
        }
        let nobody = desk.call(As::Nobody, method, &path, &body).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
        operation.declares(&document, &nobody);
        if ["ord-7", "C-1", "en_1", &receipt].iter().any(|id| path.contains(id)) {
            let unknown = operation.path.replace("{id}", "no-1").replace("{receipt}", "no-1");
            let answer = desk.call(As::Token("dpo"), method, &unknown, &body).await;
            assert!(answer.status.is_client_error(), "{method} {unknown}");
            operation.declares(&document, &answer);
        }
    }
}

#[tokio::test]
async fn a_body_that_the_document_forbids_is_refused_and_one_that_it_shows_is_taken() {
    let desk = Desk::open().await;
    let document = document(&desk).await;
    let mut tried = 0;
    for operation in operations(&document) {
        let Some(schema) = operation.takes(&document) else { continue };
        let (method, path) = (operation.method.as_str(), filled(&operation.path, "rq_1"));
        let example = &schema["examples"][0];
        assert_eq!(wrong(&document, schema, example, "$"), None, "the example of {path}");
        let mut bodies = vec![
            String::new(),
            "{".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            "{}".to_owned(),
            example.to_string().replacen('{', r#"{"subject":"twice","#, 1),
        ];
        let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut body = example.as_object().expect("an object").clone();
            change(&mut body);
            Value::Object(body).to_string()
        };
        bodies.push(with(&|body| {
            body.insert("not_known".into(), true.into());
        }));
        for name in schema["required"].as_array().expect("a list") {
            let name = name.as_str().expect("text");
            bodies.push(with(&|body| {
                body.remove(name);
            }));
            bodies.push(with(&|body| {
                body.insert(name.to_owned(), 7.into());
            }));
        }
        for body in bodies {
            let answer = desk
                .call_with(As::Token("dpo"), method, &path, &body, |request| {
                    let json = "application/json".parse().expect("text");
                    request.headers_mut().insert("content-type", json);
                })
                .await
                .expect("an answer");
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
            operation.declares(&document, &answer);
            tried += 1;
        }
        for (kind, status) in [
            ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ("application/json; charset=utf-16", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ("application/x-www-form-urlencoded", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ] {
            let answer = desk
                .call_with(As::Token("dpo"), method, &path, &example.to_string(), |request| {
                    let kind = kind.parse().expect("text");
                    request.headers_mut().insert("content-type", kind);
                })
                .await
                .expect("an answer");
            assert_eq!(answer.status, status, "{path} {kind}");
            operation.declares(&document, &answer);
        }
        // An import is many records and may be as long as they are.
        if operation.path == "/v1/import" {
            continue;
        }
        let long = format!("{{\"subject\":\"{}\"}}", "u".repeat(70_000));
        let answer = desk.call(As::Token("dpo"), method, &path, &long).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        operation.declares(&document, &answer);
    }
    assert!(tried > 80, "{tried} bodies were tried");
    assert!(
        desk.ledger().iter().all(|entry| entry["kind"] != "register"),
        "none of this changed the registers"
    );
}

#[tokio::test]
async fn the_document_has_the_calls_of_the_table_and_no_others() {
    let desk = Desk::open().await;
    let document = document(&desk).await;
    let described: BTreeSet<(String, Vec<String>)> = operations(&document)
        .iter()
        .map(|one| {
            let roles = one.roles().into_iter().map(str::to_owned).collect();
            (format!("{} {}", one.method, one.path), roles)
        })
        .collect();
    let table: BTreeSet<(String, Vec<String>)> = super::roles::table()
        .into_iter()
        .map(|(call, roles)| {
            let roles: BTreeSet<String> = roles.into_iter().map(str::to_owned).collect();
            (call, roles.into_iter().collect())
        })
        .collect();
    assert_eq!(described, table);
}
