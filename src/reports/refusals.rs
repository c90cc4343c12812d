//! What was refused, and why.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Basis, Document, Member, Query, ReportError, Sources, Table};
use crate::ledger::Entry;

/// What refusals are told apart by: reason, recipient, route, purposes.
type Key = (String, Option<String>, Option<String>, String);

/// Refusals by reason, recipient, route and purpose.
pub(super) fn refusals(
    _query: &Query,
    _sources: &Sources<'_>,
    mut basis: Basis,
) -> Result<Document, ReportError> {
    let mut found: BTreeMap<Key, (u64, String, String)> = BTreeMap::new();
    let mut total: u64 = 0;
    basis.scan(&mut |entry| {
        let Entry::Refusal(one) = entry else { return };
        total += 1;
        let key = (one.reason, one.recipient, one.route, one.purposes.join(", "));
        let (count, first, last) =
            found.entry(key).or_insert_with(|| (0, one.at.clone(), one.at.clone()));
        *count += 1;
        if one.at < *first {
            first.clone_from(&one.at);
        }
        if one.at > *last {
            *last = one.at;
        }
    })?;
    let mut table =
        Table::new(&["reason", "recipient", "route", "purposes", "requests", "first", "last"]);
    for ((reason, recipient, route, purposes), (count, first, last)) in found {
        table.rows.push(vec![
            json!(reason),
            json!(recipient),
            json!(route),
            json!(purposes),
            json!(count),
            json!(first),
            json!(last),
        ]);
    }
    let remarks = vec![
        "The reasons are the true ones; outsiders were told less. A refusal about a person says \
         nothing of who they are."
            .to_owned(),
    ];
    let members = vec![Member::Said("total", json!(total)), Member::Rows("refusals", table)];
    let title = "What was refused, and why".to_owned();
    Ok(Document { name: "refusals", title, basis, remarks, members })
}
