//! `tamis ledger`: verification, proofs of single records, and the key that signs checkpoints. Exit
//! codes: 0 it holds, 1 a record is wrong, 2 records are missing, 3 a signature is wrong, 4 it cannot
//! be read, 64 the configuration is rejected.

mod server;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;

use super::{REJECTED, registers_file};
use crate::config::{self, Config};
use crate::gateway::kept_ledger;
use crate::gateway::retire::before;
use crate::keys::{KeyRing, NoteError, NoteKey, NoteSigner, WitnessKey};
use crate::ledger::{
    self, Anchor, Checkpoint, LedgerPlace, LedgerServer, LedgerUnavailable, Notes, ProveError,
    RecordProof, Retired, Verification, VerifyError, kept_notes, notes_in, prove, retirable,
    verify, verify_signed,
};
use crate::observe::Metrics;
use crate::policy::Policy;

/// A checkpoint or proof is not signed by the key.
const NOT_SIGNED: u8 = 3;

/// The ledger cannot be read, so that nothing can be said about it.
const UNREADABLE: u8 = 4;

/// Arguments of `tamis ledger`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger verify --config tamis.yaml")]
pub(super) struct Ledger {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check every link of the chain, and what was signed about it. May run beside the gateway.
    Verify(Verify),
    /// Show that one record is in the ledger, without showing the others.
    Prove(Prove),
    /// Check such a proof; needs no ledger.
    CheckProof(CheckProof),
    /// Remove segments that are older than the rules keep the ledger. A gateway does it itself.
    Prune(Prune),
    /// Make the tables of ledgers on a server, or bring them to the version of this program.
    Migrate(server::Migrate),
    /// Write the chain of a gateway from a server into a directory, line by line as it is.
    Export(server::Export),
    /// Make the key that signs checkpoints, and print the key that others check them with.
    NewKey(NewKey),
    /// Print the key that others check this ledger's checkpoints with.
    ShowKey(ShowKey),
}

/// Which ledger.
#[derive(clap::Args)]
struct Place {
    /// The ledger's directory.
    #[arg(value_name = "DIR", required_unless_present = "config", conflicts_with = "config")]
    directory: Option<PathBuf>,
    /// Take the directory, or the server, from this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// On a server, the chain of this gateway; without it, that of the configuration's own.
    #[arg(long, value_name = "NAME", requires = "config")]
    node: Option<String>,
}

/// Arguments of `tamis ledger verify`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis ledger verify --config tamis.yaml --key \"$KEY\" \\\n         \
    --checkpoints /elsewhere/checkpoints.jsonl\n\n\
    A chain alone cannot show that its end was cut off or that all of it was computed anew: give\n\
    what was kept where the gateway cannot write, signed checkpoints or a head as --anchor.\n\n\
    Exit codes: 0 it holds, 1 a record is wrong, 2 records are missing, 3 a signature is wrong,\n\
    4 it cannot be read."
)]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// A head that an earlier run printed.
    #[arg(long, value_name = "NUMBER:HASH")]
    anchor: Option<Anchor>,
    /// The key that checkpoints are checked with, as `tamis ledger new-key` prints it.
    #[arg(long, value_name = "KEY")]
    key: Option<NoteKey>,
    /// The key of a witness that must have cosigned one of the checkpoints at least; may be repeated.
    #[arg(long, value_name = "KEY", requires = "key")]
    witness_key: Vec<WitnessKey>,
    /// Signed checkpoints: one, or lines of a checkpoints.jsonl. Without it, those kept beside the
    /// ledger.
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoints: Option<PathBuf>,
}

/// Arguments of `tamis ledger prove`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis ledger prove --config tamis.yaml --key \"$KEY\" --record 17 > 17.tlog-proof"
)]
struct Prove {
    #[command(flatten)]
    place: Place,
    /// The record's number, its member `seq`.
    #[arg(long, value_name = "NUMBER")]
    record: u64,
    /// The key that the ledger's checkpoints are checked with.
    #[arg(long, value_name = "KEY")]
    key: NoteKey,
}

