//! Disputes: a person says that data about them are wrong. Source: GDPR Art. 16, 18(1)(a).
//!
//! A dispute is a restriction that counts only for whom the rules say so. It is kept beside the
//! restrictions, a row for each category so that each can be resolved alone, under ids that no other
//! statement has. A resolved one stays, with the day.

use jiff::Timestamp;
use serde_json::json;

use super::fields::Fields;
use super::record::subject;
use super::sql::data;
use super::write::{WriteError, Writer, sorted};
use super::{RecordError, Recorded};
use crate::terms::{CategoryPattern, DataSubject, Digest};

/// A person disputes data of these categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeRecord {
    /// Who.
    pub subject: DataSubject,
    /// Which of their data; at least one.
    pub categories: Vec<CategoryPattern>,
    /// Since when.
    pub since: Timestamp,
}

pub(super) fn dispute(fields: &mut Fields) -> Result<DisputeRecord, RecordError> {
    let categories = fields.texts("categories")?;
    Ok(DisputeRecord {
        subject: subject(fields)?,
        categories: categories.iter().map(|text| CategoryPattern::new(text)).collect(),
        since: fields.time("since")?.ok_or(RecordError::Invalid("since"))?,
    })
}

impl Writer<'_> {
    /// One row a category. Sent again, nothing changes, whether or not it was resolved since.
    pub(super) fn dispute(&self, record: &DisputeRecord) -> Result<bool, WriteError> {
        let since = record.since.min(self.now).to_string();
        let subject = record.subject.expose();
        let mut changed = false;
        for category in &record.categories {
            let stated = record.since.to_string();
            let content = json!(["dispute", subject, category.as_str(), stated]).to_string();
            let content = Digest::of(content.as_bytes()).to_string();
            let count = self.tables.execute(
                "INSERT INTO restrictions VALUES (?1, ?2, ?3, ?4, 'disputed', ?5, NULL, NULL)
                 ON CONFLICT DO NOTHING",
                data![
                    format!("dispute:{content}"),
                    &content,
                    subject.as_ref(),
                    sorted([category.as_str()].into_iter()),
                    &since
                ],
            )?;
            changed |= count > 0;
        }
        Ok(changed)
    }

    /// Resolves what `subject` disputes of exactly this category or pattern, or all of it. How many
    /// disputes there were.
    pub(super) fn resolve(
        &self,
        subject: &str,
        category: Option<&CategoryPattern>,
    ) -> Result<usize, WriteError> {
        let only = category.map(|category| sorted([category.as_str()].into_iter()));
        let open = "id LIKE 'dispute:%' AND lifted_at IS NULL AND subject = ?1";
        let count = match &only {
            None => self.tables.execute(
                &format!("UPDATE restrictions SET lifted_at = ?2 WHERE {open}"),
                data![subject, self.now],
            ),
            Some(only) => self.tables.execute(
                &format!("UPDATE restrictions SET lifted_at = ?2 WHERE {open} AND categories = ?3"),
                data![subject, self.now, only],
            ),
        }?;
        self.touch(subject);
        let _: Recorded = self.changed(count > 0, "dispute", "lifted", None)?;
        Ok(count)
    }
}
