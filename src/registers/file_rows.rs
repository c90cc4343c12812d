//! Orders, cases and grants for one use ↔ rows. What an id stands for never changes; only approvals,
//! people of a case, a use and an end are added.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::Recorded;
use super::order::{CaseRecord, OneTimeGrantRecord, OrderRecord};
use super::read::rows;
use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use super::write::{WriteError, Writer, sorted};
use crate::terms::{Case, CategoryId, DecisionId, Digest, LegalOrder, OneTimeGrant, PurposeId};

const ORDER: &str =
    "SELECT id, recipient, categories, from_at, until, gag_until, lifted_at IS NOT NULL
  FROM orders";
const CASE: &str = "SELECT id, purposes, opened_at, until, closed_at IS NOT NULL FROM cases";

/// The order of this id.
pub(super) fn order(snapshot: &dyn Tables, id: &str) -> Result<Option<LegalOrder>, StoreError> {
    Ok(orders(snapshot, &format!("{ORDER} WHERE id = ?1"), id)?.pop())
}

/// The case of this id.
pub(super) fn case(snapshot: &dyn Tables, id: &str) -> Result<Option<Case>, StoreError> {
    Ok(rows(snapshot, &format!("{CASE} WHERE id = ?1"), id, case_of)?.pop())
}

/// Orders that name `subject`.
pub(super) fn orders_about(
    snapshot: &dyn Tables,
    subject: &str,
) -> Result<Vec<LegalOrder>, StoreError> {
    let named = "JOIN order_subjects ON order_id = id WHERE subject = ?1 ORDER BY id";
    orders(snapshot, &format!("{ORDER} {named}"), subject)
}

/// Cases that name `subject`.
pub(super) fn cases_about(snapshot: &dyn Tables, subject: &str) -> Result<Vec<Case>, StoreError> {
    let named = "JOIN case_subjects ON case_id = id WHERE subject = ?1 ORDER BY id";
    rows(snapshot, &format!("{CASE} {named}"), subject, case_of)
}

/// Grants for one use that `subject` gave, used or not.
pub(super) fn one_time_grants_of(
    snapshot: &dyn Tables,
    subject: &str,
) -> Result<Vec<OneTimeGrant>, StoreError> {
    let query = "SELECT id, purpose, recipient, granted_at, expires_at, used_by
      FROM one_time_grants WHERE subject = ?1 ORDER BY granted_at, id";
    rows(snapshot, query, subject, |row| {
        Ok(OneTimeGrant {
            id: row.text(0)?.into(),
            purpose: row.text(1)?.into(),
            recipient: row.text(2)?.into(),
            granted_at: row.time(3)?,
            expires_at: row.maybe_time(4)?,
            used_by: row.maybe_text(5)?.map(DecisionId::from),
        })
    })
}

fn orders(snapshot: &dyn Tables, query: &str, key: &str) -> Result<Vec<LegalOrder>, StoreError> {
    let mut found = rows(snapshot, query, key, |row| {
        Ok(LegalOrder {
            id: row.text(0)?.into(),
            recipient: row.text(1)?.into(),
            categories: row.list(2)?.into_iter().map(Into::into).collect(),
            from: row.time(3)?,
            until: row.time(4)?,
            gag_until: row.maybe_time(5)?,
            approved_by: BTreeSet::new(),
            lifted: row.flag(6)?,
        })
    })?;
    for order in &mut found {
        let approvals = "SELECT approver FROM order_approvals WHERE order_id = ?1";
        let approvers = rows(snapshot, approvals, &order.id, |row| row.text(0))?;
        order.approved_by = approvers.into_iter().map(Arc::from).collect();
    }
    Ok(found)
}

fn case_of(row: &Row) -> Result<Case, StoreError> {
    Ok(Case {
        id: row.text(0)?.into(),
        purposes: row.list(1)?.into_iter().map(Into::into).collect(),
        opened_at: row.time(2)?,
        until: row.maybe_time(3)?,
        closed: row.flag(4)?,
    })
}

