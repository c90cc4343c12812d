//! `tamis report`: what the ledger says, for people who ask.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;

use super::REJECTED;
use super::registers_file::{Failure, complain, config_error, failed, subject};
use crate::config::Config;
use crate::gateway::subject_index;
use crate::keys::KeyRing;
use crate::ledger::{about, subject_report};
use crate::policy::Policy;

/// Arguments of `tamis report`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis report subject --config tamis.yaml --person u-1")]
pub(super) struct Report {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print to whom a person's data went, as JSON (GDPR Art. 15). May run beside the gateway.
    Subject(Subject),
}

/// Arguments of `tamis report subject`.
#[derive(clap::Args)]
#[command(
    after_help = "The same report that a route with `serve: subject-report` gives the person.\n\
    What a law forbids to tell for now is left out here too."
)]
struct Subject {
    /// The gateway's configuration, which names ledger, rules and key ring.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The person, by the controller's own id; `-` reads it from standard input, out of the process
    /// list.
    #[arg(long, value_name = "ID")]
    person: String,
}

impl Report {
    pub(super) fn run(self) -> ExitCode {
        let What::Subject(arguments) = self.what;
        match arguments.report() {
            Ok(report) => {
                let text = serde_json::to_string_pretty(&report).unwrap_or_default();
                let written = writeln!(io::stdout().lock(), "{text}");
                if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(Failure::Rejected(text)) => {
                complain(&text);
                ExitCode::from(REJECTED)
            }
            Err(Failure::Failed(text)) => {
                complain(&text);
                ExitCode::FAILURE
            }
        }
    }
}

impl Subject {
    fn report(&self) -> Result<Value, Failure> {
        let config =
            Config::load(&self.config).map_err(|error| Failure::Rejected(config_error(&error)))?;
        let rules = &config.rules;
        let text = std::fs::read_to_string(rules).map_err(|error| {
            Failure::Rejected(format!("cannot read {}: {}", rules.display(), error.kind()))
        })?;
        let policy = Policy::parse(&rules.display().to_string(), &text)
            .map_err(|rejected| Failure::Rejected(rejected.to_string()))?;
        let person = subject(&self.person)?;
        let keys = KeyRing::open(&config.key_ring).map_err(failed)?;
        let index = subject_index(&config.ledger, &keys).map_err(failed)?;
        let now = Timestamp::now();
        let told = about(&config.ledger, &index, &person, now).map_err(failed)?;
        Ok(Value::Object(subject_report(&policy, &told, now)))
    }
}
