//! The linter: every code of a finding has rules that raise it and a clean twin that does not, a row
//! in docs/RULES.md, and a place in the list of codes.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::date;
use serde_json::json;
use tamis::cases::pack::promises_of;
use tamis::config;
use tamis::policy::{CODES, Policy, Sources};
use tamis::reports::drift;

/// The clean twin of all cases.
const CLEAN: &str = include_str!("cases/clean.rules.yaml");

/// Where the rules are spoilt, and how.
const SPOILT: &[(&str, &str, &str)] = &[
    ("T101", "to: [desk], for: [service],", "to: [dsk], for: [service],"),
    ("T102", "basis: contract", "bases: contract"),
    ("T102", "  title: A clean policy", "  title: &name A clean policy"),
    ("T103", "[\"$.state\"]", "[\"$.state[-1]\"]"),
    ("T103", "[\"$.state\"]", "[\"$.state[\"]"),
    (
        "T103",
        "[\"$.state\"]",
        "[\"$.a[?@.a].x\", \"$.a[?@.b].x\", \"$.a[?@.c].x\", \"$.a[?@.d].x\", \"$.a[?@.e].x\", \
         \"$.a[?@.f].x\", \"$.a[?@.g].x\", \"$.a[?@.h].x\", \"$.a[?@.i].x\"]",
    ),
    ("T104", "match: GET /groups", "match: GET groups"),
    ("T105", "match: GET /groups", "match: GET /people/{name}"),
    ("T106", "    subjects: {person: \"path:id\"}\n", ""),
    ("T106", "    subjects: {person: \"path:id\"}\n", "    subjects: {}\n"),
    ("T107", "contact.email: keep", "contact.email: kep"),
    ("T108", "tamis: 1\n", "tamis: 1\ninclude: [routes.yaml]\n"),
    ("T110", ", identity.gender: keep}", "}"),
    ("T111", "  identity.gender: {}\n", "  identity.gender: {}\n  identity.nickname: {}\n"),
    ("T111", "    path: {id: account.id}\n", ""),
    ("T120", "  consent: {from: api}\n", "  objection: {from: api}\n"),
    ("T120", "contact.email: keep", "contact.email: own lines"),
    ("T121", "for: [service.news]", "for: [service]"),
    ("T122", "to: pseudonym monthly}", "to: keep}"),
    (
        "T122",
        "to: pseudonym monthly}",
        "to: pseudonym monthly}\n  - {limit: [account.id, contact.email], to: pseudonym daily}",
    ),
    (
        "T201",
        "limits:",
        "  - {to: [desk], for: [service], show: {contact.email: mask last 4}}\nlimits:",
    ),
    (
        "T204",
        "limits:",
        "  - {to: [desk], for: [service.news], show: {contact.email: pseudonym}}\nlimits:",
    ),
    ("T204", "limits:", "limits:\n  - {limit: contact.postal_code, to: pseudonym}"),
    ("T205", "  identity.gender: {}\n", "  identity.gender: {sensitive: true}\n"),
    ("T210", "$.state\"]", "$.state\", \"$.phoneNumber\"]"),
    ("T211", "{\"$.id\": account.id,", "{\"$.id\": account.id, \"$.*\": contact.email,"),
    ("T212", "[\"$.state\"]", "[\"$.state\", {subtree: \"$.meta\"}]"),
    (
        "T213",
        "release:",
        "  - match: GET /people/{id}/live\n    upstream: people\n    tunnel: websocket\n    \
         subjects: {person: \"path:id\"}\n    discloses: [contact.email]\nrelease:",
    ),
    // Of its categories one is a pseudonym for everybody.
    (
        "T120",
        "release:",
        "  - match: GET /people/{id}/live\n    upstream: people\n    tunnel: websocket\n    \
         subjects: {person: \"path:id\"}\n    discloses: [contact.email, account.id]\nrelease:",
    ),
    ("T220", "fields: {\"@.gender\"", "fields: {\"@.mail\": contact.email, \"@.gender\""),
    ("T220", "aggregate: {k: 20,", "aggregate: {k: 9,"),
    ("T230", "mail: contact.email", "zip: contact.postal_code"),
    ("T301", "{text: Provide the service, basis: contract}", "{text: Provide the service}"),
    ("T301", "basis: contract}", "basis: legitimate-interests}"),
    ("T302", "role: internal", "role: processor"),
    (
        "T310",
        "registers:\n",
        "transfers:\n  region_of_subject: {from: [directory], unknown: EEA}\n  \
         allowed_countries: [\"US\", EEA]\n  \
         table:\n    - {from: EEA, to: \"US\", by: privacy-shield}\n  otherwise: refuse\nregisters:\n",
    ),
    ("T320", "basis: consent}", "basis: consent}\n  service.news.draws: {text: Draw prizes}"),
    ("T320", "basis: consent}", "basis: consent, how: implied}"),
    ("T330", "delete_after: 30d", "delete_after: 90d"),
    ("T331", "limits:", "retention: [{category: identity.birth_date, after: 1y}]\nlimits:"),
    // The clean twin shows the desk a pseudonym, within a month.
    (
        "T340",
        "  consent: {from: api}\n",
        "  consent: {from: api}\n  erasure: {from: api, webhook: {desk: {url: \"https://desk.example/\", show: {contact.email: token}}}}\n",
    ),
    (
        "T340",
        "  consent: {from: api}\n",
        "  consent: {from: api}\n  erasure: {from: api, webhook: {desk: {url: \"https://desk.example/\", show: {account.id: pseudonym}}}}\n",
    ),
    (
        "T340",
        "  consent: {from: api}\n",
        "  consent: {from: api}\n  erasure: {from: api, webhook: {desk: {url: \"https://desk.example/\", show: {contact.email: mask last 4}}}}\n",
    ),
    (
        "T401",
        "show: {account.id: pseudonym,",
        "pseudonym_scope: global, show: {account.id: pseudonym,",
    ),
    (
        "T401",
        "show: {account.id: pseudonym,",
        "pseudonym_scope: recipient+period, show: {account.id: pseudonym,",
    ),
    (
        "T401",
        "show: {account.id: pseudonym,",
        "pseudonym_scope: case, show: {account.id: pseudonym,",
    ),
    (
        "T401",
        "show: {account.id: pseudonym,",
        "pseudonym_scope: response, show: {account.id: token,",
    ),
    (
        "T410",
        "{fields: [time, ip_prefix],",
        "{fields: [time, visitor], visitor: {from: [\"header:X-Account-Id\"], pseudonym: daily, \
         key: access-log},",
    ),
    ("T410", "  account.id: {}\n", "  account.id: {entropy: low}\n"),
];

