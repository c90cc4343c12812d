//! `ledger:`, a directory or a server.

use super::node::{Node, Value};
use super::read::{Findings, Section};
use super::registers::{ServerWords, server};
use crate::ledger::{LedgerPlace, ServerSettings};

/// Where the ledger is; without a word in a directory beside the configuration.
pub(super) fn place(
    node: Option<&Node>,
    name: Option<&str>,
    findings: &mut Findings,
) -> Option<LedgerPlace> {
    let Some(node) = node else {
        return Some(LedgerPlace::Directory(findings.beside("ledger")));
    };
    if !matches!(node.value, Value::Map(_)) {
        return findings.path(node).map(LedgerPlace::Directory);
    }
    let mut section = Section::new("ledger", node, findings);
    let help = "write `ledger: DIRECTORY`, or `store: postgres`";
    let server = server(&mut section, node, help, "ledger.mark", findings);
    section.close(findings);
    let ServerWords { url_file, ca, mark } = server?;
    let (node, segment_bytes) = (name?.to_owned(), ServerSettings::SEGMENT_BYTES);
    Some(LedgerPlace::Postgres(ServerSettings { url_file, ca, node, mark, segment_bytes }))
}
