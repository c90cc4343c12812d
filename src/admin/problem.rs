//! Answers of the admin API that are not a success. Source: RFC 9457.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::registers::{
    ANSWERS_KEPT, BulkError, NotOnce, RecordError, RegistersUnavailable, Unknown, WrongLine,
};

/// Why a request to the admin API was not done. The caller is one of the controller's own programs
/// and is told what is wrong, by field and never by value.
#[derive(Debug)]
pub(super) enum Problem {
    /// No credentials of a caller.
    Unauthorized,
    /// A browser, or another name than ours.
    Forbidden(&'static str),
    /// The caller has no role that may do this.
    WrongRole,
    /// No such route, or nothing of this id.
    NotFound,
    /// The route has no such method; those that it has.
    MethodNotAllowed(String),
    /// The body is longer than any record.
    TooLarge,
    /// The body is not declared as JSON.
    NotJson,
    /// The body says what cannot be.
    Invalid(String),
    /// The idempotency key was used for another request.
    KeyReused,
    /// Lines of an import are wrong: the first of them, and how many there are in all.
    Wrong(Vec<WrongLine>, usize),
    /// The caller's share of the minute is used up; how long to wait.
    TooMany(Duration),
    /// As many reports are being made and waited for, or exports made, as there may be.
    Busy,
    /// The registers cannot be written or read.
    Unavailable,
    /// The ledger takes no entry, without which nobody's data are told.
    NotEntered,
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Invalid(_) => Self::Invalid(error.to_string()),
            RecordError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Wrong { lines, count } => Self::Wrong(lines, count),
            BulkError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<NotOnce> for Problem {
    fn from(why: NotOnce) -> Self {
        match why {
            NotOnce::OtherRequest => Self::KeyReused,
            NotOnce::TooMany => Self::TooMany(ANSWERS_KEPT),
        }
    }
}

impl From<RegistersUnavailable> for Problem {
    fn from(_: RegistersUnavailable) -> Self {
        Self::Unavailable
    }
}

impl From<Unknown> for Problem {
    fn from(error: Unknown) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Problem {
    /// Status, code and words.
    fn parts(&self) -> (StatusCode, &'static str, &str) {
        match self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "no credentials of a known caller")
            }
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, "forbidden", why),
            Self::WrongRole => {
                (StatusCode::FORBIDDEN, "wrong-role", "none of the caller's roles may do this")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "no such route, or no such id"),
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "see docs/OPERATIONS.md")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "no record is so long"),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "Content-Type: application/json, in UTF-8",
            ),
            Self::Invalid(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-record", detail.as_str())
            }
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "Idempotency-Key: it was used for another request",
            ),
            Self::Wrong(..) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-lines",
                "lines are wrong; nothing was taken",
            ),
            Self::TooMany(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many", "this caller's share is used up")
            }
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many reports or exports are being made",
            ),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "registers-unavailable", "try again")
            }
            Self::NotEntered => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ledger-unavailable",
                "nothing is told without an entry in the ledger",
            ),
        }
    }

    /// The header that goes with it, if one does.
    fn header(&self) -> Option<(http::HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tamis\"")))
            }
            Self::MethodNotAllowed(methods) => Some((ALLOW, methods.parse().ok()?)),
            Self::TooMany(wait) => {
                // Whole seconds, and never zero: who comes back at once is refused again.
                Some((RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1))))
            }
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("10"))),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        let mut document = json!({
            "type": format!("/.well-known/tamis/problems/{code}"),
            "title": code.replace('-', " "),
            "status": status.as_u16(),
            "detail": detail,
        });
        if let Self::Wrong(lines, count) = &self {
            let named = lines.iter().map(|wrong| json!({"line": wrong.line, "why": wrong.why}));
            document["errors"] = named.collect();
            document["count"] = (*count).into();
        }
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (status, headers, document.to_string()).into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
