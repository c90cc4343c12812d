//! What a person said and did, act by act and with the proof: to show that consent was given (GDPR
//! Art. 7(1)) and that what was taken back was heard (Art. 12(3)).
//!
//! Unlike [`statements`](super::Registers::statements), which say what counts now, nothing that was lifted,
//! replaced or answered is left out. Orders and cases are: they are about a person and not said by them.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::lift::FOUR_EYES;
use super::record::members;
use super::schema::StoreError;
use super::show::text;
use super::sql::{Tables, data};
use super::{RegisterStore, RegistersUnavailable};
use crate::terms::DataSubject;

impl RegisterStore {
    /// Every act of `subject`, oldest first, as of one moment. Each is an object with `at` (RFC 3339),
    /// `register`, `change` and what the register keeps of it.
    ///
    /// # Errors
    /// The registers cannot be asked.
    pub fn acts_of(&self, subject: &DataSubject) -> Result<Vec<Value>, RegistersUnavailable> {
        self.read(|tables| acts_of(tables, subject.expose()))
    }
}

/// Acts so far, each with its time.
#[derive(Default)]
struct Acts(Vec<(Timestamp, Map<String, Value>)>);

impl Acts {
    fn put<const N: usize>(
        &mut self,
        at: Timestamp,
        register: &'static str,
        change: &str,
        what: [(&str, Option<Value>); N],
    ) {
        let mut act = members([
            ("at", Some(at.to_string().into())),
            ("register", Some(register.into())),
            ("change", Some(change.into())),
        ]);
        act.extend(members(what));
        self.0.push((at, act));
    }
}

fn acts_of(tables: &dyn Tables, subject: &str) -> Result<Vec<Value>, StoreError> {
    let mut acts = Acts::default();
    consents(tables, subject, &mut acts)?;
    withdrawals(tables, subject, &mut acts)?;
    notices(tables, subject, &mut acts)?;
    objections(tables, subject, &mut acts)?;
    restrictions(tables, subject, &mut acts)?;
    erasures(tables, subject, &mut acts)?;
    grants(tables, subject, &mut acts)?;
    requests(tables, subject, &mut acts)?;
    // Acts of one moment stay in the order of the registers above: a consent before its withdrawal.
    acts.0.sort_by_key(|(at, _)| *at);
    Ok(acts.0.into_iter().map(|(_, act)| Value::Object(act)).collect())
}

fn consents(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    // `recorded` is the number of the change with which it came, which has the time.
    let query = "SELECT id, consents.purpose, purpose_text_digest, recipients, categories, explicit,
        expires_at, evidence, changes.at
      FROM consents LEFT JOIN changes ON number = recorded WHERE subject = ?1 ORDER BY recorded, id";
    for row in tables.rows(query, data![subject])? {
        let evidence: Value = serde_json::from_str(&row.text(7)?)
            .map_err(|_| StoreError::Garbage("evidence of a consent"))?;
        let evidence =
            evidence.as_object().is_some_and(|said| !said.is_empty()).then_some(evidence);
        acts.put(
            row.time(8)?,
            "consent",
            "recorded",
            [
                ("id", text(&row, 0)?),
                ("purpose", text(&row, 1)?),
                ("purpose_text_digest", text(&row, 2)?),
                ("recipients", Some(row.list(3)?.into())),
                ("categories", Some(row.list(4)?.into())),
                ("explicit", Some(row.flag(5)?.into())),
                ("expires_at", text(&row, 6)?),
                ("evidence", evidence),
            ],
        );
    }
    let query = "SELECT consent, at, status, recorded_at, purpose FROM consent_events
      JOIN consents ON consents.id = consent WHERE subject = ?1 ORDER BY consent, at";
    for row in tables.rows(query, data![subject])? {
        let what = [
            ("id", text(&row, 0)?),
            ("purpose", text(&row, 4)?),
            // When the sender says that it was.
            ("stated_at", text(&row, 1)?),
        ];
        acts.put(row.time(3)?, "consent", &row.text(2)?, what);
    }
    Ok(())
}

fn withdrawals(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT at, purpose, recipient FROM withdrawals WHERE subject = ?1 ORDER BY at";
    for row in tables.rows(query, data![subject])? {
        let recipient = row.text(2)?;
        let recipient = (!recipient.is_empty()).then(|| recipient.into());
        let what = [("purpose", text(&row, 1)?), ("recipient", recipient)];
        acts.put(row.time(0)?, "consent", "withdrawn", what);
    }
    Ok(())
}

