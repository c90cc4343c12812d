//! How one address of a backend stands: what health checks say of it, and what requests met there.
//! Pure: what time it is comes in.

use std::time::{Duration, Instant};

use crate::config::{EjectionConfig, HealthConfig};

/// How an address stands.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Health checks say no.
    is_sick: bool,
    /// Checks in a row that say other than before.
    contrary: u32,
    /// Requests in a row that failed.
    failures: u32,
    ejection: Option<Ejection>,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    until: Instant,
    length: Duration,
    /// How often in a row, without a good while between.
    times: u32,
}

impl Standing {
    /// Whether requests go there.
    pub(super) fn is_in_service(&self, now: Instant) -> bool {
        self.why_out(now).is_none()
    }

    /// Why requests do not go there: `sick` or `ejected`.
    pub(super) fn why_out(&self, now: Instant) -> Option<&'static str> {
        if self.is_sick { Some("sick") } else { self.is_ejected(now).then_some("ejected") }
    }

    /// Whether it is left out after failures.
    fn is_ejected(&self, now: Instant) -> bool {
        self.ejection.is_some_and(|ejection| now < ejection.until)
    }

    /// What a health check came to. `Some`: from now on it is well, or sick.
    pub(super) fn checked(&mut self, is_good: bool, rules: &HealthConfig) -> Option<bool> {
        if is_good != self.is_sick {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let enough = if is_good { rules.healthy } else { rules.unhealthy };
        if self.contrary < enough {
            return None;
        }
        (self.contrary, self.is_sick) = (0, !is_good);
        Some(is_good)
    }

    /// A request got its answer there.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        // As long again as it was out, it has done well: the next time begins anew.
        if self.ejection.is_some_and(|ejection| now >= ejection.until + ejection.length) {
            self.ejection = None;
        }
    }

    /// A request failed there. Whether it should be left out, if others are there to take its place.
    pub(super) fn failed(&mut self, rules: &EjectionConfig, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= rules.failures && !self.is_ejected(now)
    }

    /// Leaves it out, each time for longer. For how long.
    pub(super) fn eject(&mut self, rules: &EjectionConfig, now: Instant) -> Duration {
        let times = self.ejection.map_or(0, |before| before.times).saturating_add(1);
        let length = rules.length.saturating_mul(times).min(rules.longest);
        self.failures = 0;
        self.ejection = Some(Ejection { until: now + length, length, times });
        length
    }
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    const RULES: EjectionConfig = EjectionConfig {
        failures: 2,
        length: Duration::from_secs(10),
        longest: Duration::from_secs(25),
    };

    #[test]
    fn only_failures_in_a_row_lead_out() {
        let now = Instant::now();
        let mut standing = Standing::default();
        assert!(!standing.failed(&RULES, now));
        standing.succeeded(now);
        assert!(!standing.failed(&RULES, now));
        assert!(standing.failed(&RULES, now));
        assert!(standing.is_in_service(now), "others have to be there first");
    }

    #[test]
    fn each_time_is_longer_and_a_good_while_forgives() {
        let mut now = Instant::now();
        let mut standing = Standing::default();
        for seconds in [10, 20, 25, 25] {
            let length = standing.eject(&RULES, now);
            assert_eq!(length, Duration::from_secs(seconds));
            assert!(!standing.is_in_service(now + length.mul_f32(0.99)));
            now += length;
            assert!(standing.is_in_service(now));
            // Well, but not for long.
            standing.succeeded(now);
        }
        now += Duration::from_secs(25);
        standing.succeeded(now);
        assert_eq!(standing.eject(&RULES, now), RULES.length);
    }

    #[test]
    fn checks_count_in_a_row_both_ways() {
        let rules = HealthConfig {
            path: PathAndQuery::from_static("/healthz"),
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
        };
        let now = Instant::now();
        let mut standing = Standing::default();
        let mut changes = Vec::new();
        let checks =
            [false, false, true, false, false, false, false, true, false, true, true, true];
        for (at, is_good) in checks.into_iter().enumerate() {
            changes.extend(standing.checked(is_good, &rules).map(|is_well| (at, is_well)));
        }
        assert_eq!(changes, [(5, false), (10, true)]);
        assert!(standing.is_in_service(now));
    }
}
