//! One order: from an account to a certificate that was looked at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use jiff::Timestamp;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::super::authority::carries_only;
use super::super::certificates::Served;
use super::super::tls::{self, TlsError};
use super::call::Calls;
use super::challenges::{Challenges, Held};
use super::store::{Store, window};
use super::suggested::identifier;
use crate::config::{AcmeChallenge, AcmeConfig, CertificateFiles};

/// How long an authority may take to look, or to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_mins(2));

/// How far ahead the clock of an authority may be, in seconds.
const SKEW: i64 = 300;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeFault {
    /// What the authority said, by its stable name.
    #[error("the authority says {0}")]
    Problem(&'static str),
    /// It does not see that a name is ours.
    #[error("the authority does not see that {0} is ours: {1}")]
    NotOurs(String, &'static str),
    /// It does not look in the way that the settings say.
    #[error("the authority offers no {1} for {0}")]
    NotOffered(String, &'static str),
    /// No answer, or none that could be read.
    #[error("the authority cannot be asked")]
    Call(#[source] Error),
    /// It took too long.
    #[error("the authority takes too long")]
    Late,
    /// The folder, or the file of the external key.
    #[error("account and certificate cannot be kept")]
    Storage(#[source] std::io::Error),
    /// What it sent is no certificate for what was ordered.
    #[error("the authority sent {0}")]
    Useless(&'static str),
    /// A key cannot be made.
    #[error("no key could be made")]
    Key(#[source] rcgen::Error),
}

impl AcmeFault {
    /// The stable code for logs and metrics.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Problem(name) => name,
            Self::NotOurs(..) => "not-ours",
            Self::NotOffered(..) => "not-offered",
            Self::Call(_) => "call",
            Self::Late => "late",
            Self::Storage(_) => "storage",
            Self::Useless(_) => "useless",
            Self::Key(_) => "key",
        }
    }
}

impl From<Error> for AcmeFault {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => Self::Problem(name(&problem)),
            Error::Timeout(_) => Self::Late,
            other => Self::Call(other),
        }
    }
}

/// The name of a problem; those that nobody has registered are one. Source: RFC 8555 §6.7.
fn name(problem: &Problem) -> &'static str {
    const KNOWN: [&str; 23] = [
        "accountDoesNotExist",
        "alreadyRevoked",
        "badCSR",
        "badNonce",
        "badPublicKey",
        "badRevocationReason",
        "badSignatureAlgorithm",
        "caa",
        "compound",
        "connection",
        "dns",
        "externalAccountRequired",
        "incorrectResponse",
        "invalidContact",
        "malformed",
        "orderNotReady",
        "rateLimited",
        "rejectedIdentifier",
        "serverInternal",
        "tls",
        "unauthorized",
        "unsupportedContact",
        "userActionRequired",
    ];
    let name = problem.r#type.as_deref().unwrap_or_default();
    let name = name.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default();
    KNOWN.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// Asks for a certificate and keeps it. From when to when it counts, in seconds since 1970.
pub(super) async fn certificate(
    config: &AcmeConfig,
    calls: &Calls,
    store: &Store,
    challenges: &Arc<Challenges>,
) -> Result<(i64, i64), AcmeFault> {
    let account = account(config, calls, store).await?;
    let order = ordered(&account, config, store).await;
    if let Err(Error::Api(problem)) = &order
        && name(problem) == "accountDoesNotExist"
    {
        // The next attempt makes another one.
        store.forget_account().map_err(AcmeFault::Storage)?;
    }
    let mut order = order?;
    let held = answer(config, &mut order, challenges).await?;
    let ready = order.poll_ready(&PATIENCE).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        return Err(why_not(&mut order, ready.err()).await);
    }
    drop(held);
    let key = KeyPair::generate().map_err(AcmeFault::Key)?;
    let mut params = CertificateParams::new(config.domains.clone()).map_err(AcmeFault::Key)?;
    params.distinguished_name = DistinguishedName::new();
    let wanted = params.serialize_request(&key).map_err(AcmeFault::Key)?;
    order.finalize_csr(wanted.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let key = Zeroizing::new(key.serialize_pem());
    let window = judged(&chain, &key, &config.domains)?;
    store.keep_certificate(&chain, &key).map_err(AcmeFault::Storage)?;
    Ok(window)
}

/// Begins an order. It says which certificate it takes the place of, so that an authority that suggested the
/// renewal counts it as one; one that does not want to hear of it is asked without.
async fn ordered(account: &Account, config: &AcmeConfig, store: &Store) -> Result<Order, Error> {
    let names: Vec<_> = config.domains.iter().cloned().map(Identifier::Dns).collect();
    let kept = store.certificate(&config.domains);
    if let Some(replaced) = kept.and_then(|kept| identifier(&kept.certificate)) {
        let order = NewOrder::new(&names).replaces(replaced);
        match account.new_order(&order).await {
            Err(Error::Unsupported(_) | Error::Other(_)) => {}
            Err(Error::Api(problem)) if !is_of_account(name(&problem)) => {}
            ordered => return ordered,
        }
    }
    account.new_order(&NewOrder::new(&names)).await
}

/// Whether a problem has nothing to do with what an order says.
fn is_of_account(name: &str) -> bool {
    matches!(name, "accountDoesNotExist" | "rateLimited" | "unauthorized" | "userActionRequired")
}

/// The account that is kept.
pub(super) async fn known_account(
    calls: &Calls,
    store: &Store,
) -> Result<Option<Account>, AcmeFault> {
    let builder = Account::builder_with_http(Box::new(calls.clone()));
    let Some(known) = store.account().map_err(AcmeFault::Storage)? else { return Ok(None) };
    Ok(Some(builder.from_credentials(known).await?))
}

/// The account that is kept, or a new one.
async fn account(config: &AcmeConfig, calls: &Calls, store: &Store) -> Result<Account, AcmeFault> {
    if let Some(known) = known_account(calls, store).await? {
        return Ok(known);
    }
    let builder = Account::builder_with_http(Box::new(calls.clone()));
    let external = config.eab.as_ref().map(|eab| {
        let text = std::fs::read_to_string(&eab.key).map(Zeroizing::new)?;
        let key = base64::Engine::decode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            text.trim().trim_end_matches('='),
        );
        let key = key.map_err(|_| std::io::Error::other("no key in base64url"))?;
        Ok(ExternalAccountKey::new(eab.kid.clone(), &Zeroizing::new(key)))
    });
    let external = external.transpose().map_err(AcmeFault::Storage)?;
    let contact: Vec<&str> = config.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, kept) =
        builder.create(&new, config.directory.to_string(), external.as_ref()).await?;
    store.keep_account(&kept).map_err(AcmeFault::Storage)?;
    Ok(account)
}

/// Has the authority look at each name that it has not seen to be ours. Answers stay until what this
/// gives is dropped.
async fn answer(
    config: &AcmeConfig,
    order: &mut Order,
    challenges: &Arc<Challenges>,
) -> Result<Vec<Held>, AcmeFault> {
    let way = config.challenge;
    let mut held = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        if !config.domains.contains(&name) {
            return Err(AcmeFault::Useless("a question about another name"));
        }
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(AcmeFault::NotOurs(name, "not asked")),
        }
        let kind = match way {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(AcmeFault::NotOffered(name, way.as_str()));
        };
        let said = challenge.key_authorization();
        held.push(match way {
            AcmeChallenge::Http01 => {
                challenges.say(challenge.token.clone(), said.as_str().to_owned())
            }
            AcmeChallenge::TlsAlpn01 => {
                let shown = shown(&name, said.digest().as_ref())?;
                challenges.show(name.to_ascii_lowercase(), shown)
            }
        });
        challenge.set_ready().await?;
    }
    Ok(held)
}

