//! Databases: statements and rows that SQLite and PostgreSQL share, connections to a PostgreSQL server,
//! and what can be wrong with them.

pub(crate) mod fault;
pub(crate) mod session;
pub(crate) mod sql;
pub(crate) mod tls;
