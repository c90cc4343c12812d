//! What authorities have revoked: lists (CRLs) from files, judged as they are read.
//!
//! Where lists are named, a certificate of which none of them says anything counts as revoked, and so does
//! one whose list is over: an authority that has nothing new to say says so in a new list. So a list that
//! nothing can be told by is refused here, and one that ends while the gateway runs takes along the
//! certificates of its authority. Source: RFC 5280 §5, §6.3.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// How far ahead the clock of an authority may be.
const SKEW: i64 = 300;

/// `issuingDistributionPoint`: of which certificates a list speaks. Source: RFC 5280 §5.2.5.
const SCOPE: &str = "2.5.29.28";

/// Why a list is not relied on.
#[derive(Debug, thiserror::Error)]
pub enum CrlFault {
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It is no list, or one that says more than is understood.
    #[error("no list of revoked certificates in PEM or DER")]
    Malformed(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// It has to be replaced: `nextUpdate` is past.
    #[error("over since {0}; fetch the next one of its authority")]
    Over(Timestamp),
    /// It begins later than now.
    #[error("it begins only at {0}; which clock is wrong?")]
    Early(Timestamp),
    /// Another list of the same authority is there too, and nobody knows which counts.
    #[error("a second list of the same authority")]
    Twice,
    /// The authority in whose name it is has not signed it.
    #[error("not signed by the authority that it names")]
    Signature,
    /// The list in force is newer: what this one does not know yet would be trusted again.
    #[error("older than the list in force")]
    Older,
}

/// Lists in force for the clients of one listener, or for one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Crls(Vec<Crl>);

/// One list.
#[derive(Clone, Debug)]
pub(super) struct Crl {
    /// Where it was read.
    pub(super) file: PathBuf,
    der: CertificateRevocationListDer<'static>,
    /// The name of its authority, DER.
    issuer: Vec<u8>,
    /// Of which certificates it speaks; `None`: of all of its authority.
    scope: Option<Vec<u8>>,
    number: Option<BigUint>,
    /// When it was made, in seconds since 1970.
    pub(super) from: i64,
    /// When there will be another one.
    pub(super) until: i64,
}

impl Crls {
    /// Reads those that can be relied on, and why the others cannot. A list that is in force already may
    /// have ended since: what it ended for is refused, and the rest goes on.
    pub(super) fn read(
        files: &[PathBuf],
        in_force: Option<&Self>,
        now: Timestamp,
    ) -> (Self, Vec<(PathBuf, CrlFault)>) {
        let (mut lists, mut faults) = (Vec::<Crl>::new(), Vec::new());
        for file in files {
            let read = fs::read(file).map_err(CrlFault::Unreadable).and_then(|bytes| ders(&bytes));
            let read = read.unwrap_or_else(|fault| {
                faults.push((file.clone(), fault));
                Vec::new()
            });
            for der in read {
                match Crl::parse(file, &der) {
                    Ok(list) => lists.push(list),
                    Err(fault) => faults.push((file.clone(), fault)),
                }
            }
        }
        let mut good = Vec::new();
        for (at, list) in lists.iter().enumerate() {
            let is_same = |other: &Crl| other.speaks_of_the_same(list);
            match list.judge(in_force, now.as_second()) {
                Err(fault) => faults.push((list.file.clone(), fault)),
                Ok(()) if lists[..at].iter().any(is_same) => {
                    faults.push((list.file.clone(), CrlFault::Twice));
                }
                // The first of two is as doubtful as the second, which is told.
                Ok(()) if lists[at + 1..].iter().any(is_same) => {}
                Ok(()) => good.push(list.clone()),
            }
        }
        (Self(good), faults)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Crl> {
        self.0.iter()
    }

    /// As they stand in the files.
    pub(super) fn ders(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.0.iter().map(|list| list.der.clone())
    }

    /// When the first of them is over.
    pub(super) fn until(&self) -> Option<i64> {
        self.0.iter().map(|list| list.until).min()
    }

    /// Those that are of use beside these authorities, and why the others are not. A list in the name of
    /// one of them that it has not signed is somebody else's.
    pub(super) fn of(
        &self,
        authorities: &[CertificateDer<'_>],
        provider: &Arc<CryptoProvider>,
    ) -> (Self, Vec<(PathBuf, CrlFault)>) {
        let parsed = parsed(authorities);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().map(|one| one.clone().into_owned()));
        let roots = Arc::new(roots);
        let (mut good, mut faults) = (Vec::new(), Vec::new());
        for list in &self.0 {
            let mut named = parsed.iter().filter(|one| list.is_in_the_name_of(one)).peekable();
            if named.peek().is_some() && !named.any(|one| list.is_signed_by(one, provider)) {
                faults.push((list.file.clone(), CrlFault::Signature));
            } else if let Err(fault) = list.is_understood(&roots, provider) {
                faults.push((list.file.clone(), fault));
            } else {
                good.push(list.clone());
            }
        }
        (Self(good), faults)
    }

    /// Keeps those of others in whose place there is none here.
    pub(super) fn keep(&mut self, others: &Self) {
        let kept =
            others.0.iter().filter(|other| !self.0.iter().any(|own| own.speaks_of_the_same(other)));
        let kept: Vec<_> = kept.cloned().collect();
        self.0.extend(kept);
    }

    /// Whether each of these authorities keeps one: whoever came with a certificate of one that does not
    /// would be refused without anybody's having meant it.
    pub(super) fn cover(
        &self,
        authorities: &[CertificateDer<'_>],
        provider: &CryptoProvider,
    ) -> bool {
        let parsed = parsed(authorities);
        let is_kept = |authority: &X509Certificate<'_>| {
            self.0.iter().any(|list| {
                list.is_in_the_name_of(authority) && list.is_signed_by(authority, provider)
            })
        };
        parsed.len() == authorities.len() && parsed.iter().all(is_kept)
    }
}

fn parsed<'a>(authorities: &'a [CertificateDer<'_>]) -> Vec<X509Certificate<'a>> {
    let parsed = authorities.iter().map(|authority| X509Certificate::from_der(authority));
    parsed.filter_map(Result::ok).map(|(_, authority)| authority).collect()
}

impl Crl {
    fn parse(file: &Path, der: &CertificateRevocationListDer<'static>) -> Result<Self, CrlFault> {
        let malformed = |why: &str| CrlFault::Malformed(Some(why.into()));
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|error| malformed(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed("something stands behind it"));
        }
        let until = list.next_update().ok_or_else(|| malformed("it does not say its end"))?;
        let scope = list.extensions().iter().find(|one| one.oid.to_id_string() == SCOPE);
        Ok(Self {
            file: file.to_owned(),
            der: der.clone(),
            issuer: list.issuer().as_raw().to_owned(),
            scope: scope.map(|scope| scope.value.to_owned()),
            number: list.crl_number().cloned(),
            from: list.last_update().timestamp(),
            until: until.timestamp(),
        })
    }

    fn judge(&self, in_force: Option<&Crls>, now: i64) -> Result<(), CrlFault> {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let before =
            in_force.and_then(|lists| lists.0.iter().find(|other| other.speaks_of_the_same(self)));
        if let Some(before) = before {
            if before.der == self.der {
                return Ok(());
            }
            if self.is_older_than(before) {
                return Err(CrlFault::Older);
            }
        }
        if self.from > now.saturating_add(SKEW) {
            return Err(CrlFault::Early(at(self.from)));
        }
        if self.until <= now {
            return Err(CrlFault::Over(at(self.until)));
        }
        Ok(())
    }

    /// Whether those who judge certificates by it can read it.
    fn is_understood(
        &self,
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), CrlFault> {
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
        match builder.with_crls([self.der.clone()]).build() {
            Err(VerifierBuilderError::InvalidCrl(error)) => {
                Err(CrlFault::Malformed(Some(rustls::Error::from(error).into())))
            }
            // Authorities are judged elsewhere.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn is_in_the_name_of(&self, authority: &X509Certificate<'_>) -> bool {
        authority.subject().as_raw() == self.issuer
    }

    fn is_signed_by(&self, authority: &X509Certificate<'_>, provider: &CryptoProvider) -> bool {
        let Ok((_, list)) = CertificateRevocationList::from_der(&self.der) else { return false };
        let key = &authority.public_key().subject_public_key.data;
        let all = provider.signature_verification_algorithms.all;
        all.iter().any(|algorithm| {
            let (said, signature) = (list.tbs_cert_list.as_ref(), &list.signature_value.data);
            algorithm.verify_signature(key, said, signature).is_ok()
        })
    }

    fn speaks_of_the_same(&self, other: &Self) -> bool {
        (&self.issuer, &self.scope) == (&other.issuer, &other.scope)
    }

    fn is_older_than(&self, other: &Self) -> bool {
        match (&self.number, &other.number) {
            (Some(own), Some(other)) => own < other,
            _ => self.from < other.from,
        }
    }
}

/// The lists in a file: PEM, of which there may be several, or one in DER.
fn ders(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, CrlFault> {
    let pems: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
    let pems = pems.map_err(|error| CrlFault::Malformed(Some(error.into())))?;
    match bytes.first() {
        _ if !pems.is_empty() => Ok(pems),
        // A SEQUENCE of DER.
        Some(0x30) => Ok(vec![bytes.to_vec().into()]),
        _ => Err(CrlFault::Malformed(None)),
    }
}
