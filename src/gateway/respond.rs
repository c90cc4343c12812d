//! Answers that are the gateway's own, and the status of everything: the only place with status codes.
//!
//! A refusal is an RFC 9457 problem document. What outsiders get when a person's statements, or the
//! absence of the person, are the reason is one and the same document whatever the reason was; only
//! internal recipients learn it.

use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    LINK, REFERRER_POLICY, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, STRICT_TRANSPORT_SECURITY, UPGRADE, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::body::{ClientBody, MinimizedBody};
use super::fault::RequestFault;
use super::unread::Unread;
use crate::decide::{Permit, Refusal};
use crate::minimize::Tally;
use crate::policy::Policy;
use crate::policy::model::Conceal;
use crate::terms::{DecisionId, Fault, PurposeId, RefusalReason, Role};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const TAMIS_AGGREGATED: HeaderName = HeaderName::from_static("tamis-aggregated");
const TAMIS_DECISION: HeaderName = HeaderName::from_static("tamis-decision");
const TAMIS_MINIMIZED: HeaderName = HeaderName::from_static("tamis-minimized");
const TAMIS_TERMS: HeaderName = HeaderName::from_static("tamis-terms");

/// Where the documentation of a problem lives, relative to the gateway. Source: RFC 9457 §3.1.1.
pub(super) const PROBLEMS: &str = "/.well-known/tamis/problems/";

/// What outsiders read for every reason that concerns a person.
const NOT_AVAILABLE: (&str, &str) = ("not-available", "There is no such thing for you.");

/// What the plaintext listener answers where it does not redirect.
const PLAINTEXT: (&str, &str) = ("plaintext", "Only HTTPS is answered.");

/// How long a client should wait after a fault of the gateway's own stores, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// How long a person should wait who asked too often, in seconds.
const WINDOW_SECONDS: u64 = 60;

