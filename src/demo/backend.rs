//! One backend on a socket, and what the three have in common: how they answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::people::{People, Person};
use super::{locks, marketplace, payments};

/// Which backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendKind {
    /// Customers and their payments, behind the policy `webllet`.
    Payments,
    /// Door locks and their owners, behind the policy `we-lock`.
    Locks,
    /// Members of a marketplace and their orders, behind the policy `letsmasak`.
    Marketplace,
}

impl BackendKind {
    /// The backend's routes.
    pub fn router(self, people: Arc<People>) -> Router {
        match self {
            Self::Payments => payments::router(people),
            Self::Locks => locks::router(people),
            Self::Marketplace => marketplace::router(people),
        }
    }
}

/// A backend that answers until it is dropped.
pub struct Backend {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Backend {
    /// Starts to answer on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn start(
        kind: BackendKind,
        people: Arc<People>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = kind.router(people);
        // `axum::serve` retries failed accepts by itself and ends with the task.
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer with a body, and the headers of a careless backend around it.
pub(super) fn answer(json: String, about: Option<&Person>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::SERVER, HeaderValue::from_static("demo-backend/0.3 (debug)"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"demo-1\""));
    if let Some(person) = about {
        let leaks = [
            (HeaderName::from_static("x-account-email"), person.email.clone()),
            (header::SET_COOKIE, format!("last_seen={}; Path=/", person.public_id)),
            (header::LINK, format!("</profile?mail={}>; rel=\"author\"", person.email)),
        ];
        for (name, value) in leaks {
            // A planted value may hold what a header cannot; then that header is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
    }
    (StatusCode::OK, headers, json).into_response()
}

/// "No such record", with an error page that says whom it was asked for.
pub(super) fn no_such(what: &str, id: &str) -> Response {
    let json = super::json_text::Object::new()
        .text("error", &format!("no {what} {id}"))
        .text("hint", "ask testina.support@example.invalid")
        .finish();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn fetch(kind: BackendKind, path: &str) -> (StatusCode, String) {
        let router = kind.router(Arc::new(People::from_seed(3, 80)));
        let request = Request::get(path).body(Body::empty()).expect("plain request");
        let answer = router.oneshot(request).await.expect("infallible");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("in memory").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn every_backend_answers_in_json_and_knows_more_than_the_rules_do() {
        use BackendKind::{Locks, Marketplace, Payments};
        let cases = [
            (Marketplace, "/v2/users/u-1001", "internal_notes"),
            (Marketplace, "/v2/users?limit=80&approved_for=x", "new_backend_field"),
            (Marketplace, "/v2/users/u-1001/activity", "remote_ip"),
            (Marketplace, "/v2/orders/o-1002", "payout_account"),
            (Marketplace, "/v2/reviews?product=wok", "email"),
            (Marketplace, "/v2/enquiries/e-1003", "agent_memo"),
            (Marketplace, "/v2/insights/segments", "clicks"),
            (Payments, "/v1/customers/c-1001", "new_backend_field"),
            (Payments, "/v1/customers/c-1001/payments", "reconciliation_memo"),
            (Payments, "/v1/newsletter/recipients", "total"),
            (Payments, "/v1/analytics/visits", "visitor_id"),
            (Payments, "/v1/tickets/t-1001", "raw_headers"),
            (Locks, "/api/account/w-1001", "new_backend_field"),
            (Locks, "/api/locks/lock-1001", "installer_memo"),
            (Locks, "/api/locks/lock-1001/events", "full_name"),
            (Locks, "/api/photos/photo-1001/meta", "caption"),
            (Locks, "/api/surveys/s1/answers", "comment"),
            (Locks, "/api/notices/recall/recipients", "total"),
            (Locks, "/api/service-logs", "viewed"),
            (Locks, "/api/ads/profiles", "cookie_id"),
            (Locks, "/api/audiences", "count"),
        ];
        for (kind, path, member) in cases {
            let (status, body) = fetch(kind, path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            serde_json::from_str::<serde_json::Value>(&body).expect(path);
            assert!(body.contains(&format!("\"{member}\":")), "{path}");
        }
    }

    #[tokio::test]
    async fn odd_people_are_odd_in_lawful_json() {
        for number in (1011..1081).step_by(10) {
            for (kind, path) in [
                (BackendKind::Marketplace, format!("/v2/users/u-{number}")),
                (BackendKind::Payments, format!("/v1/customers/c-{number}")),
                (BackendKind::Locks, format!("/api/account/w-{number}")),
            ] {
                let (status, body) = fetch(kind, &path).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                serde_json::from_str::<serde_json::Value>(&body).expect(&path);
            }
        }
        let (_, body) = fetch(BackendKind::Marketplace, "/v2/users/u-1031").await;
        assert!(body.contains(r#""em\u0061il""#), "{body}");
    }

    #[tokio::test]
    async fn the_list_counts_everyone_after_the_list() {
        let (_, body) = fetch(BackendKind::Marketplace, "/v2/users?limit=3").await;
        let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(value["users"].as_array().map(Vec::len), Some(3));
        assert_eq!(value["total"], 80);
        assert!(body.find("\"total\"") > body.find("\"users\""));
    }

    #[tokio::test]
    async fn a_stranger_is_not_found() {
        for path in ["/v2/users/u-1", "/v2/users/c-1001", "/v2/users/u-99999", "/nothing"] {
            assert_eq!(fetch(BackendKind::Marketplace, path).await.0, StatusCode::NOT_FOUND);
        }
    }
}
