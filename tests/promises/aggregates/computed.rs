//! Can anybody compute what is hidden? Two slow oracles over random tables with totals.
//!
//! One knows nothing but what left: it tries every number for every hidden group against the totals
//! that are shown. The other knows the rules of hiding, too: it asks which tables would have come to
//! the very same answer. Either must leave k/2 + 1 numbers open for each hidden group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};
use tamis::policy::Policy;

use super::{answer, policy};

const K: u64 = 10;

/// Numbers that must remain possible for a hidden group.
const OPEN: usize = 6;

/// Sexes, apps and ages of a table, of which some combinations have people.
const SEXES: [&str; 3] = ["f", "m", "x"];
const APPS: [&str; 3] = ["a", "b", "c"];
const AGES: [&str; 2] = ["18-19", "20-29"];

/// Sex, age, app.
type Key = (&'static str, &'static str, &'static str);

/// A table: people of each group, and which totals the backend sends.
#[derive(Clone, Debug)]
struct Table {
    groups: BTreeMap<Key, u64>,
    margins: Vec<Key>,
}

fn beneath(total: &Key, group: &Key) -> bool {
    let fits = |total: &str, group: &str| total == "ALL" || total == group;
    fits(total.0, group.0) && fits(total.1, group.1) && fits(total.2, group.2)
}

impl Table {
    fn sum(&self, total: &Key) -> u64 {
        self.groups.iter().filter(|(key, _)| beneath(total, key)).map(|(_, count)| count).sum()
    }

    fn body(&self) -> String {
        let row = |(sex, age, app): &Key, count: u64| json!({"sex": sex, "age": age, "app": app, "job": "baker", "count": count, "views": 0});
        let groups = self.groups.iter().map(|(key, count)| row(key, *count));
        let margins = self.margins.iter().map(|key| row(key, self.sum(key)));
        let rows: Vec<Value> = groups.chain(margins).collect();
        json!({"data": {"groups": rows}}).to_string()
    }

    fn answer(&self, policy: &Arc<Policy>) -> String {
        answer(policy, "desk", "statistics", &self.body()).expect("an answer")
    }

    /// The groups of people that are not shown by themselves.
    fn hidden(&self, shown: &BTreeMap<Vec<String>, u64>) -> Vec<Key> {
        let is_shown = |key: &Key| shown.contains_key(&words(key));
        self.groups
            .iter()
            .filter(|(key, count)| **count > 0 && !is_shown(key))
            .map(|(key, _)| *key)
            .collect()
    }
}

fn words((sex, age, app): &Key) -> Vec<String> {
    [sex, age, app].map(|word| (*word).to_owned()).to_vec()
}

/// The rows of an answer by key.
fn shown(answer: &str) -> BTreeMap<Vec<String>, u64> {
    let document: Value = serde_json::from_str(answer).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    document["data"]["groups"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let key = ["sex", "age", "app"].map(|name| text(&row[name])).to_vec();
            (key, row["count"].as_u64().expect("a count"))
        })
        .collect()
}

