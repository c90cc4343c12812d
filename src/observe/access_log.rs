//! The access log's lines, minimized from the start.
//!
//! A line can hold no query, fragment, body, cookie, credential or other header, no path, no whole
//! address and no id of a data subject: it is made of what [`AccessLine`] takes, and each of its
//! fields is brought to its coarse form here. Source: docs/OPERATIONS.md, "Access log".

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde::Serialize;

use super::agent::family;
use super::metrics::outward_code;
use super::visitor::{Origin, Salt};
use crate::policy::model::AccessLogRules;
use crate::terms::{DecisionId, PurposeId, RecipientId, RefusalReason, Role, RouteId};

/// Sizes are rounded up to a multiple of this, since an exact size can identify an answer.
const BYTES_STEP: u64 = 64;

/// Longest origin that is written; longer ones are no host names. Source: RFC 1035 §2.3.4.
const ORIGIN_CHARACTERS: usize = 255;

/// What is known of one exchange when it has ended. Values of the client come in whole and leave
/// coarse, or not at all.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// When the request came.
    pub at: Timestamp,
    /// Its method.
    pub method: &'a Method,
    /// The route, where one matched.
    pub route: Option<&'a RouteId>,
    /// The status sent.
    pub status: u16,
    /// Bytes of the body sent.
    pub bytes: u64,
    /// From the request's head to the answer's end.
    pub took: Duration,
    /// The recipient, where known.
    pub recipient: Option<(&'a RecipientId, Role)>,
    /// The purposes, as far as they were established; all are names of the policy.
    pub purposes: &'a [PurposeId],
    /// The peer's address.
    pub client: IpAddr,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// `Referer`.
    pub referrer: Option<&'a str>,
    /// The headers that the rules name for the log, as far as they came.
    pub headers: &'a [(String, String)],
    /// The authority that was asked, so that a referrer from the same place is not written.
    pub authority: Option<&'a str>,
    /// How it ended.
    pub decision: AccessDecision,
    /// The decision's id.
    pub decision_id: Option<&'a DecisionId>,
    /// The version of TLS.
    pub tls: Option<TlsVersion>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessDecision {
    /// Nothing of it was personal, or all of it left as it was.
    Released,
    /// It left with members removed or changed.
    Minimized,
    /// The answer broke off and was ended so that the client can tell.
    BrokenOff(RefusalReason),
    /// Nothing left.
    Refused(RefusalReason),
    /// The gateway answered by itself, without a decision: a redirect, a problem's description.
    Own,
}

/// Versions of TLS that the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// Source: RFC 5246.
    V1_2,
    /// Source: RFC 8446.
    V1_3,
}

impl AccessLine<'_> {
    /// The line as one JSON object with a line feed, in a fixed order of members. Only what `rules`
    /// declare is written. `salt` keys the pseudonyms of the request's day; without it they are `-`.
    #[must_use]
    pub fn render(&self, rules: &AccessLogRules, salt: Option<&Salt>) -> String {
        let mut line = Members::of(rules);
        let origin = Origin {
            site: self.authority.unwrap_or_default(),
            client: self.client,
            user_agent: self.user_agent,
            headers: self.headers,
        };
        line.text("time", || format!("{:.0}", self.at));
        line.text("method", || method(self.method));
        line.text("route", || self.route.map_or("-", |route| route.as_str()));
        line.whole("status", self.status.into());
        if let Some(code) = self.error_code() {
            line.text("error_code", || code);
        }
        line.whole("bytes", self.bytes.next_multiple_of(BYTES_STEP));
        line.whole("duration_ms", u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX));
        line.text("recipient", || self.recipient());
        line.text("purpose", || {
            self.purposes.iter().map(PurposeId::as_str).collect::<Vec<_>>().join(" ")
        });
        line.text("visitor", || origin.pseudonym("visitor", &rules.visitor, salt));
        line.text("ip_prefix", || prefix(self.client, rules.ip_prefix));
        line.text("agent", || family(self.user_agent.unwrap_or_default()));
        line.text("device", || origin.pseudonym("device", &rules.device, salt));
        line.text("device_model", || origin.device_model(rules));
        line.text("os", || origin.os(rules));
        if let Some(percent) = origin.battery(rules) {
            line.whole("battery", percent.into());
        }
        line.text("referrer_origin", || self.referrer_origin());
        line.text("decision", || self.decision());
        // Joins to the ledger, so it is not written where the recipient is a person.
        let id = self.decision_id.filter(|_| {
            self.recipient.is_some_and(|(_, role)| !role.is_person() && role != Role::Public)
        });
        if let Some(id) = id.filter(|_| line.declares("decision")) {
            line.member("decision_id", id.as_str());
        }
        if let Some(version) = self.tls {
            line.text("tls", || version.as_str());
        }
        line.ended()
    }

    fn recipient(&self) -> &str {
        match self.recipient {
            None => "-",
            Some((_, role)) if role.is_person() => role.as_str(),
            Some((recipient, _)) => recipient.as_str(),
        }
    }

    fn decision(&self) -> String {
        match self.decision {
            AccessDecision::Released => "released".into(),
            AccessDecision::Minimized => "minimized".into(),
            AccessDecision::BrokenOff(reason) => format!("broken-off:{}", outward_code(reason)),
            AccessDecision::Refused(reason) => format!("refused:{}", outward_code(reason)),
            AccessDecision::Own => "-".into(),
        }
    }

    fn error_code(&self) -> Option<&'static str> {
        match self.decision {
            AccessDecision::BrokenOff(reason) | AccessDecision::Refused(reason) => {
                Some(outward_code(reason))
            }
            AccessDecision::Released | AccessDecision::Minimized | AccessDecision::Own => None,
        }
    }

    /// Scheme and host of the page that linked here; `-` when it is our own or no web page.
    fn referrer_origin(&self) -> String {
        let origin = || {
            let uri: http::Uri = self.referrer?.parse().ok()?;
            let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
            let (host, port) = (uri.host()?, uri.port_u16());
            let name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            if host.len() > ORIGIN_CHARACTERS || !host.bytes().all(name) {
                return None;
            }
            let authority = match port {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            let own = self.authority.is_some_and(|own| own.eq_ignore_ascii_case(&authority));
            (!own).then(|| format!("{scheme}://{}", authority.to_ascii_lowercase()))
        };
        origin().unwrap_or_else(|| "-".into())
    }
}

