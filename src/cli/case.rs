//! `tamis case`: cases that somebody works on, and the people they are about.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::registers_file::{Failure, PAGE, RegistersFile, enter, failed, listed, subjects};
use crate::policy::Policy;
use crate::registers::{CaseRecord, Record, RegisterStore, Registers as _, case_to_json};

/// Arguments of `tamis case`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    tamis case open --id C-2026-114 --purpose fraud.investigate --subject u1 --config tamis.yaml")]
pub(super) struct Case {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: RegistersFile,
}

#[derive(Subcommand)]
enum What {
    /// Open a case.
    Open {
        /// Its id, which requests name in `Tamis-Case`.
        #[arg(long)]
        id: String,
        /// What it is opened for; may be given several times.
        #[arg(long = "purpose", required = true)]
        purposes: Vec<String>,
        /// Whom it is about; may be given several times; `-` reads one a line from standard input.
        #[arg(long = "subject", required = true)]
        subjects: Vec<String>,
        /// Until when; without it until it is closed.
        #[arg(long)]
        until: Option<Timestamp>,
    },
    /// Add people to an open case.
    Add {
        /// Its id.
        #[arg(long)]
        id: String,
        /// Whom; may be given several times; `-` reads one a line from standard input.
        #[arg(long = "subject", required = true)]
        subjects: Vec<String>,
    },
    /// Close a case for good.
    Close {
        /// Its id.
        #[arg(long)]
        id: String,
    },
    /// Print all cases, one a line as JSON, without the people they are about.
    List,
    /// Print a case, without the people it is about.
    Show {
        /// Its id.
        #[arg(long)]
        id: String,
    },
}

impl Case {
    pub(super) fn run(self) -> ExitCode {
        let what = self.what;
        self.file.with(|registers, policy| perform(what, registers, policy))
    }
}

fn perform(what: What, registers: &RegisterStore, policy: &Policy) -> Result<String, Failure> {
    let known = |id: &str| {
        let case = registers.case(id).map_err(failed)?;
        case.ok_or_else(|| failed("no such case"))
    };
    let take =
        |record: CaseRecord, said: &str| enter(registers, policy, &Record::Case(record), said);
    let now = Timestamp::now();
    match what {
        What::Open { id, purposes, subjects: named, until } => {
            let purposes = purposes.into_iter().map(Into::into).collect();
            let subjects = subjects(&named)?;
            take(
                CaseRecord { id, purposes, subjects, opened_at: now, until, closed_at: None },
                "opened",
            )
        }
        What::Add { id, subjects: named } => {
            let case = known(&id)?;
            if !case.is_open(now) {
                return Err(failed("the case is not open"));
            }
            let (purposes, opened_at, until) = (case.purposes, case.opened_at, case.until);
            let subjects = subjects(&named)?;
            take(CaseRecord { id, purposes, subjects, opened_at, until, closed_at: None }, "added")
        }
        What::Close { id } => {
            registers.close_case(&id).map_err(failed)?;
            Ok("closed".to_owned())
        }
        What::Show { id } => {
            let case = known(&id)?;
            Ok(format!("{:#}", case_to_json(&case, now)))
        }
        What::List => {
            let page = |after: &str| registers.cases_after(after, PAGE).map_err(failed);
            listed(page, |case| (case.id.to_string(), case_to_json(case, now)))
        }
    }
}
