//! `/openapi.json`: the admin API described in OpenAPI 3.1, made from the table of calls, so that a
//! call that is described is one that can be made, and the other way round.
//!
//! tests/promises/admin/openapi.rs sends every request of it to a gateway and holds every answer
//! against its schema.

mod schemas;

use serde_json::{Map, Value, json};

use super::roles::{Rule, TABLE, Touches};
use crate::reports::{Form, Name};
use crate::terms::AdminRole;

use self::schemas::schemas;

/// What one call takes and gives, beyond its row in the table.
struct Described {
    summary: &'static str,
    /// The schema of the body; `None`: the body is empty.
    takes: Option<&'static str>,
    /// Statuses of success, and the schema of the answer.
    gives: &'static [(&'static str, &'static str)],
}

const fn described(
    summary: &'static str,
    takes: Option<&'static str>,
    gives: &'static [(&'static str, &'static str)],
) -> Described {
    Described { summary, takes, gives }
}

/// A record that is new, or known already.
const TAKEN: &[(&str, &str)] = &[("200", "Taken"), ("201", "Taken")];
/// Something that happened now, or before.
const DONE: &[(&str, &str)] = &[("200", "Taken")];
const LIFTED: &[(&str, &str)] = &[("200", "Lifted")];

/// What stands in the document about a row of the table.
fn describe(rule: &Rule) -> Option<Described> {
    let about = match (rule.method, rule.path) {
        ("POST", "/v1/consents") => described("Take a consent", Some("Consent"), TAKEN),
        ("POST", "/v1/consents/{id}/withdrawal") => described("Withdraw a consent", None, DONE),
        ("POST", "/v1/withdrawals") => described(
            "Withdraw all consents for a purpose and what lies beneath it",
            Some("Withdrawal"),
            &[("200", "Withdrawn")],
        ),
        ("PUT", "/v1/notices") => described("A person was shown a text", Some("Notice"), TAKEN),
        ("PUT", "/v1/objections") => described("A person objects", Some("Objection"), TAKEN),
        ("POST", "/v1/objections/lift") => {
            described("Lift an objection", Some("LiftedObjection"), LIFTED)
        }
        ("PUT", "/v1/restrictions") => described("Restrict processing", Some("Restriction"), TAKEN),
        ("POST", "/v1/restrictions/lift") => {
            described("Lift a person's restrictions", Some("OfSubject"), LIFTED)
        }
        ("PUT", "/v1/disputes") => described("A person disputes data", Some("Dispute"), TAKEN),
        ("POST", "/v1/disputes/resolve") => described(
            "Resolve what a person disputes",
            Some("ResolvedDispute"),
            &[("200", "Resolved")],
        ),
        ("PUT", "/v1/erasures") => described("Erase a person", Some("Erasure"), TAKEN),
        ("POST", "/v1/erasures/lift") => described(
            "Lift a person's erasures, as this caller: two callers are needed",
            Some("OfSubject"),
            &[("200", "LiftedErasures")],
        ),
        ("PUT", "/v1/subjects") => {
            described("Age class and region of a person", Some("Subject"), TAKEN)
        }
        ("PUT", "/v1/one-time-grants") => {
            described("Let one recipient have a person's data once", Some("OneTimeGrant"), TAKEN)
        }
        ("PUT", "/v1/orders") => described("Enter a legal order", Some("Order"), TAKEN),
        ("GET", "/v1/orders") => {
            described("Orders, without people", None, &[("200", "KnownOrders")])
        }
        ("GET", "/v1/orders/{id}") => {
            described("An order, without people", None, &[("200", "KnownOrder")])
        }
        ("POST", "/v1/orders/{id}/approval") => {
            described("Approve an order, as this caller", None, DONE)
        }
        ("POST", "/v1/orders/{id}/lift") => described("End an order for good", None, DONE),
        ("PUT", "/v1/cases") => described("Open a case, or add people", Some("Case"), TAKEN),
        ("GET", "/v1/cases") => described("Cases, without people", None, &[("200", "KnownCases")]),
        ("GET", "/v1/cases/{id}") => {
            described("A case, without people", None, &[("200", "KnownCase")])
        }
        ("POST", "/v1/cases/{id}/closure") => described("Close a case for good", None, DONE),
        ("GET", "/v1/requests") => {
            described("Requests of people that wait", None, &[("200", "Requests")])
        }
        ("POST", "/v1/requests/{receipt}/answer") => {
            described("A request was answered", None, DONE)
        }
        ("POST", "/v1/erasure-notices/{id}/retry") => {
            described("Tell a recipient of an erasure again, after it was given up", None, DONE)
        }
        ("POST", "/v1/statements/query") => {
            described("All that a person has said", Some("OfSubject"), &[("200", "Statements")])
        }
        ("POST", "/v1/statements/history") => described(
            "Every act of a person, with its proof",
            Some("OfSubject"),
            &[("200", "History")],
        ),
        ("GET", "/v1/reports/{name}") => {
            described("A report that names nobody", None, &[("200", "Report")])
        }
        ("POST", "/v1/reports/{name}/query") => described(
            "A report about a person, or which of some people it concerns",
            Some("ReportAbout"),
            &[("200", "Report")],
        ),
        ("POST", "/v1/import") => described(
            "Take records or receipts, one a line: all of them or none",
            Some("Consent"),
            &[("200", "Imported")],
        ),
        ("GET", "/v1/export") => described(
            "Everything that the registers hold, one record a line, as an import takes them",
            None,
            &[("200", "ExportedRecord")],
        ),
        ("GET", "/v1/callers") => {
            described("Who may call, and as what", None, &[("200", "Callers")])
        }
        ("GET", "/v1/policy") => described("The rules in force", None, &[("200", "Policy")]),
        ("GET", "/openapi.json") => described("This document", None, &[("200", "OpenApi")]),
        _ => return None,
    };
    Some(about)
}

