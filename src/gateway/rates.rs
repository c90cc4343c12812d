//! How often recipients may ask: a token bucket for each.
//!
//! Only declared recipients have one, so that memory is bounded by the rules.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Limits;
use crate::policy::Policy;
use crate::terms::RecipientId;

/// The buckets.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<RecipientId, Bucket>>);

/// What one request takes. A bucket gains a recipient's rate each nanosecond.
const REQUEST: u128 = 1_000_000_000;

struct Bucket {
    /// What is in it, as of `at`.
    left: u128,
    at: Instant,
}

impl Rates {
    /// Whether the recipient may ask at `now`; takes a token if so.
    pub(super) fn allow(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        let rate = u128::from(limits.recipient_rate);
        let burst = u128::from(limits.recipient_burst) * REQUEST;
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(recipient) {
            // Those of rules that are gone.
            buckets.retain(|known, _| policy.recipients.contains_key(known));
            buckets.insert(recipient.clone(), Bucket { left: burst, at: now });
        }
        let Some(bucket) = buckets.get_mut(recipient) else { return false };
        let since = now.saturating_duration_since(bucket.at).as_nanos();
        bucket.left = bucket.left.saturating_add(since.saturating_mul(rate)).min(burst);
        bucket.at = bucket.at.max(now);
        let Some(left) = bucket.left.checked_sub(REQUEST) else { return false };
        bucket.left = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_recipient_may_ask_as_often_as_its_bucket_fills() {
        let rules = include_str!("../../tests/cases/gateway.rules.yaml");
        let policy = Policy::parse("rules.yaml", rules).expect("it loads");
        let limits = Limits { recipient_rate: 10, recipient_burst: 3, ..Limits::default() };
        let (rates, start) = (Rates::default(), Instant::now());
        let asks = |who: &str, after: u64| {
            let now = start + Duration::from_millis(after);
            rates.allow(&policy, &RecipientId::from(who), &limits, now)
        };
        let at = |after: u64| (0..9).filter(|_| asks("courier", after)).count();
        assert_eq!(at(0), 3, "what it may send at once");
        assert!(asks("desk", 0), "one recipient's haste is nobody else's");
        assert_eq!(at(99), 0);
        assert_eq!(at(100), 1, "ten a second");
        assert_eq!(at(300), 2);
        assert_eq!(at(3_600_000), 3, "an hour of silence is worth no more than a burst");
        assert_eq!(at(0), 0, "a clock that jumps back gives nothing");
    }
}
