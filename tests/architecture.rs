//! The architecture, read from the text of the sources: layers look only down, the pure ones name
//! no I/O, clock or randomness, and files stay where and how large they should be.
//! The table of layers is the one in `src/lib.rs`; there is no second copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that are given time, keys and random bytes as arguments.
const PURE: [&str; 5] = ["terms", "action", "policy", "decide", "minimize"];

/// Words that reach the outside world.
const IMPURE: [&str; 14] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::io::stdin",
    "tokio",
    "hyper",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "Instant::now",
    "getrandom",
    "rand::",
    "rusqlite",
];

/// File names that say nothing.
const NAMELESS: [&str; 7] =
    ["util.rs", "utils.rs", "common.rs", "helper.rs", "helpers.rs", "misc.rs", "manager.rs"];

/// Longest file, in lines.
const LONGEST: usize = 600;

/// One source file under `src/`.
struct Source {
    path: String,
    /// The module directly under the crate's root.
    module: String,
    /// The code without comments and without modules of tests.
    code: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files_under(&path, into);
        } else {
            into.push(path);
        }
    }
}

fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in folders {
        files_under(&root().join(folder), &mut paths);
    }
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            (name, fs::read_to_string(&path).expect("sources are UTF-8"))
        })
        .collect()
}

fn sources() -> Vec<Source> {
    let sources: Vec<Source> = rust_files(&["src"])
        .into_iter()
        .map(|(path, text)| {
            let inside = path.trim_start_matches("src/");
            let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
            Source { module: module.to_owned(), code: code_of(&text), text, path }
        })
        .collect();
    assert!(sources.len() > 40, "the sources were not found");
    sources
}

/// Drops comments and every item under `#[cfg(test)]`, which rustfmt ends with a brace (or a
/// semicolon) at the indentation of its attribute.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("#[cfg(test)]") {
            let indent = &line[..line.len() - trimmed.len()];
            for line in lines.by_ref() {
                let rest = line.strip_prefix(indent).unwrap_or("");
                let is_at_the_same_depth = !rest.starts_with(' ') && !rest.starts_with('#');
                if is_at_the_same_depth && (rest.starts_with('}') || rest.ends_with([';', '}'])) {
                    break;
                }
            }
            continue;
        }
        if !trimmed.starts_with("//") {
            // A `//` inside a string (`https://…`) cuts the rest of its line; no path is lost by it.
            code.push_str(line.split(" // ").next().unwrap_or(line));
            code.push('\n');
        }
    }
    code
}

/// Layers by module, from the table in the crate's documentation.
fn layers() -> BTreeMap<String, u8> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("the crate's root is there");
    let mut layers = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split('|').map(str::trim);
        let (Some(layer), Some(modules)) = (cells.next(), cells.next()) else { continue };
        let Ok(layer) = layer.parse() else { continue };
        for module in modules.split(',') {
            let module = module.trim().trim_start_matches("[`").trim_end_matches("`]");
            layers.insert(module.to_owned(), layer);
        }
    }
    layers
}

/// The modules of the crate that a file names, by `crate::` or by a way up with `super::`.
fn named_modules(source: &Source) -> BTreeSet<String> {
    let depth =
        source.path.trim_start_matches("src/").trim_end_matches("mod.rs").matches('/').count();
    let depth = if source.path.ends_with("/mod.rs") { depth } else { depth + 1 };
    let way_up = "super::".repeat(depth);
    let mut named = BTreeSet::new();
    for start in ["crate::", way_up.as_str()] {
        for (at, _) in source.code.match_indices(start) {
            let before = source.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            named.extend(first_names(&source.code[at + start.len()..]));
        }
    }
    named
}

