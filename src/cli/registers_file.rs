//! `--config F`, or `--registers F --rules F`: where a command that changes the registers works.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::REJECTED;
use crate::config::{self, Config, ConfigError};
use crate::policy::Policy;
use crate::registers::{Record, RegisterPlace, RegisterStore, RegistersUnavailable, check_record};
use crate::terms::{DataSubject, Personal};

/// Longest text of subjects' ids that is read from standard input.
const SUBJECT_BYTES: u64 = 64 * 1024;

/// Which registers, and the rules that their names are checked against.
#[derive(clap::Args)]
pub(super) struct RegistersFile {
    /// The gateway's configuration, which names registers and rules.
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["registers", "rules"])]
    config: Option<PathBuf>,
    /// The registers' file.
    #[arg(long, global = true, value_name = "FILE")]
    registers: Option<PathBuf>,
    /// The rules file.
    #[arg(long, global = true, value_name = "FILE")]
    rules: Option<PathBuf>,
}

/// Why a command failed.
pub(super) enum Failure {
    /// Configuration or rules.
    Rejected(String),
    /// Anything else; holds no value of a record.
    Failed(String),
}

pub(super) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

impl RegistersFile {
    /// Opens both and runs `perform`; prints what it says.
    pub(super) fn with(
        &self,
        perform: impl FnOnce(&RegisterStore, &Policy) -> Result<String, Failure>,
    ) -> ExitCode {
        ended(self.open().and_then(|(registers, policy)| perform(&registers, &policy)))
    }

    fn open(&self) -> Result<(RegisterStore, Policy), Failure> {
        let (registers, rules) = match (&self.config, &self.registers, &self.rules) {
            (Some(config), _, _) => {
                let config = configuration(config)?;
                (config.registers, config.rules)
            }
            (None, Some(registers), Some(rules)) => {
                (RegisterPlace::File(registers.clone()), rules.clone())
            }
            _ => return Err(failed("give --config, or both --registers and --rules")),
        };
        let policy = policy(&rules)?;
        let registers = RegisterStore::open(&registers).map_err(|error| unavailable(&error))?;
        Ok((registers, policy))
    }
}

/// Prints what a command has to say, or why it failed.
pub(super) fn ended(done: Result<String, Failure>) -> ExitCode {
    let (text, code) = match done {
        Ok(text) => {
            let written = writeln!(io::stdout().lock(), "{text}");
            return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(Failure::Rejected(text)) => (text, ExitCode::from(REJECTED)),
        Err(Failure::Failed(text)) => (text, ExitCode::FAILURE),
    };
    complain(&text);
    code
}

/// A gateway's configuration.
pub(super) fn configuration(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|error| Failure::Rejected(config_error(&error)))
}

/// The rules of a configuration.
pub(super) fn policy(rules: &Path) -> Result<Policy, Failure> {
    let sources = config::rules(rules).map_err(|error| {
        Failure::Rejected(format!("cannot read {}: {}", rules.display(), error.kind()))
    })?;
    Policy::of(&sources).map_err(|rejected| Failure::Rejected(rejected.to_string()))
}

/// Why the registers do not answer, which names no person.
pub(super) fn unavailable(error: &RegistersUnavailable) -> Failure {
    failed(format!("{error}: {}", error.0))
}

/// Enters a record whose names the rules know. Returns what is said of it.
pub(super) fn enter(
    registers: &RegisterStore,
    policy: &Policy,
    record: &Record,
    said: &str,
) -> Result<String, Failure> {
    check_record(policy, record).map_err(failed)?;
    registers.record(record).map_err(failed)?;
    Ok(said.to_owned())
}

/// Rows that are asked for at a time.
pub(super) const PAGE: usize = 500;

/// All rows of a list that is read page by page, one a line; `show` gives a row's place and what is shown.
pub(super) fn listed<T>(
    page: impl Fn(&str) -> Result<Vec<T>, Failure>,
    show: impl Fn(&T) -> (String, Value),
) -> Result<String, Failure> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        let rows = page(&after)?;
        for (place, shown) in rows.iter().map(&show) {
            lines.push(shown.to_string());
            after = place;
        }
        if rows.len() < PAGE {
            return Ok(lines.join("\n"));
        }
    }
}

/// The subject that an argument names; `-` reads one from standard input.
pub(super) fn subject(argument: &str) -> Result<DataSubject, Failure> {
    let mut all = subjects(&[argument.to_owned()])?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(failed("one subject, please")),
    }
}

/// The subjects that arguments name; a single `-` reads one a line from standard input.
pub(super) fn subjects(arguments: &[String]) -> Result<Vec<DataSubject>, Failure> {
    let personal = |id: &str| Personal::new(id.into());
    if arguments.len() != 1 || arguments[0] != "-" {
        return Ok(arguments.iter().map(|id| personal(id)).collect());
    }
    let mut text = String::new();
    let read = io::stdin().take(SUBJECT_BYTES).read_to_string(&mut text);
    let read = read.map_err(|error| failed(error.kind()))?;
    if u64::try_from(read).is_ok_and(|read| read >= SUBJECT_BYTES) {
        return Err(failed("too much on standard input"));
    }
    Ok(text.lines().map(personal).collect())
}

/// What is wrong with a configuration, with the findings if it was read.
pub(super) fn config_error(error: &ConfigError) -> String {
    match error {
        ConfigError::Unreadable(_, cause) => format!("{error}: {}", cause.kind()),
        ConfigError::Rejected(findings) => findings.to_string(),
    }
}

/// One complaint on standard error; nobody is left to be told if that fails.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
