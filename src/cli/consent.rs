//! `tamis consent`.

use std::process::ExitCode;

/// Arguments of `tamis consent`.
#[derive(clap::Args)]
pub(super) struct Consent {}

impl Consent {
    pub(super) fn run(self) -> ExitCode {
        todo!("consent")
    }
}
