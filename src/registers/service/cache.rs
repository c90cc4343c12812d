//! What the service said of each person, for as long as it may be relied on; bounded in people and bytes.
//!
//! Two halves: what is new goes into the young one; when that is full it takes the place of the old one,
//! which is thrown away. So whoever was just asked about stays for at least as many others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::terms::{Consent, DataSubject};

/// What was said of one person.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) consents: Arc<[Consent]>,
    /// When it was asked, less the age that the answer had.
    pub(super) as_of: Instant,
    /// How long the service lets it be relied on.
    pub(super) fresh_for: Duration,
    /// Bytes of the answer that are about this person.
    pub(super) bytes: usize,
}

impl Said {
    /// Whether it counts at `now`, under the bound of the settings.
    pub(super) fn is_known(&self, now: Instant, max_staleness: Duration) -> bool {
        now.saturating_duration_since(self.as_of) <= self.fresh_for.min(max_staleness)
    }
}

#[derive(Default)]
struct Half {
    people: HashMap<DataSubject, Said>,
    bytes: usize,
}

/// The cache.
pub(super) struct Cache {
    /// Of one half.
    most_people: usize,
    most_bytes: usize,
    young: Half,
    old: Half,
}

impl Cache {
    pub(super) fn new(most_people: usize, most_bytes: usize) -> Self {
        let (young, old) = (Half::default(), Half::default());
        Self { most_people: most_people.div_ceil(2), most_bytes: most_bytes / 2, young, old }
    }

    pub(super) fn of(&self, person: &DataSubject) -> Option<&Said> {
        self.young.people.get(person).or_else(|| self.old.people.get(person))
    }

    pub(super) fn keep(&mut self, person: DataSubject, said: Said) {
        let is_full = self.young.people.len() >= self.most_people
            || self.young.bytes + said.bytes > self.most_bytes;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += said.bytes;
        if let Some(before) = self.young.people.insert(person, said) {
            self.young.bytes -= before.bytes;
        }
    }

    /// Forgets whoever is not known any more.
    pub(super) fn forget(&mut self, now: Instant, max_staleness: Duration) {
        for half in [&mut self.young, &mut self.old] {
            half.people.retain(|_, said| said.is_known(now, max_staleness));
            half.bytes = half.people.values().map(|said| said.bytes).sum();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.young.people.len() + self.old.people.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Personal;

    fn said(bytes: usize) -> Said {
        let (as_of, fresh_for) = (Instant::now(), Duration::from_mins(1));
        Said { consents: Arc::new([]), as_of, fresh_for, bytes }
    }

    fn person(number: usize) -> DataSubject {
        Personal::new(format!("u{number}").into())
    }

    #[test]
    fn the_cache_keeps_the_newest_and_no_more_than_it_may() {
        let mut cache = Cache::new(10, 1_000);
        for number in 0..100 {
            cache.keep(person(number), said(1));
            assert!(cache.len() <= 10, "{}", cache.len());
            for newest in number.saturating_sub(4)..=number {
                assert!(cache.of(&person(newest)).is_some(), "{newest} after {number}");
            }
        }
        let mut cache = Cache::new(1_000, 100);
        for number in 0..50 {
            cache.keep(person(number), said(20));
            assert!(cache.len() <= 5, "{}", cache.len());
            assert!(cache.of(&person(number)).is_some());
        }
        // The same person again takes no more room.
        let mut cache = Cache::new(10, 100);
        for _ in 0..50 {
            cache.keep(person(1), said(20));
        }
        assert_eq!(cache.of(&person(1)).map(|said| said.bytes), Some(20));
    }

    #[test]
    fn what_is_too_old_is_not_known_and_goes() {
        let mut cache = Cache::new(10, 1_000);
        let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
        let short = Said { fresh_for: second, ..said(1) };
        let (began, long) = (short.as_of, said(1));
        let later = began + Duration::from_secs(2);
        assert!(short.is_known(began + second, minute) && !short.is_known(later, minute));
        assert!(long.is_known(later, minute) && !long.is_known(later, second));
        cache.keep(person(1), short);
        cache.keep(person(2), long);
        cache.forget(later, minute);
        assert!(cache.of(&person(1)).is_none() && cache.of(&person(2)).is_some());
        assert_eq!(cache.young.bytes, 1);
    }
}
