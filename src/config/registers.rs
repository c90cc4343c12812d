//! `registers:`, a file or a server.

use std::path::PathBuf;
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
    let help = "write `registers: FILE`, or `store: postgres`";
    let server = server(&mut section, node, help, "registers.mark", findings);
    let max_staleness = match section.optional("max_staleness") {
        Some(node) => findings.duration(node),
        None => Some(USUAL_STALENESS),
    };
    section.close(findings);
    let ServerWords { url_file, ca, mark } = server?;
    let (node, max_staleness) = (name?.to_owned(), max_staleness?);
    Some(RegisterPlace::Postgres(PostgresSettings { url_file, ca, node, mark, max_staleness }))
}

/// What is said of a server, whatever is kept there.
pub(super) struct ServerWords {
    pub(super) url_file: PathBuf,
    pub(super) ca: Option<PathBuf>,
    pub(super) mark: PathBuf,
}

/// Reads `store`, `url_file`, `ca` and `mark`.
pub(super) fn server(
    section: &mut Section<'_>,
    node: &Node,
    help: &str,
    usual_mark: &str,
    findings: &mut Findings,
) -> Option<ServerWords> {
    let store = section.required("store", findings);
    let is_postgres = match store.and_then(|node| findings.text(node)).as_deref() {
        Some("postgres") => true,
        Some(_) => {
            findings.note(Code::Value, node.location, "not a store".into(), Some(help.into()));
            false
        }
        None => false,
    };
    let url_file = section.required("url_file", findings).and_then(|node| findings.path(node));
    let ca = optional_path(section.optional("ca"), findings);
    let mark = match section.optional("mark") {
        Some(node) => findings.path(node),
        None => Some(findings.beside(usual_mark)),
    };
    let words = ServerWords { url_file: url_file?, ca, mark: mark? };
    is_postgres.then_some(words)
}
