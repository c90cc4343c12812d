//! JSONTestSuite: what must be refused is refused, what must be accepted passes byte for byte, and
//! nothing that stands beside a doubtful body ever leaves.

use std::fs;
use std::path::Path;

use tamis::policy::automaton::Unlisted;

use crate::engine::{Engine, release};

/// As many files as the vendored suite holds: a missing one must not pass for a green test.
const PARSING: usize = 232;
const TRANSFORM: usize = 13;

/// Beyond this length every split would take minutes; the chunks are then cut at odd places.
const EVERY_SPLIT: usize = 300;

fn bodies(folder: &str, expected: usize) -> Vec<(String, Vec<u8>)> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/json-test-suite");
    let mut bodies: Vec<(String, Vec<u8>)> = fs::read_dir(suite.join(folder))
        .expect("the vendored suite")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a file"))
        })
        .collect();
    assert_eq!(bodies.len(), expected, "{folder}");
    bodies.sort();
    bodies
}

/// Whether the engine accepts the body, with the same answer in any chunks; and what it gave.
fn accepted(engine: &Engine, name: &str, body: &[u8]) -> Option<String> {
    let whole = if body.len() <= EVERY_SPLIT {
        engine.everywhere(body, release)
    } else {
        let whole = engine.whole(body).map_err(|(malformed, _)| malformed);
        for size in [1, 7, 64, 4093] {
            let chunks = engine.run(body.chunks(size), release).map_err(|(fault, _)| fault);
            assert_eq!(chunks, whole, "{name} in chunks of {size}");
        }
        whole
    };
    whole.ok().map(|outcome| outcome.text)
}

#[test]
fn must_reject_is_refused_and_must_accept_passes_unchanged() {
    let engine = Engine::new(&[("$.nobody", "remove")], Unlisted::Keep);
    for (name, body) in bodies("test_parsing", PARSING) {
        let output = accepted(&engine, &name, &body);
        match name.split('_').next() {
            Some("y") => assert_eq!(output.as_deref().map(str::as_bytes), Some(&*body), "{name}"),
            Some("n") => assert_eq!(output, None, "{name}"),
            Some("i") => {
                assert!(output.is_none_or(|output| output.as_bytes() == body), "{name}");
            }
            _ => panic!("{name} is of no kind"),
        }
    }
}

#[test]
fn a_value_beside_a_doubtful_body_never_leaves() {
    let engine = Engine::new(&[("$.email", "remove")], Unlisted::Keep);
    for (name, body) in bodies("test_parsing", PARSING) {
        let mut wrapped = br#"{"email":"CANARY","x":"#.to_vec();
        wrapped.extend_from_slice(&body);
        wrapped.push(b'}');
        // Where small, at every split.
        let splits = if body.len() <= EVERY_SPLIT { wrapped.len() } else { 64 };
        for split in 0..=splits {
            let (head, tail) = wrapped.split_at(split);
            let out = match engine.run([head, tail], release) {
                Ok(outcome) => outcome.text.into_bytes(),
                Err((_, out)) => out,
            };
            let text = String::from_utf8_lossy(&out);
            assert!(!text.contains("CANARY"), "{name} split at {split}");
        }
        if name.starts_with("y_") {
            let body = String::from_utf8(body).expect("must-accept bodies are UTF-8");
            let outcome = engine.whole(&wrapped).unwrap_or_else(|(e, _)| panic!("{name}: {e}"));
            assert_eq!(outcome.text, format!("{{\"x\":{body}}}"), "{name}");
        }
    }
}

#[test]
fn under_default_deny_nothing_of_any_body_leaves_but_its_outer_brackets() {
    let engine = Engine::new(&[("$.granted", "keep"), ("$[99].granted", "keep")], Unlisted::Remove);
    for folder in [("test_parsing", PARSING), ("test_transform", TRANSFORM)] {
        for (name, body) in bodies(folder.0, folder.1) {
            let Some(text) = accepted(&engine, &name, &body) else { continue };
            assert!(matches!(text.trim(), "{}" | "[]" | "null" | "{ }" | "[ ]"), "{name}: {text}");
        }
    }
}

#[test]
fn every_occurrence_of_a_ruled_name_is_treated_however_it_is_written() {
    let engine = Engine::new(&[("$.a", "remove")], Unlisted::Keep);
    let mut removed = 0;
    for (name, body) in bodies("test_transform", TRANSFORM) {
        if let Some(text) = accepted(&engine, &name, &body)
            && name.starts_with("object_same_key")
        {
            assert_eq!(text.trim(), "{}", "{name}");
            removed += 1;
        }
    }
    assert_eq!(removed, 2, "the suite's bodies with a doubled name");
}
