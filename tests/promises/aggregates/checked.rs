//! Single answers, and what each comes to.

use super::{RULES, answer, policy, policy_of};

const PLAIN: &str = "k: 10, round: 10, forbid: [contact.*]";

/// Rows of groups that differ in sex and app alone, with 5 views for each of their people.
fn rows(groups: &[(&str, &str, u64)]) -> String {
    let row = |(sex, app, count): &(&str, &str, u64)| {
        let views = count * 5;
        format!(
            r#"{{"sex":"{sex}","age":34,"job":"baker","app":"{app}","count":{count},"views":{views}}}"#
        )
    };
    groups.iter().map(row).collect::<Vec<_>>().join(",")
}

fn body(groups: &[(&str, &str, u64)]) -> String {
    format!(r#"{{"data":{{"groups":[{}]}}}}"#, rows(groups))
}

/// Sex, app and count of each row that left, in the order in which they did.
fn shown(settings: &str, body: &str) -> Vec<(String, String, u64)> {
    let text = answer(&policy(settings), "desk", "statistics", body).expect("an answer");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = document["data"]["groups"].as_array().expect("rows");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let count = |value: &serde_json::Value| value.as_u64().expect("a whole number");
    rows.iter().map(|row| (text(&row["sex"]), text(&row["app"]), count(&row["count"]))).collect()
}

fn check(settings: &str, groups: &[(&str, &str, u64)], expected: &[(&str, &str, u64)]) {
    let expected: Vec<_> =
        expected.iter().map(|(sex, app, n)| ((*sex).to_owned(), (*app).to_owned(), *n)).collect();
    assert_eq!(shown(settings, &body(groups)), expected, "{settings} {groups:?}");
}

#[test]
fn an_answer_is_written_anew_from_its_rows() {
    let sent = r#" {"period": "2026-Q1", "data": {"groups": [
        {"app":"x","views":104.5,"count":26,"age":36,"job":"nurse","sex":"m"},
        {"app":"x","views":1e2,"count":12,"age":30,"job":"welder","sex":"f"},
        {"app":"x","views":7,"count":13,"age":"30-39","job":"baker","sex":"f"}], "title": "By \u0061ge"}}"#;
    let got = answer(&policy(PLAIN), "desk", "statistics", sent);
    let expected = concat!(
        r#"{"data":{"groups":["#,
        r#"{"sex":"f","age":"30-39","job":"crafts","app":"x","count":20,"views":110},"#,
        r#"{"sex":"m","age":"30-39","job":"care","app":"x","count":30,"views":100}"#,
        r#"],"title":"By age"},"period":"2026-Q1"}"#
    );
    assert_eq!(got.as_deref(), Ok(expected));
}

#[test]
fn what_is_not_granted_is_added_up_and_a_pseudonym_is_no_part_of_a_key() {
    let sent = body(&[("f", "x", 6), ("f", "y", 7), ("m", "x", 9)]);
    let got = answer(&policy(PLAIN), "printer", "statistics", &sent);
    let expected = r#"{"data":{"groups":[{"sex":"f","count":10,"views":60}]}}"#;
    assert_eq!(got.as_deref(), Ok(expected));
}

#[test]
fn who_cannot_be_asked_is_not_counted_for_a_purpose_that_asks() {
    let sent = body(&[("f", "x", 60)]);
    assert_eq!(answer(&policy(PLAIN), "desk", "asked", &sent), Err("consent-missing"));
    assert_eq!(answer(&policy(PLAIN), "court", "statistics", &sent), Err("order-required"));
    let told = RULES
        .replace("AGGREGATE", PLAIN)
        .replace("registers:", "limits:\n  - {minors: drop, for: [statistics]}\nregisters:");
    let policy = std::sync::Arc::new(policy_of(&told));
    assert_eq!(answer(&policy, "desk", "statistics", &sent), Err("minor"));
}

