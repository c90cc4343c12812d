//! The tables in PostgreSQL, version by version, up and down.
//!
//! Only `tamis registers migrate` changes tables, under a role that may; gateways read and write rows.
//! Everything lies in the schema `tamis`. Times are RFC 3339 text and lists JSON text, as in the SQLite
//! file: to the nanosecond, and the same statements read both. Ids sort by bytes whatever the server's
//! language.

use super::super::schema::StoreError;
use super::super::sql::{Tables, data};
use super::session::Session;

/// One step between two versions.
struct Step {
    up: &'static str,
    down: &'static str,
}

/// The version of the tables that this program reads and writes.
pub(super) const VERSION: i64 = 5;

const STEPS: [Step; 5] = [
    Step { up: STATEMENTS, down: "DROP SCHEMA tamis CASCADE" },
    Step {
        up: FILES,
        down: "DROP TABLE orders, order_subjects, order_approvals, cases, case_subjects,
               one_time_grants",
    },
    Step { up: REQUESTS, down: "DROP TABLE requests, settled_erasures" },
    Step { up: ERASURES, down: "DROP TABLE planned_erasures, erasure_notices, erasure_lifts" },
    Step {
        up: ANSWERS,
        down: "DROP FUNCTION tamis.forget_answers(bigint); DROP TABLE answered_calls",
    },
];

