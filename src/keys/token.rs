//! Tokens by which services outside know the gateway. Source: RFC 6750 §2.1.

use std::fmt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use zeroize::Zeroizing;

use super::ring::{KeyRingError, read_file};

/// Longest token: some are JSON Web Tokens with many claims.
const BYTES: usize = 16 << 10;

/// What a service outside knows the gateway by. Never printed.
pub struct ServiceToken(Zeroizing<String>);

/// Why a token cannot be used. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceTokenError {
    /// The file cannot be read, or others can.
    #[error("the token of a service cannot be read")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file holds something else.
    #[error("{} is no token: write it on one line, without blanks", .0.display())]
    NotAToken(PathBuf),
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceToken(‹withheld›)")
    }
}

impl ServiceToken {
    /// Reads a file that is its owner's alone.
    ///
    /// # Errors
    /// `File`, `NotAToken`.
    pub fn open(path: &Path) -> Result<Self, ServiceTokenError> {
        let text = read_file(path).map_err(|error| match error {
            KeyRingError::NotAKeyRing(path) => ServiceTokenError::NotAToken(path),
            other => ServiceTokenError::File(Box::new(other)),
        })?;
        let token = text.trim_end();
        let is_token =
            (1..=BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(ServiceTokenError::NotAToken(path.to_owned()));
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// For `Authorization`.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        Self::header(&Zeroizing::new(format!("Bearer {}", *self.0)))
    }

    /// By itself, for a header of a service's own.
    #[must_use]
    pub fn plain(&self) -> HeaderValue {
        Self::header(&self.0)
    }

    fn header(text: &str) -> HeaderValue {
        let mut value = HeaderValue::from_str(text).expect("visible ASCII, as `open` saw to it");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_its_owners_one_line_and_is_not_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let open = |text: &str, mode| {
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            ServiceToken::open(&path)
        };
        let token = open("hvs.CAESIJ-example\n", 0o600).expect("a token");
        assert_eq!(token.bearer(), "Bearer hvs.CAESIJ-example");
        assert_eq!(token.plain(), "hvs.CAESIJ-example");
        let told = format!("{token:?} {:?} {:?}", token.bearer(), token.plain());
        assert!(!told.contains("CAES"), "{told}");
        for text in ["", "\n", "two words", "two\nlines", "umläut"] {
            assert!(matches!(open(text, 0o600), Err(ServiceTokenError::NotAToken(_))), "{text:?}");
        }
        assert!(matches!(open("token", 0o640), Err(ServiceTokenError::File(_))));
    }
}
