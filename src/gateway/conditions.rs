//! Conditions of a request and the tag that an answer can be asked for by.
//!
//! What a backend would judge a condition by is a body that no client gets, so conditions stay here.
//! A tag is made of the minimized bytes, under a key of this process: whoever does not hold the bytes
//! can neither make one nor test a guess against it, and no two recipients can compare theirs.
//! Source: RFC 9110 §8.8, §13.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::codings::Coding;
use super::fault::RequestFault;
use crate::decide::Permit;
use crate::terms::hex;

/// Bytes of the MAC in a tag.
const TAG_BYTES: usize = 16;

/// Refuses what would mean something else without its condition: a change that was to be made only
/// if nothing else had changed, or only to a part.
pub(super) fn judge(method: &Method, headers: &HeaderMap) -> Result<(), RequestFault> {
    let only_reads = method == Method::GET || method == Method::HEAD;
    // No tag of ours is strong, so that none matches. Source: RFC 9110 §13.1.1.
    if headers.contains_key(IF_MATCH) || (!only_reads && headers.contains_key(IF_NONE_MATCH)) {
        return Err(RequestFault::Condition);
    }
    if !only_reads && headers.contains_key(CONTENT_RANGE) {
        return Err(RequestFault::Header);
    }
    Ok(())
}

/// Makes tags. They hold until the gateway starts anew.
pub(super) struct Tags {
    /// `None`: there was no randomness, and there are no tags.
    key: Option<Zeroizing<[u8; 32]>>,
}

impl Default for Tags {
    fn default() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let filled = getrandom::fill(key.as_mut_slice());
        Self { key: filled.ok().map(|()| key) }
    }
}

impl Tags {
    /// Writes the tag of a whole minimized body, of which each coding has its own, into `passed`. Returns whether the client says that
    /// it holds this body already.
    pub(super) fn tell(
        &self,
        permit: &Permit,
        (body, coding): (&[u8], Option<Coding>),
        asked: &HeaderMap,
        passed: &mut HeaderMap,
    ) -> bool {
        let Some(tag) = self.of(permit, body, coding) else { return false };
        let is_held = is_held(asked, &tag);
        if let Ok(value) = HeaderValue::from_str(&tag) {
            passed.insert(ETAG, value);
        }
        is_held
    }

    fn of(&self, permit: &Permit, body: &[u8], coding: Option<Coding>) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_ref()?.as_slice()).ok()?;
        let mut part = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        part(permit.policy().digest.hex().as_bytes());
        part(permit.recipient().as_str().as_bytes());
        for purpose in permit.purposes() {
            part(purpose.as_str().as_bytes());
        }
        part(coding.map_or("identity", Coding::as_str).as_bytes());
        part(body);
        let mac = mac.finalize().into_bytes();
        Some(format!("W/\"{}\"", hex(&mac[..TAG_BYTES])))
    }
}

/// Whether one of the tags that the client names is this one. `*` asks whether there is anything at
/// all, and is answered by it.
fn is_held(asked: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(tag);
    let named = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|named| opaque(named) == wanted)
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_RANGE, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
    use http::{HeaderMap, Method};

    use super::{is_held, judge};

    #[test]
    fn a_change_that_rests_on_a_condition_is_not_made_without_it() {
        let cases = [
            (Method::GET, IF_NONE_MATCH, true),
            (Method::HEAD, IF_NONE_MATCH, true),
            (Method::GET, IF_MATCH, false),
            (Method::PUT, IF_MATCH, false),
            (Method::PUT, IF_NONE_MATCH, false),
            (Method::POST, IF_NONE_MATCH, false),
            (Method::GET, CONTENT_RANGE, true),
            (Method::PUT, CONTENT_RANGE, false),
            (Method::PUT, HeaderName::from_static("if-modified-since"), true),
        ];
        for (method, name, is_judged) in cases {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("*"))]);
            assert_eq!(judge(&method, &headers).is_ok(), is_judged, "{method} {name}");
        }
    }

    #[test]
    fn a_tag_is_compared_weakly_and_among_several() {
        let cases = [
            ("W/\"a\"", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("\"b\"", false),
            ("*", false),
            ("", false),
            ("a", false),
        ];
        for (named, expected) in cases {
            let headers = [(IF_NONE_MATCH, HeaderValue::from_static(named))];
            assert_eq!(is_held(&HeaderMap::from_iter(headers), "W/\"a\""), expected, "{named}");
        }
    }
}
