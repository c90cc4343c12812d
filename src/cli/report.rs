//! `tamis report`: what ledger, registers and rules say, for people who answer for data. Exit codes: 0
//! the report rests on a ledger that holds; 1 a record is wrong, 2 records are missing, 3 a signature is
//! wrong, and the report says so; 4 there is no report; 64 the configuration is rejected.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::REJECTED;
use super::registers_file::{Failure, complain, configuration, failed, policy, subject};
use crate::gateway::read_ledger;
use crate::keys::{KeyRing, KeyRingPlace, NoteKey, NoteSigner};
use crate::ledger::{LedgerPlace, Window};
use crate::registers::RegisterStore;
use crate::reports::{
    self, Chain, Document, Form, Name, Query, ReportError, Source, Sources, window,
};
use crate::terms::{DataSubject, Personal};

/// There is no report.
const UNREADABLE: u8 = 4;

/// Arguments of `tamis report`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis report breach --config tamis.yaml --recipient mailer \\\n\
    \x20        --from 2026-11-01 --to 2026-11-07 --format html > breach.html\n\n\
    Each report says what it rests on: how far the ledger was read, its root, the last signed\n\
    checkpoint, the rules. May run beside the gateway.\n\n\
    Exit codes: 0 the ledger holds, 1 a record is wrong, 2 records are missing, 3 a signature is\n\
    wrong (the report is printed and says so), 4 there is no report, 64 configuration or rules\n\
    rejected.")]
pub(super) struct Report {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// To whom a person's data went (GDPR Art. 15).
    Subject(OfPerson),
    /// Whom to tell of a rectification, erasure or restriction (Art. 19).
    Notify(OfPerson),
    /// The record of processing: rules against traffic (Art. 30).
    Art30(Processing),
    /// What went to which country, and by which mechanism it may (Art. 44-49).
    Transfers(InWindow),
    /// What rested on consent (Art. 7(1)).
    Consents(InWindow),
    /// What was refused, and why.
    Refusals(InWindow),
    /// What is late, and what soon will be.
    Overdue(Plain),
    /// All that one recipient got.
    Recipient(OfRecipient),
    /// What a breach at a recipient concerns: people, categories, routes (Art. 33, 34).
    Breach(Breach),
}

/// What every report needs.
#[derive(clap::Args)]
struct Common {
    /// The gateway's configuration, which names ledger, registers, rules and key ring.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read this ledger instead of the configuration's; several are read as one, by time.
    #[arg(long, value_name = "DIR")]
    ledger: Vec<PathBuf>,
    /// The key that checkpoints are checked with, as `tamis ledger new-key` printed it; without it,
    /// that of the configuration. Of several ledgers each has its own.
    #[arg(long, value_name = "KEY")]
    key: Vec<NoteKey>,
}

/// For whom it is printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Programs.
    Json,
    /// Spreadsheets; no cell of it is computed.
    Csv,
    /// One page that loads nothing, to read and print.
    Html,
}

#[derive(clap::Args)]
struct Days {
    /// The first day (2026-11-01) or moment (2026-11-01T12:00:00Z). UTC.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day, which is part of it, or the moment it ends.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
}

#[derive(clap::Args)]
#[command(after_help = "Example: tamis report subject --config tamis.yaml --person -")]
struct OfPerson {
    #[command(flatten)]
    common: Common,
    /// The person, by the controller's own id; `-` reads it from standard input, out of the process
    /// list.
    #[arg(long, value_name = "ID")]
    person: String,
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(clap::Args)]
struct Plain {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(clap::Args)]
struct InWindow {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    days: Days,
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(clap::Args)]
struct Processing {
    #[command(flatten)]
    window: InWindow,
    /// Print it as JSON-LD, in the words of the W3C Data Privacy Vocabulary.
    #[arg(long, conflicts_with = "format")]
    dpv: bool,
}

#[derive(clap::Args)]
struct OfRecipient {
    #[command(flatten)]
    window: InWindow,
    /// The recipient, as the rules call it.
    #[arg(long, value_name = "NAME")]
    recipient: String,
}

#[derive(clap::Args)]
#[command(after_help = "Example: tamis report breach --config tamis.yaml --recipient mailer \\\n\
    \x20        --from 2026-11-01 --to 2026-11-07 --among - < all-customers.txt\n\n\
    The ledger holds no ids of people. With --among it says which of those you name are concerned.")]
struct Breach {
    #[command(flatten)]
    of: OfRecipient,
    /// People, one a line, of whom those concerned are listed; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    among: Option<PathBuf>,
}

/// What is to be printed, how.
struct Task {
    name: Name,
    common: Common,
    query: Query,
    form: Form,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Csv => Self::Csv,
            Format::Html => Self::Html,
        }
    }
}

