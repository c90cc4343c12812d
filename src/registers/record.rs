//! Records as they come in: from commands, the admin API and imports.

/// A record of any register.
#[derive(Debug)]
pub enum Record {
    /// A consent, or a change of one.
    Consent(ConsentRecord),
}

/// A consent record. Source: ISO/IEC TS 27560.
#[derive(Debug)]
pub struct ConsentRecord {}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store cannot write.
    #[error("registers unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The record says what cannot be; names the field, never a value.
    #[error("invalid record: {0}")]
    Invalid(&'static str),
}
