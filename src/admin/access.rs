//! Who calls: by a client certificate, a bearer token, or both.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq as _;

use super::cursor::Cursors;
use crate::config::AdminConfig;
use crate::identity::SubjectAlternativeNames;
use crate::terms::{AdminCaller, AdminRole, CertificateName, Digest};

/// Longest token that is looked at.
const TOKEN_BYTES: usize = 1024;

/// The callers of the configuration, and the pace of each.
pub struct Access {
    admin: AdminConfig,
    /// Names by which the API may be addressed, besides addresses and `localhost`.
    pub(super) hosts: Vec<String>,
    paces: Mutex<HashMap<String, Pace>>,
    /// Where lists go on; `None`: there were no random bytes, and no list has a second page.
    pub(super) cursors: Option<Arc<Cursors>>,
}

/// Calls that a caller has left, as of a moment.
struct Pace {
    left: f64,
    as_of: Instant,
}

impl Access {
    /// The callers that the configuration names, and the names of this host.
    #[must_use]
    pub fn new(admin: AdminConfig, hosts: Vec<String>) -> Self {
        let (paces, cursors) = (Mutex::default(), Cursors::new().ok().map(Arc::new));
        Self { admin, hosts, paces, cursors }
    }

    /// The same under other settings, with what each caller has left of the minute; `None`: there is no
    /// difference.
    #[must_use]
    pub fn following(&self, admin: &AdminConfig, hosts: Vec<String>) -> Option<Self> {
        if self.admin == *admin && self.hosts == hosts {
            return None;
        }
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let paces = Mutex::new(std::mem::take(&mut *paces));
        // The lists that are being read are of the callers and not of the settings.
        Some(Self { admin: admin.clone(), hosts, paces, cursors: self.cursors.clone() })
    }

    /// Everybody who may call, by name.
    pub(super) fn callers(&self) -> impl Iterator<Item = (&String, &AdminCaller)> {
        self.admin.callers.iter()
    }