/// The first segments of a path: one name, or those of a braced group.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0_usize;
    let mut names = vec![name(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

#[test]
fn every_module_has_a_layer_in_the_table() {
    let layers = layers();
    let modules: BTreeSet<String> = sources()
        .into_iter()
        .map(|source| source.module)
        .filter(|module| module != "lib" && module != "main")
        .collect();
    let listed: BTreeSet<String> = layers.keys().cloned().collect();
    assert_eq!(modules, listed);
}

#[test]
fn layers_look_only_down() {
    let layers = layers();
    let mut upward = Vec::new();
    let mut beside: BTreeSet<(String, String)> = BTreeSet::new();
    for source in sources() {
        let Some(own) = layers.get(&source.module) else { continue };
        for named in named_modules(&source) {
            let Some(other) = layers.get(&named) else { continue };
            if other > own {
                upward.push(format!("{} names {named}", source.path));
            } else if other == own && named != source.module {
                beside.insert((source.module.clone(), named));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
    // Two modules of one layer may know each other one way.
    for (from, to) in &beside {
        assert!(!beside.contains(&(to.clone(), from.clone())), "{from} and {to} name each other");
    }
}

#[test]
fn pure_layers_name_no_io_clock_or_randomness() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.module.as_str())) {
        for word in IMPURE {
            // `Operand::` is not `rand::`.
            let begins = |at: usize| {
                let before = source.code[..at].chars().next_back();
                !before.is_some_and(|sign| sign.is_alphanumeric() || sign == '_')
            };
            if source.code.match_indices(word).any(|(at, _)| begins(at)) {
                found.push(format!("{} names {word}", source.path));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_permit_is_made_only_by_decide() {
    for source in sources() {
        let makes = source.code.lines().any(|line| {
            let line = line.trim();
            line.contains("Permit {")
                && !line.starts_with("impl")
                && !line.starts_with("pub struct")
        });
        if source.module == "decide" {
            continue;
        }
        assert!(!makes, "{} makes a Permit", source.path);
    }
    let permit = fs::read_to_string(root().join("src/decide/permit.rs")).expect("it is there");
    let body = permit.split("pub struct Permit {").nth(1).expect("the type is there");
    let fields = body.split("\n}").next().expect("the type ends");
    for field in fields.lines().filter(|line| line.contains(':') && !line.contains("//")) {
        assert!(!field.trim_start().starts_with("pub "), "anyone could fill in `{}`", field.trim());
    }
}

#[test]
fn status_codes_for_clients_are_chosen_in_one_place() {
    // The admin API and the demo's backends are servers of their own; `account` enters in the log
    // what hyper answers for an exchange that panicked.
    let servers = ["admin", "demo"];
    let files = ["src/gateway/respond.rs", "src/gateway/account.rs"];
    let mut chosen = Vec::new();
    for source in sources() {
        if servers.contains(&source.module.as_str()) || files.contains(&source.path.as_str()) {
            continue;
        }
        for line in source.code.lines().filter(|line| line.contains("StatusCode::")) {
            // To compare what a backend or an issuer answered is to read a code, not to choose one.
            if !line.contains("== StatusCode::") && !line.contains("!= StatusCode::") {
                chosen.push(format!("{}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(chosen.is_empty(), "{chosen:#?}");
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files(&["src", "tests", "benches", "examples"]) {
        let name = path.rsplit('/').next().unwrap_or(&path);
        if NAMELESS.contains(&name) || name.ends_with("_main.rs") {
            wrong.push(format!("{path}: a name that says nothing"));
        }
        if text.lines().count() > LONGEST {
            wrong.push(format!("{path}: more than {LONGEST} lines"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{path}: no head that says what it is"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_test_is_switched_off_and_none_sleeps() {
    // Spelt in two parts, so that this file does not accuse itself.
    let words =
        [concat!("#[ign", "ore"), concat!("thread::sl", "eep"), concat!("time::sl", "eep(")];
    let mut found = Vec::new();
    for (path, text) in rust_files(&["tests"]) {
        for word in words {
            if text.contains(word) {
                found.push(format!("{path}: {word}"));
            }
        }
    }
    for source in sources() {
        for word in words {
            // What waits outside of tests (a retry, a timer) is not meant.
            if source.text.matches(word).count() > source.code.matches(word).count() {
                found.push(format!("{}: {word}", source.path));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_committed_names_a_machine_or_a_registry() {
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output();
    let tracked: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().map(|name| root().join(name)).collect()
        }
        // Not a clone: look at what a release archive would hold.
        _ => {
            let mut paths = Vec::new();
            for folder in ["src", "tests", "docs", "rules", "deploy", "scripts", "benches"] {
                files_under(&root().join(folder), &mut paths);
            }
            paths
        }
    };
    assert!(tracked.len() > 40, "the files were not found");
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/"),
        concat!("crates", ".io/"),
        concat!("index.crates", ".io"),
        concat!("pypi", ".org"),
        concat!("registry.np", "mjs"),
        concat!("deb.deb", "ian.org"),
    ];
    let mut found = Vec::new();
    for path in tracked {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        // The lock file names the index by design; test data of others is kept as it came.
        if name == "Cargo.lock" || name.starts_with("tests/data/") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in words {
            if text.contains(word) {
                found.push(format!("{name}: {word}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "use crate::terms::{A, B};\n// crate::cli\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\nfn f() { crate::gateway::g(); }\nuse crate::{action::X, keys};\n";
    let source = Source {
        path: "src/policy/plan.rs".to_owned(),
        module: "policy".to_owned(),
        code: code_of(text) + "use super::super::demo::Z;\nuse super::model::M;\n",
        text: String::new(),
    };
    let named: Vec<String> = named_modules(&source).into_iter().collect();
    assert_eq!(named, ["action", "demo", "gateway", "keys", "terms"]);
}
