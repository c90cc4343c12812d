//! Commands, one file each.

use std::process::ExitCode;

/// Reads the arguments and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::from(2)
}
