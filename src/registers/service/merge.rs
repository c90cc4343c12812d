//! What the service says and what our own registers hold: the stricter of both.

use jiff::Timestamp;

use super::super::read::{first_given, take_back};
use super::super::record::sort_events;
use crate::terms::{Consent, Statements};

/// Our own statements with the consents that the service states, each ended by whatever we have heard as
/// well. `None`: both know a consent by one id and say that it covers other things, so that nobody can say
/// what it is.
pub(super) fn merged(own: &Statements, stated: &[Consent], now: Timestamp) -> Option<Statements> {
    let mut said = own.clone();
    // What the service does not state is no consent; that it was taken back still counts beneath it.
    for consent in &mut said.consents {
        consent.events.retain(|event| !event.status.is_valid());
    }
    for one in stated {
        let mut consent = one.clone();
        let known = own.consents.iter().position(|known| known.id == one.id);
        if let Some(at) = known {
            let known = &own.consents[at];
            if !covers_the_same(known, one) {
                return None;
            }
            consent.events.extend(known.events.iter().filter(|event| !event.status.is_valid()));
            consent.expires_at = [consent.expires_at, known.expires_at].into_iter().flatten().min();
            // Ours that names nobody covers everybody: it narrows nothing.
            if !known.recipients.is_empty() {
                consent.recipients.retain(|named| known.recipients.contains(named));
            }
        }
        for event in &mut consent.events {
            // What takes a consent away counts from when we hear of it at the latest.
            if !event.status.is_valid() {
                event.at = event.at.min(now);
            }
        }
        // By the service's clock, which may be ahead, and by when we heard of it.
        let given = first_given(&consent).map(|at| at.min(now));
        for withdrawal in own.withdrawals.iter().filter(|one| given.is_some_and(|at| at <= one.at))
        {
            take_back(withdrawal, &mut consent);
        }
        sort_events(&mut consent.events);
        match known {
            Some(at) => said.consents[at] = consent,
            None => said.consents.push(consent),
        }
    }
    Some(said)
}

/// But for recipients: ours may have been taken out of it one by one.
fn covers_the_same(known: &Consent, stated: &Consent) -> bool {
    known.purpose == stated.purpose
        && known.purpose_text_digest == stated.purpose_text_digest
        && known.explicit == stated.explicit
        && is_same(&known.categories, &stated.categories)
        && known.recipients.iter().all(|one| stated.recipients.contains(one))
}

fn is_same<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.iter().all(|item| other.contains(item)) && other.iter().all(|item| one.contains(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::ConsentStatus::{Given, Withdrawn};
    use crate::terms::{ConsentEvent, ConsentStatus, PurposePattern, Withdrawal};

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("small")
    }

    fn consent(id: &str, events: &[(i64, ConsentStatus)]) -> Consent {
        let event = |&(at, status): &(i64, ConsentStatus)| ConsentEvent { at: second(at), status };
        Consent {
            id: id.into(),
            purpose: "share.partner".into(),
            purpose_text_digest: None,
            recipients: vec!["a".into(), "b".into()],
            categories: Vec::new(),
            explicit: false,
            expires_at: None,
            events: events.iter().map(event).collect(),
        }
    }

    fn own(consents: Vec<Consent>, withdrawals: Vec<Withdrawal>) -> Statements {
        Statements { consents, withdrawals, ..Statements::default() }
    }

    fn withdrawal(purpose: &str, recipient: Option<&str>, at: i64) -> Withdrawal {
        let recipient = recipient.map(Into::into);
        Withdrawal { purpose: PurposePattern::new(purpose), recipient, at: second(at) }
    }

    /// State and recipients of each consent at second 100.
    fn state(own: &Statements, stated: &[Consent]) -> Vec<(ConsentStatus, usize)> {
        let said = merged(own, stated, second(100)).expect("no contradiction");
        said.consents.iter().map(|one| (one.status(second(100)), one.recipients.len())).collect()
    }

    #[test]
    fn what_we_have_heard_takes_away_and_never_gives() {
        let given = [consent("c", &[(10, Given)])];
        let nothing = Statements::default();
        assert_eq!(state(&nothing, &given), [(Given, 2)]);
        // The service does not know of it any more.
        let ours = own(given.to_vec(), Vec::new());
        assert!(!state(&ours, &[])[0].0.is_valid());
        // One of both has heard that it ended.
        let ended = [consent("c", &[(10, Given), (20, Withdrawn)])];
        assert_eq!(state(&own(ended.to_vec(), Vec::new()), &given), [(Withdrawn, 2)]);
        assert_eq!(state(&ours, &ended), [(Withdrawn, 2)]);
        // Withdrawals by purpose end what was given before them, and for one recipient only that.
        for (withdrawal, expected) in [
            (withdrawal("share", None, 20), (Withdrawn, 2)),
            (withdrawal("share.*", None, 5), (Given, 2)),
            (withdrawal("marketing", None, 20), (Given, 2)),
            (withdrawal("share.partner", Some("a"), 20), (Given, 1)),
        ] {
            let ours = own(Vec::new(), vec![withdrawal]);
            assert_eq!(state(&ours, &given), [expected], "{ours:?}");
        }
        // A clock that is ahead puts nothing off.
        assert_eq!(
            state(&nothing, &[consent("c", &[(10, Given), (900, Withdrawn)])])[0].0,
            Withdrawn
        );
        // Narrowed here, whole there; and the earlier end of both.
        let narrow = Consent { recipients: vec!["b".into()], ..given[0].clone() };
        assert_eq!(state(&own(vec![narrow], Vec::new()), &given), [(Given, 1)]);
        let everybody = Consent { recipients: Vec::new(), ..given[0].clone() };
        assert_eq!(state(&own(vec![everybody], Vec::new()), &given), [(Given, 2)]);
        // Given ahead of our clock, and taken back here since.
        let ahead = [consent("c", &[(150, Given)])];
        let ours = own(Vec::new(), vec![withdrawal("share", None, 100)]);
        assert_eq!(
            merged(&ours, &ahead, second(100)).expect("one").consents[0].status(second(200)),
            Withdrawn
        );
        let short = Consent { expires_at: Some(second(50)), ..given[0].clone() };
        assert_eq!(state(&own(vec![short], Vec::new()), &given)[0].0, ConsentStatus::Expired);
    }

    #[test]
    fn two_consents_under_one_id_are_none() {
        let given = consent("c", &[(10, Given)]);
        let others = [
            Consent { purpose: "share".into(), ..given.clone() },
            Consent { explicit: true, ..given.clone() },
            Consent { categories: vec!["contact.email".into()], ..given.clone() },
            Consent { recipients: vec!["c".into()], ..given.clone() },
        ];
        for other in others {
            let ours = own(vec![other], Vec::new());
            assert!(merged(&ours, std::slice::from_ref(&given), second(100)).is_none(), "{ours:?}");
        }
    }
}
