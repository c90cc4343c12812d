//! JSON laid out for reading, one member a line, without changing a byte that means anything.

/// Lays out `json`. Text that is no JSON comes back with its bytes in order, oddly broken.
pub(super) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut rest = json.trim();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => {
                let end = string_end(rest);
                out.push('"');
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '{' | '[' => {
                out.push(c);
                let close = if c == '{' { '}' } else { ']' };
                let inside = rest.trim_start();
                if let Some(after) = inside.strip_prefix(close) {
                    out.push(close);
                    rest = after;
                } else if let Some(short) = short_list(c, inside) {
                    out.push_str(short);
                    rest = &inside[short.len()..];
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// An array of few plain values stays on its line: the text up to and with its bracket.
fn short_list(open: char, inside: &str) -> Option<&str> {
    let end = inside.find(']')?;
    let list = &inside[..=end];
    let is_plain = open == '[' && end <= 60 && !list.contains(['{', '[', '\\']);
    // An even number of quotes: the bracket is not one inside a string.
    (is_plain && list.matches('"').count().is_multiple_of(2)).then_some(list)
}

/// Where the string that `text` is in ends, quote included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn only_the_space_between_tokens_changes() {
        let cases = [
            (r#"{"a":1,"b":[1,2]}"#, "{\n  \"a\": 1,\n  \"b\": [1,2]\n}"),
            (r#"{"a":{},"b":[]}"#, "{\n  \"a\": {},\n  \"b\": []\n}"),
            (r#"{"a":"x,{]\":y"}"#, "{\n  \"a\": \"x,{]\\\":y\"\n}"),
            (r#"[{"a":1}]"#, "[\n  {\n    \"a\": 1\n  }\n]"),
            (r#"["]"]"#, "[\n  \"]\"\n]"),
            ("{\n \"a\" :\t1 }", "{\n  \"a\": 1\n}"),
            ("not json", "notjson"),
        ];
        for (json, expected) in cases {
            assert_eq!(indented(json), expected, "{json}");
        }
        let odd = r#"{"em\u0061il":"x","n":12345678901234567890.10}"#;
        assert_eq!(indented(odd).replace("\n  ", "").replace(['\n'], "").replace(": ", ":"), odd);
    }
}
