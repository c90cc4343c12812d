//! Statements as JSON, for commands and the admin API. The subject is not part of it: whoever asks
//! knows whom they asked about.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::{age_word, members};
use super::schema::StoreError;
use super::sql::Row;
use crate::policy::Policy;
use crate::terms::{
    Case, CategoryId, Consent, ConsentEvent, Digest, LegalOrder, PurposeId, PurposePattern,
    RecipientId, Role, Statements,
};

/// `statements` as they stand at `now`.
#[must_use]
pub fn statements_to_json(statements: &Statements, now: Timestamp) -> Value {
    let consents = statements.consents.iter().map(|given| consent(given, now));
    let notices = statements.notices.iter().map(|notice| {
        members([
            ("purpose", Some(notice.purpose.as_str().into())),
            ("purpose_text_digest", digest(notice.purpose_text_digest)),
            ("shown_at", Some(notice.shown_at.to_string().into())),
        ])
    });
    let objections = statements.objections.iter().map(|objection| {
        json!({"purpose": objection.purpose.as_str(), "since": objection.since.to_string()})
    });
    let restrictions = statements.restrictions.iter().map(|restriction| {
        let categories = restriction.categories.iter().map(|pattern| pattern.as_str().into());
        members([
            ("categories", Some(Value::Array(categories.collect()))),
            ("since", Some(restriction.since.to_string().into())),
            ("until", restriction.until.map(|at| at.to_string().into())),
            ("disputed", restriction.disputed.then_some(true.into())),
        ])
    });
    let one_time_grants = statements.one_time_grants.iter().map(|grant| {
        members([
            ("id", Some(grant.id.as_ref().into())),
            ("purpose", Some(grant.purpose.as_str().into())),
            ("recipient", Some(grant.recipient.as_str().into())),
            ("granted_at", Some(grant.granted_at.to_string().into())),
            ("expires_at", grant.expires_at.map(|at| at.to_string().into())),
            ("used_by", grant.used_by.as_ref().map(|by| by.as_str().into())),
        ])
    });
    let erasure = statements.erasure.as_ref().map(|erasure| {
        let except: Vec<&str> = erasure.except.iter().map(PurposePattern::as_str).collect();
        json!({"effective_at": erasure.effective_at.to_string(), "except": except})
    });
    Value::Object(members([
        ("consents", Some(Value::Array(consents.collect()))),
        ("notices", Some(Value::Array(notices.map(Value::Object).collect()))),
        ("objections", Some(Value::Array(objections.collect()))),
        ("restrictions", Some(Value::Array(restrictions.map(Value::Object).collect()))),
        ("one_time_grants", Some(Value::Array(one_time_grants.map(Value::Object).collect()))),
        ("erasure", erasure),
        ("age", Some(age_word(statements.age).into())),
        ("region", statements.region.as_ref().map(|region| region.as_str().into())),
    ]))
}

/// An order without the people it names, as it stands at `now`: it is in force where its recipient may
/// rely on it under these rules.
#[must_use]
pub fn order_to_json(order: &LegalOrder, policy: &Policy, now: Timestamp) -> Value {
    let known = policy.recipients.get(&order.recipient);
    let in_force = known.is_some_and(|recipient| recipient.role == Role::Authority)
        && order.is_in_force(now, policy.registers.order_approvers);
    let categories: Vec<&str> = order.categories.iter().map(CategoryId::as_str).collect();
    let approved_by: Vec<&str> = order.approved_by.iter().map(AsRef::as_ref).collect();
    Value::Object(members([
        ("id", Some(order.id.as_ref().into())),
        ("recipient", Some(order.recipient.as_str().into())),
        ("categories", Some(categories.into())),
        ("from", Some(order.from.to_string().into())),
        ("until", Some(order.until.to_string().into())),
        ("gag_until", order.gag_until.map(|at| at.to_string().into())),
        ("approved_by", Some(approved_by.into())),
        ("lifted", Some(order.lifted.into())),
        ("in_force", Some(in_force.into())),
    ]))
}

/// A case without the people it is about, as it stands at `now`.
#[must_use]
pub fn case_to_json(case: &Case, now: Timestamp) -> Value {
    let purposes: Vec<&str> = case.purposes.iter().map(PurposeId::as_str).collect();
    Value::Object(members([
        ("id", Some(case.id.as_ref().into())),
        ("purposes", Some(purposes.into())),
        ("opened_at", Some(case.opened_at.to_string().into())),
        ("until", case.until.map(|at| at.to_string().into())),
        ("open", Some(case.is_open(now).into())),
    ]))
}

fn consent(consent: &Consent, now: Timestamp) -> Value {
    let events = consent.events.iter().map(event_to_json);
    let recipients: Vec<&str> = consent.recipients.iter().map(RecipientId::as_str).collect();
    let categories: Vec<&str> = consent.categories.iter().map(CategoryId::as_str).collect();
    Value::Object(members([
        ("id", Some(consent.id.as_ref().into())),
        ("purpose", Some(consent.purpose.as_str().into())),
        ("purpose_text_digest", digest(consent.purpose_text_digest)),
        ("recipients", Some(recipients.into())),
        ("categories", Some(categories.into())),
        ("explicit", Some(consent.explicit.into())),
        ("status", Some(consent.status(now).as_str().into())),
        ("expires_at", consent.expires_at.map(|at| at.to_string().into())),
        ("events", Some(Value::Array(events.collect()))),
    ]))
}

pub(super) fn event_to_json(event: &ConsentEvent) -> Value {
    json!({"at": event.at.to_string(), "status": event.status.as_str()})
}

/// The text of a column, if there is one.
pub(super) fn text(row: &Row, column: usize) -> Result<Option<Value>, StoreError> {
    Ok(row.maybe_text(column)?.map(Value::from))
}

fn digest(digest: Option<Digest>) -> Option<Value> {
    digest.map(|digest| digest.to_string().into())
}
