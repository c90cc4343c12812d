//! `tamis minimize`.

use std::process::ExitCode;

/// Arguments of `tamis minimize`.
#[derive(clap::Args)]
pub(super) struct Minimize {}

impl Minimize {
    pub(super) fn run(self) -> ExitCode {
        todo!("minimize")
    }
}
