//! Calls receivers of notices: signed, to the address that the rules name and no other, one attempt at a
//! time. What they answer beside a status is not read.
//! Source: Standard Webhooks 1.0.0.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request, Uri};
use jiff::Timestamp;

use super::files::Seen;
use super::start::StartError;
use crate::config::{Config, WebhookConfig};
use crate::https::{Bounds, CallFault, HttpsClient, Schemes, Trust};
use crate::keys::WebhookSecret;
use crate::policy::Policy;
use crate::policy::model::ErasureNotice;
use crate::terms::RecipientId;

/// Shorter than the shortest pause between two attempts. Of what is answered, only the status is read.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(20),
    answer_bytes: 0,
    kept: 0,
};

/// The same over all attempts: whoever has seen it has been told.
const ID: HeaderName = HeaderName::from_static("webhook-id");

/// Of this attempt, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// All receivers.
pub(super) struct Webhooks(BTreeMap<RecipientId, Webhook>);

struct Webhook {
    url: Uri,
    client: HttpsClient,
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
    ) -> Result<(), CallFault> {
        let webhook = self.0.get(recipient).ok_or(CallFault::Connect)?;
        let second = now.as_second();
        let request = Request::post(&webhook.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ID, id)
            .header(TIMESTAMP, second)
            .header(SIGNATURE, webhook.secret.sign(id, second, &body))
            .body(Bytes::from(body))
            .map_err(|_| CallFault::Broken)?;
        webhook.client.deliver(request).await
    }
}

impl Webhook {
    fn new(
        id: &RecipientId,
        notice: &ErasureNotice,
        config: &WebhookConfig,
    ) -> Result<Self, StartError> {
        let url: Uri = notice.url.parse().map_err(|_| StartError::WebhookUrl(id.to_string()))?;
        let schemes = if notice.plaintext { Schemes::HttpToo } else { Schemes::HttpsOnly };
        let client = HttpsClient::new(&Trust::by(config.ca.clone()), schemes, BOUNDS)?;
        Ok(Self { url, client, secret: WebhookSecret::open(&config.secret)? })
    }
}