#[test]
fn small_groups_are_hidden_and_numbers_rounded_to_the_even_step() {
    let sent = [("f", "a", 9), ("f", "b", 10), ("f", "c", 15), ("f", "d", 25), ("f", "e", 26)];
    check(PLAIN, &sent, &[("f", "b", 10), ("f", "c", 20), ("f", "d", 20), ("f", "e", 30)]);
    let exact = "k: 10, forbid: [contact.*]";
    check(exact, &sent, &[("f", "b", 10), ("f", "c", 15), ("f", "d", 25), ("f", "e", 26)]);
}

#[test]
fn rows_leave_in_the_order_of_their_keys() {
    check(PLAIN, &[("m", "a", 33), ("f", "z", 34)], &[("f", "z", 30), ("m", "a", 30)]);
}

#[test]
fn rare_values_become_other_where_enough_of_them_come_together() {
    let settings = "k: 10, rare: other, forbid: [contact.*]";
    // One rare value alone would be told by its name's absence.
    check(settings, &[("f", "a", 40), ("f", "b", 9)], &[("f", "a", 40)]);
    // Two of 9: the sum tells both.
    check(settings, &[("f", "a", 40), ("f", "b", 9), ("f", "c", 9)], &[("f", "a", 40)]);
    let sent = [("f", "a", 40), ("f", "b", 6), ("f", "c", 7)];
    check(settings, &sent, &[("f", "a", 40), ("f", "other", 13)]);
    // What is rare in all is rare in each row; what is not is hidden row by row.
    let sent = [("f", "a", 40), ("m", "a", 4), ("f", "b", 5), ("m", "b", 4), ("f", "c", 7)];
    check(settings, &sent, &[("f", "a", 40), ("f", "other", 12)]);
}

#[test]
fn a_total_leaves_only_while_it_does_not_tell_a_hidden_group() {
    let settings = "k: 10, all: ALL, forbid: [contact.*]";
    let (a, b, all) = (("f", "a", 40), ("f", "b", 30), ("f", "ALL", 70));
    check(settings, &[a, b, all], &[("f", "ALL", 70), a, b]);
    // One hidden group: the total tells it.
    check(settings, &[a, ("f", "b", 7), ("f", "ALL", 47)], &[a]);
    // Two, of which the sum leaves little open: at most 3 numbers for each.
    check(settings, &[a, ("f", "b", 9), ("f", "c", 8), ("f", "ALL", 57)], &[a]);
    // Two that stay open.
    let sent = [a, ("f", "b", 6), ("f", "c", 6), ("f", "ALL", 52)];
    check(settings, &sent, &[("f", "ALL", 52), a]);
    // Many that are one person each are told by their number.
    let names = ["b", "c", "d", "e", "g", "h", "i", "j", "k", "l"];
    let mut sent: Vec<_> = names.map(|app| ("f", app, 1)).to_vec();
    sent.extend([a, ("f", "ALL", 50)]);
    check(settings, &sent, &[a]);
    // A total of more than its groups tells of a group that is not in the table.
    check(settings, &[a, b, ("f", "ALL", 73)], &[a, b]);
    // A total that is itself a small group.
    check(settings, &[("f", "a", 4), ("f", "b", 5), ("f", "ALL", 9)], &[]);
}

#[test]
fn totals_that_overlap_are_not_subtracted_from_each_other() {
    let settings = "k: 10, all: ALL, forbid: [contact.*]";
    let groups = [("f", "a", 6), ("f", "b", 6), ("m", "a", 6), ("m", "b", 40)];
    let margins = [
        ("ALL", "ALL", 58),
        ("f", "ALL", 12),
        ("m", "ALL", 46),
        ("ALL", "a", 12),
        ("ALL", "b", 46),
    ];
    let sent = [&groups[..], &margins].concat();
    // All minus women is men, and men minus the one group that is shown is a group of six.
    check(settings, &sent, &[("ALL", "ALL", 58), ("m", "b", 40)]);
    // Without the total of all, the two that overlap: the first of them alone.
    let sent = [&groups[..], &margins[1..]].concat();
    check(settings, &sent, &[("ALL", "a", 12), ("m", "b", 40)]);
}