/// Of these the clean twin names a law, which asks for more.
const BY_LAW: &[(&str, &str, &str)] = &[
    ("T420", "contact.postal_code: generalise prefix 2", "contact.postal_code: keep"),
    ("T420", "pseudonym yearly", "pseudonym"),
];

fn codes(rules: &str) -> Vec<&'static str> {
    let findings = match Policy::parse("rules.yaml", rules) {
        Ok(policy) => policy.warnings,
        Err(rejected) => rejected.findings,
    };
    findings.iter().map(|finding| finding.code).collect()
}

fn raises(twin: &str, (code, from, to): (&'static str, &str, &str)) -> Result<(), String> {
    assert!(twin.contains(from), "{from}");
    let (before, after) = (codes(twin), codes(&twin.replacen(from, to, 1)));
    let count = |codes: &[&str]| codes.iter().filter(|one| **one == code).count();
    if count(&after) > count(&before) { Ok(()) } else { Err(format!("{code} by {to}: {after:?}")) }
}

#[test]
fn each_code_has_rules_that_raise_it_and_a_clean_twin() {
    assert_eq!(codes(CLEAN), Vec::<&str>::new(), "the twin of all cases");
    let lawful = CLEAN.replace("  default: remove", "  profiles: [gdpr]\n  default: remove");
    assert_eq!(codes(&lawful), ["T330"], "five categories have no period");
    let plain = SPOILT.iter().map(|case| raises(CLEAN, *case));
    let lawful = BY_LAW.iter().map(|case| raises(&lawful, *case));
    let silent: Vec<String> = plain.chain(lawful).filter_map(Result::err).collect();
    assert!(silent.is_empty(), "{silent:#?}");

    let mut raised: BTreeSet<&str> = SPOILT.iter().chain(BY_LAW).map(|(code, ..)| *code).collect();
    raised.insert(promise_code());
    raised.insert(drift_code());
    let listed: BTreeSet<&str> = CODES.iter().map(|code| code.code).collect();
    assert_eq!(raised, listed, "a code without a case, or a case of a code that is not listed");
}

/// T501 is about two files.
fn promise_code() -> &'static str {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    let promises = "promises:\n  C-01: {line: 3, quote: we keep this, kind: full}\n";
    std::fs::write(folder.path().join("promises.yaml"), promises).expect("written");
    let named = CLEAN.replacen("  default: remove", "  default: remove\n  keeps: [C-01]", 1);
    let findings = |text: &str| {
        let policy = Policy::parse("rules.yaml", text).expect("it loads");
        promises_of(&rules).expect("read").findings("rules.yaml", &policy)
    };
    assert!(findings(&named).is_empty());
    findings(CLEAN).first().expect("a promise that no rule names").code
}

