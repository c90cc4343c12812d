//! Orders and cases: entered as records, shown without the people they name.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use super::{Answer, Body, change, document, no_body};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::problem::Problem;
use crate::registers::{Recorded, Registers as _, case_to_json, order_to_json};

/// Approves an order in the caller's own name: two approvals are two callers.
pub(super) async fn approve_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded =
        change(&state, move |registers| registers.approve_order(&id, &caller.name)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

pub(super) async fn lift_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.lift_order(&id)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

pub(super) async fn order(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let approvers = state.policy.load().registers.order_approvers;
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || registers.order(&id)).await;
    let order = found.map_err(|_| Problem::Unavailable)??.ok_or(Problem::NotFound)?;
    let in_force = order.is_in_force(Timestamp::now(), approvers);
    Ok(document(StatusCode::OK, order_to_json(&order, in_force)))
}

pub(super) async fn close_case(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.close_case(&id)).await?;
    Ok(document(StatusCode::OK, json!({"new": recorded == Recorded::New})))
}

pub(super) async fn case(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let registers = Arc::clone(&state.registers);
    let found = tokio::task::spawn_blocking(move || registers.case(&id)).await;
    let case = found.map_err(|_| Problem::Unavailable)??.ok_or(Problem::NotFound)?;
    Ok(document(StatusCode::OK, case_to_json(&case, case.is_open(Timestamp::now()))))
}
