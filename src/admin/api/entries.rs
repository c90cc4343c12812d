//! What people say, as it comes in: one record, one withdrawal, one objection lifted.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Body, OfSubject, change, document, json_body, no_body, read, said, subject_of,
};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::registers::{
    LiftedErasures, Record, Recorded, check_person, check_purpose, check_recipient, check_record,
};
use crate::terms::{CategoryPattern, PurposePattern, RecipientId};

/// Takes one record of the route's kind: 201 where it says something new, 200 where it is known.
pub(super) async fn take(
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

pub(super) async fn withdraw_consent(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    no_body(body)?;
    let now = Timestamp::now();
    let recorded = change(&state, move |registers| registers.withdraw_consent(&id, now)).await?;
    Ok(said(recorded))
}

/// A withdrawal of everything for a purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    subject: String,
    purpose: String,
    recipient: Option<String>,
}

pub(super) async fn withdraw(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Withdrawal { subject, purpose, recipient } = read(&headers, body)?;
    let (subject, purpose) = (subject_of(subject)?, PurposePattern::new(&purpose));
    {
        let policy = state.policy.load();
        check_person(&policy, &subject)?;
        check_purpose(&policy, &purpose)?;
        recipient.as_deref().map_or(Ok(()), |name| check_recipient(&policy, name))?;
    }
    let recipient = recipient.map(RecipientId::from);
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

pub(super) async fn lift_objection(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let LiftObjection { subject, purpose } = read(&headers, body)?;
    let (subject, purpose) = (subject_of(subject)?, PurposePattern::new(&purpose));
    let lifted =
        change(&state, move |registers| registers.lift_objection(&subject, &purpose)).await?;
    Ok(document(StatusCode::OK, json!({"lifted": lifted})))
}

pub(super) async fn lift_restrictions(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let lifted = change(&state, move |registers| registers.lift_restrictions(&subject)).await?;
    Ok(document(StatusCode::OK, json!({"lifted": lifted})))
}

/// Lifts a person's erasures in the caller's own name: two are two callers.
pub(super) async fn lift_erasures(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    check_person(&state.policy.load(), &subject)?;
    let became =
        change(&state, move |registers| registers.lift_erasures(&subject, &caller.name)).await?;
    let LiftedErasures { lifted, waiting } = became;
    Ok(document(StatusCode::OK, json!({"lifted": lifted, "waiting": waiting})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveDisputes {
    subject: String,
    /// Exactly this category or pattern; without it all.
    category: Option<String>,
}

pub(super) async fn resolve_disputes(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let ResolveDisputes { subject, category } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let category = category.as_deref().map(CategoryPattern::new);
    let resolved =
        change(&state, move |registers| registers.resolve_disputes(&subject, category.as_ref()))
            .await?;
    Ok(document(StatusCode::OK, json!({"resolved": resolved})))
}
