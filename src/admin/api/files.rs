//! Orders and cases: entered as records, shown without the people they name.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;

use super::{Answer, Body, asked, change, document, no_body, said};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::problem::Problem;
use crate::registers::{Registers as _, case_to_json, order_to_json};

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
    Ok(said(recorded))
}

pub(super) async fn lift_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let recorded = change(&state, move |registers| registers.lift_order(&id)).await?;
    Ok(said(recorded))
}

pub(super) async fn order(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let approvers = state.policy.load().registers.order_approvers;
    let order = asked(&state, move |registers| registers.order(&id)).await?;
    let order = order.ok_or(Problem::NotFound)?;
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
    Ok(said(recorded))
}

pub(super) async fn case(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let case = asked(&state, move |registers| registers.case(&id)).await?;
    let case = case.ok_or(Problem::NotFound)?;
    Ok(document(StatusCode::OK, case_to_json(&case, case.is_open(Timestamp::now()))))
}
