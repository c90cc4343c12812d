//! Log fields made from a visitor or a device, so that neither can be joined to a person.
//!
//! A pseudonym in the log is keyed with a salt of the day that is random, derived from nothing, held
//! in memory only and forgotten when its day is over: from then on nobody can tell whose it was, not
//! even who has all keys of the gateway. After a restart a visitor counts anew. What a device says of
//! itself is the client's own text, so only what is on a list of ours or of the rules is written.
//! Source: docs/OPERATIONS.md, "Access log".

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::action::pseudonym::base32;
use crate::policy::model::{AccessLogRules, LogSource};

/// How long the salt of yesterday is kept for requests that began before midnight.
const ROLLOVER: SignedDuration = SignedDuration::from_mins(10);

/// Bytes of the MAC that are written: enough to tell visitors of one day apart.
const PSEUDONYM_BYTES: usize = 10;

/// Systems that may stand in a line, as devices name them.
const SYSTEMS: [&str; 8] =
    ["Android", "iOS", "iPadOS", "macOS", "Windows", "Linux", "ChromeOS", "HarmonyOS"];

/// Most digits of a major version; more are no version.
const MAJOR_DIGITS: usize = 3;

/// What nothing is known of.
const NOTHING: &str = "-";

/// What is on no list.
const OTHER: &str = "other";

/// The key of one day's pseudonyms. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Salt(Zeroizing<[u8; 32]>);

impl Salt {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn pseudonym(&self, field: &str, parts: &[&str]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return NOTHING.to_owned();
        };
        for part in std::iter::once(&field).chain(parts) {
            // With its length, so that no two lists of parts are one text.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let mut digits = Vec::with_capacity(16);
        base32::encode(&mac.finalize().into_bytes()[..PSEUDONYM_BYTES], &mut digits);
        String::from_utf8(digits).unwrap_or_default()
    }
}

/// The salts of today and, for a few minutes, of yesterday.
#[derive(Default)]
pub(super) struct Salts(Mutex<Vec<(Date, Salt)>>);

impl Salts {
    /// The salt for a request that came `at`. `None`: its day is over, or there is no randomness.
    pub(super) fn of(&self, at: Timestamp, now: Timestamp) -> Option<Salt> {
        self.forget(now);
        let day = day(at);
        let mut salts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, salt)) = salts.iter().find(|(of, _)| *of == day) {
            return Some(salt.clone());
        }
        if day != self::day(now) {
            return None;
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        let salt = Salt::new(bytes);
        salts.push((day, salt.clone()));
        Some(salt)
    }

    /// Forgets the salts of days that are over.
    pub(super) fn forget(&self, now: Timestamp) {
        let kept = [day(now), day(now - ROLLOVER)];
        let mut salts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        salts.retain(|(of, _)| kept.contains(of));
    }
}

fn day(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::UTC).date()
}

/// What a request says of where it comes from.
pub(super) struct Origin<'a> {
    /// The authority that was asked: two sites do not share their visitors.
    pub(super) site: &'a str,
    pub(super) client: IpAddr,
    pub(super) user_agent: Option<&'a str>,
    /// Headers that the rules name.
    pub(super) headers: &'a [(String, String)],
}

