//! The list of changes: what the ledger enters about the registers.

use super::schema::StoreError;
use super::sql::{Tables, data};

/// A statement of somebody changed. Whose it is is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterChange {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it was recorded, RFC 3339.
    pub at: String,
    /// `consent`, `notice`, `objection`, `restriction`, `dispute`, `erasure`, `subject`, `order`,
    /// `case` or `one-time-grant`.
    pub register: String,
    /// `recorded`, `withdrawn`, `approved`, `used` or `lifted`.
    pub change: String,
    /// The purpose or pattern, where the statement has one.
    pub purpose: Option<String>,
}

pub(super) fn since(
    tables: &dyn Tables,
    number: u64,
    limit: usize,
) -> Result<Vec<RegisterChange>, StoreError> {
    let found = tables.rows(
        "SELECT number, at, register, change, purpose FROM changes
         WHERE number > ?1 ORDER BY number LIMIT ?2",
        data![signed(number), i64::try_from(limit).unwrap_or(i64::MAX)],
    )?;
    found
        .iter()
        .map(|row| {
            Ok(RegisterChange {
                number: row.number(0)?.unsigned_abs(),
                at: row.text(1)?,
                register: row.text(2)?,
                change: row.text(3)?,
                purpose: row.maybe_text(4)?,
            })
        })
        .collect()
}

pub(super) fn entered(tables: &dyn Tables) -> Result<u64, StoreError> {
    let row = tables.row("SELECT number FROM entered", data![])?;
    Ok(row.ok_or(StoreError::Garbage("entered"))?.number(0)?.unsigned_abs())
}

pub(super) fn mark(tables: &dyn Tables, number: u64) -> Result<(), StoreError> {
    // It only moves on: two gateways that enter the same changes must not set each other back.
    tables.execute("UPDATE entered SET number = ?1 WHERE number < ?1", data![signed(number)])?;
    Ok(())
}

/// Both stores count in 63 bits; there are no more changes than that.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
