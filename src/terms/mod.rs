//! The field's words as types. Lowest layer: it names nothing above it and does no I/O.
//!
//! Every id is a newtype, so that a purpose can never stand where a recipient is meant. A value of
//! a data subject travels as [`Personal`], which cannot be printed.

mod admin_role;
mod category;
mod hex;
mod id_shape;
mod law;
mod name;
mod order;
mod party;
mod personal;
mod picture;
mod refusal;
mod statement;

pub use admin_role::{AdminCaller, AdminRole, CertificateName};
pub use category::{CategoryId, CategoryPattern};
pub use hex::{hex, read_hex, write_hex};
pub use id_shape::IdShape;
pub use law::{ConsentStatus, LegalBasis, Objectable, Right};
pub use name::{
    Country, DecisionId, Digest, PurposeId, RecipientId, RouteId, SubjectRole, UpstreamId,
};
pub use order::{Case, LegalOrder, is_file_id};
pub use party::Role;
pub use personal::{DataSubject, Personal};
pub use picture::Picture;
pub use refusal::{Fault, RefusalReason};
pub use statement::{
    AgeClass, Consent, ConsentEvent, Erasure, Notice, Objection, OneTimeGrant, PurposePattern,
    Restriction, Statements, Withdrawal,
};
