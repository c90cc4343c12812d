//! Orders and cases in the registers: what an id stands for never changes, and two approvals are two
//! people.

use std::path::Path;
use std::process::{Command, Output};

use jiff::Timestamp;
use tamis::registers::{
    LiftedErasures, Record, RecordError, Recorded, RegisterStore, Registers as _,
};
use tamis::terms::{LegalOrder, Personal};

const ORDER: &str = r#"{"kind":"order","id":"ord-7","recipient":"authority","authority":"Invented Court",
    "subjects":["u1","u2"],"categories":["identity.name"],
    "from":"2026-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z"}"#;

const CASE: &str = r#"{"kind":"case","id":"C-1","purposes":["legal.claims"],"subjects":["u1"],
    "opened_at":"2026-01-01T00:00:00Z"}"#;

fn store() -> (tempfile::TempDir, RegisterStore) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let registers = RegisterStore::embedded(&directory.path().join("r.db")).expect("opens");
    (directory, registers)
}

fn take(registers: &RegisterStore, json: &str) -> Result<Recorded, RecordError> {
    registers.record(&Record::parse(json.as_bytes())?)
}

fn order(registers: &RegisterStore, id: &str) -> LegalOrder {
    registers.order(id).expect("available").expect("entered")
}

#[test]
fn an_order_counts_with_two_approvers_and_until_it_is_lifted() {
    let (_directory, registers) = store();
    let now = Timestamp::now();
    assert_eq!(take(&registers, ORDER).expect("taken"), Recorded::New);
    assert_eq!(take(&registers, ORDER).expect("taken"), Recorded::Known);
    for (approver, recorded, in_force) in [
        ("legal", Recorded::New, false),
        ("legal", Recorded::Known, false),
        ("dpo", Recorded::New, true),
    ] {
        assert_eq!(registers.approve_order("ord-7", approver).expect("taken"), recorded);
        assert_eq!(order(&registers, "ord-7").is_in_force(now, 2), in_force, "{approver}");
    }
    for id in ["u1", "u2"] {
        let said = registers.statements(&Personal::new(id.into())).expect("available");
        assert_eq!(said.orders, [order(&registers, "ord-7")], "{id}");
    }
    assert!(registers.statements(&Personal::new("u3".into())).expect("there").orders.is_empty());
    assert_eq!(registers.lift_order("ord-7").expect("taken"), Recorded::New);
    assert_eq!(registers.lift_order("ord-7").expect("taken"), Recorded::Known);
    assert!(!order(&registers, "ord-7").is_in_force(now, 2));
    assert_eq!(take(&registers, ORDER).expect("taken"), Recorded::Known);
    assert!(!order(&registers, "ord-7").is_in_force(now, 2), "entering it again revives nothing");

    let changes = registers.changes_since(0, 99).expect("available");
    let changes: Vec<&str> = changes.iter().map(|change| change.change.as_str()).collect();
    assert_eq!(changes, ["recorded", "approved", "approved", "lifted"]);
}

#[test]
fn an_approved_order_cannot_become_another_one() {
    let (_directory, registers) = store();
    take(&registers, ORDER).expect("taken");
    for (from, to) in [
        ("\"u2\"", "\"u3\""),
        ("identity.name", "payment.amount"),
        ("2999-01-01", "2999-01-02"),
        ("\"authority\",", "\"other\","),
        ("Invented Court", "Another Court"),
    ] {
        let changed = take(&registers, &ORDER.replace(from, to));
        assert!(matches!(changed, Err(RecordError::Invalid("id"))), "{from}");
    }
    assert!(matches!(registers.approve_order("ord-8", "dpo"), Err(RecordError::Invalid("id"))));
    assert!(matches!(registers.approve_order("ord-7", ""), Err(RecordError::Invalid("approver"))));
    assert!(matches!(registers.lift_order("ord-8"), Err(RecordError::Invalid("id"))));
}

#[test]
fn what_is_no_order_and_no_case_is_not_taken() {
    let cases = [
        (ORDER, "\"ord-7\"", "\"Testina Musterfrau\"", "id"),
        (ORDER, "[\"u1\",\"u2\"]", "[]", "subjects"),
        (ORDER, "[\"identity.name\"]", "[]", "categories"),
        (ORDER, "identity.name", "identity.*", "categories"),
        (ORDER, "2999", "2025", "until"),
        (ORDER, "\"subjects\"", "\"approved_by\":[\"a\",\"b\"],\"subjects\"", "unknown member"),
        (ORDER, "\"subjects\"", "\"type\":\"whim\",\"subjects\"", "type"),
        (CASE, "[\"legal.claims\"]", "[]", "purposes"),
        (CASE, "legal.claims", "legal.*", "purposes"),
        (CASE, "[\"u1\"]", "[\"\"]", "subjects"),
    ];
    for (record, from, to, field) in cases {
        let parsed = Record::parse(record.replace(from, to).as_bytes());
        assert!(matches!(parsed, Err(RecordError::Invalid(at)) if at == field), "{to}: {parsed:?}");
    }
}

#[test]
fn a_case_takes_more_people_and_ends_for_good() {
    let (_directory, registers) = store();
    let now = Timestamp::now();
    take(&registers, CASE).expect("taken");
    take(&registers, &CASE.replace("\"u1\"", "\"u2\"")).expect("taken");
    for id in ["u1", "u2"] {
        let said = registers.statements(&Personal::new(id.into())).expect("available");
        assert!(said.cases.iter().any(|case| &*case.id == "C-1" && case.is_open(now)), "{id}");
    }
    let other = take(&registers, &CASE.replace("legal.claims", "service.support"));
    assert!(matches!(other, Err(RecordError::Invalid("id"))), "another purpose is another case");
    registers.close_case("C-1").expect("there is one");
    assert!(!registers.case("C-1").expect("available").expect("there").is_open(now));
}