/// The certificate in which an authority finds its answer. Source: RFC 8737 §3.
fn shown(name: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeFault> {
    let key = KeyPair::generate().map_err(AcmeFault::Key)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(AcmeFault::Key)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(AcmeFault::Key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|_| AcmeFault::Useless("no key of ours"))?;
    let key = tls::provider().key_provider.load_private_key(key);
    let key = key.map_err(|_| AcmeFault::Useless("no key of ours"))?;
    // Not looked at as others are: the answer stands in an extension that nobody but authorities knows.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// Which name is not seen to be ours, and why.
async fn why_not(order: &mut Order, error: Option<Error>) -> AcmeFault {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let problem = authorization.challenges.iter().find_map(|one| one.error.as_ref());
        if let Some(problem) = problem {
            return AcmeFault::NotOurs(authorization.identifier().to_string(), name(problem));
        }
    }
    error.map_or(AcmeFault::Problem("other"), AcmeFault::from)
}

/// Looks at what an authority sent before it takes the place of what is there.
fn judged(chain: &str, key: &str, names: &[String]) -> Result<(i64, i64), AcmeFault> {
    let now = Timestamp::now().as_second();
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let all = all.map_err(|_| AcmeFault::Useless("no chain in PEM"))?;
    let first = all.first().ok_or(AcmeFault::Useless("an empty chain"))?;
    let window = window(first, names)
        .ok_or(AcmeFault::Useless("a certificate without a name that was asked for"))?;
    if !carries_only(first, names) {
        return Err(AcmeFault::Useless("a certificate with a name that was not asked for"));
    }
    if window.0 > now.saturating_add(SKEW) {
        return Err(AcmeFault::Useless("a certificate that begins later"));
    }
    if window.1 <= now {
        return Err(AcmeFault::Useless("a certificate that is over"));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| AcmeFault::Useless("no key of ours"))?;
    // As it is looked at when it is to be served, so that a good one never gives way to one that cannot be.
    let files = CertificateFiles { chain: PathBuf::new(), key: PathBuf::new(), ocsp: None };
    match Served::new(&files, (all, key), &tls::provider(), now) {
        Ok(_) => Ok(window),
        Err(TlsError::Pair(_, rustls::Error::InconsistentKeys(_))) => {
            Err(AcmeFault::Useless("a certificate of another key"))
        }
        Err(_) => Err(AcmeFault::Useless("a certificate that cannot be served")),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::SanType;

    use super::*;

    const DAY: i64 = 24 * 3600;

    /// A certificate over these seconds from now, with these names, of this key.
    fn issued(names: &[&str], (from, until): (i64, i64), key: &KeyPair) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().expect("a name")),
            })
            .collect();
        let now = Timestamp::now().as_second();
        let at = |second: i64| {
            let since = u64::try_from(now + second).expect("after 1970");
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since)
        };
        (params.not_before, params.not_after) = (at(from), at(until));
        params.self_signed(key).expect("signed").pem()
    }

    /// What an authority sends is no better than whoever could answer in its place: nothing of it was looked
    /// at but that the names were there and the time was not over.
    #[test]
    fn what_was_not_ordered_is_not_kept_and_no_name_in_it_is_told() {
        let [ours, others] = [(); 2].map(|()| KeyPair::generate().expect("random bytes"));
        let key = ours.serialize_pem();
        let asked = ["a.example.invalid", "b.example.invalid"];
        let names = asked.map(str::to_owned);
        let lasts = (-60, 90 * DAY);
        let judge = |chain: String| judged(&chain, &key, &names).map_err(|fault| fault.to_string());
        assert!(judge(issued(&asked, lasts, &ours)).is_ok());
        assert!(judge(issued(&["B.example.invalid", asked[0]], (200, DAY), &ours)).is_ok());
        let cases = [
            (issued(&asked[..1], lasts, &ours), "without a name that was asked for"),
            (
                issued(&[asked[0], asked[1], "canary.example.invalid"], lasts, &ours),
                "with a name that was not asked for",
            ),
            (
                issued(&[asked[0], asked[1], "*.example.invalid"], lasts, &ours),
                "with a name that was not asked for",
            ),
            (
                issued(&[asked[0], asked[1], "192.0.2.1"], lasts, &ours),
                "with a name that was not asked for",
            ),
            (issued(&asked, (DAY, 2 * DAY), &ours), "that begins later"),
            (issued(&asked, (-DAY, -60), &ours), "that is over"),
            (issued(&asked, lasts, &others), "of another key"),
            (String::new(), "an empty chain"),
            ("-----BEGIN CERT".to_owned(), "no chain in PEM"),
        ];
        for (chain, expected) in cases {
            let told = judge(chain).expect_err(expected);
            assert!(told.contains(expected), "{expected}: {told}");
            assert!(!told.contains("example.invalid") && !told.contains("192."), "{told}");
        }
    }
}
