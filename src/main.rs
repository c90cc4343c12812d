//! The `tamis` command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    tamis::cli::run()
}
