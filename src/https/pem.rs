//! PEM files of certificates, authorities and keys: the one reader of them.

use std::error::Error;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A file cannot be read, or holds nothing of use. Names the file, never what is in it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read certificates or a key from {}", .file.display())]
pub struct PemError {
    file: PathBuf,
    #[source]
    why: Box<dyn Error + Send + Sync>,
}

impl PemError {
    /// Of this file, because of that.
    pub fn new(file: &Path, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { file: file.to_owned(), why: why.into() }
    }

    /// The file, and why.
    #[must_use]
    pub fn into_parts(self) -> (PathBuf, Box<dyn Error + Send + Sync>) {
        (self.file, self.why)
    }
}

/// All certificates in a file, of which there is at least one.
///
/// # Errors
/// There is none, or the file cannot be read.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let unreadable = |error: pem::Error| PemError::new(file, error);
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if found.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// The first private key in a file.
///
/// # Errors
/// There is none, or the file cannot be read.
pub fn key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| PemError::new(file, error))
}

/// All authorities in a file; all of them must be usable.
///
/// # Errors
/// There is none, one cannot be used, or the file cannot be read.
pub fn authorities(file: &Path) -> Result<RootCertStore, PemError> {
    trusted(file, certificates(file)?)
}

/// These authorities, which were read from a file; all of them must be usable.
///
/// # Errors
/// One cannot be used.
pub fn trusted(
    file: &Path,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate).map_err(|error| PemError::new(file, error))?;
    }
    Ok(roots)
}
