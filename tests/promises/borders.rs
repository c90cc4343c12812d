//! Everything that the rewriter carries from one byte to the next, at every place of a block of 64
//! bytes, valid and broken, whole and cut right there.
//!
//! A reader that looks at 64 bytes at a time keeps what began in one block for the next: a run of
//! backslashes, hexadecimal digits that are owed, an open string, half a number, half a character.
//! Cut short, a block is a partial one, and what is carried out of it stands elsewhere. The faults
//! that hide here come up once in a million random documents; so every one is put there by hand.

use std::sync::Arc;

use tamis::policy::automaton::Unlisted;

use crate::differential::compare::{Case, Found, compare};
use crate::engine::{Engine, RuleText, release};
use crate::oracle::{Act, Path, Rest, Rule, Segment, Step, What, read};

const BLOCK: usize = 64;

/// A set of rules for the engine and for the oracle.
struct Set {
    engine: Engine,
    rules: Arc<[Rule]>,
    rest: Rest,
}

fn set(cells: &[(&str, Act)], rest: Rest) -> Set {
    let rules: Vec<Rule> = cells
        .iter()
        .map(|(name, act)| {
            let step = match *name {
                "*" => Step::Wildcard,
                name => Step::Name(name.to_owned()),
            };
            let path = Path::new(vec![Segment { descendant: true, steps: vec![step] }]);
            Rule { path, what: What::Cell(*act, true) }
        })
        .collect();
    let texts: Vec<String> =
        cells.iter().map(|(_, act)| format!("subtree {}", act.text())).collect();
    let pairs: Vec<RuleText<'_>> =
        rules.iter().zip(&texts).map(|(rule, text)| (&*rule.path.text, text.as_str())).collect();
    let unlisted = match rest {
        Rest::Keep => Unlisted::Keep,
        Rest::Remove => Unlisted::Remove,
    };
    Set { engine: Engine::new(&pairs, unlisted), rules: rules.into(), rest }
}

fn sets() -> [Set; 3] {
    [
        set(&[], Rest::Keep),
        set(&[("a", Act::Remove), ("b", Act::Redact), ("abc", Act::Blank)], Rest::Keep),
        set(&[("b", Act::Keep), ("abc", Act::Keep), ("*", Act::Redact)], Rest::Remove),
    ]
}

/// One document, of which what is tested stands in `from..`.
fn check(set: &Set, document: &[u8], from: usize) -> Found {
    let case = Case {
        document: document.to_vec(),
        rules: set.rules.to_vec(),
        rest: set.rest,
        salt: 0,
        cuts: vec![from.max(1), 1],
    };
    let found = compare(&case).unwrap_or_else(|e| panic!("{e}"));
    let run = |chunks: &[&[u8]]| {
        set.engine.run(chunks.iter().copied(), release).map_err(|(malformed, _)| malformed)
    };
    let whole = run(&[document]);
    for split in from..document.len() {
        let (head, tail) = document.split_at(split);
        let name = || format!("{} split at {split}", String::from_utf8_lossy(document));
        assert_eq!(run(&[head, tail]), whole, "{}", name());
        let (byte, tail) = tail.split_at(1);
        assert_eq!(run(&[head, byte, tail]), whole, "{}, a byte alone", name());
    }
    found
}

