//! Routes of the admin API. Subjects stand in bodies only: URLs end up in logs.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router, middleware};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::Holder;
use super::problem::Problem;
use super::{AdminState, guard};
use crate::registers::{
    Record, RecordError, Recorded, RegisterStore, Registers as _, case_to_json, check_purpose,
    check_recipient, check_record, order_to_json, statements_to_json,
};
use crate::terms::{Personal, PurposePattern, RecipientId};

/// Longest body: several times the longest record that somebody would write.
const BODY_BYTES: usize = 64 << 10;

/// Most requests listed at a time; those that are answered make room for the next.
const REQUESTS: usize = 500;

type Answer = Result<Response, Problem>;
type Body = Result<Bytes, BytesRejection>;

pub(super) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/v1/consents", post(|s, h, b| take("consent", s, h, b)))
        .route("/v1/consents/{id}/withdrawal", post(withdraw_consent))
        .route("/v1/withdrawals", post(withdraw))
        .route("/v1/notices", put(|s, h, b| take("notice", s, h, b)))
        .route("/v1/objections", put(|s, h, b| take("objection", s, h, b)))
        .route("/v1/objections/lift", post(lift_objection))
        .route("/v1/restrictions", put(|s, h, b| take("restriction", s, h, b)))
        .route("/v1/restrictions/lift", post(lift_restrictions))
        .route("/v1/erasures", put(|s, h, b| take("erasure", s, h, b)))
        .route("/v1/subjects", put(|s, h, b| take("subject", s, h, b)))
        .route("/v1/one-time-grants", put(|s, h, b| take("one-time-grant", s, h, b)))
        .route("/v1/orders", put(|s, h, b| take("order", s, h, b)))
        .route("/v1/orders/{id}", get(order))
        .route("/v1/orders/{id}/approval", post(approve_order))
        .route("/v1/orders/{id}/lift", post(lift_order))
        .route("/v1/cases", put(|s, h, b| take("case", s, h, b)))
        .route("/v1/cases/{id}", get(case))
        .route("/v1/cases/{id}/closure", post(close_case))
        .route("/v1/requests", get(requests))
        .route("/v1/requests/{receipt}/answer", post(answer_request))
        .route("/v1/statements/query", post(statements))
        .route("/v1/policy", get(policy))
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        // Around the routes and the fallback alike: without a token nobody learns what there is.
        .fallback(|| async { Problem::NotFound })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), guard::admin))
        .with_state(state)
}

/// Takes one record of the route's kind: 201 where it says something new, 200 where it is known.
async fn take(
    kind: &'static str,
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let record = Record::parse_as(kind, &json_body(&headers, body)?)?;
    check_record(&state.policy.load(), &record)?;
    let recorded = change(&state, move |registers| registers.record(&record)).await?;
    let status = match recorded {
        Recorded::New => StatusCode::CREATED,
        Recorded::Known => StatusCode::OK,
    };
    Ok(document(status, json!({"new": recorded == Recorded::New})))
}

async fn withdraw_consent(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let now = Timestamp::now();
    let recorded = change(&state, move |registers| registers.withdraw_consent(&id, now)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

/// Approves an order in the name of the token's holder: two approvals are two tokens.
async fn approve_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Extension(Holder(approver)): Extension<Holder>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.approve_order(&id, &approver)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

async fn lift_order(State(state): State<AdminState>, Path(id): Path<String>, body: Body) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.lift_order(&id)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

async fn close_case(State(state): State<AdminState>, Path(id): Path<String>, body: Body) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.close_case(&id)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

async fn order(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let approvers = state.policy.load().registers.order_approvers;
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || registers.order(&id)).await;
    let order = found.map_err(|_| Problem::Unavailable)??.ok_or(Problem::NotFound)?;
    let in_force = order.is_in_force(Timestamp::now(), approvers);
    Ok(document(StatusCode::OK, order_to_json(&order, in_force)))
}

async fn case(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || registers.case(&id)).await;
    let case = found.map_err(|_| Problem::Unavailable)??.ok_or(Problem::NotFound)?;
    Ok(document(StatusCode::OK, case_to_json(&case, case.is_open(Timestamp::now()))))
}

/// Requests of people that nobody answered yet, the oldest first.
async fn requests(State(state): State<AdminState>) -> Answer {
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || registers.open_requests(REQUESTS)).await;
    let open = found.map_err(|_| Problem::Unavailable)??;
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
    Ok(document(StatusCode::OK, json!({"requests": open})))
}

