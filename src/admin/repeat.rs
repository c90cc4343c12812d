//! `Idempotency-Key`: a change that is sent again under its key is answered as before and not made
//! again.
//!
//! Answers are kept in memory for [`KEPT`], by caller, so that no caller meets another's, and forgotten
//! with the first call after it, whosesoever; a gateway that starts anew knows none. Records have ids of their own and can be sent again at any time; keys
//! are for the rest. What is kept says whether something was new, and never about whom.
//! Source: draft-ietf-httpapi-idempotency-key-header.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::problem::Problem;
use crate::terms::Digest;

/// The header.
const HEADER: &str = "idempotency-key";

/// How long an answer is kept: longer than any program tries again.
const KEPT: Duration = Duration::from_hours(1);

/// How often it is looked for what is to be forgotten.
const LOOKED: Duration = Duration::from_mins(1);

/// Most keys of one caller: more than it may make calls in [`KEPT`] by the usual pace. Beyond it a call
/// with a key is refused, since a promise that is forgotten is none.
const KEYS: usize = 65_536;

/// Longest key.
const KEY_BYTES: usize = 128;

/// Answers by caller and key.
#[derive(Default)]
pub(super) struct Answered(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    callers: HashMap<String, HashMap<String, Call>>,
    /// When it was looked for what is to be forgotten.
    looked: Option<Instant>,
}

struct Call {
    /// Of method, target and body.
    asked: Digest,
    since: Instant,
    /// `None`: it is being made.
    answer: Option<Given>,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) status: StatusCode,
    pub(super) media_type: Option<http::HeaderValue>,
    pub(super) body: Bytes,
}

/// What a key comes to.
pub(super) enum Turn {
    /// It is new: make the call, and keep its answer.
    First(Making),
    /// It was answered so.
    Again(Given),
}

/// A call under way. Dropped without an answer it is forgotten, so that it can be tried again.
pub(super) struct Making {
    answered: Arc<Answered>,
    caller: String,
    key: String,
    is_kept: bool,
}

/// The key of a request, if it has one.
///
/// # Errors
/// There are several, or it is no key.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut stated = headers.get_all(HEADER).iter();
    let Some(value) = stated.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| {
        let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
        plain && !key.is_empty() && key.len() <= KEY_BYTES
    });
    match (key, stated.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(Problem::Invalid("Idempotency-Key".into())),
    }
}

impl Answered {
    /// Takes the turn of `key`.
    ///
    /// # Errors
    /// The key was used for something else, is being used, or there are too many.
    pub(super) fn turn(
        self: &Arc<Self>,
        caller: &str,
        key: String,
        asked: Digest,
        now: Instant,
    ) -> Result<Turn, Problem> {
        let mut kept = self.kept();
        let calls = kept.callers.entry(caller.to_owned()).or_default();
        if calls.len() >= KEYS {
            calls.retain(|_, call| !call.is_over(now));
        }
        match calls.get(&key) {
            Some(call) if call.is_over(now) => {}
            Some(call) if call.asked != asked => return Err(Problem::KeyReused),
            Some(Call { answer: Some(kept), .. }) => return Ok(Turn::Again(kept.clone())),
            Some(Call { answer: None, .. }) => return Err(Problem::KeyInUse),
            None if calls.len() >= KEYS => return Err(Problem::TooMany(KEPT)),
            None => {}
        }
        calls.insert(key.clone(), Call { asked, since: now, answer: None });
        let (answered, caller) = (Arc::clone(self), caller.to_owned());
        Ok(Turn::First(Making { answered, caller, key, is_kept: false }))
    }

