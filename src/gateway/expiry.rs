//! What handshakes rest on and ends with its day: certificates, lists of revoked ones, stapled answers. It
//! is said before, so that somebody renews it, and when it is over, so that somebody knows what is refused.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::state::Gateway;
use super::tls::Tls;
use crate::admin::Material;
use crate::observe::{Event, Metrics};

/// It is said when a fifth of its time is left, and never earlier than this.
const EARLIEST: i64 = 14 * 24 * 3600;

/// Something that ends.
struct Ending<'a> {
    what: &'static str,
    file: &'a Path,
    /// From when to when it counts, in seconds since 1970; or why it does not count at all.
    window: Result<(i64, i64), &'static str>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Soon,
    Over,
    Useless(&'static str),
}

impl Ending<'_> {
    fn at(&self, now: i64) -> Standing {
        match self.window {
            Err(why) => Standing::Useless(why),
            Ok((_, until)) if until <= now => Standing::Over,
            Ok((from, until)) => {
                let notice = (until.saturating_sub(from) / 5).min(EARLIEST);
                if until.saturating_sub(now) <= notice { Standing::Soon } else { Standing::Good }
            }
        }
    }

    fn until(&self) -> Option<Timestamp> {
        self.window.ok().and_then(|(_, until)| Timestamp::from_second(until).ok())
    }
}

/// All that handshakes rest on.
fn endings(tls: &Tls) -> Vec<Ending<'_>> {
    let mut all = Vec::new();
    for served in &tls.served.0 {
        let (file, window) = (served.file.as_path(), Ok(served.window));
        all.push(Ending { what: "certificate", file, window });
        if let Some(staple) = &served.staple {
            let window = staple.answer.as_ref().map(|answer| (answer.from, answer.until));
            all.push(Ending {
                what: "ocsp",
                file: &staple.file,
                window: window.map_err(|why| *why),
            });
        }
    }
    if let Some(file) = &tls.awaited {
        all.push(Ending { what: "certificate", file, window: Err("there is none yet") });
    }
    for side in [&tls.public, &tls.admin] {
        for list in side.vouching.crls().iter() {
            all.push(Ending { what: "crl", file: &list.file, window: Ok((list.from, list.until)) });
        }
    }
    all
}

/// What of it needs somebody.
pub(super) fn concern(tls: &Tls, now: Timestamp) -> Material {
    let mut words: Vec<String> = Vec::new();
    for ending in endings(tls) {
        let (what, file) = (ending.what, ending.file.display());
        let until = ending.until().map(|until| until.to_string()).unwrap_or_default();
        words.extend(match ending.at(now.as_second()) {
            Standing::Good => None,
            Standing::Soon => Some(format!("{what} {file} ends at {until}")),
            Standing::Over => Some(format!("{what} {file} is over since {until}")),
            Standing::Useless(why) => Some(format!("{what} {file} is not used: {why}")),
        });
    }
    let words = (!words.is_empty()).then(|| words.join("; "));
    Material { words, serves: !tls.served.0.is_empty() }
}

/// Looks once a second, and tells what changed.
pub(super) async fn keep_watching(in_force: Arc<ArcSwap<Gateway>>, metrics: Arc<Metrics>) {
    let mut watch = Watch::default();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let tls = Arc::clone(&in_force.load().tls);
        watch.look(&tls, Timestamp::now().as_second(), &metrics);
    }
}

/// What was told.
#[derive(Default)]
struct Watch(HashMap<(&'static str, PathBuf), Standing>);

impl Watch {
    fn look(&mut self, tls: &Tls, now: i64, metrics: &Metrics) {
        let all = endings(tls);
        let is_there = |(what, file): &(&str, PathBuf)| {
            all.iter().any(|ending| (ending.what, ending.file) == (*what, file.as_path()))
        };
        if !self.0.keys().all(is_there) {
            metrics.forget_endings();
        }
        let mut told = HashMap::new();
        for ending in all {
            let standing = ending.at(now);
            let file = ending.file.display().to_string();
            let counts = matches!(standing, Standing::Good | Standing::Soon);
            metrics.ending((ending.what, &file), counts, ending.until());
            let place = (ending.what, ending.file.to_owned());
            let before = self.0.get(&place).copied().unwrap_or(Standing::Good);
            if before != standing {
                let (state, why) = match standing {
                    Standing::Good => ("good", None),
                    Standing::Soon => ("soon", None),
                    Standing::Over => ("over", None),
                    Standing::Useless(why) => ("useless", Some(why)),
                };
                let (what, until) = (ending.what, ending.until());
                Event::Ending { what, file: &file, state, until, why }.emit(metrics);
            }
            told.insert(place, standing);
        }
        self.0 = told;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_a_fifth_of_the_time_is_left_and_at_most_two_weeks_before() {
        const DAY: i64 = 24 * 3600;
        let of = |window| Ending { what: "crl", file: Path::new("a.crl"), window };
        let week = of(Ok((0, 7 * DAY)));
        assert_eq!(week.at(5 * DAY), Standing::Good);
        assert_eq!(week.at(6 * DAY), Standing::Soon);
        assert_eq!(week.at(7 * DAY), Standing::Over);
        let year = of(Ok((0, 365 * DAY)));
        assert_eq!(year.at(350 * DAY), Standing::Good);
        assert_eq!(year.at(351 * DAY), Standing::Soon);
        assert_eq!(
            of(Err("about another certificate")).at(0),
            Standing::Useless("about another certificate")
        );
    }
}
