//! `Tamis-Purpose`, `Tamis-Case`, `Tamis-Order` and `Sec-GPC`: what the caller says the request is for.
//!
//! What is malformed is refused, never skipped: a purpose that is not read would widen the request
//! to the caller's default. Source: RFC 9651 (List of Tokens, Strings).

use http::{HeaderMap, HeaderName};

use super::fault::RequestFault;
use crate::terms::PurposeId;

/// The purposes that the caller declares.
pub(super) const TAMIS_PURPOSE: HeaderName = HeaderName::from_static("tamis-purpose");
/// The case that the caller works on.
pub(super) const TAMIS_CASE: HeaderName = HeaderName::from_static("tamis-case");
/// The order that an authority relies on.
pub(super) const TAMIS_ORDER: HeaderName = HeaderName::from_static("tamis-order");
/// Global Privacy Control.
pub(super) const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Most purposes that one request may name; a request for more has no purpose in mind.
const MOST: usize = 16;

/// Longest id of a case or an order, in characters.
const LONGEST_ID: usize = 128;

/// The declared purposes; empty when the header is not there.
pub(super) fn declared(headers: &HeaderMap) -> Result<Vec<PurposeId>, RequestFault> {
    let mut purposes = Vec::new();
    for line in headers.get_all(TAMIS_PURPOSE) {
        let line = line.to_str().map_err(|_| RequestFault::Header)?;
        for member in line.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if !is_token(member) || purposes.len() == MOST {
                return Err(RequestFault::Header);
            }
            purposes.push(PurposeId::from(member));
        }
    }
    Ok(purposes)
}

/// Source: RFC 9651 §3.3.4. Parameters are not part of a token, so `a;q=1` is none.
fn is_token(text: &str) -> bool {
    let starts = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'*';
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    text.as_bytes().first().is_some_and(starts) && text.bytes().all(goes_on)
}

/// The id that `name`, `Tamis-Case` or `Tamis-Order`, gives.
pub(super) fn id(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, RequestFault> {
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().map_err(|_| RequestFault::Header)?.trim_matches(' ');
    if lines.next().is_some() {
        return Err(RequestFault::Header);
    }
    string(text).filter(|id| !id.is_empty()).map(Some).ok_or(RequestFault::Header)
}

/// Source: RFC 9651 §3.3.3.
fn string(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.push(characters.next().filter(|next| matches!(next, '"' | '\\'))?),
            '"' => return None,
            ' '..='~' => value.push(character),
            _ => return None,
        }
    }
    (value.len() <= LONGEST_ID).then_some(value)
}

/// Whether the caller objects to sharing and advertising. Source: W3C Global Privacy Control.
pub(super) fn gpc(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_GPC).iter().any(|value| value.as_bytes() == b"1")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use crate::terms::PurposeId;

    use super::{TAMIS_CASE, TAMIS_PURPOSE, declared, id};

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).expect("header")))
            .collect()
    }

    #[test]
    fn a_malformed_purpose_is_refused_never_skipped() {
        let cases: [(&[&str], Option<&[&str]>); 14] = [
            (&[], Some(&[])),
            (&["service.support"], Some(&["service.support"])),
            (&["a, b.c ,\td"], Some(&["a", "b.c", "d"])),
            (&["a", "b"], Some(&["a", "b"])),
            (&[""], None),
            (&["a,"], None),
            (&["a,,b"], None),
            (&["\"a\""], None),
            (&["a;q=1"], None),
            (&["(a b)"], None),
            (&["a b"], None),
            (&["1a"], None),
            (&["a", ""], None),
            (&["a\u{e9}"], None),
        ];
        for (lines, expected) in cases {
            let found = declared(&headers(&TAMIS_PURPOSE, lines)).ok();
            let found: Option<Vec<_>> =
                found.as_ref().map(|found| found.iter().map(PurposeId::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{lines:?}");
        }
        let many = vec!["a"; 17].join(",");
        assert!(declared(&headers(&TAMIS_PURPOSE, &[&many])).is_err());
    }

    #[test]
    fn a_case_is_one_string() {
        type Case<'a> = (&'a [&'a str], Result<Option<&'a str>, ()>);
        let cases: [Case<'_>; 8] = [
            (&[], Ok(None)),
            (&["\"C-2026-114\""], Ok(Some("C-2026-114"))),
            (&["\"a\\\"b\\\\\""], Ok(Some("a\"b\\"))),
            (&["C-2026-114"], Err(())),
            (&["\"a\\n\""], Err(())),
            (&["\"a\"b\""], Err(())),
            (&["\"\""], Err(())),
            (&["\"a\"", "\"b\""], Err(())),
        ];
        for (lines, expected) in cases {
            let found = id(&headers(&TAMIS_CASE, lines), &TAMIS_CASE);
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(|_| ()), expected, "{lines:?}");
        }
    }
}