/// The members of a line that the rules declare, one behind the other.
struct Members<'a> {
    declared: &'a [String],
    bytes: Vec<u8>,
}

impl<'a> Members<'a> {
    fn of(rules: &'a AccessLogRules) -> Self {
        Self { declared: &rules.fields, bytes: Vec::with_capacity(512) }
    }

    fn declares(&self, field: &str) -> bool {
        self.declared.iter().any(|declared| declared == field)
    }

    /// A text, which is made only where it is declared.
    fn text<T: AsRef<str>>(&mut self, field: &str, value: impl FnOnce() -> T) {
        if self.declares(field) {
            self.member(field, value().as_ref());
        }
    }

    fn whole(&mut self, field: &str, value: u64) {
        if self.declares(field) {
            self.member(field, &value);
        }
    }

    /// A member, declared or not. Names and values are JSON text, so that nothing in them can break the
    /// line.
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let before = self.bytes.len();
        self.bytes.push(if before == 0 { b'{' } else { b',' });
        let written = serde_json::to_writer(&mut self.bytes, name).and_then(|()| {
            self.bytes.push(b':');
            serde_json::to_writer(&mut self.bytes, value)
        });
        // Texts and numbers have a form, and memory takes it; what had none would be no member.
        if written.is_err() {
            self.bytes.truncate(before);
        }
    }

    fn ended(mut self) -> String {
        if self.bytes.is_empty() {
            self.bytes.push(b'{');
        }
        self.bytes.extend_from_slice(b"}\n");
        String::from_utf8(self.bytes).unwrap_or_default()
    }
}

impl TlsVersion {
    /// As it is written: `1.2`, `1.3`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

/// The method, if it is one of HTTP's own: any other text is the client's.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "-",
    }
}

