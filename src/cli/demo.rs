//! `tamis demo`.

use std::process::ExitCode;

/// Arguments of `tamis demo`.
#[derive(clap::Args)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        todo!("demo")
    }
}
