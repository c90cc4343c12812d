//! Which content coding an answer has: what the client accepts, and for whom answers are encoded.
//!
//! The length of an encoded answer tells how much of it repeats itself. Whoever can make somebody
//! else's program ask, put a guess into the answer and see how long it is, can guess what stands beside
//! it (BREACH). Browsers ask on behalf of any page, so that by default only those are answered encoded
//! who plainly are none. Source: RFC 9110 §12.5.3, docs/decisions/0026-encoded-answers.md.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HeaderName, ORIGIN, REFERER};

use crate::config::AnswerCoding;

/// Longest `Accept-Encoding` that is looked at.
const LONGEST: usize = 256;

/// Answers shorter than this are not encoded: they would hardly get shorter.
const SHORTEST: usize = 1024;

/// What only browsers send.
const OF_BROWSERS: [HeaderName; 4] =
    [COOKIE, ORIGIN, REFERER, HeaderName::from_static("sec-fetch-site")];

/// What an answer can be encoded as, the one first that costs least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As `Content-Encoding` calls it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The coding that a client asks for, and whether it would take the answer as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    coding: Coding,
    takes_identity: bool,
}

impl Accepted {
    /// What the request's head asks for and `setting` allows. `shows_certificate`: the connection does,
    /// which browsers show by themselves too. `None`: the answer is not encoded. That also holds where
    /// the client says that it would rather have no answer than that: then it gets this one.
    pub(super) fn of(
        headers: &HeaderMap,
        shows_certificate: bool,
        setting: AnswerCoding,
    ) -> Option<Self> {
        let is_allowed = match setting {
            AnswerCoding::Off => false,
            AnswerCoding::Always => true,
            AnswerCoding::Auto => !shows_certificate && is_of_a_program(headers),
        };
        if is_allowed { negotiated(headers) } else { None }
    }

    /// The coding of an answer of which so much is at hand, and perhaps more to come.
    pub(super) fn for_length(self, at_hand: usize, is_whole: bool) -> Option<Coding> {
        let is_short = is_whole && at_hand < SHORTEST;
        (!is_short || (!self.takes_identity && at_hand > 0)).then_some(self.coding)
    }
}

/// Whether the credential is one that somebody's program put there on purpose, and nothing speaks of a
/// browser.
fn is_of_a_program(headers: &HeaderMap) -> bool {
    let shows = headers.contains_key(AUTHORIZATION) || headers.contains_key("tamis-api-key");
    shows && !OF_BROWSERS.iter().any(|name| headers.contains_key(name))
}

/// The coding of the greatest weight; of several, the first of ours. None where the answer as it is
/// weighs more, where the field is missing, and where it is malformed.
fn negotiated(headers: &HeaderMap) -> Option<Accepted> {
    let mut weights: Vec<(String, u16)> = Vec::new();
    for line in headers.get_all(ACCEPT_ENCODING) {
        let line = line.to_str().ok().filter(|line| line.len() <= LONGEST)?;
        for element in line.split(',').map(str::trim).filter(|element| !element.is_empty()) {
            let (name, weight) = weighted(element)?;
            weights.push((name, weight));
        }
    }
    let of = |names: &[&str]| {
        let said = |(name, _): &&(String, u16)| names.contains(&name.as_str());
        weights.iter().find(said).map(|(_, weight)| *weight)
    };
    let others = of(&["*"]);
    let weight = |coding: Coding| {
        let named = match coding {
            Coding::Gzip => of(&["gzip", "x-gzip"]),
            Coding::Zstd | Coding::Brotli => of(&[coding.as_str()]),
        };
        named.or(others).unwrap_or(0)
    };
    let mut best: Option<(Coding, u16)> = None;
    for coding in Coding::ALL {
        let weight = weight(coding);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((coding, weight));
        }
    }
    let (coding, weight) = best?;
    // As it is, it is always welcome unless the field says otherwise; named, it has a weight too.
    let identity = of(&["identity"]);
    if identity.is_some_and(|identity| identity > weight) {
        return None;
    }
    let takes_identity = identity.or(others) != Some(0);
    Some(Accepted { coding, takes_identity })
}

