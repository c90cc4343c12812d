//! Bad rules and how their findings are drawn. The drawings are in one snapshot, so that a change
//! of words is read by a person.

use std::fmt::Write as _;

use tamis::policy::{Policy, Severity};

/// A small policy that loads; cases spoil it in one place.
pub(super) const SMALL: &str = r#"tamis: 1
policy:
  id: small
  title: A small policy
  source: {file: small.txt, revision: "2026-01-01"}
  controller: {name: Beispiel GmbH, seat: DE}
  default: remove
categories:
  account.id: {}
  contact.email: {}
purposes:
  service: {text: Provide the service, basis: contract}
recipients:
  desk: {role: internal, country: DE, authenticate: {mtls: "dns:desk.example.invalid"}, purposes: [service]}
routes:
  - match: GET /people/{id}
    upstream: people
    subjects: {person: "path:id"}
    fields: {"$.id": account.id, "$.email": contact.email}
release:
  - {to: [desk], for: [service], show: {account.id: keep, contact.email: mask last 4}}
"#;

/// What is spoilt: name, what stood there, what stands there instead.
const CASES: &[(&str, &str, &str)] = &[
    ("an undefined category", "\"$.email\": contact.email", "\"$.email\": contact.emial"),
    ("an undefined purpose", "for: [service]", "for: [servce]"),
    ("an undefined recipient", "to: [desk]", "to: [desc]"),
    ("a pattern that covers nothing", "contact.email: mask last 4", "contacts.*: mask last 4"),
    ("an unknown key", "upstream: people", "upstraem: people"),
    ("a duplicate key", "account.id: {}", "contact.email: {}"),
    ("an alias", "contact.email: {}", "contact.email: &x {}\n  contact.phone: *x"),
    ("a tag", "basis: contract", "basis: !basis contract"),
    ("a merge key", "contact.email: {}", "contact.email: {<<: {}}"),
    ("a second document", "tamis: 1", "tamis: 1\n---\ntamis: 1"),
    ("a key that is no single value", "account.id: {}", "? [account.id]\n  : {}"),
    ("no YAML", "default: remove", "default: [remove"),
    ("nothing where something is needed", "upstream: people", "upstream:"),
    ("a list where a word is needed", "upstream: people", "upstream: [people]"),
    ("another default", "default: remove", "default: keep"),
    ("another version", "tamis: 1", "tamis: 2"),
    (
        "consents from a broker",
        "release:",
        "registers:\n  consent: {from: {kafka: consents, snapshot: hourly}}\nrelease:",
    ),
    ("a missing section", "release:", "limits:"),
    ("an action that is none", "mask last 4", "mask lst 4"),
    ("a word that is none", "role: internal", "role: interal"),
    ("no selector", "\"$.email\"", "\"$.e mail\""),
    ("a selector of an element without a list", "\"$.email\"", "\"@.email\""),
    ("a list that is none", "upstream: people", "upstream: people\n    each: \"$.people\""),
    ("a parameter that the path has not", "path:id", "path:uid"),
    ("a path that is none", "GET /people/{id}", "GET people/{id}"),
    ("a method that is none", "GET /people/{id}", "FETCH /people/{id}"),
    (
        "two routes for the same requests",
        "release:",
        "  - {match: \"GET /people/{name}\", upstream: people}\nrelease:",
    ),
    ("nobody whose data these are", "    subjects: {person: \"path:id\"}\n", ""),
    (
        "several people and no word whose it is",
        "{person: \"path:id\"}",
        "{person: \"path:id\", friend: \"$.friend\"}",
    ),
    (
        "a field outside the list in which its person is named",
        "    subjects: {person: \"path:id\"}",
        "    each: \"$.people[*]\"\n    subjects: {person: \"@.id\"}",
    ),
    ("an age that nobody is known to have", "basis: contract", "basis: contract, min_age: 21"),
    ("no legal basis", ", basis: contract", ""),
    ("a processor without a contract", "role: internal", "role: processor"),
    ("an authority without orders", "role: internal", "role: authority"),
    ("a purpose that the recipient may not use", "purposes: [service]", "purposes: []"),
    ("consent without a register", "basis: contract", "basis: consent"),
    ("an unquoted date", "country: DE", "contract: {ref: C-1, until: 2027-12-31}"),
    ("a date that is none", "country: DE", "contract: {ref: C-1, until: \"2027-02-30\"}"),
    ("an unquoted NO", "seat: DE", "seat: NO"),
    ("a country that is none", "seat: DE", "seat: UK"),
    ("an API key written out", "mtls: \"dns:desk.example.invalid\"", "api_key: hunter2"),
    ("a name in no certificate", "dns:desk.example.invalid", "desk.example.invalid"),
    (
        "a mechanism that is void",
        "release:",
        "transfers:\n  region_of_subject: {from: [directory], unknown: EEA}\n  allowed_countries: [\"US\"]\n  table:\n    - {from: EEA, to: \"US\", by: privacy-shield}\n  otherwise: refuse\nrelease:",
    ),
    (
        "a register that cannot be read",
        "release:",
        "registers:\n  objection: {from: {file: objections.jsonl}}\nrelease:",
    ),
    (
        "a pseudonym that everybody can join",
        "show: {account.id: keep",
        "pseudonym_scope: global, show: {account.id: pseudonym",
    ),
    (
        "a small group",
        "release:",
        "  - match: GET /groups\n    upstream: people\n    aggregate: {k: 3, rows: \"$.groups[*]\", count: \"@.count\"}\nrelease:",
    ),
    (
        "a count of nothing",
        "upstream: people",
        "upstream: people\n    derive: {\"$.total\": count(each)}",
    ),
    ("metadata of a category", "contact.email: {}", "contact.email: {strip: [exif]}"),
    (
        "a picture that is a member elsewhere",
        "release:",
        "  - match: GET /photos/{id}\n    upstream: people\n    subjects: {person: \"path:id\"}\n    media: [image/jpeg]\n    body: contact.email\nrelease:",
    ),
    (
        "a period that the action says",
        "show: {account.id: keep",
        "pseudonym_scope: recipient+period, show: {account.id: pseudonym",
    ),
    (
        "a token that could not come back",
        "show: {account.id: keep",
        "pseudonym_scope: response, show: {account.id: token",
    ),
    ("a promise id that is none", "default: remove", "default: remove\n  keeps: [W14]"),
    ("a limit of no kind", "release:", "limits:\n  - {limt: contact.email, to: remove}\nrelease:"),
    ("somebody whom no body names", "\"path:id\"", "\"body:$.id\""),
    ("somebody whom a body names at several places", "\"path:id\"", "\"body:$.ids[*]\""),
    ("a masked name of a member", "\"$.email\"", "\"keys($.by_mail)\""),
    ("names of members behind a filter", "\"$.email\"", "\"keys($.by[?@.a])\""),
    (
        "a header in which no link stands",
        "upstream: people",
        "upstream: people\n    answer_headers: {Refresh: account.id}",
    ),
    (
        "a header of a list of people",
        "    subjects: {person: \"path:id\"}\n    fields: {\"$.id\"",
        "    each: \"$.all[*]\"\n    subjects: {person: \"@.id\"}\n    answer_headers: {Link: account.id}\n    fields: {\"@.id\"",
    ),
    ("somebody whom a header names that says nothing", "\"path:id\"", "\"header:Location\""),
    ("a name that cannot be logged", "  desk:", "  \"de sk\":"),
];

