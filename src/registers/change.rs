//! The list of changes: what the ledger enters about the registers.

use rusqlite::{Connection, params};

use super::schema::StoreError;

/// A statement of somebody changed. Whose it is is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterChange {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it was recorded, RFC 3339.
    pub at: String,
    /// `consent`, `notice`, `objection`, `restriction`, `erasure`, `subject`, `order`,
    /// `case` or `one-time-grant`.
    pub register: String,
    /// `recorded`, `withdrawn`, `approved`, `used` or `lifted`.
    pub change: String,
    /// The purpose or pattern, where the statement has one.
    pub purpose: Option<String>,
}

pub(super) fn since(
    connection: &Connection,
    number: u64,
    limit: usize,
) -> Result<Vec<RegisterChange>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, at, register, change, purpose FROM changes
         WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![signed(number), limit], |row| {
        Ok(RegisterChange {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            at: row.get(1)?,
            register: row.get(2)?,
            change: row.get(3)?,
            purpose: row.get(4)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn entered(connection: &Connection) -> Result<u64, StoreError> {
    let number: i64 = connection.query_row("SELECT number FROM entered", [], |row| row.get(0))?;
    Ok(number.unsigned_abs())
}

pub(super) fn mark(connection: &Connection, number: u64) -> Result<(), StoreError> {
    // It only moves on: two gateways that enter the same changes must not set each other back.
    connection.execute("UPDATE entered SET number = max(number, ?1)", [signed(number)])?;
    Ok(())
}

/// SQLite counts in 63 bits; there are no more changes than that.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
