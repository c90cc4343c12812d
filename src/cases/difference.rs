//! How an answer differs from the expected one, place by place. It shows values, which in a case are
//! invented; nothing but cases may be given to it.

use serde_json::Value;

/// Most differences that are worth reading.
const MOST: usize = 20;

/// What differs, one line each; empty: nothing does.
pub(super) fn differences(what: &str, expected: &Value, got: &Value) -> Vec<String> {
    listed(what, expected, got, Others::Differ)
}

/// What is missing or different; objects may hold more.
pub(super) fn missing(what: &str, expected: &Value, got: &Value) -> Vec<String> {
    listed(what, expected, got, Others::Pass)
}

/// Members of an object that nobody expects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Differ,
    Pass,
}

fn listed(what: &str, expected: &Value, got: &Value, others: Others) -> Vec<String> {
    let mut lines = Vec::new();
    compare(what, expected, got, others, &mut lines);
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more differences"));
    }
    lines
}

fn compare(at: &str, expected: &Value, got: &Value, others: Others, lines: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (name, value) in expected {
                match got.get(name) {
                    Some(got) => compare(&format!("{at}.{name}"), value, got, others, lines),
                    None => lines.push(format!("{at}.{name}: expected {value}, got nothing")),
                }
            }
            let more = got.iter().filter(|(name, _)| !expected.contains_key(*name));
            for (name, value) in more.filter(|_| others == Others::Differ) {
                lines.push(format!("{at}.{name}: expected nothing, got {value}"));
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            for (index, value) in expected.iter().enumerate() {
                match got.get(index) {
                    Some(got) => compare(&format!("{at}[{index}]"), value, got, others, lines),
                    None => lines.push(format!("{at}[{index}]: expected {value}, got nothing")),
                }
            }
            for (index, value) in got.iter().enumerate().skip(expected.len()) {
                lines.push(format!("{at}[{index}]: expected nothing, got {value}"));
            }
        }
        (Value::String(expected), Value::String(got)) if stands_for(expected, got) => {}
        _ if expected == got => {}
        _ => lines.push(format!("{at}: expected {expected}, got {got}")),
    }
}

/// Whether an expected text is the one that came, or the beginning of it with `…`.
pub(super) fn stands_for(expected: &str, got: &str) -> bool {
    match expected.strip_suffix('…') {
        Some(beginning) => got.starts_with(beginning),
        None => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{differences, missing};

    #[test]
    fn every_difference_is_named_with_its_place() {
        let expected = json!({"a": 1, "b": ["x", "y"], "c": "ps1_…", "d": 0});
        let got = json!({"a": "1", "b": ["x"], "c": "ps1_q7", "e": 0});
        let lines = differences("$", &expected, &got);
        assert_eq!(
            lines,
            [
                "$.a: expected 1, got \"1\"",
                "$.b[1]: expected \"y\", got nothing",
                "$.d: expected 0, got nothing",
                "$.e: expected nothing, got 0",
            ]
        );
        assert!(differences("$", &expected, &expected).is_empty());
        let more = json!({"a": 1, "b": ["x", "y"], "c": "ps1_q7", "d": 0, "e": 0});
        assert!(missing("$", &expected, &more).is_empty());
        assert_eq!(missing("$", &more, &expected).len(), 2, "`c` is another text, `e` is missing");
    }
}
