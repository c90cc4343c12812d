//! A request's body on its way to a backend: read whole within bounds, held to what the rules ask
//! for, and reduced to the members they name. What is malformed is refused, never passed on.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING,
};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::civil::Date;
use serde_json::Value;
use tokio::time::timeout;

use super::fit::is_json;
use crate::action::pseudonym::{Canonical, Scope, TokenKeys};
use crate::action::{Action, Treatment};
use crate::config::Limits;
use crate::minimize::{Finish, JsonLimits, JsonMinimizer, Minimizer as _, Need, without_doubles};
use crate::policy::Selector;
use crate::policy::model::{Literal, Locator, Must, RequestBody, Route};
use crate::policy::path::Step;
use crate::terms::{DataSubject, Personal, RefusalReason};

/// Whether a length, or chunks, announce a body.
pub(super) fn is_announced(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|length| length.as_bytes() != b"0")
}

/// What the backend is to get of a request's body. `opens`: for each member of the rules, what opens
/// tokens there. One that does not open stands for nobody: what is asked about is not found.
pub(super) async fn reduced(
    rules: &RequestBody,
    opens: &[Option<Arc<TokenKeys>>],
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
) -> Result<Bytes, RefusalReason> {
    announced(headers)?;
    let most = usize::try_from(limits.request_body_bytes).unwrap_or(usize::MAX);
    let whole = timeout(limits.idle_timeout, Limited::new(body, most).collect()).await;
    let whole = whole.map_err(|_| RefusalReason::RequestLate)?;
    let whole = whole.map_err(|_| RefusalReason::RequestBody)?;
    judged(rules, opens, &whole.to_bytes(), limits.json)
}

/// Refuses a body that cannot be judged, by its head.
pub(super) fn announced(headers: &HeaderMap) -> Result<(), RefusalReason> {
    // Chunks have no length to hold them to, and a coding would have to be undone first.
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(RefusalReason::RequestBody);
    }
    if !is_json(headers) || headers.contains_key(CONTENT_ENCODING) {
        return Err(RefusalReason::RequestContent);
    }
    Ok(())
}

/// What the backend is to get of a body that came whole.
pub(super) fn judged(
    rules: &RequestBody,
    opens: &[Option<Arc<TokenKeys>>],
    whole: &[u8],
    limits: JsonLimits,
) -> Result<Bytes, RefusalReason> {
    // Of a member that stands there twice, this reader and the backend could each take another.
    let document = without_doubles(whole).ok_or(RefusalReason::RequestContent)?;
    if !rules.must.iter().all(|must| holds(must, &document)) {
        return Err(RefusalReason::RequestContent);
    }
    reduce(rules, opens, whole, limits).map(Bytes::from)
}

/// The media type of what [`reduced`] gives.
pub(super) const fn media_type() -> (http::HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

/// The people whom a body names that was reduced, by role. One whose place holds no id is missing, and
/// the body is not what is asked for.
pub(super) fn people(
    route: &Route,
    reduced: &[u8],
) -> Result<Vec<(usize, DataSubject)>, RefusalReason> {
    let mut people = Vec::new();
    let mut document = None;
    for (role, subject) in route.subjects.iter().enumerate() {
        let Locator::Body(selector) = &subject.locator else { continue };
        if document.is_none() {
            let read = serde_json::from_slice::<Value>(reduced);
            document = Some(read.map_err(|_| RefusalReason::RequestContent)?);
        }
        let id = match document.as_ref().and_then(|document| found(selector, document)) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return Err(RefusalReason::RequestContent),
        };
        people.push((role, Personal::new(id.into())));
    }
    Ok(people)
}

/// What stands at one place.
fn found<'a>(selector: &Selector, document: &'a Value) -> Option<&'a Value> {
    selector.segments.iter().try_fold(document, |at, segment| match segment.steps.as_slice() {
        [Step::Name(name)] => at.get(name),
        [Step::Index(index)] => at.get(usize::try_from(*index).ok()?),
        _ => None,
    })
}

fn holds(must: &Must, document: &Value) -> bool {
    let found = found(&must.selector, document);
    match &must.value {
        Literal::Bool(expected) => found.and_then(Value::as_bool) == Some(*expected),
        Literal::Integer(expected) => found.and_then(Value::as_i64) == Some(*expected),
        Literal::Text(expected) => found.and_then(Value::as_str) == Some(expected),
    }
}

/// The members that pass, as they stand but for opened tokens; everything else removed.
fn reduce(
    rules: &RequestBody,
    opens: &[Option<Arc<TokenKeys>>],
    body: &[u8],
    limits: JsonLimits,
) -> Result<Vec<u8>, RefusalReason> {
    let treatment = |opens: &Option<Arc<TokenKeys>>| Treatment {
        action: if opens.is_some() { Action::Token } else { Action::Keep },
        key: None,
        scope: Scope::Recipient,
        opens: opens.clone(),
        link: None,
        canonical: Canonical::default(),
        groups: None,
        today: Date::ZERO,
    };
    let treatments = opens.iter().map(treatment).collect();
    let mut minimizer = JsonMinimizer::new(rules.automaton.clone(), treatments, false, limits);
    let mut out = Vec::new();
    let malformed = |_| RefusalReason::RequestContent;
    let fed = minimizer.feed(body, &mut out).map_err(malformed)?;
    let is_whole = fed.consumed == body.len() && matches!(fed.need, Need::Input);
    let finished = matches!(minimizer.finish(&mut out).map_err(malformed)?, Finish::Done);
    if !(is_whole && finished) {
        return Err(RefusalReason::RequestContent);
    }
    // Nothing else is ever blanked here.
    if minimizer.tally().blanked > 0 {
        return Err(RefusalReason::NotFound);
    }
    Ok(out)
}