/// The text in a document, pushed on by white space or by a member, to every place of a block.
fn everywhere(text: &[u8], valid: bool) {
    assert_eq!(read(text).is_some(), valid, "{}", String::from_utf8_lossy(text));
    let sets = sets();
    for place in 0..=BLOCK {
        // Within the first block and across its end, with something before and behind.
        let blank = [&b" ".repeat(place)[..], text].concat();
        let member =
            [br#"{"p":""#, &b"x".repeat(place)[..], br#"","a":"#, text, br#","b":[]}"#].concat();
        for set in &sets {
            for (document, from) in [(&blank, place), (&member, place + 12)] {
                let found = check(set, document, from);
                assert_eq!(
                    found == Found::Rewritten,
                    valid,
                    "{}",
                    String::from_utf8_lossy(document)
                );
            }
        }
    }
}

#[test]
fn runs_of_backslashes() {
    for length in 0..=9 {
        let text = ["[\"", &"\\".repeat(length), "\",1]"].concat();
        everywhere(text.as_bytes(), length % 2 == 0);
    }
    // So long that a run ends blocks later than it began.
    for length in [63, 64, 65, 126, 127, 128, 129] {
        let text = ["\"", &"\\".repeat(length), "\""].concat();
        everywhere(text.as_bytes(), length % 2 == 0);
    }
}

#[test]
fn escapes_and_the_digits_they_owe() {
    for text in [
        r#""\n\t\r\b\f\/\\\"""#,
        r#""\u0041""#,
        r#""\u00e9\u00E9""#,
        r#""\ud83d\ude00""#,
        r#""\uD83D\uDE00\ud834\udd1e""#,
        r#""\\u12""#,
        r#""\\\u0041""#,
        r#"{"\u0061":"\u0062","\u0062":1}"#,
    ] {
        everywhere(text.as_bytes(), true);
    }
    for text in [
        r#""\x""#,
        r#""\'""#,
        r#""\u""#,
        r#""\u1""#,
        r#""\u12""#,
        r#""\u123""#,
        r#""\u12g4""#,
        r#""\u123\u0041""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\"#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\ud83d""#,
        r#""\ude00""#,
        r#""\ude00\ud83d""#,
        r#"{"\u006":1}"#,
    ] {
        everywhere(text.as_bytes(), false);
    }
}

#[test]
fn keys_that_are_open() {
    for text in [
        r#"{"abc":1}"#,
        r#"{"a\u0062c":1}"#,
        r#"{"abc" : 1}"#,
        r#"{"":1}"#,
        r#"{"a":1,"a":2,"abc":3,"a":4}"#,
        r#"{"a":{"a":1,"b":2},"b":{"a":1}}"#,
        r#"{"b":1,"a":"x","c":2}"#,
        r#"{"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc":1}"#,
    ] {
        everywhere(text.as_bytes(), true);
    }
    for text in [
        r#"{"abc"1}"#,
        r#"{"abc"}"#,
        r#"{"abc":}"#,
        r#"{"abc":,"a":1}"#,
        r#"{"abc","a":1}"#,
        r#"{"abc"::1}"#,
        r#"{"abc":1:2}"#,
        "{abc:1}",
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{,"a":1}"#,
        "{1:1}",
        "{[]:1}",
        r#"["a":1]"#,
    ] {
        everywhere(text.as_bytes(), false);
    }
}

#[test]
fn numbers_in_each_of_their_states() {
    for text in
        ["0", "-0", "10", "-1.5", "1e5", "1E+5", "1e-10", "0.0e0", "12345678901234567890.12"]
    {
        everywhere(["[", text, ",", text, "]"].concat().as_bytes(), true);
    }
    for text in [
        "-", "01", "-01", "00", "1.", "-1.", ".5", "1.e5", "1e", "1e+", "1E-", "+1", "0x1",
        "1e5.5", "1..2", "1-2", "1e++5", "-a", "1a", "1e1e1", "--1", "1 2", "NaN", "Infinity",
        "1\u{b}",
    ] {
        everywhere(["[", text, "]"].concat().as_bytes(), false);
    }
}

#[test]
fn literals() {
    for text in ["true", "false", "null", "[true,false,null]"] {
        everywhere(text.as_bytes(), true);
    }
    for text in [
        "[tru]",
        "[truex]",
        "[trux]",
        "[truetrue]",
        "[tru e]",
        "[nul]",
        "[nulll]",
        "[True]",
        "[fals]",
        "[falsee]",
        "[t]",
        "[n,1]",
        "[true1]",
        "[\"a\"true]",
        "[true\"a\"]",
    ] {
        everywhere(text.as_bytes(), false);
    }
}

#[test]
fn characters_of_several_bytes() {
    for text in
        ["é", "\u{80}\u{7ff}", "\u{800}\u{d7ff}\u{e000}\u{ffff}", "\u{10000}\u{10ffff}", "😀é₂"]
    {
        everywhere(["[\"", text, "\"]"].concat().as_bytes(), true);
        everywhere(["{\"", text, "\":1}"].concat().as_bytes(), true);
        // Characters stand in strings only.
        everywhere(["[", text, "]"].concat().as_bytes(), false);
    }
    let broken: [&[u8]; 17] = [
        b"\x80",
        b"\xbf\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xc3\x28",
        b"\xe2\x82",
        b"\xe2\x28\xa1",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
    ];
    for text in broken {
        everywhere(&[b"[\"", text, b"\"]"].concat(), false);
        everywhere(&[b"{\"", text, b"\":1}"].concat(), false);
    }
}

#[test]
fn white_space_around_every_token() {
    const TOKENS: [&str; 17] = [
        "{", "\"a\"", ":", "[", "1", ",", "{", "\"b\"", ":", "\"c\"", "}", ",", "null", "]", ",",
        "\"b\"", ":",
    ];
    for gap in 0..=TOKENS.len() {
        let with = |blank: &str| {
            [&TOKENS[..gap].concat(), blank, &TOKENS[gap..].concat(), "-1}"].concat().into_bytes()
        };
        for blank in [" ", "\t", "\n", "\r", "\r\n  "] {
            everywhere(&with(blank), true);
        }
        // One of these at every place is enough: there is nothing to carry.
        for odd in ["\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\0"] {
            assert_eq!(read(&with(odd)), None);
            check(&sets()[1], &with(odd), 0);
        }
        // A gap that is longer than a block.
        for length in [BLOCK - 1, BLOCK, 2 * BLOCK + 1] {
            let found = check(&sets()[1], &with(&" ".repeat(length)), 0);
            assert_eq!(found, Found::Rewritten);
        }
    }
}

#[test]
fn ends_of_strings_and_containers() {
    for text in [r#""""#, r#"["a","b"]"#, "[]", "{}", "[[],{},[[]]]", "\"\u{7f}\""] {
        everywhere(text.as_bytes(), true);
    }
    for text in [
        "",
        "[",
        "{",
        "]",
        "[\"a",
        "[\"a\"",
        "[\"a\",",
        "[\"a\",]",
        "[\"a\"\"b\"]",
        "[\"a\"]]",
        "[\"a\"}",
        "{\"a\":1]",
        "[}",
        "{]",
        "[][]",
        "{}1",
        "[,1]",
        "[1,,2]",
        "{,}",
        "[:]",
        ",",
        ":",
        "\"a\nb\"",
        "\"a\u{0}b\"",
        "\"a\u{1f}\"",
        "\"a\tb\"",
        "//1",
        "[1]//",
        "'a'",
    ] {
        everywhere(text.as_bytes(), false);
    }
}
