//! `tamis check`: every finding about rules files.

mod github;
mod sarif;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::REJECTED;
use crate::cases::pack::promises_of;
use crate::config;
use crate::policy::{Diagnostic, Look, Mode, Policy, Severity, Sources, render};
use crate::reports::drift;

/// Arguments of `tamis check`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis check rules/letsmasak/rules.yaml

With --ledger /var/lib/tamis/ledger it moreover says where answers and rules have drifted apart.

Where a promises.yaml stands beside the rules, every promise must be named by them (T501).

With --format sarif, code hosts and editors show the findings beside the lines; with --format github,
a GitHub workflow does.

Exit codes: 0 accepted, 2 usage, 64 rejected (with --strict also: a warning).")]
pub(super) struct Check {
    /// Rules files.
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// The ledger of a gateway that works by these rules: also says which routes had members in answers
    /// that no rule lists, and who uses a purpose no more (T601).
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// How many days of it are looked at.
    #[arg(long, default_value_t = 30, requires = "ledger", value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    /// A warning rejects, too.
    #[arg(long)]
    strict: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// For whom findings are printed.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    /// People.
    Human,
    /// Programs.
    Json,
    /// Code hosts and editors (SARIF 2.1.0).
    Sarif,
    /// The log of a GitHub workflow, which shows each finding beside its line.
    Github,
}

/// For whom output is printed.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// People.
    Human,
    /// Programs.
    Json,
}

/// What was found in one file.
struct Report {
    file: String,
    sources: Sources,
    findings: Vec<Diagnostic>,
    /// `None`: rejected.
    policy: Option<Policy>,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let now = Timestamp::now();
        let today = now.to_zoned_datetime(TimeZone::UTC).date();
        let mut reports = Vec::new();
        for path in &self.rules {
            let report = Report::read(path, today).and_then(|report| match &self.ledger {
                Some(ledger) => report.with_drift(ledger, self.days, now),
                None => Ok(report),
            });
            match report {
                Ok(report) => reports.push(report),
                Err(complaint) => {
                    let _ = writeln!(io::stderr(), "{complaint}");
                    return ExitCode::from(REJECTED);
                }
            }
        }
        let mut out = io::stdout().lock();
        let written = match self.format {
            Output::Human => {
                let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
                let look = if coloured { Look::Coloured } else { Look::Plain };
                reports.iter().try_for_each(|report| report.print(&mut out, look))
            }
            Output::Json => {
                let reports: Vec<Value> = reports.iter().map(Report::to_json).collect();
                writeln!(out, "{:#}", json!({"files": reports}))
            }
            Output::Sarif => writeln!(out, "{:#}", sarif::log(&reports)),
            Output::Github => github::annotate(&mut out, &reports),
        };
        if written.and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
        let accepted = |report: &Report| {
            report.policy.is_some()
                && report.count(Severity::Error) == 0
                && !(self.strict && report.count(Severity::Warning) > 0)
        };
        if reports.iter().all(accepted) { ExitCode::SUCCESS } else { ExitCode::from(REJECTED) }
    }
}

impl Report {
    fn read(path: &Path, today: Date) -> Result<Self, String> {
        let file = path.display().to_string();
        let sources =
            config::rules(path).map_err(|error| format!("cannot read {file}: {error}"))?;
        let promises = promises_of(path).map_err(|error| error.to_string())?;
        Ok(match Policy::of(&sources) {
            Ok(policy) => {
                let mut findings = policy.warnings.clone();
                findings.extend(policy.due(today));
                findings.extend(promises.findings(&file, &policy));
                findings.sort_by(|a, b| a.place.cmp(&b.place));
                Self { file, sources, findings, policy: Some(policy) }
            }
            Err(rejected) => Self { file, sources, findings: rejected.findings, policy: None },
        })
    }

    /// With what the ledger says about the rules.
    fn with_drift(mut self, ledger: &Path, days: u16, now: Timestamp) -> Result<Self, String> {
        if let Some(policy) = &self.policy {
            let found = drift(policy, ledger, days, now).map_err(|error| error.to_string())?;
            self.findings.extend(found);
            self.findings.sort_by(|a, b| a.place.cmp(&b.place));
        }
        Ok(self)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn print(&self, out: &mut dyn Write, look: Look) -> io::Result<()> {
        if !self.findings.is_empty() {
            writeln!(out, "{}", render(&self.findings, &self.sources, look))?;
        }
        let Some(policy) = self.accepted() else {
            return writeln!(out, "{}", self.summary());
        };
        for route in policy.routes.iter().filter(|route| route.mode != Mode::Enforce) {
            let (place, id, mode) = (&route.place, &route.id, route.mode.as_str());
            writeln!(out, "{place}: not in force: {id} is in mode `{mode}` -> nothing leaves")?;
        }
        writeln!(out, "{}", self.summary())
    }

    fn accepted(&self) -> Option<&Policy> {
        self.policy.as_ref().filter(|_| self.count(Severity::Error) == 0)
    }

    /// What came of the file, in one line.
    fn summary(&self) -> String {
        let warnings = counted(self.count(Severity::Warning), "warning");
        let Some(policy) = self.accepted() else {
            let errors = counted(self.count(Severity::Error), "error");
            return format!("{}: rejected: {errors}, {warnings}", self.file);
        };
        format!(
            "{}: accepted: {}; {warnings}",
            self.file,
            counts(policy).map(|(count, what)| counted(count, what)).join(", "),
        )
    }

    fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "code": finding.code,
                    "severity": finding.severity.as_str(),
                    "message": finding.message,
                    "file": &*finding.place.file,
                    "line": finding.place.line,
                    "column": finding.place.column,
                    "length": finding.place.length,
                    "help": finding.help,
                })
            })
            .collect();
        json!({
            "file": self.file,
            "accepted": self.policy.is_some() && self.count(Severity::Error) == 0,
            "policy": self.policy.as_ref().map(|policy| policy.id.to_string()),
            "digest": self.policy.as_ref().map(|policy| policy.digest.to_string()),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": findings,
        })
    }
}

fn counts(policy: &Policy) -> [(usize, &'static str); 6] {
    [
        (policy.categories.len(), "category"),
        (policy.purposes.len(), "purpose"),
        (policy.recipients.len(), "recipient"),
        (policy.routes.len(), "route"),
        (policy.grants.len(), "grant"),
        (policy.limits.len(), "limit"),
    ]
}

fn counted(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}
