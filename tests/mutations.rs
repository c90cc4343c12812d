//! Rules without one of their lines, or with a laxer one: some case of the pack must fail. What no
//! case notices is a survivor, and `rules/SURVIVORS.md` says of each why that is right.
//!
//! A sample runs each time, the same one for the same rules; `TAMIS_MUTANTS=all` runs them all.

#[path = "mutations/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use tamis::cases::{Pack, Verdict, play};
use tamis::policy::{Policy, Sources};

use tree::Tree;

/// The packs in `rules/`.
const POLICIES: [&str; 3] = ["letsmasak", "we-lock", "webllet"];

/// Mutants of one pack in a sample: a few seconds' worth.
const SAMPLE: usize = 40;

/// Sections whose lines decide what is released or written down.
const SECTIONS: [&str; 13] = [
    "policy",
    "categories",
    "purposes",
    "recipients",
    "routes",
    "release",
    "limits",
    "registers",
    "transfers",
    "retention",
    "cookies",
    "access_log",
    "terms_header",
];

/// Lines that say something to people, and decide nothing.
const FOR_PEOPLE: [&str; 22] = [
    "keeps",
    "text",
    "title",
    "id",
    "source",
    "controller",
    "profiles",
    "balancing",
    "ref",
    "tia",
    "module",
    "category",
    "rate_note",
    "authenticate",
    "identifier",
    "public",
    "upstream",
    "match",
    "role",
    "withdrawal_effect",
    "bound_to",
    "approvers",
];

/// One change of the rules.
struct Mutant {
    name: String,
    rules: String,
}

fn mutants(rules: &Tree) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut add = |name: String, tree: Tree| all.push(Mutant { name, rules: tree.to_string() });
    for path in rules.paths() {
        let names: Vec<&str> = path.iter().map(|step| step.name.as_str()).collect();
        if !SECTIONS.contains(&names[0]) || names.iter().any(|name| FOR_PEOPLE.contains(name)) {
            continue;
        }
        let place = names.join(" / ");
        if names.len() > 1 && !(names.len() == 2 && names[0] == "policy") {
            add(format!("without {place}"), rules.without(&path));
        }
        for laxer in laxer(&names, rules.at(&path)) {
            add(format!("{place} is {laxer}"), rules.with(&path, laxer));
        }
    }
    all
}

/// What could stand there instead, and lets more through.
fn laxer(names: &[&str], value: &Tree) -> Vec<&'static str> {
    let text = value.text().unwrap_or_default();
    let is = |text_of: &str| text == text_of;
    match names {
        ["release", _, "show", _] if value.text().is_some() && !is("keep") => vec!["keep"],
        ["registers", "erasure", "webhook", _, "show", _] if !is("keep") => vec!["keep"],
        ["limits", _, "to"] | ["limits", _, "to", _] if !is("keep") => vec!["keep"],
        ["purposes", _, "basis"] if !is("contract") => vec!["contract"],
        ["purposes", _, "objectable"] if !is("never") => vec!["never"],
        ["purposes", _, "consent_scope"] if !is("purpose") => vec!["purpose"],
        ["recipients", _, "contract", "until"] => vec!["2099-12-31"],
        ["transfers", "table", _, "until"] => vec!["2099-12-31"],
        ["transfers", "region_of_subject", "unknown"] => vec!["SG"],
        ["access_log", "ip"] => vec!["prefix /32 /128"],
        ["cookies", _, "class"] if !is("essential") => vec!["essential"],
        ["policy", "conceal_as"] => vec!["403"],
        ["routes", _, "aggregate", "k"] => vec!["10"],
        ["routes", _, "aggregate", "round"] => vec!["2"],
        ["retention", _, "after"] => vec!["1000y"],
        ["retention", _, "then"] if !is("pseudonymise") => vec!["pseudonymise"],
        _ => Vec::new(),
    }
}

/// What became of a mutant.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The compiler does not take it.
    Rejected,
    /// A case fails.
    Caught,
    /// Nobody noticed.
    Survived,
}

fn fate(pack: &Pack, mutant: &Mutant) -> Fate {
    let sources = Sources::alone("mutant", &mutant.rules);
    let Ok(policy) = Policy::of(&sources) else { return Fate::Rejected };
    let policy = Arc::new(policy);
    // Cases about changed rules look for a text of the file as it is.
    let mut cases = pack.cases.iter().filter(|case| case.change.is_none());
    let caught = cases.any(|case| play(&policy, &sources, case) != Verdict::Passed);
    if caught { Fate::Caught } else { Fate::Survived }
}

/// Every so manyth mutant, from a start that depends on the rules, so that a change of them moves it.
fn sample(mutants: Vec<Mutant>, rules: &str) -> Vec<Mutant> {
    if std::env::var("TAMIS_MUTANTS").is_ok_and(|which| which == "all") {
        return mutants;
    }
    let step = mutants.len().div_ceil(SAMPLE).max(1);
    let start = rules.len() % step;
    mutants.into_iter().skip(start).step_by(step).collect()
}

/// The patterns of `rules/SURVIVORS.md`: the first cell of each row, in backquotes; `*` stands for
/// any text.
fn argued() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/SURVIVORS.md");
    let text = std::fs::read_to_string(file).expect("it is part of the repository");
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|rest| rest.split_once("` |").map(|(pattern, _)| pattern.to_owned()))
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn every_rule_line_is_missed_by_a_case() {
    let argued = argued();
    let mut report = String::new();
    let (mut unargued, mut used) = (Vec::new(), BTreeSet::new());
    for name in POLICIES {
        let file = format!("{}/rules/{name}/rules.yaml", env!("CARGO_MANIFEST_DIR"));
        let pack = Pack::load(Path::new(&file), &[]).expect("the pack loads");
        let tree = Tree::parse(&pack.rules);
        let same = Mutant { name: "itself".to_owned(), rules: tree.to_string() };
        assert_eq!(fate(&pack, &same), Fate::Survived, "{name}: written out anew it is the same");
        let (mut rejected, mut caught, mut survived) = (0, 0, 0);
        for mutant in sample(mutants(&tree), &pack.rules) {
            match fate(&pack, &mutant) {
                Fate::Rejected => rejected += 1,
                Fate::Caught => caught += 1,
                Fate::Survived => {
                    survived += 1;
                    let full = format!("{name}: {}", mutant.name);
                    let reason = argued.iter().position(|pattern| matches(pattern, &full));
                    let _ = writeln!(report, "survived: {full}");
                    match reason {
                        Some(at) => {
                            used.insert(at);
                        }
                        None => unargued.push(full),
                    }
                }
            }
        }
        let _ =
            writeln!(report, "{name}: {caught} caught, {rejected} rejected, {survived} survived");
    }
    if std::env::var("TAMIS_MUTANTS").is_ok_and(|which| which == "all") {
        let idle: Vec<&String> =
            (0..argued.len()).filter(|at| !used.contains(at)).map(|at| &argued[at]).collect();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("survivors.txt");
        std::fs::write(file, &report).expect("written");
        assert!(idle.is_empty(), "nothing survives by these any more: {idle:#?}\n{report}");
    }
    assert!(
        unargued.is_empty(),
        "no case misses these, and SURVIVORS.md says nothing of them:\n{}\n{report}",
        unargued.join("\n")
    );
}

#[test]
fn a_pattern_of_survivors_means_what_it_says() {
    assert!(matches("a: without *", "a: without routes / x"));
    assert!(matches("a: * / b / *", "a: without x / b / c"));
    assert!(!matches("a: * / b / *", "a: without x / c"));
    assert!(!matches("a: b", "a: b / c"));
}
