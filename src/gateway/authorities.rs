//! Who vouches for certificates: authorities from a file and lists of what they have revoked, each judged
//! apart.
//!
//! At a start all of it is good, or there is no start. When it is read anew, what fails gives way to what is
//! in force in its place, and the rest is taken: what was revoked is refused although another list, another
//! file or another authority is of no use. An authority that was not there before is taken only with a list
//! of its own, where there are lists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;

use super::revocation::Crls;
use super::tls::{self, TlsError};
use super::vouched::Vouching;
use crate::config::UpstreamTls;
use crate::https::pem::{self, PemError};

/// Where they stand.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) authorities: &'a Path,
    pub(super) crls: &'a [PathBuf],
}

impl<'a> Files<'a> {
    /// Those that vouch for a backend; `None`: what was revoked counts for nothing there.
    pub(super) fn of(config: &'a UpstreamTls) -> Option<Self> {
        let authorities = config.ca.as_deref().filter(|_| !config.crls.is_empty())?;
        Some(Self { authorities, crls: &config.crls })
    }
}

/// Who vouches before they are read anew.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) authorities: &'a [CertificateDer<'static>],
    pub(super) crls: &'a Crls,
    /// What the authorities came with is not taken: nobody vouches who did not before.
    pub(super) is_bound: bool,
}

/// Authorities with their lists.
#[derive(Clone, Default)]
pub(super) struct Authorities {
    file: PathBuf,
    pub(super) all: Vec<CertificateDer<'static>>,
    pub(super) crls: Crls,
}

impl Authorities {
    /// Reads them, and why some of it is refused. `before` says what is in force in its place.
    pub(super) fn read(
        files: Files<'_>,
        before: Option<Before<'_>>,
        now: Timestamp,
    ) -> (Self, Vec<TlsError>) {
        let mut refused = Vec::new();
        let of_file = pem::certificates(files.authorities)
            .and_then(|all| pem::trusted(files.authorities, all.clone()).map(|_| all));
        let mut all = of_file.unwrap_or_else(|fault| {
            refused.push(fault.into());
            before.map(|before| before.authorities.to_vec()).unwrap_or_default()
        });
        if let Some(before) = before.filter(|before| before.is_bound) {
            before.bound(&mut all);
        }
        let of_crl = |(file, fault)| TlsError::Crl(file, fault);
        let (lists, faults) = Crls::read(files.crls, before.map(|before| before.crls), now);
        refused.extend(faults.into_iter().map(of_crl));
        let (mut crls, faults) = lists.of(&all, &tls::provider());
        refused.extend(faults.into_iter().map(of_crl));
        if let Some(before) = before.filter(|_| !refused.is_empty()) {
            crls.keep(before.crls);
        }
        if !files.crls.is_empty() && !crls.cover(&all, &tls::provider()) {
            refused.push(TlsError::NoCrl(files.authorities.to_owned()));
            if let Some(before) = before {
                (all, crls) = before.covered(all, &lists);
            }
        }
        (Self { file: files.authorities.to_owned(), all, crls }, refused)
    }

    /// As what is in force before others are read.
    pub(super) fn in_force(&self, is_bound: bool) -> Before<'_> {
        Before { authorities: &self.all, crls: &self.crls, is_bound }
    }

    /// Whether both say the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.all == other.all && self.crls.ders().eq(other.crls.ders())
    }

    /// Has them judge clients. Where there are none, nobody's certificate counts.
    pub(super) fn of_clients(self) -> Result<Vouching, TlsError> {
        let Self { file, all, crls } = self;
        if all.is_empty() {
            return Ok(Vouching::nobody());
        }
        let roots = Arc::new(pem::trusted(&file, all.clone())?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, tls::provider())
            .with_crls(crls.ders())
            .enforce_revocation_expiration()
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::ClientAuthorities(file, error.into()))?;
        Ok(Vouching::by(verifier, all, crls))
    }

    /// Has them judge a backend.
    pub(super) fn of_a_backend(&self) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
        let roots = Arc::new(pem::trusted(&self.file, self.all.clone())?);
        WebPkiServerVerifier::builder_with_provider(roots, tls::provider())
            .with_crls(self.crls.ders())
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| PemError::new(&self.file, error).into())
    }
}

impl Before<'_> {
    /// Takes those away who do not vouch before. Where nobody would be left, all are exchanged for others,
    /// and none of it is done.
    fn bound(&self, others: &mut Vec<CertificateDer<'static>>) {
        others.retain(|one| self.authorities.contains(one));
        if others.is_empty() {
            others.extend_from_slice(self.authorities);
        }
    }

    /// Those of these authorities who vouch before, with the newest list of each; all that is in force,
    /// where one of them has none.
    fn covered(
        &self,
        mut all: Vec<CertificateDer<'static>>,
        lists: &Crls,
    ) -> (Vec<CertificateDer<'static>>, Crls) {
        self.bound(&mut all);
        let (mut crls, _) = lists.of(&all, &tls::provider());
        crls.keep(self.crls);
        if crls.cover(&all, &tls::provider()) {
            (all, crls)
        } else {
            (self.authorities.to_vec(), self.crls.clone())
        }
    }
}