async fn answer_request(
    State(state): State<AdminState>,
    Path(receipt): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.answer_request(&receipt)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

fn no_body(body: Body) -> Result<(), Problem> {
    if body.is_ok_and(|body| body.is_empty()) {
        return Ok(());
    }
    Err(Problem::Invalid("the body must be empty".into()))
}

/// A withdrawal of everything for a purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    subject: String,
    purpose: String,
    recipient: Option<String>,
}

async fn withdraw(State(state): State<AdminState>, headers: HeaderMap, body: Body) -> Answer {
    let Withdrawal { subject, purpose, recipient } = read(&headers, body)?;
    let purpose = PurposePattern::new(&purpose);
    {
        let policy = state.policy.load();
        check_purpose(&policy, &purpose)?;
        recipient.as_deref().map_or(Ok(()), |name| check_recipient(&policy, name))?;
    }
    let recipient = recipient.map(RecipientId::from);
    let subject = subject_of(subject)?;
    let ended =
        change(&state, move |registers| registers.withdraw(&subject, &purpose, recipient.as_ref()))
            .await?;
    Ok(document(StatusCode::OK, json!({"consents": ended})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftObjection {
    subject: String,
    purpose: String,
}

async fn lift_objection(State(state): State<AdminState>, headers: HeaderMap, body: Body) -> Answer {
    let LiftObjection { subject, purpose } = read(&headers, body)?;
    let (subject, purpose) = (subject_of(subject)?, PurposePattern::new(&purpose));
    let lifted =
        change(&state, move |registers| registers.lift_objection(&subject, &purpose)).await?;
    Ok(document(StatusCode::OK, json!({"lifted": lifted})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSubject {
    subject: String,
}

async fn lift_restrictions(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let lifted = change(&state, move |registers| registers.lift_restrictions(&subject)).await?;
    Ok(document(StatusCode::OK, json!({"lifted": lifted})))
}

async fn statements(State(state): State<AdminState>, headers: HeaderMap, body: Body) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let registers = Arc::clone(&state.registers);
    let said = tokio::task::spawn_blocking(move || registers.statements(&subject)).await;
    let said = said.map_err(|_| Problem::Unavailable)??;
    Ok(document(StatusCode::OK, statements_to_json(&said, Timestamp::now())))
}

/// The policy in force: what a consent application needs to bind consent to the present texts.
async fn policy(State(state): State<AdminState>) -> Response {
    let policy = state.policy.load();
    let purposes: serde_json::Map<String, Value> = policy
        .purposes
        .iter()
        .map(|(id, purpose)| {
            let about = json!({
                "text": purpose.text,
                "text_digest": purpose.text_digest,
                "basis": purpose.basis.as_str(),
                "consent_names_recipient": purpose.consent_names_recipient,
            });
            (id.to_string(), about)
        })
        .collect();
    let not_enforced: Vec<&str> =
        policy.unenforced.iter().map(|unenforced| unenforced.what.as_str()).collect();
    let recipients: Vec<&str> = policy.recipients.keys().map(RecipientId::as_str).collect();
    let about = json!({
        "id": &*policy.id,
        "title": policy.title,
        "revision": policy.revision,
        "digest": policy.digest,
        "purposes": purposes,
        "recipients": recipients,
        "not_enforced": not_enforced,
    });
    document(StatusCode::OK, about)
}

/// Changes the registers, then enters the change. The person's word counts from the first step on;
/// if the ledger is not there, the change waits in the registers until it is.
async fn change<T: Send + 'static>(
    state: &AdminState,
    change: impl FnOnce(&RegisterStore) -> Result<T, RecordError> + Send + 'static,
) -> Result<T, Problem> {
    let registers = Arc::clone(&state.registers);
    let changed = tokio::task::spawn_blocking(move || change(&registers)).await;
    let changed = changed.map_err(|_| Problem::Unavailable)??;
    if let Err(error) = state.drain.run().await {
        tracing::warn!(%error, "a change of the registers is not entered yet");
    }
    Ok(changed)
}

fn json_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
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

fn subject_of(subject: String) -> Result<crate::terms::DataSubject, Problem> {
    if subject.is_empty() {
        return Err(Problem::Invalid("subject".into()));
    }
    Ok(Personal::new(subject.into()))
}

fn document(status: StatusCode, document: Value) -> Response {
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(document)).into_response()
}
