//! Changes of the registers as one transaction sees them: all that were made in it are made, or none.
//!
//! A change is acknowledged when the transaction is durable, and doing it twice changes nothing.

use std::cell::Cell;

use jiff::Timestamp;

use super::notices;
use super::read::valid_consents;
use super::record::is_purpose;
use super::write::{WriteError, Writer};
use super::{LiftedErasures, Record, RecordError, Recorded, RegisterStore};
use crate::terms::{CategoryPattern, DataSubject, PurposePattern, RecipientId, is_file_id};

/// A transaction that is open.
pub struct Changing<'w> {
    writer: &'w Writer<'w>,
    /// The store failed in it: what was asked for since is not known to be done.
    is_broken: Cell<bool>,
}

impl RegisterStore {
    /// Makes the changes of `change` in one transaction; durable on return. An error of `change` takes
    /// back what it did before.
    ///
    /// # Errors
    /// Whatever `change` says; or the store cannot write.
    pub fn changing<T, E: From<RecordError>>(
        &self,
        change: impl FnOnce(&Changing<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut refused = None;
        let made = self.write(|writer| {
            let changing = Changing { writer, is_broken: Cell::new(false) };
            change(&changing).map_err(|error| {
                refused = Some(error);
                changing.undone()
            })
        });
        match (made, refused) {
            (_, Some(error)) => Err(error),
            (Ok(made), None) => Ok(made),
            (Err(error), None) => Err(error.into()),
        }
    }
}

impl<'w> Changing<'w> {
    /// What ends the transaction, so that a connection that failed in it is not used again.
    fn undone(&self) -> WriteError {
        if self.is_broken.get() {
            WriteError::Store(super::schema::StoreError::Late)
        } else {
            WriteError::Invalid("changes")
        }
    }

    /// The transaction itself, for what is kept beside a change.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Writer<'w>) -> Result<T, WriteError>,
    ) -> Result<T, RecordError> {
        work(self.writer).map_err(|error| {
            self.is_broken.set(self.is_broken.get() || matches!(error, WriteError::Store(_)));
            error.into()
        })
    }

    /// Takes one record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn record(&self, record: &Record) -> Result<Recorded, RecordError> {
        record.check().map_err(RecordError::Invalid)?;
        self.with(|writer| writer.record(record))
    }

    /// Takes all records. How many said something new.
    ///
    /// # Errors
    /// The first record that is wrong, by its position from 0; or the store cannot write.
    pub fn record_all(&self, records: &[Record]) -> Result<usize, (usize, RecordError)> {
        let mut new = 0;
        for (position, record) in records.iter().enumerate() {
            let recorded = self.record(record).map_err(|error| (position, error))?;
            new += usize::from(recorded == Recorded::New);
        }
        Ok(new)
    }

    /// Withdraws every consent of `subject` for what `purpose` covers, and the subtree beneath it;
    /// with `recipient`, only as far as they name that one. Also ends consents given before now that
    /// are delivered later. How many consents that were valid are valid no more, or for fewer.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
        recipient: Option<&RecipientId>,
    ) -> Result<usize, RecordError> {
        if !is_purpose(purpose.as_str()) {
            return Err(RecordError::Invalid("purpose"));
        }
        let subject = subject.expose();
        self.with(|writer| {
            let before = valid_consents(writer.tables, subject, Timestamp::now())?;
            writer.withdraw(subject, purpose, recipient)?;
            let after = valid_consents(writer.tables, subject, Timestamp::now())?;
            Ok(before.iter().filter(|consent| !after.contains(consent)).count())
        })
    }

    /// Withdraws the consent of this id. If it is not known yet, it will arrive withdrawn.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw_consent(&self, id: &str, at: Timestamp) -> Result<Recorded, RecordError> {
        if id.is_empty() {
            return Err(RecordError::Invalid("id"));
        }
        self.with(|writer| writer.withdraw_id(id, at))
    }

    /// Withdraws the consent of this id, which must be here: where consents are asked for elsewhere, nobody
    /// would ever look at the end of one that is not.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn withdraw_own_consent(&self, id: &str, at: Timestamp) -> Result<Recorded, RecordError> {
        if !self.with(|writer| writer.knows_consent(id))? {
            return Err(RecordError::Invalid("id"));
        }
        self.withdraw_consent(id, at)
    }

    /// Lifts objections of `subject` to exactly this purpose or pattern. How many there were.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_objection(
        &self,
        subject: &DataSubject,
        purpose: &PurposePattern,
    ) -> Result<usize, RecordError> {
        self.with(|writer| writer.lift_objection(subject.expose(), purpose))
    }

    /// Lifts every restriction of `subject`. How many there were.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_restrictions(&self, subject: &DataSubject) -> Result<usize, RecordError> {
        self.with(|writer| writer.lift_restrictions(subject.expose()))
    }

    /// Resolves what `subject` disputes of exactly this category or pattern, or all of it. How many
    /// disputes there were.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn resolve_disputes(
        &self,
        subject: &DataSubject,
        category: Option<&CategoryPattern>,
    ) -> Result<usize, RecordError> {
        self.with(|writer| writer.resolve(subject.expose(), category))
    }

    /// Lifts every erasure of `subject`, under the approver's own name: each is over once two different
    /// people have said so. The ledger does not find again what it forgot.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn lift_erasures(
        &self,
        subject: &DataSubject,
        approver: &str,
    ) -> Result<LiftedErasures, RecordError> {
        if !is_file_id(approver) {
            return Err(RecordError::Invalid("approver"));
        }
        self.with(|writer| writer.lift_erasures(subject.expose(), approver))
    }

    /// Approves the order of this id under the approver's own name. A second approval by the same
    /// name is the same approval.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn approve_order(&self, id: &str, approver: &str) -> Result<Recorded, RecordError> {
        if !is_file_id(approver) {
            return Err(RecordError::Invalid("approver"));
        }
        self.with(|writer| writer.approve(id, approver))
    }

    /// Lifts the order of this id, for good.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such an order.
    pub fn lift_order(&self, id: &str) -> Result<Recorded, RecordError> {
        self.with(|writer| writer.lift_order(id))
    }

    /// Closes the case of this id, for good.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a case.
    pub fn close_case(&self, id: &str) -> Result<Recorded, RecordError> {
        self.with(|writer| writer.close_case(id))
    }

    /// Notes that the request of this receipt was answered.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a request.
    pub fn answer_request(&self, id: &str) -> Result<Recorded, RecordError> {
        self.with(|writer| writer.answer_request(id))
    }

    /// Lets a notice that was given up be tried again.
    ///
    /// # Errors
    /// See [`RecordError`]; there must be such a notice.
    pub fn retry_notice(&self, id: &str, now: Timestamp) -> Result<Recorded, RecordError> {
        self.with(|writer| notices::retry(writer.tables, id, now))
    }
}
