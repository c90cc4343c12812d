//! `tamis certs`.

use std::process::ExitCode;

/// Arguments of `tamis certs`.
#[derive(clap::Args)]
pub(super) struct Certs {}

impl Certs {
    pub(super) fn run(self) -> ExitCode {
        todo!("certs")
    }
}
