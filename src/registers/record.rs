//! Records as they come in: from commands, the admin API and imports.
//!
//! Each has a JSON form of its own (docs/OPERATIONS.md, "Registers"). Unknown members, repeated
//! members and contradictions are rejected. A subject's id is the one by which the controller knows
//! them; the registers are the controller's own store and must know it.

use std::slice;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::dispute::{self, DisputeRecord};
use super::fields::Fields;
use super::order::{self, CaseRecord, OneTimeGrantRecord, OrderRecord};
use super::withdrawal::{self, WithdrawalRecord};
use crate::terms::{
    AgeClass, CategoryId, CategoryPattern, ConsentEvent, ConsentStatus, Country, DataSubject,
    Digest, Personal, PurposeId, PurposePattern, RecipientId,
};

/// A record of any register.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "most records are consents, and few are held at once")]
pub enum Record {
    /// A consent, or a change of one.
    Consent(ConsentRecord),
    /// The data subject was shown the text of a purpose.
    Notice(NoticeRecord),
    /// The data subject objected.
    Objection(ObjectionRecord),
    /// Processing is restricted.
    Restriction(RestrictionRecord),
    /// The data subject says that data are wrong.
    Dispute(DisputeRecord),
    /// The data subject is erased.
    Erasure(ErasureRecord),
    /// What the directory knows of a subject.
    Subject(SubjectRecord),
    /// A legal order.
    Order(OrderRecord),
    /// A case.
    Case(CaseRecord),
    /// A grant for one use.
    OneTimeGrant(OneTimeGrantRecord),
    /// A withdrawal that was made elsewhere.
    Withdrawal(WithdrawalRecord),
}

/// A consent record. Source: ISO/IEC TS 27560.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRecord {
    /// Its id. A new consent is a new id; the same id again is the same consent.
    pub id: String,
    /// Whose.
    pub subject: DataSubject,
    /// What for.
    pub purpose: PurposeId,
    /// Digest of the purpose's text as it was shown; without it the consent is never current.
    pub purpose_text_digest: Option<Digest>,
    /// To whom; empty when the purpose's scope does not ask for any.
    pub recipients: Vec<RecipientId>,
    /// Narrowing to categories; empty: all that the purpose needs.
    pub categories: Vec<CategoryId>,
    /// Given in so many words.
    pub explicit: bool,
    /// When it stops by itself.
    pub expires_at: Option<Timestamp>,
    /// Its history as far as the sender knows it; at least one event.
    pub events: Vec<ConsentEvent>,
    /// Proof for auditors.
    pub evidence: Evidence,
}

/// How a consent came about. No decision reads it. Source: GDPR Art. 7(1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The notice that was shown.
    pub notice: Option<ShownNotice>,
    /// `web-form`, `paper`, …
    pub method: Option<String>,
    /// Whose law the sender had in mind.
    pub jurisdiction: Option<String>,
    /// Digest of a document kept elsewhere.
    pub evidence: Option<Digest>,
    /// The system that sent the record.
    pub source: Option<String>,
}

/// The notice that a consent rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownNotice {
    /// Its reference.
    pub reference: String,
    /// Its revision.
    pub revision: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// When it was shown.
    pub shown_at: Option<Timestamp>,
}

/// The data subject was shown the text of a purpose. Source: GDPR Art. 13, 14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRecord {
    /// Its id; `None`: one made of the content, so that the same record again is the same.
    pub id: Option<String>,
    /// Who.
    pub subject: DataSubject,
    /// What about.
    pub purpose: PurposeId,
    /// Digest of the text shown.
    pub purpose_text_digest: Option<Digest>,
    /// When.
    pub shown_at: Timestamp,
}

/// The data subject objected. Source: GDPR Art. 21.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectionRecord {
    /// Its id; `None`: one made of the content.
    pub id: Option<String>,
    /// Who.
    pub subject: DataSubject,
    /// To what.
    pub purpose: PurposePattern,
    /// Since when.
    pub since: Timestamp,
    /// The channel the sender had in mind. The objection counts for all of them.
    pub channel: Option<String>,
    /// The system that sent the record.
    pub source: Option<String>,
}

/// Processing is restricted. Source: GDPR Art. 18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictionRecord {
    /// Its id; `None`: one made of the content.
    pub id: Option<String>,
    /// Whose data.
    pub subject: DataSubject,
    /// Which of them; at least one.
    pub categories: Vec<CategoryPattern>,
    /// Why.
    pub ground: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until lifted.
    pub until: Option<Timestamp>,
}

