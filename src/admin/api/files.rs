//! Orders and cases: entered as records, shown without the people they name.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;

use super::pages::{AskedPage, Listing};
use super::{Answer, Body, asked, change, document, no_body, said};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::problem::Problem;
use crate::admin::repeat::Sent;
use crate::registers::{Registers as _, case_to_json, order_to_json};
use crate::terms::{Case, LegalOrder};

/// Approves an order in the caller's own name: two approvals are two callers.
pub(super) async fn approve_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    change(&state, sent, move |changing| changing.approve_order(&id, &caller.name), said).await
}

pub(super) async fn lift_order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    change(&state, sent, move |changing| changing.lift_order(&id), said).await
}

pub(super) async fn order(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let order = asked(&state, move |registers| registers.order(&id)).await?;
    let order = order.ok_or(Problem::NotFound)?;
    let shown = order_to_json(&order, &state.policy.load(), Timestamp::now());
    Ok(document(StatusCode::OK, shown))
}

/// Orders in every state, by their ids, a page at a time.
pub(super) async fn orders(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    page: AskedPage,
) -> Answer {
    let (listing, [after]) = Listing::of(&state, &caller, "orders", page)?;
    let limit = listing.sought();
    let found = asked(&state, move |registers| registers.orders_after(&after, limit)).await?;
    let (policy, now) = (state.policy.load_full(), Timestamp::now());
    let show = |order: &LegalOrder| order_to_json(order, &policy, now);
    let answer = listing.answer(&found, show, |last| vec![last.id.to_string()])?;
    Ok(document(StatusCode::OK, answer))
}

pub(super) async fn close_case(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    change(&state, sent, move |changing| changing.close_case(&id), said).await
}

pub(super) async fn case(State(state): State<AdminState>, Path(id): Path<String>) -> Answer {
    let case = asked(&state, move |registers| registers.case(&id)).await?;
    let case = case.ok_or(Problem::NotFound)?;
    Ok(document(StatusCode::OK, case_to_json(&case, Timestamp::now())))
}

/// Cases, open or not, by their ids, a page at a time.
pub(super) async fn cases(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    page: AskedPage,
) -> Answer {
    let (listing, [after]) = Listing::of(&state, &caller, "cases", page)?;
    let limit = listing.sought();
    let found = asked(&state, move |registers| registers.cases_after(&after, limit)).await?;
    let now = Timestamp::now();
    let show = |case: &Case| case_to_json(case, now);
    let answer = listing.answer(&found, show, |last| vec![last.id.to_string()])?;
    Ok(document(StatusCode::OK, answer))
}
