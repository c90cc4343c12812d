//! `tamis schema`: JSON Schemas of rules and settings, for editors.

use std::io::{self, Write};
use std::process::ExitCode;

/// JSON Schema 2020-12. `tests/tools/schema.rs` holds that it takes the packs and refuses what is
/// misspelt.
const RULES: &str = include_str!("schema.json");

/// The same of `tamis.yaml`.
const SETTINGS: &str = include_str!("settings.schema.json");

/// Arguments of `tamis schema`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis schema > rules.schema.json

An editor with a YAML language server completes and checks by it while rules are written; its first line
is then:
  # yaml-language-server: $schema=rules.schema.json
What counts is `tamis check`: a schema cannot tell whether a name is declared or a selector can work.")]
pub(super) struct Schema {
    /// Of `tamis.yaml` instead: backends in full, of other sections what they are for.
    #[arg(long)]
    settings: bool,
}

impl Schema {
    pub(super) fn run(self) -> ExitCode {
        let schema = if self.settings { SETTINGS } else { RULES };
        let mut out = io::stdout().lock();
        match out.write_all(schema.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}
