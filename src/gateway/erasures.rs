//! What follows from an erasure outside the registers: the ledger forgets whose records are whose.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{LastAccount, LedgerUnavailable, Place, SubjectIndex, about_each};
use crate::registers::{RecordError, RegisterStore, RegistersUnavailable};
use crate::terms::DataSubject;

/// Most people of whom the ledger is read together: what is told of them is held in memory.
const TOGETHER: usize = 256;

/// Why an erasure is not settled yet. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    #[error(transparent)]
    Registers(#[from] RegistersUnavailable),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Ledger(#[from] LedgerUnavailable),
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Erasures that are settled now.
    pub(super) settled: usize,
    /// Why others are not.
    pub(super) unsettled: Vec<Unsettled>,
}

/// Settles each erasure that is in force, once; one that cannot be settled keeps no other from it.
/// Shredding comes first: after a crash in between it is done again, which changes nothing. Whom to tell
/// of the erasure is read from the ledger before, since nobody can afterwards; while that cannot be read,
/// the erasure waits and is reported as not settled. Nothing leaves of the person meanwhile.
///
/// # Errors
/// Nobody can say which erasures there are.
pub(super) fn settle(
    registers: &RegisterStore,
    ledger: &Place,
    index: &SubjectIndex,
    now: Timestamp,
) -> Result<Round, Unsettled> {
    let mut round = Round::default();
    round.unsettled.extend(index.forget_last_accounts(now).err().map(Unsettled::from));
    let mut ids: HashMap<DataSubject, Vec<String>> = HashMap::new();
    for erasure in registers.unsettled_erasures(now)? {
        ids.entry(erasure.person).or_default().push(erasure.id);
    }
    let people: Vec<DataSubject> = ids.keys().cloned().collect();
    for people in people.chunks(TOGETHER) {
        // The ledger is read once for all of them.
        let told = match about_each(ledger, index, people, now) {
            Ok(told) => told,
            Err(error) => {
                round.unsettled.push(error.into());
                return Ok(round);
            }
        };
        for (person, told) in people.iter().zip(told) {
            let last = told.map(|told| LastAccount::of(&told, now));
            match last.and_then(|last| index.shred(person, last.as_ref())) {
                Ok(_) => {}
                Err(error) => {
                    round.unsettled.push(error.into());
                    continue;
                }
            }
            for id in &ids[person] {
                if let Err(error) = registers.settle_erasure(id) {
                    // That is not of this erasure: the registers cannot be written.
                    round.unsettled.push(error.into());
                    return Ok(round);
                }
                round.settled += 1;
            }
        }
    }
    Ok(round)
}

