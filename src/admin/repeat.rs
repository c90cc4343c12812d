//! `Idempotency-Key`: a change that is sent again under its key is answered as before and not made
//! again, at whatever gateway of the same registers and after whatever crash.
//!
//! The answer is kept in the registers, in the transaction of the change ([`RegisterStore::once`]), for
//! an hour. Only what was done is kept: what was refused has changed nothing, and is judged again. Records
//! have ids of their own and can be sent again at any time; keys are for the rest.
//! Source: draft-ietf-httpapi-idempotency-key-header.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::problem::Problem;
use crate::registers::{
    Changing, KeptAnswer, KeyedCall, Once, RegisterStore, RegistersUnavailable,
};

/// The header.
const HEADER: &str = "idempotency-key";

/// Longest key.
const KEY_BYTES: usize = 128;

/// The key under which the call of a handler was sent, if it has one. Whoever changes the registers asks
/// for it.
#[derive(Clone, Default)]
pub(super) struct Sent(Option<KeyedCall>);

impl<S: Sync> FromRequestParts<S> for Sent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Sent {
    /// Makes the changes of `change`, once only under a key, and answers with what `answer` makes of them.
    /// To be called where waiting is allowed.
    pub(super) fn make<T>(
        &self,
        registers: &RegisterStore,
        change: impl FnOnce(&Changing<'_>) -> Result<T, Problem>,
        answer: impl FnOnce(T) -> (StatusCode, Value),
    ) -> Result<Once, Problem> {
        let answer = |made| {
            let (status, document) = answer(made);
            KeptAnswer { status: status.as_u16(), body: document.to_string() }
        };
        match &self.0 {
            Some(call) => registers.once(call, change, answer),
            None => registers.changing(change).map(|made| Once::Now(answer(made))),
        }
    }
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

/// Looks up a call under a key. Before its handler reads anything of it: rules may have changed since it
/// was made, and it is answered as before all the same.
///
/// # Errors
/// The key was used for another request, or the registers cannot be asked.
pub(super) async fn known(
    registers: Arc<RegisterStore>,
    caller: String,
    key: String,
    head: &mut Parts,
    body: Bytes,
) -> Result<Option<Response>, Problem> {
    let method = head.method.clone();
    let target = head.uri.path_and_query().cloned();
    let media_type = head.headers.get(CONTENT_TYPE).cloned();
    // An import is long, so that its digest is made aside.
    let asked = tokio::task::spawn_blocking(move || {
        let target = target.as_ref().map_or("", |target| target.as_str());
        let media_type = media_type.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        let request = [method.as_str().as_bytes(), target.as_bytes(), media_type, &body];
        let call = KeyedCall::new(&caller, &key, &request);
        let before = registers.answered(&call)?;
        Ok::<_, RegistersUnavailable>((call, before))
    });
    let (call, before) = asked.await.map_err(|_| Problem::Unavailable)??;
    head.extensions.insert(Sent(Some(call)));
    Ok(before.transpose()?.map(|answer| answered(Once::Before(answer))))
}

/// Takes out, once a minute, answers that were kept for long enough.
pub async fn keep_forgetting_answers(registers: Arc<RegisterStore>) {
    let mut minute = interval(Duration::from_mins(1));
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minute.tick().await;
        let registers = Arc::clone(&registers);
        let forgotten =
            tokio::task::spawn_blocking(move || registers.forget_answers(Timestamp::now())).await;
        // Nobody is answered by what is over; it only lies there for longer.
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(%error, "answers of the admin API are kept too long");
        }
    }
}

/// The answer to a call that changed the registers now, or before.
pub(super) fn answered(once: Once) -> Response {
    let (KeptAnswer { status, body }, is_repeated) = match once {
        Once::Now(answer) => (answer, false),
        Once::Before(answer) => (answer, true),
    };
    // Only what we kept ourselves gets here.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (status, headers, body).into_response();
    if is_repeated {
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert("idempotency-replayed", replayed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
