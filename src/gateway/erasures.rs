//! What follows from an erasure outside the registers: the ledger forgets whose records are whose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{LastAccount, LedgerUnavailable, SubjectIndex, about};
use crate::registers::{RecordError, RegisterStore, RegistersUnavailable};

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

/// Settles each erasure that is in force, once. How many there were. Shredding comes first: after a
/// crash in between it is done again, which changes nothing. Whom to tell of the erasure is read from
/// the ledger before, since nobody can afterwards; while it cannot be read, the erasure waits and is
/// reported as not settled. Nothing leaves of the person meanwhile.
pub(super) fn settle(
    registers: &RegisterStore,
    ledger: &Path,
    index: &SubjectIndex,
    now: Timestamp,
) -> Result<usize, Unsettled> {
    index.forget_last_accounts(now)?;
    let erasures = registers.unsettled_erasures(now)?;
    for (id, person) in &erasures {
        let told = about(ledger, index, person, now)?;
        index.shred(person, LastAccount::of(&told, now).as_ref())?;
        registers.settle_erasure(id)?;
    }
    Ok(erasures.len())
}

/// Looks for erasures once a second: commands enter them beside the gateway.
pub(super) async fn keep_settling(
    registers: Arc<RegisterStore>,
    ledger: PathBuf,
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
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "erasures: the ledger's secrets are shredded"),
            Ok(Err(error)) => tracing::warn!(%error, "an erasure is not settled yet"),
            Err(_) => tracing::error!("an erasure could not be settled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::gateway::subject_index;
    use crate::keys::KeyRing;
    use crate::ledger::{Concerned, FileLedger, Ledger as _};
    use crate::registers::Record;
    use crate::terms::{DataSubject, Personal};

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
        let settled = || settle(&registers, &directory, &index, Timestamp::now()).expect("settled");
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
            released: Vec::new(),
            withheld: Vec::new(),
            people: Vec::new(),
        }
    }
}
