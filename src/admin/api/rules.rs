//! The rules in force, who may call, and what can be called: nobody's data.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::document;
use crate::admin::{AdminState, openapi};
use crate::terms::{AdminRole, CertificateName, RecipientId};

/// The policy in force: what a consent application needs to bind consent to the present texts.
pub(super) async fn policy(State(state): State<AdminState>) -> Response {
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
    let recipients: Vec<&str> = policy.recipients.keys().map(RecipientId::as_str).collect();
    let about = json!({
        "id": &*policy.id,
        "title": policy.title,
        "revision": policy.revision,
        "digest": policy.digest,
        "purposes": purposes,
        "recipients": recipients,
    });
    document(StatusCode::OK, about)
}

/// Who may call, and as what. That there is a token is told; what it digests to is not.
pub(super) async fn callers(State(state): State<AdminState>) -> Response {
    let access = state.access.load();
    let callers = access.callers().map(|(name, caller)| {
        let roles: Vec<&str> = caller.roles.iter().map(|role| AdminRole::as_str(*role)).collect();
        json!({
            "name": name,
            "roles": roles,
            "token": caller.token.is_some(),
            "certificate": caller.certificate.as_ref().map(CertificateName::to_string),
        })
    });
    document(StatusCode::OK, json!({"callers": callers.collect::<Vec<_>>()}))
}

/// The description of this API.
pub(super) async fn openapi() -> Response {
    document(StatusCode::OK, openapi::document())
}
