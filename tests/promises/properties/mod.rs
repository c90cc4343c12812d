//! Whole exchanges under rules by chance: what the gateway's own walk answers, against an oracle that
//! was written from the documents alone.
//!
//! Seeded like `differential`: a failure names its world. `TAMIS_WORLDS` says how many, `TAMIS_FIRST`
//! from which on.

mod answers;
mod chance;
mod comes_in;
mod deliveries;
mod found;
mod laws;
mod links;
mod oracle;
mod played;
mod promised;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use tamis::gateway::rehearsal::Rehearsed;
use tamis::policy::Policy;
use tamis::terms::RefusalReason;

use crate::differential::setting;
use crate::oracle::{Tree, read};
use chance::{Ground, SHARE};
use oracle::{Oracle, Outcome, PSEUDONYM, TOKEN};
use played::{cookies, play_by};
use world::World;

/// Some ten seconds of one core in a debug build.
const WORLDS: u64 = 4_000;

#[test]
fn worlds_come_out_as_the_oracle_says() {
    let first = setting("TAMIS_FIRST").unwrap_or(0);
    let worlds = setting("TAMIS_WORLDS").unwrap_or(WORLDS);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut number = first;
    while number < first + worlds {
        let ground = Ground::new(number / SHARE);
        let policy = Policy::parse("chance.yaml", &ground.rules.text());
        let end = ((number / SHARE + 1) * SHARE).min(first + worlds);
        let Ok(policy) = policy.map(Arc::new) else {
            *found.entry("rejected").or_default() += end - number;
            number = end;
            continue;
        };
        let oracle = Oracle::new(&ground.rules.text());
        while number < end {
            let world = ground.world(number);
            let got = play_by(&policy, &world);
            match compare(&world, &got, &oracle).and_then(|kind| {
                let passed = passed(&world, &got, &oracle)?;
                *found.entry("cookies that were agreed to").or_default() += passed;
                Ok(kind)
            }) {
                Ok(kind) => *found.entry(kind).or_default() += 1,
                Err(what) => wrong.push(format!("world {number}: {what}\n{}", shown(&world))),
            }
            number += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} worlds differ, among {found:?}\n{}",
        wrong.len(),
        wrong.first().map_or("", String::as_str)
    );
    // That the generator still makes all kinds.
    for kind in [
        "released",
        "concealed",
        "consent-missing",
        "erased",
        "restricted",
        "objected",
        "minor",
        "dropped",
        "cookies that were agreed to",
    ] {
        assert!(worlds < WORLDS || found[kind] > 2, "{kind}: {found:?}");
    }
    assert!(worlds < WORLDS || found["released"] > worlds / 16, "{found:?}");
}

fn shown(world: &World) -> String {
    let World { rules, people, files, ask, document } = world;
    format!("{}\n{people:?}\n{files:?}\n{ask:?}\n{document}", rules.text())
}

/// The kind of outcome, or what differs.
fn compare(world: &World, got: &Rehearsed, oracle: &Oracle) -> Result<&'static str, String> {
    let expected = oracle.expected(world);
    let code = |reason: &RefusalReason| match reason {
        // To an older text or to none: both say that there is no consent to this one.
        RefusalReason::ConsentStale => "consent-missing",
        other => other.code(),
    };
    match (&got.body, &expected) {
        (Err(reason), Outcome::Refused(wanted)) if code(reason) == *wanted => Ok(*wanted),
        (Err(reason), Outcome::Concealed) if reason.concerns_a_subject() => Ok("concealed"),
        (Ok(body), Outcome::Released(tree)) => match read(body) {
            Some(found) if stands_for(tree, &found) => Ok("released"),
            _ => Err(format!("\n   got {}\n   expected {tree:?}", String::from_utf8_lossy(body))),
        },
        (Err(reason), expected) => Err(format!("refused {}, expected {expected:?}", reason.code())),
        (Ok(body), expected) => {
            Err(format!("got {}\n   expected {expected:?}", String::from_utf8_lossy(body)))
        }
    }
}

/// Whether a member is called as was expected.
fn is_called(expected: &str, found: &str) -> bool {
    match expected {
        PSEUDONYM | TOKEN => found.starts_with(&expected[1..]),
        _ => expected == found,
    }
}

/// How many cookies passed because the person agreed, or what differs.
fn passed(world: &World, got: &Rehearsed, oracle: &Oracle) -> Result<u64, String> {
    let expected = oracle.cookies(world);
    let (sent, answered) = cookies(got);
    let agreed = expected.iter().filter(|name| *name != "session").count();
    match sent {
        Some(sent) if sent != expected => Err(format!("sent {sent:?}, expected {expected:?}")),
        _ if got.body.is_ok() && answered != expected => {
            Err(format!("set {answered:?}, expected {expected:?}"))
        }
        Some(_) => Ok(agreed as u64),
        None => Ok(0),
    }
}

/// Whether what came out is what was expected, where keyed values are known by their prefix only.
fn stands_for(expected: &Tree, found: &Tree) -> bool {
    match (expected, found) {
        (Tree::String(wanted), Tree::String(text)) if [PSEUDONYM, TOKEN].contains(&&**wanted) => {
            text.starts_with(&wanted[1..])
        }
        (Tree::Array(wanted), Tree::Array(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| stands_for(wanted, found))
        }
        (Tree::Object(wanted), Tree::Object(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|((a, wanted), (b, found))| is_called(a, b) && stands_for(wanted, found))
        }
        (expected, found) => expected == found,
    }
}
