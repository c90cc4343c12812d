//! `tamis keys`: the life of a key ring's file.

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::check::Format;
use super::{REJECTED, registers_file};
use crate::config::Config;
use crate::keys::{ENVIRONMENT, KeyRing, KeyRingError, KeyRingPlace, Standing, VersionStatus};

/// Arguments of `tamis keys`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: another key, and the end of the first once nobody sends its tokens any more.
  tamis keys rotate /etc/tamis/keys
  tamis keys retire /etc/tamis/keys --version 1

A ring that is sealed, its key wrapped by a Vault that the configuration names:
  tamis keys wrap /etc/tamis/keys --config /etc/tamis/tamis.yaml
  tamis keys rotate --config /etc/tamis/tamis.yaml

A gateway reads its keys at its start, and when they change. No command prints a key.
Exit codes: 0 done, 1 refused or failed, 2 usage, 64 the configuration is rejected.")]
pub(super) struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key ring with one key, for its owner alone. One that is there already is left as it is.
    New {
        #[command(flatten)]
        ring: Ring,
    },
    /// Add a key that makes what is new. Tokens of the others still open.
    Rotate {
        #[command(flatten)]
        ring: Ring,
    },
    /// Print versions, ids and dates.
    Status {
        #[command(flatten)]
        ring: Ring,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Destroy a key: its tokens open no more, and its pseudonyms can never be made again.
    Retire {
        #[command(flatten)]
        ring: Ring,
        /// Which; never the newest.
        #[arg(long)]
        version: NonZeroU32,
    },
    /// Seal a key ring: under a key that the service of the configuration wraps, to the file it names.
    Wrap {
        /// The key ring in clear. It stays: back it up where no gateway is, and delete it.
        file: PathBuf,
        /// The configuration, with `key_ring: {file: …, unwrap: …}`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Write a sealed key ring in clear to a new file, for a backup.
    Unwrap {
        /// The configuration, with `key_ring: {file: …, unwrap: …}`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where to; for its owner only, never in the place of another file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Which key ring.
#[derive(clap::Args)]
struct Ring {
    /// The file, in clear.
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The one that this configuration names, sealed or not.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Ring {
    fn place(&self) -> Result<KeyRingPlace, Failed> {
        match (&self.file, &self.config) {
            (Some(file), _) => Ok(KeyRingPlace::plain(file)),
            (None, Some(config)) => configured(config),
            (None, None) => Err(Failed::Usage("name a file or --config")),
        }
    }
}

fn configured(config: &Path) -> Result<KeyRingPlace, Failed> {
    Config::load(config)
        .map(|config| config.key_ring)
        .map_err(|error| Failed::Rejected(registers_file::config_error(&error)))
}

/// The place that a configuration names, if it is one that is sealed.
fn sealed(config: &Path) -> Result<KeyRingPlace, Failed> {
    let place = configured(config)?;
    if place.unwrap.is_none() {
        return Err(Failed::Usage("the configuration names nobody who unwraps the key ring"));
    }
    Ok(place)
}

/// Why a command ended.
enum Failed {
    Usage(&'static str),
    Rejected(String),
    Ring(KeyRingError),
}

impl From<KeyRingError> for Failed {
    fn from(error: KeyRingError) -> Self {
        Self::Ring(error)
    }
}

impl Failed {
    fn tell(&self) -> ExitCode {
        match self {
            Self::Usage(text) => {
                registers_file::complain(&format!("tamis keys: {text}"));
                ExitCode::from(2)
            }
            Self::Rejected(text) => {
                registers_file::complain(text);
                ExitCode::from(REJECTED)
            }
            Self::Ring(fault) => {
                let mut words = vec![format!("tamis keys: {fault}")];
                let mut cause = std::error::Error::source(fault);
                while let Some(error) = cause {
                    words.push(error.to_string());
                    cause = error.source();
                }
                registers_file::complain(&words.join(": "));
                ExitCode::FAILURE
            }
        }
    }
}

impl Keys {
    pub(super) fn run(self) -> ExitCode {
        let mut out = io::stdout().lock();
        match self.what.carry_out() {
            Ok(text) => match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
            Err(failed) => failed.tell(),
        }
    }
}

impl What {
    /// What to say about it.
    fn carry_out(self) -> Result<String, Failed> {
        Ok(match self {
            Self::New { ring } => {
                let place = ring.place()?;
                KeyRing::generate_at(&place)?;
                let file = place.file.display();
                format!("made {file}; back it up before the first pseudonym leaves\n")
            }
            Self::Rotate { ring } => {
                let version = KeyRing::rotate_at(&ring.place()?)?;
                format!(
                    "version {version} makes new values once the gateway has read it; tokens of \
                     the others open until they are retired, pseudonyms of two versions do not join\n"
                )
            }
            Self::Retire { ring, version } => {
                KeyRing::retire_at(&ring.place()?, version)?;
                format!(
                    "version {version} is destroyed; a gateway that runs has it until it has read the \
                     file, and backups have it\n"
                )
            }
            Self::Status { ring, format } => {
                let place = ring.place()?;
                let versions = KeyRing::status_at(&place)?;
                match format {
                    Format::Human => in_words(&place.file, &versions),
                    Format::Json => format!("{:#}\n", to_json(&versions)),
                }
            }
            Self::Wrap { file, config } => {
                let place = sealed(&config)?;
                KeyRing::wrap(&file, &place)?;
                let (file, to) = (file.display(), place.file.display());
                format!("sealed {to}; back {file} up where no gateway is, and delete it here\n")
            }
            Self::Unwrap { config, out } => {
                KeyRing::unwrap(&sealed(&config)?, &out)?;
                format!("{} holds the keys in clear\n", out.display())
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
