//! [`Record`] → rows, inside a transaction. Every statement that changed something leaves one row in
//! `changes`, without the subject, for the ledger; whom and what it touched is collected beside it, for
//! stores whose readers are elsewhere.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::{
    ConsentRecord, ErasureRecord, NoticeRecord, ObjectionRecord, Record, RestrictionRecord,
    SubjectRecord, age_word,
};
use super::schema::StoreError;
use super::sql::{Tables, data};
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

/// What a transaction touched: whoever keeps a copy has to read these anew.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) subjects: BTreeSet<String>,
    pub(super) orders: BTreeSet<String>,
    pub(super) cases: BTreeSet<String>,
}

/// One transaction's view, and the time of recording.
pub(super) struct Writer<'t> {
    pub(super) tables: &'t dyn Tables,
    pub(super) now: Timestamp,
    pub(super) touched: RefCell<Touched>,
}

impl<'t> Writer<'t> {
    pub(super) fn new(tables: &'t dyn Tables, now: Timestamp) -> Self {
        Self { tables, now, touched: RefCell::default() }
    }

    pub(super) fn touch(&self, subject: &str) {
        self.touched.borrow_mut().subjects.insert(subject.to_owned());
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
            Record::Dispute(dispute) => (self.dispute(dispute)?, "recorded"),
            Record::Erasure(erasure) => (self.erasure(erasure)?, "recorded"),
            Record::Subject(subject) => (self.subject(subject)?, "recorded"),
            Record::Order(order) => (self.order(order)?, "recorded"),
            Record::Case(case) => (self.case(case)?, "recorded"),
            Record::OneTimeGrant(grant) => (self.one_time_grant(grant)?, "recorded"),
            Record::Withdrawal(withdrawal) => return self.withdrawal(withdrawal),
        };
        if changed {
            record.subjects().iter().for_each(|subject| self.touch(subject.expose()));
            let mut touched = self.touched.borrow_mut();
            match record {
                Record::Order(order) => drop(touched.orders.insert(order.id.clone())),
                Record::Case(case) => drop(touched.cases.insert(case.id.clone())),
                _ => {}
            }
        }
        self.changed(changed, record.kind(), change, record.purpose())
    }

    /// Whether a consent of this id is here.
    pub(super) fn knows_consent(&self, id: &str) -> Result<bool, WriteError> {
        Ok(self.tables.row("SELECT id FROM consents WHERE id = ?1", data![id])?.is_some())
    }

    /// Ends the consent of this id, known or not: if it arrives later, it arrives ended.
    pub(super) fn withdraw_id(&self, id: &str, at: Timestamp) -> Result<Recorded, WriteError> {
        let known = "SELECT purpose, subject FROM consents WHERE id = ?1";
        let known = self.tables.row(known, data![id])?;
        let purpose = known.as_ref().map(|row| row.text(0)).transpose()?;
        // Once is enough: a second withdrawal says nothing new.
        let ended = self.tables.row(
            "SELECT at FROM consent_events WHERE consent = ?1 AND status = 'withdrawn' LIMIT 1",
            data![id],
        )?;
        let changed = ended.is_none()
            && self.event(id, ConsentEvent { at, status: ConsentStatus::Withdrawn })?;
        if let Some(row) = known {
            self.touch(&row.text(1)?);
        }
        self.changed(changed, "consent", "withdrawn", purpose.as_deref())
    }

    pub(super) fn withdraw(
        &self,
        subject: &str,
        purpose: &PurposePattern,
        recipient: Option<&RecipientId>,
    ) -> Result<Recorded, WriteError> {
        let count = self.tables.execute(
            "INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            data![
                subject,
                purpose.as_str(),
                recipient.map_or("", RecipientId::as_str),
                self.now,
                self.number()?
            ],
        )?;
        self.touch(subject);
        self.changed(count > 0, "consent", "withdrawn", Some(purpose.as_str()))
    }

    /// Lifts objections to exactly this purpose or pattern. How many there were.
    pub(super) fn lift_objection(
        &self,
        subject: &str,
        purpose: &PurposePattern,
    ) -> Result<usize, WriteError> {
        let count = self.tables.execute(
            "UPDATE objections SET lifted_at = ?3
             WHERE subject = ?1 AND purpose = ?2 AND lifted_at IS NULL",
            data![subject, purpose.as_str(), self.now],
        )?;
        self.touch(subject);
        self.changed(count > 0, "objection", "lifted", Some(purpose.as_str()))?;
        Ok(count)
    }

    /// Lifts every restriction, but for disputes, which are resolved. How many there were.
    pub(super) fn lift_restrictions(&self, subject: &str) -> Result<usize, WriteError> {
        let count = self.tables.execute(
            "UPDATE restrictions SET lifted_at = ?2
             WHERE subject = ?1 AND lifted_at IS NULL AND id NOT LIKE 'dispute:%'",
            data![subject, self.now],
        )?;
        self.touch(subject);
        self.changed(count > 0, "restriction", "lifted", None)?;
        // Who asks again is heard again, and not told of the receipt that they have.
        self.answer_open("subject = ?1 AND asked_for = 'restriction'", subject)?;
        Ok(count)
    }

    fn consent(&self, record: &ConsentRecord) -> Result<bool, WriteError> {
        let same = self
            .tables
            .row(
                "SELECT subject = ?2 AND purpose = ?3 AND purpose_text_digest IS NOT DISTINCT FROM ?4
                   AND recipients = ?5 AND categories = ?6 AND explicit = ?7
                 FROM consents WHERE id = ?1",
                data![
                    &record.id,
                    record.subject.expose().as_ref(),
                    record.purpose.as_str(),
                    record.purpose_text_digest.map(|digest| digest.to_string()),
                    sorted(record.recipients.iter().map(RecipientId::as_str)),
                    sorted(record.categories.iter().map(CategoryId::as_str)),
                    record.explicit,
                ],
            )?
            .map(|row| row.flag(0))
            .transpose()?;
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
        let count = self.tables.execute(
            "INSERT INTO consents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            data![
                &record.id,
                record.subject.expose().as_ref(),
                record.purpose.as_str(),
                record.purpose_text_digest.map(|digest| digest.to_string()),
                sorted(record.recipients.iter().map(RecipientId::as_str)),
                sorted(record.categories.iter().map(CategoryId::as_str)),
                record.explicit,
                record.expires_at,
                stated_at,
                Value::Object(record.evidence.to_json()).to_string(),
                self.number()?
            ],
        )?;
        Ok(count > 0)
    }

    /// The newest history says when a consent expires, in whatever order histories arrive; of two
    /// equally new ones the earlier expiry counts.
    fn expiry(&self, record: &ConsentRecord, stated_at: Timestamp) -> Result<bool, WriteError> {
        let known = "SELECT expires_at, expires_stated_at FROM consents WHERE id = ?1";
        let known = self.tables.row(known, data![&record.id])?;
        let known = known.ok_or(StoreError::Garbage("consent"))?;
        let (known, known_at) = (known.maybe_time(0)?, known.time(1)?);
        let earlier = match (record.expires_at, known) {
            (Some(new), Some(old)) => new < old,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let replaces = stated_at > known_at || (stated_at == known_at && earlier);
        if !replaces || (stated_at == known_at && record.expires_at == known) {
            return Ok(false);
        }
        self.tables.execute(
            "UPDATE consents SET expires_at = ?2, expires_stated_at = ?3 WHERE id = ?1",
            data![&record.id, record.expires_at, stated_at],
        )?;
        Ok(record.expires_at != known)
    }

    fn event(&self, consent: &str, event: ConsentEvent) -> Result<bool, WriteError> {
        let count = self.tables.execute(
            "INSERT INTO consent_events VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            data![consent, event.at, event.status.as_str(), self.now],
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
        self.tables.execute(
            "INSERT INTO notices VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            data![id, content, subject.as_ref(), record.purpose.as_str(), digest, shown_at],
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
        let (channel, source) = (record.channel.as_ref(), record.source.as_ref());
        self.tables.execute(
            "INSERT INTO objections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
            data![id, content, subject.as_ref(), purpose, since, channel, source],
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
        let ground = record.ground.as_ref();
        self.tables.execute(
            "INSERT INTO restrictions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
            data![id, content, subject.as_ref(), categories, ground, since, until],
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
        self.tables.execute(
            "INSERT INTO erasures VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            data![&id, content, subject.as_ref(), requested, effective, except],
        )?;
        if record.told {
            self.tables.execute(
                "INSERT INTO planned_erasures VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                data![id, self.now],
            )?;
        }
        Ok(true)
    }

    fn subject(&self, record: &SubjectRecord) -> Result<bool, WriteError> {
        let count = self.tables.execute(
            "INSERT INTO subjects VALUES (?1, ?2, ?3) ON CONFLICT (subject) DO UPDATE
             SET age = coalesce(excluded.age, subjects.age),
               region = coalesce(excluded.region, subjects.region)
             WHERE subjects.age IS DISTINCT FROM coalesce(excluded.age, subjects.age)
                OR subjects.region IS DISTINCT FROM coalesce(excluded.region, subjects.region)",
            data![
                record.subject.expose().as_ref(),
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
        let known = format!("SELECT content FROM {table} WHERE id = ?1");
        let known = self.tables.row(&known, data![&id])?.map(|row| row.text(0)).transpose()?;
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
        self.tables.execute(
            "INSERT INTO changes (number, at, register, change, purpose)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            data![self.number()?, format!("{:.3}", self.now), register, change, purpose],
        )?;
        Ok(Recorded::New)
    }

    /// The number that the change under way will have: rows are never taken out of `changes`.
    fn number(&self) -> Result<i64, WriteError> {
        let next = "SELECT coalesce(max(number), 0) + 1 FROM changes";
        Ok(self.tables.row(next, data![])?.ok_or(StoreError::Garbage("changes"))?.number(0)?)
    }
}

/// A list as JSON text in one order, so that equal lists are equal text.
pub(super) fn sorted<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut items: Vec<&str> = items.collect();
    items.sort_unstable();
    items.dedup();
    json!(items).to_string()
}
