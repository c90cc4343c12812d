//! The forms of bodies and answers, as JSON Schema. Each body has an example, which a gateway takes.

use serde_json::{Value, json};

/// An object with these members, and no others.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// A body, with an example of it.
fn body(required: &[&str], properties: &Value, example: &Value) -> Value {
    let mut schema = object(required, properties);
    schema["examples"] = json!([example]);
    schema
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 1024})
}

fn texts() -> Value {
    json!({"type": "array", "items": text(), "maxItems": 256})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn digest() -> Value {
    json!({"type": "string", "pattern": "^sha-256:[0-9a-f]{64}$"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// The kind that a record may repeat.
fn kind(name: &str) -> Value {
    json!({"type": "string", "const": name})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

const STATUSES: [&str; 9] = [
    "requested",
    "given",
    "renewed",
    "refused",
    "withdrawn",
    "revoked",
    "expired",
    "invalidated",
    "unknown",
];

fn events() -> Value {
    list(&object(&["at", "status"], &json!({"at": time(), "status": word(&STATUSES)})))
}

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let mut all = records();
    for (name, schema) in asked().into_iter().chain(answers()) {
        all.push((name, schema));
    }
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect::<Value>()
}

type Named = (&'static str, Value);

/// What the registers take. `docs/OPERATIONS.md`, "Registers", has the same in words.
fn records() -> Vec<Named> {
    let notice = object(
        &["ref"],
        &json!({"ref": text(), "revision": text(), "language": text(), "shown_at": time()}),
    );
    let consent = body(
        &["id", "subject", "purpose"],
        &json!({
            "kind": kind("consent"), "id": text(), "subject": text(), "purpose": text(),
            "purpose_text_digest": digest(), "recipients": texts(), "categories": texts(),
            "explicit": flag(), "status": word(&STATUSES), "given_at": time(),
            "expires_at": time(), "events": events(), "notice": notice, "method": text(),
            "jurisdiction": text(), "evidence": digest(), "source": text(),
        }),
        &json!({
            "id": "con_1", "subject": "u1", "purpose": "share.partner",
            "recipients": ["partner"], "status": "given", "given_at": "2026-01-01T09:00:00Z",
        }),
    );
    let notice = body(
        &["subject", "purpose", "shown_at"],
        &json!({
            "kind": kind("notice"), "id": text(), "subject": text(), "purpose": text(),
            "purpose_text_digest": digest(), "shown_at": time(),
        }),
        &json!({"subject": "u1", "purpose": "share.partner", "shown_at": "2026-01-01T09:00:00Z"}),
    );
    let objection = body(
        &["subject", "purpose", "since"],
        &json!({
            "kind": kind("objection"), "id": text(), "subject": text(), "purpose": text(),
            "since": time(), "channel": text(), "source": text(),
        }),
        &json!({"subject": "u1", "purpose": "share.*", "since": "2026-01-01T09:00:00Z"}),
    );
    let restriction = body(
        &["subject", "categories", "since"],
        &json!({
            "kind": kind("restriction"), "id": text(), "subject": text(), "categories": texts(),
            "ground": text(), "since": time(), "until": time(),
        }),
        &json!({"subject": "u1", "categories": ["contact.*"], "since": "2026-01-01T09:00:00Z"}),
    );
    let dispute = body(
        &["subject", "categories", "since"],
        &json!({
            "kind": kind("dispute"), "subject": text(), "categories": texts(), "since": time(),
        }),
        &json!({"subject": "u1", "categories": ["contact.email"], "since": "2026-01-01T09:00:00Z"}),
    );
    let erasure = body(
        &["subject", "requested_at"],
        &json!({
            "kind": kind("erasure"), "id": text(), "subject": text(), "requested_at": time(),
            "effective_at": time(), "except": texts(), "told": flag(),
        }),
        &json!({
            "subject": "u2", "requested_at": "2026-01-01T09:00:00Z", "except": ["legal.claims"],
        }),
    );
    let subject = body(
        &["subject"],
        &json!({
            "kind": kind("subject"), "subject": text(), "age": word(&["adult", "minor", "unknown"]),
            "region": text(),
        }),
        &json!({"subject": "u1", "age": "adult", "region": "DE"}),
    );
    let grant = body(
        &["id", "subject", "purpose", "recipient", "granted_at"],
        &json!({
            "kind": kind("one-time-grant"), "id": text(), "subject": text(), "purpose": text(),
            "recipient": text(), "granted_at": time(), "expires_at": time(), "used_by": text(),
        }),
        &json!({
            "id": "grant_1", "subject": "u1", "purpose": "share.partner", "recipient": "partner",
            "granted_at": "2026-01-01T09:00:00Z",
        }),
    );
    let order = body(
        &["id", "recipient", "authority", "subjects", "categories", "from", "until"],
        &json!({
            "kind": kind("order"), "id": text(), "recipient": text(), "authority": text(),
            "type": word(&["court", "regulator", "police"]), "document": digest(),
            "subjects": texts(), "categories": texts(), "from": time(), "until": time(),
            "gag_until": time(), "lifted_at": time(),
        }),
        &json!({
            "id": "ord-7", "recipient": "court", "authority": "Invented Court",
            "subjects": ["u1"], "categories": ["identity.name"],
            "from": "2026-01-01T00:00:00Z", "until": "2090-01-01T00:00:00Z",
        }),
    );
    let case = body(
        &["id", "purposes", "subjects", "opened_at"],
        &json!({
            "kind": kind("case"), "id": text(), "purposes": texts(), "subjects": texts(),
            "opened_at": time(), "until": time(), "closed_at": time(),
        }),
        &json!({
            "id": "C-1", "purposes": ["legal.claims"], "subjects": ["u1"],
            "opened_at": "2026-01-01T00:00:00Z",
        }),
    );
    vec![
        ("Consent", consent),
        ("Notice", notice),
        ("Objection", objection),
        ("Restriction", restriction),
        ("Dispute", dispute),
        ("Erasure", erasure),
        ("Subject", subject),
        ("OneTimeGrant", grant),
        ("Order", order),
        ("Case", case),
    ]
}

/// Bodies that are no records.
fn asked() -> Vec<Named> {
    let withdrawal = body(
        &["subject", "purpose"],
        &json!({"subject": text(), "purpose": text(), "recipient": text()}),
        &json!({"subject": "u1", "purpose": "share.partner"}),
    );
    let lift = body(
        &["subject", "purpose"],
        &json!({"subject": text(), "purpose": text()}),
        &json!({"subject": "u1", "purpose": "share.*"}),
    );
    let resolve = body(
        &["subject"],
        &json!({"subject": text(), "category": text()}),
        &json!({"subject": "u1", "category": "contact.email"}),
    );
    let subject = body(&["subject"], &json!({"subject": text()}), &json!({"subject": "u1"}));
    let report = body(
        &[],
        &json!({
            "subject": text(), "among": texts(), "recipient": text(), "from": text(),
            "to": text(), "format": word(&["json", "csv", "html", "jsonld"]),
        }),
        &json!({"subject": "u1"}),
    );
    vec![
        ("Withdrawal", withdrawal),
        ("LiftedObjection", lift),
        ("ResolvedDispute", resolve),
        ("OfSubject", subject),
        ("ReportAbout", report),
    ]
}

fn answers() -> Vec<Named> {
    let problem = object(
        &["type", "title", "status", "detail"],
        &json!({
            "type": {"type": "string"}, "title": text(), "status": count(), "detail": text(),
            "errors": list(&object(&["line", "why"], &json!({"line": count(), "why": text()}))),
            "count": count(),
        }),
    );
    let order = object(
        &["id", "recipient", "categories", "from", "until", "approved_by", "lifted", "in_force"],
        &json!({
            "id": text(), "recipient": text(), "categories": texts(), "from": time(),
            "until": time(), "gag_until": time(), "approved_by": texts(), "lifted": flag(),
            "in_force": flag(),
        }),
    );
    let case = object(
        &["id", "purposes", "opened_at", "open"],
        &json!({
            "id": text(), "purposes": texts(), "opened_at": time(), "until": time(),
            "open": flag(),
        }),
    );
    let request = object(
        &["receipt", "received_at", "subject", "right", "categories"],
        &json!({
            "receipt": text(), "received_at": time(), "subject": text(),
            "right": word(&["erasure", "restriction", "rectification"]), "categories": texts(),
        }),
    );
    let caller = object(
        &["name", "roles", "token", "certificate"],
        &json!({
            "name": text(), "roles": texts(), "token": flag(),
            "certificate": {"type": ["string", "null"]},
        }),
    );
    let purpose = object(
        &["text", "text_digest", "basis", "consent_names_recipient"],
        &json!({
            "text": text(), "text_digest": digest(), "basis": text(),
            "consent_names_recipient": flag(),
        }),
    );
    let policy = object(
        &["id", "title", "revision", "digest", "purposes", "recipients"],
        &json!({
            "id": text(), "title": text(), "revision": text(), "digest": digest(),
            "purposes": {"type": "object", "additionalProperties": purpose},
            "recipients": texts(),
        }),
    );
    vec![
        ("Problem", problem),
        ("Taken", object(&["new"], &json!({"new": flag()}))),
        ("Withdrawn", object(&["consents"], &json!({"consents": count()}))),
        ("Lifted", object(&["lifted"], &json!({"lifted": count()}))),
        (
            "LiftedErasures",
            object(&["lifted", "waiting"], &json!({"lifted": count(), "waiting": count()})),
        ),
        ("Resolved", object(&["resolved"], &json!({"resolved": count()}))),
        ("KnownOrders", object(&["orders"], &json!({"orders": list(&order), "next": text()}))),
        ("KnownCases", object(&["cases"], &json!({"cases": list(&case), "next": text()}))),
        ("KnownOrder", order),
        ("KnownCase", case),
        ("Requests", object(&["requests"], &json!({"requests": list(&request), "next": text()}))),
        ("Imported", object(&["records", "new"], &json!({"records": count(), "new": count()}))),
        ("ExportedRecord", exported_record()),
        ("Statements", statements()),
        ("History", object(&["history"], &json!({"history": list(&act())}))),
        ("Report", json!({"type": "object", "required": ["report", "basis"]})),
        ("Callers", object(&["callers"], &json!({"callers": list(&caller)}))),
        ("Policy", policy),
        ("OpenApi", json!({"type": "object", "required": ["openapi", "paths"]})),
    ]
}

/// One line of an export. What else stands in it the schema of its kind says.
fn exported_record() -> Value {
    let kinds = [
        "withdrawal",
        "consent",
        "notice",
        "objection",
        "restriction",
        "dispute",
        "erasure",
        "subject",
        "one-time-grant",
        "order",
        "case",
    ];
    let mut record = object(&["kind"], &json!({"kind": word(&kinds)}));
    record["additionalProperties"] = true.into();
    record
}

/// One act of a person, and what its register keeps of it.
fn act() -> Value {
    json!({
        "type": "object",
        "required": ["at", "register", "change"],
        "properties": {"at": time(), "register": text(), "change": text()},
    })
}

/// All that a person has said, in every state.
fn statements() -> Value {
    let consent = object(
        &["id", "purpose", "recipients", "categories", "explicit", "status", "events"],
        &json!({
            "id": text(), "purpose": text(), "purpose_text_digest": digest(),
            "recipients": texts(), "categories": texts(), "explicit": flag(),
            "status": word(&STATUSES), "expires_at": time(), "events": events(),
        }),
    );
    let notice = object(
        &["purpose", "shown_at"],
        &json!({"purpose": text(), "purpose_text_digest": digest(), "shown_at": time()}),
    );
    let objection = object(&["purpose", "since"], &json!({"purpose": text(), "since": time()}));
    let restriction = object(
        &["categories", "since"],
        &json!({"categories": texts(), "since": time(), "until": time(), "disputed": flag()}),
    );
    let grant = object(
        &["id", "purpose", "recipient", "granted_at"],
        &json!({
            "id": text(), "purpose": text(), "recipient": text(), "granted_at": time(),
            "expires_at": time(), "used_by": text(),
        }),
    );
    let erasure =
        object(&["effective_at", "except"], &json!({"effective_at": time(), "except": texts()}));
    object(
        &["consents", "notices", "objections", "restrictions", "one_time_grants", "age"],
        &json!({
            "consents": list(&consent), "notices": list(&notice),
            "objections": list(&objection), "restrictions": list(&restriction),
            "one_time_grants": list(&grant), "erasure": erasure,
            "age": word(&["adult", "minor", "unknown"]), "region": text(),
        }),
    )
}