#[test]
fn a_file_of_the_first_version_gets_the_new_tables() {
    let (directory, registers) = store();
    drop(registers);
    let path = directory.path().join("r.db");
    let tables = [
        "consents withdrawals notices objections restrictions erasures subjects",
        "one_time_grants order_subjects case_subjects",
    ];
    let triggers = tables.join(" ");
    let triggers =
        triggers.split(' ').flat_map(|table| ["new", "other"].map(|which| (table, which)));
    let triggers: Vec<_> = triggers
        .map(|(table, which)| format!("DROP TRIGGER IF EXISTS {table}_of_{which}_people;"))
        .collect();
    let fifth = format!("{} DROP TABLE people; PRAGMA user_version = 5;", triggers.concat());
    let fourth = format!("{fifth} DROP TABLE answered_calls; PRAGMA user_version = 4;");
    let third = format!(
        "{fourth} DROP TABLE planned_erasures; DROP TABLE erasure_notices; DROP TABLE erasure_lifts;
         PRAGMA user_version = 3;"
    );
    let second = format!(
        "{third} DROP TABLE requests; DROP TABLE settled_erasures; PRAGMA user_version = 2;"
    );
    let first = format!(
        "{second} DROP TABLE orders; DROP TABLE order_subjects; DROP TABLE order_approvals;
         DROP TABLE cases; DROP TABLE case_subjects; DROP TABLE one_time_grants;
         PRAGMA user_version = 1"
    );
    let settled = "INSERT INTO erasures VALUES ('old', '', 'u1', '2026-01-01T00:00:00Z',
          '2026-01-01T00:00:00Z', '[]');
        INSERT INTO settled_erasures VALUES ('old', '2026-01-01T00:00:00Z');";
    let connection = rusqlite::Connection::open(&path).expect("opens");
    connection.execute_batch(&format!("{third} {settled}")).expect("as it was");
    drop(connection);
    let registers = RegisterStore::embedded(&path).expect("opens");
    let desk = ["desk".into()];
    let planned = registers.plan_notices(&desk, Timestamp::now()).expect("readable");
    assert_eq!(planned, 0, "nobody is told of what was done with before there were notices");
    drop(registers);
    for older in [&fifth, &fourth, &third, &second, &first] {
        let connection = rusqlite::Connection::open(&path).expect("opens");
        connection.execute_batch(older).expect("as it was");
        drop(connection);
        let registers = RegisterStore::embedded(&path).expect("opens");
        let said = registers.statements(&Personal::new("u1".into())).expect("available");
        assert!(said.erasure.is_some(), "whoever was in the old tables is still heard of");
        take(&registers, ORDER).expect("taken");
        take(&registers, CASE).expect("taken");
        assert!(registers.open_requests(1).expect("readable").is_empty());
        let nobody = registers.lift_erasures(&Personal::new("u2".into()), "anna");
        assert_eq!(nobody.expect("taken"), LiftedErasures::default());
    }
}

fn tamis(directory: &Path, arguments: &[&str]) -> Output {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/letsmasak/rules.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(arguments).args(["--registers", "r.db", "--rules"]).arg(rules);
    command.current_dir(directory).output().expect("starts")
}

#[test]
fn orders_and_cases_by_command() {
    let (directory, registers) = store();
    let enter = ["order", "enter", "--id", "ord-7", "--recipient", "authority", "--authority", "C"];
    let rest = ["--subject", "canary", "--until", "2999-01-01T00:00:00Z", "--category"];
    let run = |arguments: &[&str]| {
        let output = tamis(directory.path(), arguments);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("UTF-8").trim_end().to_owned())
    };
    let misspelt = [&enter[..], &rest, &["identity.nme"]].concat();
    let (code, text) = run(&misspelt);
    assert_eq!(code, Some(1));
    assert!(text.contains("did you mean `identity.name`?"), "{text}");
    let entered = run(&[&enter[..], &rest, &["identity.name"]].concat());
    assert_eq!(entered, (Some(0), "entered; it needs 2 approvals".into()));
    for (by, said) in [
        ("legal", "approved: 1 of 2"),
        ("legal", "approved already: 1 of 2"),
        ("dpo", "approved: 2 of 2"),
    ] {
        let approved = run(&["order", "approve", "--id", "ord-7", "--by", by]);
        assert_eq!(approved, (Some(0), said.into()));
    }
    let (_, shown) = run(&["order", "show", "--id", "ord-7"]);
    assert!(shown.contains("\"in_force\": true") && !shown.contains("canary"), "{shown}");
    assert_eq!(run(&["order", "lift", "--id", "ord-7"]).0, Some(0));
    assert_eq!(run(&["order", "lift", "--id", "ord-8"]).0, Some(1));
    assert!(order(&registers, "ord-7").lifted);

    let open = ["case", "open", "--id", "C-1", "--purpose", "legal.claims", "--subject", "u1"];
    assert_eq!(run(&open), (Some(0), "opened".into()));
    assert_eq!(run(&["case", "add", "--id", "C-1", "--subject", "u2"]), (Some(0), "added".into()));
    assert_eq!(run(&["case", "close", "--id", "C-1"]), (Some(0), "closed".into()));
    assert_eq!(run(&["case", "add", "--id", "C-1", "--subject", "u3"]).0, Some(1), "it is closed");
    let said = registers.statements(&Personal::new("u2".into())).expect("available");
    assert_eq!(said.cases.len(), 1);
}
