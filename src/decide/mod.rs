//! May this be disclosed, and how? Pure: facts and time come in, a [`Permit`] or a [`Refusal`] out.
//!
//! Only [`decide`] makes a [`Permit`]. Fetching from a backend, minimizing a body and entering the
//! ledger all ask for one, so none of them can happen without a decision.
//! Source: docs/RULES.md, "How a decision is made"; GDPR Art. 5(1)(b), 6, 7, 17, 18, 21, 44.

mod age;
mod alike;
mod company;
mod cookies;
mod counts;
mod facts;
mod gate;
mod met;
mod notice;
mod permit;
mod query;
mod request;
mod service;
mod subject;
mod tunnel;

pub use cookies::agreed_cookies;
pub use facts::{Caller, Facts, KnownSubject, Named, RouteMatch, SubjectIds};
pub use gate::{Adjustment, Gate, Judge, Part};
pub use met::Met;
pub use notice::notice_forms;
pub use permit::{Permit, Refusal};
pub use request::{decide, decide_named, effective_purposes};
pub use service::{Service, decide_service};
