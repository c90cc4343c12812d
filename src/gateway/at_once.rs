//! Requests that are being answered, counted over all connections, and those of each recipient. Beyond
//! a limit they are refused at once, so that those which were taken keep what they need.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::Policy;
use crate::terms::RecipientId;

/// How many there are.
#[derive(Default)]
pub(super) struct AtOnce(AtomicUsize);

/// One of them, until it is dropped.
pub(super) struct Turn(Arc<AtOnce>);

/// What one request holds.
#[derive(Clone, Default)]
pub(super) struct Turns {
    /// Of all requests.
    pub(super) of_all: Option<Arc<Turn>>,
    /// Of its recipient's, once it is known.
    pub(super) of_recipient: Option<Arc<Turn>>,
}

/// How many there are of each recipient. Only declared recipients are counted, so that memory is bounded
/// by the rules.
#[derive(Default)]
pub(super) struct OfRecipients(Mutex<HashMap<RecipientId, Arc<AtOnce>>>);

impl OfRecipients {
    /// Takes one more of the recipient's, if there are fewer than `most`.
    pub(super) fn enter(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        most: usize,
    ) -> Option<Turn> {
        // Nothing panics between two writes to it.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(recipient) {
            // Those of rules that are gone, once nothing of theirs is under way.
            all.retain(|known, its| {
                policy.recipients.contains_key(known) || Arc::strong_count(its) > 1
            });
            all.insert(recipient.clone(), Arc::default());
        }
        all.get(recipient)?.enter(most)
    }
}

impl AtOnce {
    /// Takes one more, if there are fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, most: usize) -> Option<Turn> {
        let one_more = |now: usize| (now < most).then_some(now + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.is_ok().then(|| Turn(Arc::clone(self)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_taken_than_there_may_be() {
        let requests = Arc::new(AtOnce::default());
        let first = requests.enter(2);
        let second = requests.enter(2);
        assert!(first.is_some() && second.is_some());
        assert!(requests.enter(2).is_none());
        assert!(requests.enter(3).is_some(), "a limit that was raised counts at once");
        drop(first);
        assert!(requests.enter(2).is_some());
    }

    #[test]
    fn one_recipient_has_no_turn_of_another() {
        let rules = include_str!("../../tests/cases/gateway.rules.yaml");
        let policy = Policy::parse("rules.yaml", rules).expect("it loads");
        let requests = OfRecipients::default();
        let enter = |who: &str| requests.enter(&policy, &RecipientId::from(who), 1);
        let first = enter("courier");
        assert!(first.is_some() && enter("courier").is_none());
        assert!(enter("desk").is_some());
        let gone = enter("of-rules-that-are-gone");
        assert!(enter("self").is_some(), "which looks for those that are gone");
        assert!(gone.is_some() && enter("of-rules-that-are-gone").is_none(), "it is under way");
        drop((first, gone));
        assert!(enter("courier").is_some());
        assert!(enter("partner").is_some());
        assert_eq!(requests.0.lock().expect("no panic").len(), 4, "nobody else is remembered");
    }
}
