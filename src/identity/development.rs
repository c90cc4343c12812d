//! An authority, certificates and a token signer for development, demo and tests.
//!
//! Nothing here belongs in production: keys are made on the spot and lie beside what they sign. What
//! they make is real, though, and is verified by the same code as everything else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::terms::PurposeId;

/// How long development certificates last. Long enough for a project, short enough to be noticed.
const DAYS: i64 = 397;

/// File names beneath the directory of an authority.
const AUTHORITY: &str = "ca";

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// There is an authority already. Every certificate of it would be worthless with another.
    #[error("{} exists already and is left as it is", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written or read.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A name cannot stand in a certificate.
    #[error("{0} is no name for a certificate")]
    Name(String),
    /// A key or certificate cannot be made, or the stored one is none.
    #[error("the certificate library refuses")]
    Certificate(#[source] rcgen::Error),
    /// A token cannot be signed.
    #[error("the token library refuses")]
    Token(#[source] jsonwebtoken::errors::Error),
}

/// A certificate and its key, in PEM. The key is wiped when dropped.
pub struct Issued {
    /// The certificate, followed by nothing: the authority is the clients' to know.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: Zeroizing<String>,
}

impl Issued {
    /// Writes `‹name›.pem` and `‹name›.key` (mode 0600) into `directory`, in place of earlier ones.
    ///
    /// # Errors
    /// `File`.
    pub fn write(
        &self,
        directory: &Path,
        name: &str,
    ) -> Result<(PathBuf, PathBuf), DevelopmentError> {
        let (certificate, key) = paths(directory, name);
        write(&key, self.key.as_bytes(), 0o600)?;
        write(&certificate, self.certificate.as_bytes(), 0o644)?;
        Ok((certificate, key))
    }
}

/// A development authority: signs server and client certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new one, in memory.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn generate(now: Timestamp) -> Result<Self, DevelopmentError> {
        Self::named("Tamis development authority", now)
    }

    /// As [`generate`](Self::generate), under this name: two of one name are one to whoever goes by it.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn named(name: &str, now: Timestamp) -> Result<Self, DevelopmentError> {
        let mut params = params(now, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(DevelopmentError::Certificate)?;
        let certificate = params.self_signed(&key).map_err(DevelopmentError::Certificate)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Makes a new one and writes it as `ca.pem` and `ca.key` (mode 0600) into `directory`.
    ///
    /// # Errors
    /// `Exists` if there is one already, `File`, `Certificate`.
    pub fn create(directory: &Path, now: Timestamp) -> Result<Self, DevelopmentError> {
        let (certificate, key) = paths(directory, AUTHORITY);
        for path in [&certificate, &key] {
            if path.exists() {
                return Err(DevelopmentError::Exists(path.clone()));
            }
        }
        let authority = Self::generate(now)?;
        let secret = Zeroizing::new(authority.issuer.key().serialize_pem());
        let issued = Issued { certificate: authority.certificate.clone(), key: secret };
        issued.write(directory, AUTHORITY)?;
        Ok(authority)
    }

    /// Reads what [`create`](Self::create) wrote. `None` if nothing of it is there.
    ///
    /// # Errors
    /// `File` if half of it is there or unreadable, `Certificate` if it is none.
    pub fn load(directory: &Path) -> Result<Option<Self>, DevelopmentError> {
        let (certificate, key) = paths(directory, AUTHORITY);
        if !certificate.exists() && !key.exists() {
            return Ok(None);
        }
        let secret = Zeroizing::new(read(&key)?);
        let certificate = read(&certificate)?;
        let key = KeyPair::from_pem(&secret).map_err(DevelopmentError::Certificate)?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, key).map_err(DevelopmentError::Certificate)?;
        Ok(Some(Self { certificate, issuer }))
    }

    /// Its certificate in PEM: what clients and servers are told to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A server certificate for `names`: DNS names and IP addresses.
    ///
    /// # Errors
    /// `Name`, `Certificate`.
    pub fn issue_server(&self, names: &[&str], now: Timestamp) -> Result<Issued, DevelopmentError> {
        let names = names.iter().map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => dns(name),
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        self.issue("Tamis development server", names, ExtendedKeyUsagePurpose::ServerAuth, now)
    }

    /// A client certificate for one name as rules write it: `dns:courier.example`, a URI such as
    /// `spiffe://lm/ads`, or a bare DNS name.
    ///
    /// # Errors
    /// `Name`, `Certificate`.
    pub fn issue_client(&self, name: &str, now: Timestamp) -> Result<Issued, DevelopmentError> {
        let san = if let Some(name) = name.strip_prefix("dns:") {
            dns(name)?
        } else if name.contains("://") {
            let uri = name.try_into().map_err(|_| DevelopmentError::Name(name.to_owned()))?;
            SanType::URI(uri)
        } else {
            dns(name)?
        };
        self.issue("Tamis development client", vec![san], ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    /// A list of certificates that it has revoked, PEM, the `number`th, from one moment to another.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn revocation_list(
        &self,
        revoked: &[&Issued],
        number: u64,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<String, DevelopmentError> {
        let at = |moment: Timestamp| {
            let seconds = u64::try_from(moment.as_second()).unwrap_or_default();
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        let mut revoked_certs = Vec::new();
        for issued in revoked {
            let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
            let der = der.map_err(|_| DevelopmentError::Name("what is no certificate".into()))?;
            let (_, certificate) = X509Certificate::from_der(&der)
                .map_err(|_| DevelopmentError::Name("what is no certificate".into()))?;
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(certificate.raw_serial()),
                revocation_time: at(from),
                reason_code: None,
                invalidity_date: None,
            });
        }
        let params = CertificateRevocationListParams {
            this_update: at(from),
            next_update: at(until),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(DevelopmentError::Certificate)?;
        list.pem().map_err(DevelopmentError::Certificate)
    }

    fn issue(
        &self,
        title: &str,
        names: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        now: Timestamp,
    ) -> Result<Issued, DevelopmentError> {
        let mut params = params(now, title);
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(DevelopmentError::Certificate)?;
        let certificate =
            params.signed_by(&key, &self.issuer).map_err(DevelopmentError::Certificate)?;
        Ok(Issued { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }
}

/// The file name under which a client's certificate is kept: the name without what a path may not hold.
#[must_use]
pub fn file_name(client: &str) -> String {
    let name = client.strip_prefix("dns:").unwrap_or(client);
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '.' || sign == '-';
    let name: String = name.chars().map(|sign| if plain(sign) { sign } else { '-' }).collect();
    let mut tidy = name.trim_matches(['.', '-']).to_owned();
    while tidy.contains("--") {
        tidy = tidy.replace("--", "-");
    }
    format!("client-{tidy}")
}

/// Claims of a development token.
#[derive(Clone, Debug)]
pub struct TokenClaims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `azp`.
    pub client: Option<&'a str>,
    /// Purposes that the token is bound to, as scope words; empty: not bound.
    pub purposes: &'a [PurposeId],
    /// `nbf` and `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// Signs development tokens with ES256.
pub struct TokenSigner {
    key: KeyPair,
    jwk: Jwk,
}

impl TokenSigner {
    /// Makes a new key.
    ///
    /// # Errors
    /// `Certificate`, `Token`.
    pub fn generate() -> Result<Self, DevelopmentError> {
        Self::with(KeyPair::generate().map_err(DevelopmentError::Certificate)?)
    }

    /// Reads a key that [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    /// `Certificate`, `Token`.
    pub fn from_pem(pem: &str) -> Result<Self, DevelopmentError> {
        Self::with(KeyPair::from_pem(pem).map_err(DevelopmentError::Certificate)?)
    }

    fn with(key: KeyPair) -> Result<Self, DevelopmentError> {
        let encoding = EncodingKey::from_ec_der(key.serialized_der());
        let mut jwk =
            Jwk::from_encoding_key(&encoding, Algorithm::ES256).map_err(DevelopmentError::Token)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(DevelopmentError::Token)?;
        jwk.common.key_id = Some(id);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, jwk })
    }

    /// The private key in PEM, to be kept in a file of mode 0600.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// The public key as a JWK set, as an issuer publishes it.
    #[must_use]
    pub fn jwks(&self) -> String {
        let set = JwkSet { keys: vec![self.jwk.clone()] };
        serde_json::to_string_pretty(&set).expect("a set of strings is JSON")
    }

    /// A signed token.
    ///
    /// # Errors
    /// `Token`.
    pub fn sign(&self, claims: &TokenClaims<'_>) -> Result<String, DevelopmentError> {
        #[derive(Serialize)]
        struct Body<'a> {
            iss: &'a str,
            aud: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            sub: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            azp: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            scope: Option<String>,
            iat: i64,
            nbf: i64,
            exp: i64,
        }
        let words: Vec<_> = claims.purposes.iter().map(|id| format!("purpose:{id}")).collect();
        let body = Body {
            iss: claims.issuer,
            aud: claims.audience,
            sub: claims.subject,
            azp: claims.client,
            scope: Some(words.join(" ")).filter(|scope| !scope.is_empty()),
            iat: claims.issued_at.as_second(),
            nbf: claims.issued_at.as_second(),
            exp: claims.expires_at.as_second(),
        };
        self.sign_json(&body)
    }

    /// A signed token with claims of any shape, for tests of what must be refused.
    ///
    /// # Errors
    /// `Token`.
    pub fn sign_json(&self, body: &impl Serialize) -> Result<String, DevelopmentError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid.clone_from(&self.jwk.common.key_id);
        let key = EncodingKey::from_ec_der(self.key.serialized_der());
        jsonwebtoken::encode(&header, body, &key).map_err(DevelopmentError::Token)
    }
}

fn params(now: Timestamp, title: &str) -> CertificateParams {
    let day = |days: i64| {
        let day = now.saturating_add(Span::new().hours(24 * days)).unwrap_or(now);
        let date = Offset::UTC.to_datetime(day).date();
        // Months and days of a calendar date are positive.
        let part = |number: i8| number.unsigned_abs();
        date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, title);
    // Begins yesterday: the clock of the other side may be behind.
    params.not_before = day(-1);
    params.not_after = day(DAYS);
    params
}

fn dns(name: &str) -> Result<SanType, DevelopmentError> {
    let refused = || DevelopmentError::Name(name.to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-*_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(refused());
    }
    Ok(SanType::DnsName(name.try_into().map_err(|_| refused())?))
}

fn paths(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")))
}

fn read(path: &Path) -> Result<String, DevelopmentError> {
    fs::read_to_string(path).map_err(|fault| DevelopmentError::File(path.to_owned(), fault))
}

/// Writes under a name of its own and renames, so that a reader never sees half a key, and so that an
/// earlier file's wider mode does not stay.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DevelopmentError> {
    let draft = path.with_added_extension("new");
    let written = || {
        match fs::remove_file(&draft) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    written().map_err(|fault| DevelopmentError::File(path.to_owned(), fault))
}