fn spoilt(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "the small policy has no `{from}`");
    SMALL.replacen(from, to, 1)
}

#[test]
fn the_small_policy_loads() {
    let policy = Policy::parse("small.yaml", SMALL).unwrap_or_else(|found| panic!("{found}"));
    assert!(policy.warnings.is_empty());
}

#[test]
fn bad_rules_are_rejected_with_place_and_help() {
    let mut drawn = String::new();
    for (name, from, to) in CASES {
        let Err(rejected) = Policy::parse("small.yaml", &spoilt(from, to)) else {
            panic!("accepted: {name}");
        };
        let _ = writeln!(drawn, "## {name}\n{rejected}");
    }
    insta::assert_snapshot!(drawn);
}

#[test]
fn digits_are_not_permuted_into_somebody_elses_real_ones() {
    let kinds = ["phone", "card", "iban", "email", "mailbox", "ip", "uuid", "text", "decimal"];
    for kind in kinds {
        let text = SMALL
            .replace("contact.email: {}", &format!("contact.email: {{type: {kind}}}"))
            .replace("mask last 4", "fpe");
        let refused = Policy::parse("small.yaml", &text)
            .is_err_and(|rejected| rejected.findings.iter().any(|finding| finding.code == "T401"));
        assert_eq!(refused, !matches!(kind, "text" | "decimal"), "{kind}");
    }
}

