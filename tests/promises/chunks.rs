//! The rewriter gives the same bytes, counts and questions wherever the input is split, and what it
//! gives is what the rules say.

use tamis::minimize::{MalformedKind, Question, Scope, Verdict};
use tamis::policy::automaton::Unlisted;
use tamis::terms::RefusalReason;

use crate::engine::{Engine, RuleText, release};

/// Rules, input, output.
type Case<'a> = (&'a [RuleText<'a>], &'a str, &'a str);

fn check(unlisted: Unlisted, (rules, input, expected): Case<'_>) {
    let found = Engine::new(rules, unlisted).everywhere(input.as_bytes(), release);
    let outcome = found.unwrap_or_else(|e| panic!("{input}: {e}"));
    assert_eq!(outcome.text, expected, "{rules:?} over {input}");
    assert_eq!(outcome.tally.bytes_in, input.len() as u64, "{input}");
    assert_eq!(outcome.tally.bytes_out, expected.len() as u64, "{input}");
}

const REMOVE_A: &[RuleText<'_>] = &[("$..a", "remove")];

#[test]
fn a_removed_member_takes_one_separator_with_it() {
    for (input, expected) in [
        (r#"{"a":1}"#, "{}"),
        (r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (r#"{"b":2,"a":1}"#, r#"{"b":2}"#),
        (r#"{"b":2,"a":1,"c":3}"#, r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"a":2,"b":3,"a":4}"#, r#"{"b":3}"#),
        (r#"{"a":1,"a":[{"a":{}}]}"#, "{}"),
        (r#"{"b":{"a":"x"},"a":{}}"#, r#"{"b":{}}"#),
        (r#"[{"a":1},{"a":[]}]"#, "[{},{}]"),
        ("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"b\": 2\n}"),
        ("{\n  \"b\": 2,\n  \"a\": 1\n}\n", "{\n  \"b\": 2\n}\n"),
        ("{\n  \"a\": 1\n}", "{}"),
        ("{ \"a\" : 1 , \"b\" : 2 , \"a\" : 3 }", "{ \"b\" : 2  }"),
        ("{ \"b\" : 2 , \"a\" : { } , \"c\" : 3 }", "{ \"b\" : 2  , \"c\" : 3 }"),
        (" { } ", " { } "),
        ("[ ]", "[ ]"),
        (r#"{"b":[1 , 2],"a":"x"}"#, r#"{"b":[1 , 2]}"#),
        (r#"{"\u0061":1,"b\u0061":2}"#, r#"{"b\u0061":2}"#),
        (r#"{"b":"a","c":["a"]}"#, r#"{"b":"a","c":["a"]}"#),
        (r#"{"A":1,"a ":2,"":3}"#, r#"{"A":1,"a ":2,"":3}"#),
    ] {
        check(Unlisted::Keep, (REMOVE_A, input, expected));
    }
}

#[test]
fn what_no_rule_names_is_copied_byte_for_byte() {
    for input in [
        "null",
        "-0.0e-0",
        " \t\r\n true ",
        r#""\u00e9\/é\ud83d\ude00😀\\\"""#,
        r#"{"x":1e999,"y":123456789012345678901234567890,"x":-0,"":[[],{}]}"#,
        "[1.0, 1.00,1E+2 ]",
    ] {
        check(Unlisted::Keep, (REMOVE_A, input, input));
    }
}

#[test]
fn unlisted_members_are_removed_and_counted() {
    let rules: &[RuleText<'_>] =
        &[("$.name", "keep"), ("$.tags", "keep"), ("$.meta", "subtree keep"), ("$.p.q", "keep")];
    let cases = [
        (r#"{"name":"Testina","email":"x@example.invalid"}"#, r#"{"name":"Testina"}"#, 1),
        (r#"{"email":"x","phone":[1,2,{"a":1}]}"#, "{}", 2),
        (r#"{"name":["a",["b",null],{"c":1}]}"#, r#"{"name":["a",["b",null]]}"#, 1),
        (r#"{"name":{"first":"T"},"tags":[]}"#, r#"{"tags":[]}"#, 1),
        (r#"{"meta":{"a":{"b":[{}]},"name":2}}"#, r#"{"meta":{"a":{"b":[{}]},"name":2}}"#, 0),
        (r#"{"p":{"q":1,"r":2},"p":7,"p":[{"q":1}]}"#, r#"{"p":{"q":1},"p":[]}"#, 3),
        ("[1,2]", "[]", 2),
        ("\"x\"", "null", 1),
    ];
    for (input, expected, unlisted) in cases {
        check(Unlisted::Remove, (rules, input, expected));
        let outcome = Engine::new(rules, Unlisted::Remove).whole(input.as_bytes());
        assert_eq!(outcome.expect("JSON").tally.unlisted, unlisted, "{input}");
    }
}

#[test]
fn the_stricter_of_two_rules_is_in_force() {
    for (rules, input, expected) in [
        (&[("$.a", "keep"), ("$..a", "remove")] as &[_], r#"{"a":1,"b":{"a":2}}"#, r#"{"b":{}}"#),
        (
            &[("$.m", "subtree keep"), ("$.m.x", "remove")],
            r#"{"m":{"x":1,"y":2}}"#,
            r#"{"m":{"y":2}}"#,
        ),
        (&[("$.m", "subtree remove"), ("$.m.x", "keep")], r#"{"m":{"x":1},"n":0}"#, "{}"),
        (&[("$.m[*]", "remove"), ("$.m", "keep")], r#"{"m":[1,2]}"#, r#"{"m":[]}"#),
    ] {
        check(Unlisted::Remove, (rules, input, expected));
    }
}

#[test]
fn values_are_treated_wherever_they_are_cut() {
    let rules: &[RuleText<'_>] = &[
        ("$.pan", "mask last 4"),
        ("$.secret", "redact"),
        ("$.note", "blank"),
        ("$.born", "generalise year"),
        ("$.who", "subtree mask last 4"),
    ];
    for (input, expected) in [
        (r#"{"pan":"4111 1111 1111 1234"}"#, r#"{"pan":"****1234"}"#),
        (r#"{"pan":41111111111111234,"x":1}"#, r#"{"pan":"****1234"}"#),
        (
            r#"{"pan":["4111111111111234",null,["41111111\u003111111234"]]}"#,
            r#"{"pan":["****1234",null,["****1234"]]}"#,
        ),
        (r#"{"pan":{"a":1},"pan":true}"#, r#"{"pan":null}"#),
        (
            r#"{ "secret" : "\ud83d\ude00" , "note" : "x" }"#,
            r#"{ "secret" : "****" , "note" : "" }"#,
        ),
        (
            r#"{"note":12,"note":false,"note":null,"note":["a"]}"#,
            r#"{"note":null,"note":null,"note":null,"note":[""]}"#,
        ),
        (r#"{"born":"1984-05-06","secret":"größe"}"#, r#"{"born":"1984","secret":"****"}"#),
        (
            r#"{"who":{"name":"x"},"who":[{}],"who":"123456789"}"#,
            r#"{"who":null,"who":[null],"who":"****6789"}"#,
        ),
    ] {
        check(Unlisted::Remove, (rules, input, expected));
    }
}

#[test]
fn a_value_too_long_to_be_treated_is_blanked_and_counted() {
    let rules = &[("$.pan", "mask last 4"), ("$.kept", "keep"), ("$.gone", "redact")];
    let mut engine = Engine::new(rules, Unlisted::Remove);
    engine.limits.scalar_bytes = 12;
    for (input, expected, blanked) in [
        (r#"{"pan":"1234567890"}"#, r#"{"pan":"****7890"}"#, 0),
        (r#"{"pan":"12345678901"}"#, r#"{"pan":""}"#, 1),
        (r#"{"pan":1234567890123}"#, r#"{"pan":null}"#, 1),
        (
            r#"{"kept":"12345678901","gone":"12345678901"}"#,
            r#"{"kept":"12345678901","gone":"****"}"#,
            0,
        ),
    ] {
        let outcome = engine.everywhere(input.as_bytes(), release).expect("JSON");
        assert_eq!((outcome.text.as_str(), outcome.tally.blanked), (expected, blanked), "{input}");
    }
}

#[test]
fn positions_count_over_the_input() {
    for (selector, expected) in [
        ("$[0]", "[1,2,3,4,5]"),
        ("$[5]", "[0,1,2,3,4]"),
        ("$[1,3]", "[0,2,4,5]"),
        ("$[2:]", "[0,1]"),
        ("$[1::2]", "[0,2,4]"),
        ("$[*]", "[]"),
        ("$", "null"),
    ] {
        check(Unlisted::Keep, (&[(selector, "remove")], "[0,1,2,3,4,5]", expected));
    }
}

const LIST: &[RuleText<'_>] = &[
    ("$.data[*]", "each"),
    ("@.id", "subject 0"),
    ("@.id", "keep"),
    ("@.name", "keep"),
    ("$.total", "count keep"),
    ("$.next", "keep"),
];

/// Releases those whose id is even, with names removed for 4.
fn even(question: &Question, engine: &Engine) -> Verdict {
    let Scope::Element(_) = question.scope else {
        return Verdict::Release(engine.treatments.clone());
    };
    let text = format!("{:?}", question.subjects);
    let is_said = |word: &&str| text.contains(*word);
    assert!(["withheld", "Nothing", "Unfit", "Ambiguous"].iter().any(is_said), "{text}");
    let id = match &question.subjects[0].1 {
        tamis::minimize::Located::One(id) => id.expose().parse::<u64>().ok(),
        _ => None,
    };
    match id {
        Some(4) => {
            let mut treatments = engine.treatments.to_vec();
            treatments[1] = crate::engine::treatment("remove");
            Verdict::Release(treatments.into())
        }
        Some(id) if id % 2 == 0 => Verdict::Release(engine.treatments.clone()),
        Some(_) => Verdict::Drop(RefusalReason::ConsentMissing),
        None => Verdict::Drop(RefusalReason::NotFound),
    }
}

#[test]
fn elements_leave_as_their_verdicts_say() {
    let cases = [
        (
            r#"{"data":[{"id":1,"name":"A"},{"id":2,"name":"B","x":0},{"id":"4","name":"C"}],"total":3}"#,
            r#"{"data":[{"id":2,"name":"B"},{"id":"4"}],"total":2}"#,
            "element 0: 0=1|element 1: 0=2|element 2: 0=4",
        ),
        (r#"{"data":[{"id":1}],"total":1}"#, r#"{"data":[],"total":0}"#, "element 0: 0=1"),
        (r#"{"data":[],"total":0}"#, r#"{"data":[],"total":0}"#, ""),
        (r#"{"total":9,"data":[{"id":2}]}"#, r#"{"data":[{"id":2}]}"#, "element 0: 0=2"),
        (
            "{ \"data\" : [ {\"id\":1} , {\"id\":2} , {\"id\":3} ] , \"next\" : \"n\" }",
            "{ \"data\" : [ {\"id\":2}  ] , \"next\" : \"n\" }",
            "element 0: 0=1|element 1: 0=2|element 2: 0=3",
        ),
        (
            r#"{"data":[{"id":2,"id":2},{"id":2,"id":6},{"id":null},{"id":2.0},{"id":{}},{},7,"s"]}"#,
            r#"{"data":[{"id":2,"id":2}]}"#,
            "element 0: 0=2|element 1: 0=ambiguous|element 2: 0=nothing|element 3: 0=nothing|\
             element 4: 0=nothing|element 5: 0=nothing|element 6: 0=nothing|element 7: 0=nothing",
        ),
        (
            r#"{"data":[{"\u0069d":"\u0032"}]}"#,
            r#"{"data":[{"\u0069d":"\u0032"}]}"#,
            "element 0: 0=2",
        ),
    ];
    for (input, expected, questions) in cases {
        let engine = Engine::new(LIST, Unlisted::Remove);
        let outcome = engine.everywhere(input.as_bytes(), even).expect("JSON");
        assert_eq!(outcome.text, expected, "{input}");
        assert_eq!(outcome.questions.join("|"), questions, "{input}");
    }
}

#[test]
fn dropped_elements_are_counted_by_reason_and_released_ones_by_cell() {
    let input = br#"{"data":[{"id":1},{"id":2,"name":"B","z":1},{"id":[]}],"total":3}"#;
    let outcome = Engine::new(LIST, Unlisted::Remove).run([&input[..]], even).expect("JSON");
    let tally = outcome.tally;
    assert_eq!(tally.cells, [1, 1, 1, 0]);
    assert_eq!((tally.elements_released, tally.unlisted), (1, 1));
    assert_eq!(
        tally.elements_dropped.into_iter().collect::<Vec<_>>(),
        [(RefusalReason::ConsentMissing, 1), (RefusalReason::NotFound, 1)]
    );
}

const HELD: &[RuleText<'_>] = &[
    ("$.data[*]", "each"),
    ("$.owner", "subject 0"),
    ("@.party[*].id", "subject 1"),
    ("@.name", "keep"),
    ("$.title", "keep"),
];

#[test]
fn nothing_leaves_a_held_document_before_its_verdict() {
    let input =
        r#"{"title":"CANARY","data":[{"name":"B","party":[{"id":"x"},{"id":"y"}]}],"owner":"u1"}"#;
    let engine = Engine::new(HELD, Unlisted::Remove);
    let outcome = engine.everywhere(input.as_bytes(), release).expect("JSON");
    assert_eq!(outcome.text, r#"{"title":"CANARY","data":[{"name":"B"}]}"#);
    assert_eq!(outcome.questions, ["document: 0=u1 1=x+y", "element 0: 1=x+y"]);

    let refuse = |_: &Question, _: &Engine| Verdict::Drop(RefusalReason::Erased);
    let (malformed, out) = engine.run([input.as_bytes()], refuse).expect_err("refused");
    assert_eq!(malformed.kind, MalformedKind::Refused);
    assert!(out.is_empty());
}

#[test]
fn an_unknown_among_several_subjects_is_nobody_known() {
    let rules = &[("$.data[*]", "each"), ("@.party[*].id", "subject 0"), ("@.name", "keep")];
    let input =
        r#"{"data":[{"party":[{"id":"x"},{"id":null}]},{"party":[]},{"party":[{"id":7}]}]}"#;
    let engine = Engine::new(rules, Unlisted::Remove);
    let outcome = engine.everywhere(input.as_bytes(), release).expect("JSON");
    assert_eq!(
        outcome.questions,
        ["element 0: 0=ambiguous", "element 1: 0=nothing", "element 2: 0=7"]
    );
}

#[test]
fn what_is_over_a_bound_ends_in_the_error_of_that_bound() {
    let name = "n".repeat(40);
    let cases: [(&str, String, MalformedKind); 5] = [
        ("depth", format!("{}1{}", "[".repeat(9), "]".repeat(9)), MalformedKind::Depth),
        ("name", format!("{{\"{name}\":1}}"), MalformedKind::MemberName),
        ("members", r#"{"a":1,"b":2,"c":3,"d":4}"#.to_owned(), MalformedKind::Members),
        ("element", format!(r#"{{"data":[{{"id":2,"x":"{name}"}}]}}"#), MalformedKind::Element),
        ("blanks", format!("[{}1]", " ".repeat(65_537)), MalformedKind::MemberName),
    ];
    for (what, input, kind) in cases {
        let mut engine = Engine::new(LIST, Unlisted::Remove);
        engine.limits.depth = 8;
        engine.limits.member_name_bytes = 39;
        engine.limits.members = 3;
        engine.limits.element_bytes = 50;
        let found = if what == "blanks" {
            let whole = engine.whole(input.as_bytes()).expect_err(what).0;
            let chunks = engine.run(input.as_bytes().chunks(1000), release).expect_err(what).0;
            assert_eq!(whole, chunks);
            whole
        } else {
            engine.everywhere(input.as_bytes(), release).expect_err(what)
        };
        assert_eq!(found.kind, kind, "{what}");
    }
}

#[test]
fn a_refusing_rule_ends_the_answer_and_a_dropping_one_the_element() {
    let rules =
        &[("$.data[*]", "each"), ("@.id", "subject 0"), ("@.id", "keep"), ("@.secret", "drop")];
    let input = r#"{"data":[{"id":2},{"id":4,"secret":{}},{"id":6}]}"#;
    let outcome = Engine::new(rules, Unlisted::Remove).everywhere(input.as_bytes(), release);
    assert_eq!(outcome.expect("JSON").text, r#"{"data":[{"id":2},{"id":6}]}"#);
    for action in ["drop", "refuse"] {
        let engine = Engine::new(&[("$.a", action)], Unlisted::Keep);
        let found = engine.everywhere(br#"{"b":1,"a":2}"#, release).expect_err(action);
        assert_eq!((found.kind, found.offset), (MalformedKind::Refused, 11), "{action}");
    }
}

#[test]
fn malformed_text_is_named_by_kind_and_offset_at_every_split() {
    use MalformedKind::{Encoding, Incomplete, Syntax};
    let cases: [(&[u8], MalformedKind, u64); 24] = [
        (b"", Incomplete, 0),
        (b"  ", Incomplete, 2),
        (b"{\"b\":1", Incomplete, 6),
        (b"[1,", Incomplete, 3),
        (b"-", Incomplete, 1),
        (b"tru", Incomplete, 3),
        (b"\"a", Incomplete, 2),
        (b"{\"b\":01}", Syntax, 6),
        (b"{\"b\" 1}", Syntax, 5),
        (b"{b:1}", Syntax, 1),
        (b"[1,]", Syntax, 3),
        (b"{\"b\":1,}", Syntax, 7),
        (b"[1 2]", Syntax, 3),
        (b"1 2", Syntax, 2),
        (b"[1}", Syntax, 2),
        (b"\"\n\"", Syntax, 1),
        (b"\"\\x\"", Syntax, 2),
        (b"\"\\u12g4\"", Syntax, 5),
        (b"\xef\xbb\xbf1", Syntax, 0),
        (b"\"\xff\"", Encoding, 1),
        (b"\"ab\xe2\x82\"", Encoding, 3),
        (b"\"\\ud800\"", Encoding, 7),
        (b"\"\\ud800\\u0041\"", Encoding, 12),
        (b"\"\\udc00\"", Encoding, 6),
    ];
    for (input, kind, offset) in cases {
        let engine = Engine::new(REMOVE_A, Unlisted::Keep);
        let found = engine.everywhere(input, release).expect_err("malformed");
        assert_eq!(
            (found.kind, found.offset),
            (kind, offset),
            "{}",
            String::from_utf8_lossy(input)
        );
    }
}

#[test]
fn what_is_wrong_only_at_the_next_bracket_moves_nobody_into_another_place() {
    // The missing colon stands a block or more before the bracket at which members are counted.
    let filler = "x".repeat(100);
    for wrong in [r#""a","#, r#""a" ,"b","#] {
        let input =
            format!(r#"{{"p":{{{wrong}"{filler}":"CANARY","q":"CANARY","email":"CANARY"}}}}"#);
        let rules = &[("$.q", "keep"), ("$.email", "keep"), ("$..deep.q", "keep")];
        let engine = Engine::new(rules, Unlisted::Remove);
        for size in [1, 64, 1000] {
            let chunks = input.as_bytes().chunks(size);
            let (malformed, out) = engine.run(chunks, release).expect_err("malformed");
            assert_eq!(malformed.kind, MalformedKind::Syntax, "{input}");
            assert!(!String::from_utf8_lossy(&out).contains("CANARY"), "{input}");
        }
    }
    let input = format!(r#"[["a":"{filler}","CANARY","b"]]"#);
    let engine = Engine::new(&[("$[0][1]", "keep")], Unlisted::Remove);
    let (malformed, out) = engine.run([input.as_bytes()], release).expect_err("malformed");
    assert_eq!(malformed.kind, MalformedKind::Syntax);
    assert!(!String::from_utf8_lossy(&out).contains("CANARY"));
}

#[test]
fn a_rewriter_used_again_gives_what_a_new_one_gives() {
    let list = Engine::new(LIST, Unlisted::Remove);
    let held = Engine::new(HELD, Unlisted::Remove);
    let plain = Engine::new(REMOVE_A, Unlisted::Keep);
    let mut small = Engine::new(REMOVE_A, Unlisted::Keep);
    small.limits.depth = 2;
    let bodies: [(&Engine, &str); 8] = [
        (&list, r#"{"data":[{"id":1,"name":"A"},{"id":4,"name":"B"},{"id":2}],"total":3}"#),
        (&plain, r#"{"a":1,"b":[{"a":2},"#),
        (&held, r#"{"title":"t","data":[{"name":"B","party":[{"id":"x"}]}],"owner":"u1"}"#),
        (&small, "[[[1]]]"),
        (&plain, r#"{"b":"\u00e9","a":[{"a":2}]}"#),
        (&plain, "[[[1]]]"),
        (&held, r#"{"title":"t","data":[{"#),
        (&list, r#"{"data":[{"id":2,"name":"B","x":0}],"total":1,"next":"n"}"#),
    ];
    let mut used = plain.minimizer();
    for _ in 0..2 {
        for (engine, body) in bodies {
            let new = engine.run([body.as_bytes()], even);
            let again = engine.run_again(&mut used, [body.as_bytes()], even);
            assert_eq!(again, new, "{body}");
        }
    }
}

#[test]
fn a_string_longer_than_any_buffer_is_treated_without_one() {
    let rules = &[("$.pan", "mask last 4"), ("$.gone", "redact"), ("$.kept", "keep")];
    let engine = Engine::new(rules, Unlisted::Remove);
    for escape in ["\\u00e9", "é", "\\ud83d\\ude00", "\\\\ ", "x"] {
        let long = escape.repeat(200_000 / escape.len());
        let input =
            format!(r#"{{"pan":"{long}1234", "gone":"{long}","kept":"{long}","x":"{long}"}}"#);
        let expected = format!(r#"{{"pan":"****1234", "gone":"****","kept":"{long}"}}"#);
        for size in [63, 1000, 16 * 1024, 1 << 20] {
            let chunks = input.as_bytes().chunks(size);
            let outcome = engine.run(chunks, release).expect("JSON");
            let differ = outcome.text.bytes().zip(expected.bytes()).position(|(a, b)| a != b);
            assert!(
                outcome.text == expected,
                "{escape} in chunks of {size}: differs at {differ:?} of {}, {}",
                outcome.text.len(),
                &outcome.text[..60],
            );
            assert_eq!(outcome.tally.blanked, 0, "{escape} in chunks of {size}");
        }
    }
}

#[test]
fn nothing_of_an_element_that_a_rule_refuses_is_written_before_the_error() {
    let rules =
        &[("$.data.*", "each"), ("@.id", "subject 0"), ("@.name", "keep"), ("@.secret", "refuse")];
    let input = r#"{"data":{"CANARY":{"id":2,"name":"CANARY","secret":1}}}"#;
    let engine = Engine::new(rules, Unlisted::Remove);
    // Under the treatments it was walked with, and under others.
    let others =
        |_: &Question, engine: &Engine| Verdict::Release(engine.treatments.to_vec().into());
    for judge in [release as fn(&Question, &Engine) -> Verdict, others] {
        for size in [1, 1000] {
            let chunks = input.as_bytes().chunks(size);
            let (malformed, out) = engine.run(chunks, judge).expect_err("refused");
            assert_eq!(malformed.kind, MalformedKind::Refused);
            assert!(!String::from_utf8_lossy(&out).contains("CANARY"));
        }
    }
}
