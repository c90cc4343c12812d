//! Whether a backend is asked at all.
//!
//! A backend that fails whoever asks is left alone for a while: requests are refused at once instead
//! of waiting for what will not come, and the backend gets room to recover. Then one request is let
//! through to see; if that goes well, all are. Source: M. Nygard, Release It!, "Circuit Breaker".
//! Pure: what time it is comes in.

use std::time::{Duration, Instant};

use crate::config::BreakerConfig;
use crate::observe::BreakerState;

/// Over how long a share of failures is counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Parts that the window is counted in.
const PARTS: usize = 10;

/// The breaker of one backend.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerConfig,
    state: State,
    /// Failures since the last answer.
    in_a_row: u32,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One request is under way to see.
    Probing,
}

/// How a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Like all others.
    Usual,
    /// To see whether the backend is back.
    Probe,
}

impl Breaker {
    pub(super) fn new(rules: BreakerConfig, now: Instant) -> Self {
        Self { rules, state: State::Closed, in_a_row: 0, counts: Counts::new(now) }
    }

    /// Whether a request may go; if not, for how long not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Passage, Duration> {
        match self.state {
            State::Closed => Ok(Passage::Usual),
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Ok(Passage::Probe)
            }
            State::Open { until } => Err(until - now),
            State::Probing => Err(self.rules.open),
        }
    }

    /// A request got an answer.
    pub(super) fn succeeded(&mut self, passage: Passage, now: Instant) {
        self.in_a_row = 0;
        match passage {
            Passage::Probe => {
                self.state = State::Closed;
                self.counts = Counts::new(now);
            }
            Passage::Usual => self.counts.add(now, false),
        }
    }

    /// A request failed, after whatever was tried again.
    pub(super) fn failed(&mut self, passage: Passage, now: Instant) {
        let until = now + self.rules.open;
        if passage == Passage::Probe {
            self.state = State::Open { until };
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.counts.add(now, true);
        let (failed, all) = self.counts.sums();
        let share = u64::from(failed) * 100 >= u64::from(self.rules.percent) * u64::from(all);
        let is_too_many = all >= self.rules.requests && share;
        // What was let through before it opened does not open it anew.
        if self.state == State::Closed && (self.in_a_row >= self.rules.failures || is_too_many) {
            self.state = State::Open { until };
        }
    }

    /// A request ended without telling anything: its client left, or it was refused a turn.
    pub(super) fn came_to_nothing(&mut self, passage: Passage, now: Instant) {
        if passage == Passage::Probe && self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// For metrics and `/status`.
    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing => BreakerState::HalfOpen,
        }
    }
}

/// Failures and requests of the last ten seconds.
#[derive(Debug)]
struct Counts {
    parts: [(u32, u32); PARTS],
    /// Which one is being counted in, and since when.
    at: usize,
    since: Instant,
}

impl Counts {
    fn new(now: Instant) -> Self {
        Self { parts: [(0, 0); PARTS], at: 0, since: now }
    }

    fn add(&mut self, now: Instant, failed: bool) {
        let part = WINDOW / 10;
        // Beyond a whole window everything is forgotten, however long ago it was.
        for _ in 0..PARTS {
            if now < self.since + part {
                break;
            }
            self.at = (self.at + 1) % PARTS;
            self.parts[self.at] = (0, 0);
            self.since += part;
        }
        if now >= self.since + part {
            self.since = now;
        }
        let (failures, all) = &mut self.parts[self.at];
        *failures = failures.saturating_add(failed.into());
        *all = all.saturating_add(1);
    }

    fn sums(&self) -> (u32, u32) {
        self.parts.iter().fold((0, 0), |(failed, all), (more_failed, more)| {
            (failed.saturating_add(*more_failed), all.saturating_add(*more))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerConfig =
        BreakerConfig { failures: 3, percent: 50, requests: 10, open: Duration::from_secs(2) };

    #[test]
    fn failures_in_a_row_open_it_and_one_that_goes_well_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::new(RULES, start);
        for failed in [true, true, false, true, true] {
            let passage = breaker.admit(start).expect("closed");
            if failed { breaker.failed(passage, start) } else { breaker.succeeded(passage, start) }
        }
        let passage = breaker.admit(start).expect("never three in a row");
        breaker.failed(passage, start);
        assert_eq!(breaker.admit(start), Err(Duration::from_secs(2)));
        let later = start + Duration::from_millis(500);
        assert_eq!(breaker.admit(later), Err(Duration::from_millis(1500)));

        let then = start + Duration::from_secs(2);
        assert_eq!(breaker.admit(then), Ok(Passage::Probe));
        assert_eq!(breaker.admit(then), Err(RULES.open), "one at a time");
        breaker.failed(Passage::Probe, then);
        assert_eq!(breaker.state(), BreakerState::Open);
        let then = then + Duration::from_secs(2);
        assert_eq!(breaker.admit(then), Ok(Passage::Probe));
        breaker.succeeded(Passage::Probe, then);
        assert_eq!(breaker.admit(then), Ok(Passage::Usual));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_whose_client_leaves_lets_the_next_one_through() {
        let start = Instant::now();
        let mut breaker = Breaker::new(BreakerConfig { failures: 1, ..RULES }, start);
        breaker.failed(Passage::Usual, start);
        let then = start + RULES.open;
        assert_eq!(breaker.admit(then), Ok(Passage::Probe));
        breaker.came_to_nothing(Passage::Probe, then);
        assert_eq!(breaker.admit(then), Ok(Passage::Probe));
    }

    #[test]
    fn a_share_of_failures_opens_it_once_there_are_enough_requests() {
        let start = Instant::now();
        let mut breaker = Breaker::new(BreakerConfig { failures: 99, ..RULES }, start);
        for round in 0..4 {
            breaker.failed(Passage::Usual, start);
            breaker.succeeded(Passage::Usual, start);
            assert_eq!(breaker.state(), BreakerState::Closed, "{round}");
        }
        breaker.succeeded(Passage::Usual, start);
        breaker.failed(Passage::Usual, start);
        assert_eq!(breaker.state(), BreakerState::Open, "five of ten");
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let start = Instant::now();
        for pause in [11, 3600] {
            let mut breaker = Breaker::new(BreakerConfig { failures: 99, ..RULES }, start);
            for _ in 0..9 {
                breaker.failed(Passage::Usual, start);
            }
            let later = start + Duration::from_secs(pause);
            breaker.failed(Passage::Usual, later);
            assert_eq!(breaker.state(), BreakerState::Closed, "{pause}");
            assert_eq!(breaker.counts.sums(), (1, 1), "{pause}");
        }
        // Within the window it does, from one part to the next.
        let mut breaker = Breaker::new(BreakerConfig { failures: 99, ..RULES }, start);
        for second in 0..10 {
            breaker.failed(Passage::Usual, start + Duration::from_secs(second));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}