/// Arguments of `tamis ledger check-proof`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger check-proof --key \"$KEY\" 17.tlog-proof\n\n\
    Prints the record. Exit codes: 0 it is in the ledger, 1 it is not, 3 a signature is wrong,\n\
    4 the file is no proof.")]
struct CheckProof {
    /// The proof.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The key that the ledger's checkpoints are checked with; get it from somebody else than the
    /// proof.
    #[arg(long, value_name = "KEY")]
    key: NoteKey,
}

/// Arguments of `tamis ledger prune`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger prune --config tamis.yaml --dry-run\n\n\
    Whole segments of which every record is older than `ledger: {keep: …}` of the rules. A signed\n\
    checkpoint and an entry say where the cut is. Without --dry-run the ledger must not be in use.")]
struct Prune {
    /// The gateway's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `tamis ledger new-key`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis ledger new-key --name ledger.example.com/gw-1 --out ledger.key\n\n\
    Name the file as `checkpoint_key: ledger.key` in the configuration, and give the printed\n\
    key to whoever audits."
)]
struct NewKey {
    /// The ledger's name in its checkpoints, unique in the world: a host and path, without scheme.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where to write the key; for its owner only, never in the place of another file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `tamis ledger show-key`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis ledger show-key ledger.key")]
struct ShowKey {
    /// The file that `tamis ledger new-key` wrote.
    #[arg(value_name = "FILE")]
    key: PathBuf,
}

/// Why a command ended, with its exit code.
struct Ended(u8, String);

impl Ledger {
    pub(super) fn run(self) -> ExitCode {
        let done = match self.what {
            What::Verify(arguments) => verify_ledger(&arguments),
            What::Prove(arguments) => prove_record(&arguments),
            What::CheckProof(arguments) => check_proof(&arguments),
            What::Prune(arguments) => prune(&arguments),
            What::Migrate(arguments) => server::migrate(&arguments),
            What::Export(arguments) => server::export(&arguments),
            What::NewKey(arguments) => shown(NoteSigner::generate(&arguments.out, &arguments.name)),
            What::ShowKey(arguments) => shown(NoteSigner::open(&arguments.key)),
        };
        match done {
            Ok(text) => {
                let written = io::stdout().lock().write_all(text.as_bytes());
                if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(Ended(code, text)) => {
                registers_file::complain(&text);
                ExitCode::from(code)
            }
        }
    }
}

impl Place {
    fn find(&self) -> Result<ledger::Place, Ended> {
        let config = match (&self.directory, &self.config) {
            (Some(directory), _) => return Ok(directory.into()),
            (None, Some(config)) => {
                Config::load(config).map_err(|error| rejected_config(&error))?
            }
            (None, None) => return Err(Ended(UNREADABLE, "no ledger was named".into())),
        };
        let named = named(config.ledger, self.node.as_deref());
        named.map_err(|error| Ended(UNREADABLE, error.to_string()))
    }
}

fn verify_ledger(arguments: &Verify) -> Result<String, Ended> {
    let place = arguments.place.find()?;
    let (mut checkpoints, mut spoilt, mut witnessed) = (Vec::new(), 0, Vec::new());
    if let Some(key) = &arguments.key {
        let Notes { notes, unreadable: count } = match &arguments.checkpoints {
            Some(file) => notes_in(&read(file)?),
            None => kept_notes(&place).map_err(|error| unreadable(&error))?,
        };
        spoilt = count;
        checkpoints = notes.iter().map(|note| signed(key, note)).collect::<Result<Vec<_>, _>>()?;
        for witness in &arguments.witness_key {
            witnessed.push(cosigned_by(witness, &notes, &checkpoints)?);
        }
    }
    let verified = match &arguments.key {
        Some(_) => verify_signed(&place, arguments.anchor, &checkpoints),
        None => verify(&place, arguments.anchor),
    };
    let found = verified.map_err(|error| {
        let code = match &error {
            VerifyError::Io(_) | VerifyError::Empty => UNREADABLE,
            missing if missing.is_gap() => 2,
            _ => 1,
        };
        match &error {
            VerifyError::Io(cause) => Ended(code, format!("{error}: {}", cause.kind())),
            _ => Ended(code, error.to_string()),
        }
    })?;
    let Verification { records, head, retired, unfinished_bytes, .. } = found;
    let mut lines = vec![format!("{records} records, head {head}")];
    if arguments.key.is_some() {
        let last = checkpoints.iter().map(|checkpoint| checkpoint.size).max().unwrap_or_default();
        let count = checkpoints.len();
        lines.push(format!("{count} signed checkpoints hold, the last of record {last}"));
        lines.extend(witnessed);
        if spoilt > 0 {
            lines.push(format!("{spoilt} lines of the checkpoints are none"));
        }
    }
    if let Some(Retired { up_to, at }) = retired {
        let begins = up_to + 1;
        lines.push(format!(
            "begins at {begins}: records 1 to {up_to} were retired, as the chain says since {at}"
        ));
        if arguments.key.is_none() {
            lines.push("whether that was signed nobody looked: give --key".into());
        }
        if let Some(first) =
            checkpoints.iter().map(|one| one.size).filter(|size| *size >= up_to).min()
        {
            lines.push(format!(
                "what is gone is covered by the signed checkpoint of record {first}"
            ));
        }
    }
    if unfinished_bytes > 0 {
        lines.push(format!("{unfinished_bytes} bytes are being written just now"));
    }
    Ok(lines.join("\n") + "\n")
}

/// What a witness vouches for, in words.
fn cosigned_by(
    witness: &WitnessKey,
    notes: &[String],
    checkpoints: &[Checkpoint],
) -> Result<String, Ended> {
    let times = notes.iter().map(|note| witness.cosigned(note));
    let cosigned = times.zip(checkpoints).filter_map(|(time, one)| Some((one.size, time?)));
    let cosigned: Vec<(u64, Timestamp)> = cosigned.collect();
    let (name, count) = (witness.name(), cosigned.len());
    let last = cosigned.into_iter().max();
    let (record, time) =
        last.ok_or_else(|| Ended(NOT_SIGNED, format!("nothing is cosigned by {name}")))?;
    Ok(format!("{count} of them are cosigned by {name}, the last of record {record} at {time}"))
}

fn prove_record(arguments: &Prove) -> Result<String, Ended> {
    let place = arguments.place.find()?;
    let notes = kept_notes(&place).map_err(|error| unreadable(&error))?;
    // The oldest that covers the record: it has been with witnesses for longest.
    for note in &notes.notes {
        let checkpoint = signed(&arguments.key, note)?;
        if checkpoint.size >= arguments.record {
            let proof = prove(&place, arguments.record, note, &checkpoint);
            return proof.map(|proof| proof.to_string()).map_err(|error| {
                let code = if matches!(error, ProveError::Io(_)) { UNREADABLE } else { 1 };
                Ended(code, error.to_string())
            });
        }
    }
    Err(Ended(1, ProveError::NotCovered(arguments.record).to_string()))
}

fn check_proof(arguments: &CheckProof) -> Result<String, Ended> {
    let proof = RecordProof::parse(&read(&arguments.proof)?)
        .ok_or_else(|| Ended(UNREADABLE, format!("{} is no proof", arguments.proof.display())))?;
    let checkpoint = signed(&arguments.key, &proof.note)?;
    if proof.leads_to(&checkpoint) {
        Ok(format!("{}\n", proof.record))
    } else {
        Err(Ended(1, "the record is not in the ledger that was signed".into()))
    }
}

fn prune(arguments: &Prune) -> Result<String, Ended> {
    let rejected = |text: String| Ended(REJECTED, text);
    let unusable = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Ended(UNREADABLE, format!("{error}{cause}"))
    };
    let config = Config::load(&arguments.config)
        .map_err(|error| rejected(registers_file::config_error(&error)))?;
    let sources = config::rules(&config.rules).map_err(|error| unreadable(&error))?;
    let policy = Policy::of(&sources).map_err(|findings| rejected(findings.to_string()))?;
    let Some(keep) = policy.ledger.keep else {
        return Ok("the rules keep the ledger for ever\n".into());
    };
    let now = Timestamp::now();
    if arguments.dry_run {
        let before = before(now, keep).unwrap_or(Timestamp::MIN);
        let place = named(config.ledger, None).map_err(|error| unusable(&error))?;
        let found = retirable(&place, before).map_err(|error| unusable(&error))?;
        return Ok(found.map_or_else(
            || "nothing is old enough\n".to_owned(),
            |found| {
                let (count, records) = (found.segments.len(), found.cut.records);
                format!("{count} segments would go, with the records up to {records}\n")
            },
        ));
    }
    let keys = KeyRing::open_at(&config.key_ring).map_err(|error| unusable(&error))?;
    let kept = kept_ledger(&config, &policy, &keys, &Arc::new(Metrics::new()))
        .map_err(|error| unusable(&error))?;
    let Some(retirement) = kept.retirement else {
        return Err(Ended(UNREADABLE, "no key signs checkpoints".into()));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Ended(1, error.kind().to_string()))?;
    let gone = runtime.block_on(retirement.retire(now)).map_err(|error| unusable(&error))?;
    Ok(match gone {
        0 => "nothing is old enough\n".to_owned(),
        records => format!("records up to {records} are gone\n"),
    })
}

/// The chain of `node` there, or of the configuration's own gateway.
fn named(ledger: LedgerPlace, node: Option<&str>) -> Result<ledger::Place, LedgerUnavailable> {
    match (ledger, node) {
        (LedgerPlace::Directory(directory), None) => Ok((&directory).into()),
        (LedgerPlace::Directory(_), Some(_)) => {
            Err(LedgerUnavailable("a directory has one chain: leave out --node".into()))
        }
        (LedgerPlace::Postgres(settings), node) => {
            let node = node.unwrap_or(&settings.node);
            Ok(ledger::Place::Server(LedgerServer::open(&settings)?.chain(node)))
        }
    }
}

fn rejected_config(error: &config::ConfigError) -> Ended {
    Ended(REJECTED, registers_file::config_error(error))
}

/// The public part of a key, for whoever audits.
fn shown(signer: Result<NoteSigner, NoteError>) -> Result<String, Ended> {
    signer.map(|signer| format!("{}\n", signer.key())).map_err(|error| match error {
        NoteError::File(path, fault) => Ended(1, format!("{}: {}", path.display(), fault.kind())),
        other => Ended(1, other.to_string()),
    })
}

/// The checkpoint in a note, once its signature is right and it speaks of the key's own ledger.
fn signed(key: &NoteKey, note: &str) -> Result<Checkpoint, Ended> {
    let text = key.open(note).map_err(|error| Ended(NOT_SIGNED, error.to_string()))?;
    Checkpoint::parse(text)
        .filter(|checkpoint| checkpoint.origin == key.name())
        .ok_or_else(|| Ended(NOT_SIGNED, format!("no checkpoint of {}", key.name())))
}

fn read(path: &Path) -> Result<String, Ended> {
    std::fs::read_to_string(path).map_err(|error| {
        Ended(UNREADABLE, format!("cannot read {}: {}", path.display(), error.kind()))
    })
}

fn unreadable(error: &io::Error) -> Ended {
    Ended(UNREADABLE, format!("cannot read the ledger: {}", error.kind()))
}
