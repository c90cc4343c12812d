//! The folder of account and certificate: its owner's alone, each file replaced whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::super::authority::Names;
use crate::config::AcmeConfig;
use crate::terms::Digest;

/// The folder.
pub(super) struct Store {
    /// Of this directory's authority.
    account: PathBuf,
    certificate: PathBuf,
}

impl Store {
    /// Opens the folder, or makes it.
    pub(super) fn open(config: &AcmeConfig) -> io::Result<Self> {
        let folder = &config.storage;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Each authority has accounts of its own.
        let of = Digest::of(config.directory.to_string().as_bytes()).to_string();
        let of: String = of.chars().filter(char::is_ascii_hexdigit).rev().take(16).collect();
        let account = folder.join(format!("account-{of}.json"));
        let certificate = config.certificate().chain;
        for place in [folder, &account, &certificate] {
            private(place)?;
        }
        Ok(Self { account, certificate })
    }

    /// The account, if there is one.
    pub(super) fn account(&self) -> io::Result<Option<AccountCredentials>> {
        match fs::read(&self.account).map(Zeroizing::new) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the account.
    pub(super) fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        write(&self.account, &Zeroizing::new(serde_json::to_vec(account)?))
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(&self.account)
    }

    /// Keeps a chain and its key, PEM.
    pub(super) fn keep_certificate(&self, chain: &str, key: &str) -> io::Result<()> {
        let both = Zeroizing::new(format!("{key}{chain}"));
        write(&self.certificate, both.as_bytes())
    }

    /// The certificate that is kept, if it is one for these names.
    pub(super) fn certificate(&self, names: &[String]) -> Option<Kept> {
        let certificate = CertificateDer::from_pem_file(&self.certificate).ok()?;
        let window = window(&certificate, names)?;
        Some(Kept { certificate, window })
    }
}

/// A certificate that is kept.
pub(super) struct Kept {
    /// Itself, without its authorities.
    pub(super) certificate: CertificateDer<'static>,
    /// From when to when it counts, in seconds since 1970.
    pub(super) window: (i64, i64),
}

/// From when to when a certificate counts, if it is one for all of these names.
pub(super) fn window(certificate: &CertificateDer<'_>, names: &[String]) -> Option<(i64, i64)> {
    let carried = Names::of(certificate);
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    let window = (validity.not_before.timestamp(), validity.not_after.timestamp());
    names.iter().all(|name| carried.contains(name)).then_some(window)
}

/// What others may use is no secret.
fn private(place: &Path) -> io::Result<()> {
    match fs::metadata(place) {
        Ok(about) if about.mode() & 0o077 != 0 => {
            let mode = about.mode() & 0o7777;
            let why = format!("{}: others may use it (mode {mode:04o})", place.display());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Under a name of its own first, so that nobody ever reads half of it.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = file.with_added_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    fs::rename(&draft, file)?;
    let folder = file.parent().ok_or_else(|| io::Error::other("in no folder"))?;
    fs::File::open(folder)?.sync_all()
}