/// What each person has said, and what tells gateways that it changed.
///
/// `head` is locked by each transaction that writes, so that commits come one after the other and their
/// numbers in the order in which they are seen. `commits` has a random salt for each: who knows the
/// salt of a number can tell whether these registers went on from there. `people` and `files` say at
/// which number each was changed last: whoever has seen everything up to a number finds what is new
/// however long they were away. `beat` is written to prove that a commit is possible.
const STATEMENTS: &str = r#"
CREATE TABLE version (only_row bigint PRIMARY KEY CHECK (only_row = 1), number bigint NOT NULL);
INSERT INTO version VALUES (1, 0);
CREATE TABLE consents (
  id text COLLATE "C" PRIMARY KEY, subject text COLLATE "C" NOT NULL, purpose text NOT NULL,
  purpose_text_digest text, recipients text NOT NULL, categories text NOT NULL,
  explicit boolean NOT NULL, expires_at text, expires_stated_at text NOT NULL, evidence text NOT NULL,
  recorded bigint NOT NULL
);
CREATE TABLE consent_events (
  consent text COLLATE "C" NOT NULL, at text NOT NULL, status text NOT NULL,
  recorded_at text NOT NULL, PRIMARY KEY (consent, at, status)
);
CREATE TABLE withdrawals (
  subject text COLLATE "C" NOT NULL, purpose text NOT NULL, recipient text NOT NULL, at text NOT NULL,
  recorded bigint NOT NULL, PRIMARY KEY (subject, purpose, recipient, at)
);
CREATE TABLE notices (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, subject text COLLATE "C" NOT NULL,
  purpose text NOT NULL, purpose_text_digest text, shown_at text COLLATE "C" NOT NULL
);
CREATE TABLE objections (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, subject text COLLATE "C" NOT NULL,
  purpose text NOT NULL, since text COLLATE "C" NOT NULL, channel text, source text, lifted_at text
);
CREATE TABLE restrictions (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, subject text COLLATE "C" NOT NULL,
  categories text NOT NULL, ground text, since text COLLATE "C" NOT NULL, until text, lifted_at text
);
CREATE TABLE erasures (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, subject text COLLATE "C" NOT NULL,
  requested_at text NOT NULL, effective_at text NOT NULL, except_for text NOT NULL
);
CREATE TABLE subjects (subject text COLLATE "C" PRIMARY KEY, age text, region text);
CREATE TABLE changes (
  number bigint PRIMARY KEY, at text NOT NULL, register text NOT NULL, change text NOT NULL,
  purpose text
);
CREATE TABLE entered (node text PRIMARY KEY, number bigint NOT NULL);
CREATE TABLE head (
  only_row bigint PRIMARY KEY CHECK (only_row = 1), number bigint NOT NULL, history text NOT NULL
);
INSERT INTO head VALUES (1, 0, gen_random_uuid()::text);
CREATE TABLE histories (id text, instead_of text, at text NOT NULL, PRIMARY KEY (id, instead_of));
CREATE TABLE commits (number bigint PRIMARY KEY, salt text NOT NULL);
CREATE TABLE people (subject text COLLATE "C" PRIMARY KEY, touched bigint NOT NULL);
CREATE TABLE files (kind text, id text COLLATE "C", touched bigint NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE beat (
  only_row bigint PRIMARY KEY CHECK (only_row = 1), at timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO beat VALUES (1, now());
CREATE INDEX consents_by_subject ON consents (subject);
CREATE INDEX notices_by_subject ON notices (subject);
CREATE INDEX objections_by_subject ON objections (subject);
CREATE INDEX restrictions_by_subject ON restrictions (subject);
CREATE INDEX erasures_by_subject ON erasures (subject);
CREATE INDEX people_by_touched ON people (touched, subject);
CREATE INDEX files_by_touched ON files (touched);
"#;

const FILES: &str = r#"
CREATE TABLE orders (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, recipient text NOT NULL,
  authority text NOT NULL, type text, document text, categories text NOT NULL, from_at text NOT NULL,
  until text NOT NULL, gag_until text, lifted_at text
);
CREATE TABLE order_subjects (
  order_id text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL,
  PRIMARY KEY (order_id, subject)
);
CREATE TABLE order_approvals (
  order_id text COLLATE "C" NOT NULL, approver text NOT NULL, at text NOT NULL,
  PRIMARY KEY (order_id, approver)
);
CREATE TABLE cases (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, purposes text NOT NULL,
  opened_at text NOT NULL, until text, closed_at text
);
CREATE TABLE case_subjects (
  case_id text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL, PRIMARY KEY (case_id, subject)
);
CREATE TABLE one_time_grants (
  id text COLLATE "C" PRIMARY KEY, content text NOT NULL, subject text COLLATE "C" NOT NULL,
  purpose text NOT NULL, recipient text NOT NULL, granted_at text COLLATE "C" NOT NULL,
  expires_at text, used_at text, used_by text
);
CREATE INDEX one_time_grants_by_subject ON one_time_grants (subject);
CREATE INDEX order_subjects_by_subject ON order_subjects (subject);
CREATE INDEX case_subjects_by_subject ON case_subjects (subject);
"#;

const REQUESTS: &str = r#"
CREATE TABLE requests (
  id text COLLATE "C" PRIMARY KEY, subject text COLLATE "C" NOT NULL, asked_for text NOT NULL,
  categories text NOT NULL, received_at text COLLATE "C" NOT NULL, answered_at text
);
CREATE TABLE settled_erasures (id text COLLATE "C", node text, at text NOT NULL, PRIMARY KEY (id, node));
CREATE INDEX requests_by_subject ON requests (subject);
"#;

/// Who is still to be told of erasures, and who lifts them. Those whose consequences were done with on some gateway before
/// there were notices are not told of.
const ERASURES: &str = r#"
CREATE TABLE planned_erasures (id text COLLATE "C" PRIMARY KEY, at text NOT NULL);
CREATE TABLE erasure_notices (
  id text COLLATE "C" PRIMARY KEY, erasure text COLLATE "C" NOT NULL, recipient text NOT NULL,
  created_at text COLLATE "C" NOT NULL, attempts bigint NOT NULL, next_at text COLLATE "C" NOT NULL,
  state text NOT NULL, entered text, ended_at text, UNIQUE (erasure, recipient)
);
INSERT INTO planned_erasures SELECT id, min(at) FROM settled_erasures GROUP BY id;
CREATE INDEX erasure_notices_by_state ON erasure_notices (state, next_at);
CREATE TABLE erasure_lifts (
  erasure text COLLATE "C" NOT NULL, approver text COLLATE "C" NOT NULL, at text NOT NULL,
  PRIMARY KEY (erasure, approver)
);
"#;

/// Answers to calls under a key, by digests. `at` is in seconds of Unix time. Gateways may not take rows
/// out of tables: what is over they take out by a function that is the owner's, and can do nothing else.
const ANSWERS: &str = r#"
CREATE TABLE answered_calls (
  key text COLLATE "C" PRIMARY KEY, caller text COLLATE "C" NOT NULL, turn bigint NOT NULL,
  asked text NOT NULL, at bigint NOT NULL, status bigint NOT NULL, answer text NOT NULL,
  UNIQUE (caller, turn)
);
CREATE INDEX answered_calls_by_at ON answered_calls (at);
CREATE FUNCTION tamis.forget_answers(before bigint) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'DELETE FROM tamis.answered_calls WHERE at <= before';
"#;

/// The version of the tables that are there; 0: none.
pub(super) fn version(session: &Session) -> Result<i64, StoreError> {
    let is_there = "SELECT to_regclass('tamis.version') IS NOT NULL";
    if !session.row(is_there, data![])?.ok_or(StoreError::Garbage("version"))?.flag(0)? {
        return Ok(0);
    }
    let row = session.row("SELECT number FROM tamis.version", data![])?;
    row.ok_or(StoreError::Garbage("version"))?.number(0)
}

/// Whether this program can work with the tables that are there.
pub(super) fn usable(session: &Session) -> Result<(), StoreError> {
    match version(session)? {
        VERSION => Ok(()),
        newer if newer > VERSION => {
            Err(StoreError::Newer(i32::try_from(newer).unwrap_or(i32::MAX)))
        }
        earlier => Err(StoreError::Unmigrated(earlier, VERSION)),
    }
}

/// Brings the tables to `version`, all of the way or not at all. From which they came.
pub(super) fn migrate(session: &Session, to: i64) -> Result<i64, StoreError> {
    session.batch(
        "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(1415671145)",
    )?;
    let from = version(session)?;
    if from > VERSION {
        return Err(StoreError::Newer(i32::try_from(from).unwrap_or(i32::MAX)));
    }
    let steps = |count: i64| usize::try_from(count).unwrap_or(0).min(STEPS.len());
    let (from_step, to_step) = (steps(from), steps(to));
    if from == 0 && to_step > 0 {
        session.batch("CREATE SCHEMA IF NOT EXISTS tamis")?;
    }
    for step in STEPS.iter().take(to_step).skip(from_step) {
        session.batch(step.up)?;
    }
    for step in STEPS.iter().take(from_step).skip(to_step).rev() {
        session.batch(step.down)?;
    }
    if to_step > 0 {
        session.batch(format!("UPDATE tamis.version SET number = {to_step}"))?;
    }
    session.batch("COMMIT")?;
    Ok(from)
}
