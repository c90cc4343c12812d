//! What people say, as it comes in: one record, one withdrawal, one objection lifted.

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, OfSubject, change, json_body, no_body, read, said, subject_of};
use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::repeat::Sent;
use crate::registers::{
    Changing, LiftedErasures, Record, Recorded, check_person, check_purpose, check_recipient,
    check_record,
};
use crate::terms::{CategoryPattern, PurposePattern, RecipientId};

/// Takes one record of the route's kind: 201 where it says something new, 200 where it is known.
pub(super) async fn take(
    kind: &'static str,
    State(state): State<AdminState>,
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let record = Record::parse_as(kind, &json_body(&headers, body)?)?;
    check_record(&state.policy.load(), &record)?;
    let answer = |recorded| match recorded {
        Recorded::New => (StatusCode::CREATED, json!({"new": true})),
        Recorded::Known => (StatusCode::OK, json!({"new": false})),
    };
    change(&state, sent, move |changing| changing.record(&record), answer).await
}

pub(super) async fn withdraw_consent(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    sent: Sent,
    body: Body,
) -> Answer {
    no_body(body)?;
    let (now, must_be_here) = (Timestamp::now(), state.consents_elsewhere);
    let withdrawn = move |changing: &Changing<'_>| {
        if must_be_here {
            changing.withdraw_own_consent(&id, now)
        } else {
            changing.withdraw_consent(&id, now)
        }
    };
    change(&state, sent, withdrawn, said).await
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
    sent: Sent,
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
    let withdraw =
        move |changing: &Changing<'_>| changing.withdraw(&subject, &purpose, recipient.as_ref());
    change(&state, sent, withdraw, |ended| (StatusCode::OK, json!({"consents": ended}))).await
}

/// How many were lifted.
fn lifted(count: usize) -> (StatusCode, Value) {
    (StatusCode::OK, json!({"lifted": count}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftObjection {
    subject: String,
    purpose: String,
}

pub(super) async fn lift_objection(
    State(state): State<AdminState>,
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let LiftObjection { subject, purpose } = read(&headers, body)?;
    let (subject, purpose) = (subject_of(subject)?, PurposePattern::new(&purpose));
    change(&state, sent, move |changing| changing.lift_objection(&subject, &purpose), lifted).await
}

pub(super) async fn lift_restrictions(
    State(state): State<AdminState>,
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    change(&state, sent, move |changing| changing.lift_restrictions(&subject), lifted).await
}

/// Lifts a person's erasures in the caller's own name: two are two callers.
pub(super) async fn lift_erasures(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let OfSubject { subject } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    check_person(&state.policy.load(), &subject)?;
    let answer = |LiftedErasures { lifted, waiting }| {
        (StatusCode::OK, json!({"lifted": lifted, "waiting": waiting}))
    };
    let lift = move |changing: &Changing<'_>| changing.lift_erasures(&subject, &caller.name);
    change(&state, sent, lift, answer).await
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
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let ResolveDisputes { subject, category } = read(&headers, body)?;
    let subject = subject_of(subject)?;
    let category = category.as_deref().map(CategoryPattern::new);
    let resolve =
        move |changing: &Changing<'_>| changing.resolve_disputes(&subject, category.as_ref());
    change(&state, sent, resolve, |resolved| (StatusCode::OK, json!({"resolved": resolved}))).await
}
