//! What fuzzers of other JSON readers found worth keeping: each input alone and beside a canary, at
//! every split where it is small, against the oracle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;

use tamis::policy::automaton::Unlisted;

use crate::differential::compare::{Case, Found, compare};
use crate::engine::{Engine, release};
use crate::oracle::{Act, Path, Rest, Rule, Segment, Step, What};

/// As many as the vendored corpus holds: a missing one must not pass for a green test.
const INPUTS: usize = 1024;

/// Beyond this length every split would take minutes.
const EVERY_SPLIT: usize = 300;

fn inputs() -> Vec<(String, Vec<u8>)> {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz-corpus/json.json");
    let text = fs::read_to_string(path).expect("the vendored corpus");
    let inputs: BTreeMap<String, String> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(inputs.len(), INPUTS);
    inputs.into_iter().map(|(name, text)| (name, base64(&text))).collect()
}

/// RFC 4648 §4.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte).expect("base64");
        bits = bits << 6 | u32::try_from(digit).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).expect("a byte"));
        }
    }
    out
}

fn rule(steps: Vec<Step>, act: Act) -> Rule {
    let path = Path::new(vec![Segment { descendant: true, steps }]);
    Rule { path, what: What::Cell(act, false) }
}

#[test]
fn every_input_comes_out_as_the_oracle_says_wherever_it_is_cut() {
    let engine = Engine::new(&[("$..*", "redact")], Unlisted::Keep);
    let sets = [
        (vec![], Rest::Keep),
        (vec![rule(vec![Step::Wildcard], Act::Redact)], Rest::Keep),
        (vec![rule(vec![Step::Index(1), Step::Name("F".to_owned())], Act::Remove)], Rest::Keep),
        (vec![rule(vec![Step::Name("F".to_owned())], Act::Keep)], Rest::Remove),
    ];
    let mut accepted = 0;
    for (name, input) in inputs() {
        let fits = input.len() <= EVERY_SPLIT;
        if fits {
            // Equal at every split; whether it is right, the comparison says.
            let _ = engine.everywhere(&input, release);
        }
        for (rules, rest) in &sets {
            for cuts in [vec![1], vec![63], vec![64], vec![65], vec![3, 200]] {
                let (document, rules) = (input.clone(), rules.clone());
                let case = Case { document, rules, rest: *rest, salt: 0, cuts };
                let found = compare(&case).unwrap_or_else(|e| panic!("{name}: {e}"));
                accepted += usize::from(found == Found::Rewritten);
            }
        }
    }
    assert!(accepted > INPUTS, "most of them are JSON: {accepted}");
}

#[test]
fn a_value_beside_an_input_never_leaves() {
    let engine = Engine::new(&[("$.email", "remove")], Unlisted::Keep);
    for (name, input) in inputs() {
        let wrapped = [br#"{"email":"CANARY","x":"#, &input[..], b"}"].concat();
        let splits = if input.len() <= EVERY_SPLIT { 0..=wrapped.len() } else { 20..=40 };
        for split in splits {
            let (head, tail) = wrapped.split_at(split);
            let out = match engine.run([head, tail], release) {
                Ok(outcome) => outcome.text.into_bytes(),
                Err((_, out)) => out,
            };
            assert!(!out.windows(6).any(|text| text == b"CANARY"), "{name} split at {split}");
        }
    }
}