    /// The one caller that these credentials are of, with its roles. A token that is nobody's is
    /// never passed over for a certificate, and credentials of two callers are nobody's.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        certificate: Option<&SubjectAlternativeNames>,
    ) -> Option<(&str, &BTreeSet<AdminRole>)> {
        let mut named = Vec::new();
        if headers.contains_key(AUTHORIZATION) {
            let (name, _) = self.by_token(headers)?;
            named.push(name);
        }
        let certified = certificate.map(|names| self.by_certificate(names)).unwrap_or_default();
        named.extend(certified.iter().copied());
        let name = *named.first()?;
        if named.iter().any(|other| *other != name) {
            return None;
        }
        let caller = self.admin.callers.get(name)?;
        let has_shown = (caller.token.is_none() || headers.contains_key(AUTHORIZATION))
            && (caller.certificate.is_none() || certified.contains(&name));
        has_shown.then_some((name, &caller.roles))
    }

    /// Every token of the configuration is compared, in constant time.
    fn by_token(&self, headers: &HeaderMap) -> Option<(&str, &AdminCaller)> {
        let mut stated = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (stated.next(), stated.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > TOKEN_BYTES {
            return None;
        }
        let digest = Digest::of(token.as_bytes());
        let mut found = None;
        for (name, caller) in &self.admin.callers {
            let Some(known) = &caller.token else { continue };
            if bool::from(digest.as_bytes().ct_eq(known.as_bytes())) {
                found = Some((name.as_str(), caller));
            }
        }
        found
    }

    /// Everybody whom a name of the certificate stands for; more than one is for the caller to refuse.
    fn by_certificate(&self, names: &SubjectAlternativeNames) -> Vec<&str> {
        let is_in = |name: &CertificateName| match name {
            CertificateName::Dns(dns) => names.dns.contains(dns),
            CertificateName::Uri(uri) => names.uris.contains(uri),
        };
        let callers = self.admin.callers.iter();
        callers
            .filter(|(_, caller)| caller.certificate.as_ref().is_some_and(is_in))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Takes one call of this caller's share of the minute.
    ///
    /// # Errors
    /// There is none left; how long to wait for one.
    pub(super) fn take_turn(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let most = f64::from(self.admin.calls_per_minute);
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        // Only names of the configuration get here, so that the map is no longer than that.
        let pace =
            paces.entry(caller.to_owned()).or_insert_with(|| Pace { left: most, as_of: now });
        let passed = now.saturating_duration_since(pace.as_of).as_secs_f64();
        pace.left = (pace.left + passed * most / 60.0).min(most);
        pace.as_of = pace.as_of.max(now);
        if pace.left >= 1.0 {
            pace.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - pace.left) * 60.0 / most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: &str = "desk-token";
    const BOTH: &str = "token-of-both";

    fn access(calls_per_minute: u32) -> Access {
        let caller = |token: Option<&str>, certificate: Option<&str>| AdminCaller {
            roles: [AdminRole::ConsentDesk].into(),
            token: token.map(|token| Digest::of(token.as_bytes())),
            certificate: certificate.and_then(CertificateName::parse),
        };
        let callers = [
            ("app", caller(None, Some("dns:app.example.invalid"))),
            ("both", caller(Some(BOTH), Some("spiffe://shop/both"))),
            ("desk", caller(Some(DESK), None)),
        ];
        let callers = callers.map(|(name, caller)| (name.to_owned(), caller)).into();
        let config = AdminConfig { callers, calls_per_minute, ..AdminConfig::default() };
        Access::new(config, Vec::new())
    }

    fn names(dns: &[&str], uris: &[&str]) -> SubjectAlternativeNames {
        let owned = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect();
        SubjectAlternativeNames { dns: owned(dns), uris: owned(uris) }
    }

    #[test]
    fn a_caller_shows_all_it_is_known_by_and_nothing_of_somebody_else() {
        let access = access(1);
        let app = names(&["app.example.invalid"], &[]);
        let both = names(&[], &["spiffe://shop/both"]);
        let two = names(&["app.example.invalid"], &["spiffe://shop/both"]);
        let stranger = names(&["stranger.example.invalid"], &[]);
        let cases: [(Option<&str>, Option<&SubjectAlternativeNames>, Option<&str>); 14] = [
            (None, None, None),
            (None, Some(&app), Some("app")),
            (None, Some(&both), None),
            (Some(BOTH), None, None),
            (Some(BOTH), Some(&both), Some("both")),
            (Some(BOTH), Some(&app), None),
            (Some(BOTH), Some(&stranger), None),
            (Some(DESK), None, Some("desk")),
            (Some(DESK), Some(&stranger), Some("desk")),
            (Some(DESK), Some(&app), None),
            (Some("wrong"), Some(&app), None),
            (Some(""), Some(&app), None),
            (None, Some(&two), None),
            (Some(BOTH), Some(&two), None),
        ];
        for (token, certificate, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(token) = token {
                let value = format!("Bearer {token}").parse().expect("a header");
                headers.insert(AUTHORIZATION, value);
            }
            let found = access.caller(&headers, certificate).map(|(name, _)| name);
            assert_eq!(found, expected, "{token:?} {certificate:?}");
        }
    }

    #[test]
    fn each_caller_has_its_own_share_of_a_minute() {
        let access = access(2);
        let start = Instant::now();
        let turn = |caller, after| access.take_turn(caller, start + Duration::from_secs(after));
        assert_eq!((turn("desk", 0), turn("desk", 0)), (Ok(()), Ok(())));
        let wait = turn("desk", 0).expect_err("two a minute");
        assert_eq!(wait.as_secs(), 30);
        assert_eq!(turn("app", 0), Ok(()), "another's share is not touched");
        assert_eq!(turn("desk", 30), Ok(()));
        assert!(turn("desk", 30).is_err());
        // A long silence saves up no more than a minute's share.
        let after = |seconds| (0..5).filter(|_| turn("desk", seconds).is_ok()).count();
        assert_eq!(after(100_000), 2);
    }
}
