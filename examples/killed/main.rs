//! `kill -9` at random moments under load, and what is left.
//!
//! `cargo build --release && cargo run --release --example killed -- 200`. Each round starts the
//! gateway as a process of its own, lets clients ask and a desk enter consents, kills it after a random
//! time, and looks: every answer of which a byte reached a client has its opening record, the chain and
//! every signed checkpoint hold, and every consent that was acknowledged is in the registers.

mod gateway;
mod load;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tamis::demo::{Backend, People, Show, Stage, StageListen};
use tamis::keys::NoteSigner;
use tamis::ledger::{Checkpoint, FileLedger, kept_notes, verify_signed};
use tamis::registers::{RegisterStore, Registers as _};
use tamis::terms::Personal;

use gateway::Gateway;
use load::{Desk, Readers};

type Fault = Box<dyn Error + Send + Sync>;

/// Clients that ask at the same time.
const READERS: usize = 6;

/// Milliseconds from the first answer to the end, at most.
const LIFE: u64 = 700;

/// Each so many rounds the gateway is killed while it starts, without waiting for an answer.
const EARLY: usize = 5;

/// What the rounds came to.
#[derive(Default)]
struct Count {
    answers: usize,
    cut_answers: usize,
    consents: usize,
    torn_tails: usize,
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(20), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir()?;
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let people = Arc::new(People::of_the_demo());
    let backend = Backend::start(Show::Letsmasak.backend(), people, loopback).await?;
    let url = format!("http://{}", backend.address());
    let listen = StageListen::around(loopback);
    let stage = Stage::prepare(Show::Letsmasak, &folder.path().join("demo"), &url, listen)?;
    let stage = Arc::new(stage);

    let mut count = Count::default();
    for round in 1..=rounds {
        let gateway = Gateway::start(&stage.config_file())?;
        let mut readers = Readers::start(&stage, gateway.https, READERS)?;
        let desk = Desk::start(&stage, gateway.admin, round)?;
        if round % EARLY != 0 {
            readers.first_answer().await?;
        }
        tokio::time::sleep(Duration::from_millis(random()? % LIFE)).await;
        gateway.kill()?;
        let (whole, cut) = readers.stop().await;
        let consents = desk.stop().await;
        look(&folder.path().join("demo"), &mut count, &whole, &cut, &consents)
            .map_err(|fault| format!("round {round}: {fault}"))?;
        if round % 20 == 0 {
            writeln!(io::stderr(), "{round} rounds")?;
        }
    }
    writeln!(
        io::stdout(),
        "| rounds | answers with their record | of these cut off | consents kept | torn tails \
         recovered |\n|---|---|---|---|---|\n| {rounds} | {} | {} | {} | {} |",
        count.answers,
        count.cut_answers,
        count.consents,
        count.torn_tails,
    )?;
    Ok(())
}

/// Looks at what the killed gateway left behind.
fn look(
    demo: &Path,
    count: &mut Count,
    whole: &BTreeSet<String>,
    cut: &BTreeSet<String>,
    consents: &[String],
) -> Result<(), Fault> {
    let place = demo.join("ledger");
    // Opening recovers a torn tail, as the next gateway would.
    drop(FileLedger::open(&place, "demo")?);
    let key = NoteSigner::open(&demo.join("ledger.key"))?.key();
    let mut checkpoints = Vec::new();
    for note in kept_notes(&place)?.notes {
        checkpoints.push(Checkpoint::parse(key.open(&note)?).ok_or("no checkpoint")?);
    }
    verify_signed(&place, None, &checkpoints)?;

    let (mut opened, mut torn) = (BTreeSet::new(), 0);
    for entry in std::fs::read_dir(&place)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        torn += usize::from(name.contains(".cut-at-"));
        let is_segment = name.starts_with(|first: char| first.is_ascii_digit());
        if !is_segment || path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            let record: serde_json::Value = serde_json::from_str(line)?;
            if record["kind"] == "disclosure" {
                opened.extend(record["id"].as_str().map(str::to_owned));
            }
        }
    }
    if let Some(missing) = whole.union(cut).find(|decision| !opened.contains(*decision)) {
        return Err(format!("the answer {missing} reached a client and has no record").into());
    }
    let registers = RegisterStore::embedded(&demo.join("registers.sqlite"))?;
    for person in consents {
        let said = registers.statements(&Personal::new(person.as_str().into()))?;
        if said.consents.is_empty() {
            return Err("a consent that was acknowledged is lost".into());
        }
    }
    count.answers += whole.len() + cut.len();
    count.cut_answers += cut.len();
    count.consents += consents.len();
    count.torn_tails = torn;
    Ok(())
}

fn random() -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| "no random bytes")?;
    Ok(u64::from_le_bytes(bytes))
}
