//! An erasure that was entered by mistake ends under four eyes: two officers each say so, in their own
//! names. What the ledger forgot by then stays forgotten.

use super::schema::StoreError;
use super::sql::{Tables, data};
use super::write::{WriteError, Writer};

/// How many different people lift an erasure.
pub(super) const FOUR_EYES: i64 = 2;

/// How many have said so of the erasure of a row.
pub(super) const LIFTED_BY: &str =
    "(SELECT count(*) FROM erasure_lifts WHERE erasure = erasures.id)";

/// What became of a person's erasures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiftedErasures {
    /// Lifted by this.
    pub lifted: usize,
    /// In force still, until somebody else says so too.
    pub waiting: usize,
}

impl Writer<'_> {
    /// Notes that `approver` lifts every erasure of `subject`; a second word of the same name is the same
    /// word.
    pub(super) fn lift_erasures(
        &self,
        subject: &str,
        approver: &str,
    ) -> Result<LiftedErasures, WriteError> {
        let mut became = LiftedErasures::default();
        let mut is_new = false;
        for (id, before) in not_lifted(self.tables, subject)? {
            let added = self.tables.execute(
                "INSERT INTO erasure_lifts VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                data![&id, approver, self.now],
            )?;
            is_new |= added > 0;
            if added > 0 && before + 1 >= FOUR_EYES {
                became.lifted += 1;
                // Who asks again is heard again, and not told of the receipt that they have.
                if let Some(receipt) = id.strip_prefix("id:") {
                    self.answer_open("id = ?1", receipt)?;
                }
                // Whoever was not told of it by now is not to be.
                self.tables.execute(
                    "DELETE FROM erasure_notices WHERE erasure = ?1 AND state <> 'delivered'",
                    data![&id],
                )?;
                self.tables.execute(
                    "INSERT INTO planned_erasures VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    data![&id, self.now],
                )?;
            } else {
                became.waiting += 1;
            }
        }
        self.touch(subject);
        let change = if became.lifted > 0 { "lifted" } else { "approved" };
        self.changed(is_new, "erasure", change, None)?;
        Ok(became)
    }
}

/// Erasures of a person that are not lifted: id, and how many lift it already.
fn not_lifted(tables: &dyn Tables, subject: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let query = format!("SELECT id, {LIFTED_BY} FROM erasures WHERE subject = ?1 ORDER BY id");
    let mut found = Vec::new();
    for row in tables.rows(&query, data![subject])? {
        let before = row.number(1)?;
        if before < FOUR_EYES {
            found.push((row.text(0)?, before));
        }
    }
    Ok(found)
}