/// T601 is about a ledger.
fn drift_code() -> &'static str {
    let policy = Policy::parse("rules.yaml", CLEAN).expect("it loads");
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
    let found = |rules: &str, at: &str, purposes: &[&str], unlisted: u64| {
        let folder = tempfile::tempdir().expect("a folder");
        let disclosure = json!({"kind": "disclosure", "seq": 1, "at": at, "route": "GET /people/{id}",
            "policy": {"id": "clean", "rev": "2026", "digest": rules}, "recipient": "desk",
            "role": "internal", "purposes": purposes, "basis": [], "released": {}});
        let outcome = json!({"kind": "outcome", "seq": 2, "opening": 1, "complete": true,
            "bytes": 9, "unlisted": unlisted});
        let lines = format!("{disclosure}\n{outcome}\n");
        std::fs::write(folder.path().join("000001.jsonl"), lines).expect("written");
        let found = drift(&policy, folder.path(), 30, now).expect("readable");
        assert!(found.iter().all(|one| one.severity.as_str() == "note"), "it rejects nothing");
        found
    };
    let digest = policy.digest.to_string();
    let (recent, old) = ("2026-05-30T12:00:00.000Z", "2026-01-01T12:00:00.000Z");
    assert!(found(&digest, recent, &["service"], 0).is_empty(), "the clean twin");
    let other =
        tamis::policy::Policy::parse("rules.yaml", &format!("{CLEAN}\n")).expect("it loads");
    assert!(found(&other.digest.to_string(), recent, &["service"], 3).is_empty(), "other rules");
    let unused = found(&digest, old, &["service"], 3);
    assert_eq!(unused.len(), 2, "too long ago, so that two purposes are not used: {unused:?}");
    let unlisted = found(&digest, recent, &["service"], 3);
    assert_eq!(unlisted.len(), 1, "a ledger of two days does not tell what is not used");
    assert!(unlisted[0].message.starts_with("3 members"), "{unlisted:?}");
    unlisted[0].code
}

#[test]
fn what_ran_out_is_found_by_the_day() {
    let dated = CLEAN.replacen(
        "role: internal",
        "role: processor, contract: {ref: C-1, until: \"2027-06-30\"}",
        1,
    );
    let policy = Policy::parse("rules.yaml", &dated).expect("it loads");
    let found = |year, month| policy.due(date(year, month, 1)).len();
    assert_eq!([found(2027, 1), found(2027, 6), found(2027, 8)], [0, 1, 1]);
}

