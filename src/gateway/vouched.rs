//! Who vouches for clients, and whether they still do: a connection may be older than the authorities in
//! force, and what it was let in by is no authority any more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use super::certificates::second;
use super::revocation::Crls;
use super::tls::note;
use crate::identity::SubjectAlternativeNames;
use crate::terms::Digest;

/// The authorities of the clients of one listener.
pub(super) struct Vouching {
    /// `None`: no certificate is asked for, and none counts.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    authorities: Vec<CertificateDer<'static>>,
    /// What they have revoked.
    crls: Crls,
    /// Over the authorities and their lists.
    of: Digest,
}

impl Vouching {
    /// No certificate counts.
    pub(super) fn nobody() -> Self {
        let crls = Crls::default();
        Self { verifier: None, authorities: Vec::new(), crls, of: Digest::of(b"") }
    }

    /// These authorities with their lists.
    pub(super) fn by(
        verifier: Arc<dyn ClientCertVerifier>,
        authorities: Vec<CertificateDer<'static>>,
        crls: Crls,
    ) -> Self {
        let mut of = Vec::new();
        note(&mut of, "authorities", &authorities);
        note(&mut of, "lists", crls.ders());
        Self { verifier: Some(verifier), authorities, crls, of: Digest::of(&of) }
    }

    /// What certificates are judged by in a handshake, if any is asked for.
    pub(super) fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.verifier.clone()
    }

    /// What the authorities have revoked.
    pub(super) fn crls(&self) -> &Crls {
        &self.crls
    }

    /// Who they are.
    pub(super) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    fn judge(&self, chain: &[CertificateDer<'static>], now: Instant) -> Judgement {
        Judgement { of: self.of, at: now, until: self.crls.until(), good: self.vouches_for(chain) }
    }

    fn vouches_for(&self, chain: &[CertificateDer<'static>]) -> bool {
        let (Some(verifier), Some((own, between))) = (&self.verifier, chain.split_first()) else {
            return false;
        };
        verifier.verify_client_cert(own, between, UnixTime::now()).is_ok()
    }
}

/// How long a judgement counts.
const AGAIN: Duration = Duration::from_mins(1);

/// Whether somebody vouches for a certificate.
#[derive(Clone, Copy)]
struct Judgement {
    /// Under which authorities it was looked at.
    of: Digest,
    at: Instant,
    /// When the first of their lists is over, in seconds since 1970: what it says is worth nothing then.
    until: Option<i64>,
    good: bool,
}

impl Judgement {
    fn counts(&self, vouching: &Vouching, now: Instant) -> bool {
        self.of == vouching.of
            && now.saturating_duration_since(self.at) < AGAIN
            && (!self.good || self.until.is_none_or(|until| second(UnixTime::now()) < until))
    }
}

/// A client's certificate, as a handshake verified it.
pub(super) struct Vouched {
    names: SubjectAlternativeNames,
    chain: Vec<CertificateDer<'static>>,
    /// `None`: nobody has looked at it yet.
    judged: Mutex<Option<Judgement>>,
}

impl fmt::Debug for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vouched({} certificates)", self.chain.len())
    }
}

impl Vouched {
    /// A chain that the handshake has verified under these authorities; not `is_shown`, one that an
    /// earlier handshake had, whose session was resumed.
    pub(super) fn new(
        chain: &[CertificateDer<'_>],
        vouching: &Vouching,
        is_shown: bool,
    ) -> Option<Self> {
        let names = SubjectAlternativeNames::of(chain.first()?);
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let (of, at, until) = (vouching.of, Instant::now(), vouching.crls.until());
        let judged = is_shown.then_some(Judgement { of, at, until, good: true });
        Some(Self { names, chain, judged: Mutex::new(judged) })
    }

    /// The names in it, if these authorities vouch for it too. They are asked once, and from time to time
    /// again, since a certificate and a list of those that are revoked end with their day, and a
    /// connection need not.
    pub(super) fn names(&self, vouching: &Vouching) -> Option<&SubjectAlternativeNames> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let judgement = match *judged {
            Some(judgement) if judgement.counts(vouching, now) => judgement,
            Some(_) | None => *judged.insert(vouching.judge(&self.chain, now)),
        };
        judgement.good.then_some(&self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection may live longer than the certificate that it began with.
    #[test]
    fn a_judgement_counts_for_a_minute() {
        let key = rcgen::KeyPair::generate().expect("random bytes");
        let names = vec!["desk.example.invalid".to_owned()];
        let own = rcgen::CertificateParams::new(names).expect("a name").self_signed(&key);
        let chain = [own.expect("signed").der().clone()];
        let vouching = Vouching::nobody();
        let vouched = Vouched::new(&chain, &vouching, true).expect("a chain");
        assert!(vouched.names(&vouching).is_some(), "the handshake has just looked");
        let long_ago = Instant::now().checked_sub(AGAIN).expect("the machine runs for longer");
        vouched.judged.lock().expect("no panic").as_mut().expect("judged").at = long_ago;
        assert!(vouched.names(&vouching).is_none(), "nobody vouches for it any more");
        let resumed = Vouched::new(&chain, &vouching, false).expect("a chain");
        assert!(resumed.names(&vouching).is_none(), "an earlier handshake proves nothing now");
    }
}