impl Origin<'_> {
    /// `visitor` or `device`: who it is today.
    pub(super) fn pseudonym(
        &self,
        field: &str,
        sources: &[LogSource],
        salt: Option<&Salt>,
    ) -> String {
        let address = self.client.to_canonical().to_string();
        let mut parts = vec![self.site];
        for source in sources {
            match source {
                LogSource::Ip => parts.push(&address),
                LogSource::UserAgent => parts.push(self.user_agent.unwrap_or_default()),
                LogSource::Header(name) => match self.header(name) {
                    Some(value) => parts.push(value),
                    // Devices that say nothing are not one device.
                    None => return NOTHING.to_owned(),
                },
            }
        }
        match salt {
            Some(salt) if !sources.is_empty() => salt.pseudonym(field, &parts),
            Some(_) | None => NOTHING.to_owned(),
        }
    }

    /// The model, if the rules know it.
    pub(super) fn device_model<'r>(&self, rules: &'r AccessLogRules) -> &'r str {
        let Some((source, known)) = &rules.device_model else { return NOTHING };
        match self.text(source) {
            None => NOTHING,
            Some(model) => known.get(model).map_or(OTHER, String::as_str),
        }
    }

    /// The system's family, where it says one, and its major version.
    pub(super) fn os(&self, rules: &AccessLogRules) -> String {
        let Some(text) = rules.os.as_ref().and_then(|source| self.text(source)) else {
            return NOTHING.to_owned();
        };
        let (family, version) = match text.split_once(' ') {
            Some((family, version)) => (SYSTEMS.iter().find(|known| **known == family), version),
            None => (None, text),
        };
        let major = version.split('.').next().unwrap_or_default();
        let is_major =
            (1..=MAJOR_DIGITS).contains(&major.len()) && major.bytes().all(|b| b.is_ascii_digit());
        match family {
            Some(family) if is_major => format!("{family} {major}"),
            None if is_major && !text.contains(' ') => major.to_owned(),
            Some(_) | None => OTHER.to_owned(),
        }
    }

    /// How full the battery is, in per cent, rounded down to a step.
    pub(super) fn battery(&self, rules: &AccessLogRules) -> Option<u8> {
        let (source, step) = rules.battery.as_ref()?;
        let percent: u8 = self.text(source)?.parse().ok().filter(|percent| *percent <= 100)?;
        Some(percent - percent % (*step).max(1))
    }

    fn text(&self, source: &LogSource) -> Option<&str> {
        match source {
            LogSource::Header(name) => self.header(name),
            LogSource::UserAgent => self.user_agent,
            LogSource::Ip => None,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 77));

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn origin(headers: &[(String, String)]) -> Origin<'_> {
        Origin { site: "api.example", client: ADDRESS, user_agent: Some("A/1"), headers }
    }

    fn header(name: &str) -> LogSource {
        LogSource::Header(name.to_owned())
    }

    #[test]
    fn a_visitor_is_the_same_within_a_day_and_nobody_on_the_next() {
        let salts = Salts::default();
        let both = [LogSource::Ip, LogSource::UserAgent];
        let of = |time: &str, now: &str| {
            let salt = salts.of(at(time), at(now));
            origin(&[]).pseudonym("visitor", &both, salt.as_ref())
        };
        let first = of("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z");
        assert_eq!(first.len(), 16);
        assert_eq!(of("2026-06-01T23:59:59Z", "2026-06-01T23:59:59Z"), first);
        // A request that began before midnight ends after it.
        assert_eq!(of("2026-06-01T23:59:59Z", "2026-06-02T00:09:00Z"), first);
        assert_ne!(of("2026-06-02T00:09:00Z", "2026-06-02T00:09:00Z"), first);
        assert_eq!(of("2026-06-01T23:59:59Z", "2026-06-02T00:11:00Z"), NOTHING);
        assert_ne!(of("2026-06-02T00:12:00Z", "2026-06-02T00:12:00Z"), NOTHING);
    }

    #[test]
    fn what_it_is_made_from_and_for_makes_another_one() {
        let salt = Salt::new([7; 32]);
        let asked = |field: &str, sources: &[LogSource], of: &Origin<'_>| {
            of.pseudonym(field, sources, Some(&salt))
        };
        let headers = [("x-device-id".to_owned(), "D-1".to_owned())];
        let here = origin(&headers);
        let both = [LogSource::Ip, LogSource::UserAgent];
        let all = [
            asked("visitor", &both, &here),
            asked("device", &both, &here),
            asked("visitor", &both[..1], &here),
            asked("visitor", &both[1..], &here),
            asked("device", &[header("x-device-id")], &here),
            asked("visitor", &both, &Origin { site: "other.example", ..origin(&[]) }),
            asked("visitor", &both, &Origin { user_agent: None, ..origin(&[]) }),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert_eq!(asked("device", &[header("x-other")], &here), NOTHING);
        assert_eq!(asked("device", &[], &here), NOTHING);
        assert_eq!(here.pseudonym("visitor", &both, None), NOTHING);
    }

    #[test]
    fn of_what_a_device_says_only_what_is_on_a_list_is_written() {
        let rules = AccessLogRules {
            device_model: Some((header("m"), ["WL-1".to_owned()].into())),
            os: Some(header("o")),
            battery: Some((header("b"), 10)),
            ..AccessLogRules::default()
        };
        let said = |model: &str, os: &str, battery: &str| {
            let headers = [("m", model), ("o", os), ("b", battery)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let here = origin(&headers);
            (here.device_model(&rules).to_owned(), here.os(&rules), here.battery(&rules))
        };
        let expect = |model: &str, os: &str, battery| (model.to_owned(), os.to_owned(), battery);
        assert_eq!(said("WL-1", "Android 14.2.1", "83"), expect("WL-1", "Android 14", Some(80)));
        assert_eq!(said("wl-1", "5.3", "100"), expect("other", "5", Some(100)));
        assert_eq!(said("Testina's phone", "TestinaOS 3", "101"), expect("other", "other", None));
        assert_eq!(said("", "Android 1984", "eighty"), expect("other", "other", None));
        assert_eq!(said("WL-1 ", "Android Testina", "-1"), expect("other", "other", None));
        let silent = origin(&[]);
        assert_eq!(silent.device_model(&rules), NOTHING);
        assert_eq!((silent.os(&rules).as_str(), silent.battery(&rules)), (NOTHING, None));
    }
}
