//! `tamis run`.

use std::process::ExitCode;

/// Arguments of `tamis run`.
#[derive(clap::Args)]
pub(super) struct Run {}

impl Run {
    pub(super) fn run(self) -> ExitCode {
        todo!("run")
    }
}
