//! What the authority of a server's certificate says of it (OCSP), from a file, sent along in handshakes.
//!
//! Somebody else fetches it. Here it is looked at before it is sent: an answer about another certificate,
//! one that is over or one that is no answer makes clients refuse a certificate that is good. What a client
//! checks besides, the signature of the authority, is left to it. Source: RFC 6960 §4.2, RFC 6066 §8.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, FromDer as _, Oid};
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

/// Largest answer that is sent along: it is part of every handshake.
const MOST: usize = 16 << 10;

/// How far ahead the clock of an authority may be, in seconds.
const SKEW: i64 = 300;

/// `status_request` in the TLS features of a certificate: no handshake without an answer. Source: RFC 7633.
const TLS_FEATURES: &str = "1.3.6.1.5.5.7.1.24";
const STATUS_REQUEST: u8 = 5;

const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const SHA1_ID: &str = "1.3.14.3.2.26";
const SHA256_ID: &str = "2.16.840.1.101.3.4.2.1";

/// An answer from a file, or why it is not sent.
pub(super) struct Staple {
    /// Where it was read.
    pub(super) file: PathBuf,
    /// What it is, if it can be sent.
    pub(super) answer: Result<Answer, &'static str>,
}

/// An answer that says that a certificate is good.
pub(super) struct Answer {
    /// As it stands in the file.
    pub(super) der: Vec<u8>,
    /// Since when it counts, in seconds since 1970.
    pub(super) from: i64,
    /// Until when.
    pub(super) until: i64,
}

impl Staple {
    /// Reads the answer about this certificate.
    pub(super) fn read(file: &Path, of: &CertificateDer<'_>, now: i64) -> Self {
        Self { file: file.to_owned(), answer: answer(file, of, now) }
    }
}

impl Answer {
    /// Whether it counts at this second.
    pub(super) fn counts_at(&self, now: i64) -> bool {
        self.from <= now.saturating_add(SKEW) && now < self.until
    }
}

/// Whether clients take this certificate only with an answer.
pub(super) fn is_needed(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    certificate.extensions().iter().any(|extension| {
        let features = Any::from_der(extension.value).ok().map(|(_, features)| features);
        extension.oid.to_id_string() == TLS_FEATURES
            && features.is_some_and(|features| {
                let mut rest = features.data;
                std::iter::from_fn(|| next(&mut rest)).any(|one| one.data == [STATUS_REQUEST])
            })
    })
}

fn answer(file: &Path, of: &CertificateDer<'_>, now: i64) -> Result<Answer, &'static str> {
    let der = fs::read(file).map_err(|_| "the file cannot be read")?;
    if der.len() > MOST {
        return Err("larger than an answer about one certificate");
    }
    let (_, certificate) = X509Certificate::from_der(of).map_err(|_| "of no certificate")?;
    let (from, until) = window(&der, &certificate)?;
    let answer = Answer { der, from, until };
    if now >= until {
        return Err("over");
    }
    if answer.counts_at(now) { Ok(answer) } else { Err("not begun") }
}

/// From when to when the answer says that the certificate is good.
fn window(der: &[u8], certificate: &X509Certificate<'_>) -> Result<(i64, i64), &'static str> {
    const MALFORMED: &str = "not an answer of OCSP in DER";
    let mut input = der;
    let whole = next(&mut input).filter(|_| input.is_empty()).ok_or(MALFORMED)?;
    let mut response = whole.data;
    if next(&mut response).ok_or(MALFORMED)?.data != [0] {
        return Err("an answer that says only that there is none");
    }
    let explicit = next(&mut response).ok_or(MALFORMED)?;
    let mut bytes = inner(&explicit).ok_or(MALFORMED)?.data;
    let kind = next(&mut bytes).ok_or(MALFORMED)?;
    if oid(&kind).as_deref() != Some(BASIC) {
        return Err("an answer of another kind than the basic one");
    }
    let octets = next(&mut bytes).ok_or(MALFORMED)?;
    let basic = inner(&octets).ok_or(MALFORMED)?;
    let mut data = next(&mut &*basic.data).ok_or(MALFORMED)?.data;
    // A version, if it is not the usual one; who answers; when.
    let responder = next(&mut data).ok_or(MALFORMED)?;
    if responder.tag().0 == 0 {
        next(&mut data).ok_or(MALFORMED)?;
    }
    next(&mut data).ok_or(MALFORMED)?;
    let mut singles = next(&mut data).ok_or(MALFORMED)?.data;
    while let Some(single) = next(&mut singles) {
        let mut single = single.data;
        let id = next(&mut single).ok_or(MALFORMED)?;
        if !names(&id, certificate).ok_or(MALFORMED)? {
            continue;
        }
        match next(&mut single).ok_or(MALFORMED)?.tag().0 {
            0 => {}
            1 => return Err("the certificate is revoked"),
            _ => return Err("its authority does not know the certificate"),
        }
        let from = time(&mut single).ok_or(MALFORMED)?;
        let until = next(&mut single).filter(|next| next.tag().0 == 0).ok_or("it says no end")?;
        let until = time(&mut &*until.data).ok_or(MALFORMED)?;
        return Ok((from, until));
    }
    Err("about another certificate")
}

/// Whether a `CertID` names this certificate.
fn names(id: &Any<'_>, certificate: &X509Certificate<'_>) -> Option<bool> {
    let mut id = id.data;
    let algorithm = next(&mut id)?;
    let issuer_name = next(&mut id)?;
    let _issuer_key = next(&mut id)?;
    let serial = next(&mut id)?;
    let algorithm = match oid(&next(&mut &*algorithm.data)?)?.as_str() {
        SHA1_ID => &SHA1_FOR_LEGACY_USE_ONLY,
        SHA256_ID => &SHA256,
        _ => return Some(false),
    };
    let issuer = digest(algorithm, certificate.issuer().as_raw());
    Some(issuer_name.data == issuer.as_ref() && serial.data == certificate.raw_serial())
}

fn next<'a>(input: &mut &'a [u8]) -> Option<Any<'a>> {
    let (rest, value) = Any::from_der(input).ok()?;
    *input = rest;
    Some(value)
}

/// What stands in an explicit tag, or in octets that hold a value.
fn inner<'a>(outer: &Any<'a>) -> Option<Any<'a>> {
    let mut rest = outer.data;
    next(&mut rest).filter(|_| rest.is_empty())
}

fn oid(value: &Any<'_>) -> Option<String> {
    Oid::try_from(value.clone()).ok().map(|oid| oid.to_id_string())
}

fn time(input: &mut &[u8]) -> Option<i64> {
    let (rest, time) = ASN1Time::from_der(input).ok()?;
    *input = rest;
    Some(time.timestamp())
}
