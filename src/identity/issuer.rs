//! A token issuer and its keys as they are now. Reading and fetching happen beside the requests:
//! `identify` only looks at what is there, and asks for more by leaving a note.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::fetch::{FetchError, KeyFetcher};
use super::jwks::{KeySet, TokenAlgorithm};
use super::jwt::{self, TokenFault, Verified};

/// Largest key set. Sets have a few KiB; whoever sends more does not send a key set.
pub(super) const SET_BYTES: usize = 256 * 1024;

/// How often a key file is looked at.
const FILE_CHECK: Duration = Duration::from_secs(1);

/// How old a fetched set may get before it is fetched anew. Also the longest time that a key which
/// the issuer has withdrawn goes on verifying, as long as the issuer can be reached.
const REFRESH: Duration = Duration::from_mins(15);

/// Between two fetches, whoever asks for them: unknown key ids are made up faster than sets change.
const BETWEEN_FETCHES: Duration = Duration::from_secs(30);

/// How long the last good set serves while the issuer cannot be reached.
const LAST_GOOD: Duration = Duration::from_hours(24);

/// A token issuer as configured.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, as tokens write it.
    pub name: String,
    /// The `aud` that tokens must carry.
    pub audience: String,
    /// Algorithms that are accepted.
    pub algorithms: Vec<TokenAlgorithm>,
    /// Where its keys are.
    pub keys: KeySource,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A JWK Set file; read anew when it changes.
    File(PathBuf),
    /// An https URL.
    Url {
        /// Where.
        url: http::Uri,
        /// PEM file of the authorities that its certificate must come from; `None`: the public ones.
        authorities: Option<PathBuf>,
    },
}

/// The issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// There is no usable key in it.
    #[error("no usable signature key in the key set of {0}")]
    NoKeys(String),
    /// They cannot be fetched.
    #[error("cannot fetch the keys of {0}")]
    Fetch(String, #[source] FetchError),
}

/// The present keys of one issuer.
pub struct IssuerKeys {
    issuer: Issuer,
    present: ArcSwapOption<Present>,
    source: Source,
}

struct Present {
    keys: KeySet,
    since: Timestamp,
}

enum Source {
    File { path: PathBuf, seen: Mutex<Seen> },
    Url { fetcher: Box<KeyFetcher>, wanted: Notify },
}

struct Seen {
    checked: Instant,
    version: Option<FileVersion>,
}

/// What tells one content of a file from the next without reading it.
#[derive(PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKeys({})", self.issuer.name)
    }
}

impl IssuerKeys {
    /// Prepares the issuer. A file is read at once; a URL by [`refresh`](Self::refresh) and
    /// [`keep_fresh`](Self::keep_fresh), until which every token of the issuer is refused.
    ///
    /// # Errors
    /// The file is missing or holds no usable key; the authorities of the URL cannot be read, or it is
    /// no https URL.
    pub fn open(issuer: Issuer) -> Result<Self, IssuerError> {
        let present = ArcSwapOption::empty();
        let source = match &issuer.keys {
            KeySource::File(path) => {
                let (keys, version) = read(path, &issuer.name)?;
                present.store(Some(Arc::new(Present { keys, since: Timestamp::now() })));
                let seen = Seen { checked: Instant::now(), version: Some(version) };
                Source::File { path: path.clone(), seen: Mutex::new(seen) }
            }
            KeySource::Url { url, authorities } => {
                let fetcher = KeyFetcher::new(url.clone(), authorities.as_deref())
                    .map_err(|fault| IssuerError::Fetch(issuer.name.clone(), fault))?;
                Source::Url { fetcher: Box::new(fetcher), wanted: Notify::new() }
            }
        };
        Ok(Self { issuer, present, source })
    }

