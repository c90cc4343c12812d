//! `tamis ledger`: verification. Exit codes: 0 it holds, 1 a record is wrong, 2 records are missing,
//! 3 it cannot be read, 64 the configuration is rejected.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{REJECTED, registers_file};
use crate::config::Config;
use crate::ledger::{Anchor, VerifyError, verify};

/// The ledger cannot be read, so that nothing can be said about it.
const UNREADABLE: u8 = 3;

/// Arguments of `tamis ledger`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger verify --config tamis.yaml")]
pub(super) struct Ledger {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check every link of the chain. May run beside the gateway.
    Verify(Verify),
}

/// Arguments of `tamis ledger verify`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger verify --config tamis.yaml\n\n\
    Note the printed head where the gateway cannot write, and give it as --anchor next time: a\n\
    chain alone cannot show that its end was cut off or that all of it was computed anew.\n\n\
    Exit codes: 0 it holds, 1 a record is wrong, 2 records are missing, 3 it cannot be read.")]
struct Verify {
    /// The ledger's directory.
    #[arg(value_name = "DIR", required_unless_present = "config", conflicts_with = "config")]
    directory: Option<PathBuf>,
    /// Take the directory from this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A head that an earlier run printed.
    #[arg(long, value_name = "NUMBER:HASH")]
    anchor: Option<Anchor>,
}

impl Ledger {
    pub(super) fn run(self) -> ExitCode {
        let What::Verify(arguments) = self.what;
        let directory = match (arguments.directory, arguments.config) {
            (Some(directory), _) => directory,
            (None, Some(config)) => match Config::load(&config) {
                Ok(config) => config.ledger,
                Err(error) => {
                    registers_file::complain(&registers_file::config_error(&error));
                    return ExitCode::from(REJECTED);
                }
            },
            (None, None) => return ExitCode::from(UNREADABLE),
        };
        match verify(&directory, arguments.anchor) {
            Ok(found) => {
                let mut out = io::stdout().lock();
                let mut written = writeln!(out, "{} records, head {}", found.records, found.head);
                if found.unfinished_bytes > 0 {
                    let bytes = found.unfinished_bytes;
                    written = written
                        .and_then(|()| writeln!(out, "{bytes} bytes are being written just now"));
                }
                if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => {
                registers_file::complain(&error.to_string());
                match &error {
                    VerifyError::Io(_) | VerifyError::Empty => ExitCode::from(UNREADABLE),
                    missing if missing.is_gap() => ExitCode::from(2),
                    _ => ExitCode::FAILURE,
                }
            }
        }
    }
}
