//! The dependency policy, held over what cargo really resolves: licences, crates that may never
//! come in, and exactly one provider of cryptography. `.deny.toml` says the same to cargo-deny.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than attribution.
const LICENCES: [&str; 14] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "CC0-1.0",
    "BSL-1.0",
    "0BSD",
    "Unlicense",
];

/// Crates that may never come in, and why.
const BANNED: [(&str, &str); 13] = [
    ("ring", "a second provider of cryptography makes rustls panic without an explicit choice"),
    ("openssl", "a second provider of cryptography"),
    ("openssl-sys", "a second provider of cryptography, and a system library"),
    ("native-tls", "a second TLS stack"),
    ("boring", "a second provider of cryptography"),
    ("rsa", "its timing leaks the key (RUSTSEC-2023-0071)"),
    ("serde_yaml", "archived"),
    ("serde_yml", "unsound (RUSTSEC-2025-0068)"),
    ("libyml", "unsound (RUSTSEC-2025-0067)"),
    ("serde_norway", "a fork without places in the text"),
    ("serde_yaml_ng", "a fork without places in the text"),
    ("rustls-pemfile", "rustls-pki-types does it"),
    ("cel", "brings an ANTLR run time whose type errors come too late"),
];

/// Crates that bring their own primitives for TLS, of which one is right.
const PROVIDERS: [&str; 5] = ["aws-lc-rs", "ring", "openssl", "boring", "rustls-rustcrypto"];

struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    source: Option<String>,
}

/// Every package that the gateway and its tests are built from, on this machine's target.
fn resolved() -> Vec<Package> {
    let metadata = metadata();
    let packages: BTreeMap<&str, &Value> = array(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> =
        array(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
    let mut reached = BTreeSet::new();
    let mut next = vec![text(&metadata["resolve"]["root"])];
    while let Some(id) = next.pop() {
        if !reached.insert(id) {
            continue;
        }
        let (node, package) = (nodes[id], packages[id]);
        for dependency in array(&node["deps"]) {
            let to = text(&dependency["pkg"]);
            if is_built(node, package, text(&packages[to]["name"])) {
                next.push(to);
            }
        }
    }
    reached.into_iter().map(|id| package(packages[id])).collect()
}

fn package(package: &Value) -> Package {
    Package {
        name: text(&package["name"]).to_owned(),
        version: text(&package["version"]).to_owned(),
        licence: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
    }
}

/// Whether `dependency` is really built. Cargo's graph also names optional crates that a weak
/// feature (`ring?/alloc`) mentions and no feature turns on.
fn is_built(node: &Value, package: &Value, dependency: &str) -> bool {
    let declared: Vec<&Value> = array(&package["dependencies"])
        .iter()
        .filter(|declared| text(&declared["name"]) == dependency)
        .collect();
    if declared.iter().any(|declared| declared["optional"] == false) {
        return true;
    }
    let names: Vec<&str> =
        declared.iter().map(|declared| declared["rename"].as_str().unwrap_or(dependency)).collect();
    let enabled: Vec<&str> = array(&node["features"]).iter().map(text).collect();
    enabled.iter().any(|feature| {
        let turns_on = package["features"][*feature].as_array();
        names.contains(feature)
            || turns_on.into_iter().flatten().map(text).any(|item| {
                let item = item.strip_prefix("dep:").unwrap_or(item);
                let crate_name = item.split('/').next().unwrap_or(item);
                names.contains(&crate_name)
            })
    })
}

fn metadata() -> Value {
    // The machine may have fetched crates of this target only, so ask for no other.
    let host = run("rustc", &["-vV"], "the compiler");
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("`rustc -vV` names the host");
    let asked = ["metadata", "--locked", "--format-version", "1", "--filter-platform", host];
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let offline = [&asked[..], &["--offline"]].concat();
    let output = try_run(&cargo, &offline).unwrap_or_else(|| run(&cargo, &asked, "cargo metadata"));
    serde_json::from_str(&output).expect("cargo prints JSON")
}

fn try_run(program: &str, arguments: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).args(arguments).current_dir(root).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(program: &str, arguments: &[&str], what: &str) -> String {
    try_run(program, arguments).unwrap_or_else(|| panic!("{what} must run for this test"))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata has a string here")
}

/// Whether an SPDX expression can be satisfied by the allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    // `/` is how old manifests write OR.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let spaced = spaced.replace("Apache-2.0 WITH LLVM-exception", "Apache-2.0+LLVM");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(rest: &mut &[&str]) -> bool {
    let mut allowed = all_of(rest);
    while let Some((&"OR", tail)) = rest.split_first() {
        *rest = tail;
        allowed |= all_of(rest);
    }
    allowed
}

fn all_of(rest: &mut &[&str]) -> bool {
    let mut allowed = one(rest);
    while let Some((&"AND", tail)) = rest.split_first() {
        *rest = tail;
        allowed &= one(rest);
    }
    allowed
}

fn one(rest: &mut &[&str]) -> bool {
    match rest.split_first() {
        Some((&"(", tail)) => {
            *rest = tail;
            let allowed = any_of(rest);
            match rest.split_first() {
                Some((&")", tail)) => *rest = tail,
                _ => return false,
            }
            allowed
        }
        Some((word, tail)) => {
            *rest = tail;
            LICENCES.contains(&word.replace("+LLVM", " WITH LLVM-exception").as_str())
        }
        None => false,
    }
}

#[test]
fn an_spdx_expression_is_allowed_only_if_it_can_be_met() {
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("(MIT OR GPL-2.0-only) AND Unicode-3.0", true),
        ("MIT AND (GPL-2.0-only OR AGPL-3.0-only)", false),
        ("MPL-2.0", false),
        ("", false),
        ("(MIT", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_asks_only_for_attribution() {
    let packages = resolved();
    assert!(packages.len() > 100, "the graph was not read: {} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package.licence.as_deref().is_some_and(is_allowed))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn no_banned_crate_is_built() {
    let packages = resolved();
    let found: Vec<String> = BANNED
        .iter()
        .filter(|(name, _)| packages.iter().any(|package| package.name == *name))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn there_is_exactly_one_provider_of_cryptography() {
    let packages = resolved();
    let providers: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .filter(|name| PROVIDERS.contains(name))
        .collect();
    assert_eq!(providers, ["aws-lc-rs"]);
}

#[test]
fn everything_comes_from_the_one_registry() {
    let packages = resolved();
    let elsewhere: Vec<&str> = packages
        .iter()
        .filter(|package| match &package.source {
            None => package.name != "tamis",
            Some(source) => !source.starts_with("registry+"),
        })
        .map(|package| package.name.as_str())
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn cargo_deny_is_told_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deny.toml");
    let deny = std::fs::read_to_string(path).expect(".deny.toml is there");
    for (name, _) in BANNED {
        assert!(deny.contains(&format!("crate = \"{name}\"")), "{name} is not denied");
    }
    for licence in LICENCES {
        assert!(deny.contains(&format!("\"{licence}\"")), "{licence} is not allowed");
    }
}
