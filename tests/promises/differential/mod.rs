//! Random documents under random rules: the engine, in random chunks, against the oracle.
//!
//! Seeded, so that a failure can be run again: the panic names the document's number.
//! `TAMIS_DOCUMENTS` says how many, `TAMIS_FIRST` from which on; `scripts/fuzz-many` runs millions.

pub(crate) mod compare;
mod documents;
pub(crate) mod random;
mod rules;

use compare::{Case, Found, compare};
use random::Random;

/// Half a minute of one core in a debug build.
const DOCUMENTS: u64 = 200_000;

fn case(number: u64) -> Case {
    let mut random = Random::seeded(number);
    let list = random.one_in(3);
    let document = random.document(list);
    let (rules, rest) = random.rules(list);
    Case { document, rules, rest, salt: number, cuts: random.cuts() }
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}

#[test]
fn random_documents_come_out_as_the_oracle_says() {
    let first = setting("TAMIS_FIRST").unwrap_or(0);
    let documents = setting("TAMIS_DOCUMENTS").unwrap_or(DOCUMENTS);
    let mut found = [0_u64; 4];
    for number in first..first + documents {
        let outcome = compare(&case(number)).unwrap_or_else(|e| panic!("document {number}: {e}"));
        found[outcome as usize] += 1;
    }
    // That the generator still makes all kinds, and selectors that mostly compile.
    for kind in [Found::Rewritten, Found::Malformed, Found::Refused] {
        assert!(documents < 10_000 || found[kind as usize] > documents / 100, "{found:?}");
    }
    assert!(
        documents < 10_000 || found[Found::Uncompiled as usize] < documents / 1000,
        "{found:?}"
    );
}