#[test]
fn every_error_of_a_file_is_reported_at_once() {
    let text = SMALL
        .replace("default: remove", "default: keep")
        .replace("basis: contract", "basis: habit")
        .replace("role: internal", "rolle: internal")
        .replace("\"$.email\"", "\"$.e mail\"")
        .replace("mask last 4", "mask most of it")
        .replace("to: [desk]", "to: [desk, dusk]");
    let rejected = Policy::parse("small.yaml", &text).expect_err("six mistakes");
    let errors: Vec<&str> = rejected
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.message.as_str())
        .collect();
    for expected in [
        "`keep` is not an accepted default",
        "`habit` is not a legal basis",
        "a recipient has no `role`",
        "unknown key `rolle` in a recipient",
        "selector `$.e mail`",
        "unknown action `mask most of it`",
        "undefined recipient `dusk`",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:#?}");
    }
}

/// What is covered for the country would be for everybody in it.
#[test]
fn a_region_is_not_called_like_a_country_that_it_is_not() {
    let rules = include_str!("../../cases/differences.rules.yaml");
    for (region, is_taken) in [("US: [US]", true), ("DE: [US]", false), ("DE: [DE, US]", false)] {
        let with = rules.replacen("regions: {", &format!("regions: {{{region}, "), 1);
        assert_ne!(with, rules);
        let taken = Policy::parse("regions.yaml", &with);
        assert_eq!(taken.is_ok(), is_taken, "{region}: {:?}", taken.err());
    }
}

#[test]
fn an_api_key_is_not_repeated() {
    let text = spoilt("mtls: \"dns:desk.example.invalid\"", "api_key: CANARY-KEY");
    let rejected = Policy::parse("small.yaml", &text).expect_err("a key is no reference");
    assert!(rejected.findings.iter().all(|finding| !finding.message.contains("CANARY-KEY")));
}

#[test]
fn no_text_makes_the_reader_fail_otherwise_than_by_a_finding() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for text in ["", "# nothing", "-", "{", "tamis: 1", "\u{0}", "a: b: c", "- - - -", &deep] {
        let rejected = Policy::parse("odd.yaml", text).expect_err("no rules at all");
        assert!(!rejected.findings.is_empty(), "{text:.20}");
    }
    for end in (0..SMALL.len()).step_by(7) {
        if let Err(rejected) = Policy::parse("cut.yaml", &SMALL[..end]) {
            assert!(rejected.to_string().contains("error[T"), "cut at {end}");
        }
    }
}

