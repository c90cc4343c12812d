//! `tamis keys`: the life of a key ring's file.

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::check::Format;
use crate::keys::{ENVIRONMENT, KeyRing, KeyRingError, Standing, VersionStatus};

/// Arguments of `tamis keys`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: another key, and the end of the first once nobody sends its tokens any more.
  tamis keys rotate /etc/tamis/keys
  tamis keys retire /etc/tamis/keys --version 1

A gateway reads its keys at its start. No command prints a key.
Exit codes: 0 done, 1 refused or failed, 2 usage.")]
pub(super) struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key ring with one key, for its owner alone. One that is there already is left as it is.
    New {
        /// The file.
        file: PathBuf,
    },
    /// Add a key that makes what is new. Tokens of the others still open.
    Rotate {
        /// The file.
        file: PathBuf,
    },
    /// Print versions, ids and dates.
    Status {
        /// The file.
        file: PathBuf,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Destroy a key: its tokens open no more, and its pseudonyms can never be made again.
    Retire {
        /// The file.
        file: PathBuf,
        /// Which; never the newest.
        #[arg(long)]
        version: NonZeroU32,
    },
}

impl Keys {
    pub(super) fn run(self) -> ExitCode {
        let mut out = io::stdout().lock();
        match self.what.carry_out() {
            Ok(text) => match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
            Err(fault) => {
                let cause = std::error::Error::source(&fault);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                let _ = writeln!(io::stderr(), "tamis keys: {fault}{cause}");
                ExitCode::FAILURE
            }
        }
    }
}

impl What {
    /// What to say about it.
    fn carry_out(self) -> Result<String, KeyRingError> {
        Ok(match self {
            Self::New { file } => {
                KeyRing::generate(&file)?;
                format!("made {}; back it up before the first pseudonym leaves\n", file.display())
            }
            Self::Rotate { file } => {
                let version = KeyRing::rotate(&file)?;
                format!(
                    "version {version} makes new values once the gateway has started again; tokens of \
                     the others open until they are retired, pseudonyms of two versions do not join\n"
                )
            }
            Self::Retire { file, version } => {
                KeyRing::retire(&file, version)?;
                format!(
                    "version {version} is destroyed; a gateway that runs has it until it starts again, \
                     and so have backups\n"
                )
            }
            Self::Status { file, format } => {
                let versions = KeyRing::status(&file)?;
                match format {
                    Format::Human => in_words(&file, &versions),
                    Format::Json => format!("{:#}\n", to_json(&versions)),
                }
            }
        })
    }
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Newest => "newest",
        Standing::Opens => "opens",
        Standing::Retired(_) => "retired",
    }
}

fn in_words(file: &Path, versions: &[VersionStatus]) -> String {
    let line = |one: &VersionStatus| {
        let made = one.made.map_or("at an unknown date".to_owned(), |made| format!("on {made}"));
        let id = one.id.as_deref().unwrap_or("-");
        let version = one.version;
        match one.standing {
            Standing::Newest => {
                format!("version {version}  key {id}  made {made}, makes new values\n")
            }
            Standing::Opens => format!("version {version}  key {id}  made {made}, opens tokens\n"),
            Standing::Retired(on) => format!("version {version}  retired on {on}\n"),
        }
    };
    let file = file.display();
    let beside = std::env::var_os(ENVIRONMENT)
        .map(|_| format!("{ENVIRONMENT} is set here: a gateway takes it and not {file}\n"));
    versions.iter().map(line).chain(beside).collect()
}

fn to_json(versions: &[VersionStatus]) -> Value {
    let one = |one: &VersionStatus| {
        let retired = match one.standing {
            Standing::Retired(on) => Some(on.to_string()),
            Standing::Newest | Standing::Opens => None,
        };
        json!({
            "version": one.version,
            "key": one.id,
            "made": one.made.map(|made| made.to_string()),
            "standing": word(one.standing),
            "retired": retired,
        })
    };
    versions.iter().map(one).collect()
}
