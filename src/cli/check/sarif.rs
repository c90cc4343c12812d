//! Findings in SARIF 2.1.0, which code hosts and editors show beside the line.
//! Source: OASIS Static Analysis Results Interchange Format 2.1.0, §3.13, §3.14, §3.27, §3.30.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Report;
use crate::policy::{CODES, Diagnostic, Place, Severity};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What may stand in the path of a URI as it is. Source: RFC 3986 §3.3.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One log with one run over all files.
pub(super) fn log(reports: &[Report]) -> Value {
    let rules: Vec<Value> = CODES
        .iter()
        .map(|code| json!({"id": code.code, "shortDescription": {"text": code.about}}))
        .collect();
    let findings = reports.iter().flat_map(|report| &report.findings);
    let results: Vec<Value> = findings.map(finding).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tamis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn finding(finding: &Diagnostic) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    result(finding.code, level, &format!("{}{help}", finding.message), &finding.place)
}

fn result(rule: &str, level: &str, text: &str, place: &Place) -> Value {
    // -1: none of those listed. Source: §3.27.6.
    let index = CODES.iter().position(|code| code.code == rule);
    let index = index.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1);
    json!({
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&place.file)},
            "region": {
                "startLine": place.line,
                "startColumn": place.column,
                "endColumn": place.column.saturating_add(place.length),
            },
        }}],
    })
}

/// A relative path is a relative reference; an absolute one names its scheme.
fn uri(file: &str) -> String {
    let path = utf8_percent_encode(file, PATH).to_string();
    if file.starts_with('/') { format!("file://{path}") } else { path }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_file_is_a_uri_whatever_its_name() {
        for (file, expected) in [
            ("rules/a.yaml", "rules/a.yaml"),
            ("/rules/a b.yaml", "file:///rules/a%20b.yaml"),
            ("über:x.yaml", "%C3%BCber%3Ax.yaml"),
        ] {
            assert_eq!(uri(file), expected);
        }
    }
}
