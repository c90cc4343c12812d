//! Names in records against names in the rules. A misspelt purpose in a withdrawal withdraws nothing,
//! so that it must not be taken in silence.

use super::{Record, Withdrawn};
use crate::policy::model::{Limit, Purpose};
use crate::policy::{Policy, closest};
use crate::terms::{CategoryPattern, DataSubject, PurposeId, PurposePattern};

/// A name that the rules do not know. It says which field, and what the rules have instead; not
/// what was written, which may be anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}{}", .help.as_deref().map(|help| format!(", {help}")).unwrap_or_default())]
pub struct Unknown {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    problem: &'static str,
    /// "did you mean …?", with a name of the rules.
    pub help: Option<String>,
}

const NO_NAME: &str = "no such name in the rules";

/// Checks every person, purpose, recipient and category that `record` names.
///
/// # Errors
/// The first that the rules do not know, or that is not written as they say.
pub fn check_record(policy: &Policy, record: &Record) -> Result<(), Unknown> {
    record.subjects().iter().try_for_each(|person| check_person(policy, person))?;
    match record {
        Record::Consent(consent) => {
            exact_purpose(policy, consent.purpose.as_str())?;
            for recipient in &consent.recipients {
                check_recipient(policy, recipient.as_str())?;
            }
            for category in &consent.categories {
                check_categories(policy, category.as_str())?;
            }
            Ok(())
        }
        Record::Notice(notice) => exact_purpose(policy, notice.purpose.as_str()),
        Record::Objection(objection) => check_purpose(policy, &objection.purpose),
        Record::Restriction(restriction) => {
            restriction.categories.iter().try_for_each(|it| check_categories(policy, it.as_str()))
        }
        Record::Dispute(dispute) => {
            // Taken in, it would do nothing, and nobody would know.
            if !policy.limits.iter().any(|limit| matches!(limit, Limit::Disputed { .. })) {
                let problem = "the rules have no limit `disputed_data`";
                let help = Some("enter a restriction".to_owned());
                return Err(Unknown { field: "kind", problem, help });
            }
            dispute.categories.iter().try_for_each(|it| check_categories(policy, it.as_str()))
        }
        Record::Erasure(erasure) => {
            erasure.except.iter().try_for_each(|except| check_purpose(policy, except))?;
            check_exceptions(policy, &erasure.except)
        }
        Record::OneTimeGrant(grant) => {
            exact_purpose(policy, grant.purpose.as_str())?;
            check_recipient(policy, grant.recipient.as_str())
        }
        Record::Subject(_) => Ok(()),
        Record::Withdrawal(withdrawal) => match &withdrawal.what {
            Withdrawn::Consent(_) => Ok(()),
            Withdrawn::Purpose { subject: _, purpose, recipient } => {
                check_purpose(policy, purpose)?;
                recipient.iter().try_for_each(|name| check_recipient(policy, name.as_str()))
            }
        },
        Record::Order(order) => {
            check_recipient(policy, order.recipient.as_str())?;
            order.categories.iter().try_for_each(|it| check_categories(policy, it.as_str()))
        }
        Record::Case(case) => {
            case.purposes.iter().try_for_each(|it| exact_purpose(policy, it.as_str()))
        }
    }
}

/// Checks that a person's id is written as the rules say.
///
/// # Errors
/// It is not: what somebody said under another spelling of their id, nobody would ever find.
pub fn check_person(policy: &Policy, person: &DataSubject) -> Result<(), Unknown> {
    let ids = policy.registers.ids;
    if ids.admits(person.expose()) {
        return Ok(());
    }
    let problem = "not how `registers: {ids: …}` of the rules has people's ids written";
    let help = Some(format!("which is {}", ids.in_words()));
    Err(Unknown { field: "subject", problem, help })
}

/// Checks that `pattern` covers at least one purpose of the rules.
///
/// # Errors
/// It covers none.
pub fn check_purpose(policy: &Policy, pattern: &PurposePattern) -> Result<(), Unknown> {
    if policy.purposes.keys().any(|purpose| pattern.covers(purpose)) {
        return Ok(());
    }
    let written = pattern.as_str().trim_end_matches(".*");
    let names = policy.purposes.keys().map(crate::terms::PurposeId::as_str);
    Err(Unknown { problem: NO_NAME, field: "purpose", help: closest(written, names) })
}

/// Checks that an erasure with these exceptions ends something. The ledger forgets whoever is erased:
/// nothing may go on as if they were not.
fn check_exceptions(policy: &Policy, except: &[PurposePattern]) -> Result<(), Unknown> {
    let goes_on = |(id, purpose): (&PurposeId, &Purpose)| {
        purpose.survives_erasure || except.iter().any(|except| except.covers(id))
    };
    if except.is_empty() || !policy.purposes.iter().all(goes_on) {
        return Ok(());
    }
    let problem = "every purpose of the rules would go on, and nothing be erased";
    Err(Unknown { field: "except", problem, help: None })
}

/// Checks that the rules have this recipient.
///
/// # Errors
/// They have not.
pub fn check_recipient(policy: &Policy, name: &str) -> Result<(), Unknown> {
    if policy.recipients.contains_key(name) {
        return Ok(());
    }
    let names = policy.recipients.keys().map(crate::terms::RecipientId::as_str);
    Err(Unknown { problem: NO_NAME, field: "recipients", help: closest(name, names) })
}

fn exact_purpose(policy: &Policy, name: &str) -> Result<(), Unknown> {
    if policy.purposes.contains_key(name) {
        return Ok(());
    }
    let names = policy.purposes.keys().map(crate::terms::PurposeId::as_str);
    Err(Unknown { problem: NO_NAME, field: "purpose", help: closest(name, names) })
}

fn check_categories(policy: &Policy, pattern: &str) -> Result<(), Unknown> {
    let covering = CategoryPattern::new(pattern);
    if policy.categories.keys().any(|category| covering.covers(category)) {
        return Ok(());
    }
    let names = policy.categories.keys().map(crate::terms::CategoryId::as_str);
    Err(Unknown {
        problem: NO_NAME,
        field: "categories",
        help: closest(pattern.trim_end_matches(".*"), names),
    })
}
