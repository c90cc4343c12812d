//! The JSONPath Compliance Test Suite: every invalid selector is refused, what is removed by an
//! accepted one is exactly the suite's node list, and what is refused though valid is listed in
//! docs/ENGINE.md with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tamis::policy::automaton::{Automaton, CellId, Mark, Unlisted};
use tamis::policy::path::Selector;

use crate::engine::{Engine, release};

const TESTS: usize = 518;
const INVALID: usize = 186;
const ACCEPTED: usize = 245;

pub(crate) fn suite() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jsonpath-cts/cts.json");
    let text = fs::read_to_string(path).expect("the vendored suite");
    let suite: Value = serde_json::from_str(&text).expect("JSON");
    suite["tests"].as_array().expect("tests").clone()
}

/// Why a selector cannot be used, by parser or by compiler.
fn refusal(selector: &str) -> Option<String> {
    let parsed = match Selector::parse(selector) {
        Ok(parsed) => parsed,
        Err(error) => return Some(error.message),
    };
    let mark = Mark::Cell { cell: CellId(0), subtree: true };
    Automaton::compile(&[(parsed, mark)], Unlisted::Keep).err().map(|error| error.to_string())
}

pub(crate) fn selector(test: &Value) -> &str {
    test["selector"].as_str().expect("a selector")
}

pub(crate) fn is_invalid(test: &Value) -> bool {
    test["invalid_selector"] == true
}

#[test]
fn every_invalid_selector_is_refused() {
    let suite = suite();
    assert_eq!(suite.len(), TESTS);
    let invalid: Vec<&Value> = suite.iter().filter(|test| is_invalid(test)).collect();
    assert_eq!(invalid.len(), INVALID);
    for test in invalid {
        assert!(refusal(selector(test)).is_some(), "{test}");
        assert!(Selector::parse_within(selector(test), None).is_err(), "{test}");
    }
}

#[test]
fn what_an_accepted_selector_removes_is_the_suites_node_list() {
    let mut accepted = 0;
    for test in suite().iter().filter(|test| !is_invalid(test)) {
        let selector = selector(test);
        if refusal(selector).is_some() {
            continue;
        }
        accepted += 1;
        let engine = Engine::new(&[(selector, "subtree remove")], Unlisted::Keep);
        let document = test["document"].to_string();
        let outcome = engine.everywhere(document.as_bytes(), release).expect("JSON");
        let found: Value = serde_json::from_str(&outcome.text).expect("JSON");
        let mut paths = node_list(test);
        // From the back, so that positions stay true while elements go.
        paths.sort();
        paths.dedup();
        let mut expected = test["document"].clone();
        for path in paths.iter().rev() {
            remove(&mut expected, path);
        }
        assert_eq!(found, expected, "{} {selector}", test["name"]);
    }
    assert_eq!(accepted, ACCEPTED);
}

/// The normalized paths of what is selected. Where several orders are right, the set is one and the
/// same.
pub(crate) fn node_list(test: &Value) -> Vec<Vec<Step>> {
    let paths = if test["result_paths"].is_array() {
        &test["result_paths"]
    } else {
        &test["results_paths"][0]
    };
    let paths = paths.as_array().expect("node list").iter();
    paths.map(|path| normalized(path.as_str().expect("a path"))).collect()
}

/// A step of a normalized path (RFC 9535 §2.7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Index(usize),
    Name(String),
}

fn normalized(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').expect("a root");
    while let Some(inside) = rest.strip_prefix('[') {
        if let Some(quoted) = inside.strip_prefix('\'') {
            let mut end = 0;
            while quoted.as_bytes()[end] != b'\'' {
                end += if quoted.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            // Single-quoted with JSON's escapes, but for the quote itself.
            let json = quoted[..end].replace("\\'", "'").replace('"', "\\\"");
            steps.push(Step::Name(serde_json::from_str(&format!("\"{json}\"")).expect("a name")));
            rest = &quoted[end + 2..];
        } else {
            let end = inside.find(']').expect("a bracket");
            steps.push(Step::Index(inside[..end].parse().expect("an index")));
            rest = &inside[end + 1..];
        }
    }
    steps
}

fn remove(value: &mut Value, path: &[Step]) {
    match (path, value) {
        ([], root) => *root = Value::Null,
        ([Step::Index(index)], Value::Array(elements)) => {
            elements.remove(*index);
        }
        ([Step::Name(name)], Value::Object(members)) => {
            members.remove(name);
        }
        ([Step::Index(index), rest @ ..], Value::Array(elements)) => {
            remove(&mut elements[*index], rest);
        }
        ([Step::Name(name), rest @ ..], Value::Object(members)) => {
            remove(members.get_mut(name).expect("a member"), rest);
        }
        (path, value) => panic!("{path:?} leads nowhere in {value}"),
    }
}

const BEGIN: &str = "<!-- refused selectors: begin -->\n";
const END: &str = "<!-- refused selectors: end -->";

#[test]
fn valid_selectors_that_are_refused_are_listed_with_their_reasons() {
    let mut by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for test in suite().iter().filter(|test| !is_invalid(test)) {
        if let Some(reason) = refusal(selector(test)) {
            by_reason.entry(reason).or_default().push(test["selector"].to_string());
        }
    }
    let mut listed = String::new();
    for (reason, mut selectors) in by_reason {
        selectors.sort();
        selectors.dedup();
        let _ = write!(listed, "\n**{reason}** ({}):\n\n```text\n", selectors.len());
        listed.push_str(&selectors.join("\n"));
        listed.push_str("\n```\n");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ENGINE.md");
    let page = fs::read_to_string(&path).expect("docs/ENGINE.md");
    let begin = page.find(BEGIN).expect("the begin marker") + BEGIN.len();
    let end = page.find(END).expect("the end marker");
    if page[begin..end] != listed {
        let proposal = format!("{}{listed}{}", &page[..begin], &page[end..]);
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ENGINE.md");
        fs::write(&beside, proposal).expect("the target folder can be written");
        panic!("docs/ENGINE.md lists other selectors; the right page is {}", beside.display());
    }
}
