//! Calls to the authority's directory: by the client of all services outside, and with an eye on when the
//! authority wants to be asked again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::config::AcmeConfig;
use crate::https::{Bounds, HttpsClient, Schemes, Trust, TrustError};

/// What one call may cost.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(10),
    total: Duration::from_secs(30),
    answer_bytes: 1 << 20,
    kept: 1,
};

/// Longest wait that an authority may ask for.
const LONGEST: Duration = Duration::from_hours(24);

/// Calls.
#[derive(Clone)]
pub(super) struct Calls {
    client: HttpsClient,
    /// Not before this.
    again: Arc<Mutex<Option<SystemTime>>>,
}

impl Calls {
    /// Prepares them. Nothing is connected yet.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, TrustError> {
        let client = HttpsClient::new(&Trust::by(config.ca.clone()), Schemes::HttpsOnly, BOUNDS)?;
        Ok(Self { client, again: Arc::default() })
    }

    /// How long the authority wants to be left alone, if it said so since it was last looked.
    pub(super) fn wait(&self) -> Option<Duration> {
        let at = self.again.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        at.duration_since(SystemTime::now()).ok().map(|wait| wait.min(LONGEST))
    }
}

impl HttpClient for Calls {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (client, again) = (self.client.clone(), Arc::clone(&self.again));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| Error::Other(error.into()))?;
            let asked = client.call(Request::from_parts(head, body.to_bytes())).await;
            let answer = asked.map_err(|fault| Error::Other(fault.into()))?;
            if matches!(answer.status.as_u16(), 429 | 503) {
                let wait = retry_after(&answer.headers);
                let at = wait.and_then(|wait| SystemTime::now().checked_add(wait));
                *again.lock().unwrap_or_else(PoisonError::into_inner) = at;
            }
            let mut response = Response::new(Full::new(Bytes::copy_from_slice(&answer.body)));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response.into())
        })
    }
}

/// In seconds, or as a date. Source: RFC 9110 §10.2.3.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()?;
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_says_when_in_seconds_or_by_a_date() {
        let after = |text: &str| {
            let value = text.parse().expect("a header");
            retry_after(&[(RETRY_AFTER, value)].into_iter().collect())
        };
        assert_eq!(after("120"), Some(Duration::from_mins(2)));
        assert_eq!(after("99999999999"), Some(LONGEST));
        assert_eq!(after("Sun, 31 Dec 2299 23:59:59 GMT"), Some(LONGEST));
        assert_eq!(after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(after("soon"), None);
    }
}