fn table() -> impl Strategy<Value = Table> {
    let count = prop_oneof![2 => Just(0), 5 => 1..K, 3 => K..30_u64];
    let keys: Vec<Key> = SEXES
        .iter()
        .flat_map(|sex| AGES.iter().flat_map(move |age| APPS.map(|app| (*sex, *age, app))))
        .collect();
    let with_all = |words: &[&'static str]| [words, &["ALL"]].concat();
    let (sexes, ages, apps) = (with_all(&SEXES), with_all(&AGES), with_all(&APPS));
    let totals: Vec<Key> = sexes
        .iter()
        .flat_map(|sex| {
            let apps = &apps;
            ages.iter().flat_map(move |age| apps.iter().map(move |app| (*sex, *age, *app)))
        })
        .filter(|(sex, age, app)| [sex, age, app].contains(&&"ALL"))
        .collect();
    let groups = proptest::collection::vec(count, keys.len());
    let kept = proptest::collection::vec(proptest::bool::weighted(0.35), keys.len());
    let margins = proptest::sample::subsequence(totals.clone(), 0..=totals.len());
    (groups, kept, margins).prop_map(move |(counts, kept, margins)| {
        let groups = keys.iter().zip(counts).zip(kept).filter(|(_, kept)| *kept);
        Table { groups: groups.map(|((key, count), _)| (*key, count)).collect(), margins }
    })
}

/// Numbers that a hidden group could be for somebody who knows all that is shown, exactly: every
/// number of every hidden group is tried.
fn possible(hidden: &[Key], shown: &BTreeMap<Vec<String>, u64>) -> Vec<BTreeSet<u64>> {
    let totals: Vec<(Key, u64)> = shown
        .iter()
        .filter(|(key, _)| key.iter().any(|word| word == "ALL"))
        .map(|(key, count)| {
            let word = |at: usize, known: &[&'static str]| {
                known.iter().copied().find(|word| *word == key[at]).unwrap_or("ALL")
            };
            ((word(0, &SEXES), word(1, &AGES), word(2, &APPS)), *count)
        })
        .collect();
    let rest = |(total, count): &(Key, u64)| {
        let told: u64 = shown
            .iter()
            .filter(|(key, _)| key.iter().all(|word| word != "ALL"))
            .filter(|(key, _)| {
                let words = [total.0, total.1, total.2];
                key.iter().zip(words).all(|(word, total)| total == "ALL" || word == total)
            })
            .map(|(_, count)| count)
            .sum();
        count.checked_sub(told).expect("a total is not below its groups")
    };
    let sums: Vec<(Vec<bool>, u64)> = totals
        .iter()
        .map(|total| (hidden.iter().map(|key| beneath(&total.0, key)).collect(), rest(total)))
        .collect();
    let mut found = vec![BTreeSet::new(); hidden.len()];
    let mut tried = vec![1; hidden.len()];
    loop {
        let fits = sums.iter().all(|(beneath, sum)| {
            let of = beneath.iter().zip(&tried).filter(|(beneath, _)| **beneath);
            of.map(|(_, count)| count).sum::<u64>() == *sum
        });
        if fits {
            for (found, count) in found.iter_mut().zip(&tried) {
                found.insert(*count);
            }
        }
        // The next combination, as an odometer goes on.
        let Some(at) = tried.iter().position(|count| *count < K - 1) else { return found };
        tried[at] += 1;
        tried[..at].fill(1);
    }
}

/// Numbers of one hidden group with which the backend's whole table would have come to the same answer.
/// Of the other hidden groups each stays, takes up the difference or a part of it (so that a sum that
/// is shown stays), or is as small or large as it can be (so that a sum that tells too much does). Where
/// there are no more than two others, every number of each is tried.
fn indistinguishable(
    policy: &Arc<Policy>,
    table: &Table,
    hidden: &[Key],
    answer: &str,
    which: Key,
) -> BTreeSet<u64> {
    let others: Vec<Key> = hidden.iter().filter(|key| **key != which).copied().collect();
    let is_possible = |count: &u64| {
        let mut tries = vec![table.clone()];
        tries[0].groups.insert(which, *count);
        let by = i64::try_from(table.groups[&which]).expect("small")
            - i64::try_from(*count).expect("small");
        for other in &others {
            let was = table.groups[other];
            let moved = |by: i64| was.checked_add_signed(by).filter(|now| (1..K).contains(now));
            let numbers: BTreeSet<u64> = [Some(was), moved(by), moved(by / 2), moved(by - by / 2)]
                .into_iter()
                .flatten()
                .chain([1, K - 1])
                .chain((1..K).filter(|_| others.len() <= 2))
                .collect();
            let with = |table: &Table, number: u64| {
                let mut table = table.clone();
                table.groups.insert(*other, number);
                table
            };
            tries = tries
                .iter()
                .flat_map(|table| numbers.iter().map(|number| with(table, *number)))
                .collect();
        }
        tries.iter().any(|table| table.answer(policy) == answer)
    };
    (1..K).filter(is_possible).collect()
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn what_is_shown_does_not_tell_how_large_a_hidden_group_is(table in table()) {
        let policy = policy("k: 10, all: ALL, forbid: [contact.*]");
        let shown = shown(&table.answer(&policy));
        prop_assert!(shown.values().all(|count| *count >= K));
        let hidden = table.hidden(&shown);
        prop_assume!(hidden.len() <= 5);
        for (key, numbers) in hidden.iter().zip(possible(&hidden, &shown)) {
            prop_assert!(numbers.contains(&table.groups[key]));
            prop_assert!(numbers.len() >= OPEN, "{key:?} is one of {numbers:?} in {shown:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(5))]

    #[test]
    fn other_tables_come_to_the_very_same_answer(
        table in table(),
        rare: bool,
        round in prop_oneof![Just(""), Just("round: 5, "), Just("round: 10, ")],
    ) {
        let (rare, most) = if rare { ("rare: other, ", 3) } else { ("", 4) };
        let policy = policy(&format!("k: 10, {rare}{round}all: ALL, forbid: [contact.*]"));
        let answer = table.answer(&policy);
        let hidden = table.hidden(&shown(&answer));
        prop_assume!(hidden.len() <= most && hidden.iter().all(|key| table.groups[key] < K));
        for key in &hidden {
            let numbers = indistinguishable(&policy, &table, &hidden, &answer, *key);
            prop_assert!(numbers.len() >= OPEN, "{key:?} is one of {numbers:?} in {answer}");
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    /// One person comes; the same is asked again.
    #[test]
    fn of_two_moments_the_difference_is_a_step_or_nothing(table in table(), who in 0_usize..18) {
        let policy = policy("k: 10, round: 10, forbid: [contact.*]");
        let mut table = table;
        table.margins.clear();
        let Some(key) = table.groups.keys().nth(who % table.groups.len().max(1)).copied() else {
            return Ok(());
        };
        let before = shown(&table.answer(&policy));
        let count = table.groups[&key];
        table.groups.insert(key, count + 1);
        let after = shown(&table.answer(&policy));
        let (before, now) = (before.get(&words(&key)).copied(), after.get(&words(&key)).copied());
        // It is seen at the floor and between two steps, and nowhere else.
        let is_seen = count + 1 == K || (count >= K && count % 10 == if (count / 10) % 2 == 0 { 5 } else { 4 });
        prop_assert_eq!(before != now, is_seen, "{} {:?} {:?}", count, before, now);
        if let (Some(before), Some(now)) = (before, now) {
            prop_assert!(now == before || now == before + 10);
        }
    }
}
