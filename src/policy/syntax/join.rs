//! Several files → one tree. Sections of lists are put one behind the other, sections of names beside
//! each other; a section that is one thing stands in one file.

use super::findings::Findings;
use super::node::{Key, Node, Value};

/// Sections whose members are names of the author: they may be spread over files.
const SPREAD: [&str; 6] =
    ["categories", "purposes", "recipients", "cookies", "not_encoded", "beyond"];

/// What belongs to the first file alone.
const OF_THE_FIRST: [&str; 3] = ["tamis", "policy", "include"];

/// Joins `more` to `first`.
pub(in crate::policy) fn join(first: Node, more: Vec<Node>, findings: &mut Findings) -> Node {
    let Node { place, value: Value::Map(mut sections) } = first else { return first };
    for file in more {
        let Value::Map(others) = file.value else {
            findings.error("T108", &file.place, "an included file holds sections of rules");
            continue;
        };
        for (key, node) in others {
            if OF_THE_FIRST.contains(&key.text.as_str()) {
                let message = format!("`{}` stands in the file that includes others", key.text);
                findings.error("T108", &key.place, message);
            } else if let Some((_, there)) = sections.iter_mut().find(|(k, _)| k.text == key.text) {
                section(&key, there, node, findings);
            } else {
                sections.push((key, node));
            }
        }
    }
    Node { place, value: Value::Map(sections) }
}

fn section(key: &Key, there: &mut Node, node: Node, findings: &mut Findings) {
    let spread = SPREAD.contains(&key.text.as_str());
    match (&mut there.value, node.value) {
        (Value::List(items), Value::List(more)) => items.extend(more),
        (Value::Map(members), Value::Map(more)) if spread => {
            for (name, member) in more {
                match members.iter().find(|(k, _)| k.text == name.text) {
                    None => members.push((name, member)),
                    Some((other, _)) => {
                        let message = format!("`{}` stands at {} already", name.text, other.place);
                        findings.error("T102", &name.place, message);
                    }
                }
            }
        }
        _ => {
            let message = format!("`{}` stands at {} already", key.text, there.place);
            let help = Some("this section stands in one file".to_owned());
            findings.error_with("T108", &key.place, message, help);
        }
    }
}
