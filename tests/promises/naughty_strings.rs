//! The Big List of Naughty Strings as values, member names, selectors and ids: each in its plain and
//! its escaped spelling, wherever the input is cut, and against the oracle.

use std::fmt::Write as _;
use std::fs;
use std::path::Path as FilePath;

use tamis::policy::automaton::Unlisted;

use crate::differential::compare::{Case, Found, compare};
use crate::engine::{Engine, release};
use crate::oracle::{Act, Path, Rest, Rule, Segment, Step, What};

/// As many as the vendored list holds: a missing one must not pass for a green test.
const STRINGS: usize = 365;

/// Beyond this length every split would take minutes; the cuts are then a few.
const EVERY_SPLIT: usize = 600;

/// The longest id that the rewriter takes for one, as written.
const LONGEST_ID: usize = 1024;

fn strings() -> Vec<String> {
    let path =
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/naughty-strings/blns.json");
    let text = fs::read_to_string(path).expect("the vendored list");
    let strings: Vec<String> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(strings.len(), STRINGS);
    strings
}

/// A JSON string as serde_json writes it, and with every character escaped.
fn spellings(text: &str) -> [String; 2] {
    let mut escaped = String::from("\"");
    for unit in text.encode_utf16() {
        let _ = write!(escaped, "\\u{unit:04x}");
    }
    escaped.push('"');
    [serde_json::Value::from(text).to_string(), escaped]
}

fn anywhere(name: &str) -> Path {
    let steps = vec![Step::Name(name.to_owned())];
    Path::new(vec![Segment { descendant: true, steps }])
}

fn cell(path: Path, act: Act) -> Rule {
    Rule { path, what: What::Cell(act, true) }
}

/// The document comes out as the oracle says, and the same wherever it is cut.
fn check(document: &str, rules: &[Rule], rest: Rest) {
    for cuts in [vec![1], vec![7, 1], vec![63], vec![64], vec![65], vec![130]] {
        let document = document.as_bytes().to_vec();
        let case = Case { document, rules: rules.to_vec(), rest, salt: 5, cuts };
        let found = compare(&case).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found, Found::Rewritten, "{}", String::from_utf8_lossy(&case.document));
    }
}

#[test]
fn as_values_they_are_kept_byte_for_byte_or_gone() {
    let keep = Engine::new(&[("$.nobody", "remove")], Unlisted::Keep);
    let treated = [cell(anywhere("v"), Act::Redact), cell(anywhere("w"), Act::Remove)];
    for text in strings() {
        for spelled in spellings(&text) {
            let document = format!(r#"{{"v":{spelled},"x":[{spelled},{spelled}],"w":{spelled}}}"#);
            if document.len() <= EVERY_SPLIT {
                let kept = keep.everywhere(document.as_bytes(), release).expect("JSON");
                assert_eq!(kept.text, document);
            }
            check(&document, &treated, Rest::Keep);
        }
    }
}

#[test]
fn as_names_they_are_found_in_any_spelling() {
    for text in strings() {
        let path = anywhere(&text);
        let engine = Engine::new(&[(path.text.as_str(), "subtree remove")], Unlisted::Keep);
        for spelled in spellings(&text) {
            let document = format!(
                r#"{{"a name of nobody":1,{spelled}:"CANARY","x":[{{{spelled} : ["CANARY"]}}]}}"#
            );
            if document.len() <= EVERY_SPLIT {
                let outcome = engine.everywhere(document.as_bytes(), release).expect("JSON");
                assert!(!outcome.text.contains("CANARY"), "{text:?}");
            }
            check(&document, &[cell(path.clone(), Act::Remove)], Rest::Keep);
            check(&document, &[cell(path.clone(), Act::Keep)], Rest::Remove);
        }
    }
}

#[test]
fn as_ids_they_are_asked_about_as_they_read() {
    let step = |step| Segment { descendant: false, steps: vec![step] };
    let (star, id) = (step(Step::Wildcard), step(Step::Name("id".to_owned())));
    let each = Path::new(vec![star.clone()]);
    let subject = Path::new(vec![star.clone(), id]);
    let rules = [
        Rule { path: each, what: What::Each },
        Rule { path: subject, what: What::Subject(0) },
        cell(Path::new(vec![star.clone(), star]), Act::Keep),
    ];
    for text in strings() {
        // A longer text is nobody's id, however it is written.
        for spelled in spellings(&text).iter().filter(|spelled| spelled.len() <= LONGEST_ID) {
            let document =
                format!(r#"[{{"id":{spelled},"v":1}},{{"v":2,"id":{spelled}}},{{"id":3}}]"#);
            check(&document, &rules, Rest::Remove);
        }
    }
}