/// The data subject is erased. Source: GDPR Art. 17.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRecord {
    /// Its id; `None`: one made of the content.
    pub id: Option<String>,
    /// Who.
    pub subject: DataSubject,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// From when on nothing is disclosed.
    pub effective_at: Timestamp,
    /// Purposes that go on, such as legal claims; never all of them.
    pub except: Vec<PurposePattern>,
    /// Its recipients were told of it elsewhere: none is from here.
    pub told: bool,
}

/// What the directory knows of a subject. A member that is not there leaves what was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRecord {
    /// Who.
    pub subject: DataSubject,
    /// Of age or not.
    pub age: Option<AgeClass>,
    /// Region.
    pub region: Option<Country>,
}

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

impl Record {
    /// Reads the JSON form. Without `kind` it is a consent.
    ///
    /// # Errors
    /// [`RecordError::Invalid`] with the first field that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, RecordError> {
        Self::read(Fields::parse(json)?, None)
    }

    /// Reads the JSON form of a record that must be of this `kind`, whether it says so or not.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_as(kind: &'static str, json: &[u8]) -> Result<Self, RecordError> {
        Self::read(Fields::parse(json)?, Some(kind))
    }

    fn read(mut fields: Fields, expected: Option<&'static str>) -> Result<Self, RecordError> {
        let stated = fields.text("kind")?;
        if let (Some(stated), Some(expected)) = (&stated, expected)
            && stated != expected
        {
            return Err(RecordError::Invalid("kind"));
        }
        let kind = stated.unwrap_or_else(|| expected.unwrap_or("consent").into());
        let record = match kind.as_str() {
            "consent" => Self::Consent(consent(&mut fields)?),
            "notice" => Self::Notice(notice(&mut fields)?),
            "objection" => Self::Objection(objection(&mut fields)?),
            "restriction" => Self::Restriction(restriction(&mut fields)?),
            "dispute" => Self::Dispute(dispute::dispute(&mut fields)?),
            "erasure" => Self::Erasure(erasure(&mut fields)?),
            "subject" => Self::Subject(directory(&mut fields)?),
            "order" => Self::Order(order::order(&mut fields)?),
            "case" => Self::Case(order::case(&mut fields)?),
            "one-time-grant" => Self::OneTimeGrant(order::one_time_grant(&mut fields)?),
            "withdrawal" => Self::Withdrawal(withdrawal::withdrawal(&mut fields)?),
            _ => return Err(RecordError::Invalid("kind")),
        };
        fields.finish()?;
        record.check().map_err(RecordError::Invalid)?;
        Ok(record)
    }

    /// The word of the register.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Consent(_) => "consent",
            Self::Notice(_) => "notice",
            Self::Objection(_) => "objection",
            Self::Restriction(_) => "restriction",
            Self::Dispute(_) => "dispute",
            Self::Erasure(_) => "erasure",
            Self::Subject(_) => "subject",
            Self::Order(_) => "order",
            Self::Case(_) => "case",
            Self::OneTimeGrant(_) => "one-time-grant",
            Self::Withdrawal(_) => "withdrawal",
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn subjects(&self) -> &[DataSubject] {
        match self {
            Self::Consent(record) => slice::from_ref(&record.subject),
            Self::Notice(record) => slice::from_ref(&record.subject),
            Self::Objection(record) => slice::from_ref(&record.subject),
            Self::Restriction(record) => slice::from_ref(&record.subject),
            Self::Dispute(record) => slice::from_ref(&record.subject),
            Self::Erasure(record) => slice::from_ref(&record.subject),
            Self::Subject(record) => slice::from_ref(&record.subject),
            Self::Order(record) => &record.subjects,
            Self::Case(record) => &record.subjects,
            Self::OneTimeGrant(record) => slice::from_ref(&record.subject),
            Self::Withdrawal(record) => record.subject().map_or(&[], slice::from_ref),
        }
    }

    /// The purpose or pattern it names.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        match self {
            Self::Consent(record) => Some(record.purpose.as_str()),
            Self::Notice(record) => Some(record.purpose.as_str()),
            Self::Objection(record) => Some(record.purpose.as_str()),
            Self::OneTimeGrant(record) => Some(record.purpose.as_str()),
            Self::Withdrawal(record) => record.purpose().map(PurposePattern::as_str),
            Self::Restriction(_)
            | Self::Dispute(_)
            | Self::Erasure(_)
            | Self::Subject(_)
            | Self::Order(_)
            | Self::Case(_) => None,
        }
    }

    /// What holds for a record however it was made, by [`parse`](Self::parse) or by hand; else the
    /// field that is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let invalid = |wrong: bool, field| if wrong { Err(field) } else { Ok(()) };
        invalid(self.subjects().iter().any(|id| id.expose().is_empty()), "subject")?;
        invalid(self.purpose().is_some_and(|purpose| !is_purpose(purpose)), "purpose")?;
        match self {
            Self::Consent(record) => {
                invalid(record.id.is_empty(), "id")?;
                // A consent is specific: it never covers a subtree (Recital 32).
                invalid(record.purpose.as_str().contains('*'), "purpose")?;
                invalid(record.events.is_empty(), "events")
            }
            Self::Notice(record) => invalid(record.purpose.as_str().contains('*'), "purpose"),
            Self::Restriction(record) => {
                invalid(record.categories.is_empty(), "categories")?;
                invalid(record.until.is_some_and(|until| until < record.since), "until")
            }
            Self::Dispute(record) => invalid(record.categories.is_empty(), "categories"),
            Self::Erasure(record) => {
                // But for everything, nothing would be erased; what goes on is named.
                let is_named = |except: &PurposePattern| {
                    is_purpose(except.as_str()) && except.as_str() != EVERYTHING
                };
                invalid(!record.except.iter().all(is_named), "except")
            }
            Self::Order(record) => record.check(),
            Self::Case(record) => record.check(),
            Self::OneTimeGrant(record) => record.check(),
            Self::Withdrawal(record) => record.check(),
            Self::Objection(_) | Self::Subject(_) => Ok(()),
        }
    }
}

