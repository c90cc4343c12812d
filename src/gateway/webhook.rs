//! Calls receivers of notices: signed, to the address that the rules name and no other, one attempt at a
//! time. What they answer beside a status is not read.
//! Source: Standard Webhooks 1.0.0.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::files::Seen;
use super::start::StartError;
use super::tls::{self, TlsError};
use crate::config::{Config, WebhookConfig};
use crate::keys::WebhookSecret;
use crate::policy::Policy;
use crate::policy::model::ErasureNotice;
use crate::terms::RecipientId;

/// From the first byte out to the status in. Shorter than the shortest pause between two attempts.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The same over all attempts: whoever has seen it has been told.
const ID: HeaderName = HeaderName::from_static("webhook-id");

/// Of this attempt, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Why a receiver was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebhookFault {
    /// No connection, or none that proves who answers.
    Connect,
    /// Too slow.
    Timeout,
    /// It broke off, or did not speak HTTP.
    Broken,
    /// It answered with another status than 2xx. Redirects are not followed.
    Status,
}

impl WebhookFault {
    /// The stable code for logs and metrics.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status => "status",
        }
    }
}

/// All receivers.
pub(super) struct Webhooks(BTreeMap<RecipientId, Webhook>);

struct Webhook {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    secret: WebhookSecret,
}

impl Webhooks {
    /// Prepares a call to each recipient that `policy` tells of erasures.
    pub(super) fn read(
        policy: &Policy,
        config: &Config,
        seen: &mut Seen,
    ) -> Result<Self, StartError> {
        let mut webhooks = BTreeMap::new();
        for (id, notice) in &policy.registers.erasure_notices {
            let config =
                config.webhooks.get(id).ok_or_else(|| StartError::NoWebhook(id.to_string()))?;
            seen.note(&config.secret);
            if let Some(ca) = &config.ca {
                seen.note(ca);
            }
            webhooks.insert(id.clone(), Webhook::new(id, notice, config)?);
        }
        Ok(Self(webhooks))
    }

    /// Sends `body` once. `id` is that of what it says.
    pub(super) async fn call(
        &self,
        recipient: &RecipientId,
        (id, now): (&str, Timestamp),
        body: Vec<u8>,
    ) -> Result<(), WebhookFault> {
        let webhook = self.0.get(recipient).ok_or(WebhookFault::Connect)?;
        let second = now.as_second();
        let request = Request::post(&webhook.url)
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("tamis/", env!("CARGO_PKG_VERSION")))
            .header(ID, id)
            .header(TIMESTAMP, second)
            .header(SIGNATURE, webhook.secret.sign(id, second, &body))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| WebhookFault::Broken)?;
        let answer = timeout(PATIENCE, webhook.client.request(request))
            .await
            .map_err(|_| WebhookFault::Timeout)?
            .map_err(|error| {
                if error.is_connect() { WebhookFault::Connect } else { WebhookFault::Broken }
            })?;
        if answer.status().is_success() { Ok(()) } else { Err(WebhookFault::Status) }
    }
}

impl Webhook {
    fn new(
        id: &RecipientId,
        notice: &ErasureNotice,
        config: &WebhookConfig,
    ) -> Result<Self, StartError> {
        let url: Uri = notice.url.parse().map_err(|_| StartError::WebhookUrl(id.to_string()))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)
            .map_err(TlsError::Versions)?;
        let builder = match &config.ca {
            Some(file) => HttpsConnectorBuilder::new().with_tls_config(
                builder.with_root_certificates(tls::roots(file)?).with_no_client_auth(),
            ),
            None => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(tls::provider())
                .map_err(TlsError::Versions)?,
        };
        let builder = if notice.plaintext { builder.https_or_http() } else { builder.https_only() };
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(builder.enable_http1().wrap_connector(http));
        Ok(Self { url, client, secret: WebhookSecret::open(&config.secret)? })
    }
}
