//! Our own registers, with consents from elsewhere: a file that feeds them, or a service that is asked.

use std::sync::Arc;

use super::{
    Fetching, Record, RecordError, Recorded, Registers, RegistersUnavailable, RequestReceipt,
    RightRequest,
};
use crate::terms::{Case, DataSubject, DecisionId, LegalOrder, Statements};

/// What says whether consents are known, and which.
pub trait ConsentSource: Send + Sync {
    /// What stands in our own registers of `subject`, with the consents that count by this source; without
    /// any, and unknown, where it does not know them now.
    fn whole(&self, own: Arc<Statements>, subject: &DataSubject) -> Arc<Statements>;

    /// See [`Registers::fetch`].
    fn fetch(self: Arc<Self>, _people: &[DataSubject]) -> Option<Fetching> {
        None
    }

    /// See [`Registers::may_fetch`].
    fn may_fetch(&self) -> bool {
        false
    }
}

/// Registers whose consents count by a source.
pub struct ConsentsFrom<S> {
    registers: Arc<dyn Registers>,
    source: Arc<S>,
}

impl<S: ConsentSource> ConsentsFrom<S> {
    /// Our own registers, with consents by this source.
    #[must_use]
    pub fn new(registers: Arc<dyn Registers>, source: Arc<S>) -> Self {
        Self { registers, source }
    }
}

impl<S: ConsentSource> Registers for ConsentsFrom<S> {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        self.registers.statements(subject).map(|own| self.source.whole(own, subject))
    }

    fn all(&self, people: &[&DataSubject]) -> Result<Vec<Arc<Statements>>, RegistersUnavailable> {
        let own = self.registers.all(people)?;
        Ok(own.into_iter().zip(people).map(|(own, of)| self.source.whole(own, of)).collect())
    }

    fn fetch(&self, people: &[DataSubject]) -> Option<Fetching> {
        Arc::clone(&self.source).fetch(people)
    }

    fn may_fetch(&self) -> bool {
        self.source.may_fetch()
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        self.registers.order(id)
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        self.registers.case(id)
    }

    fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, RegistersUnavailable> {
        self.registers.use_grants(ids, decision)
    }

    fn record(&self, record: &Record) -> Result<Recorded, RecordError> {
        self.registers.record(record)
    }

    fn request(&self, request: &RightRequest) -> Result<Option<RequestReceipt>, RecordError> {
        self.registers.request(request)
    }
}
