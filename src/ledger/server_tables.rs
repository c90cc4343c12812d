//! The ledger's tables on a PostgreSQL server, in a schema of their own, version by version.
//!
//! Only `tamis ledger migrate` changes tables, under a role that may; gateways read and write rows.

use crate::database::fault::StoreError;
use crate::database::session::Session;
use crate::database::sql::{Tables, data};

/// Where they lie.
pub(super) const SCHEMA: &str = "tamis_ledger";

/// The version of the tables that this program reads and writes.
pub(super) const VERSION: i64 = 1;

/// Keeps two migrations apart.
const LOCK: i64 = 0x5461_6d73_4c65_6467;

/// `chains` has the end of each node's chain, which a writer compares and moves; `segments` where each
/// begins, with the tree over all records before it; `secrets` and `last_accounts` are the index of data
/// subjects, which all nodes share; `index_version` changes whenever somebody was forgotten; `index_keys`
/// has what tells the key ring of the index from every other, by version.
const UP: &str = r#"
CREATE SCHEMA IF NOT EXISTS tamis_ledger;
CREATE TABLE tamis_ledger.version (
  only_row bigint PRIMARY KEY CHECK (only_row = 1), number bigint NOT NULL
);
INSERT INTO tamis_ledger.version VALUES (1, 1);
CREATE TABLE tamis_ledger.chains (
  node text COLLATE "C" PRIMARY KEY, records bigint NOT NULL, hash text NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE tamis_ledger.segments (
  node text COLLATE "C", number bigint, tree text NOT NULL, PRIMARY KEY (node, number)
);
CREATE TABLE tamis_ledger.records (
  node text COLLATE "C", seq bigint, line text NOT NULL, PRIMARY KEY (node, seq)
);
CREATE TABLE tamis_ledger.checkpoints (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node text COLLATE "C" NOT NULL,
  at text NOT NULL, note text NOT NULL
);
CREATE INDEX checkpoints_by_node ON tamis_ledger.checkpoints (node, number);
CREATE TABLE tamis_ledger.cuts (
  node text COLLATE "C", records bigint, cut_hash text NOT NULL, cut_root text NOT NULL,
  at text NOT NULL, PRIMARY KEY (node, records)
);
CREATE TABLE tamis_ledger.secrets (
  row text COLLATE "C" PRIMARY KEY, secret text NOT NULL, month text COLLATE "C" NOT NULL
);
CREATE TABLE tamis_ledger.last_accounts (
  row text COLLATE "C", until text COLLATE "C", sealed text NOT NULL, PRIMARY KEY (row, until)
);
CREATE TABLE tamis_ledger.index_version (
  only_row bigint PRIMARY KEY CHECK (only_row = 1), number bigint NOT NULL
);
INSERT INTO tamis_ledger.index_version VALUES (1, 0);
CREATE TABLE tamis_ledger.index_keys (version text COLLATE "C" PRIMARY KEY, proof text NOT NULL);
"#;

const DOWN: &str = "DROP SCHEMA tamis_ledger CASCADE";

/// The version of the tables that are there; 0: none.
fn version(session: &Session) -> Result<i64, StoreError> {
    let is_there = "SELECT to_regclass('tamis_ledger.version') IS NOT NULL";
    if !session.row(is_there, data![])?.ok_or(StoreError::Garbage("version"))?.flag(0)? {
        return Ok(0);
    }
    let row = session.row("SELECT number FROM tamis_ledger.version", data![])?;
    row.ok_or(StoreError::Garbage("version"))?.number(0)
}

/// Whether this program can work with the tables that are there.
pub(super) fn usable(session: &Session) -> Result<(), StoreError> {
    match version(session)? {
        VERSION => Ok(()),
        0 => Err(StoreError::Settings(
            "the database has no tables of a ledger: `tamis ledger migrate`",
        )),
        _ => Err(StoreError::Settings(
            "the database has tables of a ledger of another version of this program",
        )),
    }
}

/// Brings the tables to `version`, all of the way or not at all. From which they came and to which they
/// went.
pub(super) fn migrate(session: &Session, to: i64) -> Result<(i64, i64), StoreError> {
    if !(0..=VERSION).contains(&to) {
        return Err(StoreError::Settings("there is no such version of the tables"));
    }
    session.batch(format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
    ))?;
    let from = version(session)?;
    match (from, to) {
        (0, VERSION) => session.batch(UP)?,
        (VERSION, 0) => session.batch(DOWN)?,
        (same, to) if same == to => {}
        _ => {
            return Err(StoreError::Settings(
                "the database has tables of a ledger of another version of this program",
            ));
        }
    }
    session.batch("COMMIT")?;
    Ok((from, to))
}
