//! Many records at once, all of them or none.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Body, changed, json_body};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::problem::Problem;
use crate::admin::repeat::Sent;
use crate::admin::roles::may_enter;
use crate::registers::{Bulk, BulkForm, Imported, one_a_line};

/// What stands in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    form: Option<String>,
}

/// Takes records of any kind that the caller may enter one by one, or receipts.
pub(super) async fn import(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    sent: Sent,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let known = || Problem::Invalid("form: records, kantara or iso-27560".into());
    let Ok(Query(Asked { form })) = asked else { return Err(known()) };
    let form = match form {
        None => BulkForm::default(),
        Some(word) => BulkForm::parse(&word).ok_or_else(known)?,
    };
    let is_lines = headers.get_all(CONTENT_TYPE).iter().eq(["application/x-ndjson"]);
    let text =
        if is_lines { body.map_err(|_| Problem::TooLarge)? } else { json_body(&headers, body)? };
    let policy = state.policy.load_full();
    let bulk = tokio::task::spawn_blocking(move || {
        let lines = one_a_line(form, &text);
        let text = lines.as_deref().unwrap_or(&text);
        Bulk::read(form, text, &policy, &|record| may_enter(record.kind(), &caller.roles))
    });
    let bulk = bulk.await.map_err(|_| Problem::Unavailable)??;
    let answer =
        |Imported { records, new }| (StatusCode::OK, json!({"records": records, "new": new}));
    // Bulk is entered in the ledger by the gateway's own pace: nobody waits for 50,000 entries.
    changed(&state, sent, move |changing| bulk.enter(changing), answer).await
}