/// The network of `address`, with as many bits as the rules leave of IPv4 and of IPv6.
fn prefix(address: IpAddr, (v4_bits, v6_bits): (u8, u8)) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let bits = u32::from(v4_bits.min(32));
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let bits = u32::from(v6_bits.min(128));
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_FIELD: [&str; 20] = [
        "time",
        "method",
        "route",
        "status",
        "error_code",
        "bytes",
        "duration_ms",
        "recipient",
        "purpose",
        "visitor",
        "ip_prefix",
        "agent",
        "device",
        "device_model",
        "os",
        "battery",
        "referrer_origin",
        "decision",
        "tls",
        "query",
    ];

    fn every_field() -> AccessLogRules {
        let fields = EVERY_FIELD.map(str::to_owned).to_vec();
        AccessLogRules { fields, ..AccessLogRules::default() }
    }

    fn line<'a>(method: &'a Method, route: &'a RouteId) -> AccessLine<'a> {
        AccessLine {
            at: Timestamp::from_millisecond(1_700_000_000_999).expect("in range"),
            method,
            route: Some(route),
            status: 200,
            bytes: 65,
            took: Duration::from_micros(12_900),
            recipient: None,
            purposes: &[],
            client: "203.0.113.77".parse().expect("an address"),
            user_agent: None,
            referrer: None,
            headers: &[],
            authority: Some("api.example"),
            decision: AccessDecision::Minimized,
            decision_id: None,
            tls: Some(TlsVersion::V1_3),
        }
    }

    #[test]
    fn a_line_has_a_fixed_order_and_coarse_values() {
        let (recipient, decision) = (RecipientId::from("courier"), DecisionId::from("d_1"));
        let purposes = [PurposeId::from("service.delivery")];
        let route = RouteId::from("GET /v2/users/{user_id}");
        let written = AccessLine {
            recipient: Some((&recipient, Role::Processor)),
            purposes: &purposes,
            decision_id: Some(&decision),
            referrer: Some("https://shop.example:8443/u/Testina?q=1"),
            user_agent: Some(
                "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
            ),
            ..line(&Method::GET, &route)
        }
        .render(&every_field(), None);
        let expected = concat!(
            r#"{"time":"2023-11-14T22:13:20Z","method":"GET","route":"GET /v2/users/{user_id}","#,
            r#""status":200,"bytes":128,"duration_ms":12,"recipient":"courier","#,
            r#""purpose":"service.delivery","visitor":"-","ip_prefix":"203.0.113.0/24","#,
            r#""agent":"Firefox/142 Linux","device":"-","device_model":"-","os":"-","referrer_origin":"https://shop.example:8443","#,
            r#""decision":"minimized","decision_id":"d_1","tls":"1.3"}"#,
            "\n"
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn only_declared_fields_are_written() {
        let route = RouteId::from("GET /v2/users");
        let rules = AccessLogRules { fields: vec!["status".into()], ..AccessLogRules::default() };
        assert_eq!(line(&Method::GET, &route).render(&rules, None), "{\"status\":200}\n");
        let none = AccessLogRules { fields: vec![], ..AccessLogRules::default() };
        assert_eq!(line(&Method::GET, &route).render(&none, None), "{}\n");
    }

    #[test]
    fn a_person_is_a_role_without_a_decision_to_join() {
        let (recipient, decision) = (RecipientId::from("app"), DecisionId::from("d_1"));
        let route = RouteId::from("GET /v2/users/{user_id}");
        for (role, expected) in [(Role::Own, "self"), (Role::User, "user")] {
            let written = AccessLine {
                recipient: Some((&recipient, role)),
                decision_id: Some(&decision),
                ..line(&Method::GET, &route)
            }
            .render(&every_field(), None);
            assert!(written.contains(&format!("\"recipient\":\"{expected}\"")), "{written}");
            assert!(!written.contains("d_1") && !written.contains("app"), "{written}");
        }
    }

    #[test]
    fn a_refusal_for_a_person_s_state_does_not_say_which() {
        let route = RouteId::from("GET /v2/users/{user_id}");
        for reason in RefusalReason::ALL {
            let written = AccessLine {
                decision: AccessDecision::Refused(reason),
                ..line(&Method::GET, &route)
            }
            .render(&every_field(), None);
            assert!(written.contains(&format!("\"refused:{}\"", outward_code(reason))));
        }
    }

    #[test]
    fn what_the_client_wrote_does_not_get_in() {
        let hostile = "CANARY\n\u{1b}[31m\u{202e}\",\"x\":\"";
        let method = Method::from_bytes(b"CANARY").expect("a token");
        let route = RouteId::from("GET /v2/users");
        for referrer in [
            hostile,
            "https://testina:CANARY@shop.example/",
            "ftp://CANARY.example/",
            "https://shop.example/CANARY?CANARY#CANARY",
            "javascript:CANARY",
            "/CANARY",
        ] {
            let written = AccessLine {
                user_agent: Some(hostile),
                referrer: Some(referrer),
                ..line(&method, &route)
            }
            .render(&every_field(), None);
            assert!(!written.contains("CANARY"), "{written}");
            assert_eq!(written.matches('\n').count(), 1);
            assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
        }
    }

    #[test]
    fn a_referrer_from_the_same_place_is_not_written() {
        let route = RouteId::from("GET /v2/users");
        let written = AccessLine {
            referrer: Some("https://API.example/somewhere"),
            ..line(&Method::GET, &route)
        }
        .render(&every_field(), None);
        assert!(written.contains("\"referrer_origin\":\"-\""), "{written}");
    }

    #[test]
    fn addresses_are_cut_to_their_network() {
        for (address, bits, expected) in [
            ("203.0.113.77", (24, 48), "203.0.113.0/24"),
            ("::ffff:203.0.113.77", (24, 48), "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", (24, 48), "2001:db8:1::/48"),
            ("203.0.113.77", (0, 0), "0.0.0.0/0"),
            ("2001:db8::1", (0, 0), "::/0"),
            ("203.0.113.77", (255, 255), "203.0.113.77/32"),
        ] {
            assert_eq!(prefix(address.parse().expect("an address"), bits), expected);
        }
    }
}
