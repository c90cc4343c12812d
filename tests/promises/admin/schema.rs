//! A small reader of JSON Schema: the words that the admin API's document uses, and no others. A word
//! that it does not know is an error, so that nothing is passed over.

use serde_json::Value;

/// What is wrong with `value` by `schema`, with the place; `None`: nothing.
pub(super) fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    for (word, says) in schema.as_object().expect("a schema is an object") {
        let found = match word.as_str() {
            "$ref" => {
                let target = says.as_str().expect("text").trim_start_matches('#');
                let target = document.pointer(target).expect("what is referred to is there");
                wrong(document, target, value, at)
            }
            "type" => (!is_of(says, value)).then(|| format!("{at}: not {says}")),
            "const" => (value != says).then(|| format!("{at}: not {says}")),
            "enum" => {
                let known = says.as_array().expect("a list").contains(value);
                (!known).then(|| format!("{at}: none of {says}"))
            }
            "required" => {
                let names = says.as_array().expect("a list").iter();
                let mut names = names.map(|name| name.as_str().expect("text"));
                names.find(|name| value.get(name).is_none()).map(|name| format!("{at}: no {name}"))
            }
            "properties" => {
                let mut properties = says.as_object().expect("a map").iter();
                properties.find_map(|(name, schema)| {
                    wrong(document, schema, value.get(name)?, &format!("{at}.{name}"))
                })
            }
            "additionalProperties" => others(document, schema, says, value, at),
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.find_map(|item| wrong(document, says, item, &format!("{at}[]")))
            }
            "minLength" | "maxLength" => {
                let length = value.as_str().map(|text| text.chars().count() as u64);
                let bound = says.as_u64().expect("a number");
                let fits = length.is_none_or(|length| {
                    if word == "minLength" { length >= bound } else { length <= bound }
                });
                (!fits).then(|| format!("{at}: {word}"))
            }
            "maxItems" => {
                let length = value.as_array().map_or(0, Vec::len) as u64;
                (length > says.as_u64().expect("a number")).then(|| format!("{at}: too many"))
            }
            "minimum" => {
                let number = value.as_i64();
                let fits = number.is_none_or(|number| number >= says.as_i64().expect("a number"));
                (!fits).then(|| format!("{at}: too small"))
            }
            "format" => {
                assert_eq!(says, "date-time");
                let text = value.as_str();
                let is_time = text.is_none_or(|text| text.parse::<jiff::Timestamp>().is_ok());
                (!is_time).then(|| format!("{at}: no time"))
            }
            "pattern" => {
                assert_eq!(says, "^sha-256:[0-9a-f]{64}$", "the one pattern there is");
                let is_digest = |text: &str| {
                    text.strip_prefix("sha-256:").is_some_and(|hex| {
                        hex.len() == 64 && hex.bytes().all(|b| b"0123456789abcdef".contains(&b))
                    })
                };
                let fits = value.as_str().is_none_or(is_digest);
                (!fits).then(|| format!("{at}: no digest"))
            }
            "examples" => None,
            unknown => panic!("{at}: the word {unknown} is not read here"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |word: &Value| match word.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not read here"),
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}

fn others(
    document: &Value,
    schema: &Value,
    says: &Value,
    value: &Value,
    at: &str,
) -> Option<String> {
    let known = |name: &str| schema["properties"].get(name).is_some();
    let mut members = value.as_object().into_iter().flatten();
    members.find_map(|(name, member)| match says {
        _ if known(name) => None,
        Value::Bool(true) => None,
        Value::Bool(false) => Some(format!("{at}: {name} is unknown")),
        schema => wrong(document, schema, member, &format!("{at}.{name}")),
    })
}

#[test]
fn what_does_not_fit_is_found() {
    use serde_json::json;
    let document = json!({"x": {"type": "integer", "minimum": 0}});
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": {"type": "array", "maxItems": 2, "items": {"$ref": "#/x"}},
            "b": {"type": ["string", "null"], "minLength": 1, "format": "date-time"},
            "c": {"enum": ["one"]},
            "d": {"pattern": "^sha-256:[0-9a-f]{64}$"},
        },
    });
    for (value, fits) in [
        (json!({"a": []}), true),
        (json!({"a": [1], "b": null, "c": "one"}), true),
        (json!({"a": [1], "b": "2026-01-01T00:00:00Z"}), true),
        (json!([]), false),
        (json!({}), false),
        (json!({"a": [1, 2, 3]}), false),
        (json!({"a": [-1]}), false),
        (json!({"a": ["1"]}), false),
        (json!({"a": [], "b": ""}), false),
        (json!({"a": [], "b": "yesterday"}), false),
        (json!({"a": [], "c": "two"}), false),
        (json!({"a": [], "d": "sha-256:0"}), false),
        (json!({"a": [], "e": 1}), false),
    ] {
        let found = wrong(&document, &schema, &value, "$");
        assert_eq!(found.is_none(), fits, "{value}: {found:?}");
    }
}