    /// `iss`, as tokens write it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.issuer.name
    }

    /// Fetches the keys once. Does nothing for a file.
    ///
    /// # Errors
    /// They cannot be fetched; the last good set stays.
    pub async fn refresh(&self) -> Result<(), IssuerError> {
        let Source::Url { fetcher, .. } = &self.source else { return Ok(()) };
        let text = fetcher
            .fetch()
            .await
            .map_err(|fault| IssuerError::Fetch(self.issuer.name.clone(), fault))?;
        let keys =
            KeySet::parse(&text).map_err(|_| IssuerError::NoKeys(self.issuer.name.clone()))?;
        self.present.store(Some(Arc::new(Present { keys, since: Timestamp::now() })));
        Ok(())
    }

    /// Keeps fetched keys fresh for as long as the gateway runs: spawn it once, abort it at the end.
    /// Returns at once for a file.
    pub async fn keep_fresh(self: Arc<Self>) {
        let Source::Url { wanted, .. } = &self.source else { return };
        loop {
            let next = match self.refresh().await {
                Ok(()) => REFRESH,
                Err(fault) => {
                    let cause = std::error::Error::source(&fault).map(ToString::to_string);
                    tracing::warn!(issuer = self.issuer.name, cause, "{fault}");
                    BETWEEN_FETCHES
                }
            };
            tokio::time::sleep(BETWEEN_FETCHES).await;
            let rest = next.saturating_sub(BETWEEN_FETCHES);
            let _ = tokio::time::timeout(rest, wanted.notified()).await;
        }
    }

    /// Whether there are keys that tokens can be verified with, for the readiness report.
    #[must_use]
    pub fn ready(&self, now: Timestamp) -> bool {
        self.present(now).is_some()
    }

    /// Verifies a token of this issuer. `None`: there are no keys.
    pub(super) fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<Result<Verified, TokenFault>> {
        let Issuer { name, audience, algorithms, .. } = &self.issuer;
        let present = self.present(now)?;
        let verified = jwt::verify(token, &present.keys, algorithms, audience, name, now);
        if let (Err(TokenFault::UnknownKey), Source::Url { wanted, .. }) = (&verified, &self.source)
        {
            wanted.notify_one();
        }
        Some(verified)
    }

    fn present(&self, now: Timestamp) -> Option<Arc<Present>> {
        match &self.source {
            Source::File { path, seen } => {
                self.reread_if_changed(path, seen);
                self.present.load_full()
            }
            Source::Url { .. } => self.present.load_full().filter(|present| {
                let age = now.duration_since(present.since);
                Duration::try_from(age).is_ok_and(|age| age <= LAST_GOOD) || age.is_negative()
            }),
        }
    }

    /// A file that changed is read; while it cannot be, the last good set stays.
    fn reread_if_changed(&self, path: &Path, seen: &Mutex<Seen>) {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.checked.elapsed() < FILE_CHECK {
            return;
        }
        seen.checked = Instant::now();
        self.reread(path, &mut seen);
    }

    fn reread(&self, path: &Path, seen: &mut Seen) {
        let version = fs::metadata(path).ok().map(|metadata| FileVersion::of(&metadata));
        if version.is_none() || version == seen.version {
            return;
        }
        match read(path, &self.issuer.name) {
            Ok((keys, version)) => {
                seen.version = Some(version);
                self.present.store(Some(Arc::new(Present { keys, since: Timestamp::now() })));
            }
            // Half written, most likely; the next look a second later will tell.
            Err(fault) => tracing::warn!(issuer = self.issuer.name, "{fault}"),
        }
    }
}

impl FileVersion {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn read(path: &Path, issuer: &str) -> Result<(KeySet, FileVersion), IssuerError> {
    use std::io::Read as _;

    let unreadable = |fault| IssuerError::Unreadable(path.to_owned(), fault);
    let file = fs::File::open(path).map_err(unreadable)?;
    let version = FileVersion::of(&file.metadata().map_err(unreadable)?);
    let mut text = Vec::new();
    let bound = u64::try_from(SET_BYTES).unwrap_or(u64::MAX);
    file.take(bound + 1).read_to_end(&mut text).map_err(unreadable)?;
    let no_keys = || IssuerError::NoKeys(issuer.to_owned());
    if text.len() > SET_BYTES {
        return Err(no_keys());
    }
    Ok((KeySet::parse(&text).map_err(|_| no_keys())?, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::development::TokenSigner;

    #[test]
    fn a_changed_key_file_is_read_and_a_broken_one_leaves_the_last_good_set() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("jwks.json");
        let signers = [(); 2].map(|()| TokenSigner::generate().expect("a key"));
        fs::write(&path, signers[0].jwks()).expect("writes");
        let keys = IssuerKeys::open(Issuer {
            name: "https://id.example".to_owned(),
            audience: "tamis".to_owned(),
            algorithms: vec![TokenAlgorithm::Es256],
            keys: KeySource::File(path.clone()),
        })
        .expect("a key set");
        let Source::File { seen, .. } = &keys.source else { panic!("it is a file") };
        let believed = || {
            let present = keys.present.load_full().expect("keys");
            [0, 1].map(|at| {
                let token = signers[at].sign_json(&serde_json::json!({})).expect("signs");
                jwt::verify_signature(&token, &present.keys, &[TokenAlgorithm::Es256]).is_ok()
            })
        };
        let look = || keys.reread(&path, &mut seen.lock().expect("not poisoned"));
        assert_eq!(believed(), [true, false]);
        fs::write(&path, "{").expect("writes");
        look();
        assert_eq!(believed(), [true, false]);
        let draft = directory.path().join("draft");
        fs::write(&draft, signers[1].jwks()).expect("writes");
        fs::rename(&draft, &path).expect("renames");
        look();
        assert_eq!(believed(), [false, true]);
        fs::remove_file(&path).expect("removes");
        look();
        assert_eq!(believed(), [false, true]);
    }
}
