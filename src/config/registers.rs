//! `registers:`, a file or a server.

use std::time::Duration;

use super::file::optional_path;
use super::node::{Node, Value};
use super::read::{Code, Findings, Section};
use crate::registers::{PostgresSettings, RegisterPlace};

/// How long what is known of a server's registers counts. Half of it is left when a minute, within
/// which a withdrawal is to have its effect, is over.
const USUAL_STALENESS: Duration = Duration::from_secs(30);

/// Where the registers are; without a word in a file beside the configuration.
pub(super) fn place(
    node: Option<&Node>,
    name: Option<&str>,
    findings: &mut Findings,
) -> Option<RegisterPlace> {
    let Some(node) = node else {
        return Some(RegisterPlace::File(findings.beside("registers.sqlite")));
    };
    if !matches!(node.value, Value::Map(_)) {
        return findings.path(node).map(RegisterPlace::File);
    }
    let mut section = Section::new("registers", node, findings);
    let store = section.required("store", findings);
    let is_postgres = match store.and_then(|node| findings.text(node)).as_deref() {
        Some("postgres") => true,
        Some(_) => {
            let help = Some("write `registers: FILE`, or `store: postgres`".into());
            findings.note(Code::Value, node.location, "not a store".into(), help);
            false
        }
        None => false,
    };
    let url_file = section.required("url_file", findings).and_then(|node| findings.path(node));
    let ca = optional_path(section.optional("ca"), findings);
    let mark = match section.optional("mark") {
        Some(node) => findings.path(node),
        None => Some(findings.beside("registers.mark")),
    };
    let max_staleness = match section.optional("max_staleness") {
        Some(node) => findings.duration(node),
        None => Some(USUAL_STALENESS),
    };
    section.close(findings);
    let settings = PostgresSettings {
        url_file: url_file?,
        ca,
        node: name?.to_owned(),
        mark: mark?,
        max_staleness: max_staleness?,
    };
    is_postgres.then_some(RegisterPlace::Postgres(settings))
}
