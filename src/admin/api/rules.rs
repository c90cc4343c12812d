//! The rules in force, for the controller's own programs.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::document;
use crate::admin::AdminState;
use crate::terms::RecipientId;

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
