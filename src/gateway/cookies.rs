//! Cookies in both directions, by the class that the rules give them. An essential one passes; one
//! that needs consent passes for a person who is signed in and agreed; every other one is stripped,
//! on its way in as on its way out. The gateway sets none of its own.
//! Source: RFC 6265 §4.

use std::collections::BTreeSet;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::decide::{Caller, agreed_cookies};
use crate::policy::Policy;
use crate::policy::model::Cookie;
use crate::registers::Registers;
use crate::terms::PurposeId;

/// The cookies that may pass in one exchange.
pub(super) struct Cookies<'a> {
    policy: &'a Policy,
    agreed: BTreeSet<PurposeId>,
}

impl<'a> Cookies<'a> {
    /// What passes for this caller, as of `now`. `gpc`: the request objects by `Sec-GPC: 1`.
    pub(super) fn of(
        policy: &'a Policy,
        caller: &Caller,
        registers: &dyn Registers,
        gpc: bool,
        now: Timestamp,
    ) -> Self {
        let asks = policy.cookies.values().any(|cookie| cookie.consent.is_some());
        // Where the registers do not answer, nobody is known to have agreed.
        let said = caller
            .person
            .as_ref()
            .filter(|_| asks)
            .and_then(|person| registers.statements(person).ok());
        let agreed = said.map(|said| agreed_cookies(policy, &caller.recipient, &said, gpc, now));
        Self { policy, agreed: agreed.unwrap_or_default() }
    }

    fn passing(&self, name: &str) -> Option<&Cookie> {
        self.policy.cookies.get(name).filter(|cookie| match &cookie.consent {
            None => cookie.class == ESSENTIAL,
            Some(purpose) => self.agreed.contains(purpose),
        })
    }

    /// The `Cookie` field for the backend.
    pub(super) fn towards_upstream(&self, client: &HeaderMap) -> Option<String> {
        let passing: Vec<&str> = client
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .map(str::trim)
            .filter(|cookie| name_of(cookie).is_some_and(|name| self.passing(name).is_some()))
            .collect();
        (!passing.is_empty()).then(|| passing.join("; "))
    }

    /// The `Set-Cookie` fields for the client.
    pub(super) fn towards_client(&self, upstream: &HeaderMap) -> Vec<HeaderValue> {
        upstream
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .filter_map(|line| {
                let cookie = self.passing(name_of(line)?)?;
                HeaderValue::from_str(&guarded(line, cookie.class == ESSENTIAL)).ok()
            })
            .collect()
    }
}

/// The class of what the service does not work without.
const ESSENTIAL: &str = "essential";

/// The name of `name=value…`; `None` for what is none.
fn name_of(cookie: &str) -> Option<&str> {
    let (name, _) = cookie.split_once('=')?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_token)).then_some(name)
}

/// A cookie with the attributes that keep it from plaintext, other sites and, where it is essential,
/// scripts. Attributes of no known meaning are left out.
fn guarded(line: &str, hide_from_scripts: bool) -> String {
    let mut parts = line.split(';').map(str::trim);
    let mut kept = vec![parts.next().unwrap_or_default()];
    let (mut secure, mut http_only, mut same_site) = (false, false, false);
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "expires" | "max-age" | "domain" | "path" => kept.push(attribute),
            "secure" => {
                secure = true;
                kept.push("Secure");
            }
            "httponly" => {
                http_only = true;
                kept.push("HttpOnly");
            }
            "samesite" if ["lax", "strict"].contains(&&*value.trim().to_ascii_lowercase()) => {
                same_site = true;
                kept.push(attribute);
            }
            _ => {}
        }
    }
    if !secure {
        kept.push("Secure");
    }
    if hide_from_scripts && !http_only {
        kept.push("HttpOnly");
    }
    if !same_site {
        kept.push("SameSite=Lax");
    }
    kept.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{guarded, name_of};

    #[test]
    fn cookies_are_known_by_an_exact_name() {
        let cases = [
            ("session=1", Some("session")),
            ("session=a=b", Some("session")),
            ("session", None),
            ("=1", None),
            ("ses sion=1", None),
            ("sess\"ion=1", None),
        ];
        for (cookie, name) in cases {
            assert_eq!(name_of(cookie), name, "{cookie}");
        }
    }

    #[test]
    fn a_cookie_keeps_from_plaintext_other_sites_and_scripts() {
        let cases = [
            ("s=1", "s=1; Secure; HttpOnly; SameSite=Lax"),
            (
                "s=1; Path=/; Max-Age=60; Priority=High; secure; SameSite=Strict",
                "s=1; Path=/; Max-Age=60; Secure; SameSite=Strict; HttpOnly",
            ),
            ("s=1; SameSite=None; Secure; HttpOnly", "s=1; Secure; HttpOnly; SameSite=Lax"),
            ("s=1;;x;SameSite", "s=1; Secure; HttpOnly; SameSite=Lax"),
        ];
        for (line, expected) in cases {
            assert_eq!(guarded(line, true), expected, "{line}");
        }
        assert_eq!(guarded("p=1", false), "p=1; Secure; SameSite=Lax");
    }
}
