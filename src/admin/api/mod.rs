//! Routes of the admin API. Subjects stand in bodies only: URLs end up in logs.

mod bulk;
mod entries;
mod export;
mod files;
mod pages;
mod people;
mod reports;
mod rules;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::About;
use super::problem::Problem;
use super::repeat::{Sent, answered};
use super::roles::{BODY_BYTES, IMPORT_BYTES};
use super::{AdminState, guard};
use crate::registers::{Changing, Recorded, RegisterStore, RegistersUnavailable};
use crate::terms::{DataSubject, Personal};

use self::bulk::import;
use self::entries::{
    lift_erasures, lift_objection, lift_restrictions, resolve_disputes, take, withdraw,
    withdraw_consent,
};
use self::export::export;
use self::files::{approve_order, case, cases, close_case, lift_order, order, orders};
use self::people::{answer_request, history, requests, retry_notice, statements};
use self::reports::{report, report_about};
use self::rules::{callers, openapi, policy};

pub use self::reports::Reporting;

type Answer = Result<Response, Problem>;
type Body = Result<Bytes, BytesRejection>;

pub(super) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/v1/consents", post(|s, k, h, b| take("consent", s, k, h, b)))
        .route("/v1/consents/{id}/withdrawal", post(withdraw_consent))
        .route("/v1/withdrawals", post(withdraw))
        .route("/v1/notices", put(|s, k, h, b| take("notice", s, k, h, b)))
        .route("/v1/objections", put(|s, k, h, b| take("objection", s, k, h, b)))
        .route("/v1/objections/lift", post(lift_objection))
        .route("/v1/restrictions", put(|s, k, h, b| take("restriction", s, k, h, b)))
        .route("/v1/restrictions/lift", post(lift_restrictions))
        .route("/v1/disputes", put(|s, k, h, b| take("dispute", s, k, h, b)))
        .route("/v1/disputes/resolve", post(resolve_disputes))
        .route("/v1/erasures", put(|s, k, h, b| take("erasure", s, k, h, b)))
        .route("/v1/erasures/lift", post(lift_erasures))
        .route("/v1/subjects", put(|s, k, h, b| take("subject", s, k, h, b)))
        .route("/v1/one-time-grants", put(|s, k, h, b| take("one-time-grant", s, k, h, b)))
        .route("/v1/orders", get(orders).put(|s, k, h, b| take("order", s, k, h, b)))
        .route("/v1/orders/{id}", get(order))
        .route("/v1/orders/{id}/approval", post(approve_order))
        .route("/v1/orders/{id}/lift", post(lift_order))
        .route("/v1/cases", get(cases).put(|s, k, h, b| take("case", s, k, h, b)))
        .route("/v1/cases/{id}", get(case))
        .route("/v1/cases/{id}/closure", post(close_case))
        .route("/v1/requests", get(requests))
        .route("/v1/requests/{receipt}/answer", post(answer_request))
        .route("/v1/erasure-notices/{id}/retry", post(retry_notice))
        .route("/v1/statements/query", post(statements))
        .route("/v1/statements/history", post(history))
        .route("/v1/reports/{name}", get(report))
        .route("/v1/reports/{name}/query", post(report_about))
        .route("/v1/import", post(import).layer(DefaultBodyLimit::max(IMPORT_BYTES)))
        .route("/v1/export", get(export))
        .route("/v1/callers", get(callers))
        .route("/v1/policy", get(policy))
        .route("/openapi.json", get(openapi))
        // Around the routes and the fallback alike: without a token nobody learns what there is.
        .fallback(|| async { Problem::NotFound })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), guard::admin))
        .with_state(state)
}

fn no_body(body: Body) -> Result<(), Problem> {
    if body.is_ok_and(|body| body.is_empty()) {
        return Ok(());
    }
    Err(Problem::Invalid("the body must be empty".into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSubject {
    subject: String,
}

/// Changes the registers, then enters the change. The person's word counts from the first step on;
/// if the ledger is not there, the change waits in the registers until it is. `answer` makes the answer,
/// which is kept with the change where it was sent under a key.
async fn change<T, E: Into<Problem>>(
    state: &AdminState,
    sent: Sent,
    change: impl FnOnce(&Changing<'_>) -> Result<T, E> + Send + 'static,
    answer: impl FnOnce(T) -> (StatusCode, Value) + Send + 'static,
) -> Answer {
    let changed = changed(state, sent, change, answer).await?;
    if let Err(error) = state.drain.run().await {
        tracing::warn!(%error, "a change of the registers is not entered yet");
    }
    Ok(changed)
}

/// As [`change`], without waiting for the entry.
async fn changed<T, E: Into<Problem>>(
    state: &AdminState,
    sent: Sent,
    change: impl FnOnce(&Changing<'_>) -> Result<T, E> + Send + 'static,
    answer: impl FnOnce(T) -> (StatusCode, Value) + Send + 'static,
) -> Answer {
    let registers = Arc::clone(&state.registers);
    let made = tokio::task::spawn_blocking(move || {
        sent.make(&registers, |changing| change(changing).map_err(Into::into), answer)
    });
    Ok(answered(made.await.map_err(|_| Problem::Unavailable)??))
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

/// `answer`, with whom it is about.
fn about(mut answer: Response, people: Vec<DataSubject>) -> Response {
    answer.extensions_mut().insert(About(people));
    answer
}

/// Whether a call said something new.
fn said(recorded: Recorded) -> (StatusCode, Value) {
    (StatusCode::OK, json!({"new": recorded == Recorded::New}))
}

fn json_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (declared.next(), declared.next()) else {
        return Err(Problem::NotJson);
    };
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|word| word.eq_ignore_ascii_case("application/json"));
    // Bytes in another charset would be read as something else than was meant.
    let is_utf8 = parts.all(|part| part.eq_ignore_ascii_case("charset=utf-8"));
    if !is_json || !is_utf8 {
        return Err(Problem::NotJson);
    }
    body.map_err(|_| Problem::TooLarge)
}

/// Reads a body that is no record. The parser's words are not passed on: they quote values.
fn read<T: serde::de::DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let body = json_body(headers, body)?;
    serde_json::from_slice(&body).map_err(|error| {
        Problem::Invalid(format!("line {}, column {}", error.line(), error.column()))
    })
}

fn subject_of(subject: String) -> Result<DataSubject, Problem> {
    if subject.is_empty() {
        return Err(Problem::Invalid("subject".into()));
    }
    Ok(Personal::new(subject.into()))
}

fn document(status: StatusCode, document: Value) -> Response {
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(document)).into_response()
}