#[test]
fn a_region_must_be_somebody_s_and_somebody_must_look_at_it() {
    const TABLE: &str = "transfers: {region_of_subject: {from: [route.region], unknown: EEA}, allowed_countries: [EEA], table: [{from: EEA, to: EEA, by: same-region}], otherwise: refuse}\nrelease:";
    let with = |region: &str| {
        spoilt("    fields:", &format!("    region: {region}\n    fields:"))
            .replace("release:", TABLE)
    };
    let codes = |text: &str| match Policy::parse("small.yaml", text) {
        Ok(_) => Vec::new(),
        Err(found) => found.findings.iter().map(|one| one.code).collect(),
    };
    for (region, expected) in [
        ("\"$.country\"", &[][..]),
        ("{person: \"$.country\"}", &[]),
        ("{persn: \"$.country\"}", &["T101"]),
        ("\"$.homes[*].country\"", &["T103"]),
        ("\"$\"", &["T103"]),
        ("\"$..country\"", &["T103"]),
    ] {
        assert_eq!(codes(&with(region)), expected, "{region}");
    }
    let nobody_looks = with("\"$.country\"").replace("[route.region]", "[directory]");
    assert_eq!(codes(&nobody_looks), ["T101"]);
    let in_elements =
        with("\"@.country\"").replace("    subjects:", "    each: \"$.all[*]\"\n    subjects:");
    assert_eq!(codes(&in_elements), ["T106"], "who is named in the path is asked about before");
    let of_two = with("\"$.country\"").replace("{person:", "{other: \"$.other\", person:");
    assert!(codes(&of_two).contains(&"T106"));
}

#[test]
fn a_log_field_is_made_from_something_that_says_nothing_of_a_person() {
    let codes = |log: &str| {
        let text = format!("{SMALL}access_log: {{{log}}}\n");
        match Policy::parse("small.yaml", &text) {
            Ok(_) => Vec::new(),
            Err(found) => found.findings.iter().map(|one| one.code).collect::<Vec<_>>(),
        }
    };
    let visitor = |from: &str| {
        format!("fields: [visitor], visitor: {{from: [{from}], pseudonym: daily, key: access-log}}")
    };
    for (log, expected) in [
        (visitor("ip, user_agent, \"header:X-App\""), &[][..]),
        (visitor("\"header:Cookie\""), &["T102", "T101"]),
        (visitor("\"header:authorization\""), &["T102", "T101"]),
        (visitor("path"), &["T102", "T101"]),
        ("fields: [visitor]".to_owned(), &["T101"]),
        ("fields: [os, battery, device_model, device]".to_owned(), &["T101"; 4]),
        ("fields: [os], os: {from: \"header:x-os\"}".to_owned(), &[]),
        ("os: {from: ip}".to_owned(), &["T102"]),
        ("battery: {from: \"header:x-b\", to: generalise bucket 10}".to_owned(), &[]),
        ("battery: {from: \"header:x-b\", to: generalise bucket 1}".to_owned(), &["T102"]),
        ("battery: {from: \"header:x-b\", to: keep}".to_owned(), &["T102"]),
        ("device_model: {from: \"header:x-m\"}".to_owned(), &["T102"]),
        ("cold_after: {24h: {time: hour, agent: remove}}, delete_after: 30d".to_owned(), &[]),
        ("cold_after: {24h: {time: hour}, 48h: {time: day}}".to_owned(), &["T102"]),
        ("cold_after: {24h: {agent: hour}}".to_owned(), &["T102"]),
        ("cold_after: {24h: {query: remove}}".to_owned(), &["T102"]),
        ("cold_after: {soon: {time: hour}}".to_owned(), &["T102"]),
        ("cold_after: {20d: {time: hour}}, delete_after: 20d".to_owned(), &["T102"]),
    ] {
        let mut found = codes(&log);
        found.sort_by_key(|code| std::cmp::Reverse(*code));
        assert_eq!(found, expected, "{log}");
    }
}