/// Looks for erasures once a second: commands enter them beside the gateway.
pub(super) async fn keep_settling(
    registers: Arc<RegisterStore>,
    ledger: Place,
    index: Arc<SubjectIndex>,
) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let (registers, index) = (Arc::clone(&registers), Arc::clone(&index));
        let ledger = ledger.clone();
        let settled = tokio::task::spawn_blocking(move || {
            settle(&registers, &ledger, &index, Timestamp::now())
        });
        match settled.await {
            Ok(Ok(Round { settled, unsettled })) => {
                if settled > 0 {
                    tracing::info!(settled, "erasures: the ledger's secrets are shredded");
                }
                if let Some(error) = unsettled.first() {
                    let count = unsettled.len();
                    tracing::warn!(%error, count, "erasures are not settled yet");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "erasures are not settled yet"),
            Err(_) => tracing::error!("an erasure could not be settled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::tempdir;

    use super::*;
    use crate::gateway::subject_index;
    use crate::keys::KeyRing;
    use crate::ledger::{Concerned, FileLedger, Ledger as _, about};
    use crate::registers::Record;
    use crate::terms::Personal;

    fn person(id: &str) -> DataSubject {
        Personal::new(id.into())
    }

    #[tokio::test]
    async fn whoever_is_erased_is_found_in_the_ledger_no_more_and_the_chain_holds() {
        let folder = tempdir().expect("a folder");
        let directory = folder.path().join("ledger");
        let keys = KeyRing::generate(&folder.path().join("keys")).expect("a ring");
        let index = subject_index(&directory, &keys).expect("opens");
        let ledger = FileLedger::open(&directory, "gw-test").expect("opens");
        let ledger = ledger.with_index(Arc::clone(&index));
        let receipt = ledger.open(&disclosure()).await.expect("durable");
        let people = |ids: &[&str]| Concerned {
            role: "person".into(),
            categories: vec![("contact.email".into(), "keep".into())],
            people: ids.iter().map(|id| person(id)).collect(),
        };
        ledger.also(&receipt, &[people(&["CANARY-1", "CANARY-2"])]).await.expect("durable");
        let told = |id: &str| {
            let told = about(&directory, &index, &person(id), Timestamp::now());
            told.expect("readable").disclosures.len()
        };
        assert_eq!((told("CANARY-1"), told("CANARY-2"), told("CANARY-3")), (1, 1, 0));

        let registers = RegisterStore::embedded(&folder.path().join("registers.db"));
        let registers = registers.expect("opens");
        let erase = |id: &str, at: &str| {
            let json = format!(
                r#"{{"kind":"erasure","subject":"{id}","requested_at":"{at}","effective_at":"{at}"}}"#
            );
            let record = Record::parse(json.as_bytes()).expect("a record");
            registers.record(&record).expect("taken");
        };
        erase("CANARY-1", "2026-01-01T00:00:00Z");
        erase("CANARY-2", "2090-01-01T00:00:00Z");
        let settled = || {
            let round = settle(&registers, &Place::from(&directory), &index, Timestamp::now())
                .expect("asked");
            assert!(round.unsettled.is_empty(), "{round:?}");
            round.settled
        };
        assert_eq!((settled(), settled()), (1, 0), "each once, and none before its moment");
        assert_eq!((told("CANARY-1"), told("CANARY-2")), (0, 1));
        // Whom to tell of it is known for a while, and to nobody who does not know the person.
        let last = |id: &str, at| index.last_accounts(&person(id), at).expect("readable");
        let kept = last("CANARY-1", Timestamp::now());
        assert_eq!(kept[0].recipients[0].recipient, "desk");
        assert!(kept[0].recipients[0].categories.contains_key("contact.email"));
        assert!(last("CANARY-2", Timestamp::now()).is_empty());
        let file = std::fs::read(directory.join("subjects.db")).expect("there");
        let holds = |word: &[u8]| file.windows(word.len()).any(|bytes| bytes == word);
        assert!(!holds(b"CANARY") && !holds(b"contact.email"), "it is sealed");
        let end = kept[0].until;
        assert!(last("CANARY-1", end).is_empty(), "its time is over");
        assert_eq!(index.forget_last_accounts(end).expect("written"), 1);
        crate::ledger::verify(&directory, None).expect("the chain holds");
    }

    /// The ledger of people who are in one disclosure, each in a part of their own, and their erasures.
    async fn erased(folder: &Path, ids: &[String]) -> (Arc<SubjectIndex>, RegisterStore) {
        let directory = folder.join("ledger");
        let keys = KeyRing::generate(&folder.join("keys")).expect("a ring");
        let index = subject_index(&directory, &keys).expect("opens");
        let ledger = FileLedger::open(&directory, "gw-test").expect("opens");
        let ledger = ledger.with_index(Arc::clone(&index));
        let receipt = ledger.open(&disclosure()).await.expect("durable");
        let registers = RegisterStore::embedded(&folder.join("registers.db")).expect("opens");
        for (at, id) in ids.iter().enumerate() {
            let concerned = Concerned {
                role: "person".into(),
                categories: vec![(format!("contact.number{at}"), "keep".into())],
                people: vec![person(id)],
            };
            ledger.also(&receipt, &[concerned]).await.expect("durable");
            // Two of one person are settled together.
            for day in ["01", "02"] {
                let json = format!(
                    r#"{{"kind":"erasure","subject":"{id}","requested_at":"2026-01-{day}T00:00:00Z"}}"#
                );
                let record = Record::parse(json.as_bytes()).expect("a record");
                registers.record(&record).expect("taken");
            }
        }
        (index, registers)
    }

    #[tokio::test]
    async fn an_erasure_that_fails_keeps_no_other_from_being_settled() {
        let folder = tempdir().expect("a folder");
        let ids: Vec<String> = (0..5).map(|number| format!("u{number}")).collect();
        let (index, registers) = erased(folder.path(), &ids).await;
        let directory = folder.path().join("ledger");
        // One of them is named by a record that cannot be read any more.
        let segment = directory.join("000001.jsonl");
        let whole = std::fs::read_to_string(&segment).expect("ours");
        let spoilt = whole.replacen("{\"contact.number2\"", "{contact.number2\"", 1);
        assert_ne!(spoilt, whole);
        std::fs::write(&segment, spoilt).expect("ours");
        let round = || {
            settle(&registers, &Place::from(&directory), &index, Timestamp::now()).expect("asked")
        };
        let first = round();
        assert_eq!((first.settled, first.unsettled.len()), (8, 1), "{first:?}");
        let left = registers.unsettled_erasures(Timestamp::now()).expect("readable");
        assert!(left.len() == 2 && left.iter().all(|one| one.person == person("u2")));
        assert!(index.knows(&person("u2")).expect("readable"), "whom to tell is still to be read");
        std::fs::write(&segment, whole).expect("ours");
        let second = round();
        assert_eq!((second.settled, second.unsettled.len()), (2, 0), "{second:?}");
        for (at, id) in ids.iter().enumerate() {
            let last = index.last_accounts(&person(id), Timestamp::now()).expect("readable");
            let [account] = last.as_slice() else { panic!("{id}: {last:?}") };
            let names: Vec<&String> = account.recipients[0].categories.keys().collect();
            assert_eq!(names, [&format!("contact.number{at}")], "each has their own");
        }
    }

    fn disclosure() -> crate::ledger::Disclosure {
        crate::ledger::Disclosure {
            decision: "d_1".to_owned().into(),
            policy: ("rights".into(), "2026".into(), crate::ledger::GENESIS),
            route: "GET /people".into(),
            recipient: "desk".into(),
            role: "internal",
            category_of_recipient: None,
            country: None,
            purposes: vec!["service".into()],
            basis: vec!["contract"],
            case: None,
            order: None,
            aggregated: None,
            tunnel: None,
            released: Vec::new(),
            withheld: Vec::new(),
            people: Vec::new(),
        }
    }
}
