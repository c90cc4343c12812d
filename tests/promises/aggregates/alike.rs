//! `l` and `several` over random tables, against a slow oracle: rows whose keys become one are added up,
//! groups below the floor go, and of people who are otherwise alike two values are shown, or none.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

use super::{answer, policy};

const K: u64 = 10;
const SEXES: [&str; 2] = ["f", "m"];
const AGES: [(&str, &str); 3] = [("23", "20-29"), ("27", "20-29"), ("31", "30-39")];
const JOBS: [(&str, &str); 4] =
    [("baker", "crafts"), ("welder", "crafts"), ("nurse", "care"), ("pilot", "other")];
const APPS: [&str; 3] = ["a", "b", "c"];

/// Sex, age, job, app: as a backend says it, or as it is shown.
type Key = [String; 4];

/// People and views of each group.
type Table = BTreeMap<Key, (u64, u64)>;

fn table() -> impl Strategy<Value = Table> {
    let keys: Vec<Key> = SEXES
        .iter()
        .flat_map(|sex| AGES.iter().map(move |(age, _)| (*sex, *age)))
        .flat_map(|(sex, age)| JOBS.iter().map(move |(job, _)| (sex, age, *job)))
        .flat_map(|(sex, age, job)| APPS.iter().map(move |app| [sex, age, job, *app]))
        .map(|key| key.map(str::to_owned))
        .collect();
    let count = prop_oneof![1 => Just(0), 3 => 1..K, 3 => K..40_u64];
    let rows =
        proptest::collection::vec((proptest::bool::weighted(0.3), count, 0..90_u64), keys.len());
    rows.prop_map(move |rows| {
        let rows = keys.iter().zip(rows).filter(|(_, (is_there, ..))| *is_there);
        // What nobody is in has no sums.
        let sums = |count, views| (count, if count == 0 { 0 } else { views });
        rows.map(|(key, (_, count, views))| (key.clone(), sums(count, views))).collect()
    })
}

fn body(table: &Table) -> String {
    let rows: Vec<Value> = table
        .iter()
        .map(|([sex, age, job, app], (count, views))| {
            json!({"sex": sex, "age": age, "job": job, "app": app, "count": count, "views": views})
        })
        .collect();
    json!({"data": {"groups": rows}}).to_string()
}

/// Ages in bands and jobs in groups, as the grant says; what becomes one is added up.
fn coarser(table: &Table) -> Table {
    let of = |from: &[(&str, &str)], value: &str| {
        let found = from.iter().find(|(one, _)| *one == value);
        found.map_or_else(|| value.to_owned(), |(_, to)| (*to).to_owned())
    };
    let mut added = Table::new();
    for ([sex, age, job, app], (count, views)) in table {
        let key = [sex.clone(), of(&AGES, age), of(&JOBS, job), app.clone()];
        let sums = added.entry(key).or_default();
        *sums = (sums.0 + count, sums.1 + views);
    }
    added
}

/// Where of people who are alike but for `at` fewer than `least` values are shown, none is.
fn told_apart(table: &Table, at: usize, least: usize) -> Table {
    let others = |key: &Key| {
        let mut others = key.clone();
        others[at].clear();
        others
    };
    let mut values: BTreeMap<Key, BTreeSet<&String>> = BTreeMap::new();
    for key in table.keys() {
        values.entry(others(key)).or_default().insert(&key[at]);
    }
    let rows = table.iter().filter(|(key, _)| values[&others(key)].len() >= least);
    rows.map(|(key, sums)| (key.clone(), *sums)).collect()
}

/// The nearest multiple.
fn rounded(number: u64, to: u64) -> u64 {
    let (down, over) = (number / to, number % to);
    let up = over * 2 > to || over * 2 == to && down % 2 == 1;
    (down + u64::from(up)) * to
}

fn shown(answer: &str) -> Vec<(Key, (u64, u64))> {
    let document: Value = serde_json::from_str(answer).expect("JSON");
    let rows = document["data"]["groups"].as_array().expect("rows");
    rows.iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("a text").to_owned();
            let number = |name: &str| row[name].as_u64().expect("a number");
            let key = [text("sex"), text("age"), text("job"), text("app")];
            (key, (number("count"), number("views")))
        })
        .collect()
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn of_people_who_are_alike_two_values_are_shown_or_none(
        table in table(),
        app in 0_usize..4,
        job in 0_usize..3,
        round in prop_oneof![Just(1_u64), Just(5), Just(10)],
    ) {
        let mut l = Vec::new();
        let categories = [("group.app", 3, app), ("group.job", 2, job)];
        for (category, _, least) in categories.iter().filter(|(_, _, least)| *least > 1) {
            l.push(format!("{category}: {least}"));
        }
        let l = if l.is_empty() { String::new() } else { format!("l: {{{}}}, ", l.join(", ")) };
        let step = if round > 1 { format!("round: {round}, ") } else { String::new() };
        let policy = policy(&format!("k: 10, {l}{step}forbid: [contact.*]"));
        let mut expected: Table = coarser(&table);
        expected.retain(|_, (count, _)| *count >= K);
        // What one takes away may leave the other with too few.
        loop {
            let before = expected.len();
            for (_, at, least) in categories.iter().filter(|(_, _, least)| *least > 1) {
                expected = told_apart(&expected, *at, *least);
            }
            if expected.len() == before {
                break;
            }
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(key, (count, views))| (key, (rounded(count, round), rounded(views, round))))
            .collect();
        let answer = answer(&policy, "desk", "statistics", &body(&table)).expect("an answer");
        prop_assert_eq!(shown(&answer), expected, "{:?} {}", table, l);
    }

    /// Rows are never added up over a category of which one person may have several values: who is not
    /// granted it is told of nothing that would have to be.
    #[test]
    fn nothing_is_added_up_over_what_one_person_may_have_several_of(table in table()) {
        let settings = "k: 10, several: [group.app], forbid: [contact.*]";
        let policy = policy(settings);
        let all = answer(&policy, "desk", "statistics", &body(&table)).expect("an answer");
        let mut expected = coarser(&table);
        expected.retain(|_, (count, _)| *count >= K);
        prop_assert_eq!(shown(&all), expected.into_iter().collect::<Vec<_>>());
        // The printer's key has the sex alone.
        let less = answer(&policy, "printer", "statistics", &body(&table));
        let document: Value = serde_json::from_str(&less.expect("an answer")).expect("JSON");
        for row in document["data"]["groups"].as_array().expect("rows") {
            let of = table.iter().filter(|(key, (count, _))| row["sex"] == key[0].as_str() && *count > 0);
            let apps: BTreeSet<&String> = of.clone().map(|(key, _)| &key[3]).collect();
            let people: u64 = of.map(|(_, (count, _))| count).sum();
            prop_assert!(apps.len() == 1 && row["count"] == people, "{row} of {people} with {apps:?}");
        }
    }
}