#[test]
fn consent_to_a_cookie_is_consent_to_a_purpose_with_a_text() {
    let with = |cookie: &str, basis: &str| {
        let text = spoilt(
            "basis: contract}",
            &format!("basis: contract}}\n  cookies.analytics: {{text: Count, basis: {basis}}}"),
        );
        match Policy::parse("small.yaml", &format!("{text}cookies: {{a: {cookie}}}\n")) {
            Ok(policy) => Ok(policy.cookies["a"].consent.as_ref().map(ToString::to_string)),
            Err(found) => Err(found.findings.iter().map(|one| one.code).collect::<Vec<_>>()),
        }
    };
    let analytics = Some("cookies.analytics".to_owned());
    for (cookie, basis, expected) in [
        ("{class: essential}", "consent", Ok(None)),
        ("{class: analytics}", "consent", Ok(analytics.clone())),
        ("{class: analytics, consent: cookies.analytics}", "explicit-consent", Ok(analytics)),
        ("{class: advertising}", "consent", Err(vec!["T101"])),
        ("{class: analytics, consent: cookies.other}", "consent", Err(vec!["T101"])),
        ("{class: analytics}", "contract", Err(vec!["T301"])),
    ] {
        assert_eq!(with(cookie, basis), expected, "{cookie} {basis}");
    }
}

#[test]
fn a_picture_is_one_value_of_a_type_that_can_be_told_from_its_metadata() {
    let with = |keys: &str, subject: &str| {
        let route = format!(
            "  - match: GET /photos/{{id}}\n    upstream: people\n    subjects: {{person: {subject}}}\n{keys}release:"
        );
        let text = spoilt("release:", &route)
            .replacen("account.id: {}", "account.id: {}\n  content.photo: {}", 1)
            .replacen("show: {", "show: {content.photo: keep, ", 1);
        match Policy::parse("small.yaml", &text) {
            Ok(_) => Vec::new(),
            Err(found) => found.findings.iter().map(|one| one.code).collect::<Vec<_>>(),
        }
    };
    let (media, body) = ("    media: [image/png]\n", "    body: content.photo\n");
    let both = format!("{media}{body}");
    for (keys, subject, expected) in [
        (both.clone(), "\"header:x-owner\"", &[][..]),
        (both.clone(), "\"$.owner\"", &["T106"]),
        (media.to_owned(), "\"path:id\"", &["T104"]),
        (body.to_owned(), "\"path:id\"", &["T104"]),
        (format!("    media: [image/gif]\n{body}"), "\"path:id\"", &["T104"]),
        (format!("    media: [text/html]\n{body}"), "\"path:id\"", &["T104"]),
        (format!("{both}    open: [\"$.width\"]\n"), "\"path:id\"", &["T104"]),
        (format!("{media}    body: contact.photo\n"), "\"path:id\"", &["T101"]),
        (format!("{media}    body: contact.email\n"), "\"path:id\"", &["T104"]),
    ] {
        assert_eq!(with(&keys, subject), expected, "{keys}{subject}");
    }
}

