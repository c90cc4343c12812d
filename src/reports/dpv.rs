//! The record of processing as JSON-LD in the words of the W3C Data Privacy Vocabulary 2, for tools
//! that read it. Purposes, categories and recipients are the policy's own, under its own name space.

use serde_json::{Value, json};

use super::{Document, Member};
use crate::terms::LegalBasis;

/// The graph of a record of processing; `None` for every other report.
#[must_use]
pub fn json_ld(document: &Document) -> Option<Value> {
    if document.name != "art30" {
        return None;
    }
    let policy = &document.basis.policy;
    let own = |kind: &str, name: &str| format!("urn:tamis:{}:{kind}:{name}", policy.id);
    let table = document.members.iter().find_map(|member| match member {
        Member::Rows("processing", table) => Some(table),
        Member::Rows(..) | Member::Said(..) => None,
    })?;
    let cell = |row: &[Value], name: &str| -> Value {
        let at = table.columns.iter().position(|column| *column == name);
        at.and_then(|at| row.get(at)).cloned().unwrap_or_default()
    };
    let texts = |value: Value| -> Vec<String> {
        let items = value.as_array().cloned().unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut graph = vec![json!({
        "@id": own("controller", ""),
        "@type": "dpv:DataController",
        "dct:title": document.basis.controller,
    })];
    for row in &table.rows {
        let purpose = cell(row, "purpose").as_str().unwrap_or_default().to_owned();
        let text = cell(row, "text");
        let basis = cell(row, "basis");
        let named = |kind: &'static str, names: Vec<String>| -> Vec<Value> {
            names.iter().map(|name| json!({"@id": own(kind, name), "dct:title": name})).collect()
        };
        let recipients = cell(row, "recipients").as_object().cloned().unwrap_or_default();
        graph.push(json!({
            "@id": own("process", &purpose),
            "@type": "dpv:Process",
            "dct:title": text,
            "dpv:hasDataController": {"@id": own("controller", "")},
            "dpv:hasPurpose": {
                "@id": own("purpose", &purpose), "@type": "dpv:Purpose", "dct:title": text,
            },
            "dpv:hasLegalBasis": {"@id": legal_basis(basis.as_str().unwrap_or_default())},
            "dpv:hasPersonalData": named("category", texts(cell(row, "categories"))),
            "dpv:hasDataSubject": named("people", texts(cell(row, "people"))),
            "dpv:hasRecipient": named("recipient", recipients.keys().cloned().collect()),
            "dpv:hasCountry": texts(cell(row, "countries")),
            "dpv:hasStorageCondition": texts(cell(row, "storage")),
        }));
    }
    Some(json!({
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
            "dct": "http://purl.org/dc/terms/",
        },
        "@id": own("record", &policy.rev),
        "@type": "dpv:RegisterOfProcessingActivities",
        "dct:title": document.title,
        "dct:created": format!("{:.0}", document.basis.as_of),
        "dct:source": policy.digest,
        "dct:provenance": document.basis.json(),
        "@graph": graph,
    }))
}

/// The article's term.
fn legal_basis(word: &str) -> &'static str {
    let all = [
        (LegalBasis::Consent, "eu-gdpr:A6-1-a"),
        (LegalBasis::ExplicitConsent, "eu-gdpr:A9-2-a"),
        (LegalBasis::Contract, "eu-gdpr:A6-1-b"),
        (LegalBasis::LegalObligation, "eu-gdpr:A6-1-c"),
        (LegalBasis::Vital, "eu-gdpr:A6-1-d"),
        (LegalBasis::PublicTask, "eu-gdpr:A6-1-e"),
        (LegalBasis::LegitimateInterests, "eu-gdpr:A6-1-f"),
    ];
    all.iter().find(|(basis, _)| basis.as_str() == word).map_or("dpv:LegalBasis", |(_, term)| term)
}
