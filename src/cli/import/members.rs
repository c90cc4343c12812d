//! Members that a schema describes, each with a category guessed from its name.

use serde_json::{Map, Value};

/// Deepest member that is described. Schemas can refer to themselves.
const DEEPEST: usize = 12;

/// Most members of one answer: a schema that branches at each level names more than anybody reads.
const MOST: usize = 1000;

/// Words in names, and the category that they suggest; the first that fits decides.
const GUESSES: [(&str, &str); 30] = [
    ("email", "contact.email"),
    ("phone", "contact.phone"),
    ("mobile", "contact.phone"),
    ("postal", "contact.postal_code"),
    ("postcode", "contact.postal_code"),
    ("zip", "contact.postal_code"),
    ("city", "contact.city"),
    ("street", "contact.address"),
    ("address", "contact.address"),
    ("birth", "identity.birth_date"),
    ("dob", "identity.birth_date"),
    ("passport", "identity.government_id"),
    ("nationalid", "identity.government_id"),
    ("nickname", "identity.nickname"),
    ("username", "identity.nickname"),
    ("name", "identity.name"),
    ("gender", "trait.gender"),
    ("occupation", "trait.occupation"),
    ("iban", "payment.bank_account"),
    ("account", "payment.bank_account"),
    ("card", "payment.card_number"),
    ("amount", "payment.amount"),
    ("price", "payment.amount"),
    ("ipaddress", "online.ip"),
    ("agent", "online.user_agent"),
    ("device", "online.device_id"),
    ("latitude", "location.precise"),
    ("longitude", "location.precise"),
    ("location", "location.precise"),
    ("comment", "text.free"),
];

/// One member.
pub(super) struct Member {
    /// Where.
    pub(super) selector: String,
    /// What it may be.
    pub(super) category: String,
}

/// The leaves of a schema, in its order, each once.
pub(super) fn members(document: &Value, schema: &Value) -> Vec<Member> {
    let mut found = Vec::new();
    walk(document, schema, "$", "", 0, &mut found);
    found
}

/// What a reference within the document stands for; anything else stands for itself.
pub(super) fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let mut node = node;
    for _ in 0..DEEPEST {
        let target = node["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
        match target.and_then(|pointer| document.pointer(pointer)) {
            Some(found) => node = found,
            None => break,
        }
    }
    node
}

fn walk(
    document: &Value,
    schema: &Value,
    selector: &str,
    name: &str,
    depth: usize,
    found: &mut Vec<Member>,
) {
    if depth > DEEPEST || found.len() >= MOST {
        return;
    }
    let schema = resolved(document, schema);
    let mut composed = false;
    for key in ["allOf", "oneOf", "anyOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            composed = true;
            walk(document, part, selector, name, depth + 1, found);
        }
    }
    if schema["items"].is_object() {
        walk(document, &schema["items"], &format!("{selector}[*]"), name, depth + 1, found);
        return;
    }
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    for (member, below) in properties {
        walk(document, below, &format!("{selector}{}", step(member)), member, depth + 1, found);
    }
    // An object whose members are not described stays uncatalogued.
    let is_leaf = properties.is_empty() && !composed && schema["type"] != "object";
    let is_new = || found.iter().all(|member| member.selector != selector);
    if is_leaf && selector != "$" && is_new() {
        found.push(Member { selector: selector.to_owned(), category: guess(name) });
    }
}

/// A member's name as a step of a selector. Source: RFC 9535 §2.3.1.1.
fn step(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if starts && name.bytes().all(plain) {
        return format!(".{name}");
    }
    // A JSON string is a selector's string in double quotes.
    format!("[{}]", Value::from(name))
}

/// A category for a name; `unreviewed.…` where the name says nothing.
fn guess(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    if plain == "id" || plain == "userid" || plain == "customerid" {
        return "account.id".to_owned();
    }
    match GUESSES.iter().find(|(word, _)| plain.contains(word)) {
        Some((_, category)) => (*category).to_owned(),
        None if plain.is_empty() => "unreviewed.member".to_owned(),
        None => format!("unreviewed.{plain}"),
    }
}
