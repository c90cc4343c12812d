//! What is known of people: their statements, and what they asked for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Body, OfSubject, change, document, no_body, read, subject_of};
use crate::admin::AdminState;
use crate::admin::guard::About;
use crate::admin::problem::Problem;
use crate::registers::{
    Recorded, RegisterStore, Registers as _, RegistersUnavailable, statements_to_json,
};
use crate::terms::{DataSubject, Statements};

/// Most requests listed at a time; those that are answered make room for the next.
const REQUESTS: usize = 500;

/// Requests of people that nobody answered yet, the oldest first.
pub(super) async fn requests(State(state): State<AdminState>) -> Answer {
    let (open, people) = asked(&state, |registers| {
        let open = registers.open_requests(REQUESTS)?;
        let people = open.iter().map(|request| request.subject.clone());
        let people = not_erased(registers, people.collect())?;
        Ok((open, people))
    })
    .await?;
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
    Ok(about(document(StatusCode::OK, json!({"requests": open})), people))
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
