//! `tamis check`.

use std::process::ExitCode;

/// Arguments of `tamis check`.
#[derive(clap::Args)]
pub(super) struct Check {}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        todo!("check")
    }
}
