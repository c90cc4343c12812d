//! The little of SQL that both stores share: statements as text with `?1`, values in, rows out.
//!
//! What registers and ledger mean is written once, in words that SQLite and PostgreSQL both know; a
//! store only carries it out. Every statement runs inside a transaction that the store began.

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::fault::StoreError;

/// One value of a row or of a statement. Never printed: it may be a person's id.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Datum {
    Null,
    Text(String),
    Number(i64),
    Flag(bool),
    /// An array for PostgreSQL, JSON text for SQLite.
    Texts(Vec<String>),
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Datum {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl<T: Into<Self>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<i64> for Datum {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Datum {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Timestamp> for Datum {
    fn from(at: Timestamp) -> Self {
        Self::Text(at.to_string())
    }
}

/// The values of a statement, in the order of `?1`, `?2`, ….
macro_rules! data {
    ($($value:expr),* $(,)?) => { &[$($crate::database::sql::Datum::from($value)),*][..] };
}
pub(crate) use data;

/// One row that was found.
pub(crate) struct Row(pub(crate) Vec<Datum>);

impl Row {
    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        self.maybe_text(column)?.ok_or(StoreError::Garbage("no text"))
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Datum::Text(text)) => Ok(Some(text.clone())),
            Some(Datum::Null) => Ok(None),
            Some(Datum::Number(_) | Datum::Flag(_) | Datum::Texts(_)) | None => {
                Err(StoreError::Garbage("text"))
            }
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Datum::Number(number)) => Ok(*number),
            Some(Datum::Null | Datum::Text(_) | Datum::Flag(_) | Datum::Texts(_)) | None => {
                Err(StoreError::Garbage("number"))
            }
        }
    }

    /// SQLite has no truth values but 0 and 1.
    pub(crate) fn flag(&self, column: usize) -> Result<bool, StoreError> {
        match self.0.get(column) {
            Some(Datum::Flag(flag)) => Ok(*flag),
            Some(Datum::Number(0)) => Ok(false),
            Some(Datum::Number(1)) => Ok(true),
            Some(Datum::Null | Datum::Text(_) | Datum::Number(_) | Datum::Texts(_)) | None => {
                Err(StoreError::Garbage("truth value"))
            }
        }
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.maybe_time(column)?.ok_or(StoreError::Garbage("no time"))
    }

    pub(crate) fn maybe_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        let text = self.maybe_text(column)?;
        text.map(|text| text.parse().map_err(|_| StoreError::Garbage("time"))).transpose()
    }

    /// A list, which is kept as JSON text.
    pub(crate) fn list(&self, column: usize) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| StoreError::Garbage("list"))
    }
}

/// The tables as one transaction sees them.
pub(crate) trait Tables {
    /// How many rows a statement changed.
    fn execute(&self, sql: &str, values: &[Datum]) -> Result<usize, StoreError>;

    /// The rows that a query finds.
    fn rows(&self, sql: &str, values: &[Datum]) -> Result<Vec<Row>, StoreError>;

    /// What stands behind a column that is one of `?1`, in place of `= ?1`.
    fn is_among(&self) -> &'static str;

    /// The only row that a query finds, if it finds one.
    fn row(&self, sql: &str, values: &[Datum]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values)?.pop())
    }
}

impl Tables for Connection {
    fn execute(&self, sql: &str, values: &[Datum]) -> Result<usize, StoreError> {
        Ok(self.prepare_cached(sql)?.execute(params_from_iter(values))?)
    }

    fn rows(&self, sql: &str, values: &[Datum]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut found = statement.query(params_from_iter(values))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let data: Result<_, StoreError> =
                (0..columns).map(|column| datum(row.get_ref(column)?)).collect();
            rows.push(Row(data?));
        }
        Ok(rows)
    }

    fn is_among(&self) -> &'static str {
        "IN (SELECT value FROM json_each(?1))"
    }
}

fn datum(value: ValueRef<'_>) -> Result<Datum, StoreError> {
    match value {
        ValueRef::Null => Ok(Datum::Null),
        ValueRef::Integer(number) => Ok(Datum::Number(number)),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Datum::Text(text.to_owned())),
            Err(_) => Err(StoreError::Garbage("text")),
        },
        ValueRef::Real(_) | ValueRef::Blob(_) => Err(StoreError::Garbage("kind of value")),
    }
}

impl ToSql for Datum {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Flag(flag) => ValueRef::Integer(i64::from(*flag)),
            Self::Texts(texts) => {
                let list = serde_json::to_string(texts)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                return Ok(ToSqlOutput::from(list));
            }
        }))
    }
}
