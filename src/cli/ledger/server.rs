//! Ledgers on a server: their tables, and a chain of them as files.

use std::path::PathBuf;

use super::{Ended, Place, UNREADABLE, rejected_config};
use crate::config::Config;
use crate::ledger::{self, LedgerPlace, LedgerServer};

/// Arguments of `tamis ledger migrate`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis ledger migrate --config tamis.yaml --url-file owner.url\n\n\
    Only this changes tables. They lie in the schema `tamis_ledger`."
)]
pub(super) struct Migrate {
    /// The gateway's configuration, which names the server.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Another file with the server's address, for a role that may change tables.
    #[arg(long, value_name = "FILE")]
    url_file: Option<PathBuf>,
    /// Bring them to this version instead. 0 takes all of it away.
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    /// Do so although it throws records away.
    #[arg(long)]
    dangerous_lose_records: bool,
}

/// Arguments of `tamis ledger export`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis ledger export --config tamis.yaml --node gw-2 --out gw-2\n\n\
    The lines are those on the server, byte for byte: `tamis ledger verify gw-2` and\n\
    docs/verify_ledger.py read them. Data subjects stand in it by tags."
)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn migrate(arguments: &Migrate) -> Result<String, Ended> {
    if arguments.to.is_some() && !arguments.dangerous_lose_records {
        return Err(Ended(
            UNREADABLE,
            "a lower version takes out tables with what they hold; say --dangerous-lose-records as \
             well"
                .into(),
        ));
    }
    let config = Config::load(&arguments.config).map_err(|error| rejected_config(&error))?;
    let LedgerPlace::Postgres(mut settings) = config.ledger else {
        return Err(Ended(UNREADABLE, "the ledger of this configuration is a directory".into()));
    };
    if let Some(file) = &arguments.url_file {
        settings.url_file.clone_from(file);
    }
    let (from, to) = LedgerServer::migrate(&settings, arguments.to)
        .map_err(|error| Ended(UNREADABLE, error.to_string()))?;
    Ok(format!("the tables were of version {from} and are of version {to}\n"))
}

pub(super) fn export(arguments: &Export) -> Result<String, Ended> {
    let ledger::Place::Server(chain) = arguments.place.find()? else {
        return Err(Ended(UNREADABLE, "that ledger is files already".into()));
    };
    let out = arguments.out.display();
    let segments = ledger::export(&chain, &arguments.out)
        .map_err(|error| Ended(UNREADABLE, format!("cannot write {out}: {}", error.kind())))?;
    Ok(format!("{segments} segments of {} in {out}\n", chain.node()))
}
