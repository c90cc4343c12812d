//! `/metrics`, `/livez`, `/readyz`, `/status`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::problem::Problem;
use super::standing::TLS_PARTS;
use super::{AdminState, guard};

pub(super) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed("GET, HEAD".into()) })
        .layer(middleware::from_fn(guard::no_browser))
        .with_state(state)
}

async fn metrics(State(state): State<AdminState>) -> Response {
    registers(&state).await;
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4"), (CACHE_CONTROL, "no-store")];
    (headers, state.metrics.text()).into_response()
}

/// Alive: this process answers. Whether it may take requests is `/readyz`.
async fn live() -> Response {
    ([(CACHE_CONTROL, "no-store")], "live\n").into_response()
}

/// Ready: a disclosure could be decided and entered now. With the reason for each that is not.
async fn ready(State(state): State<AdminState>) -> Response {
    let policy = state.policy.load();
    let stopping = state.stopping.load(Ordering::Relaxed);
    let registers = registers(&state).await;
    let ledger = state.ledger.writable();
    // What rests on consent is refused without them. The rest goes on, but not all that is promised.
    let consents = policy.registers.consent_file.is_none() || state.metrics.are_consents_known();
    let material = state.standing.material();
    let ready = !stopping && registers && consents && ledger.is_ok() && material.serves;
    let word = |good: bool, bad: &str| Value::from(if good { "ok" } else { bad });
    let document = json!({
        "ready": ready,
        "checks": {
            "policy": "ok",
            "registers": word(registers, "unavailable"),
            "consents": word(consents, "the file of consents cannot be relied on"),
            // The ring in force goes on; a start with this file would fail.
            "key_ring": state.standing.refused(&["keys"]).unwrap_or_else(|| "ok".into()),
            // A warning: what is disclosed is entered all the same, and what is signed is kept here.
            "checkpoint_targets": state.standing.undelivered().unwrap_or_else(|| "ok".into()),
            // They are told before they end; handshakes that need them fail then, and the rest goes on.
            "certificates": state
                .standing
                .refused(&TLS_PARTS)
                .or(material.words)
                .unwrap_or_else(|| "ok".into()),
            "ledger": ledger.map_or_else(|error| error.to_string(), |()| "ok".into()),
            "taking_requests": word(!stopping, "stopping"),
        },
        "policy": {"id": &*policy.id, "digest": policy.digest},
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(document)).into_response()
}

/// What is in force, since when, and what was refused when files were read anew.
async fn status(State(state): State<AdminState>) -> Response {
    let policy = state.policy.load();
    let mut document = state.standing.document(Timestamp::now());
    document["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["policy"] =
        json!({"id": &*policy.id, "revision": policy.revision, "digest": policy.digest});
    // By route, never by name: a member's name may be a person's id.
    document["unlisted_members"] = json!(state.metrics.unlisted_members());
    ([(CACHE_CONTROL, "no-store")], Json(document)).into_response()
}

/// Whether the registers answer; if so, their age starts anew.
async fn registers(state: &AdminState) -> bool {
    let registers = Arc::clone(&state.registers);
    let answered = tokio::task::spawn_blocking(move || registers.available()).await;
    let Ok(Ok(at)) = answered else { return false };
    state.metrics.registers_answered(at);
    true
}
