//! `tamis rewrite`.

use std::process::ExitCode;

/// Arguments of `tamis rewrite`.
#[derive(clap::Args)]
pub(super) struct Rewrite {}

impl Rewrite {
    pub(super) fn run(self) -> ExitCode {
        todo!("rewrite")
    }
}
