//! What people of the demo have said before the tour begins, entered into the stage's registers.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::script::Said;
use super::stage::StageError;
use crate::policy::Policy;
use crate::registers::{Record, RegisterStore};
use crate::terms::PurposeId;

/// Enters `said` as of `now`. A consent that was withdrawn on an earlier tour stays withdrawn; a
/// new one, with an id of its own, is entered beside it, as when a person changes their mind again.
pub(super) fn enter(
    registers: &Path,
    policy: &Policy,
    said: &[Said],
    now: Timestamp,
) -> Result<(), StageError> {
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| {
        StageError::Part("the statements of the demo's people", error)
    };
    let registers = RegisterStore::embedded(registers).map_err(|error| fault(error.into()))?;
    for said in said {
        let record = Record::parse(said.json(policy, now).to_string().as_bytes())
            .map_err(|error| fault(error.into()))?;
        registers.record(&record).map_err(|error| fault(error.into()))?;
    }
    Ok(())
}

impl Said {
    fn json(&self, policy: &Policy, now: Timestamp) -> Value {
        // Consent and notice are about the purpose's present text.
        let digest = |purpose: &str| {
            policy
                .purposes
                .get(&PurposeId::from(purpose))
                .map(|found| found.text_digest.to_string())
        };
        match self {
            Self::Notice { subject, purpose } => json!({
                "kind": "notice",
                "subject": subject,
                "purpose": purpose,
                "purpose_text_digest": digest(purpose),
                "shown_at": now.to_string(),
            }),
            Self::Consent { subject, purpose, recipient } => json!({
                "kind": "consent",
                "id": format!("demo-{}", Uuid::now_v7()),
                "subject": subject,
                "purpose": purpose,
                "purpose_text_digest": digest(purpose),
                "recipients": recipient.iter().collect::<Vec<_>>(),
                "explicit": true,
                "status": "given",
                "given_at": now.to_string(),
                "source": "demo",
            }),
        }
    }
}
