//! `tamis diff OLD NEW`: what a change of rules means, for whoever has to approve it.
//!
//! Not of texts but of what is released: recipient by recipient, purpose by purpose, route by route and
//! member by member. What shows more is widened, what shows less is narrowed. Conditions (consent,
//! objection, contract, transfers) and routes (parameters, bodies, whom they ask) are compared beside it,
//! since a condition less, or a question more, widens too.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::REJECTED;
use super::check::Format;
use crate::config;
use crate::policy::Policy;
use crate::policy::difference::{Change, Way, changes};

/// Something is widened: a second person should look.
const WIDENED: u8 = 3;

/// Arguments of `tamis diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis diff main/rules.yaml rules.yaml

Exit codes: 0 nothing is widened, 3 something is (so that a build asks for a second approval), 2 usage,
64 rules rejected.")]
pub(super) struct Diff {
    /// The rules in force.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The rules to come.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Diff {
    pub(super) fn run(self) -> ExitCode {
        let policies = load(&self.old).and_then(|old| Ok((old, load(&self.new)?)));
        let (old, new) = match policies {
            Ok(policies) => policies,
            Err(complaint) => {
                let _ = writeln!(io::stderr(), "tamis diff: {complaint}");
                return ExitCode::from(REJECTED);
            }
        };
        let changes = match changes(&old, &new) {
            Ok(changes) => changes,
            Err(complaint) => {
                let _ = writeln!(io::stderr(), "tamis diff: {complaint}");
                return ExitCode::from(REJECTED);
            }
        };
        let mut out = io::stdout().lock();
        let written = match self.format {
            Format::Human => print(&mut out, &changes),
            Format::Json => writeln!(out, "{:#}", to_json(&changes)),
        };
        if written.and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
        if changes.iter().any(|change| change.way != Way::Narrowed) {
            ExitCode::from(WIDENED)
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn load(file: &Path) -> Result<Policy, String> {
    let sources =
        config::rules(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Policy::of(&sources).map_err(|rejected| rejected.to_string())
}

fn print(out: &mut dyn Write, changes: &[Change]) -> io::Result<()> {
    for change in changes {
        let Change { way, about, what, before, after } = change;
        writeln!(out, "{:<8}  {about}: {what}: {before} -> {after}", way.as_str())?;
    }
    let count = |way: Way| changes.iter().filter(|change| change.way == way).count();
    writeln!(
        out,
        "{} widened, {} changed, {} narrowed",
        count(Way::Widened),
        count(Way::Changed),
        count(Way::Narrowed)
    )
}

fn to_json(changes: &[Change]) -> Value {
    let list: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "way": change.way.as_str(),
                "about": change.about,
                "what": change.what,
                "before": change.before,
                "after": change.after,
            })
        })
        .collect();
    json!({
        "widens": changes.iter().any(|change| change.way != Way::Narrowed),
        "changes": list,
    })
}
