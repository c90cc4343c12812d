//! Answers of the admin API that are not a success. Source: RFC 9457.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::registers::{RecordError, RegistersUnavailable, Unknown};

/// Why a request to the admin API was not done. The caller is one of the controller's own programs
/// and is told what is wrong, by field and never by value.
#[derive(Debug)]
pub(super) enum Problem {
    /// No valid token.
    Unauthorized,
    /// A browser, or another name than ours.
    Forbidden(&'static str),
    /// No such route.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// The body is longer than any record.
    TooLarge,
    /// The body is not declared as JSON.
    NotJson,
    /// The body says what cannot be.
    Invalid(String),
    /// The registers cannot be written or read.
    Unavailable,
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Invalid(_) => Self::Invalid(error.to_string()),
            RecordError::Unavailable(_) => Self::Unavailable,
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, detail) = match &self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "a bearer token of the configuration")
            }
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, "forbidden", *why),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "no such route"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "see docs/OPERATIONS.md")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "no record is so long"),
            Self::NotJson => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Content-Type: application/json")
            }
            Self::Invalid(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-record", detail.as_str())
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "registers-unavailable", "try again")
            }
        };
        let document = json!({
            "type": format!("/.well-known/tamis/problems/{code}"),
            "title": code.replace('-', " "),
            "status": status.as_u16(),
            "detail": detail,
        });
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (status, headers, document.to_string()).into_response();
        if matches!(self, Self::Unauthorized) {
            let scheme = HeaderValue::from_static("Bearer realm=\"tamis\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
