//! What is known of people: their statements, and what they asked for.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pages::{AskedPage, Listing};
use super::{
    Answer, Body, OfSubject, about, asked, change, document, no_body, read, said, subject_of,
};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::repeat::Sent;
use crate::registers::{
    OpenRequest, RegisterStore, Registers as _, RegistersUnavailable, statements_to_json,
};
use crate::terms::{DataSubject, Statements};

/// Requests of people that nobody answered yet, the oldest first, a page at a time.
pub(super) async fn requests(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    page: AskedPage,
) -> Answer {
    let (listing, [at, id]) = Listing::of(&state, &caller, "requests", page)?;
    let (limit, shown) = (listing.sought(), listing.sought() - 1);
    let (open, people) = asked(&state, move |registers| {
        let open = registers.open_requests_after((&at, &id), limit)?;
        let people = open.iter().take(shown).map(|request| request.subject.clone());
        let people = not_erased(registers, people.collect())?;
        Ok((open, people))
    })
    .await?;
    let show = |request: &OpenRequest| {
        json!({
            "receipt": request.receipt.id,
            "received_at": request.receipt.received_at.to_string(),
            "subject": request.subject.expose(),
            "right": request.right,
            "categories": request.categories,
        })
    };
    let place =
        |last: &OpenRequest| vec![last.receipt.received_at.to_string(), last.receipt.id.clone()];
    Ok(about(document(StatusCode::OK, listing.answer(&open, show, place)?), people))
}

pub(super) async fn answer_request(
    State(state): State<AdminState>,
    Path(receipt): Path<String>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    change(&state, sent, move |changing| changing.answer_request(&receipt), said).await
}

/// `new` is false where the notice was not given up.
pub(super) async fn retry_notice(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    let now = Timestamp::now();
    change(&state, sent, move |changing| changing.retry_notice(&id, now), said).await
}

pub(super) async fn statements(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    told(&state, &headers, body, |registers, subject| {
        Ok(statements_to_json(&*registers.statements(subject)?, Timestamp::now()))
    })
    .await
}

pub(super) async fn history(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    told(&state, &headers, body, |registers, subject| {
        Ok(json!({"history": registers.acts_of(subject)?}))
    })
    .await
}

/// What the registers tell of the person whom a body names.
async fn told(
    state: &AdminState,
    headers: &HeaderMap,
    body: Body,
    tell: fn(&RegisterStore, &DataSubject) -> Result<Value, RegistersUnavailable>,
) -> Answer {
    let OfSubject { subject } = read(headers, body)?;
    let subject = subject_of(subject)?;
    let (found, people) = asked(state, move |registers| {
        let found = tell(registers, &subject)?;
        Ok((found, not_erased(registers, vec![subject])?))
    })
    .await?;
    Ok(about(document(StatusCode::OK, found), people))
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
