//! What can be wrong with a store, without a value of what it holds.

/// What is wrong with a store. None of it says what stands in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite's own words, which name tables and columns.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file system's.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Authorities of a server.
    #[error(transparent)]
    Authorities(#[from] crate::https::PemError),
    /// Something stands in a column that this program never writes there.
    #[error("the store holds what it cannot hold: {0}")]
    Garbage(&'static str),
    /// The path leads to another file than the one that was opened.
    #[error("the file was replaced")]
    Replaced,
    /// Another program's database.
    #[error("the file is no registers of Tamis")]
    Foreign,
    /// A later version of this program made it.
    #[error("the file is of version {0}, newer than this program")]
    Newer(i32),
    /// Everybody on the machine can read or write it.
    #[error("the file can be read or written by everybody: chmod o-rwx")]
    Exposed,
    /// PostgreSQL refused, by its SQLSTATE: its words may quote a row.
    #[error("PostgreSQL refuses: SQLSTATE {0}")]
    Refused(String),
    /// PostgreSQL cannot be reached, or the connection broke.
    #[error("no connection to PostgreSQL")]
    Unreachable(#[source] tokio_postgres::Error),
    /// It did not answer in time. What was asked for may have been done or not.
    #[error("PostgreSQL does not answer in time")]
    Late,
    /// The connection is configured in a way that cannot be used.
    #[error("{0}")]
    Settings(&'static str),
    /// The database has no tables of ours, or those of an earlier version.
    #[error(
        "the database has registers of version {0}, and {1} is needed: `tamis registers migrate`"
    )]
    Unmigrated(i64, i64),
    /// Changes that were there are gone, or these are other registers.
    #[error(
        "{0}; nothing that rests on consent is released until they are back, or somebody who \
             knows what was lost says `tamis registers accept`"
    )]
    History(&'static str),
    /// The local snapshot was not made yet.
    #[error("the registers were not read yet")]
    NotYet,
    /// The local snapshot is too old to rely on.
    #[error("what is known of the registers is too old")]
    Stale,
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) => Self::Refused(code.code().to_owned()),
            None => Self::Unreachable(error),
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