/// A total of fewer than k people once left its heap, and another one came in its place: that it did
/// told that the first was small, and of the group beneath both that it was.
#[test]
fn a_total_that_is_small_itself_makes_no_room_for_another() {
    let settings = "k: 10, all: ALL, forbid: [contact.*]";
    let groups = |other: u64| [("f", "a", 7), ("f", "b", 3), ("m", "a", other)];
    for other in [1, 5, 9] {
        let margins = [("ALL", "a", 7 + other), ("f", "ALL", 10)];
        let sent = [&groups(other)[..], &margins].concat();
        let expected: &[_] = if other == 5 { &[("ALL", "a", 12)] } else { &[] };
        check(settings, &sent, expected);
    }
}

#[test]
fn a_total_of_everybody_is_one_too() {
    let settings = r#"k: 10, totals: ["$.data.people"], forbid: [contact.*]"#;
    let people = |groups: &[(&str, &str, u64)], total: u64| {
        let sent = format!(r#"{{"data":{{"people":{total},"groups":[{}]}}}}"#, rows(groups));
        let text = answer(&policy(settings), "desk", "statistics", &sent).expect("an answer");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["data"].get("people").and_then(serde_json::Value::as_u64)
    };
    assert_eq!(people(&[("f", "a", 40), ("f", "b", 20)], 60), Some(60));
    assert_eq!(people(&[("f", "a", 40), ("f", "b", 9)], 49), None);
    assert_eq!(people(&[("f", "a", 40), ("f", "b", 20)], 61), None);
    assert_eq!(people(&[("f", "a", 6), ("f", "b", 6)], 12), Some(12));
}

#[test]
fn a_value_that_everybody_shares_is_told_of_nobody() {
    let settings = "k: 10, l: {group.app: 2}, all: ALL, forbid: [contact.*]";
    check(
        settings,
        &[("f", "a", 40), ("f", "b", 30), ("m", "a", 50)],
        &[("f", "a", 40), ("f", "b", 30)],
    );
    // What is hidden for its size is no second value.
    check(settings, &[("f", "a", 40), ("f", "b", 5)], &[]);
    // The total over the value tells nothing of it; a total of one value alone does.
    let sent = [("f", "a", 40), ("f", "b", 30), ("f", "ALL", 70), ("ALL", "a", 40)];
    check(settings, &sent, &[("f", "ALL", 70), ("f", "a", 40), ("f", "b", 30)]);
}

/// Of two members of one category the second once told of everybody what the first may not.
#[test]
fn every_member_of_a_category_is_bound_to_differ() {
    let settings = "k: 10, l: {group.app: 2}, forbid: [contact.*]";
    let rules = RULES
        .replace("AGGREGATE", settings)
        .replace(r#""@.app": group.app}"#, r#""@.app": group.app, "@.last": group.app}"#);
    let policy = std::sync::Arc::new(policy_of(&rules));
    let shown = |pairs: &[(&str, &str, &str)]| {
        let row = |(sex, app, last): &(&str, &str, &str)| {
            format!(
                r#"{{"sex":"{sex}","age":34,"job":"baker","app":"{app}","last":"{last}","count":40,"views":0}}"#
            )
        };
        let rows = pairs.iter().map(row).collect::<Vec<_>>().join(",");
        let sent = format!(r#"{{"data":{{"groups":[{rows}]}}}}"#);
        let text = answer(&policy, "desk", "statistics", &sent).expect("an answer");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["data"]["groups"].as_array().expect("rows").len()
    };
    // Everybody's app differs and everybody's last one is the same.
    assert_eq!(shown(&[("f", "a", "x"), ("f", "b", "x")]), 0);
    assert_eq!(shown(&[("f", "a", "x"), ("f", "a", "y")]), 0);
    let all = [("f", "a", "x"), ("f", "a", "y"), ("f", "b", "x"), ("f", "b", "y")];
    assert_eq!(shown(&all), 4);
    // Without one of the four, what is left of each row and column is one value.
    assert_eq!(shown(&all[..3]), 0);
}

#[test]
fn who_has_several_values_is_counted_once() {
    let settings = "k: 10, all: ALL, several: [group.app], forbid: [contact.*]";
    let sent = [("f", "a", 40), ("f", "b", 30), ("f", "ALL", 70)];
    check(settings, &sent, &[("f", "a", 40), ("f", "b", 30)]);
    // Six who use two apps are not twelve.
    let sent = body(&[("f", "a", 6), ("f", "b", 6), ("m", "a", 30)]);
    let got = answer(&policy(settings), "printer", "statistics", &sent);
    assert_eq!(got.as_deref(), Ok(r#"{"data":{"groups":[{"sex":"m","count":30,"views":150}]}}"#));
}

#[test]
fn a_total_over_what_does_not_leave_is_no_second_group() {
    let settings = "k: 10, all: ALL, forbid: [contact.*]";
    let sent = body(&[("f", "a", 20), ("f", "b", 20), ("f", "ALL", 40)]);
    let got = answer(&policy(settings), "printer", "statistics", &sent);
    assert_eq!(got.as_deref(), Ok(r#"{"data":{"groups":[{"sex":"f","count":40,"views":200}]}}"#));
}

#[test]
fn anything_unexpected_refuses_the_whole_answer() {
    let settings = r#"k: 10, round: 10, all: Whole, totals: ["$.people"], forbid: [contact.*]"#;
    let policy = policy(settings);
    let row = |row: &str| format!(r#"{{"data":{{"groups":[{row}]}}}}"#);
    let good = r#"{"sex":"f","age":34,"job":"baker","app":"x","count":60,"views":5}"#;
    let with = |from: &str, to: &str| row(&good.replace(from, to));
    let long = format!(r#""{}""#, "x".repeat(121));
    let many = vec![good; 5_001].join(",");
    let cases = [
        ("a member more", with(r#""sex""#, r#""name":"Testina Musterfrau","sex""#)),
        ("an id", with(r#""sex""#, r#""id":7,"sex""#)),
        ("a member beside", row(good).replacen('{', r#"{"by":"Testina Musterfrau","#, 1)),
        ("a list more", row(good).replacen('{', r#"{"people":[],"#, 1)),
        ("a number beside", row(good).replacen('{', r#"{"period":2026,"#, 1)),
        ("an address beside", row(good).replacen('{', r#"{"period":"t@example.invalid","#, 1)),
        ("a number beside, as a text", row(good).replacen('{', r#"{"period":"60","#, 1)),
        ("a number with its signs", row(good).replacen('{', r#"{"period":"~ 1,204.5 %","#, 1)),
        ("a number with an exponent", row(good).replacen('{', r#"{"period":" 6e1","#, 1)),
        ("other digits", row(good).replacen('{', r#"{"period":"\u0666\u0660","#, 1)),
        (
            "a long text beside",
            row(good).replacen('{', &format!("{{\"period\":\"{}\",", "x ".repeat(101)), 1),
        ),
        ("an object beside", row(good).replacen('{', r#"{"period":{"of":1},"#, 1)),
        ("a total that is a text", row(good).replacen('{', r#"{"people":"60","#, 1)),
        ("no list", r#"{"data":{"groups":{}}}"#.to_owned()),
        ("nothing", "{}".to_owned()),
        ("a list of lists", row("[]")),
        ("a row that is null", row("null")),
        ("another document", "[]".to_owned()),
        ("no count", with(r#""count":60,"#, "")),
        ("a count in words", with("60", r#""60""#)),
        ("a count with a part", with("60", "60.5")),
        ("a count below nothing", with("60", "-60")),
        ("a count with an exponent", with("60", "6e1")),
        ("a count beyond all people", with("60", "1000000000001")),
        ("no number", with(r#","views":5"#, "")),
        ("a number that is null", with(r#""views":5"#, r#""views":null"#)),
        ("a number that is a text", with(r#""views":5"#, r#""views":"5""#)),
        ("a number below nothing", with(r#""views":5"#, r#""views":-5"#)),
        ("a key with a part missing", with(r#""sex":"f","#, "")),
        ("a key with nothing in it", with(r#""f""#, "null")),
        ("a key that is an object", with(r#""f""#, r#"{"is":"f"}"#)),
        ("a key that its action does not fit", with("34", r#""young""#)),
        ("a long key", with(r#""f""#, &long)),
        ("a total that nobody declared", with(r#""f""#, r#""Total""#)),
        ("a total in other letters", with(r#""f""#, r#"" whole ""#)),
        ("a row twice", row(&[good, good].join(","))),
        ("a member twice", with(r#""sex":"f""#, r#""sex":"f","sex":"m""#)),
        ("an e-mail address", with(r#""f""#, r#""testina@example.invalid""#)),
        ("a phone number", with(r#""f""#, r#""+49 30 23125 001""#)),
        ("an IP address", with(r#""f""#, r#""203.0.113.7""#)),
        ("a link", with(r#""f""#, r#""https://example.invalid/u/7""#)),
        ("a place", with(r#""f""#, r#""52.5163, 13.3777""#)),
        ("a part of a place", with(r#""f""#, "52.5163")),
        ("too many rows", row(&many)),
    ];
    for (name, sent) in cases {
        let got = answer(&policy, "desk", "statistics", &sent);
        // Of a member twice nobody says what it is, so it is no JSON.
        let expected = if name == "a member twice" { "unfilterable" } else { "aggregate-guard" };
        assert_eq!(got, Err(expected), "{name}");
    }
    let large = format!("{}{}", row(good), " ".repeat(1 << 20));
    for sent in ["", "{", "{\"data\":", "\u{feff}{}", &large] {
        assert_eq!(answer(&policy, "desk", "statistics", sent), Err("unfilterable"));
    }
}

#[test]
fn rules_by_which_somebody_could_be_found_are_errors() {
    let found = |from: &str, to: &str| {
        let rules = RULES.replace("AGGREGATE", PLAIN);
        assert!(rules.contains(from), "{from}");
        let findings = match tamis::policy::Policy::parse("counts", &rules.replacen(from, to, 1)) {
            Ok(policy) => policy.warnings,
            Err(rejected) => rejected.findings,
        };
        findings.iter().filter(|finding| finding.code == "T220").count()
    };
    assert_eq!(found("tamis: 1", "tamis: 1"), 0);
    for (from, to) in [
        ("{k: 10,", "{k: 9,"),
        ("round: 10, ", ""),
        ("round: 10", "round: 1"),
        ("round: 10", "round: 11"),
        (", forbid: [contact.*]", ""),
        ("forbid: [contact.*]", "forbid: [group.age]"),
        ("forbid: [contact.*]", "forbid: [contact.*], l: {group.app: 1}"),
        ("forbid: [contact.*]", "forbid: [contact.*], l: {contact.email: 2}"),
        ("forbid: [contact.*]", "forbid: [contact.*], several: [contact.email]"),
        ("group.sex: {}", "group.sex: {type: ip}"),
        ("GET /groups", "GET /groups/{sex}"),
        ("    open: [", "    query: {sex: group.sex}\n    open: ["),
        ("    open: [", "    query: {page: open}\n    open: ["),
        ("\"@.sex\": group.sex", "\"@.count\": group.sex"),
        ("\"@.sex\": group.sex", "\"@.views\": group.sex"),
        ("\"@.sex\": group.sex", "\"@.who.sex\": group.sex"),
        ("\"@.sex\": group.sex", "\"$.sex\": group.sex"),
        ("\"@.views\"", "{subtree: \"@.views\"}"),
    ] {
        assert!(found(from, to) > 0, "{to}");
    }
}

/// What was no prefix and no grid passed once, whatever it showed: the last four signs of a postal code,
/// the first word of an address, steps of ten.
#[test]
fn whatever_may_show_a_place_finer_than_a_city_is_an_error() {
    let found = |name: &str, action: &str| {
        let rules = RULES
            .replace("AGGREGATE", PLAIN)
            .replace("group.app: keep", &format!("group.app: {action}"))
            .replace("group.app", &format!("group.{name}"));
        let findings = match tamis::policy::Policy::parse("counts", &rules) {
            Ok(policy) => policy.warnings,
            Err(rejected) => rejected.findings,
        };
        findings.iter().any(|finding| finding.message.contains("a place finer than a city"))
    };
    for (action, in_codes, in_degrees) in [
        ("keep", true, true),
        ("generalise prefix 2", false, false),
        ("generalise prefix 4", true, true),
        ("mask first 2", false, false),
        ("mask first 4", true, true),
        ("mask last 4", true, true),
        ("mask bin+last4", true, true),
        ("first-word", true, true),
        ("path-template", true, true),
        ("generalise bucket 10", true, true),
        ("round 10", true, true),
        ("generalise 0.1 deg", true, false),
        ("generalise 0.01 deg", true, true),
        ("generalise group", false, false),
        ("mask length", false, false),
        ("redact", false, false),
        ("pseudonym", false, false),
        ("remove", false, false),
    ] {
        for name in ["postal_code", "plz", "street_address"] {
            assert_eq!(found(name, action), in_codes, "{name}: {action}");
        }
        for name in ["lat", "geohash", "coordinates"] {
            assert_eq!(found(name, action), in_degrees, "{name}: {action}");
        }
        assert!(!found("colour", action), "{action}");
    }
}

#[test]
fn one_recipient_is_warned_of_with_two_keys() {
    let warned = |grant: &str| {
        let more =
            "  more: {text: More, basis: legitimate-interests, balancing: LIA-2}\n  asked: {";
        let rules = RULES
            .replace("AGGREGATE", PLAIN)
            .replacen("  asked: {", more, 1)
            .replacen("purposes: [statistics]}", "purposes: [statistics, more]}", 1)
            .replacen(
                "release:\n",
                &format!("release:\n  - {{to: [printer], for: [more], {grant}}}\n"),
                1,
            );
        policy_of(&rules).warnings.iter().any(|finding| finding.code == "T220")
    };
    assert!(!warned("show: {group.sex: keep}"), "the same key");
    assert!(
        !warned("show: {group.sex: keep, group.age: blank, group.job: remove}"),
        "the same key"
    );
    assert!(warned("show: {group.sex: keep, group.app: keep}"));
    // What needs somebody's consent is left out of the key: that is another one.
    assert!(warned("needs: [consent], show: {group.sex: keep}"));
}

#[test]
fn a_period_and_a_title_stand_beside_the_rows() {
    let title = "x ".repeat(100);
    for beside in ["2026-Q1", "2026-01-31", "Week 5 of 2026", "v2", "", "-", &title] {
        let sent = format!(r#"{{"period":"{beside}","data":{{"groups":[]}}}}"#);
        let got = answer(&policy(PLAIN), "desk", "statistics", &sent);
        let expected = format!(r#"{{"data":{{"groups":[]}},"period":"{beside}"}}"#);
        assert_eq!(got, Ok(expected));
    }
}

#[test]
fn values_that_are_no_place_and_no_number_of_a_person_pass() {
    for value in [r#""30-39""#, r#""2026-Q1""#, r#""50***""#, "true", "7", "52.5", r#""v2.1""#] {
        let sent = format!(
            r#"{{"data":{{"groups":[{{"sex":{value},"age":34,"job":"baker","app":"x","count":60,"views":5}}]}}}}"#
        );
        let got = answer(&policy(PLAIN), "desk", "statistics", &sent);
        let expected = format!(
            r#"{{"data":{{"groups":[{{"sex":{value},"age":"30-39","job":"crafts","app":"x","count":60,"views":0}}]}}}}"#
        );
        assert_eq!(got, Ok(expected));
    }
}
