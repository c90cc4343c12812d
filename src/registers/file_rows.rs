//! Orders, cases and grants for one use ↔ rows. What an id stands for never changes; only approvals,
//! people of a case, a use and an end are added.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::Recorded;
use super::order::{CaseRecord, OneTimeGrantRecord, OrderRecord};
use super::read::{Whom, rows};
use super::schema::StoreError;
use super::sql::{Row, Tables, data};
use super::write::{WriteError, Writer, sorted};
use crate::terms::{Case, CategoryId, DecisionId, Digest, LegalOrder, OneTimeGrant, PurposeId};

const ORDER: &str =
    "SELECT id, recipient, categories, from_at, until, gag_until, lifted_at IS NOT NULL
  FROM orders";
const ORDER_ABOUT: &str =
    "SELECT id, recipient, categories, from_at, until, gag_until, lifted_at IS NOT NULL, subject
  FROM orders";
const APPROVERS: &str = "SELECT order_id, approver FROM order_approvals WHERE order_id = ?1";
const APPROVERS_ABOUT: &str =
    "SELECT DISTINCT order_approvals.order_id, approver FROM order_approvals
  JOIN order_subjects ON order_subjects.order_id = order_approvals.order_id WHERE subject = ?1";
const CASE: &str = "SELECT id, purposes, opened_at, until, closed_at IS NOT NULL FROM cases";
const CASE_ABOUT: &str =
    "SELECT id, purposes, opened_at, until, closed_at IS NOT NULL, subject FROM cases";

/// The order of this id.
pub(super) fn order(snapshot: &dyn Tables, id: &str) -> Result<Option<LegalOrder>, StoreError> {
    Ok(orders(snapshot, Whom::One(id))?.pop())
}

/// The case of this id.
pub(super) fn case(snapshot: &dyn Tables, id: &str) -> Result<Option<Case>, StoreError> {
    Ok(cases(snapshot, Whom::One(id))?.pop())
}

/// The orders of these ids.
pub(super) fn orders(snapshot: &dyn Tables, ids: Whom<'_>) -> Result<Vec<LegalOrder>, StoreError> {
    let found = rows(snapshot, &format!("{ORDER} WHERE id = ?1"), ids)?;
    let mut approvers = approvers(snapshot, APPROVERS, ids)?;
    found.iter().map(|row| order_of(row, &mut |id| approvers.remove(id))).collect()
}

/// The cases of these ids.
pub(super) fn cases(snapshot: &dyn Tables, ids: Whom<'_>) -> Result<Vec<Case>, StoreError> {
    rows(snapshot, &format!("{CASE} WHERE id = ?1"), ids)?.iter().map(case_of).collect()
}

/// The first orders after an id, in the order of ids.
pub(super) fn orders_after(
    snapshot: &dyn Tables,
    after: &str,
    limit: usize,
) -> Result<Vec<LegalOrder>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = format!("{ORDER} WHERE id > ?1 ORDER BY id LIMIT ?2");
    let found = snapshot.rows(&query, data![after, limit])?;
    let Some(last) = found.last() else { return Ok(Vec::new()) };
    let query = "SELECT order_id, approver FROM order_approvals WHERE order_id > ?1
      AND order_id <= ?2";
    let mut approvers = by_order(&snapshot.rows(query, data![after, last.text(0)?])?)?;
    found.iter().map(|row| order_of(row, &mut |id| approvers.remove(id))).collect()
}

/// The first cases after an id, in the order of ids.
pub(super) fn cases_after(
    snapshot: &dyn Tables,
    after: &str,
    limit: usize,
) -> Result<Vec<Case>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = format!("{CASE} WHERE id > ?1 ORDER BY id LIMIT ?2");
    snapshot.rows(&query, data![after, limit])?.iter().map(case_of).collect()
}

