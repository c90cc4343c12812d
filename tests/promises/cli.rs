//! The commands, seen from outside: help, exit codes, standard input and output.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `tamis` with these arguments and this standard input.
fn tamis(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that ends before it reads all is judged by its exit code.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const COMMANDS: [&str; 17] = [
    "run", "status", "demo", "check", "test", "coverage", "diff", "explain", "minimize", "rewrite",
    "consent", "keys", "ledger", "certs", "schema", "import", "report",
];

#[test]
fn every_command_explains_itself_with_an_example() {
    let listed = text(&tamis(&["--help"], "").stdout);
    for command in COMMANDS {
        assert!(listed.contains(&format!("\n  {command} ")), "{command} is not listed: {listed}");
        let output = tamis(&[command, "--help"], "");
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(help.contains(&format!("tamis {command}")), "{command} --help has no example");
        assert!(help.to_lowercase().contains("example"), "{command} --help has no example");
    }
}

#[test]
fn exit_codes_tell_usage_from_rejection() {
    let broken = tempfile::tempdir().expect("a folder");
    let rules = broken.path().join("rules.yaml");
    let settings = broken.path().join("tamis.yaml");
    std::fs::write(&rules, "tamis: 1\npolicy: {idd: x}\n").expect("writable");
    std::fs::write(&settings, "rulez: x\n").expect("writable");
    let (rules, settings) = (rules.display().to_string(), settings.display().to_string());
    let cases: [(&[&str], i32); 8] = [
        (&[], 2),
        (&["no-such-command"], 2),
        (&["rewrite", "--no-such-option"], 2),
        (&["check", "rules/letsmasak/rules.yaml"], 0),
        (&["check", "rules/webllet/rules.yaml"], 0),
        (&["check", "rules/we-lock/rules.yaml"], 0),
        (&["check", &rules], 64),
        (&["run", "--config", &settings], 64),
    ];
    for (arguments, expected) in cases {
        let output = tamis(arguments, "");
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{arguments:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

#[test]
fn rewrite_is_a_filter_on_standard_input() {
    let input = r#"{"a":1,"email":"testina@example.invalid","pan":"4111111111111111","n":1.10}"#;
    let output =
        tamis(&["rewrite", "--rule", "$.email=remove", "--rule", "$..pan=mask last 4"], input);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let value: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert!(value.get("email").is_none(), "{printed}");
    assert_eq!(value["pan"], "****1111");
    assert!(printed.contains("1.10"), "untouched bytes stay: {printed}");
}

#[test]
fn a_broken_document_is_no_success_and_is_not_repeated() {
    let canary = "canary-7f3a@example.invalid";
    let input = format!(r#"{{"email":"{canary}","a":[1,2"#);
    let output = tamis(&["rewrite", "--rule", "$.email=remove"], &input);
    assert_eq!(output.status.code(), Some(1));
    for shown in [text(&output.stdout), text(&output.stderr)] {
        assert!(!shown.contains(canary), "{shown}");
    }
}

#[test]
fn explain_names_the_action_and_the_rule_line_of_each_field() {
    let output = tamis(
        &[
            "explain",
            "--rules",
            "rules/letsmasak/rules.yaml",
            "--to",
            "courier",
            "--for",
            "service.delivery",
            "--route",
            "GET /v2/users/{user_id}",
        ],
        "",
    );
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let line = |selector: &str| {
        let found = printed.lines().find(|line| line.contains(selector));
        found.unwrap_or_else(|| panic!("{selector} is not explained: {printed}")).to_owned()
    };
    assert!(line("$.mailing_address").contains("keep"));
    assert!(line("$.mailing_address").contains("rules.yaml:"));
    assert!(line("$.email").contains("remove"));
}

#[test]
fn minimize_gives_what_the_recipient_would_get() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/letsmasak/rules.yaml");
    let user = r#"{"user_id":"u1","name":"Testina M","email":"t@example.invalid","telephone":"1","new":{"a":1}}"#;
    let as_courier = |route: &str, purpose: &str, body: &str| {
        let arguments = [
            "minimize",
            "--rules",
            rules,
            "--route",
            route,
            "--recipient",
            "courier",
            "--purpose",
            purpose,
        ];
        tamis(&arguments, body)
    };
    let output = as_courier("GET /v2/users/u1", "service.delivery", user);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), r#"{"name":"Testina M","telephone":"1"}"#);
    let cases = [
        ("GET /v2/users/u1", "personalise.ads", user, 1, "purpose-not-allowed"),
        ("GET /v2/nowhere", "service.delivery", user, 2, "no route"),
        ("GET /v2/users/u1", "service.delivery", r#"{"name":"#, 1, "incomplete"),
    ];
    for (route, purpose, body, code, words) in cases {
        let output = as_courier(route, purpose, body);
        assert_eq!(output.status.code(), Some(code), "{route} {purpose}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn keys_are_made_rotated_listed_and_retired_and_never_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let path = file.display().to_string();
    let mut said = String::new();
    let steps: [(&[&str], i32); 8] = [
        (&["keys", "new", &path], 0),
        (&["keys", "new", &path], 1),
        (&["keys", "rotate", &path], 0),
        (&["keys", "retire", &path, "--version", "2"], 1),
        (&["keys", "retire", &path, "--version", "1"], 0),
        (&["keys", "status", &path], 0),
        (&["keys", "status", &path, "--format", "json"], 0),
        (&["keys", "rotate", "no-such-file"], 1),
    ];
    for (arguments, code) in steps {
        let output = tamis(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {}", text(&output.stderr));
        said.push_str(&text(&output.stdout));
        said.push_str(&text(&output.stderr));
    }
    assert!(said.contains("version 1  retired on "), "{said}");
    let ring = std::fs::read_to_string(&file).expect("there");
    let key = ring.split_whitespace().find(|word| word.len() == 64).expect("a key");
    assert!(!said.contains(key) && !said.contains(&key[..8]), "{said}");
}

#[test]
fn minimize_takes_its_keys_from_the_environment_as_the_gateway_does() {
    let ring = "1: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let run = |ring: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args([
            "minimize",
            "--rules",
            "rules/webllet/rules.yaml",
            "--route",
            "GET /v1/tickets/t-1",
            "--recipient",
            "help-desk",
            "--purpose",
            "service.support",
        ]);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("TAMIS_KEY_RING");
        command.envs(ring.map(|ring| ("TAMIS_KEY_RING", ring)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        let _ = stdin.write_all(br#"{"customer_id":"c1"}"#);
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    };
    // T1 of the vectors.
    let token = "tk1_mgvzygkkmvsgjo4ywqtshzvvj2ooga2vshdvuprdnvb3u5s5xbma";
    let output = run(Some(ring));
    assert_eq!(text(&output.stdout), format!(r#"{{"customer_id":"{token}"}}"#));
    let output = run(None);
    let said = text(&output.stdout);
    assert!(said.contains("tk1_") && !said.contains(token), "{said}");
    assert_eq!(run(Some("1: abc")).status.code(), Some(1));
}

#[test]
fn minimize_opens_the_tokens_of_a_request_as_the_gateway_does() {
    let ring = "1: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let run = |recipient: &str, route: &str, body: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        let rules = ["minimize", "--rules", "tests/cases/links.rules.yaml"];
        command.args(rules).args(["--route", route, "--recipient", recipient]);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env("TAMIS_KEY_RING", ring);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        let _ = stdin.write_all(body.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    };
    let list = r#"{"people":[{"id":"42"}],"next":"/people?cursor=7"}"#;
    let page = run("dealer", "GET /people?limit=1", list);
    let page: serde_json::Value = serde_json::from_slice(&page.stdout).expect("JSON");
    let token = page["people"][0]["id"].as_str().expect("a token");
    let next = page["next"].as_str().expect("a link");
    let one = format!("GET /people/{token}");
    let found = run("dealer", &one, r#"{"name":"Testina"}"#);
    assert_eq!(text(&found.stdout), r#"{"name":"Testina"}"#, "{}", text(&found.stderr));
    assert_eq!(run("dealer", &format!("GET {next}"), list).status.code(), Some(0));
    // In another's hands, or changed, they open nothing; a filter by value is for who gets the value.
    let changed = format!("GET /people/{}", token.replace("tk1_", "tk1_a"));
    for (recipient, route, code, words) in [
        ("app", one.as_str(), 1, "not-found"),
        ("desk", &one, 1, "not-found"),
        ("dealer", &changed, 1, "not-found"),
        ("desk", &format!("GET {next}"), 2, "a cursor"),
        ("dealer", &format!("GET /people?filter[id]={token}"), 0, ""),
        ("dealer", "GET /people?filter[id]=42", 1, "query-on-withheld-field"),
        ("dealer", "GET /people?nothing=42", 1, "query-not-catalogued"),
        ("dealer", "GET /people/../42", 2, "would not understand"),
        ("dealer", "GET /nowhere/42", 2, "no route"),
    ] {
        let output = run(recipient, route, list);
        assert_eq!(output.status.code(), Some(code), "{route} {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{route} {}", text(&output.stderr));
    }
}
