//! Who vouches for clients, and whether they still do: a connection may be older than the authorities in
//! force, and what it was let in by is no authority any more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use crate::identity::SubjectAlternativeNames;
use crate::terms::Digest;

/// The authorities of the clients of one listener.
pub(super) struct Vouching {
    /// `None`: no certificate is asked for, and none counts.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    authorities: Vec<CertificateDer<'static>>,
    /// Over the authorities.
    of: Digest,
}

impl Vouching {
    /// No certificate counts.
    pub(super) fn nobody() -> Self {
        Self { verifier: None, authorities: Vec::new(), of: Digest::of(b"") }
    }

    /// These authorities, whose certificates have this digest.
    pub(super) fn by(
        verifier: Arc<dyn ClientCertVerifier>,
        authorities: Vec<CertificateDer<'static>>,
        of: Digest,
    ) -> Self {
        Self { verifier: Some(verifier), authorities, of }
    }

    /// Takes those away who do not vouch here. Where nobody would be left, all are exchanged for others,
    /// and none of it is done.
    pub(super) fn bound(&self, others: &mut Vec<CertificateDer<'static>>) {
        others.retain(|one| self.authorities.contains(one));
        if others.is_empty() {
            others.clone_from(&self.authorities);
        }
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

/// A client's certificate, as a handshake verified it.
pub(super) struct Vouched {
    names: SubjectAlternativeNames,
    chain: Vec<CertificateDer<'static>>,
    /// Under which authorities it was looked at last, when, and whether they vouch for it.
    judged: Mutex<(Digest, Instant, bool)>,
}

impl fmt::Debug for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vouched({} certificates)", self.chain.len())
    }
}

impl Vouched {
    /// A chain that the handshake has verified under these authorities.
    pub(super) fn new(chain: &[CertificateDer<'_>], vouching: &Vouching) -> Option<Self> {
        let names = SubjectAlternativeNames::of(chain.first()?);
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self { names, chain, judged: Mutex::new((vouching.of, Instant::now(), true)) })
    }

    /// The names in it, if these authorities vouch for it too. They are asked once, and from time to time
    /// again, since a certificate ends with its day and a connection need not.
    pub(super) fn names(&self, vouching: &Vouching) -> Option<&SubjectAlternativeNames> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if judged.0 != vouching.of || now.saturating_duration_since(judged.1) >= AGAIN {
            *judged = (vouching.of, now, vouching.vouches_for(&self.chain));
        }
        judged.2.then_some(&self.names)
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
        let vouched = Vouched::new(&chain, &vouching).expect("a chain");
        assert!(vouched.names(&vouching).is_some(), "the handshake has just looked");
        let long_ago = Instant::now().checked_sub(AGAIN).expect("the machine runs for longer");
        vouched.judged.lock().expect("no panic").1 = long_ago;
        assert!(vouched.names(&vouching).is_none(), "nobody vouches for it any more");
    }
}