/// The pattern of every purpose.
pub(super) const EVERYTHING: &str = "*";

/// Whether `text` can be a purpose or a pattern of purposes.
pub(super) fn is_purpose(text: &str) -> bool {
    let stem = match text {
        EVERYTHING => return true,
        _ => text.strip_suffix(".*").unwrap_or(text),
    };
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    stem.len() <= 128 && stem.split('.').all(segment)
}

pub(super) fn subject(fields: &mut Fields) -> Result<DataSubject, RecordError> {
    Ok(Personal::new(fields.required("subject")?.into()))
}

fn consent(fields: &mut Fields) -> Result<ConsentRecord, RecordError> {
    let expires_at = fields.time("expires_at")?;
    let notice = fields.object("notice")?.map(shown_notice).transpose()?;
    Ok(ConsentRecord {
        id: fields.required("id")?,
        subject: subject(fields)?,
        purpose: fields.required("purpose")?.into(),
        purpose_text_digest: fields.digest("purpose_text_digest")?,
        recipients: fields.texts("recipients")?.into_iter().map(Into::into).collect(),
        categories: fields.texts("categories")?.into_iter().map(Into::into).collect(),
        explicit: fields.flag("explicit")?,
        expires_at,
        events: events(fields)?,
        evidence: Evidence {
            notice,
            method: fields.text("method")?,
            jurisdiction: fields.text("jurisdiction")?,
            evidence: fields.digest("evidence")?,
            source: fields.text("source")?,
        },
    })
}

fn shown_notice(mut fields: Fields) -> Result<ShownNotice, RecordError> {
    let notice = ShownNotice {
        reference: fields.required("ref")?,
        revision: fields.text("revision")?,
        language: fields.text("language")?,
        shown_at: fields.time("shown_at")?,
    };
    fields.finish()?;
    Ok(notice)
}

/// `events`, or one made of `status` and `given_at`. Where both are there they must agree: a record
/// that says "given" over a history that ends in "withdrawn" says nothing.
fn events(fields: &mut Fields) -> Result<Vec<ConsentEvent>, RecordError> {
    let status = fields.text("status")?.map(|word| status(&word, "status")).transpose()?;
    let given_at = fields.time("given_at")?;
    let mut events = Vec::new();
    for mut event in fields.objects("events")? {
        let at = event.time("at")?.ok_or(RecordError::Invalid("events.at"))?;
        events.push(ConsentEvent { at, status: status_of(&mut event)? });
        event.finish()?;
    }
    match (status, given_at) {
        _ if !events.is_empty() => {
            sort_events(&mut events);
            let ended = events.iter().find(|event| event.status.is_terminal());
            let last = ended.or(events.last()).map(|event| event.status);
            if status.is_some() && status != last {
                return Err(RecordError::Invalid("status"));
            }
        }
        (Some(status), Some(at)) => events.push(ConsentEvent { at, status }),
        (None, _) => return Err(RecordError::Invalid("status")),
        (Some(_), None) => return Err(RecordError::Invalid("given_at")),
    }
    Ok(events)
}

