//! How long "no such thing" takes.
//!
//! A person who is refused before the backend is asked would be told sooner than a backend says that
//! it knows nobody, and the difference would tell that there is somebody. So such a refusal waits as
//! long as one of the last answers of that kind took on the same route, drawn by lot; and every
//! concealed answer leaves at a whole multiple of `limits.concealed_after`, so that neither the lot nor
//! the clock of a timer shows. What is kept is durations: nothing about requests or people.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::terms::RouteId;

/// Answers remembered for each route: enough for a distribution, few enough to follow a backend that
/// becomes slower.
const REMEMBERED: usize = 128;

/// The last times in which backends said that there is no such thing.
#[derive(Default)]
pub(super) struct Waits {
    by_route: Mutex<HashMap<RouteId, Recent>>,
}

#[derive(Default)]
struct Recent {
    took: Vec<Duration>,
    /// Where the next one goes once all places are taken.
    next: usize,
}

/// Whether the backend was asked before the refusal was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was, and has nothing of the kind.
    KnowsNobody,
    /// It was, and a person's statements stand against its answer.
    Answered,
    /// It was not.
    Not,
}

impl Waits {
    /// How long after the request a concealed answer leaves, `elapsed` after it came. `lot` draws one
    /// of so many; `None` where there is no randomness, and the longest is taken.
    pub(super) fn until(
        &self,
        route: Option<&RouteId>,
        asked: Asked,
        elapsed: Duration,
        multiple_of: Duration,
        lot: impl FnOnce(usize) -> Option<usize>,
    ) -> Duration {
        let least = route.map_or(elapsed, |route| self.least(route, asked, elapsed, lot));
        up_to_a_multiple(least, multiple_of)
    }

    fn least(
        &self,
        route: &RouteId,
        asked: Asked,
        elapsed: Duration,
        lot: impl FnOnce(usize) -> Option<usize>,
    ) -> Duration {
        // A thread that panicked here has left nothing half done that matters.
        let mut by_route = self.by_route.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match asked {
            Asked::Answered => elapsed,
            Asked::KnowsNobody => {
                by_route.entry(route.clone()).or_default().add(elapsed);
                elapsed
            }
            Asked::Not => by_route
                .get(route)
                .and_then(|recent| recent.draw(lot))
                .map_or(elapsed, |drawn| drawn.max(elapsed)),
        }
    }
}

impl Recent {
    fn add(&mut self, took: Duration) {
        if self.took.len() < REMEMBERED {
            self.took.push(took);
        } else {
            self.took[self.next] = took;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    fn draw(&self, lot: impl FnOnce(usize) -> Option<usize>) -> Option<Duration> {
        match lot(self.took.len()) {
            Some(at) => self.took.get(at).copied(),
            None => self.took.iter().max().copied(),
        }
    }
}

/// The next whole multiple of `step`, at least one; `least` itself where there is no step.
fn up_to_a_multiple(least: Duration, step: Duration) -> Duration {
    let Some(times) = least.as_nanos().checked_div(step.as_nanos()) else { return least };
    let whole = u32::try_from(times + 1).ok().and_then(|times| step.checked_mul(times));
    whole.unwrap_or(least)
}

/// One of so many, drawn by lot.
pub(super) fn lot(among: usize) -> Option<usize> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()?.checked_rem(among)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(50);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_refusal_waits_as_long_as_a_backend_that_knows_nobody() {
        let waits = Waits::default();
        let route = RouteId::from("GET /people/{id}");
        let other = RouteId::from("GET /orders/{id}");
        let until =
            |route, asked, elapsed| waits.until(Some(route), asked, ms(elapsed), STEP, |_| Some(0));
        assert_eq!(until(&route, Asked::Not, 1), ms(50), "nothing is known yet");
        assert_eq!(until(&route, Asked::KnowsNobody, 120), ms(150));
        assert_eq!(until(&route, Asked::Not, 1), ms(150));
        assert_eq!(until(&route, Asked::Not, 160), ms(200), "it has taken longer by itself");
        assert_eq!(until(&route, Asked::Answered, 1), ms(50), "its own time is a backend's");
        assert_eq!(until(&other, Asked::Not, 1), ms(50), "another route, another backend");
    }

    #[test]
    fn the_lot_draws_among_the_last_ones() {
        let waits = Waits::default();
        let route = RouteId::from("GET /people/{id}");
        for took in 0..=REMEMBERED as u64 {
            waits.until(Some(&route), Asked::KnowsNobody, ms(took), ms(1), |_| Some(0));
        }
        let draw = |lot: fn(usize) -> Option<usize>| {
            waits.until(Some(&route), Asked::Not, ms(0), ms(1), lot)
        };
        let last = REMEMBERED as u64;
        assert_eq!(draw(|_| Some(0)), ms(last + 1), "the first one has gone");
        assert_eq!(draw(|all| Some(all - 1)), ms(last));
        assert_eq!(draw(|_| None), ms(last + 1), "without randomness the longest");
    }

    #[test]
    fn whole_multiples_are_never_too_soon() {
        for (least, step, expected) in
            [(0, 50, 50), (49, 50, 50), (50, 50, 100), (51, 50, 100), (7, 0, 7)]
        {
            assert_eq!(up_to_a_multiple(ms(least), ms(step)), ms(expected), "{least} by {step}");
        }
    }
}
