//! How often one person may ask for what costs more than a look-up: reports and requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::terms::DataSubject;

/// Times within [`WINDOW`]: enough to try again, too few to keep a disk busy. The law asks for an answer
/// within a month (GDPR Art. 12(3)), so that nobody loses a right by it.
const TIMES: u32 = 6;

/// See [`TIMES`].
const WINDOW: Duration = Duration::from_mins(1);

/// People remembered at a time. When that many have asked within a window, others wait for its end.
const PEOPLE: usize = 16_384;

/// Counts of the present window by person. Nobody is remembered for longer than two.
#[derive(Default)]
pub(super) struct Pace {
    asked: Mutex<HashMap<DataSubject, (Instant, u32)>>,
}

impl Pace {
    /// Whether the person may ask at `now`; counts it if so.
    pub(super) fn allows(&self, person: &DataSubject, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= PEOPLE && !asked.contains_key(person) {
            asked.retain(|_, (since, _)| !is_over(*since, now));
            if asked.len() >= PEOPLE {
                return false;
            }
        }
        let (since, times) = asked.entry(person.clone()).or_insert((now, 0));
        if is_over(*since, now) {
            (*since, *times) = (now, 0);
        }
        *times += 1;
        *times <= TIMES
    }

    /// Forgets whoever's window is over.
    fn forget(&self, now: Instant) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, (since, _)| !is_over(*since, now));
        asked.shrink_to_fit();
    }

    /// Forgets people for as long as the gateway runs: spawn it once, abort it at the end.
    pub(super) async fn keep_forgetting(self: Arc<Self>) {
        let mut windows = tokio::time::interval(WINDOW);
        windows.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            windows.tick().await;
            self.forget(Instant::now());
        }
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Personal;

    #[test]
    fn one_person_s_haste_is_nobody_else_s_and_ends_with_the_window() {
        let (pace, now) = (Pace::default(), Instant::now());
        let [anna, ben] = ["anna", "ben"].map(|id| Personal::new(id.into()));
        for time in 0..TIMES {
            assert!(pace.allows(&anna, now), "{time}");
        }
        assert!(!pace.allows(&anna, now));
        assert!(pace.allows(&ben, now));
        assert!(!pace.allows(&anna, now + WINDOW / 2));
        assert!(pace.allows(&anna, now + WINDOW));
        let known = || pace.asked.lock().expect("no test panics here").len();
        pace.forget(now + WINDOW);
        assert_eq!(known(), 1, "ben has asked no more");
        pace.forget(now + WINDOW * 2);
        assert_eq!(known(), 0);
    }
}
