//! The coarser form of an older line. Lines are our own: flat objects of one line each.

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::policy::model::{Coarser, Cold};

/// What a line becomes, with its line feed. `None`: it cannot be made coarser, so it must go.
pub(crate) fn coarser(line: &[u8], cold: &Cold) -> Option<String> {
    let Members(members) = serde_json::from_slice(line).ok()?;
    let mut written = String::with_capacity(line.len() + 1);
    for (name, value) in members {
        let value = match treatment(&name, cold) {
            None => value,
            Some(Coarser::Remove) => continue,
            Some(how) => cut(&value, how)?,
        };
        written.push(if written.is_empty() { '{' } else { ',' });
        written.push_str(&Value::from(name).to_string());
        written.push(':');
        written.push_str(&value.to_string());
    }
    written.push_str(if written.is_empty() { "{}\n" } else { "}\n" });
    Some(written)
}

fn treatment(name: &str, cold: &Cold) -> Option<Coarser> {
    // The decision's id is written with the decision and leaves with it.
    let field = if name == "decision_id" { "decision" } else { name };
    cold.fields.iter().find(|(known, _)| known == field).map(|(_, how)| *how)
}

/// A time, cut.
fn cut(value: &Value, how: Coarser) -> Option<Value> {
    let at: Timestamp = value.as_str()?.parse().ok()?;
    let step = match how {
        Coarser::Hour => 3600,
        Coarser::Day => 24 * 3600,
        Coarser::Remove => return None,
    };
    let second = at.as_second();
    let cut = Timestamp::from_second(second - second.rem_euclid(step)).ok()?;
    Some(format!("{cut:.0}").into())
}

/// Members in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_line_keeps_its_order_and_loses_what_is_told() {
        let cold = |fields: &[(&str, Coarser)]| Cold {
            after: SignedDuration::from_hours(24),
            fields: fields.iter().map(|(name, how)| ((*name).to_owned(), *how)).collect(),
        };
        let line = br#"{"time":"2026-06-01T12:34:56Z","b":1,"a":"x","decision":"released","decision_id":"d_1"}"#;
        for (fields, expected) in [
            (
                &[("time", Coarser::Hour), ("decision", Coarser::Remove)][..],
                Some("{\"time\":\"2026-06-01T12:00:00Z\",\"b\":1,\"a\":\"x\"}\n"),
            ),
            (
                &[("time", Coarser::Day), ("a", Coarser::Remove), ("decision", Coarser::Remove)],
                Some("{\"time\":\"2026-06-01T00:00:00Z\",\"b\":1}\n"),
            ),
            (&[("b", Coarser::Hour)], None),
        ] {
            assert_eq!(coarser(line, &cold(fields)).as_deref(), expected);
        }
        for broken in [&b""[..], b"{", b"[]", b"{\"time\":1}"] {
            assert_eq!(coarser(broken, &cold(&[("time", Coarser::Hour)])), None);
        }
    }
}
