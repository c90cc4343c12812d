//! When an authority suggests that a certificate be renewed: before it revokes many, or so that not all come at
//! once. Source: RFC 9773.
//!
//! A suggestion moves the renewal within the certificate's life, and never so near to its end that nobody
//! could look into a failure. Whatever is no suggestion of use is as none.

use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, Error};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, Der};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Longest and shortest wait until it is asked again, whatever the authority says. Source: RFC 9773 §4.3.2.
const LONGEST: Duration = Duration::from_hours(24);
const SHORTEST: Duration = Duration::from_mins(1);

/// How long until it is asked again where it could not be, or suggests nothing. Source: RFC 9773 §4.3.3.
pub(super) const OTHERWISE: Duration = Duration::from_hours(6);

/// A part of a certificate's life that is left for failures, however late the suggestion: a tenth.
const MARGIN: i64 = 10;

/// What an authority suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suggested {
    /// Within these seconds since 1970.
    pub(super) window: (i64, i64),
    /// When to ask again.
    pub(super) again: Duration,
}

impl Suggested {
    /// Asks for it. `None`: this authority suggests nothing.
    pub(super) async fn ask(
        account: &Account,
        of: &CertificateIdentifier<'_>,
    ) -> Result<Option<Self>, Error> {
        let (info, again) = match account.renewal_info(of).await {
            Ok(said) => said,
            Err(Error::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let window = &info.suggested_window;
        let window = (window.start.unix_timestamp(), window.end.unix_timestamp());
        Ok(Some(Self { window, again: again.clamp(SHORTEST, LONGEST) }))
    }

    /// The moment within it that is `chance` of the way, of use for a certificate that counts in `life`.
    /// One that is past is now. `None`: it is of no use.
    pub(super) fn moment(&self, life: (i64, i64), chance: f64) -> Option<Timestamp> {
        let ((begin, end), (from, until)) = (self.window, life);
        if begin >= end || end > until {
            return None;
        }
        let width = u64::try_from(end.checked_sub(begin)?).ok()?;
        let within = Duration::from_secs(width).mul_f64(chance.clamp(0.0, 1.0)).as_secs();
        let latest = until.saturating_sub(until.saturating_sub(from) / MARGIN);
        Timestamp::from_second(begin.saturating_add_unsigned(within).min(latest)).ok()
    }
}

/// What authorities call a certificate by. `None`: it does not say which key of its authority signed it.
/// Source: RFC 9773 §4.1.
pub(super) fn identifier(
    certificate: &CertificateDer<'_>,
) -> Option<CertificateIdentifier<'static>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let key = parsed.iter_extensions().find_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(of) => of.key_identifier.as_ref(),
        _ => None,
    })?;
    let serial = Der::from_slice(parsed.raw_serial());
    Some(CertificateIdentifier::new(Der::from_slice(key.0), serial).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn moment(window: (i64, i64), chance: f64) -> Option<i64> {
        let suggested = Suggested { window, again: LONGEST };
        suggested.moment((0, 90 * DAY), chance).map(Timestamp::as_second)
    }

    #[test]
    fn a_moment_is_within_the_window_and_never_in_the_last_tenth_of_a_life() {
        let window = (59 * DAY, 61 * DAY);
        assert_eq!(moment(window, 0.0), Some(59 * DAY));
        assert_eq!(moment(window, 0.5), Some(60 * DAY));
        assert_eq!(moment(window, 1.0), Some(61 * DAY));
        assert_eq!(moment((-2 * DAY, -DAY), 0.5), Some(-3 * DAY / 2), "at once");
        assert_eq!(moment((88 * DAY, 90 * DAY), 0.5), Some(81 * DAY));
    }

    #[test]
    fn a_window_that_nobody_could_keep_to_is_none() {
        for window in [(2, 1), (5, 5), (89 * DAY, 91 * DAY), (i64::MIN, i64::MAX), (i64::MIN, 0)] {
            assert_eq!(moment(window, 0.5), None, "{window:?}");
        }
    }
}
