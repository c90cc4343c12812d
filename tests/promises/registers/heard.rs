//! Whoever has said nothing is looked for in no table: nobody of whom there is a row may be among them.

use tamis::registers::Registers as _;
use tamis::terms::Statements;

use super::{Kind, Store, person};

/// A gateway asks no table about people of whom nothing was ever entered. So a row must enter its person,
/// whatever table it is in and whatever program wrote it.
#[test]
fn whoever_stands_in_any_table_is_heard_of_by_a_gateway_that_knew_they_had_said_nothing() {
    let gateway = Store::new(Kind::Embedded);
    let at = "'2026-01-01T00:00:00Z'";
    let rows = [
        ("consents", format!("'c', ?1, 'p', NULL, '[]', '[]', 0, NULL, {at}, '{{}}', 1")),
        ("withdrawals", format!("?1, 'p', '', {at}, 1")),
        ("notices", format!("'n', '', ?1, 'p', NULL, {at}")),
        ("objections", format!("'o', '', ?1, 'p', {at}, NULL, NULL, NULL")),
        ("restrictions", format!("'r', '', ?1, '[]', NULL, {at}, NULL, NULL")),
        ("erasures", format!("'e', '', ?1, {at}, {at}, '[]'")),
        ("subjects", "?1, 'minor', NULL".to_owned()),
        ("one_time_grants", format!("'g', '', ?1, 'p', 'r', {at}, NULL, NULL, NULL")),
        ("order_subjects", "'ord', ?1".to_owned()),
        ("case_subjects", "'case', ?1".to_owned()),
    ];
    let connection = rusqlite::Connection::open(gateway.path()).expect("opens beside");
    let files = format!(
        "INSERT INTO orders VALUES ('ord', '', 'r', 'a', NULL, NULL, '[]', {at}, {at}, NULL, NULL);
         INSERT INTO cases VALUES ('case', '', '[]', {at}, NULL, NULL)"
    );
    connection.execute_batch(&files).expect("written");
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'
      AND sql LIKE '%subject TEXT%' AND name NOT IN ('people', 'requests') ORDER BY name";
    let mut statement = connection.prepare(tables).expect("a query");
    let names = statement.query_map([], |row| row.get::<_, String>(0)).expect("asked");
    let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
    let mut known: Vec<&str> = rows.iter().map(|(table, _)| *table).collect();
    known.sort_unstable();
    assert_eq!(names, known, "a table with people has its line here");
    for (table, values) in &rows {
        let (who, other) = (format!("in {table}"), format!("moved in {table}"));
        for id in [&who, &other] {
            assert_eq!(*gateway.of(id), Statements::default());
        }
        let insert = format!("INSERT OR REPLACE INTO {table} VALUES ({values})");
        connection.execute(&insert, [&who]).expect("written");
        assert_ne!(*gateway.of(&who), Statements::default(), "{table}");
        let both = [person(&who), person(&other)];
        let said = gateway.registers.all(&[&both[0], &both[1]]).expect("available");
        assert_ne!(*said[0], Statements::default(), "{table}");
        assert_eq!(*said[1], Statements::default(), "{table}");
        let update = format!("UPDATE {table} SET subject = ?1 WHERE subject = ?2");
        connection.execute(&update, [&other, &who]).expect("written");
        assert_ne!(*gateway.of(&other), Statements::default(), "{table}");
    }
}

/// More people than a gateway reads at a lookup: until it has read them all it asks the file.
#[test]
fn an_objection_counts_however_many_people_a_gateway_has_not_read_yet() {
    let gateway = Store::new(Kind::Embedded);
    let connection = rusqlite::Connection::open(gateway.path()).expect("opens beside");
    for round in 0..3 {
        connection
            .execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
                 INSERT INTO objections SELECT ?1 || 'o' || i, '', ?1 || 'u' || i, 'marketing',
                   '2026-01-01T00:00:00Z', NULL, NULL, NULL FROM n",
                [round],
            )
            .expect("written");
        for number in [9_999, 0, 5_000, 9_998, 1] {
            let objects = gateway.of(&format!("{round}u{number}"));
            assert_eq!(objects.objections.len(), 1, "{round} {number}");
            assert_eq!(*gateway.of(&format!("{round}u{number} of nobody")), Statements::default());
        }
    }
}