impl Writer<'_> {
    pub(super) fn order(&self, record: &OrderRecord) -> Result<bool, WriteError> {
        let categories = sorted(record.categories.iter().map(CategoryId::as_str));
        let subjects = sorted(record.subjects.iter().map(|id| id.expose().as_ref()));
        let text = |time: &Timestamp| time.to_string();
        let document = record.document.map(|digest| digest.to_string());
        let (from, until) = (text(&record.from), text(&record.until));
        let gag_until = record.gag_until.as_ref().map(text);
        let content = json!([
            "order",
            record.recipient.as_str(),
            record.authority,
            record.kind,
            document,
            subjects,
            categories,
            from,
            until,
            gag_until
        ]);
        let content = Digest::of(content.to_string().as_bytes()).to_string();
        // Approvals are given to a content: another content under the same id would inherit them.
        if let Some(known) = self.content_of("orders", &record.id)? {
            return if known == content { Ok(false) } else { Err(WriteError::Invalid("id")) };
        }
        self.tables.execute(
            "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)",
            data![
                &record.id,
                content,
                record.recipient.as_str(),
                &record.authority,
                record.kind.as_ref(),
                document,
                categories,
                from,
                until,
                gag_until
            ],
        )?;
        for subject in &record.subjects {
            self.tables.execute(
                "INSERT INTO order_subjects VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                data![&record.id, subject.expose().as_ref()],
            )?;
        }
        Ok(true)
    }

    pub(super) fn case(&self, record: &CaseRecord) -> Result<bool, WriteError> {
        let purposes = sorted(record.purposes.iter().map(PurposeId::as_str));
        let (opened, until) =
            (record.opened_at.to_string(), record.until.map(|until| until.to_string()));
        let content = json!(["case", purposes, opened, until]);
        let content = Digest::of(content.to_string().as_bytes()).to_string();
        let mut changed = match self.content_of("cases", &record.id)? {
            Some(known) if known != content => return Err(WriteError::Invalid("id")),
            Some(_) => false,
            None => {
                self.tables.execute(
                    "INSERT INTO cases VALUES (?1, ?2, ?3, ?4, ?5, NULL)",
                    data![&record.id, content, purposes, opened, until],
                )?;
                true
            }
        };
        for subject in &record.subjects {
            let added = self.tables.execute(
                "INSERT INTO case_subjects VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                data![&record.id, subject.expose().as_ref()],
            )?;
            changed |= added > 0;
        }
        Ok(changed)
    }

    pub(super) fn one_time_grant(&self, record: &OneTimeGrantRecord) -> Result<bool, WriteError> {
        let (granted, expires) =
            (record.granted_at.to_string(), record.expires_at.map(|at| at.to_string()));
        let subject = record.subject.expose();
        let (purpose, recipient) = (record.purpose.as_str(), record.recipient.as_str());
        let content = json!(["one-time-grant", subject, purpose, recipient, granted, expires]);
        let content = Digest::of(content.to_string().as_bytes()).to_string();
        // Delivered again after it was used it must not become a second use.
        if let Some(known) = self.content_of("one_time_grants", &record.id)? {
            return if known == content { Ok(false) } else { Err(WriteError::Invalid("id")) };
        }
        self.tables.execute(
            "INSERT INTO one_time_grants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL)",
            data![&record.id, content, subject.as_ref(), purpose, recipient, granted, expires],
        )?;
        Ok(true)
    }

    /// Uses the grants up for one decision. False: another decision was first with one of them.
    pub(super) fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, WriteError> {
        for id in ids {
            let count = self.tables.execute(
                "UPDATE one_time_grants SET used_at = ?2, used_by = ?3
                 WHERE id = ?1 AND used_by IS NULL",
                data![id.as_ref(), self.now, decision.as_str()],
            )?;
            if count == 0 {
                return Ok(false);
            }
            self.touch_all("SELECT subject FROM one_time_grants WHERE id = ?1", id)?;
            self.changed(true, "one-time-grant", "used", None)?;
        }
        Ok(true)
    }

    /// Approves the order under the name of one approver.
    pub(super) fn approve(&self, id: &str, approver: &str) -> Result<Recorded, WriteError> {
        if self.content_of("orders", id)?.is_none() {
            return Err(WriteError::Invalid("id"));
        }
        let count = self.tables.execute(
            "INSERT INTO order_approvals VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            data![id, approver, self.now],
        )?;
        self.touch_order(id)?;
        self.changed(count > 0, "order", "approved", None)
    }

    /// Lifts the order: it is over for good.
    pub(super) fn lift_order(&self, id: &str) -> Result<Recorded, WriteError> {
        self.touch_order(id)?;
        self.end("orders", "lifted_at", "order", id)
    }

    /// Closes the case for good.
    pub(super) fn close_case(&self, id: &str) -> Result<Recorded, WriteError> {
        self.touched.borrow_mut().cases.insert(id.to_owned());
        self.touch_all("SELECT subject FROM case_subjects WHERE case_id = ?1", id)?;
        self.end("cases", "closed_at", "case", id)
    }

    fn end(
        &self,
        table: &'static str,
        column: &'static str,
        register: &'static str,
        id: &str,
    ) -> Result<Recorded, WriteError> {
        // A misspelt id would leave in force what was meant to end.
        if self.content_of(table, id)?.is_none() {
            return Err(WriteError::Invalid("id"));
        }
        let count = self.tables.execute(
            &format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1 AND {column} IS NULL"),
            data![id, self.now],
        )?;
        self.changed(count > 0, register, "lifted", None)
    }

    fn touch_order(&self, id: &str) -> Result<(), WriteError> {
        self.touched.borrow_mut().orders.insert(id.to_owned());
        self.touch_all("SELECT subject FROM order_subjects WHERE order_id = ?1", id)
    }

    /// Everybody whom `query` names for `id`.
    fn touch_all(&self, query: &str, id: &str) -> Result<(), WriteError> {
        for row in self.tables.rows(query, data![id])? {
            self.touch(&row.text(0)?);
        }
        Ok(())
    }

    fn content_of(&self, table: &'static str, id: &str) -> Result<Option<String>, WriteError> {
        let query = format!("SELECT content FROM {table} WHERE id = ?1");
        Ok(self.tables.row(&query, data![id])?.map(|row| row.text(0)).transpose()?)
    }
}
