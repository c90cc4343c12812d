//! What is delivered in any order, more than once, and at the same moment, comes to the same.

use std::sync::Arc;

use jiff::Timestamp;
use tamis::registers::{Record, RegisterStore, Registers as _};
use tamis::terms::{Personal, Statements};

use crate::differential::random::Random;

/// People, each told about twice; every record is a write to the disk.
const PEOPLE: u64 = 40;

const MOMENTS: [&str; 3] = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-02-01T00:00:00Z"];

const STATUSES: [&str; 7] =
    ["requested", "given", "renewed", "refused", "withdrawn", "revoked", "expired"];

/// Records about `SUBJECT`, in some order.
fn records(random: &mut Random) -> Vec<String> {
    let mut pick = |from: &[&str]| from[random.below(from.len())].to_owned();
    let mut records = Vec::new();
    for id in ["con_a", "con_b"] {
        for _ in 0..3 {
            let event = format!(r#"{{"at":"{}","status":"{}"}}"#, pick(&MOMENTS), pick(&STATUSES));
            records.push(format!(
                r#"{{"id":"{id}-SUBJECT","subject":"SUBJECT","purpose":"share.partner",
                    "recipients":["courier"],"events":[{event}]}}"#
            ));
        }
    }
    let since = pick(&MOMENTS);
    records.push(match pick(&["objection", "restriction", "erasure"]).as_str() {
        "objection" => format!(
            r#"{{"kind":"objection","subject":"SUBJECT","purpose":"share.*","since":"{since}"}}"#
        ),
        "restriction" => format!(
            r#"{{"kind":"restriction","subject":"SUBJECT","categories":["*"],
                "ground":"accuracy-contested","since":"{since}","until":null}}"#
        ),
        _ => format!(
            r#"{{"kind":"erasure","subject":"SUBJECT","requested_at":"{since}",
                "effective_at":"{since}","except":[]}}"#
        ),
    });
    records
}

fn told(
    registers: &RegisterStore,
    subject: &str,
    records: &[String],
    random: &mut Random,
) -> Arc<Statements> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    // At least once: one of them comes again.
    order.push(random.below(records.len()));
    for at in order {
        let record = records[at].replace("SUBJECT", subject);
        let record = Record::parse(record.as_bytes()).expect("a record of ours");
        registers.record(&record).expect("taken");
    }
    registers.statements(&Personal::new(subject.into())).expect("available")
}

#[test]
fn deliveries_in_any_order_come_to_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let registers = RegisterStore::embedded(&directory.path().join("r.db")).expect("opens");
    let now = Timestamp::now();
    for number in 0..PEOPLE {
        let mut random = Random::seeded(number);
        let records = records(&mut random);
        let [one, two] = [format!("a{number}"), format!("b{number}")]
            .map(|subject| told(&registers, &subject, &records, &mut random));
        let states = |said: &Statements| {
            let mut states: Vec<_> = said
                .consents
                .iter()
                .map(|consent| (consent.id[..5].to_owned(), consent.status(now)))
                .collect();
            states.sort_by(|a, b| a.0.cmp(&b.0));
            states
        };
        assert_eq!(states(&one), states(&two), "{records:#?}");
        assert_eq!(one.objections, two.objections, "{records:#?}");
        assert_eq!(one.restrictions, two.restrictions, "{records:#?}");
        assert_eq!(one.erasure, two.erasure, "{records:#?}");
    }
}