/// By time; of two at the same time the one that permits comes first, so that the other has the last
/// word.
pub(super) fn sort_events(events: &mut [ConsentEvent]) {
    events.sort_by_key(|event| (event.at, !event.status.is_valid(), event.status.is_terminal()));
}

fn status_of(event: &mut Fields) -> Result<ConsentStatus, RecordError> {
    status(&event.required("status")?, "events.status")
}

fn status(word: &str, field: &'static str) -> Result<ConsentStatus, RecordError> {
    ConsentStatus::parse(word).ok_or(RecordError::Invalid(field))
}

fn notice(fields: &mut Fields) -> Result<NoticeRecord, RecordError> {
    Ok(NoticeRecord {
        id: fields.text("id")?,
        subject: subject(fields)?,
        purpose: fields.required("purpose")?.into(),
        purpose_text_digest: fields.digest("purpose_text_digest")?,
        shown_at: fields.time("shown_at")?.ok_or(RecordError::Invalid("shown_at"))?,
    })
}

fn objection(fields: &mut Fields) -> Result<ObjectionRecord, RecordError> {
    Ok(ObjectionRecord {
        id: fields.text("id")?,
        subject: subject(fields)?,
        purpose: PurposePattern::new(&fields.required("purpose")?),
        since: fields.time("since")?.ok_or(RecordError::Invalid("since"))?,
        channel: fields.text("channel")?,
        source: fields.text("source")?,
    })
}

fn restriction(fields: &mut Fields) -> Result<RestrictionRecord, RecordError> {
    Ok(RestrictionRecord {
        id: fields.text("id")?,
        subject: subject(fields)?,
        categories: fields
            .texts("categories")?
            .iter()
            .map(|text| CategoryPattern::new(text))
            .collect(),
        ground: fields.text("ground")?,
        since: fields.time("since")?.ok_or(RecordError::Invalid("since"))?,
        until: fields.time("until")?,
    })
}

fn erasure(fields: &mut Fields) -> Result<ErasureRecord, RecordError> {
    let requested_at = fields.time("requested_at")?.ok_or(RecordError::Invalid("requested_at"))?;
    Ok(ErasureRecord {
        id: fields.text("id")?,
        subject: subject(fields)?,
        requested_at,
        effective_at: fields.time("effective_at")?.unwrap_or(requested_at),
        except: fields.texts("except")?.iter().map(|text| PurposePattern::new(text)).collect(),
        told: fields.flag("told")?,
    })
}

fn directory(fields: &mut Fields) -> Result<SubjectRecord, RecordError> {
    let age = match fields.text("age")?.as_deref() {
        None => None,
        Some("adult") => Some(AgeClass::Adult),
        Some("minor") => Some(AgeClass::Minor),
        Some("unknown") => Some(AgeClass::Unknown),
        Some(_) => return Err(RecordError::Invalid("age")),
    };
    let region = fields.text("region")?.map(Country::from);
    Ok(SubjectRecord { subject: subject(fields)?, age, region })
}

/// The word of an age class.
pub(super) const fn age_word(age: AgeClass) -> &'static str {
    match age {
        AgeClass::Adult => "adult",
        AgeClass::Minor => "minor",
        AgeClass::Unknown => "unknown",
    }
}

impl Evidence {
    /// The members of the JSON form that are here.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let notice = self.notice.as_ref().map(|notice| {
            members([
                ("ref", Some(notice.reference.as_str().into())),
                ("revision", notice.revision.as_deref().map(Value::from)),
                ("language", notice.language.as_deref().map(Value::from)),
                ("shown_at", notice.shown_at.map(|at| at.to_string().into())),
            ])
        });
        members([
            ("notice", notice.map(Value::Object)),
            ("method", self.method.as_deref().map(Value::from)),
            ("jurisdiction", self.jurisdiction.as_deref().map(Value::from)),
            ("evidence", self.evidence.map(|digest| json!(digest))),
            ("source", self.source.as_deref().map(Value::from)),
        ])
    }
}

/// An object of the members that are known.
pub(super) fn members<const N: usize>(all: [(&str, Option<Value>); N]) -> Map<String, Value> {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
