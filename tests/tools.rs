//! The tools of whoever writes rules: the linter's codes, `test`, `coverage`, `diff`.

#[path = "tools/schema.rs"]
mod schema;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tamis::cases::coverage::State;
use tamis::cases::{Coverage, Pack};
use tamis::policy::Policy;

const POLICIES: [&str; 3] = ["letsmasak", "we-lock", "webllet"];

/// Rules without any finding; cases below spoil them in one place.
const CLEAN: &str = include_str!("cases/clean.rules.yaml");

fn codes(rules: &str) -> Vec<&'static str> {
    let findings = match Policy::parse("rules.yaml", rules) {
        Ok(policy) => policy.warnings,
        Err(rejected) => rejected.findings,
    };
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_period_without_a_date_is_found_and_so_is_a_date_that_is_none() {
    let dated = |start: &str| {
        let period = format!("retention: [{{category: identity.birth_date, after: 1y{start}}}]");
        codes(&CLEAN.replacen("limits:", &format!("{period}\nlimits:"), 1))
    };
    for (start, expected) in [
        ("", &["T331"][..]),
        (r#", start: "@.seen""#, &["T331"]),
        (r#", start: "@.state""#, &[]),
        (r#", start: "@.list[?@.a]""#, &["T103"]),
        (r#", start: "@.state", then: forget"#, &["T102"]),
    ] {
        assert_eq!(dated(start), expected, "{start}");
    }
}

#[test]
fn what_looks_personal_may_be_open_if_somebody_says_so() {
    let said = CLEAN.replacen("$.state\"]", "$.state\", {not_personal: \"$.phone\"}]", 1);
    assert_eq!(codes(&said), Vec::<&str>::new());
    let both =
        CLEAN.replacen("$.state\"]", "$.state\", {not_personal: \"$.a\", subtree: \"$.b\"}]", 1);
    assert!(codes(&both).contains(&"T102"));
}

fn pack(policy: &str) -> Pack {
    let file = format!("{}/rules/{policy}/rules.yaml", env!("CARGO_MANIFEST_DIR"));
    Pack::load(Path::new(&file), &[]).unwrap_or_else(|error| panic!("{policy}: {error}"))
}

#[test]
fn all_153_promises_are_accounted_for() {
    let mut promises = 0;
    for policy in POLICIES {
        let coverage = Coverage::of(&pack(policy));
        assert_eq!(coverage.complaints, Vec::<String>::new(), "{policy}");
        assert_eq!(coverage.count(State::Open), 0, "{policy}: {}", coverage.summary());
        assert!(!coverage.contradictions.is_empty(), "{policy} contradicts itself");
        promises += coverage.rows.len();
    }
    assert_eq!(promises, 153);
}

#[test]
fn the_known_contradictions_of_the_texts_are_shown() {
    let known: [(&str, &[&[&str]]); 3] = [
        ("letsmasak", &[&["L-28", "L-29", "L-30", "L-31"]]),
        ("we-lock", &[&["K-22", "K-23", "K-24"], &["K-45"], &["K-48"]]),
        ("webllet", &[&["W-14", "W-22"], &["W-51", "W-46", "W-47"], &["W-48"]]),
    ];
    for (policy, expected) in known {
        let contradictions = Coverage::of(&pack(policy)).contradictions;
        let between: Vec<&[String]> = contradictions.iter().map(|one| &*one.between).collect();
        assert_eq!(between, expected, "{policy}");
        let (_, text, _) = tamis(&["coverage", &format!("rules/{policy}/rules.yaml")]);
        for one in &contradictions {
            assert!(text.contains(&one.says) && text.contains(&one.meanwhile), "{policy}");
        }
    }
}

#[test]
fn coverage_is_a_page_that_loads_nothing_and_leaves_nothing_out() {
    let files = POLICIES.map(|policy| format!("rules/{policy}/rules.yaml"));
    let arguments = ["coverage", "--format", "html", &files[0], &files[1], &files[2]];
    let (code, page, _) = tamis(&arguments);
    assert_eq!(code, Some(0));
    for foreign in ["src=", "href=", "<script", "<link", "<img", "<iframe", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for policy in POLICIES {
        let coverage = Coverage::of(&pack(policy));
        assert!(page.contains(&coverage.digest), "{policy}");
        for row in &coverage.rows {
            assert!(page.contains(&format!("id=\"{}\"", row.id)), "{}", row.id);
            assert!(page.contains(&row.quote.replace('"', "&quot;")), "{}", row.id);
        }
    }
    // The rule beside its promise, and in the words of the file.
    assert!(page.contains("<pre>- match: GET /v2/users/{user_id}</pre>"), "where the rule begins");
    for (open, close) in [("<section", "</section>"), ("<ul>", "</ul>"), ("<div>", "</div>")] {
        assert_eq!(page.matches(open).count(), page.matches(close).count(), "{open}");
    }
}

#[test]
fn findings_are_told_in_sarif() {
    let folder = tempfile::tempdir().expect("a directory");
    let rules = folder.path().join("my rules.yaml");
    let spoilt = CLEAN.replacen("basis: consent}", "basis: consent, how: implied}", 1);
    std::fs::write(&rules, spoilt).expect("written");
    let file = rules.to_str().expect("UTF-8");
    let other = warned_of(folder.path());
    let (code, out, _) = tamis(&["check", "--format", "sarif", file, &other]);
    assert_eq!(code, Some(0), "warnings do not reject");
    let log: Value = serde_json::from_str(&out).expect("JSON");
    // What the schema of SARIF 2.1.0 requires: sarifLog, run, tool, toolComponent, result, message.
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "tamis");
    let listed = driver["rules"].as_array().expect("a list");
    let results = run["results"].as_array().expect("a list");
    let mut codes = Vec::new();
    for result in results {
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(["error", "warning", "note"].map(Value::from).contains(&result["level"]));
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(listed[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let region = &place["region"];
        assert!(
            region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1)
        );
        assert!(region["endColumn"].as_u64() > region["startColumn"].as_u64());
        codes.push((place["artifactLocation"]["uri"].clone(), result["ruleId"].clone()));
    }
    let uri = format!("file://{}", file.replace(' ', "%20"));
    assert!(codes.contains(&(uri.into(), "T320".into())), "{codes:?}");
    let other = format!("file://{}", other.replace(' ', "%20"));
    assert!(codes.contains(&(other.into(), "T331".into())), "{codes:?}");
}

/// Rules that load with a warning: a period, and no date from which it runs.
fn warned_of(folder: &Path) -> String {
    let file = folder.join("other.yaml");
    let period = "retention: [{category: identity.birth_date, after: 1y}]";
    let rules = CLEAN.replacen("limits:", &format!("{period}\nlimits:"), 1);
    std::fs::write(&file, rules).expect("written");
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn findings_are_shown_beside_their_lines_by_a_workflow() {
    let folder = tempfile::tempdir().expect("a directory");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, CLEAN.replacen("to: [desk]", "to: [dsk]", 1)).expect("written");
    let file = rules.to_str().expect("UTF-8");
    let other = warned_of(folder.path());
    let (code, out, _) = tamis(&["check", "--format", "github", file, &other]);
    assert_eq!(code, Some(64), "rejected as in any other format");
    let line = CLEAN.lines().position(|line| line.contains("to: [desk]")).expect("a grant") + 1;
    let begins = format!("::error file={file},line={line},col=");
    let found = out.lines().find(|line| line.starts_with(&begins)).expect("the error");
    assert!(
        found.contains(",title=T101::undefined recipient `dsk`%0Adid you mean `desk`?"),
        "{found}"
    );
    let warning = format!("::warning file={other},line=");
    let told = |line: &str| line.starts_with(&warning) && line.contains("title=T331");
    assert!(out.lines().any(told), "{out}");
}

#[test]
fn a_promise_that_no_case_shows_is_open() {
    let mut pack = pack("letsmasak");
    pack.cases.retain(|case| !case.keeps.contains(&"L-07".to_owned()));
    let without = Coverage::of(&pack);
    let open: Vec<&str> = without
        .rows
        .iter()
        .filter(|row| row.state == State::Open)
        .map(|row| row.id.as_str())
        .collect();
    assert_eq!(open, ["L-07"]);
    assert!(!without.is_whole());
}

#[test]
fn tests_that_prove_a_promise_are_there() {
    for policy in POLICIES {
        for (id, promise) in pack(policy).promises.promises {
            for test in promise.proven_by {
                let (file, name) = test.split_once("::").expect("a file and a test");
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                let text =
                    std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{id}: {file}"));
                assert!(text.contains(&format!("fn {name}()")), "{id}: {file} has no {name}");
            }
        }
    }
}

#[test]
fn a_budget_of_people_is_read_explained_and_compared() {
    const DESK: &str = "desk: {role: internal,";
    let with = |most: &str| CLEAN.replacen(DESK, &format!("{DESK} subjects_per_hour: {most},"), 1);
    for (most, expected) in [
        ("500", &[][..]),
        ("1", &[]),
        ("1000000", &[]),
        ("1000001", &["T102"]),
        ("0", &["T102"]),
        ("-1", &["T102"]),
        ("1.5", &["T102"]),
        ("many", &["T102"]),
        ("[1]", &["T102"]),
    ] {
        assert_eq!(codes(&with(most)), expected, "{most}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let [old, new] = ["old.yaml", "new.yaml"].map(|name| folder.path().join(name));
    let [old_name, new_name] = [&old, &new].map(|path| path.display().to_string());
    for (from, to, code, words) in [
        (CLEAN.to_owned(), with("500"), 0, "narrowed  recipient desk: different people an hour"),
        (with("500"), with("400"), 0, "narrowed  recipient desk: different people an hour"),
        (with("500"), with("501"), 3, "widened   recipient desk: different people an hour"),
        (with("500"), CLEAN.to_owned(), 3, "widened   recipient desk: different people an hour"),
    ] {
        std::fs::write(&old, from).expect("written");
        std::fs::write(&new, to).expect("written");
        let (found, out, err) = tamis(&["diff", &old_name, &new_name]);
        assert_eq!(found, Some(code), "{out}{err}");
        assert!(out.contains(words), "{words}: {out}");
    }
    let policy = Policy::parse("rules.yaml", &with("500")).expect("it loads");
    let route = policy.routes.iter().find(|route| !route.subjects.is_empty()).expect("one");
    std::fs::write(&new, with("500")).expect("written");
    let route = route.id.as_str();
    let asked =
        ["explain", "--rules", &new_name, "--to", "desk", "--for", "service", "--route", route];
    let (code, out, err) = tamis(&asked);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("desk may be told of 500 different people within an hour"), "{out}");
}

#[test]
fn a_tunnel_is_warned_about_explained_and_not_minimized() {
    let route = "GET /people/{id}/live";
    let text = CLEAN.replacen(
        "\nrelease:\n",
        &format!(
            "\n  - match: {route}\n    upstream: people\n    tunnel: websocket\n    \
             subjects: {{person: \"path:id\"}}\n    discloses: [contact.email]\nrelease:\n"
        ),
        1,
    );
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("rules.yaml").display().to_string();
    std::fs::write(&file, &text).expect("written");
    let (code, out, err) = tamis(&["check", &file]);
    assert_eq!(code, Some(0), "{err}");
    let said = format!("{out}{err}");
    assert!(
        said.contains("T213") && said.contains("nothing in this tunnel is minimized"),
        "{said}"
    );
    assert_eq!(tamis(&["check", "--strict", &file]).0, Some(64), "a warning rejects too");
    let explain = |purpose: &str| {
        let question = ["--to", "desk", "--for", purpose, "--route", route];
        tamis(&[&["explain", "--rules", &file], &question[..]].concat()).1
    };
    let opens = explain("service");
    assert!(opens.contains("nothing in it is minimized") && !opens.contains("anything else"));
    assert!(!opens.contains("not all that may be in it"), "{opens}");
    assert!(explain("service.news").contains("not all that may be in it is released as it is"));
    let minimize = ["minimize", "--rules", &file, "--recipient", "desk", "--purpose", "service"];
    let (code, _, err) = tamis(&[&minimize[..], &["--route", "GET /people/u1/live"]].concat());
    assert!(code == Some(2) && err.contains("in which nothing is minimized"), "{code:?} {err}");

    // A case is about who may open it; that a handshake is one is shown at the wire.
    let cases = folder.path().join("tunnel.yaml");
    let played = "cases:\n- {case: opens, as: desk, for: service, ask: GET /people/u1/live, \
                  status: 101, gets_exactly: '', backend: ''}\n- {case: is shut, as: desk, \
                  for: service.news, ask: GET /people/u1/live, refused: nothing-granted, backend: ''}\n";
    std::fs::write(&cases, played).expect("written");
    let cases = cases.display().to_string();
    let (code, out, err) = tamis(&["test", &file, "--cases", &cases]);
    assert_eq!(code, Some(0), "{out}{err}");
    std::fs::write(&cases, played.replace("status: 101", "status: 200")).expect("written");
    assert_eq!(tamis(&["test", &file, "--cases", &cases]).0, Some(1));
}

fn tamis(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env(
            "TAMIS_KEY_RING",
            "1: 5a0c8f3be1d2974660b8a7c1f2e3d4958697a8b9cadbecfd0e1f203142536475",
        )
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_packs_pass_and_a_wrong_expectation_fails_with_its_difference() {
    for policy in POLICIES {
        let file = format!("rules/{policy}/rules.yaml");
        let (code, out, err) = tamis(&["test", &file]);
        assert_eq!(code, Some(0), "{out}{err}");
        let (code, out, _) = tamis(&["coverage", &file]);
        assert_eq!(code, Some(0), "{out}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cases = folder.path().join("wrong.yaml");
    let wrong = "cases:\n- case: a <wrong> one\n  as: courier\n  for: service.delivery\n  \
                 ask: GET /v2/users/u-1\n  backend: '{\"name\": \"Testina\", \"email\": \"x\"}'\n  \
                 gets: '{\"name\": \"Somebody\"}'\n";
    std::fs::write(&cases, wrong).expect("written");
    let arguments =
        ["test", "rules/letsmasak/rules.yaml", "--cases", cases.to_str().expect("UTF-8")];
    let (code, out, _) = tamis(&arguments);
    assert_eq!(code, Some(1));
    assert!(out.contains("$.name: expected \"Somebody\", got \"Testina\""), "{out}");
    let (_, out, _) = tamis(&[&arguments[..], &["--format", "junit"]].concat());
    assert!(out.contains("a &lt;wrong&gt; one\"><failure>"), "{out}");
    let (_, out, _) = tamis(&[&arguments[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["packs"][0]["failed"], 1);
    std::fs::write(&cases, wrong.replace("gets:", "getz:")).expect("written");
    assert_eq!(tamis(&arguments).0, Some(64), "a misspelt key is no passing case");
}

/// What the gateway answers itself, and conditions, as `tests/promises/gateway` has them at the wire.
const SERVED: &str = r#"cases:
- {case: a body of a request, as: self, person: p-1, ask: POST /me/restriction, brings: '{"categories": ["contact.*"]}', gets: '{"answer_by": "2026-07-01", "in_force": true, "receipt": "rq_…", "received_at": "2026-06-01T12:00:00Z", "right": "restriction"}'}
- {case: a category of nobody's, as: self, person: p-1, ask: POST /me/restriction, brings: '{"categories": ["shoes.*"]}', refused: request-content, status: 422}
- {case: an encoded body, as: self, person: p-1, ask: POST /me/restriction, with: {content-encoding: gzip}, brings: '{}', refused: request-body, status: 413}
- {case: a body where none is taken, as: desk, ask: GET /people/u1, brings: '{}', refused: request-body, status: 413}
- {case: a condition that nothing meets, as: desk, ask: GET /people/u1, with: {if-match: '"a"'}, refused: request-malformed, status: 412}
- {case: a request to change it only if, as: self, person: p-1, ask: POST /me/restriction, with: {if-none-match: '*'}, refused: request-malformed, status: 412}
- {case: a click that is none, as: self, ask: POST /unsubscribe/tk1_x, refused: request-content, status: 422}
- {case: a click by nobody's token, as: self, ask: POST /unsubscribe/tk1_x, with: {content-type: application/x-www-form-urlencoded}, brings: List-Unsubscribe=One-Click, refused: not-found, status: 404}
"#;

#[test]
fn what_the_gateway_answers_itself_is_rehearsed_as_it_is_answered() {
    let folder = tempfile::tempdir().expect("a directory");
    let cases = folder.path().join("served.yaml");
    std::fs::write(&cases, SERVED).expect("written");
    let cases = cases.to_str().expect("UTF-8");
    let (code, out, err) = tamis(&["test", "tests/cases/rights.rules.yaml", "--cases", cases]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("8 passed, 0 failed"), "{out}");
}

#[test]
fn a_promise_that_no_rule_names_rejects_the_rules() {
    let folder = tempfile::tempdir().expect("a directory");
    let rules = folder.path().join("rules.yaml");
    let file = rules.to_str().expect("UTF-8");
    std::fs::write(&rules, CLEAN).expect("written");
    assert_eq!(tamis(&["check", "--strict", file]).0, Some(0));
    let promises = "promises:\n  C-01: {line: 3, quote: we keep this, kind: full}\n";
    std::fs::write(folder.path().join("promises.yaml"), promises).expect("written");
    let (code, out, _) = tamis(&["check", file]);
    assert_eq!(code, Some(64));
    assert!(out.contains("error[T501]: promise `C-01`"), "{out}");
    let waits = promises.replacen("kind: full", "kind: full, awaits: [x]", 1);
    std::fs::write(folder.path().join("promises.yaml"), waits).expect("written");
    let (code, _, err) = tamis(&["check", file]);
    assert_eq!(code, Some(64));
    assert!(err.contains("promises.yaml:2: ") && err.contains("awaits"), "{err}");
    std::fs::write(folder.path().join("promises.yaml"), promises).expect("written");
    let named = CLEAN.replacen("  default: remove", "  default: remove\n  keeps: [C-01]", 1);
    std::fs::write(&rules, named).expect("written");
    assert_eq!(tamis(&["check", file]).0, Some(0));
    std::fs::write(&rules, CLEAN.replacen("basis: consent}", "basis: consent, how: implied}", 1))
        .expect("written");
    std::fs::remove_file(folder.path().join("promises.yaml")).expect("removed");
    assert_eq!(tamis(&["check", file]).0, Some(0), "a warning stays a warning");
    assert_eq!(tamis(&["check", "--strict", file]).0, Some(64));
}

#[test]
fn a_difference_says_what_is_widened_and_asks_for_a_second_look() {
    let folder = tempfile::tempdir().expect("a directory");
    let (old, new) = (folder.path().join("old.yaml"), folder.path().join("new.yaml"));
    std::fs::write(&old, CLEAN).expect("written");
    let compare = |changed: &str| {
        std::fs::write(&new, changed).expect("written");
        tamis(&["diff", old.to_str().expect("UTF-8"), new.to_str().expect("UTF-8")])
    };
    let (code, out, err) = compare(CLEAN);
    assert_eq!((code, out.as_str()), (Some(0), "0 widened, 0 changed, 0 narrowed\n"), "{err}");
    let cases = [
        ("contact.email: mask last 4", "contact.email: keep", 3, "widened   desk for service.news"),
        (
            "contact.email: mask last 4",
            "contact.email: mask last 2",
            0,
            "narrowed  desk for service.news",
        ),
        (
            "contact.email: mask last 4",
            "contact.email: initials",
            3,
            "changed   desk for service.news",
        ),
        (
            "  - {limit: account.id, to: pseudonym monthly}",
            "  - {limit: account.id, to: pseudonym}",
            3,
            "widened   desk for service",
        ),
        ("basis: consent}", "basis: contract}", 3, "widened   purpose service.news: basis"),
        (
            "{text: Provide the service, basis: contract}",
            "{text: Provide the service, basis: contract, survives: [erasure]}",
            3,
            "widened   purpose service: stops at an erasure",
        ),
        (
            "[time, ip_prefix]",
            "[time, ip_prefix, agent]",
            3,
            "widened   fields of the access log: agent",
        ),
        ("[time, ip_prefix]", "[time]", 0, "narrowed  fields of the access log: ip_prefix"),
    ];
    for (from, to, code, words) in cases {
        assert!(CLEAN.contains(from), "{from}");
        let (found, out, err) = compare(&CLEAN.replacen(from, to, 1));
        assert_eq!(found, Some(code), "{to}: {out}{err}");
        assert!(out.contains(words), "{to}: {out}");
    }
}

#[test]
fn a_configuration_takes_its_keys_from_where_the_gateway_does() {
    // `demo` writes one; here the parts that `minimize` reads are enough.
    let folder = tempfile::tempdir().expect("a directory");
    let config = folder.path().join("tamis.yaml");
    let rules = format!("{}/rules/letsmasak/rules.yaml", env!("CARGO_MANIFEST_DIR"));
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tamis.yaml"))
            .expect("part of the repository");
    let written: String = text
        .lines()
        .map(|line| match line.split(':').next() {
            Some("rules") => format!("rules: {rules}\n"),
            Some("key_ring") => "key_ring: no-such-file\n".to_owned(),
            Some("registers") => "registers: registers.sqlite\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&config, written).expect("written");
    let arguments = [
        "minimize",
        "--config",
        config.to_str().expect("UTF-8"),
        "--route",
        "GET /v2/users/u-1",
        "--recipient",
        "mailer",
        "--purpose",
        "service.notices",
    ];
    let (_, _, err) = tamis(&arguments);
    // The empty input is no JSON; what matters is that it got so far without the file.
    assert!(err.contains("incomplete") || err.contains("not JSON"), "{err}");
}

#[test]
fn an_imported_catalogue_loads_opens_nothing_and_marks_every_guess() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("openapi.json");
    let document = serde_json::json!({
        "openapi": "3.1.0",
        "paths": {
            "/people/{id}": {
                "get": {"responses": {"200": {"content": {"application/json": {"schema":
                    {"$ref": "#/components/schemas/Person"}}}}}},
                "put": {"responses": {}},
            },
            "/bad/{id}.json": {"get": {"responses": {}}},
            "/text": {"get": {"responses": {"200": {"content": {"text/plain": {}}}}}},
        },
        "components": {"schemas": {"Person": {"type": "object", "properties": {
            "id": {"type": "string"},
            "e-mail": {"type": "string"},
            "friends": {"type": "array", "items": {"$ref": "#/components/schemas/Friend"}},
            "extra": {"type": "object"},
            "size": {"type": "integer"},
        }}, "Friend": {"allOf": [{"properties": {"nickname": {"type": "string"}}}]}}},
    });
    std::fs::write(&file, document.to_string()).expect("written");
    let path = file.to_str().expect("UTF-8");
    let (code, draft, err) = tamis(&["import", "openapi", path, "--upstream", "people"]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "      \"$.id\": account.id   # REVIEW",
        "      \"$[\\\"e-mail\\\"]\": contact.email   # REVIEW",
        "      \"$.friends[*].nickname\": identity.nickname   # REVIEW",
        "      \"$.size\": unreviewed.size   # REVIEW",
        "  # GET /bad/{id}.json: not routable as it is written",
    ] {
        assert!(draft.contains(line), "{line}\n{draft}");
    }
    assert!(!draft.contains("open:") && !draft.contains("extra"), "{draft}");
    let (head, rest) = CLEAN.split_once("categories:").expect("a section");
    let (_, rest) = rest.split_once("purposes:").expect("a section");
    let (middle, _) = rest.split_once("routes:").expect("a section");
    let release = "release:\n  - {to: [desk], for: [service], show: {account.id: keep}}\n";
    let whole = format!("{head}{draft}purposes:{middle}{release}");
    let registers = "registers: {consent: {from: api}}\n";
    let policy = Policy::parse("draft.yaml", &format!("{whole}{registers}"));
    assert_eq!(policy.unwrap_or_else(|found| panic!("{found}")).routes.len(), 1);

    std::fs::write(&file, "{\"swagger\": \"2.0\"}").expect("written");
    assert_eq!(tamis(&["import", "openapi", path]).0, Some(64));
}

#[test]
fn a_route_in_shadow_releases_nothing_for_every_tool_and_to_enforce_it_widens() {
    let folder = tempfile::tempdir().expect("a directory");
    let (shadow, enforced) = (folder.path().join("shadow.yaml"), folder.path().join("new.yaml"));
    let route = "  - match: GET /people/{id}\n";
    assert!(CLEAN.contains(route));
    let text = CLEAN.replacen(route, &format!("{route}    mode: shadow\n"), 1);
    std::fs::write(&shadow, text).expect("written");
    std::fs::write(&enforced, CLEAN).expect("written");
    let (shadow, enforced) = (shadow.to_str().expect("UTF-8"), enforced.to_str().expect("UTF-8"));

    let (code, out, _) = tamis(&["check", shadow]);
    assert_eq!(code, Some(0));
    assert!(out.contains("not in force: GET /people/{id} is in mode `shadow`"), "{out}");
    let (code, out, _) = tamis(&["diff", shadow, enforced]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("widened") && !out.contains("narrowed  desk"), "{out}");
    assert_eq!(tamis(&["diff", enforced, shadow]).0, Some(0), "the way back narrows");

    let question = ["--recipient", "desk", "--purpose", "service", "--route", "GET /people/{id}"];
    let explain = |file: &str| tamis(&[&["explain", "--rules", file], &question[..]].concat()).1;
    let why = "the route is in mode `shadow`: nothing leaves until it is enforced";
    assert!(explain(shadow).contains(why) && !explain(enforced).contains(why));
    // Before any field: who asks, what for in the words that people are shown, and how much leaves.
    for line in [
        "desk: internal, DE",
        "service: \u{201c}Provide the service\u{201d}",
        "Of 7 catalogued members 4 leave as they are, 3 changed; 0 are removed",
        "mail: finds people by contact.email: only for who gets it in clear",
    ] {
        assert!(explain(enforced).contains(line), "{line}\n{}", explain(enforced));
    }
}
