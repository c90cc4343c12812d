//! Calls to the authority's directory: https, its certificate checked, bounded in time and size, and with
//! an eye on when it wants to be asked again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};
use http_body_util::Limited;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::super::tls::{self, TlsError};
use crate::config::AcmeConfig;

/// From the first byte out to the head in.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// Largest answer that is read.
const MOST: usize = 1 << 20;

/// Longest wait that an authority may ask for.
const LONGEST: Duration = Duration::from_hours(24);

/// Calls.
#[derive(Clone)]
pub(super) struct Calls {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    /// Not before this.
    again: Arc<Mutex<Option<SystemTime>>>,
}

impl Calls {
    /// Prepares them. Nothing is connected yet.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, TlsError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new();
        let builder = match &config.ca {
            Some(file) => builder.with_tls_config(
                ClientConfig::builder_with_provider(tls::provider())
                    .with_protocol_versions(tls::VERSIONS)
                    .map_err(TlsError::Versions)?
                    .with_root_certificates(tls::roots(file)?)
                    .with_no_client_auth(),
            ),
            None => builder
                .with_provider_and_webpki_roots(tls::provider())
                .map_err(TlsError::Versions)?,
        };
        let connector = builder.https_only().enable_http1().wrap_connector(http);
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
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
        let (asked, again) = (self.client.request(request), Arc::clone(&self.again));
        Box::pin(async move {
            let late = |_| Error::Other("no answer in time".into());
            let answer = timeout(PATIENCE, asked).await.map_err(late)?;
            let answer = answer.map_err(|error| Error::Other(error.into()))?;
            if matches!(answer.status().as_u16(), 429 | 503) {
                let wait = retry_after(answer.headers());
                let at = wait.and_then(|wait| SystemTime::now().checked_add(wait));
                *again.lock().unwrap_or_else(PoisonError::into_inner) = at;
            }
            Ok(answer.map(|body| Limited::new(body, MOST)).into())
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
