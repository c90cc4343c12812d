//! Whether what a backend answers can be minimized, by its head.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::account::Account;
use super::respond;
use super::upstream::Answer;
use crate::decide::Permit;
use crate::observe::Event;
use crate::policy::model::{LinkHeader, Locator, Route};
use crate::terms::{Picture, RefusalReason};

/// Whether the backend had nothing to say, and everybody it could have been about was asked before.
pub(super) fn is_silent(route: &Route, status: StatusCode, is_empty: bool) -> bool {
    let is_named = |locator: &Locator| {
        matches!(locator, Locator::Path(_) | Locator::Query(_) | Locator::Body(_))
    };
    let is_told = |locator: &Locator| is_named(locator) || matches!(locator, Locator::Header(_));
    let all = |is: &dyn Fn(&Locator) -> bool| route.subjects.iter().all(|one| is(&one.locator));
    // Whom a header names is asked about where the rules let a header name somebody.
    let is_known = all(&is_named) || (!route.answer_headers.is_empty() && all(&is_told));
    let is_empty = is_empty && route.request.is_some() && is_success(route, status);
    (status == StatusCode::NO_CONTENT && all(&is_named)) || (is_known && is_empty)
}

/// Whether the backend leads elsewhere, on a route whose rules let it say where; everybody it could be
/// about is named in request or head. What it says beside that is not read.
pub(super) fn is_moved(route: &Route, status: StatusCode) -> bool {
    let in_body = |locator: &Locator| matches!(locator, Locator::Document(_) | Locator::Element(_));
    respond::is_move(status)
        && route.names(LinkHeader::Location)
        && !route.subjects.iter().any(|subject| in_body(&subject.locator))
}

/// Whether a head says that no body follows.
pub(super) fn is_empty(headers: &HeaderMap) -> bool {
    length(headers) == Some(0)
}

/// A request that brings something may be answered by what became of it.
fn is_success(route: &Route, status: StatusCode) -> bool {
    let is_done = status == StatusCode::CREATED || status == StatusCode::ACCEPTED;
    status == StatusCode::OK || (is_done && route.request.is_some())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether an answer is one that can be minimized, by its head.
pub(super) fn fit(
    permit: &Permit,
    answer: &Answer,
    most_bytes: u64,
    account: &Account,
) -> Result<(), RefusalReason> {
    let route = &permit.policy().routes[permit.plan().route_index];
    let upstream = route.upstream.as_ref();
    let status = answer.status;
    if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
        return Err(RefusalReason::NotFound);
    }
    if status.is_client_error() || status.is_server_error() {
        if let Some(upstream) = upstream {
            Event::UpstreamFailed { upstream, kind: "status" }.emit(&account.metrics);
        }
        return Err(RefusalReason::UpstreamError);
    }
    let kind = if !is_success(route, status) {
        "status"
    } else if !is_expected(route, &answer.headers) {
        "media-type"
    } else if length(&answer.headers).is_some_and(|length| length > most_bytes) {
        "size"
    } else {
        return Ok(());
    };
    let (route, decision) = (&permit.plan().route, permit.decision());
    Event::Unfilterable { route, decision, kind }.emit(&account.metrics);
    Err(RefusalReason::Unfilterable)
}

/// JSON, or where the route answers with pictures, one of its kinds.
fn is_expected(route: &Route, headers: &HeaderMap) -> bool {
    if route.media.is_empty() { is_json(headers) } else { picture(route, headers).is_some() }
}

/// The kind of picture that an answer says it is, if it is one of the route's: exactly one
/// `Content-Type`, without parameters.
pub(super) fn picture(route: &Route, headers: &HeaderMap) -> Option<Picture> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let name = value.to_str().ok()?.trim().to_ascii_lowercase();
    Picture::of_media_type(&name).filter(|kind| route.media.contains(kind))
}

/// Exactly one `Content-Type`, of JSON, in UTF-8. Source: RFC 9110 §8.3, RFC 6839 §3.1.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let structured = media_type
        .strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"))
        .is_some_and(|name| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+!#$&^".contains(&byte);
            !name.is_empty() && name.bytes().all(is_name)
        });
    let in_utf8 = |parameter: &str| {
        let parameter = parameter.to_ascii_lowercase();
        matches!(parameter.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
    };
    // Any other parameter could change what the bytes mean.
    (media_type == "application/json" || structured) && parts.all(in_utf8)
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::is_json;

    #[test]
    fn only_json_in_utf_8_is_json() {
        let cases: [(&[&'static str], bool); 19] = [
            (&["application/json"], true),
            (&["Application/JSON; charset=UTF-8"], true),
            (&["application/json;charset=\"utf-8\""], true),
            (&["application/vnd.api+json"], true),
            (&["application/problem+json"], true),
            (&[], false),
            (&[""], false),
            (&["application/json", "application/json"], false),
            (&["application/json, text/html"], false),
            (&["application/json; charset=utf-16"], false),
            (&["application/json; charset=utf-7"], false),
            (&["application/json; charset=utf-8; charset=utf-16"], false),
            (&["application/json; profile=x"], false),
            (&["application/json-seq"], false),
            (&["application/x-ndjson"], false),
            (&["text/json"], false),
            (&["text/html"], false),
            (&["text/event-stream"], false),
            (&["application/+json"], false),
        ];
        for (values, expected) in cases {
            let headers: HeaderMap = values
                .iter()
                .map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)))
                .collect();
            assert_eq!(is_json(&headers), expected, "{values:?}");
        }
    }
}
