//! Secrets that a webhook's receiver shares, and what is signed with them.
//! Source: Standard Webhooks 1.0.0, "Signature scheme" (symmetric, `v1`).

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::ring::{KeyRingError, read_file};

/// What a secret begins with, so that scanners of repositories know it.
const PREFIX: &str = "whsec_";

/// Fewest and most bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs what one receiver is told. Never printed.
#[derive(Clone)]
pub struct WebhookSecret(Hmac<Sha256>);

/// Why a secret cannot be used. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum WebhookSecretError {
    /// The file cannot be read, or others can.
    #[error("the secret of a webhook cannot be read")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file holds something else.
    #[error(
        "{} is no secret: write `whsec_` and base64 of 24 to 64 random bytes on one line",
        .0.display()
    )]
    NotASecret(PathBuf),
    /// There is no randomness.
    #[error("no random bytes")]
    Random,
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(‹withheld›)")
    }
}

impl WebhookSecret {
    /// A new secret as its file holds it, of 32 random bytes.
    ///
    /// # Errors
    /// `Random`.
    pub fn generate() -> Result<Zeroizing<String>, WebhookSecretError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| WebhookSecretError::Random)?;
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(*bytes));
        Ok(Zeroizing::new(format!("{PREFIX}{}\n", *encoded)))
    }

    /// Reads a file that is its owner's alone.
    ///
    /// # Errors
    /// `File`, `NotASecret`.
    pub fn open(path: &Path) -> Result<Self, WebhookSecretError> {
        let text = read_file(path).map_err(|error| match error {
            KeyRingError::NotAKeyRing(path) => WebhookSecretError::NotASecret(path),
            other => WebhookSecretError::File(Box::new(other)),
        })?;
        Self::parse(&text).ok_or_else(|| WebhookSecretError::NotASecret(path.to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let encoded = text.trim_end().strip_prefix(PREFIX)?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).ok()?);
        let is_random = bytes.iter().any(|byte| *byte != bytes[0]);
        if !BYTES.contains(&bytes.len()) || !is_random {
            return None;
        }
        Hmac::new_from_slice(&bytes).ok().map(Self)
    }

    /// `v1,` and base64 of the HMAC-SHA256 over id, time in seconds and body, joined by full stops.
    #[must_use]
    pub fn sign(&self, id: &str, second: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{second}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        let signed = secret.expect("a secret").sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_quoted() {
        let short = format!("whsec_{}", BASE64_STANDARD.encode([7, 8]));
        let weak = format!("whsec_{}", BASE64_STANDARD.encode([0; 32]));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", &short, &weak] {
            assert!(WebhookSecret::parse(text).is_none(), "{text}");
        }
        let made = WebhookSecret::generate().expect("random");
        assert!(WebhookSecret::parse(&made).is_some());
        std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("written");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, open).expect("ours");
        let words = format!("{:?}", WebhookSecret::open(&path).expect_err("others may read it"));
        assert!(words.contains("Exposed") && !words.contains("MfKQ"), "{words}");
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, own).expect("ours");
        let secret = WebhookSecret::open(&path).expect("a secret");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(‹withheld›)");
    }
}
