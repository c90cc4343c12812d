//! `tamis ledger`.

use std::process::ExitCode;

/// Arguments of `tamis ledger`.
#[derive(clap::Args)]
pub(super) struct Ledger {}

impl Ledger {
    pub(super) fn run(self) -> ExitCode {
        todo!("ledger")
    }
}
