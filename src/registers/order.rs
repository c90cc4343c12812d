//! Records of orders, cases and grants for one use, as they come in.
//!
//! An order is entered without approvals: each approver gives their own, under their own name, to an
//! order whose content can no longer change.

use jiff::Timestamp;

use super::RecordError;
use super::fields::Fields;
use crate::terms::{
    CategoryId, DataSubject, DecisionId, Digest, Personal, PurposeId, RecipientId, is_file_id,
};

/// A legal order. Source: GDPR Art. 6(1)(c), 23.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// Its id.
    pub id: String,
    /// The recipient that may rely on it.
    pub recipient: RecipientId,
    /// Who gave it, in words: a court's name.
    pub authority: String,
    /// `court`, `regulator` or `police`.
    pub kind: Option<String>,
    /// Digest of the document.
    pub document: Option<Digest>,
    /// The people it names; at least one.
    pub subjects: Vec<DataSubject>,
    /// What it asks for; at least one, none of them a subtree.
    pub categories: Vec<CategoryId>,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Until when the people it names must not be told.
    pub gag_until: Option<Timestamp>,
    /// When it was lifted, where it comes from other registers; it is over for good.
    pub lifted_at: Option<Timestamp>,
}

/// A case. The same id again adds people to it, and changes nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRecord {
    /// Its id.
    pub id: String,
    /// What it was opened for; at least one purpose, none of them a subtree.
    pub purposes: Vec<PurposeId>,
    /// The people it is about; at least one.
    pub subjects: Vec<DataSubject>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when; `None`: until it is closed.
    pub until: Option<Timestamp>,
    /// When it was closed, where it comes from other registers; it is over for good.
    pub closed_at: Option<Timestamp>,
}

/// A person lets one recipient have their data once. Source: GDPR Art. 20(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeGrantRecord {
    /// Its id.
    pub id: String,
    /// Whose data; one.
    pub subject: DataSubject,
    /// What for.
    pub purpose: PurposeId,
    /// To whom.
    pub recipient: RecipientId,
    /// Since when.
    pub granted_at: Timestamp,
    /// When it ends unused.
    pub expires_at: Option<Timestamp>,
    /// The decision that used it, where it comes from other registers; nothing uses it again.
    pub used_by: Option<DecisionId>,
}

/// The words for who gives orders.
const KINDS: [&str; 3] = ["court", "regulator", "police"];

pub(super) fn order(fields: &mut Fields) -> Result<OrderRecord, RecordError> {
    Ok(OrderRecord {
        id: fields.required("id")?,
        recipient: fields.required("recipient")?.into(),
        authority: fields.required("authority")?,
        kind: fields.text("type")?,
        document: fields.digest("document")?,
        subjects: subjects(fields)?,
        categories: fields.texts("categories")?.into_iter().map(Into::into).collect(),
        from: fields.time("from")?.ok_or(RecordError::Invalid("from"))?,
        until: fields.time("until")?.ok_or(RecordError::Invalid("until"))?,
        gag_until: fields.time("gag_until")?,
        lifted_at: fields.time("lifted_at")?,
    })
}

pub(super) fn case(fields: &mut Fields) -> Result<CaseRecord, RecordError> {
    Ok(CaseRecord {
        id: fields.required("id")?,
        purposes: fields.texts("purposes")?.into_iter().map(Into::into).collect(),
        subjects: subjects(fields)?,
        opened_at: fields.time("opened_at")?.ok_or(RecordError::Invalid("opened_at"))?,
        until: fields.time("until")?,
        closed_at: fields.time("closed_at")?,
    })
}

pub(super) fn one_time_grant(fields: &mut Fields) -> Result<OneTimeGrantRecord, RecordError> {
    Ok(OneTimeGrantRecord {
        id: fields.required("id")?,
        subject: Personal::new(fields.required("subject")?.into()),
        purpose: fields.required("purpose")?.into(),
        recipient: fields.required("recipient")?.into(),
        granted_at: fields.time("granted_at")?.ok_or(RecordError::Invalid("granted_at"))?,
        expires_at: fields.time("expires_at")?,
        used_by: fields.text("used_by")?.as_deref().map(DecisionId::from),
    })
}

fn subjects(fields: &mut Fields) -> Result<Vec<DataSubject>, RecordError> {
    let ids = fields.texts("subjects")?;
    Ok(ids.into_iter().map(|id| Personal::new(id.into())).collect())
}

impl OrderRecord {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let wrong_kind = |kind: &String| !KINDS.contains(&kind.as_str());
        let checks = [
            (!is_file_id(&self.id), "id"),
            (self.recipient.as_str().is_empty(), "recipient"),
            (self.authority.is_empty(), "authority"),
            (self.kind.as_ref().is_some_and(wrong_kind), "type"),
            (!are_people(&self.subjects), "subjects"),
            (self.categories.is_empty(), "categories"),
            // An order for everything is none (GDPR Art. 5(1)(c)): what it asks for is listed.
            (self.categories.iter().any(|one| one.as_str().contains('*')), "categories"),
            (self.until <= self.from, "until"),
        ];
        first_wrong(&checks)
    }
}

impl CaseRecord {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let checks = [
            (!is_file_id(&self.id), "id"),
            (self.purposes.is_empty(), "purposes"),
            (self.purposes.iter().any(|one| one.as_str().contains('*')), "purposes"),
            (!are_people(&self.subjects), "subjects"),
            (self.until.is_some_and(|until| until <= self.opened_at), "until"),
        ];
        first_wrong(&checks)
    }
}

impl OneTimeGrantRecord {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let checks = [
            (!is_file_id(&self.id), "id"),
            (self.purpose.as_str().contains('*'), "purpose"),
            (self.recipient.as_str().is_empty(), "recipient"),
            (self.expires_at.is_some_and(|end| end <= self.granted_at), "expires_at"),
        ];
        first_wrong(&checks)
    }
}

fn are_people(subjects: &[DataSubject]) -> bool {
    !subjects.is_empty() && subjects.iter().all(|id| !id.expose().is_empty())
}

fn first_wrong(checks: &[(bool, &'static str)]) -> Result<(), &'static str> {
    checks.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, field)| Err(field))
}
