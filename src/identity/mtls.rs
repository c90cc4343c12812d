//! Client certificates: the names a verified certificate carries.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// DNS names and URIs of a client certificate that the TLS layer has verified. Its subject's
/// distinguished name is never read: it is free text, and authorities do not vouch for it.
/// Source: RFC 6125 §6.4.4, RFC 9525 §2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectAlternativeNames {
    /// DNS names, lower case.
    pub dns: Vec<String>,
    /// URIs, as written.
    pub uris: Vec<String>,
}

impl SubjectAlternativeNames {
    /// Reads them. A certificate that cannot be parsed has none, and neither has one that carries the
    /// extension twice or a name that is not text: which of two readings the authority meant is not
    /// ours to guess.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::read(certificate).unwrap_or_default()
    }

    fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut names = Self::default();
        let extension = certificate.subject_alternative_name().ok()??;
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) if is_name(name) => {
                    names.dns.push(name.to_ascii_lowercase());
                }
                GeneralName::URI(uri) if is_name(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(_) | GeneralName::URI(_) | GeneralName::Invalid(..) => {
                    return None;
                }
                GeneralName::OtherName(..)
                | GeneralName::RFC822Name(_)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::RegisteredID(_) => {}
            }
        }
        Some(names)
    }
}

/// Printable ASCII: a zero byte or a letter of another script in a name is an attempt to be read as
/// another one.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "admin.example");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    fn name(text: &str) -> rcgen::string::Ia5String {
        text.try_into().expect("ASCII")
    }

    #[test]
    fn only_dns_names_and_uris_of_the_extension_count() {
        let certificate = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName(name("Courier.Example")),
                SanType::URI(name("spiffe://lm/Ads")),
                SanType::Rfc822Name(name("admin@admin.example")),
                SanType::IpAddress("127.0.0.1".parse().expect("an address")),
            ];
        });
        let names = SubjectAlternativeNames::of(&certificate);
        assert_eq!(names.dns, ["courier.example"]);
        assert_eq!(names.uris, ["spiffe://lm/Ads"]);
    }

    #[test]
    fn what_is_not_plainly_a_name_has_none() {
        let none = SubjectAlternativeNames::default();
        assert_eq!(SubjectAlternativeNames::of(&certificate(|_| {})), none, "common name only");
        let zero = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName(name("courier.example")),
                SanType::DnsName(name("courier.example\0.evil.example")),
            ];
        });
        assert_eq!(SubjectAlternativeNames::of(&zero), none, "a zero byte");
        let twice = certificate(|params| {
            params.subject_alt_names = vec![SanType::DnsName(name("courier.example"))];
            // A second subjectAltName, with the DNS name "a.example".
            params.custom_extensions = vec![CustomExtension::from_oid_content(
                &[2, 5, 29, 17],
                [&[0x30, 0x0b, 0x82, 0x09], b"a.example".as_slice()].concat(),
            )];
        });
        assert_eq!(SubjectAlternativeNames::of(&twice), none, "two extensions");
        assert_eq!(SubjectAlternativeNames::of(&CertificateDer::from(vec![0x30, 0x00])), none);
    }
}
