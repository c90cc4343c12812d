//! Where a key ring is, and how it is opened: a file, plain, or sealed under a key that a service outside
//! unwraps. A ring that is to be sealed and is not is refused, and so is the other way round.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ring::read_file;
use super::sealed::{self, Sealed};
use super::vault::VaultTransit;
use super::{KeyRing, KeyRingError};

/// Where a key ring is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRingPlace {
    /// The file.
    pub file: PathBuf,
    /// Who unwraps the key under which it lies; `None`: it lies there in clear.
    pub unwrap: Option<VaultTransit>,
}

impl KeyRingPlace {
    /// A file in clear.
    #[must_use]
    pub fn plain(file: &Path) -> Self {
        Self { file: file.to_owned(), unwrap: None }
    }

    /// The text of the ring.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, KeyRingError> {
        self.opened(read_file(&self.file)?)
    }

    /// The ring in what the file holds.
    pub(super) fn opened(
        &self,
        held: Zeroizing<String>,
    ) -> Result<Zeroizing<String>, KeyRingError> {
        match (&self.unwrap, sealed::is_sealed(&held)) {
            (None, false) => Ok(held),
            (None, true) => Err(KeyRingError::Sealed(self.file.clone())),
            (Some(_), false) => Err(KeyRingError::NotSealed(self.file.clone())),
            (Some(vault), true) => {
                let spoilt = || KeyRingError::Spoilt(self.file.clone());
                let sealed = Sealed::read(&held).ok_or_else(spoilt)?;
                let key = vault.unwrap(sealed.wrapped)?;
                sealed.open(&key).ok_or_else(spoilt)
            }
        }
    }

    /// What the file is to hold for this text of a ring: under a new key each time.
    pub(super) fn closed(
        &self,
        text: Zeroizing<String>,
    ) -> Result<Zeroizing<String>, KeyRingError> {
        let Some(vault) = &self.unwrap else { return Ok(text) };
        let key = sealed::draw()?;
        sealed::seal(&text, &key, &vault.wrap(&key)?).map(Zeroizing::new)
    }
}

impl KeyRing {
    /// The key ring of [`ENVIRONMENT`](super::ENVIRONMENT) if it is set, else of this place.
    ///
    /// # Errors
    /// See [`KeyRing::load`] and [`KeyRing::parse`]; `Wrap` where the service outside does not unwrap its
    /// key, `Sealed`, `NotSealed`, `Spoilt`.
    pub fn open_at(place: &KeyRingPlace) -> Result<Self, KeyRingError> {
        match Self::from_environment()? {
            Some(ring) => Ok(ring),
            None => Self::parse(&place.file.display().to_string(), &place.read()?),
        }
    }
}