    /// Forgets what was kept for long enough, of every caller: also of those who never call again.
    pub(super) fn forget(&self, now: Instant) {
        let mut kept = self.kept();
        if kept.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOKED) {
            return;
        }
        kept.looked = Some(now);
        kept.callers.retain(|_, calls| {
            calls.retain(|_, call| !call.is_over(now));
            !calls.is_empty()
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Whether it was answered, and its time is over.
    fn is_over(&self, now: Instant) -> bool {
        self.answer.is_some() && now.saturating_duration_since(self.since) >= KEPT
    }
}

impl Making {
    /// Keeps the answer, from now on.
    pub(super) fn keep(mut self, answer: Given) {
        let mut kept = self.answered.kept();
        let calls = kept.callers.get_mut(&self.caller);
        if let Some(call) = calls.and_then(|calls| calls.get_mut(&self.key)) {
            call.answer = Some(answer);
        }
        drop(kept);
        self.is_kept = true;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.is_kept
            && let Some(calls) = self.answered.kept().callers.get_mut(&self.caller)
        {
            calls.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Given {
        let body = Bytes::from_static(b"{}");
        Given { status: StatusCode::CREATED, media_type: None, body }
    }

    #[test]
    fn a_key_is_answered_once_and_for_one_request_of_one_caller() {
        let answered = Arc::new(Answered::default());
        let (start, one, other) = (Instant::now(), Digest::of(b"1"), Digest::of(b"2"));
        let turn = |caller: &str, asked, after| {
            answered.turn(caller, "k".to_owned(), asked, start + Duration::from_secs(after))
        };
        let Ok(Turn::First(making)) = turn("desk", one, 0) else { panic!("it is new") };
        assert!(matches!(turn("desk", one, 0), Err(Problem::KeyInUse)));
        assert!(matches!(turn("desk", other, 0), Err(Problem::KeyReused)));
        assert!(matches!(turn("dpo", other, 0), Ok(Turn::First(_))), "another's key");
        making.keep(kept());
        let Ok(Turn::Again(again)) = turn("desk", one, 3599) else { panic!("it is kept") };
        assert_eq!(again, kept());
        assert!(matches!(turn("desk", other, 3599), Err(Problem::KeyReused)));
        assert!(matches!(turn("desk", other, 3600), Ok(Turn::First(_))), "an hour is over");
    }

    #[test]
    fn a_call_that_came_to_nothing_can_be_tried_again() {
        let answered = Arc::new(Answered::default());
        let turn = || answered.turn("desk", "k".to_owned(), Digest::of(b"1"), Instant::now());
        for _ in 0..2 {
            let Ok(Turn::First(making)) = turn() else { panic!("nothing was kept") };
            drop(making);
        }
    }

    #[test]
    fn what_was_answered_is_forgotten_after_its_hour_whoever_calls_next() {
        let answered = Arc::new(Answered::default());
        let start = Instant::now();
        let after = |minutes| start + Duration::from_mins(minutes);
        let turn = |caller, key: &str, at| {
            let Ok(Turn::First(making)) =
                answered.turn(caller, key.to_owned(), Digest::of(b"1"), at)
            else {
                panic!("it is new")
            };
            making
        };
        turn("desk", "k1", after(0)).keep(kept());
        turn("dpo", "k2", after(30)).keep(kept());
        let under_way = turn("dpo", "k3", after(0));
        let held = || {
            let kept = answered.kept();
            let mut keys: Vec<String> =
                kept.callers.values().flat_map(|calls| calls.keys().cloned()).collect();
            keys.sort();
            (kept.callers.len(), keys)
        };
        answered.forget(after(59));
        assert_eq!(held(), (2, vec!["k1".into(), "k2".into(), "k3".into()]));
        answered.forget(after(60));
        assert_eq!(held(), (1, vec!["k2".into(), "k3".into()]));
        under_way.keep(kept());
        answered.forget(after(90));
        assert_eq!(held(), (0, vec![]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(KEY_BYTES + 1);
        for (values, expected) in [
            (&[][..], Some(None)),
            (&["01JD-k"][..], Some(Some("01JD-k"))),
            (&["a", "b"][..], None),
            (&[""][..], None),
            (&["a b"][..], None),
            (&[long.as_str()][..], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().expect("a header"));
            }
            let found = key_of(&headers).ok();
            assert_eq!(found.as_ref().map(Option::as_deref), expected, "{values:?}");
        }
    }
}