impl Report {
    pub(super) fn run(self) -> ExitCode {
        let printed = self.what.task().and_then(|task| {
            let document = task.report()?;
            let text = task.form.write(&document).unwrap_or_default();
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
                Failure::Failed(format!("cannot write the report: {}", error.kind()))
            })?;
            Ok(document)
        });
        match printed {
            Ok(Document { basis, .. }) => {
                let code = match basis.broken().map_or(&Chain::Holds, |chain| &chain.state) {
                    Chain::Holds => return ExitCode::SUCCESS,
                    Chain::Broken(error) if error.is_gap() => 2,
                    Chain::Broken(_) => 1,
                    Chain::NotSigned | Chain::Unread(_) => 3,
                };
                complain(&format!("not to be relied on: {}", basis.state()));
                ExitCode::from(code)
            }
            Err(Failure::Rejected(text)) => {
                complain(&text);
                ExitCode::from(REJECTED)
            }
            Err(Failure::Failed(text)) => {
                complain(&text);
                ExitCode::from(UNREADABLE)
            }
        }
    }
}

impl What {
    fn task(self) -> Result<Task, Failure> {
        let plain = |name, common, query, format| {
            Ok(Task { name, common, query, form: Form::from(format) })
        };
        let windowed = |name, window: InWindow| {
            let query = Query { window: window.days.window()?, ..Query::default() };
            plain(name, window.common, query, window.format)
        };
        let of_recipient = |name, OfRecipient { window, recipient }: OfRecipient| {
            let recipient = Some(recipient.into());
            let query = Query { window: window.days.window()?, recipient, ..Query::default() };
            plain(name, window.common, query, window.format)
        };
        let of_person = |name, OfPerson { common, person, format }: OfPerson| {
            let query = Query { person: Some(subject(&person)?), ..Query::default() };
            plain(name, common, query, format)
        };
        match self {
            Self::Subject(arguments) => of_person(Name::Subject, arguments),
            Self::Notify(arguments) => of_person(Name::Notify, arguments),
            Self::Art30(Processing { window, dpv }) => {
                let mut task = windowed(Name::Art30, window)?;
                if dpv {
                    task.form = Form::JsonLd;
                }
                Ok(task)
            }
            Self::Transfers(arguments) => windowed(Name::Transfers, arguments),
            Self::Consents(arguments) => windowed(Name::Consents, arguments),
            Self::Refusals(arguments) => windowed(Name::Refusals, arguments),
            Self::Overdue(Plain { common, format }) => {
                plain(Name::Overdue, common, Query::default(), format)
            }
            Self::Recipient(arguments) => of_recipient(Name::Recipient, arguments),
            Self::Breach(Breach { of, among }) => {
                let mut task = of_recipient(Name::Breach, of)?;
                task.query.among = among.as_deref().map_or(Ok(Vec::new()), candidates)?;
                Ok(task)
            }
        }
    }
}

impl Task {
    fn report(&self) -> Result<Document, Failure> {
        let config = configuration(&self.common.config)?;
        let policy = policy(&config.rules)?;
        let keys = match &config.checkpoint_key {
            Some(path) if self.common.key.is_empty() => {
                vec![NoteSigner::open(path).map_err(failed)?.key()]
            }
            _ => self.common.key.clone(),
        };
        let ledgers = self.ledgers(config.ledger, &config.key_ring)?;
        let registers = RegisterStore::open(&config.registers).map_err(failed)?;
        let sources =
            Sources { policy: &policy, ledgers: &ledgers, registers: &registers, keys: &keys };
        reports::report(self.name, &self.query, &sources, Timestamp::now())
            .map_err(|error| caused(&error))
    }

    /// The ledgers that were named, or that of the configuration; all under one key ring.
    fn ledgers(
        &self,
        configured: LedgerPlace,
        ring: &KeyRingPlace,
    ) -> Result<Vec<Source>, Failure> {
        let ring = KeyRing::open_at(ring).map_err(failed)?;
        let mut named: Vec<LedgerPlace> = Vec::new();
        for directory in &self.common.ledger {
            // An index would be made there, and with it a directory.
            if !directory.is_dir() {
                return Err(caused(&ReportError::NoLedger(directory.display().to_string())));
            }
            named.push(LedgerPlace::Directory(directory.clone()));
        }
        if named.is_empty() {
            named.push(configured);
        }
        let source = |place: &LedgerPlace| {
            let (place, index) = read_ledger(place, &ring).map_err(failed)?;
            Ok(Source { place, index })
        };
        named.iter().map(source).collect()
    }
}

impl Days {
    fn window(&self) -> Result<Window, Failure> {
        window(self.from.as_deref(), self.to.as_deref()).map_err(|error| caused(&error))
    }
}

/// People, one a line.
fn candidates(path: &Path) -> Result<Vec<DataSubject>, Failure> {
    let text = if path.as_os_str() == "-" {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text =
        text.map_err(|error| failed(format!("cannot read {}: {}", path.display(), error.kind())))?;
    let ids = text.lines().filter(|line| !line.is_empty());
    Ok(ids.map(|id| Personal::new(id.into())).collect())
}

/// With its cause, which names files and kinds and nobody.
fn caused(error: &ReportError) -> Failure {
    match std::error::Error::source(error) {
        Some(cause) => failed(format!("{error}: {cause}")),
        None => failed(error),
    }
}