#[test]
fn a_tunnel_has_no_body_and_names_everybody_before_it_opens() {
    let with = |keys: &str| {
        let (method, keys) = keys.split_once(' ').expect("a method and keys");
        let subject =
            if keys.contains("subjects") { "" } else { ", subjects: {person: \"path:id\"}" };
        let route = format!(
            "  - {{match: {method} /live/{{id}}, upstream: people{subject}{keys}}}\nrelease:"
        );
        let text = spoilt(
            "release:",
            &route.replacen("/{id}", "/{id}\"", 1).replacen("match: ", "match: \"", 1),
        );
        match Policy::parse("small.yaml", &text) {
            Ok(policy) => policy.warnings.iter().map(|one| one.code).collect::<Vec<_>>(),
            Err(found) => {
                let errors = found.findings.iter().filter(|one| one.severity == Severity::Error);
                errors.map(|one| one.code).collect()
            }
        }
    };
    let tunnel = ", tunnel: websocket, discloses: [account.id]";
    for (keys, expected) in [
        (format!("GET {tunnel}"), &["T213"][..]),
        (format!("GET {tunnel}, origins: [\"https://app.example.invalid\"]"), &["T213"]),
        (format!("GET {tunnel}, mode: observe"), &["T213"]),
        // The e-mail address is masked for everybody.
        (
            "GET , tunnel: websocket, discloses: [account.id, contact.email]".into(),
            &["T120", "T213"],
        ),
        ("GET , tunnel: websocket".into(), &["T104"]),
        ("GET , tunnel: websocket, discloses: []".into(), &["T104"]),
        ("GET , tunnel: connect, discloses: [account.id]".into(), &["T104"]),
        ("GET , tunnel: websoket, discloses: [account.id]".into(), &["T102"]),
        ("GET , tunnel: websocket, discloses: [account.ids]".into(), &["T101"]),
        ("GET , tunnel: websocket, disclose: [account.id]".into(), &["T104", "T102"]),
        ("GET , discloses: [account.id]".into(), &["T104"]),
        ("GET , origins: [\"https://app.example.invalid\"]".into(), &["T104"]),
        (format!("GET {tunnel}, origins: [\"app.example.invalid\"]"), &["T102"]),
        (format!("GET {tunnel}, origins: [\"*\"]"), &["T102"]),
        (format!("POST {tunnel}"), &["T104"]),
        (format!("GET {tunnel}, mode: shadow"), &["T104"]),
        (format!("GET {tunnel}, fields: {{\"$.id\": account.id}}"), &["T104"]),
        (format!("GET {tunnel}, open: [\"$.state\"]"), &["T104"]),
        (format!("GET {tunnel}, subjects: {{person: \"$.id\"}}"), &["T106"]),
        (format!("GET {tunnel}, subjects: {{person: \"header:x-owner\"}}"), &["T106"]),
        (format!("GET {tunnel}, subjects: {{}}"), &["T106"]),
    ] {
        assert_eq!(with(&keys), expected, "{keys}");
    }
}

#[test]
fn warnings_load_and_are_kept() {
    let cases = [
        ("T111", "account.id: {}", "account.id: {}\n  contact.phone: {}"),
        ("T110", "contact.email: mask last 4", "account.id: keep"),
        ("T121", "purposes: [service]", "purposes: [service, more]"),
        ("T205", "contact.email: {}", "contact.email: {sensitive: true}"),
        ("T211", "\"$.email\"", "\"$.*\""),
        ("T212", "\"$.email\": contact.email", "\"$.email\": {is: contact.email, subtree: true}"),
        ("T301", "basis: contract", "basis: legitimate-interests"),
        (
            "T310",
            "release:",
            "transfers: {region_of_subject: {from: [directory], unknown: EEA}, allowed_countries: [\"US\"], table: [], otherwise: refuse}\nrelease:",
        ),
    ];
    for (code, from, to) in cases {
        let text = spoilt(from, to)
            .replace("show: {account.id: keep, account.id: keep}", "show: {account.id: keep}")
            .replace("contact.email: mask last 4", "contact.email: keep")
            .replace("basis: contract}", "basis: contract}\n  more: {text: More, basis: contract}");
        let policy = Policy::parse("small.yaml", &text).unwrap_or_else(|found| panic!("{found}"));
        let codes: Vec<&str> = policy.warnings.iter().map(|one| one.code).collect();
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
}

#[test]
fn what_has_run_out_is_a_warning_of_the_day() {
    let policy = super::load("we-lock");
    let on = |day: &str| {
        let due = policy.due(day.parse().expect("a date"));
        due.iter().map(|one| format!("{} {}", one.code, one.message)).collect::<Vec<_>>()
    };
    assert_eq!(on("2026-06-01"), Vec::<String>::new());
    assert!(
        on("2026-12-15")
            .contains(&"T310 the transfer mechanism scc SCC-CN runs out on 2027-02-01".to_owned())
    );
    assert!(on("2027-02-02").contains(
        &"T120 the contract AFF-3 with `ads-affiliate` ran out on 2027-01-31".to_owned()
    ));
}