fn notices(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT shown_at, purpose, purpose_text_digest FROM notices WHERE subject = ?1
      ORDER BY shown_at, id";
    for row in tables.rows(query, data![subject])? {
        let what = [("purpose", text(&row, 1)?), ("purpose_text_digest", text(&row, 2)?)];
        acts.put(row.time(0)?, "notice", "shown", what);
    }
    Ok(())
}

fn objections(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query =
        "SELECT since, purpose, channel, source, lifted_at FROM objections WHERE subject = ?1
      ORDER BY since, id";
    for row in tables.rows(query, data![subject])? {
        let what =
            [("purpose", text(&row, 1)?), ("channel", text(&row, 2)?), ("source", text(&row, 3)?)];
        acts.put(row.time(0)?, "objection", "recorded", what);
        if let Some(at) = row.maybe_time(4)? {
            acts.put(at, "objection", "lifted", [("purpose", text(&row, 1)?)]);
        }
    }
    Ok(())
}

fn restrictions(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT since, categories, ground, until, lifted_at, id LIKE 'dispute:%'
      FROM restrictions WHERE subject = ?1 ORDER BY since, id";
    for row in tables.rows(query, data![subject])? {
        let is_dispute = row.flag(5)?;
        let register = if is_dispute { "dispute" } else { "restriction" };
        let categories = || Ok::<_, StoreError>(Some(row.list(1)?.into()));
        let ground = if is_dispute { None } else { text(&row, 2)? };
        let what = [("categories", categories()?), ("ground", ground), ("until", text(&row, 3)?)];
        acts.put(row.time(0)?, register, "recorded", what);
        if let Some(at) = row.maybe_time(4)? {
            acts.put(at, register, "lifted", [("categories", categories()?)]);
        }
    }
    Ok(())
}

fn erasures(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT requested_at, effective_at, except_for FROM erasures WHERE subject = ?1
      ORDER BY requested_at, id";
    for row in tables.rows(query, data![subject])? {
        let what = [("effective_at", text(&row, 1)?), ("except", Some(row.list(2)?.into()))];
        acts.put(row.time(0)?, "erasure", "recorded", what);
    }
    // The second word lifts it; before, it is one that was said alone.
    let query = "SELECT erasure_lifts.at, approver, erasure FROM erasure_lifts
      JOIN erasures ON erasures.id = erasure WHERE subject = ?1 ORDER BY erasure, erasure_lifts.at";
    let (mut last, mut said) = (String::new(), 0);
    for row in tables.rows(query, data![subject])? {
        let erasure = row.text(2)?;
        said = if erasure == last { said + 1 } else { 1 };
        last = erasure;
        let change = if said == FOUR_EYES { "lifted" } else { "approved" };
        acts.put(row.time(0)?, "erasure", change, [("by", text(&row, 1)?)]);
    }
    Ok(())
}

fn grants(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT granted_at, id, purpose, recipient, expires_at, used_at, used_by
      FROM one_time_grants WHERE subject = ?1 ORDER BY granted_at, id";
    for row in tables.rows(query, data![subject])? {
        let what = [
            ("id", text(&row, 1)?),
            ("purpose", text(&row, 2)?),
            ("recipient", text(&row, 3)?),
            ("expires_at", text(&row, 4)?),
        ];
        acts.put(row.time(0)?, "one-time-grant", "recorded", what);
        if let Some(at) = row.maybe_time(5)? {
            let what = [("id", text(&row, 1)?), ("used_by", text(&row, 6)?)];
            acts.put(at, "one-time-grant", "used", what);
        }
    }
    Ok(())
}

fn requests(tables: &dyn Tables, subject: &str, acts: &mut Acts) -> Result<(), StoreError> {
    let query = "SELECT received_at, id, asked_for, categories, answered_at FROM requests
      WHERE subject = ?1 ORDER BY received_at, id";
    for row in tables.rows(query, data![subject])? {
        let what = [
            ("receipt", text(&row, 1)?),
            ("right", text(&row, 2)?),
            ("categories", Some(row.list(3)?.into())),
        ];
        acts.put(row.time(0)?, "request", "recorded", what);
        if let Some(at) = row.maybe_time(4)? {
            acts.put(at, "request", "answered", [("receipt", text(&row, 1)?)]);
        }
    }
    Ok(())
}
