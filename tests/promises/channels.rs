//! What the tools for rules say of links in heads and of names of members: `explain`, `diff`, `test`.

use std::path::Path;
use std::process::Command;

const HEAD: &str = include_str!("../cases/head.rules.yaml");
const NAMES: &str = include_str!("../cases/names.rules.yaml");

/// Exit code and both outputs of `tamis`.
fn tamis(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

fn explained(rules: &str, recipient: &str, purpose: &str, route: &str) -> String {
    let arguments =
        ["explain", "--rules", rules, "--to", recipient, "--for", purpose, "--route", route];
    let (code, text) = tamis(&arguments);
    assert_eq!(code, Some(0), "{text}");
    text.split('\n')
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

#[test]
fn explain_names_headers_and_names_with_what_becomes_of_them() {
    let head = "tests/cases/head.rules.yaml";
    for (recipient, purpose, route, line) in [
        (
            "dealer",
            "service",
            "GET /people/{id}",
            "header Location account.id person token within the link -",
        ),
        (
            "court",
            "service",
            "GET /people/{id}",
            "header Link account.id person remove within the link -",
        ),
        ("dealer", "service", "GET /people", "header Link - - keep within the link -"),
        (
            "bank",
            "share",
            "GET /people/{id}",
            "header Content-Location account.id person keep within the link -",
        ),
    ] {
        let text = explained(head, recipient, purpose, route);
        assert!(text.contains(line), "{line}\n{text}");
    }
    let names = "tests/cases/names.rules.yaml";
    let text = explained(names, "dealer", "service", "GET /accounts");
    assert!(text.contains("keys($.accounts) account.id person token as a member's name"), "{text}");
}

#[test]
fn what_a_header_must_wait_for_takes_the_value_out_of_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("rules.yaml");
    let path = file.to_str().expect("UTF-8");
    for (from, to, because) in [
        (
            "\nregisters:",
            "\nretention: [{category: account.id, after: 1y}]\nregisters:",
            "a period of 1y, and a header has no date",
        ),
        (
            "\nregisters:",
            "\nlimits: [{together_never: [account.id, identity.name]}]\nregisters:",
            "together or alone, and a header leaves before its company",
        ),
    ] {
        assert_eq!(HEAD.matches(from).count(), 1, "{from}");
        std::fs::write(&file, HEAD.replacen(from, to, 1)).expect("written");
        let text = explained(path, "desk", "service", "GET /people/{id}");
        let line = text.lines().find(|line| line.starts_with("header Location")).expect("a line");
        assert!(line.contains("remove within the link") && line.ends_with(because), "{line}");
    }
}

#[test]
fn diff_says_what_a_header_or_a_name_widens() {
    let folder = tempfile::tempdir().expect("a directory");
    let (old, new) = (folder.path().join("old.yaml"), folder.path().join("new.yaml"));
    let compare = |before: &str, from: &str, to: &str| {
        assert!(before.contains(from), "{from}");
        std::fs::write(&old, before).expect("written");
        std::fs::write(&new, before.replacen(from, to, 1)).expect("written");
        tamis(&["diff", old.to_str().expect("UTF-8"), new.to_str().expect("UTF-8")])
    };
    let headers = "Content-Location: [account.id, order.id], ";
    let (code, text) = compare(HEAD, headers, "");
    assert_eq!(code, Some(0), "{text}");
    let line = "narrowed  desk for service: GET /people/{id} header Content-Location (order.id): keep -> remove";
    assert!(text.contains(line), "{text}");
    let (code, text) =
        compare(HEAD, "Content-Location: [account.id, order.id]", "Content-Location: account.id");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Content-Location (order.id)"), "{text}");
    assert!(!text.contains("Content-Location (account.id)"), "{text}");
    let (code, text) = compare(
        HEAD,
        "fields: {\"$.id\": account.id}\n",
        "fields: {\"$.id\": account.id}\n    answer_headers: {Location: account.id}\n",
    );
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("widened   dealer for service: GET /silent/{id} header Location"),
        "{text}"
    );
    let (code, text) = compare(NAMES, "show: {account.id: token", "show: {account.id: keep");
    assert_eq!(code, Some(3), "{text}");
    let line = "widened   dealer for service: GET /accounts keys($.accounts): token -> keep";
    assert!(text.contains(line), "{text}");
}

#[test]
fn cases_play_heads_and_names() {
    let folder = tempfile::tempdir().expect("a directory");
    let cases = folder.path().join("cases.yaml");
    let play = |rules: &str, text: &str| {
        std::fs::write(&cases, text).expect("written");
        let path: &Path = &cases;
        tamis(&["test", rules, "--cases", path.to_str().expect("UTF-8")])
    };
    let made = r#"cases:
- case: What was made is told by token
  as: dealer
  ask: POST /people
  brings: '{"name":"Testina"}'
  backend_status: 201
  backend_headers: {location: /people/u1}
  backend: ''
  gets_exactly: ''
  status: 201
  answer_headers: {Location: /people/tk1_…}
- case: A redirect without its place is refused
  as: court
  ask: GET /people/u1
  backend_status: 303
  backend_headers: {location: /people/u1}
  backend: ''
  refused: unfilterable
- case: A redirect of a route that does not say where is refused, whatever else it says
  as: desk
  ask: GET /silent/u1
  backend_status: 303
  backend_headers: {location: /people/u1}
  backend: '{"id":"u1"}'
  refused: unfilterable
- case: A redirect leads on
  as: desk
  ask: GET /people/u1
  backend_status: 303
  backend_headers: {location: "http://people/people/u1"}
  backend: ''
  gets_exactly: ''
  status: 303
  answer_headers: {Location: "https://gateway.invalid/people/u1"}
- case: A page is told with its links
  as: dealer
  ask: GET /people
  backend: '{"people":[]}'
  backend_headers: {link: "</people?limit=2>; rel=next, <https://elsewhere.invalid/>; rel=up"}
  gets: '{"people":[]}'
  answer_headers: {Link: ["</people?limit=2>; rel=\"next\"", "</.well-known/privacy-policy>; rel=\"privacy-policy\""]}
"#;
    let (code, text) = play("tests/cases/head.rules.yaml", made);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) =
        play("tests/cases/head.rules.yaml", &made.replace("/people/tk1_…", "/people/u1"));
    assert_eq!(code, Some(1), "{text}");
    let names = r#"cases:
- case: A name is a pseudonym, and only of who agreed
  as: app
  ask: GET /accounts
  said: {u1: {consents: [{for: share, to: [app]}]}}
  backend: '{"accounts":{"u1":{"name":"Testina"},"u2":{"name":"Testino"}}}'
  gets_exactly: '{"accounts":{"ps1_sn4sjbw2cjraauheomvdpa2wcq":{"name":"Testina"}}}'
"#;
    let (code, text) = play("tests/cases/names.rules.yaml", names);
    assert_eq!(code, Some(0), "{text}");
}
