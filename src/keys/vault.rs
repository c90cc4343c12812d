//! A key wrapped and unwrapped by the Transit engine of HashiCorp Vault, or of what speaks as it does
//! (OpenBao). The key that wraps never leaves it, and it keeps who asked for what.
//!
//! Source: Vault's HTTP API, "Transit Secrets Engine": encrypt and decrypt.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request, Uri};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::sealed::{KEY_BYTES, SealingKey};
use super::token::{ServiceToken, ServiceTokenError};
use crate::https::{Bounds, CallFault, HttpsClient, Schemes, Trust, TrustError};

/// A start waits so long; an answer is a few hundred bytes.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    answer_bytes: 64 << 10,
    kept: 0,
};

/// Who asks.
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// Part of a Vault that is one of several; of Vault Enterprise, HCP and OpenBao.
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// Says that the request is no forged one of a browser; some servers ask for it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// What every wrapped key begins with.
const WRAPPED: &str = "vault:v";

/// Longest wrapped key: that of an RSA key of 4096 bits has 700 bytes.
const WRAPPED_BYTES: usize = 4096;

/// A key of a Transit engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultTransit {
    /// `https://host:port`; no path.
    pub url: Uri,
    /// Where the engine is mounted, as `transit`.
    pub mount: String,
    /// The key's name.
    pub key: String,
    /// In which namespace; `None`: there is one.
    pub namespace: Option<String>,
    /// The file with the token. It needs `update` on `MOUNT/decrypt/KEY`, and on `MOUNT/encrypt/KEY` where
    /// rings are sealed.
    pub token: PathBuf,
    /// How Vault is known, and how the gateway shows who asks.
    pub tls: Trust,
}

/// Why a key could not be wrapped or unwrapped. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    /// Certificates cannot be used.
    #[error("TLS towards Vault cannot be set up")]
    Trust(#[from] TrustError),
    /// The token cannot be used.
    #[error("no token for Vault")]
    Token(#[from] ServiceTokenError),
    /// There was no answer that counts.
    #[error("Vault: {0}")]
    Call(#[from] CallFault),
    /// It answered something else than it documents.
    #[error("Vault answers without what it was asked for")]
    Malformed,
    /// What was unwrapped is no key of 256 bits.
    #[error("Vault unwraps something that is no key of ours")]
    Length,
    /// There is no thread or socket to ask from.
    #[error("Vault cannot be asked")]
    Io(#[source] io::Error),
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

/// Borrowed, so that no copy of a key is left where nobody wipes it.
#[derive(Deserialize)]
struct Data<'a> {
    plaintext: Option<&'a str>,
    ciphertext: Option<&'a str>,
}

impl VaultTransit {
    /// This key, wrapped.
    pub(super) fn wrap(&self, key: &SealingKey) -> Result<String, WrapError> {
        // Base64 needs no escapes.
        let mut asked = Zeroizing::new(String::with_capacity(128));
        asked.push_str(r#"{"plaintext":""#);
        BASE64_STANDARD.encode_string(key.as_slice(), &mut asked);
        asked.push_str(r#""}"#);
        let answer = self.ask("encrypt", asked)?;
        let wrapped = data(&answer)?.ciphertext.filter(|wrapped| is_wrapped(wrapped));
        wrapped.map(str::to_owned).ok_or(WrapError::Malformed)
    }

    /// The key that was wrapped so.
    pub(super) fn unwrap(&self, wrapped: &str) -> Result<SealingKey, WrapError> {
        if !is_wrapped(wrapped) {
            return Err(WrapError::Malformed);
        }
        let asked = Zeroizing::new(format!(r#"{{"ciphertext":"{wrapped}"}}"#));
        let answer = self.ask("decrypt", asked)?;
        let encoded = data(&answer)?.plaintext.ok_or(WrapError::Malformed)?;
        let mut bytes = Zeroizing::new([0; 2 * KEY_BYTES]);
        let length = match BASE64_STANDARD.decode_slice(encoded, bytes.as_mut_slice()) {
            Ok(length) => length,
            Err(base64::DecodeSliceError::OutputSliceTooSmall) => return Err(WrapError::Length),
            Err(base64::DecodeSliceError::DecodeError(_)) => return Err(WrapError::Malformed),
        };
        if length != KEY_BYTES {
            return Err(WrapError::Length);
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&bytes[..KEY_BYTES]);
        Ok(key)
    }

    /// Asks on a thread of its own: whoever reads a key ring waits for it anyway, and may itself be a task
    /// of a runtime.
    fn ask(
        &self,
        operation: &str,
        body: Zeroizing<String>,
    ) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let asking = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(WrapError::Io)?.block_on(self.call(operation, body))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("vault".to_owned());
            let asked = thread.spawn_scoped(scope, asking).map_err(WrapError::Io)?.join();
            asked.unwrap_or(Err(WrapError::Malformed))
        })
    }

    async fn call(
        &self,
        operation: &str,
        body: Zeroizing<String>,
    ) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let client = HttpsClient::new(&self.tls, Schemes::HttpsOnly, BOUNDS)?;
        let token = ServiceToken::open(&self.token)?;
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let (mount, key) = (&self.mount, &self.key);
        let mut request =
            Request::post(format!("https://{authority}/v1/{mount}/{operation}/{key}"))
                .header(CONTENT_TYPE, "application/json")
                .header(REQUEST, "true")
                .header(TOKEN, token.plain());
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        // Wiped when the last of it is sent.
        let body = Bytes::from_owner(Owned(body));
        let request = request.body(body).map_err(|_| CallFault::Connect)?;
        Ok(client.call(request).await?.success()?.body)
    }
}

struct Owned(Zeroizing<String>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn data(answer: &[u8]) -> Result<Data<'_>, WrapError> {
    // What is wrong with it would quote it.
    serde_json::from_slice(answer)
        .map(|answer: Answer<'_>| answer.data)
        .map_err(|_| WrapError::Malformed)
}

fn is_wrapped(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":+/=_-".contains(&byte);
    text.starts_with(WRAPPED) && text.len() <= WRAPPED_BYTES && text.bytes().all(plain)
}
