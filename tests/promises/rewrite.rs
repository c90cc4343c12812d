//! `tamis rewrite` as a filter: output, exit codes, messages.

use std::io::Write;
use std::process::{Command, Stdio};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn rewrite(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .arg("rewrite")
        .args(arguments)
        .env_remove("TAMIS_KEY_RING")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that rejects its arguments does not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

const INPUT: &[u8] =
    br#"{"id":7,"email":"t@example.invalid","cards":[{"pan":"4111111111111111","x":1.0}]}"#;

#[test]
fn rules_change_what_they_name_and_only_keeps_nothing_else() {
    for (arguments, expected) in [
        (
            &["--rule", "$.email=remove", "--rule", "$..pan=mask last 4"] as &[_],
            r#"{"id":7,"cards":[{"pan":"****1111","x":1.0}]}"#,
        ),
        (&["--only", "$.id"], r#"{"id":7}"#),
        (
            &["--only", "$.cards", "--rule", "$..pan=redact", "--rule", "$.email=keep"],
            r#"{"cards":[{"pan":"****","x":1.0}]}"#,
        ),
        (&["--rule", "$.cards=blank"], r#"{"id":7,"email":"t@example.invalid","cards":[null]}"#),
        (&[], std::str::from_utf8(INPUT).expect("UTF-8")),
    ] {
        let ran = rewrite(arguments, INPUT);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{}", ran.err);
    }
}

#[test]
fn malformed_input_is_named_by_kind_and_offset_and_never_by_content() {
    for (input, message) in [
        (&br#"{"id":1,"secret":"CANARY"}}"#[..], "error: not JSON at byte 26\n"),
        (br#"{"secret":"CANARY"#, "error: incomplete at byte 17\n"),
        (b"\"\xff\"", "error: not UTF-8 at byte 1\n"),
        (b"", "error: incomplete at byte 0\n"),
    ] {
        let ran = rewrite(&["--rule", "$.secret=remove"], input);
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), message));
        assert!(!ran.out.contains("CANARY"));
    }
}

#[test]
fn a_bad_rule_is_rejected_with_a_caret_under_what_is_wrong() {
    for (rule, expected) in [
        (
            "$.email=mask lst 4",
            "error: unknown action; did you mean `mask last 4`?\n  --rule $.email=mask lst 4\n\
             \u{20}                ^^^^^^^^^^\n",
        ),
        (
            "$.a b=remove",
            "error: a blank inside a member name; write `['a b']`\n  --rule $.a b=remove\n\
             \u{20}            ^\n",
        ),
        (
            "$.id=pseudonym",
            "error: `pseudonym` needs a key: give --key-file\n  --rule $.id=pseudonym\n\
             \u{20}             ^^^^^^^^^\n",
        ),
        (
            "$.id=own lines",
            "error: `own lines` needs to know who asks, which only the gateway does\n  \
             --rule $.id=own lines\n              ^^^^^^^^^\n",
        ),
        (
            "$.id",
            "error: `=` and an action expected, as in `$.email=remove`\n  --rule $.id\n             ^\n",
        ),
    ] {
        let ran = rewrite(&["--rule", rule], INPUT);
        assert_eq!((ran.code, ran.out.as_str()), (Some(64), ""), "{rule}");
        assert_eq!(ran.err, expected, "{rule}");
    }
    assert_eq!(rewrite(&["--rool", "x"], INPUT).code, Some(2));
}

#[test]
fn with_a_key_equal_values_get_equal_pseudonyms_and_the_value_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring");
    tamis::keys::KeyRing::generate(&path).expect("a key ring");
    let arguments = ["--key-file", path.to_str().expect("UTF-8"), "--rule", "$..id=pseudonym"];
    let ran = rewrite(&arguments, br#"{"id":"CANARY","a":[{"id":"CANARY"},{"id":"other"}]}"#);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.out.contains("CANARY"));
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert!(value["id"].as_str().is_some_and(|id| id.len() > 20));
    assert_eq!(value["id"], value["a"][0]["id"]);
    assert_ne!(value["id"], value["a"][1]["id"]);
}