#[test]
fn the_rules_page_has_a_row_for_each_code_and_no_other() {
    let page = std::fs::read_to_string(root().join("docs/RULES.md")).expect("it is there");
    let (_, section) = page.split_once("## Findings").expect("a section");
    let section = section.split("\n## ").next().expect("there is one");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| T"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split_once(" |"))
        .flat_map(|(codes, _)| codes.split(", "))
        .map(|code| format!("T{}", code.trim_start_matches('T')))
        .collect();
    let listed: BTreeSet<String> = CODES.iter().map(|code| code.code.to_owned()).collect();
    assert_eq!(documented, listed);
}

#[test]
fn the_code_raises_nothing_that_is_not_listed() {
    let mut unlisted = Vec::new();
    for folder in ["src/policy", "src/cases", "src/config"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).expect("UTF-8");
            for (at, _) in text.match_indices("\"T") {
                let code: String = text[at + 1..].chars().take(4).collect();
                let is_code = code[1..].bytes().all(|byte| byte.is_ascii_digit())
                    && text[at + 5..].starts_with('"');
                if is_code && CODES.iter().all(|listed| listed.code != code) {
                    unlisted.push(format!("{}: {code}", file.display()));
                }
            }
        }
    }
    assert_eq!(unlisted, Vec::<String>::new());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The clean rules in two files: routes apart, for their owner.
fn split() -> (String, String) {
    let (head, rest) = CLEAN.split_once("routes:\n").expect("a section");
    let (routes, tail) = rest.split_once("release:\n").expect("a section");
    let first = format!("{head}include: [routes.yaml]\nrelease:\n{tail}");
    (first, format!("routes:\n{routes}"))
}

#[test]
fn rules_in_several_files_are_one_policy_and_each_finding_names_its_file() {
    let (first, routes) = split();
    let gather = |routes: &str| {
        Sources::gather("rules/r.yaml", &first, |path| {
            assert_eq!(path, "routes.yaml");
            Ok::<_, String>(routes.to_owned())
        })
    };
    let whole = Policy::parse("rules/r.yaml", CLEAN).expect("it loads");
    let policy = Policy::of(&gather(&routes)).expect("it loads");
    assert_eq!(policy.routes.len(), whole.routes.len());
    assert_ne!(policy.digest, whole.digest);
    let changed = routes.replace("$.state", "$.condition");
    assert_ne!(Policy::of(&gather(&changed)).expect("it loads").digest, policy.digest);

    let spoilt = routes.replace("upstream: people", "upsteam: people");
    let rejected = Policy::of(&gather(&spoilt)).expect_err("a misspelt key").to_string();
    assert!(rejected.contains("rules/routes.yaml:3:5"), "{rejected}");
    assert!(rejected.contains("upsteam: people"), "the line of that file: {rejected}");

    for (more, complaint) in [
        ("tamis: 1\n", "stands in the file that includes others"),
        ("include: [other.yaml]\n", "stands in the file that includes others"),
        ("access_log: {fields: [time]}\n", "this section stands in one file"),
        ("purposes:\n  service: {text: Again, basis: contract}\n", "stands at rules/r.yaml:"),
    ] {
        let rejected = Policy::of(&gather(&format!("{routes}{more}"))).expect_err(more);
        assert!(rejected.to_string().contains(complaint), "{more}: {rejected}");
    }
    let more = format!("{routes}purposes:\n  service.more: {{text: More, basis: contract}}\n");
    let policy = Policy::of(&gather(&more)).expect("names may be spread over files");
    assert!(policy.purposes.contains_key("service.more"));
}

#[test]
fn rules_are_read_with_what_they_include_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, routes) = split();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, first).expect("written");
    std::fs::write(folder.path().join("unread.yaml"), "purposes: {}").expect("written");
    let missing = Policy::of(&config::rules(&file).expect("read")).expect_err("no routes");
    assert!(missing.to_string().contains("error[T108]"), "{missing}");
    std::fs::write(folder.path().join("routes.yaml"), routes).expect("written");
    let sources = config::rules(&file).expect("read");
    assert_eq!(sources.files().count(), 2);
    assert!(Policy::of(&sources).is_ok());
}