/// The answer to a request that is not understood.
pub(super) fn fault(
    policy: &Policy,
    fault: RequestFault,
    decision: &DecisionId,
) -> Response<ClientBody> {
    let status = match fault {
        RequestFault::Path
        | RequestFault::Query
        | RequestFault::Host
        | RequestFault::Connect
        | RequestFault::Early
        | RequestFault::Header => StatusCode::BAD_REQUEST,
        RequestFault::Handshake => StatusCode::UPGRADE_REQUIRED,
        RequestFault::Origin => StatusCode::FORBIDDEN,
        RequestFault::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        RequestFault::Condition => StatusCode::PRECONDITION_FAILED,
        RequestFault::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        RequestFault::Body => StatusCode::PAYLOAD_TOO_LARGE,
        RequestFault::TargetTooLong => StatusCode::URI_TOO_LONG,
        RequestFault::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    };
    let reason = reason_of(fault);
    let document = problem(reason.code(), &fault.to_string(), status, decision);
    let mut response = with_problem(policy, status, &document);
    if fault == RequestFault::Handshake {
        // Source: RFC 9110 §15.5.22, RFC 6455 §4.4.
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    // What follows on this connection may be a body that nobody reads, or worse.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What the HTTP library has answered to what is no request; 0: nothing, as for whoever leaves.
pub(super) fn unread(unread: Unread) -> u16 {
    match unread {
        Unread::Malformed => StatusCode::BAD_REQUEST.as_u16(),
        Unread::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16(),
        Unread::Preface | Unread::Frames => 0,
    }
}

/// The reason under which a fault is counted and logged.
pub(super) const fn reason_of(fault: RequestFault) -> RefusalReason {
    match fault {
        RequestFault::Body => RefusalReason::RequestBody,
        RequestFault::Path
        | RequestFault::Query
        | RequestFault::Host
        | RequestFault::Misdirected
        | RequestFault::Header
        | RequestFault::Condition
        | RequestFault::Connect
        | RequestFault::Handshake
        | RequestFault::Origin
        | RequestFault::Early
        | RequestFault::TargetTooLong
        | RequestFault::TooManyHeaders
        | RequestFault::Version => RefusalReason::RequestMalformed,
    }
}

/// The answer to a request that is refused. `retry_after`: in how many seconds it may be taken, where
/// that is known.
pub(super) fn refused(
    policy: &Policy,
    refusal: &Refusal,
    retry_after: Option<u64>,
) -> Response<ClientBody> {
    let reason = refusal.reason;
    let is_told = refusal.role.is_some_and(Role::may_learn_reasons);
    if is_concealed(refusal) {
        let status = match policy.conceal_as {
            Conceal::NotFound => StatusCode::NOT_FOUND,
            Conceal::Forbidden => StatusCode::FORBIDDEN,
        };
        let (code, title) = NOT_AVAILABLE;
        return with_problem(policy, status, &problem(code, title, status, &refusal.decision));
    }
    let status = status_of(reason);
    let mut document = problem(reason.code(), title_of(reason), status, &refusal.decision);
    if is_told {
        if let Some(detail) = &refusal.detail {
            document.insert("detail".into(), json!(detail));
        }
        let purposes: Vec<&str> = refusal.purposes.iter().map(PurposeId::as_str).collect();
        if !purposes.is_empty() {
            document.insert("purpose".into(), json!(purposes));
        }
    }
    // Whoever asks for their rights is told where; it stands in the rules, and is about nobody.
    if reason == RefusalReason::OtherController {
        document.insert("controller".into(), json!(refusal.detail));
    }
    let mut response = with_problem(policy, status, &document);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, retry_after.map_or(RETRY_AFTER_SECONDS, HeaderValue::from));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(RETRY_AFTER, retry_after.unwrap_or(WINDOW_SECONDS).into());
    }
    if status == StatusCode::REQUEST_TIMEOUT {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_told {
        insert(headers, TAMIS_DECISION, refusal.decision.as_str());
    }
    response
}

/// So many seconds as a client should wait for this long.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// Whether the reason of a refusal must not be told apart from others.
pub(super) fn is_concealed(refusal: &Refusal) -> bool {
    refusal.reason.concerns_a_subject() && !refusal.role.is_some_and(Role::may_learn_reasons)
}

/// The status of a refusal whose reason may be told.
fn status_of(reason: RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::RecipientUnknown => StatusCode::UNAUTHORIZED,
        RefusalReason::RequestMalformed => StatusCode::BAD_REQUEST,
        RefusalReason::RouteNotCatalogued
        | RefusalReason::PurposeRequired
        | RefusalReason::PurposeNotAllowed
        | RefusalReason::ContractExpired
        | RefusalReason::CaseRequired
        | RefusalReason::OrderRequired
        | RefusalReason::QueryNotCatalogued
        | RefusalReason::QueryOnWithheldField
        | RefusalReason::TransferNotCovered
        | RefusalReason::NotInForce
        | RefusalReason::NothingGranted
        | RefusalReason::ConsentMissing
        | RefusalReason::ConsentStale
        | RefusalReason::ConsentUnknown
        | RefusalReason::NoticeMissing
        | RefusalReason::Restricted
        | RefusalReason::Erased
        | RefusalReason::Objected
        | RefusalReason::Minor
        | RefusalReason::NotAParty
        | RefusalReason::NotNamed
        | RefusalReason::TransferOfSubject
        | RefusalReason::RetentionOver
        | RefusalReason::Dropped => StatusCode::FORBIDDEN,
        RefusalReason::NotFound => StatusCode::NOT_FOUND,
        RefusalReason::OtherController => StatusCode::CONFLICT,
        RefusalReason::Unfilterable
        | RefusalReason::AggregateGuard
        | RefusalReason::UpstreamUnavailable
        | RefusalReason::UpstreamError => StatusCode::BAD_GATEWAY,
        RefusalReason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        RefusalReason::RateLimited
        | RefusalReason::RecipientRate
        | RefusalReason::SubjectBudget => StatusCode::TOO_MANY_REQUESTS,
        // The second has begun whenever it is late, so that no client is sent this status.
        RefusalReason::RequestLate | RefusalReason::AnswerLate => StatusCode::REQUEST_TIMEOUT,
        RefusalReason::RequestBody => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalReason::RequestContent => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalReason::LedgerUnavailable
        | RefusalReason::RegisterStale
        | RefusalReason::UpstreamSuspended
        | RefusalReason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        RefusalReason::PolicyInvalid => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// One sentence for people. Source: RFC 9457 §3.1.3: it does not change between occurrences.
const fn title_of(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::RecipientUnknown => "The caller is not known.",
        RefusalReason::RequestMalformed => "The request is not understood.",
        RefusalReason::RouteNotCatalogued => "No such route.",
        RefusalReason::PurposeRequired => "Say what the data are for.",
        RefusalReason::PurposeNotAllowed => "The caller may not use data for this purpose here.",
        RefusalReason::ContractExpired => "There is no contract in date.",
        RefusalReason::CaseRequired => "The purpose needs a case.",
        RefusalReason::OrderRequired => "The caller needs a registered order.",
        RefusalReason::QueryNotCatalogued => "A query parameter is not known.",
        RefusalReason::QueryOnWithheldField => "A query parameter is not for this caller.",
        RefusalReason::TransferNotCovered => "Data may not go to the caller's country.",
        RefusalReason::NotInForce => "The route is only observed; nothing of it leaves.",
        RefusalReason::NothingGranted => "Nothing is released to this caller for this purpose.",
        RefusalReason::ConsentMissing => "The data subject has not consented.",
        RefusalReason::ConsentStale => "The data subject consented to an earlier text.",
        RefusalReason::ConsentUnknown => "Whether the data subject consented is not known now.",
        RefusalReason::NoticeMissing => "The data subject was not told.",
        RefusalReason::Restricted => "Processing is restricted.",
        RefusalReason::Erased => "The data subject was erased.",
        RefusalReason::Objected => "The data subject objected.",
        RefusalReason::Minor => "The data subject is not known to be of age.",
        RefusalReason::NotAParty => "The caller is no party.",
        RefusalReason::NotNamed => "The order or case does not name this person.",
        RefusalReason::RetentionOver => "The retention period is over.",
        RefusalReason::Dropped => "The rules drop what holds such a member.",
        RefusalReason::TransferOfSubject => "No mechanism covers the transfer.",
        RefusalReason::NotFound => "The backend has no such thing.",
        RefusalReason::Unfilterable => "The backend's answer cannot be minimized.",
        RefusalReason::AggregateGuard => "The backend's counts are not what the rules say.",
        RefusalReason::UpstreamUnavailable => "The backend is not available.",
        RefusalReason::OtherController => "Another controller answers this.",
        RefusalReason::UpstreamTimeout => "The backend took too long.",
        RefusalReason::UpstreamError => "The backend reported an error.",
        RefusalReason::UpstreamSuspended => {
            "The backend keeps failing and is not asked for a while."
        }
        RefusalReason::RequestBody => "A request body is not accepted here.",
        RefusalReason::RequestContent => "The request's body is not what is asked for.",
        RefusalReason::RequestLate => "The request's body was not whole in time.",
        RefusalReason::AnswerLate => "The answer was not taken in time.",
        RefusalReason::LedgerUnavailable => "The disclosure could not be recorded.",
        RefusalReason::RegisterStale => "The registers are not available.",
        RefusalReason::RateLimited => "Asked too often; try again in a minute.",
        RefusalReason::RecipientRate => {
            "Asked too often or too much at once; try again in a second."
        }
        RefusalReason::SubjectBudget => "Told of as many people within an hour as is allowed.",
        RefusalReason::Overloaded => "Too many requests at once.",
        RefusalReason::PolicyInvalid => "The gateway has a fault.",
    }
}

/// What a problem's `type` leads to: what it means and who has to act. About nobody, and the same for
/// everyone. Source: RFC 9457 §3.1.1.
pub(super) fn described(code: &str) -> Option<Map<String, Value>> {
    let (title, status, fault) = if code == NOT_AVAILABLE.0 {
        (NOT_AVAILABLE.1, None, Fault::Client)
    } else if code == PLAINTEXT.0 {
        (PLAINTEXT.1, Some(StatusCode::FORBIDDEN), Fault::Client)
    } else {
        let reason = RefusalReason::ALL.into_iter().find(|reason| reason.code() == code)?;
        (title_of(reason), Some(status_of(reason)), reason.fault())
    };
    let who = match fault {
        Fault::Client => "client",
        Fault::Upstream => "backend",
        Fault::Operator => "operator",
    };
    let mut document = Map::new();
    document.insert("type".into(), json!(format!("{PROBLEMS}{code}")));
    document.insert("title".into(), json!(title));
    // The rules choose it where the answer must not tell why.
    if let Some(status) = status {
        document.insert("status".into(), json!(status.as_u16()));
    }
    document.insert("who_has_to_act".into(), json!(who));
    Some(document)
}

/// The answer that releases: minimized, or without a body.
pub(super) fn released(
    permit: &Permit,
    came_of_it: StatusCode,
    passed: HeaderMap,
    tally: Option<&Tally>,
    body: Released,
) -> Response<ClientBody> {
    let policy = permit.policy();
    // What a request brought may have been made or only taken; other answers are one to a client.
    let done = match came_of_it {
        StatusCode::CREATED | StatusCode::ACCEPTED => Some(came_of_it),
        _ => is_move(came_of_it).then_some(came_of_it),
    };
    let has_content = !matches!(
        body,
        Released::NoContent | Released::Unchanged | Released::Switched | Released::Connected
    );
    let (status, body) = match body {
        Released::Body(body) => (done.unwrap_or(StatusCode::OK), ClientBody::Minimized(body)),
        Released::HeadOnly => (StatusCode::OK, ClientBody::Empty),
        Released::Unchanged => (StatusCode::NOT_MODIFIED, ClientBody::Empty),
        Released::Switched => (StatusCode::SWITCHING_PROTOCOLS, ClientBody::Empty),
        Released::Connected => (StatusCode::OK, ClientBody::Empty),
        Released::NoContent => (done.unwrap_or(StatusCode::NO_CONTENT), ClientBody::Empty),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(passed);
    if has_content {
        headers.entry(CONTENT_TYPE).or_insert_with(|| HeaderValue::from_static("application/json"));
    }
    if permit.role().may_learn_reasons() {
        insert(headers, TAMIS_DECISION, permit.decision().as_str());
        // Only where the whole body was minimized before the head: counts of a part mislead.
        if let Some(tally) = tally {
            let dropped: u64 = tally.elements_dropped.values().sum();
            let counts = format!(
                "removed={}, blanked={}, dropped={dropped}",
                tally.removed(),
                tally.blanked
            );
            insert(headers, TAMIS_MINIMIZED, &counts);
        }
    }
    let route = &policy.routes[permit.plan().route_index];
    if let Some(aggregate) = &route.aggregate {
        insert(headers, TAMIS_AGGREGATED, &format!("k={}, round={}", aggregate.k, aggregate.round));
    }
    if policy.terms_header_roles.contains(&permit.role()) {
        let purposes: Vec<&str> = permit.purposes().iter().map(PurposeId::as_str).collect();
        let terms =
            format!("purposes=({}), policy=\"{}\"", purposes.join(" "), policy.digest.hex());
        insert(headers, TAMIS_TERMS, &terms);
    }
    if let Some(link) =
        policy.policy_link.as_ref().filter(|link| link.to.contains(permit.recipient()))
    {
        // Beside those of the backend that may leave.
        if let Ok(link) = HeaderValue::from_str(&format!("<{}>; rel=\"privacy-policy\"", link.path))
        {
            headers.append(LINK, link);
        }
    }
    own_headers(headers, policy);
    response
}

/// Whether a status says that the answer is elsewhere, and nothing else. Source: RFC 9110 §15.4.
pub(super) fn is_move(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Whether an answer opens a tunnel.
pub(super) fn is_switched<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// Makes of an answer that would open a tunnel one that does not: something came behind the handshake.
pub(super) fn unswitch<B>(response: &mut Response<B>) {
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    for name in [UPGRADE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL] {
        headers.remove(name);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// An answer that the gateway gives itself and that is about nobody.
pub(super) fn served(policy: &Policy, document: &Map<String, Value>) -> Response<ClientBody> {
    let text = Value::Object(document.clone()).to_string();
    let mut response = Response::new(ClientBody::own(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own_headers(headers, policy);
    response
}

/// A receipt: what was asked is taken, and somebody will see to it.
pub(super) fn taken(policy: &Policy, document: &Map<String, Value>) -> Response<ClientBody> {
    let mut response = served(policy, document);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// What a released answer carries.
pub(super) enum Released {
    /// A minimized body.
    Body(MinimizedBody),
    /// The head alone, for `HEAD`.
    HeadOnly,
    /// The client holds the minimized body already.
    Unchanged,
    /// Nothing: bytes of another protocol pass from now on.
    Switched,
    /// The same on a stream of HTTP/2. Source: RFC 8441 §5.
    Connected,
    /// The backend had nothing to say.
    NoContent,
}

fn problem(
    code: &str,
    title: &str,
    status: StatusCode,
    decision: &DecisionId,
) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("type".into(), json!(format!("{PROBLEMS}{code}")));
    document.insert("title".into(), json!(title));
    document.insert("status".into(), json!(status.as_u16()));
    document.insert("instance".into(), json!(decision.as_str()));
    document
}

fn with_problem(
    policy: &Policy,
    status: StatusCode,
    document: &Map<String, Value>,
) -> Response<ClientBody> {
    let text = Value::Object(document.clone()).to_string();
    let mut response = Response::new(ClientBody::own(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    own_headers(headers, policy);
    response
}

/// Fields that every answer carries.
fn own_headers(headers: &mut HeaderMap, policy: &Policy) {
    // What one recipient gets is not for the next one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(
        VARY,
        HeaderValue::from_static(
            "Authorization, Tamis-Api-Key, Tamis-Purpose, Tamis-Case, Tamis-Order, Sec-GPC, Accept-Language, Accept-Encoding, \
             Cookie, Origin, Referer, Sec-Fetch-Site",
        ),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    if let Some(page) = &policy.page_headers {
        // Whatever an answer is taken for, nothing of others is loaded beside it or around it.
        let nothing = "default-src 'none'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(nothing));
        let told = [
            (REFERRER_POLICY, &page.referrer_policy),
            (PERMISSIONS_POLICY, &page.permissions_policy),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                insert(headers, name, value);
            }
        }
    }
    if let Some(seconds) = policy.hsts.and_then(seconds) {
        insert(
            headers,
            STRICT_TRANSPORT_SECURITY,
            &format!("max-age={seconds}; includeSubDomains"),
        );
    }
}

/// A span in seconds; a year is one from the start of 2026.
pub(super) fn seconds(span: jiff::Span) -> Option<i64> {
    let start = civil::date(2026, 1, 1).at(0, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).ok()?;
    let end = start.checked_add(span).ok()?;
    Some(end.timestamp().as_second() - start.timestamp().as_second()).filter(|seconds| *seconds > 0)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Values are ids of our own and names of the rules; one that is no header value is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The answer of the plaintext listener: the same place over TLS. Keeps the method (308).
pub(super) fn moved(location: &str) -> Option<Response<ClientBody>> {
    let mut response = Response::new(ClientBody::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = HeaderValue::from_str(location).ok()?;
    let headers = response.headers_mut();
    headers.insert(http::header::LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Some(response)
}

/// What an authority asks for on the plaintext listener. Source: RFC 8555 §8.3.
pub(super) fn challenge(said: String) -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::own(said));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer of the plaintext listener to everything that it does not redirect.
pub(super) fn plaintext_refused() -> Response<ClientBody> {
    let status = StatusCode::FORBIDDEN;
    let document = json!({
        "type": format!("{PROBLEMS}{}", PLAINTEXT.0),
        "title": PLAINTEXT.1,
        "status": status.as_u16(),
    });
    let mut response = Response::new(ClientBody::own(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer when an exchange ended in a defect of our own.
pub(super) fn defect(policy: &Policy) -> Response<ClientBody> {
    let reason = RefusalReason::PolicyInvalid;
    let status = status_of(reason);
    let document = json!({
        "type": format!("{PROBLEMS}{}", reason.code()),
        "title": title_of(reason),
        "status": status.as_u16(),
    });
    let document = document.as_object().cloned().unwrap_or_default();
    with_problem(policy, status, &document)
}