/// A coding and its weight, in thousandths. Source: RFC 9110 §12.4.2.
fn weighted(element: &str) -> Option<(String, u16)> {
    let (name, parameter) = match element.split_once(';') {
        Some((name, parameter)) => (name.trim_end(), Some(parameter.trim_start())),
        None => (element, None),
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return None;
    }
    let weight = match parameter {
        None => 1000,
        Some(parameter) => {
            let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
            thousandths(value)?
        }
    };
    Some((name.to_ascii_lowercase(), weight))
}

fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let decimals: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| is_number)?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};

    use super::{Accepted, Coding};
    use crate::config::AnswerCoding;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in lines {
            head.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        head
    }

    #[test]
    fn the_weight_decides_and_then_what_costs_least() {
        let cases = [
            ("gzip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("GZIP", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, br", Some("br")),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some("gzip")),
            ("gzip;q=0.001", Some("gzip")),
            ("br;Q=0.5 , gzip ; q=0.6", Some("gzip")),
            ("*", Some("zstd")),
            ("*;q=0.1, zstd;q=0, br;q=0", Some("gzip")),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("deflate, compress", None),
            ("identity", None),
            ("identity, gzip", Some("gzip")),
            ("identity, gzip;q=0.9", None),
            ("identity;q=0.5, gzip;q=0.9", Some("gzip")),
            ("identity;q=0, gzip", Some("gzip")),
            ("", None),
            // Malformed, all of it.
            ("gzip;q=2", None),
            ("gzip;q=0.0001", None),
            ("gzip;q=-1", None),
            ("gzip;q=", None),
            ("gzip;q=1.5", None),
            ("gzip;level=9", None),
            ("gzip br", None),
            ("gzip, ;q=1", None),
        ];
        for (said, expected) in cases {
            let found =
                Accepted::of(&head(&[("accept-encoding", said)]), true, AnswerCoding::Always);
            assert_eq!(found.map(|found| found.coding.as_str()), expected, "{said}");
        }
        assert_eq!(Accepted::of(&HeaderMap::new(), false, AnswerCoding::Always), None);
        let mut long = HeaderMap::new();
        let value = format!("gzip{}", ", a".repeat(100));
        long.insert(ACCEPT_ENCODING, HeaderValue::from_str(&value).expect("visible"));
        assert_eq!(Accepted::of(&long, false, AnswerCoding::Always), None);
        let two = head(&[("accept-encoding", "deflate"), ("accept-encoding", "br")]);
        let two = Accepted::of(&two, false, AnswerCoding::Always);
        assert_eq!(two.map(|two| two.coding), Some(Coding::Brotli));
    }

    #[test]
    fn short_answers_are_not_encoded_unless_nothing_else_is_taken() {
        let of = |said: &'static str| {
            let head = head(&[("accept-encoding", said)]);
            Accepted::of(&head, false, AnswerCoding::Always).expect("encoded")
        };
        for (said, at_hand, is_whole, expected) in [
            ("gzip", 1023, true, None),
            ("gzip", 1024, true, Some(Coding::Gzip)),
            ("gzip", 10, false, Some(Coding::Gzip)),
            ("gzip, identity;q=0", 10, true, Some(Coding::Gzip)),
            ("gzip, *;q=0", 10, true, Some(Coding::Gzip)),
            ("gzip, identity;q=0", 0, true, None),
        ] {
            assert_eq!(of(said).for_length(at_hand, is_whole), expected, "{said} {at_hand}");
        }
    }

    #[test]
    fn whoever_may_be_a_browser_is_not_answered_encoded() {
        let asks = ("accept-encoding", "gzip");
        let token = ("authorization", "Bearer x");
        let cases = [
            (vec![asks, token], false, true),
            (vec![asks, ("tamis-api-key", "x")], false, true),
            // Shown by itself, whoever made the browser ask.
            (vec![asks, token], true, false),
            (vec![asks], true, false),
            (vec![asks, token, ("cookie", "session=1")], false, false),
            (vec![asks, token, ("origin", "https://evil.example.invalid")], false, false),
            (vec![asks, token, ("referer", "https://shop.example.invalid/?q=guess")], false, false),
            (vec![asks, token, ("sec-fetch-site", "same-origin")], false, false),
        ];
        for (lines, shows_certificate, expected) in cases {
            let head = head(&lines);
            let found = |setting| Accepted::of(&head, shows_certificate, setting).is_some();
            assert_eq!(found(AnswerCoding::Auto), expected, "{lines:?}");
            assert!(!found(AnswerCoding::Off) && found(AnswerCoding::Always), "{lines:?}");
        }
    }
}
