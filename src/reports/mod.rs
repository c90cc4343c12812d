//! Reports for people who answer for data: what ledger, registers and rules say together.
//!
//! Every report names what it rests on: how far the ledger was read, the root of its tree, the last
//! signed checkpoint, the rules in force, the window; and whether the chain holds. A report that is made
//! from a broken chain says so in its head and never looks like another. The same function serves the
//! command and the admin API.

mod basis;
mod consents;
mod csv;
mod document;
mod dpv;
mod drift;
mod form;
mod html;
mod overdue;
mod person;
mod persons;
mod processing;
mod recipient;
mod refusals;
mod tally;
mod transfers;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

pub use basis::{Basis, Chain, ChainBasis};
pub use csv::csv;
pub use document::{Document, Member, Table};
pub use dpv::json_ld;
pub use drift::drift;
pub use form::Form;
pub use html::{escaped, html};

use crate::keys::NoteKey;
use crate::ledger::{LedgerUnavailable, Place, SubjectIndex, VerifyError, Window};
use crate::policy::Policy;
use crate::registers::{RegisterStore, RegistersUnavailable};
use crate::terms::{DataSubject, RecipientId};

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// To one person: who was told what about them. Source: GDPR Art. 15.
    Subject,
    /// Whom to tell of a rectification, erasure or restriction. Source: GDPR Art. 19.
    Notify,
    /// The record of processing, and where traffic and rules differ. Source: GDPR Art. 30.
    Art30,
    /// What went to which country, and by what. Source: GDPR Art. 44–49.
    Transfers,
    /// What rested on consent. Source: GDPR Art. 7(1).
    Consents,
    /// What was refused, and why.
    Refusals,
    /// What should have been done by now. Source: GDPR Art. 5(1)(e), 12(3).
    Overdue,
    /// All that one recipient got.
    Recipient,
    /// What a breach at one recipient concerns. Source: GDPR Art. 33, 34.
    Breach,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Subject,
        Self::Notify,
        Self::Art30,
        Self::Transfers,
        Self::Consents,
        Self::Refusals,
        Self::Overdue,
        Self::Recipient,
        Self::Breach,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Notify => "notify",
            Self::Art30 => "art30",
            Self::Transfers => "transfers",
            Self::Consents => "consents",
            Self::Refusals => "refusals",
            Self::Overdue => "overdue",
            Self::Recipient => "recipient",
            Self::Breach => "breach",
        }
    }

    /// Reads [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// Whether it is about one person, who must be named.
    #[must_use]
    pub const fn is_about_a_person(self) -> bool {
        matches!(self, Self::Subject | Self::Notify)
    }

    /// Whether it is about one recipient, who must be named.
    #[must_use]
    pub const fn is_about_a_recipient(self) -> bool {
        matches!(self, Self::Recipient | Self::Breach)
    }
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// About whom.
    pub person: Option<DataSubject>,
    /// About which recipient.
    pub recipient: Option<RecipientId>,
    /// Of when.
    pub window: Window,
    /// Candidates: the report names those of them whom a breach concerns.
    pub among: Vec<DataSubject>,
}

/// What reports are made from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The rules in force.
    pub policy: &'a Policy,
    /// The ledgers, each with its index of data subjects.
    pub ledgers: &'a [Source],
    /// What people have said.
    pub registers: &'a RegisterStore,
    /// The keys that checkpoints are checked with: of each ledger its own. None at all: nothing is.
    pub keys: &'a [NoteKey],
}

/// One ledger.
#[derive(Clone)]
pub struct Source {
    /// A directory; or the chain of one gateway on a server, with which go those of all others there.
    pub place: Place,
    /// Its index of data subjects.
    pub index: Arc<SubjectIndex>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report is about somebody, and nobody was named.
    #[error("this report is about a person: name them")]
    NoPerson,
    /// The report is about a recipient, and none was named.
    #[error("this report is about a recipient: name it")]
    NoRecipient,
    /// Neither the rules nor the ledger know this recipient.
    #[error("neither the rules nor the ledger know this recipient")]
    UnknownRecipient,
    /// Something was given that the report has no use for.
    #[error("this report takes no {0}")]
    NoUse(&'static str),
    /// The window ends before it begins.
    #[error("the window ends before it begins")]
    Window,
    /// A bound of the window is neither a day nor a moment.
    #[error("{0}: write 2026-11-01, or 2026-11-01T12:00:00Z")]
    Moment(&'static str),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] LedgerUnavailable),
    /// There is no ledger.
    #[error("no ledger at {0}")]
    NoLedger(String),
    /// It is there and cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(String, #[source] VerifyError),
    /// The registers cannot be read.
    #[error("the registers cannot be read")]
    Registers(#[from] RegistersUnavailable),
}

/// The window between two bounds as people write them: a moment, or a day in UTC, which is part of it.
///
/// # Errors
/// `Moment`.
pub fn window(from: Option<&str>, to: Option<&str>) -> Result<Window, ReportError> {
    let from = from.map(|text| moment(text, 0).ok_or(ReportError::Moment("from"))).transpose()?;
    let until = to.map(|text| moment(text, 1).ok_or(ReportError::Moment("to"))).transpose()?;
    Ok(Window { from, until })
}

/// A moment, or midnight so many days after a day.
fn moment(text: &str, days: i64) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let day = text.parse::<Date>().ok()?.checked_add(days.days()).ok()?;
    Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
}

/// Makes one report, as of `now`. Reads the ledger twice: once to verify it, once to count.
///
/// # Errors
/// See [`ReportError`].
pub fn report(
    name: Name,
    query: &Query,
    sources: &Sources<'_>,
    now: Timestamp,
) -> Result<Document, ReportError> {
    fits(name, query)?;
    let basis = Basis::of(query.window, sources, now)?;
    match name {
        Name::Subject => person::subject(query, sources, basis),
        Name::Notify => person::notify(query, sources, basis),
        Name::Art30 => processing::art30(query, sources, basis),
        Name::Transfers => transfers::transfers(query, sources, basis),
        Name::Consents => consents::consents(query, sources, basis),
        Name::Refusals => refusals::refusals(query, sources, basis),
        Name::Overdue => overdue::overdue(sources, basis),
        Name::Recipient => recipient::recipient(query, sources, basis),
        Name::Breach => recipient::breach(query, sources, basis),
    }
}

/// A report that ignored what it was asked would answer another question.
fn fits(name: Name, query: &Query) -> Result<(), ReportError> {
    match (&query.person, name.is_about_a_person()) {
        (None, true) => return Err(ReportError::NoPerson),
        (Some(_), false) => return Err(ReportError::NoUse("person")),
        _ => {}
    }
    match (&query.recipient, name.is_about_a_recipient()) {
        (None, true) => return Err(ReportError::NoRecipient),
        (Some(_), false) => return Err(ReportError::NoUse("recipient")),
        _ => {}
    }
    let Window { from, until } = query.window;
    let has_window = from.is_some() || until.is_some();
    // A person is told everything, and what is overdue is overdue today.
    if has_window && (name.is_about_a_person() || name == Name::Overdue) {
        return Err(ReportError::NoUse("window"));
    }
    if !query.among.is_empty() && name != Name::Breach {
        return Err(ReportError::NoUse("list of people"));
    }
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        return Err(ReportError::Window);
    }
    Ok(())
}
