//! What is known of people: their statements, and what they asked for.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, OfSubject, change, document, no_body, read, subject_of};
use crate::admin::AdminState;
use crate::admin::guard::{About, Caller};
use crate::admin::problem::Problem;
use crate::registers::{
    Recorded, RegisterStore, Registers as _, RegistersUnavailable, statements_to_json,
};
use crate::terms::{DataSubject, Statements};

/// Most requests listed at a time.
const REQUESTS: usize = 500;

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Requests of people that nobody answered yet, the oldest first, a page at a time.
pub(super) async fn requests(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let known = || Problem::Invalid(format!("limit, from 1 to {REQUESTS}, and cursor"));
    let Ok(Query(Page { limit, cursor })) = page else { return Err(known()) };
    let limit = limit.unwrap_or(REQUESTS);
    if !(1..=REQUESTS).contains(&limit) {
        return Err(known());
    }
    let place = match cursor {
        None => [String::new(), String::new()],
        Some(cursor) => {
            let cursors = state.access.load().cursors.clone();
            let place = cursors.and_then(|all| all.open("requests", &caller.name, &cursor));
            let place = place.and_then(|place| place.try_into().ok());
            place.ok_or_else(|| Problem::Invalid("cursor: none of this list; begin anew".into()))?
        }
    };
    // One more than is shown tells whether there are more.
    let (mut open, people) = asked(&state, move |registers| {
        let [at, id] = &place;
        let open = registers.open_requests_after((at, id), limit + 1)?;
        let people = open.iter().take(limit).map(|request| request.subject.clone());
        let people = not_erased(registers, people.collect())?;
        Ok((open, people))
    })
    .await?;
    let is_last = open.len() <= limit;
    open.truncate(limit);
    let next = match open.last().filter(|_| !is_last) {
        None => None,
        Some(last) => {
            let place = [&*last.receipt.received_at.to_string(), &*last.receipt.id];
            let cursors = state.access.load().cursors.clone();
            let next = cursors.and_then(|all| all.seal("requests", &caller.name, &place));
            Some(next.ok_or(Problem::Unavailable)?)
        }
    };
    let open: Vec<Value> = open
        .iter()
        .map(|request| {
            json!({
                "receipt": request.receipt.id,
                "received_at": request.receipt.received_at.to_string(),
                "subject": request.subject.expose(),
                "right": request.right,
                "categories": request.categories,
            })
        })
        .collect();
    let mut answer = json!({"requests": open});
    if let Some(next) = next {
        answer["next"] = next.into();
    }
    Ok(about(document(StatusCode::OK, answer), people))
}

pub(super) async fn answer_request(
    State(state): State<AdminState>,
    Path(receipt): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.answer_request(&receipt)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

/// `new` is false where the notice was not given up.
pub(super) async fn retry_notice(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let retried = change(&state, move |registers| registers.retry_notice(&id, Timestamp::now()));
    Ok(document(StatusCode::OK, json!({"new": retried.await? == Recorded::New})))
}

pub(super) async fn statements(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let (said, people) = asked(&state, move |registers| {
        let said = registers.statements(&subject)?;
        Ok((said, not_erased(registers, vec![subject])?))
    })
    .await?;
    Ok(about(document(StatusCode::OK, statements_to_json(&said, Timestamp::now())), people))
}

/// Asks the registers aside, since they read a disk.
async fn asked<T: Send + 'static>(
    state: &AdminState,
    ask: impl FnOnce(&RegisterStore) -> Result<T, RegistersUnavailable> + Send + 'static,
) -> Result<T, Problem> {
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || ask(&registers)).await;
    Ok(found.map_err(|_| Problem::Unavailable)??)
}

/// Those whom the ledger may have a tag for: who is erased has none any more, and is not given one
/// for having been looked up.
fn not_erased(
    registers: &RegisterStore,
    mut people: Vec<DataSubject>,
) -> Result<Vec<DataSubject>, RegistersUnavailable> {
    let now = Timestamp::now();
    let is_erased = |said: &Statements| {
        said.erasure.as_ref().is_some_and(|erasure| erasure.effective_at <= now)
    };
    let mut kept = Vec::with_capacity(people.len());
    for person in people.drain(..) {
        if !is_erased(&*registers.statements(&person)?) && !kept.contains(&person) {
            kept.push(person);
        }
    }
    Ok(kept)
}

/// `answer`, with whom it is about.
fn about(mut answer: Response, people: Vec<DataSubject>) -> Response {
    answer.extensions_mut().insert(About(people));
    answer
}
