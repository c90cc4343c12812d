//! `tamis test`: the cases of a pack, played offline.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::REJECTED;
use crate::cases::{Case, Pack, Verdict, play};
use crate::reports::escaped;

/// Arguments of `tamis test`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis test rules/letsmasak/rules.yaml

The cases stand in `cases/*.yaml` beside the rules; docs/RULES.md has their form. Each is played by the
code that the gateway runs. The people in them are invented: a failure shows what they got.

Exit codes: 0 all passed, 1 a case failed or there is none, 2 usage, 64 rules or cases rejected.")]
pub(super) struct Test {
    /// Rules files.
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// Cases from these files instead.
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
    /// Only cases with this text in their name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// For whom results are printed.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    /// People.
    Human,
    /// Programs.
    Json,
    /// Build servers that read JUnit's XML.
    Junit,
}

struct Played<'a> {
    pack: &'a Pack,
    results: Vec<(&'a Case, Verdict)>,
}

impl Test {
    pub(super) fn run(self) -> ExitCode {
        let mut packs = Vec::new();
        for rules in &self.rules {
            match Pack::load(rules, &self.cases) {
                Ok(pack) => packs.push(pack),
                Err(error) => {
                    let _ = writeln!(io::stderr(), "tamis test: {error}");
                    return ExitCode::from(REJECTED);
                }
            }
        }
        let played: Vec<Played<'_>> = packs.iter().map(|pack| self.play(pack)).collect();
        let text = match self.format {
            Output::Human => human(&played),
            Output::Json => {
                format!("{:#}\n", json!({"packs": played.iter().map(to_json).collect::<Vec<_>>()}))
            }
            Output::Junit => junit(&played),
        };
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
        // No cases are no proof.
        let sound = |played: &Played<'_>| !played.results.is_empty() && played.failed() == 0;
        if played.iter().all(sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn play<'a>(&self, pack: &'a Pack) -> Played<'a> {
        let chosen = pack.cases.iter().filter(|case| case.name.contains(&self.only));
        let results = chosen.map(|case| (case, play(&pack.policy, &pack.sources, case))).collect();
        Played { pack, results }
    }
}

impl Played<'_> {
    fn failed(&self) -> usize {
        self.results.iter().filter(|(_, verdict)| *verdict != Verdict::Passed).count()
    }
}

fn human(all: &[Played<'_>]) -> String {
    let mut text = String::new();
    for played in all {
        for (case, verdict) in &played.results {
            if let Verdict::Failed(lines) = verdict {
                let _ = writeln!(text, "FAILED {}:{}: {}", case.file, case.line, case.name);
                for line in lines {
                    let _ = writeln!(text, "       {line}");
                }
            }
        }
        let _ = writeln!(
            text,
            "{}: {} passed, {} failed",
            played.pack.file.display(),
            played.results.len() - played.failed(),
            played.failed(),
        );
    }
    text
}

fn to_json(played: &Played<'_>) -> Value {
    let cases: Vec<Value> = played
        .results
        .iter()
        .map(|(case, verdict)| {
            let differences: &[String] = match verdict {
                Verdict::Passed => &[],
                Verdict::Failed(lines) => lines,
            };
            json!({
                "case": case.name,
                "file": case.file,
                "line": case.line,
                "keeps": case.keeps,
                "passed": *verdict == Verdict::Passed,
                "differences": differences,
            })
        })
        .collect();
    json!({
        "rules": played.pack.file.display().to_string(),
        "passed": played.results.len() - played.failed(),
        "failed": played.failed(),
        "cases": cases,
    })
}

fn junit(all: &[Played<'_>]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for played in all {
        let name = escaped(&played.pack.policy.id);
        let (count, failed) = (played.results.len(), played.failed());
        let _ =
            writeln!(text, "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\">");
        for (case, verdict) in &played.results {
            let (file, name) = (escaped(&case.file), escaped(&case.name));
            let _ = write!(text, "    <testcase classname=\"{file}\" name=\"{name}\"");
            match verdict {
                Verdict::Passed => text.push_str("/>\n"),
                Verdict::Failed(lines) => {
                    let lines = escaped(&lines.join("\n"));
                    let _ = writeln!(text, "><failure>{lines}</failure></testcase>");
                }
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}
