//! Withdrawals that were made elsewhere, with the time at which they were: from another system's list, or
//! from other registers.
//!
//! One is of a consent by its id, or of all consents of a person for a purpose and what lies beneath it.
//! Unlike a withdrawal that is made here and now it does not end a consent that was given after it,
//! however late it is delivered.

use jiff::{Timestamp, ToSpan as _};

use super::fields::Fields;
use super::record::subject;
use super::sql::data;
use super::write::{WriteError, Writer};
use super::{RecordError, Recorded};
use crate::terms::{DataSubject, PurposePattern, RecipientId};

/// The number under which such a withdrawal is kept: before all others, so that only its time counts.
const BEFORE_ALL: i64 = 0;

/// What was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// The consent of this id, known or not.
    Consent(String),
    /// All consents of a person.
    Purpose {
        /// Whose.
        subject: DataSubject,
        /// What for; what lies beneath it is withdrawn too.
        purpose: PurposePattern,
        /// Only as far as they name this one.
        recipient: Option<RecipientId>,
    },
}

/// A withdrawal. Source: GDPR Art. 7(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalRecord {
    /// What was withdrawn.
    pub what: Withdrawn,
    /// When.
    pub at: Timestamp,
}

pub(super) fn withdrawal(fields: &mut Fields) -> Result<WithdrawalRecord, RecordError> {
    let at = fields.time("at")?.ok_or(RecordError::Invalid("at"))?;
    let what = match fields.text("id")? {
        Some(id) => Withdrawn::Consent(id),
        None => Withdrawn::Purpose {
            subject: subject(fields)?,
            purpose: PurposePattern::new(&fields.required("purpose")?),
            recipient: fields.text("recipient")?.map(RecipientId::from),
        },
    };
    Ok(WithdrawalRecord { what, at })
}

impl WithdrawalRecord {
    /// Whom it is about, where it says so.
    #[must_use]
    pub const fn subject(&self) -> Option<&DataSubject> {
        match &self.what {
            Withdrawn::Consent(_) => None,
            Withdrawn::Purpose { subject, .. } => Some(subject),
        }
    }

    /// The purpose or pattern that it names.
    #[must_use]
    pub const fn purpose(&self) -> Option<&PurposePattern> {
        match &self.what {
            Withdrawn::Consent(_) => None,
            Withdrawn::Purpose { purpose, .. } => Some(purpose),
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match &self.what {
            Withdrawn::Consent(id) if id.is_empty() => Err("id"),
            Withdrawn::Consent(_) | Withdrawn::Purpose { .. } => Ok(()),
        }
    }
}

impl Writer<'_> {
    pub(super) fn withdrawal(&self, record: &WithdrawalRecord) -> Result<Recorded, WriteError> {
        match &record.what {
            Withdrawn::Consent(id) => self.withdraw_id(id, record.at),
            Withdrawn::Purpose { subject, purpose, recipient } => {
                // One from the far future would end every consent to come.
                let tomorrow = self.now.checked_add(24.hours());
                if tomorrow.is_ok_and(|tomorrow| record.at > tomorrow) {
                    return Err(WriteError::Invalid("at"));
                }
                let count = self.tables.execute(
                    "INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                    data![
                        subject.expose().as_ref(),
                        purpose.as_str(),
                        recipient.as_ref().map_or("", RecipientId::as_str),
                        record.at,
                        BEFORE_ALL
                    ],
                )?;
                self.touch(subject.expose());
                self.changed(count > 0, "consent", "withdrawn", Some(purpose.as_str()))
            }
        }
    }
}
