//! Certificates of the server: chosen by the name that a client asks for, with what their authorities say
//! of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::Names;
use super::staple::{self, Staple};
use super::tls::{TlsError, note};
use crate::config::CertificateFiles;
use crate::terms::Digest;

/// A certificate with its key.
pub(super) struct Served {
    /// Where its chain was read.
    pub(super) file: PathBuf,
    /// The names in it.
    pub(super) names: Names,
    /// Itself, with those between it and its authority.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// From when to when it counts, in seconds since 1970.
    pub(super) window: (i64, i64),
    /// What its authority says of it, where the settings name that.
    pub(super) staple: Option<Staple>,
    plain: Arc<CertifiedKey>,
    stapled: Option<Arc<CertifiedKey>>,
}

impl Served {
    /// Checks that all of it belongs together. A certificate that counts only with an answer of its
    /// authority needs one that is good now.
    pub(super) fn new(
        files: &CertificateFiles,
        (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
        provider: &CryptoProvider,
        now: i64,
    ) -> Result<Self, TlsError> {
        let nameless = || TlsError::Nameless(files.chain.clone());
        let own = chain.first().ok_or_else(nameless)?;
        let names = Names::of(own);
        if names == Names::default() {
            return Err(nameless());
        }
        let staple = files.ocsp.as_deref().map(|file| Staple::read(file, own, now));
        if staple::is_needed(own) {
            match &staple {
                Some(Staple { answer: Ok(_), .. }) => {}
                Some(Staple { file, answer: Err(why) }) => {
                    return Err(TlsError::MustStaple(files.chain.clone(), file.clone(), why));
                }
                None => return Err(TlsError::NothingToStaple(files.chain.clone())),
            }
        }
        let plain = CertifiedKey::from_der(chain.clone(), key, provider)
            .map_err(|error| TlsError::Pair(files.chain.clone(), error))?;
        let plain = Arc::new(plain);
        let stapled =
            staple.as_ref().and_then(|staple| staple.answer.as_ref().ok()).map(|answer| {
                let mut stapled = CertifiedKey::clone(&plain);
                stapled.ocsp = Some(answer.der.clone());
                Arc::new(stapled)
            });
        let validity = X509Certificate::from_der(own).map(|(_, own)| {
            let validity = own.validity();
            (validity.not_before.timestamp(), validity.not_after.timestamp())
        });
        let (file, window) = (files.chain.clone(), validity.map_err(|_| nameless())?);
        Ok(Self { file, names, chain, window, staple, plain, stapled })
    }

    /// As it is shown at this second: an answer that is over is left out.
    fn at(&self, now: i64) -> &Arc<CertifiedKey> {
        let answer = self.staple.as_ref().and_then(|staple| staple.answer.as_ref().ok());
        match (answer, &self.stapled) {
            (Some(answer), Some(stapled)) if answer.counts_at(now) => stapled,
            _ => &self.plain,
        }
    }
}

/// Chooses a certificate by the name the client asks for; the first one for a client that names none.
pub(super) struct ByName(pub(super) Vec<Arc<Served>>);

impl ByName {
    /// The names in all of them.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for served in &self.0 {
            names.extend(served.names.clone());
        }
        names
    }

    /// Over all of them with what is sent along, and over this.
    pub(super) fn digest(&self, besides: &[u8]) -> Digest {
        let mut inputs = besides.to_vec();
        for served in &self.0 {
            note(&mut inputs, "certificate", &served.chain);
            let answer = served.staple.as_ref().and_then(|staple| staple.answer.as_ref().ok());
            note(&mut inputs, "answer", answer.map(|answer| &answer.der));
        }
        Digest::of(&inputs)
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByName({} certificates)", self.0.len())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = match hello.server_name() {
            Some(name) => {
                let name = name.to_ascii_lowercase();
                self.0.iter().find(|served| served.names.contains(&name))
            }
            None => self.0.first(),
        };
        chosen.map(|served| Arc::clone(served.at(second(UnixTime::now()))))
    }
}

/// In seconds since 1970.
pub(super) fn second(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
