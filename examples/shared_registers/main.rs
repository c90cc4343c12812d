//! Many gateways on one PostgreSQL server: how long a withdrawal takes to count on all of them, how long a
//! lookup takes, and how much memory people take.
//!
//! `cargo run --release --example shared_registers -- [PEOPLE] [GATEWAYS] [CHANGES A SECOND] [SECONDS]`
//! starts a server of its own in a temporary folder, as the tests do, gives each invented person one
//! consent, lets the gateways read, and then withdraws consents, one after the other, through each
//! gateway in turn. It looks at every gateway until the withdrawal counts there.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/promises/postgres/server.rs"]
mod server;

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tamis::registers::{RegisterStore, Registers as _};
use tamis::terms::{ConsentStatus, DataSubject, Personal};

use server::{Database, Server};

type Fault = Box<dyn Error + Send + Sync>;

/// Lookups that are timed.
const LOOKUPS: usize = 1_000_000;

/// Lookups between two looks at the clock.
const TOGETHER: usize = 20;

/// One withdrawal, from when it was asked for.
struct Change {
    person: usize,
    asked: Instant,
}

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut or = |usual| arguments.next().unwrap_or(Ok(usual));
    let (people, gateways, a_second, seconds) = (or(100_000)?, or(4)?, or(200)?, or(20)?);
    if [people, gateways, a_second, seconds].contains(&0) {
        return Err("none of them may be 0".into());
    }
    let mut out = io::stdout().lock();

    let server = Server::start();
    let seats: Vec<_> = (0..gateways).map(|_| tempfile::tempdir()).collect::<Result<_, _>>()?;
    let first = seats.first().ok_or("at least one gateway")?;
    Database::on(&server, "people", first.path(), server.port);
    enter(&server, people);
    writeln!(out, "people\t{people}\ngateways\t{gateways}")?;

    let before = resident();
    let begun = Instant::now();
    let stores = std::thread::scope(|scope| -> Result<Vec<RegisterStore>, Fault> {
        let reading: Vec<_> = seats
            .iter()
            .map(|seat| {
                let settings = server.settings("people", seat.path(), server.port);
                scope.spawn(move || {
                    let store = Database { settings }.follow();
                    while store.available().is_err() {
                        store.wait_until_known(Duration::from_mins(1));
                    }
                    store
                })
            })
            .collect();
        let read = |one: std::thread::ScopedJoinHandle<'_, RegisterStore>| {
            one.join().map_err(|_| Fault::from("a gateway did not read"))
        };
        reading.into_iter().map(read).collect()
    })?;
    writeln!(out, "all at once read everybody\t{:.1} s", begun.elapsed().as_secs_f64())?;
    let taken = resident().saturating_sub(before);
    let million = taken * 1_000_000 / (people * gateways) as u64 / (1 << 20);
    writeln!(out, "memory\t{million} MiB a million consents, a gateway")?;

    let mut lookups = lookups(&stores[0], people)?;
    writeln!(out, "lookup, ns\tp50 {}\tp99 {}", at(&mut lookups, 50), at(&mut lookups, 99))?;

    let total = (a_second * seconds).min(people);
    let rate = u32::try_from(a_second)?;
    let (asked, asks) = channel();
    let mut late = std::thread::scope(|scope| -> Result<Vec<Duration>, Fault> {
        let begun = Instant::now();
        for (turn, store) in stores.iter().enumerate() {
            let asked = asked.clone();
            scope.spawn(move || {
                for person in (turn..total).step_by(gateways) {
                    let due = begun
                        + Duration::from_secs(1) * u32::try_from(person).unwrap_or(u32::MAX) / rate;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    withdraw(store, person, &asked);
                }
            });
        }
        drop(asked);
        watch(&stores, &asks)
    })?;
    let count = late.len();
    writeln!(
        out,
        "withdrawals\t{count} of {total}, {a_second} a second\nasked until it counts on all, ms\tp50 {}\tp99 {}\tmost {}",
        at(&mut late, 50).as_millis(),
        at(&mut late, 99).as_millis(),
        at(&mut late, 100).as_millis(),
    )?;
    Ok(())
}

/// Gives each person a consent, as one commit that nobody has seen yet.
fn enter(server: &Server, people: usize) {
    server.sql(
        "people",
        &format!(
            "SET search_path = tamis; BEGIN;
             INSERT INTO consents SELECT 'con_' || lpad(i::text, 16, '0'), 'u' || i, 'share.partner',
               'sha-256:' || repeat('a', 64), '[\"courier\",\"loyalty-partner\"]', '[]', false,
               '2099-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '{{}}', 1
               FROM generate_series(0, {people} - 1) i;
             INSERT INTO consent_events SELECT id, '2026-01-01T00:00:00Z', 'given',
               '2026-01-01T00:00:00Z' FROM consents;
             INSERT INTO people SELECT subject, 1 FROM consents;
             UPDATE head SET number = 1; INSERT INTO commits VALUES (1, 'made up');
             COMMIT; ANALYZE"
        ),
    );
}

fn person(number: usize) -> DataSubject {
    Personal::new(format!("u{number}").into())
}

fn withdraw(store: &RegisterStore, person: usize, asked: &Sender<Change>) {
    let change = Change { person, asked: Instant::now() };
    if store
        .changing(|changing| {
            changing.withdraw_consent(&format!("con_{person:016}"), Timestamp::now())
        })
        .is_ok()
    {
        // Nobody listens any more only when the run has failed.
        let _ = asked.send(change);
    }
}

/// Looks at every gateway until each withdrawal counts on all of them. It hears of one when it was
/// acknowledged, and counts from when it was asked for.
fn watch(stores: &[RegisterStore], asks: &Receiver<Change>) -> Result<Vec<Duration>, Fault> {
    let (mut late, mut open) = (Vec::new(), Vec::<Change>::new());
    let mut is_over = false;
    while !is_over || !open.is_empty() {
        match asks.recv_timeout(Duration::from_millis(1)) {
            Ok(change) => open.push(change),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => is_over = true,
        }
        let now = Timestamp::now();
        let mut left = Vec::new();
        for change in open.drain(..) {
            let who = person(change.person);
            let mut counts = true;
            for store in stores {
                let said = store.statements(&who)?;
                counts &= said.consents.iter().all(|it| it.status(now) == ConsentStatus::Withdrawn);
            }
            if counts {
                late.push(change.asked.elapsed());
            } else {
                left.push(change);
            }
        }
        open = left;
    }
    Ok(late)
}

/// Nanoseconds of single lookups, people in an order that no cache knows.
fn lookups(store: &RegisterStore, people: usize) -> Result<Vec<u128>, Fault> {
    let mut number = 1_u64;
    let mut next = || {
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        person((number >> 33) as usize % people)
    };
    let mut times = Vec::new();
    for _ in 0..LOOKUPS / TOGETHER {
        let asked: Vec<DataSubject> = (0..TOGETHER).map(|_| next()).collect();
        let begun = Instant::now();
        for who in &asked {
            std::hint::black_box(store.statements(who)?);
        }
        times.push(begun.elapsed().as_nanos() / TOGETHER as u128);
    }
    Ok(times)
}

fn at<T: Copy + Ord>(values: &mut [T], percent: usize) -> T {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
