//! JSON as text, so that answers can hold what a serializer would tidy away: escaped member
//! names, numbers of many digits, `null` where a string is expected.

/// An object under construction. Members keep the order in which they were added.
pub(super) struct Object {
    text: String,
}

impl Object {
    pub(super) fn new() -> Self {
        Self { text: String::from("{") }
    }

    /// A member whose name is plain ASCII and whose value is JSON text already.
    pub(super) fn raw(self, name: &str, value: &str) -> Self {
        self.odd(&format!("\"{name}\""), value)
    }

    /// A string member.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &quoted(value))
    }

    /// A string member, or `null`.
    pub(super) fn text_or_null(self, name: &str, value: Option<&str>) -> Self {
        self.raw(name, &value.map_or_else(|| "null".to_owned(), quoted))
    }

    /// A whole number.
    pub(super) fn number(self, name: &str, value: impl Into<i64>) -> Self {
        self.raw(name, &value.into().to_string())
    }

    /// A member whose name is JSON text too, quotes included: the place for escapes.
    pub(super) fn odd(mut self, name: &str, value: &str) -> Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(name);
        self.text.push(':');
        self.text.push_str(value);
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// An array of JSON texts.
pub(super) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// A JSON string in the shortest spelling.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The same string with every character spelt as `\uXXXX`, which JSON allows.
pub(super) fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{Object, array, escaped, quoted};

    #[test]
    fn odd_spellings_are_still_json() {
        let text = Object::new()
            .odd(&escaped("email"), &escaped("testina@example.invalid 😀"))
            .text("q", "a\"b\\c\u{1}")
            .raw("n", "12345678901234567890.5")
            .raw("l", &array([quoted("x"), "null".to_owned()]))
            .finish();
        assert!(text.starts_with(r#"{"\u0065\u006d"#), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(value["email"], "testina@example.invalid 😀");
        assert_eq!(value["q"], "a\"b\\c\u{1}");
        assert_eq!(value["l"][1], serde_json::Value::Null);
    }
}
