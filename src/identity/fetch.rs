//! Fetches a key set: https only, to the configured address only (no redirects), bounded in size and
//! time. What comes back is bytes; whether they are keys is decided elsewhere.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};

use super::issuer::SET_BYTES;
use crate::https::{Bounds, CallFault, HttpsClient, Schemes, Trust, TrustError};

/// A key set is waited for by nobody: it is fetched beside the requests. An answer to each call, since
/// the next one is a quarter of an hour away.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    answer_bytes: SET_BYTES,
    kept: 0,
};

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is no https URL.
    #[error("not an https URL")]
    NotHttps,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Trust(#[from] TrustError),
    /// There was no answer that counts.
    #[error(transparent)]
    Call(#[from] CallFault),
}

/// Fetches one key set.
pub(super) struct KeyFetcher {
    url: Uri,
    client: HttpsClient,
}

impl KeyFetcher {
    pub(super) fn new(url: Uri, authorities: Option<&Path>) -> Result<Self, FetchError> {
        if url.scheme_str() != Some("https") || url.host().is_none() {
            return Err(FetchError::NotHttps);
        }
        let trust = Trust::by(authorities.map(Path::to_owned));
        Ok(Self { url, client: HttpsClient::new(&trust, Schemes::HttpsOnly, BOUNDS)? })
    }

    pub(super) async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())
            .map_err(|_| FetchError::NotHttps)?;
        let answer = self.client.call(request).await?.success()?;
        Ok(answer.body.to_vec())
    }
}
