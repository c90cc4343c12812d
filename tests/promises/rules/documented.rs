//! Promises are cited, and `tamis check` and `tamis explain` say what the rules do.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{POLICIES, load, text_of};

fn root() -> &'static str {
    env!("CARGO_MANIFEST_DIR")
}

/// Promise ids in a text: capital letters, a dash, digits.
fn promise_ids(text: &str, letter: char) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (at, _) in text.match_indices(&format!("{letter}-")) {
        let digits: String = text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        let begins = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        if begins && digits.len() == 2 {
            ids.insert(format!("{letter}-{digits}"));
        }
    }
    ids
}

#[test]
fn every_promise_is_cited_by_a_rule_and_every_citation_is_a_promise() {
    for (policy, letter, count) in
        [("letsmasak", 'L', 35), ("we-lock", 'K', 48), ("webllet", 'W', 70)]
    {
        let file = format!("{}/rules/{policy}/rules.yaml", root());
        let promises = tamis::cases::pack::promises_of(std::path::Path::new(&file));
        let promises = promises.unwrap_or_else(|error| panic!("{error}")).promises;
        let written_down: BTreeSet<String> = promises.into_keys().collect();
        assert_eq!(written_down.len(), count, "{policy}");
        assert_eq!(promise_ids(&text_of(policy), letter), written_down, "{policy}");
    }
}

fn tamis(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the binary is built for the tests");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_accepts_the_three_policies() {
    for policy in POLICIES {
        let file = format!("rules/{policy}/rules.yaml");
        let (code, out, err) = tamis(&["check", &file]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{policy}");
        let rules = load(policy);
        let last = out.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("{file}: accepted: ")), "{last}");

        let (code, out, _) = tamis(&["check", "--format", "json", &file]);
        assert_eq!(code, Some(0));
        let report: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(report["files"][0]["accepted"], true);
        assert_eq!(report["files"][0]["digest"], rules.digest.to_string());
    }
}

#[test]
fn check_rejects_with_64_and_every_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bad.yaml");
    let bad = text_of("letsmasak").replace("basis: contract", "basis: habit");
    std::fs::write(&file, bad).expect("written");
    let file = file.to_str().expect("UTF-8");
    let (code, out, _) = tamis(&["check", "rules/webllet/rules.yaml", file]);
    assert_eq!(code, Some(64));
    assert_eq!(out.matches("error[T102]: `habit` is not a legal basis").count(), 8);
    assert!(out.contains(": rejected: 8 errors, "), "{out}");
    assert_eq!(tamis(&["check", "no/such/file.yaml"]).0, Some(64));
    assert_eq!(tamis(&["check"]).0, Some(2));
}

#[test]
fn explain_names_action_and_line_for_each_field() {
    let question = |format: &str, to: &str, purpose: &str| {
        let rules = "rules/letsmasak/rules.yaml";
        let route = "GET /v2/users/u1";
        let arguments =
            ["--rules", rules, "--to", to, "--for", purpose, "--route", route, "--format", format];
        tamis(&[&["explain"], arguments.as_slice()].concat())
    };
    let (code, out, _) = question("json", "courier", "service.delivery");
    assert_eq!(code, Some(0));
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["route"], "GET /v2/users/{user_id}");
    let cells = answer["cells"].as_array().expect("a list");
    let kept: Vec<&str> = cells
        .iter()
        .filter(|cell| cell["action"] == "keep")
        .filter_map(|cell| cell["selector"].as_str())
        .collect();
    assert_eq!(kept, ["$.name", "$.mailing_address", "$.telephone"]);
    let text = text_of("letsmasak");
    for cell in cells {
        let place = cell["decided_by"].as_str().expect("a place");
        let mut parts = place.rsplit(':').skip(1);
        let line: usize = parts.next().and_then(|line| line.parse().ok()).expect("a line");
        let written = text.lines().nth(line - 1).expect("within the file");
        let category = cell["category"].as_str().expect("all are personal here");
        assert!(written.contains(category), "{place} says nothing of {category}");
    }

    let (_, out, _) = question("human", "ads-engine", "personalise.ads");
    assert!(out.contains("ads-engine can link it over time"), "{out}");
    let (code, _, err) = question("human", "nobody", "personalise.ads");
    assert_eq!(code, Some(2));
    assert!(err.starts_with("no recipient `nobody`; there are "), "{err}");
}
