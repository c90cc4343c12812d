//! Names of members that say something about a person: they leave as the rules say or their members
//! stay behind, however the input is cut and however the names are written.

use tamis::minimize::{Question, Verdict};
use tamis::policy::automaton::{Automaton, CellId, CompileError, Mark, Unlisted};
use tamis::policy::path::Selector;
use tamis::terms::RefusalReason;

use crate::engine::{Engine, RuleText, pseudonym, release, spelled, treatment};

/// What leaves, at every split; `{x}` in the expectation stands for the pseudonym of x.
fn check(rules: &[RuleText<'_>], input: &str, expected: &str) -> u64 {
    let engine = Engine::new(rules, Unlisted::Remove);
    let outcome = engine.everywhere(input.as_bytes(), release).expect(input);
    assert_eq!(outcome.text, in_clear(expected), "{rules:?} over {input}");
    outcome.tally.blanked
}

fn in_clear(expected: &str) -> String {
    let mut parts = expected.split("<<");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(">>").expect("closed");
        text += &pseudonym(name);
        text += rest;
    }
    text
}

const NAMES: &[RuleText<'_>] =
    &[("$.of[*]", "name pseudonym"), ("$.of.*.plan", "keep"), ("$.of.*.n", "keep")];

#[test]
fn a_name_is_what_the_recipient_gets_of_the_value_elsewhere() {
    for (input, expected) in [
        (r#"{"of":{"c1":{"plan":"x"}}}"#, r#"{"of":{"<<c1>>":{"plan":"x"}}}"#),
        (
            r#"{"of":{"c1":{"plan":"x"},"c2":{"n":[1,2],"z":0}},"z":1}"#,
            r#"{"of":{"<<c1>>":{"plan":"x"},"<<c2>>":{"n":[1,2]}}}"#,
        ),
        // White space stays where it stood, whatever leaves before it.
        (
            "{ \"of\" : {\n \"c1\" : 7 ,\n \"c2\" : { \"plan\" : 1 } ,\n \"c3\" : { } } }",
            "{ \"of\" : {\n \"<<c2>>\" : { \"plan\" : 1 } ,\n \"<<c3>>\" : { } } }",
        ),
        // A name is one, however it is written, and twice is twice.
        (
            r#"{"of":{"c\u0031":{},"\u0063\u0031":{},"c1":{}}}"#,
            r#"{"of":{"<<c1>>":{},"<<c1>>":{},"<<c1>>":{}}}"#,
        ),
        (r#"{"of":{"a\"b\\":{"n":1}}}"#, r#"{"of":{"<<a"b\>>":{"n":1}}}"#),
        (r#"{"of":{"größe":{"n":1}}}"#, r#"{"of":{"<<größe>>":{"n":1}}}"#),
        (r#"{"of":{}}"#, r#"{"of":{}}"#),
    ] {
        assert_eq!(check(NAMES, input, expected), 0, "{input}");
    }
}

#[test]
fn a_member_leaves_with_a_name_that_may_or_not_at_all() {
    let rules = |action| [("$.of[*]", action), ("$.of.*", "keep"), ("$.more", "keep")];
    let input = r#"{"of":{"c1":"x","c2":{"a":1},"c3":[1,{}]},"more":1}"#;
    assert_eq!(check(&rules("name keep"), input, r#"{"of":{"c1":"x","c3":[1]},"more":1}"#), 0);
    let renamed = r#"{"of":{"<<c1>>":"x","<<c3>>":[1]},"more":1}"#;
    assert_eq!(check(&rules("name pseudonym"), input, renamed), 0);
    assert_eq!(check(&rules("name remove"), input, r#"{"of":{},"more":1}"#), 0);
    // What is masked, or blank, names nobody or several.
    for action in ["name mask last 4", "name redact", "name blank", "name generalise year"] {
        assert_eq!(check(&rules(action), input, r#"{"of":{},"more":1}"#), 2, "{action}");
    }
    // Two rules for one name: the stricter.
    let both = [("$.of[*]", "name keep"), ("$.of[*]", "name pseudonym"), ("$.of.*", "keep")];
    check(&both, r#"{"of":{"c1":1}}"#, r#"{"of":{"<<c1>>":1}}"#);
    let both = [("$.of[*]", "name mask last 4"), ("$.of[*]", "name pseudonym"), ("$.of.*", "keep")];
    assert_eq!(check(&both, r#"{"of":{"c1":1}}"#, r#"{"of":{}}"#), 1);
    // An element of an array has no name.
    assert_eq!(check(&rules("name pseudonym"), r#"{"of":["c1","c2"]}"#, r#"{"of":[]}"#), 2);
}

#[test]
fn names_within_what_leaves_whole_are_names_all_the_same() {
    let rules = [("$.meta", "subtree keep"), ("$.meta.by[*]", "name pseudonym")];
    check(
        &rules,
        r#"{"meta":{"a":{"c1":1},"by":{"c1":{"a":[{"c1":2}]},"c2":null},"c1":3}}"#,
        r#"{"meta":{"a":{"c1":1},"by":{"<<c1>>":{"a":[{"c1":2}]},"<<c2>>":null},"c1":3}}"#,
    );
    let deep = [("$..by[*]", "name pseudonym"), ("$..n", "keep")];
    check(
        &deep,
        r#"{"by":{"c1":{"by":{"c2":{"n":1}},"n":2}},"x":[{"by":{"c3":{"n":3}}}]}"#,
        r#"{"by":{"<<c1>>":{"by":{"<<c2>>":{"n":1}},"n":2}},"x":[{"by":{"<<c3>>":{"n":3}}}]}"#,
    );
}

#[test]
fn a_name_before_a_long_value_is_decided_before_its_end() {
    let long = "x".repeat(9000);
    let rules = [("$.of[*]", "name pseudonym"), ("$.of.*", "keep")];
    let engine = Engine::new(&rules, Unlisted::Remove);
    let input = format!(r#"{{"of":{{"c1":"{long}","c2":"{long}"}}}}"#);
    let expected = in_clear(&format!(r#"{{"of":{{"<<c1>>":"{long}","<<c2>>":"{long}"}}}}"#));
    for piece in [1, 7, 64, 1000, 4096] {
        let outcome = engine.run(input.as_bytes().chunks(piece), release).expect("JSON");
        assert_eq!(outcome.text, expected, "pieces of {piece}");
    }
}

/// People by name, each asked about.
const PEOPLE: &[RuleText<'_>] = &[
    ("$.people[*]", "each"),
    ("$.people[*]", "named 0"),
    ("$.people[*]", "name pseudonym"),
    ("@.name", "keep"),
    ("$.total", "count keep"),
];

/// Of those whose id is even their name is kept; u3 is dropped; the id of others leaves as it is.
fn by_id(question: &Question, engine: &Engine) -> Verdict {
    match spelled(question).rsplit('=').next() {
        Some("u3") => Verdict::Drop(RefusalReason::ConsentMissing),
        Some("u2" | "u4") => Verdict::Release(engine.treatments.clone()),
        // Other treatments than those they were walked with.
        Some("u5") => Verdict::Release(["remove", "keep", "keep"].map(treatment).into()),
        Some("u6") => Verdict::Release(["pseudonym", "redact", "keep"].map(treatment).into()),
        Some("u7") => Verdict::Release(["redact", "keep", "keep"].map(treatment).into()),
        Some("u8") => Verdict::Release(["keep", "keep", "keep"].map(treatment).into()),
        _ => Verdict::Drop(RefusalReason::NotFound),
    }
}

#[test]
fn whose_an_element_is_may_be_its_name_and_is_asked_for_each() {
    let input = r#"{"people":{"u1":{"name":"A"},"u2":{"name":"B"},"u3":{"name":"C"},
        "u4":{"name":"D","z":1} , "u5":{"name":"E"},"u6":{"name":"F"},"u7":{"name":"G"},
        "u8":{"name":"H"},"\u0075\u0032":{"name":"I"}},"total":9}"#;
    let expected = r#"{"people":{"<<u2>>":{"name":"B"},
        "<<u4>>":{"name":"D"} ,"<<u6>>":{"name":"****"},
        "u8":{"name":"H"},"<<u2>>":{"name":"I"}},"total":5}"#;
    let engine = Engine::new(PEOPLE, Unlisted::Remove);
    let outcome = engine.everywhere(input.as_bytes(), by_id).expect("JSON");
    assert_eq!(outcome.text, in_clear(expected));
    let asked: Vec<&str> =
        outcome.questions.iter().filter_map(|one| one.rsplit('=').next()).collect();
    assert_eq!(asked, ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u2"]);
    // In an array nobody is named, and an empty name is nobody's id.
    let empty = in_clear(r#"{"people":{"<<>>":{"name":"A"}}}"#);
    for (input, expected) in [
        (r#"{"people":[{"name":"A"}]}"#, r#"{"people":[]}"#),
        (r#"{"people":{"":{"name":"A"}}}"#, &empty),
    ] {
        let outcome = engine.everywhere(input.as_bytes(), release).expect("JSON");
        assert_eq!(
            (outcome.text.as_str(), outcome.questions),
            (expected, vec!["element 0: 0=nothing".to_owned()])
        );
    }
}

#[test]
fn ids_that_are_names_are_found_before_a_held_document_leaves() {
    let rules = [("$.of[*]", "named 0"), ("$.of[*]", "name pseudonym"), ("$.of.*.n", "keep")];
    let engine = Engine::new(&rules, Unlisted::Remove);
    let input = r#"{"of":{"u2":{"n":1},"u1":{"n":{"u9":1}},"u2":[]},"u7":{"u8":1}}"#;
    let outcome = engine.everywhere(input.as_bytes(), release).expect("JSON");
    assert_eq!(outcome.questions, ["document: 0=u1+u2"]);
    assert_eq!(outcome.text, in_clear(r#"{"of":{"<<u2>>":{"n":1},"<<u1>>":{},"<<u2>>":[]}}"#));
}

#[test]
fn an_id_that_is_a_name_is_not_kept_for_the_next_body() {
    let members = (1000..1500).map(|id| format!(r#""cust-{id}":{{"n":1}}"#));
    let body = format!(r#"{{"of":{{{}}}}}"#, members.collect::<Vec<_>>().join(","));
    let kept = |rules: &[RuleText<'_>]| {
        let engine = Engine::new(rules, Unlisted::Remove);
        let mut minimizer = engine.minimizer();
        engine.run_again(&mut minimizer, [body.as_bytes()], release).expect("JSON");
        minimizer.buffered()
    };
    // The names that are expected in the next body, some hundred, are kept with their texts.
    let (ids, others) = (kept(NAMES), kept(&NAMES[1..]));
    assert!(others > ids + 100 * 32, "{others} {ids}");
}

#[test]
fn no_filter_stands_in_the_way_to_a_name() {
    let parsed = |text| Selector::parse_within(text, None).expect(text);
    for mark in [Mark::Key(CellId(0)), Mark::KeyOf(tamis::policy::RoleIndex(0))] {
        let cell = Mark::Cell { cell: CellId(1), subtree: false };
        for rules in [
            [(parsed("$.of[?@.a][*]"), mark), (parsed("$.n"), cell)],
            [(parsed("$.of[*]"), mark), (parsed("$.of[?@.a].n"), cell)],
        ] {
            let found = Automaton::compile(&rules, Unlisted::Remove);
            assert_eq!(found.err(), Some(CompileError::FilteredAnchor));
        }
    }
}
