//! Commands, one file each. Exit codes: 0 done, 1 failed, 2 usage, 64 configuration or rules rejected.

mod case;
mod certs;
mod check;
mod consent;
mod coverage;
mod demo;
mod diff;
mod dumps;
mod explain;
mod import;
mod keys;
mod ledger;
mod minimize;
mod order;
mod registers;
mod registers_file;
mod report;
mod rewrite;
mod rules_file;
mod run;
mod schema;
mod status;
mod supervisor;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Configuration or rules were rejected. Source: sysexits.h `EX_USAGE`, as architecture names it.
pub(crate) const REJECTED: u8 = 64;

/// Reverse-proxy data-minimization gateway.
#[derive(Parser)]
#[command(name = "tamis", version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Run(run::Run),
    /// Say whether the gateway is ready, what is in force and what was refused.
    Status(status::Status),
    /// Start a backend with invented people behind a gateway and print a tour.
    Demo(demo::Demo),
    /// Check rules and print every finding.
    Check(check::Check),
    /// Play the cases of rules, offline.
    Test(test::Test),
    /// Account for every promise: the rules that name it, the cases that prove it.
    Coverage(coverage::CoverageOf),
    /// Say what a change of rules widens and narrows.
    Diff(diff::Diff),
    /// Say what a recipient gets of a route, field by field, and which rule line decided.
    Explain(explain::Explain),
    /// Draft a catalogue from the description of an API.
    Import(import::Import),
    /// Print the JSON Schema of rules files, for editors.
    Schema(schema::Schema),
    /// Minimize a JSON document on standard input by a policy.
    Minimize(minimize::Minimize),
    /// Rewrite a JSON document on standard input by rules on the command line.
    Rewrite(rewrite::Rewrite),
    /// Give, withdraw and show consents and other statements of data subjects.
    Consent(consent::Consent),
    /// Enter, approve and lift legal orders.
    Order(order::Order),
    /// Open and close cases.
    Case(case::Case),
    /// Look after registers that many gateways share.
    Registers(registers::Registers),
    /// Make, rotate, list and retire root keys.
    Keys(keys::Keys),
    /// Verify the ledger.
    Ledger(ledger::Ledger),
    /// Report what the ledger says about a person.
    Report(report::Report),
    /// Make a development authority and certificates.
    Certs(certs::Certs),
}

/// Reads the arguments and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    let command = Arguments::parse().command;
    // Only the gateway says so where it cannot be had: it is the one that stays.
    let _ = dumps::switch_off();
    match command {
        Command::Run(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Coverage(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Minimize(command) => command.run(),
        Command::Rewrite(command) => command.run(),
        Command::Consent(command) => command.run(),
        Command::Order(command) => command.run(),
        Command::Case(command) => command.run(),
        Command::Registers(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Ledger(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Certs(command) => command.run(),
    }
}
