//! Client certificates: the names a verified certificate carries.

use rustls_pki_types::CertificateDer;

/// DNS names and URIs of a client certificate that the TLS layer has verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectAlternativeNames {
    /// DNS names, lower case.
    pub dns: Vec<String>,
    /// URIs, as written.
    pub uris: Vec<String>,
}

impl SubjectAlternativeNames {
    /// Reads them. A certificate that cannot be parsed has none.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let _ = certificate;
        todo!("identity")
    }
}
