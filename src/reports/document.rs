//! A report before it has a form: members in the order in which they are read, texts and tables.

use serde_json::{Map, Value, json};

use super::Basis;

/// One report.
#[derive(Debug)]
pub struct Document {
    /// The report's word.
    pub name: &'static str,
    /// Its title, for people.
    pub title: String,
    /// What it rests on.
    pub basis: Basis,
    /// What must be known to read it, one sentence each.
    pub remarks: Vec<String>,
    /// What it says.
    pub members: Vec<Member>,
}

/// One part of a report.
#[derive(Debug)]
pub enum Member {
    /// A text, number or list under a key.
    Said(&'static str, Value),
    /// Rows under a key.
    Rows(&'static str, Table),
}

/// Rows with the same columns.
#[derive(Debug)]
pub struct Table {
    /// Their names.
    pub columns: Vec<&'static str>,
    /// Cells in the order of `columns`.
    pub rows: Vec<Vec<Value>>,
}

impl Document {
    /// As one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut document = Map::new();
        document.insert("report".into(), self.name.into());
        document.insert("title".into(), self.title.as_str().into());
        document.insert("basis".into(), self.basis.json());
        document.insert("remarks".into(), json!(self.remarks));
        for member in &self.members {
            let (key, value) = match member {
                Member::Said(key, value) => (key, value.clone()),
                Member::Rows(key, table) => (key, table.json()),
            };
            document.insert((*key).into(), value);
        }
        Value::Object(document)
    }
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// A table of objects: the members that `columns` name.
    #[must_use]
    pub fn of(columns: &[&'static str], objects: &Value) -> Self {
        let objects = objects.as_array().into_iter().flatten();
        let cells = |object: &Value| columns.iter().map(|name| object[*name].clone()).collect();
        Self { columns: columns.to_vec(), rows: objects.map(cells).collect() }
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<Value>| -> Value {
            let cells = self.columns.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
            Value::Object(cells.collect())
        };
        self.rows.iter().map(object).collect()
    }
}

/// A cell as one line of text: lists and maps are flattened.
pub(super) fn flat(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join("; "),
        Value::Object(members) => {
            let members = members.iter().map(|(name, word)| format!("{name}: {}", flat(word)));
            members.collect::<Vec<_>>().join("; ")
        }
    }
}

/// A key as people read it.
pub(super) fn words(key: &str) -> String {
    let mut text = key.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ledger::{Anchor, Checkpoint, GENESIS, PolicyOf, Window};
    use crate::reports::{Chain, ChainBasis};

    /// A report with everything that is awkward to print.
    pub(in crate::reports) fn sample() -> Document {
        let basis = Basis {
            as_of: jiff::Timestamp::UNIX_EPOCH,
            window: Window { from: Some(jiff::Timestamp::UNIX_EPOCH), until: None },
            chains: vec![ChainBasis {
                node: "gw-1".into(),
                state: Chain::Holds,
                head: Some((Anchor { sequence: 7, hash: GENESIS }, GENESIS)),
                signed: Some(Checkpoint { origin: "gw.example/1".into(), size: 5, root: GENESIS }),
                unchecked: 0,
                checkpoints_unreadable: 0,
                ledger: 0,
                place: std::path::Path::new("ledger").into(),
            }],
            policy: PolicyOf { id: "p".into(), rev: "1".into(), digest: "sha-256:0".into() },
            policy_title: "A <policy>".into(),
            controller: "Beispiel & Söhne".into(),
            lost: 2,
            unreadable: 0,
            decided_by: std::collections::BTreeSet::new(),
            unopened: 0,
        };
        let mut table = Table::new(&["recipient", "categories", "last"]);
        table.rows.push(vec![json!("=cmd()"), json!({"a.b": ["keep", "token"]}), json!(null)]);
        table.rows.push(vec![json!("<script>"), json!([]), json!("\"quoted\", with commas")]);
        Document {
            name: "sample",
            title: "A report".into(),
            basis,
            remarks: vec!["Read this first.".into()],
            members: vec![
                Member::Said("people", json!("4 to 6")),
                Member::Said("late", json!(true)),
                Member::Rows("who_got_what", table),
                Member::Rows("nothing", Table::new(&["a"])),
            ],
        }
    }

    #[test]
    fn a_report_is_one_object_with_its_tables_as_lists_of_objects() {
        let json = sample().json();
        assert_eq!(json["report"], "sample");
        assert_eq!(json["basis"]["entries_lost"], 2, "what was lost is said");
        assert_eq!(json["who_got_what"][0]["categories"]["a.b"][1], "token");
        assert_eq!(json["nothing"], json!([]));
    }
}
