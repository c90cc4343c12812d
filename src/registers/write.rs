//! [`Record`] → rows, inside a transaction. Every statement that changed something leaves one row in
//! `changes`, without the subject, for the ledger.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, named_params, params};
use serde_json::{Value, json};

use super::record::{
    ConsentRecord, ErasureRecord, NoticeRecord, ObjectionRecord, Record, RestrictionRecord,
    SubjectRecord, age_word,
};
use super::schema::StoreError;
use super::{RecordError, Recorded};
use crate::terms::{
    CategoryId, CategoryPattern, ConsentEvent, ConsentStatus, Country, Digest, PurposePattern,
    RecipientId,
};

/// Why a row was not written.
#[derive(Debug)]
pub(super) enum WriteError {
    Store(StoreError),
    Invalid(&'static str),
}

impl<E: Into<StoreError>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl From<WriteError> for RecordError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => Self::Unavailable(Box::new(error)),
            WriteError::Invalid(field) => Self::Invalid(field),
        }
    }
}

/// One transaction's view: the time of recording and the number that its next change will have.
pub(super) struct Writer<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) now: Timestamp,
}

impl<'t> Writer<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, now: Timestamp) -> Self {
        Self { transaction, now }
    }

    pub(super) fn record(&self, record: &Record) -> Result<Recorded, WriteError> {
        let (changed, change) = match record {
            Record::Consent(consent) => {
                let ends = consent.events.iter().any(|event| event.status.is_terminal());
                (self.consent(consent)?, if ends { "withdrawn" } else { "recorded" })
            }
            Record::Notice(notice) => (self.notice(notice)?, "recorded"),
            Record::Objection(objection) => (self.objection(objection)?, "recorded"),
            Record::Restriction(restriction) => (self.restriction(restriction)?, "recorded"),
            Record::Erasure(erasure) => (self.erasure(erasure)?, "recorded"),
            Record::Subject(subject) => (self.subject(subject)?, "recorded"),
            Record::Order(order) => (self.order(order)?, "recorded"),
            Record::Case(case) => (self.case(case)?, "recorded"),
            Record::OneTimeGrant(grant) => (self.one_time_grant(grant)?, "recorded"),
        };
        self.changed(changed, record.kind(), change, record.purpose())
    }

    /// Ends the consent of this id, known or not: if it arrives later, it arrives ended.
    pub(super) fn withdraw_id(&self, id: &str, at: Timestamp) -> Result<Recorded, WriteError> {
        let purpose: Option<String> = self
            .transaction
            .query_row("SELECT purpose FROM consents WHERE id = ?1", [id], |row| row.get(0))
            .optional()?;
        // Once is enough: a second withdrawal says nothing new.
        let ended: bool = self.transaction.query_row(
            "SELECT count(*) > 0 FROM consent_events WHERE consent = ?1 AND status = 'withdrawn'",
            [id],
            |row| row.get(0),
        )?;
        let changed =
            !ended && { self.event(id, ConsentEvent { at, status: ConsentStatus::Withdrawn })? };
        self.changed(changed, "consent", "withdrawn", purpose.as_deref())
    }

    pub(super) fn withdraw(
        &self,
        subject: &str,
        purpose: &PurposePattern,
        recipient: Option<&RecipientId>,
    ) -> Result<Recorded, WriteError> {
        let count = self.transaction.execute(
            "INSERT OR IGNORE INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                subject,
                purpose.as_str(),
                recipient.map_or("", RecipientId::as_str),
                self.now.to_string(),
                self.number()?
            ],
        )?;
        self.changed(count > 0, "consent", "withdrawn", Some(purpose.as_str()))
    }

    /// Lifts objections to exactly this purpose or pattern. How many there were.
    pub(super) fn lift_objection(
        &self,
        subject: &str,
        purpose: &PurposePattern,
    ) -> Result<usize, WriteError> {
        let count = self.transaction.execute(
            "UPDATE objections SET lifted_at = ?3
             WHERE subject = ?1 AND purpose = ?2 AND lifted_at IS NULL",
            params![subject, purpose.as_str(), self.now.to_string()],
        )?;
        self.changed(count > 0, "objection", "lifted", Some(purpose.as_str()))?;
        Ok(count)
    }

    /// Lifts every restriction. How many there were.
    pub(super) fn lift_restrictions(&self, subject: &str) -> Result<usize, WriteError> {
        let count = self.transaction.execute(
            "UPDATE restrictions SET lifted_at = ?2 WHERE subject = ?1 AND lifted_at IS NULL",
            params![subject, self.now.to_string()],
        )?;
        self.changed(count > 0, "restriction", "lifted", None)?;
        Ok(count)
    }

    fn consent(&self, record: &ConsentRecord) -> Result<bool, WriteError> {
        let same = self
            .transaction
            .query_row(
                "SELECT subject = :subject AND purpose = :purpose
                   AND purpose_text_digest IS :digest AND recipients = :recipients
                   AND categories = :categories AND explicit = :explicit
                 FROM consents WHERE id = :id",
                named_params! {
                    ":id": record.id,
                    ":subject": record.subject.expose(),
                    ":purpose": record.purpose.as_str(),
                    ":digest": record.purpose_text_digest.map(|digest| digest.to_string()),
                    ":recipients": sorted(record.recipients.iter().map(RecipientId::as_str)),
                    ":categories": sorted(record.categories.iter().map(CategoryId::as_str)),
                    ":explicit": record.explicit,
                },
                |row| row.get::<_, bool>(0),
            )
            .optional()?;
        let stated_at = record.events.iter().map(|event| event.at).max().unwrap_or(self.now);
        let mut changed = match same {
            // What a consent covers never changes under its id: that would be another consent.
            Some(false) => return Err(WriteError::Invalid("id")),
            Some(true) => self.expiry(record, stated_at)?,
            None => self.insert_consent(record, stated_at)?,
        };
        for event in &record.events {
            changed |= self.event(&record.id, *event)?;
        }
        Ok(changed)
    }

    fn insert_consent(
        &self,
        record: &ConsentRecord,
        stated_at: Timestamp,
    ) -> Result<bool, WriteError> {
        let count = self.transaction.execute(
            "INSERT INTO consents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                record.id,
                record.subject.expose(),
                record.purpose.as_str(),
                record.purpose_text_digest.map(|digest| digest.to_string()),
                sorted(record.recipients.iter().map(RecipientId::as_str)),
                sorted(record.categories.iter().map(CategoryId::as_str)),
                record.explicit,
                record.expires_at.map(|at| at.to_string()),
                stated_at.to_string(),
                Value::Object(record.evidence.to_json()).to_string(),
                self.number()?
            ],
        )?;
        Ok(count > 0)
    }

    /// The newest history says when a consent expires, in whatever order histories arrive; of two
    /// equally new ones the earlier expiry counts.
    fn expiry(&self, record: &ConsentRecord, stated_at: Timestamp) -> Result<bool, WriteError> {
        let (known, known_at): (Option<String>, String) = self.transaction.query_row(
            "SELECT expires_at, expires_stated_at FROM consents WHERE id = ?1",
            [&record.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let time = |text: &str| text.parse().map_err(|_| StoreError::Garbage("time"));
        let known_at: Timestamp = time(&known_at)?;
        let known: Option<Timestamp> = known.as_deref().map(time).transpose()?;
        let earlier = match (record.expires_at, known) {
            (Some(new), Some(old)) => new < old,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let replaces = stated_at > known_at || (stated_at == known_at && earlier);
        if !replaces || (stated_at == known_at && record.expires_at == known) {
            return Ok(false);
        }
        self.transaction.execute(
            "UPDATE consents SET expires_at = ?2, expires_stated_at = ?3 WHERE id = ?1",
            params![record.id, record.expires_at.map(|at| at.to_string()), stated_at.to_string()],
        )?;
        Ok(record.expires_at != known)
    }

    fn event(&self, consent: &str, event: ConsentEvent) -> Result<bool, WriteError> {
        let count = self.transaction.execute(
            "INSERT OR IGNORE INTO consent_events VALUES (?1, ?2, ?3, ?4)",
            params![consent, event.at.to_string(), event.status.as_str(), self.now.to_string()],
        )?;
        Ok(count > 0)
    }

    fn notice(&self, record: &NoticeRecord) -> Result<bool, WriteError> {
        let digest = record.purpose_text_digest.map(|digest| digest.to_string());
        let shown_at = record.shown_at.to_string();
        let subject = record.subject.expose();
        let content = json!(["notice", subject, record.purpose.as_str(), digest, shown_at]);
        let Some((id, content)) = self.unknown("notices", record.id.as_deref(), &content)? else {
            return Ok(false);
        };
        self.transaction.execute(
            "INSERT INTO notices VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, content, subject, record.purpose.as_str(), digest, shown_at],
        )?;
        Ok(true)
    }

    fn objection(&self, record: &ObjectionRecord) -> Result<bool, WriteError> {
        // As with withdrawals: it counts from when we heard of it at the latest.
        let since = record.since.min(self.now).to_string();
        let (subject, purpose) = (record.subject.expose(), record.purpose.as_str());
        let content = json!(["objection", subject, purpose, record.since.to_string()]);
        let Some((id, content)) = self.unknown("objections", record.id.as_deref(), &content)?
        else {
            return Ok(false);
        };
        self.transaction.execute(
            "INSERT INTO objections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
            params![id, content, subject, purpose, since, record.channel, record.source],
        )?;
        Ok(true)
    }

    pub(super) fn restriction(&self, record: &RestrictionRecord) -> Result<bool, WriteError> {
        let since = record.since.min(self.now).to_string();
        let until = record.until.map(|at| at.to_string());
        let categories = sorted(record.categories.iter().map(CategoryPattern::as_str));
        let subject = record.subject.expose();
        let stated = record.since.to_string();
        let content = json!(["restriction", subject, categories, stated, until]);
        let Some((id, content)) = self.unknown("restrictions", record.id.as_deref(), &content)?
        else {
            return Ok(false);
        };
        self.transaction.execute(
            "INSERT INTO restrictions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
            params![id, content, subject, categories, record.ground, since, until],
        )?;
        Ok(true)
    }

    pub(super) fn erasure(&self, record: &ErasureRecord) -> Result<bool, WriteError> {
        let (requested, effective) =
            (record.requested_at.to_string(), record.effective_at.to_string());
        let except = sorted(record.except.iter().map(PurposePattern::as_str));
        let subject = record.subject.expose();
        let content = json!(["erasure", subject, requested, effective, except]);
        let Some((id, content)) = self.unknown("erasures", record.id.as_deref(), &content)? else {
            return Ok(false);
        };
        self.transaction.execute(
            "INSERT INTO erasures VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, content, subject, requested, effective, except],
        )?;
        Ok(true)
    }

    fn subject(&self, record: &SubjectRecord) -> Result<bool, WriteError> {
        let count = self.transaction.execute(
            "INSERT INTO subjects VALUES (?1, ?2, ?3) ON CONFLICT (subject) DO UPDATE
             SET age = coalesce(excluded.age, age), region = coalesce(excluded.region, region)
             WHERE age IS NOT coalesce(excluded.age, age)
                OR region IS NOT coalesce(excluded.region, region)",
            params![
                record.subject.expose(),
                record.age.map(age_word),
                record.region.as_ref().map(Country::as_str)
            ],
        )?;
        Ok(count > 0)
    }

    /// The id under which a statement is to be kept, and the digest of its content; `None` where it
    /// is known already. An id that is known with another content would make this statement lost.
    fn unknown(
        &self,
        table: &'static str,
        given: Option<&str>,
        content: &Value,
    ) -> Result<Option<(String, String)>, WriteError> {
        let content = Digest::of(content.to_string().as_bytes()).to_string();
        // A given id is prefixed, so that it can never be one made of a content.
        let id = given.map_or_else(|| content.clone(), |given| format!("id:{given}"));
        let known: Option<String> = self
            .transaction
            .query_row(&format!("SELECT content FROM {table} WHERE id = ?1"), [&id], |row| {
                row.get(0)
            })
            .optional()?;
        match known {
            None => Ok(Some((id, content))),
            Some(known) if known == content => Ok(None),
            Some(_) => Err(WriteError::Invalid("id")),
        }
    }

    pub(super) fn changed(
        &self,
        changed: bool,
        register: &str,
        change: &str,
        purpose: Option<&str>,
    ) -> Result<Recorded, WriteError> {
        if !changed {
            return Ok(Recorded::Known);
        }
        self.transaction.execute(
            "INSERT INTO changes (at, register, change, purpose) VALUES (?1, ?2, ?3, ?4)",
            params![format!("{:.3}", self.now), register, change, purpose],
        )?;
        Ok(Recorded::New)
    }

    /// The number that the change under way will have: rows are never taken out of `changes`.
    fn number(&self) -> Result<i64, WriteError> {
        let last = "SELECT coalesce(max(number), 0) + 1 FROM changes";
        Ok(self.transaction.query_row(last, [], |row| row.get(0))?)
    }
}

/// A list as JSON text in one order, so that equal lists are equal text.
pub(super) fn sorted<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut items: Vec<&str> = items.collect();
    items.sort_unstable();
    items.dedup();
    json!(items).to_string()
}
