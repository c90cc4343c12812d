//! `tamis coverage`: promise by promise, the rules that name it and the cases that prove it.

mod html;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::REJECTED;
use crate::cases::coverage::{Row, RuleLine};
use crate::cases::{Coverage, Pack};

/// Arguments of `tamis coverage`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis coverage rules/letsmasak/rules.yaml
         tamis coverage --format html rules/letsmasak/rules.yaml > promises.html

Promises stand in `promises.yaml` beside the rules, cases in `cases/*.yaml`. A promise is proven by a
case that names it under `keeps` and passes, or by a test of the program. What no gateway can keep is named
as such.

Exit codes: 0 every promise is accounted for, 1 one is not, 2 usage, 64 rules, promises
or cases rejected.")]
pub(super) struct CoverageOf {
    /// Rules files.
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// For whom the account is printed.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    /// People at a terminal.
    Human,
    /// Programs.
    Json,
    /// A page for the data protection officer's file: one document that loads nothing.
    Html,
}

impl CoverageOf {
    pub(super) fn run(self) -> ExitCode {
        let mut all = Vec::new();
        for rules in &self.rules {
            match Pack::load(rules, &[]) {
                Ok(pack) if pack.promises.promises.is_empty() => {
                    let _ = writeln!(
                        io::stderr(),
                        "tamis coverage: no promises.yaml beside {}",
                        rules.display()
                    );
                    return ExitCode::from(REJECTED);
                }
                Ok(pack) => all.push(Coverage::of(&pack)),
                Err(error) => {
                    let _ = writeln!(io::stderr(), "tamis coverage: {error}");
                    return ExitCode::from(REJECTED);
                }
            }
        }
        let mut out = io::stdout().lock();
        let written = match self.format {
            Output::Human => all.iter().try_for_each(|one| print(&mut out, one)),
            Output::Json => {
                let policies: Vec<Value> = all.iter().map(Coverage::to_json).collect();
                writeln!(out, "{:#}", json!({"policies": policies}))
            }
            Output::Html => out.write_all(html::page(&all).as_bytes()),
        };
        if written.and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
        if all.iter().all(Coverage::is_whole) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn print(out: &mut dyn Write, coverage: &Coverage) -> io::Result<()> {
    writeln!(out, "{}\n", coverage.title)?;
    for row in &coverage.rows {
        print_row(out, row)?;
    }
    if !coverage.contradictions.is_empty() {
        writeln!(out, "\nContradictions of the text, for the controller to settle:")?;
    }
    for one in &coverage.contradictions {
        writeln!(out, "  {}: {}", one.between.join(", "), one.says)?;
        writeln!(out, "      meanwhile: {}", one.meanwhile)?;
    }
    if !coverage.complaints.is_empty() {
        writeln!(out, "\nWrong with these accounts:")?;
    }
    for complaint in &coverage.complaints {
        writeln!(out, "  {complaint}")?;
    }
    writeln!(out, "\n{}\n", coverage.summary())
}

fn print_row(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    writeln!(
        out,
        "{}  {:<7}  {:<16}  line {}: \u{201c}{}\u{201d}",
        row.id,
        row.kind.as_str(),
        row.state.as_str(),
        row.line,
        row.quote
    )?;
    if !row.rules.is_empty() {
        let places: Vec<String> = row.rules.iter().map(RuleLine::place).collect();
        writeln!(out, "      rules: {}", places.join(", "))?;
    }
    for case in &row.cases {
        writeln!(out, "      case:  {case}")?;
    }
    for test in &row.tests {
        writeln!(out, "      test:  {test}")?;
    }
    if let Some(why) = &row.not_encoded {
        writeln!(out, "      not encoded: {why}")?;
    }
    if let Some(what) = &row.beyond {
        writeln!(out, "      beyond a gateway: {what}")?;
    }
    Ok(())
}
