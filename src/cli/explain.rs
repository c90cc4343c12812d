//! `tamis explain`.

use std::process::ExitCode;

/// Arguments of `tamis explain`.
#[derive(clap::Args)]
pub(super) struct Explain {}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        todo!("explain")
    }
}
