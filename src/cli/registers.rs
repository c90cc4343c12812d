//! `tamis registers`: tables, history and state of registers in PostgreSQL.

use std::path::PathBuf;
use std::process::ExitCode;

use super::registers_file::{Failure, configuration, ended, failed, unavailable};
use crate::registers::{PostgresSettings, RegisterPlace, RegisterStore};

/// Look after registers that many gateways share.
#[derive(clap::Args)]
pub(super) struct Registers {
    /// The gateway's configuration, which names the server.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another file with the server's address, for a role that may change tables.
    #[arg(long, global = true, value_name = "FILE")]
    url_file: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make the tables, or bring them to the version that this program works with.
    Migrate {
        /// Bring them to this version instead. A lower one takes out what the higher ones added.
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Do so although it throws statements of people away.
        #[arg(long)]
        dangerous_lose_statements: bool,
    },
    /// Say how far the server and this gateway are.
    Status,
    /// Say that what the server holds counts, after changes were lost for good. Gateways that had read
    /// more read everything anew. Enter first what is known of the changes that were lost.
    Accept {
        /// Also for gateways that had read this other history: `tamis registers status` names it.
        #[arg(long, value_name = "HISTORY")]
        instead_of: Option<String>,
    },
}

impl Registers {
    pub(super) fn run(self) -> ExitCode {
        ended(self.perform())
    }

    fn perform(&self) -> Result<String, Failure> {
        let settings = self.settings()?;
        match &self.what {
            What::Migrate { to, dangerous_lose_statements } => {
                if to.is_some() && !dangerous_lose_statements {
                    return Err(failed(
                        "a lower version takes out tables with what they hold; say \
                         --dangerous-lose-statements as well",
                    ));
                }
                let (from, to) =
                    RegisterStore::migrate(&settings, *to).map_err(|error| unavailable(&error))?;
                Ok(format!("the tables were of version {from} and are of version {to}"))
            }
            What::Status => {
                let store =
                    RegisterStore::postgres(&settings).map_err(|error| unavailable(&error))?;
                store.history(&settings).map_err(|error| unavailable(&error))
            }
            What::Accept { instead_of } => {
                let store =
                    RegisterStore::postgres(&settings).map_err(|error| unavailable(&error))?;
                let history = store.accept_history(instead_of.as_deref()).map_err(failed)?;
                Ok(format!("accepted as history {history}"))
            }
        }
    }

    fn settings(&self) -> Result<PostgresSettings, Failure> {
        let config = self.config.as_ref().ok_or_else(|| failed("give --config"))?;
        let config = configuration(config)?;
        let RegisterPlace::Postgres(mut settings) = config.registers else {
            return Err(failed("the registers of this configuration are a file"));
        };
        if let Some(file) = &self.url_file {
            settings.url_file.clone_from(file);
        }
        Ok(settings)
    }
}