/// Orders that name these people, by person.
pub(super) fn orders_about(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<Vec<(String, LegalOrder)>, StoreError> {
    let named = "JOIN order_subjects ON order_id = id WHERE subject = ?1 ORDER BY id";
    let found = rows(snapshot, &format!("{ORDER_ABOUT} {named}"), whom)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let approvers = approvers(snapshot, APPROVERS_ABOUT, whom)?;
    let mut approved = |id: &str| approvers.get(id).cloned();
    found.iter().map(|row| Ok((row.text(7)?, order_of(row, &mut approved)?))).collect()
}

/// Cases that name these people, by person.
pub(super) fn cases_about(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<Vec<(String, Case)>, StoreError> {
    let named = "JOIN case_subjects ON case_id = id WHERE subject = ?1 ORDER BY id";
    let found = rows(snapshot, &format!("{CASE_ABOUT} {named}"), whom)?;
    found.iter().map(|row| Ok((row.text(5)?, case_of(row)?))).collect()
}

/// Grants for one use that these people gave, used or not, by person.
pub(super) fn one_time_grants_of(
    snapshot: &dyn Tables,
    whom: Whom<'_>,
) -> Result<Vec<(String, OneTimeGrant)>, StoreError> {
    let query = "SELECT id, purpose, recipient, granted_at, expires_at, used_by, subject
      FROM one_time_grants WHERE subject = ?1 ORDER BY granted_at, id";
    let grant = |row: &Row| {
        let grant = OneTimeGrant {
            id: row.text(0)?.into(),
            purpose: row.text(1)?.into(),
            recipient: row.text(2)?.into(),
            granted_at: row.time(3)?,
            expires_at: row.maybe_time(4)?,
            used_by: row.maybe_text(5)?.map(DecisionId::from),
        };
        Ok((row.text(6)?, grant))
    };
    rows(snapshot, query, whom)?.iter().map(grant).collect()
}

type Approvers = HashMap<String, BTreeSet<Arc<str>>>;

/// Who approved, by order.
fn approvers(snapshot: &dyn Tables, query: &str, whom: Whom<'_>) -> Result<Approvers, StoreError> {
    by_order(&rows(snapshot, query, whom)?)
}

fn by_order(rows: &[Row]) -> Result<Approvers, StoreError> {
    let mut approvers = Approvers::new();
    for row in rows {
        approvers.entry(row.text(0)?).or_default().insert(row.text(1)?.into());
    }
    Ok(approvers)
}

fn order_of(
    row: &Row,
    approved: &mut dyn FnMut(&str) -> Option<BTreeSet<Arc<str>>>,
) -> Result<LegalOrder, StoreError> {
    let id = row.text(0)?;
    Ok(LegalOrder {
        approved_by: approved(&id).unwrap_or_default(),
        id: id.into(),
        recipient: row.text(1)?.into(),
        categories: row.list(2)?.into_iter().map(Into::into).collect(),
        from: row.time(3)?,
        until: row.time(4)?,
        gag_until: row.maybe_time(5)?,
        lifted: row.flag(6)?,
    })
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
        let lifted =
            |writer: &Self| writer.ended("orders", "lifted_at", &record.id, record.lifted_at);
        if let Some(known) = self.content_of("orders", &record.id)? {
            return if known == content { lifted(self) } else { Err(WriteError::Invalid("id")) };
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
        lifted(self)?;
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
        if self.ended("cases", "closed_at", &record.id, record.closed_at)? {
            // Also those who are not named this time.
            self.touch_all("SELECT subject FROM case_subjects WHERE case_id = ?1", &record.id)?;
            changed = true;
        }
        Ok(changed)
    }

    /// Ends what was ended elsewhere. Whether it was not ended here yet.
    fn ended(
        &self,
        table: &'static str,
        column: &'static str,
        id: &str,
        at: Option<Timestamp>,
    ) -> Result<bool, WriteError> {
        let Some(at) = at else { return Ok(false) };
        let end = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1 AND {column} IS NULL");
        Ok(self.tables.execute(&end, data![id, at])? > 0)
    }

    pub(super) fn one_time_grant(&self, record: &OneTimeGrantRecord) -> Result<bool, WriteError> {
        let (granted, expires) =
            (record.granted_at.to_string(), record.expires_at.map(|at| at.to_string()));
        let subject = record.subject.expose();
        let (purpose, recipient) = (record.purpose.as_str(), record.recipient.as_str());
        let content = json!(["one-time-grant", subject, purpose, recipient, granted, expires]);
        let content = Digest::of(content.to_string().as_bytes()).to_string();
        // Delivered again after it was used it must not become a second use.
        let used = |writer: &Self| match &record.used_by {
            Some(decision) => writer.mark_used(&record.id, decision),
            None => Ok(false),
        };
        if let Some(known) = self.content_of("one_time_grants", &record.id)? {
            return if known == content { used(self) } else { Err(WriteError::Invalid("id")) };
        }
        self.tables.execute(
            "INSERT INTO one_time_grants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL)",
            data![&record.id, content, subject.as_ref(), purpose, recipient, granted, expires],
        )?;
        used(self)?;
        Ok(true)
    }

    /// Marks a grant as used by `decision`, unless another one has used it.
    fn mark_used(&self, id: &str, decision: &DecisionId) -> Result<bool, WriteError> {
        let count = self.tables.execute(
            "UPDATE one_time_grants SET used_at = ?2, used_by = ?3
             WHERE id = ?1 AND used_by IS NULL",
            data![id, self.now, decision.as_str()],
        )?;
        Ok(count > 0)
    }

    /// Uses the grants up for one decision. False: another decision was first with one of them.
    pub(super) fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, WriteError> {
        for id in ids {
            if !self.mark_used(id, decision)? {
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