/// The document. A row that nobody described stands in it without a word of what it takes and gives,
/// which the tests do not let pass.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for rule in TABLE {
        let item = paths.entry(rule.path).or_insert_with(|| json!({}));
        item[rule.method.to_ascii_lowercase()] = operation(rule);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tamis admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What people said, and who may be told what. For the controller's own \
                            programs: no browser is answered.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "security": [{"token": []}, {"certificate": []}, {"certificate": [], "token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    })
}

fn operation(rule: &Rule) -> Value {
    let roles: Vec<&str> = rule.roles.iter().map(|role| AdminRole::as_str(*role)).collect();
    let mut operation = json!({
        "operationId": operation_id(rule),
        "x-roles": roles,
        "x-touches": match rule.touches {
            Touches::Nobody => "nobody",
            Touches::People => "people",
            Touches::Registers => "registers",
        },
    });
    let names = rule.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|name| {
            let schema = match name {
                "name" => json!({"type": "string", "enum": Name::ALL.map(Name::as_str)}),
                _ => json!({"type": "string", "minLength": 1}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    let asked: &[&str] = match (rule.method, rule.path) {
        ("GET", "/v1/reports/{name}") => &["recipient", "from", "to", "format"],
        ("GET", "/v1/requests" | "/v1/orders" | "/v1/cases") => &["limit", "cursor"],
        ("POST", "/v1/import") => &["form"],
        _ => &[],
    };
    let text = json!({"type": "string"});
    parameters
        .extend(asked.iter().map(|name| json!({"name": name, "in": "query", "schema": text})));
    if rule.touches == Touches::Registers {
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "schema": text}));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    let Some(Described { summary, takes, gives }) = describe(rule) else { return operation };
    operation["summary"] = summary.into();
    if let Some(schema) = takes {
        let mut content = json_of(schema);
        if rule.path == "/v1/import" {
            content["application/x-ndjson"] = json!({});
        }
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    let mut responses = Map::new();
    for &(status, schema) in gives {
        let mut content = json_of(schema);
        if schema == "ExportedRecord" {
            content = json!({"application/x-ndjson": content["application/json"].take()});
        }
        if schema == "Report" {
            for form in [Form::Csv, Form::Html, Form::JsonLd] {
                content[form.media_type()] = json!({});
            }
        }
        responses.insert(status.to_owned(), json!({"description": "done", "content": content}));
    }
    let problem = json!({"$ref": "#/components/schemas/Problem"});
    for (status, why) in problems(takes.is_some()) {
        let content = json!({"application/problem+json": {"schema": problem}});
        responses.insert(status.to_owned(), json!({"description": why, "content": content}));
    }
    operation["responses"] = responses.into();
    operation
}

fn json_of(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

/// What any call may come to, besides success.
fn problems(takes_a_body: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let always = [
        ("401", "no credentials of a known caller"),
        ("403", "none of the caller's roles may do this, or a browser asks"),
        ("404", "nothing of this id"),
        ("422", "the field that is wrong, never its value"),
        ("429", "the caller's share is used up; Retry-After says how long to wait"),
        ("503", "registers or ledger are not there, or too many reports or exports are being made"),
    ];
    let of_a_body = [("413", "longer than any record"), ("415", "not application/json in UTF-8")];
    always.into_iter().chain(of_a_body.into_iter().filter(move |_| takes_a_body))
}

/// `POST /v1/orders/{id}/approval` → `postOrdersIdApproval`.
fn operation_id(rule: &Rule) -> String {
    let path = rule.path.trim_start_matches("/v1");
    let words = path.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut id = rule.method.to_ascii_lowercase();
    for word in words {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_described_and_under_a_name_of_its_own() {
        let mut ids: Vec<String> = TABLE.iter().map(operation_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), TABLE.len());
        for rule in TABLE {
            assert!(describe(rule).is_some(), "{} {}", rule.method, rule.path);
        }
    }
}
