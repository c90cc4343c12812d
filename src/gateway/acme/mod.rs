//! A certificate that the gateway gets by itself and renews in time. Source: RFC 8555.
//!
//! What fails leaves in force what is there: a certificate is renewed when its authority suggests it, or else
//! when a third of its time is left, so that there is time for somebody to look.

mod call;
mod challenges;
mod order;
mod store;
mod suggested;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use self::call::Calls;
pub(super) use self::challenges::{ALPN, Challenged, Challenges};
use self::order::AcmeFault;
use self::store::{Kept, Store};
use self::suggested::{OTHERWISE, Suggested, identifier};
use super::reload::Reloader;
use super::start::StartError;
use super::tls::Tls;
use crate::config::{AcmeConfig, Config};
use crate::observe::{Event, Metrics};

/// Longest pause between two attempts, unless the authority asks for more.
const LONGEST_PAUSE: Duration = Duration::from_hours(12);

/// Longest that one order may take, with all that is asked.
const PATIENCE: Duration = Duration::from_mins(10);

/// Longest sleep without a look at the clock, which may have been set.
const NAP: Duration = Duration::from_mins(10);

/// Gets certificates.
pub(super) struct Renewal {
    config: AcmeConfig,
    calls: Calls,
    store: Store,
    challenges: Arc<Challenges>,
    metrics: Arc<Metrics>,
}

impl Renewal {
    /// Opens the folder, and asks nobody yet. `None`: no certificate is to be got.
    pub(super) fn of(
        config: &Config,
        tls: &Tls,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, StartError> {
        let Some(config) = config.acme.clone() else { return Ok(None) };
        let store = Store::open(&config)
            .map_err(|error| StartError::Acme(config.storage.clone(), error))?;
        let (challenges, metrics) = (Arc::clone(&tls.challenges), Arc::clone(metrics));
        Ok(Some(Self { calls: Calls::new(&config)?, config, store, challenges, metrics }))
    }

    /// Renews for as long as it is polled.
    pub(super) async fn keep_renewing(self, reloader: Arc<Reloader>) {
        let mut failures = 0;
        self.until_due(Timestamp::UNIX_EPOCH).await;
        loop {
            let order =
                order::certificate(&self.config, &self.calls, &self.store, &self.challenges);
            let made = timeout(PATIENCE, order).await.unwrap_or(Err(AcmeFault::Late));
            match made {
                Ok((_, until)) => {
                    failures = 0;
                    let until = Timestamp::from_second(until).unwrap_or_default();
                    Event::CertificateIssued { until }.emit(&self.metrics);
                    // What came of it is told there.
                    reloader.renewed(&self.config).await;
                    // However short it lives, the authority is not asked without a pause.
                    self.until_due(after(self.config.retry)).await;
                }
                Err(fault) => {
                    let pause = self.pause(failures);
                    failures += 1;
                    let due = after(pause);
                    self.tell(&fault, due);
                    self.metrics.next_order(due);
                    wait_until(due).await;
                }
            }
        }
    }

    /// Waits until a certificate is to be asked for: at once, where there is none; when its authority
    /// suggests it, which is asked from time to time; or else by its age. Not before `earliest`.
    async fn until_due(&self, earliest: Timestamp) {
        let chance = chance();
        loop {
            let now = Timestamp::now();
            let Some(kept) = self.store.certificate(&self.config.domains) else {
                self.metrics.next_order(now.max(earliest));
                return wait_until(earliest).await;
            };
            let suggested = timeout(PATIENCE, self.suggested(&kept)).await.ok().flatten();
            let again = after(suggested.map_or(OTHERWISE, |suggested| suggested.again));
            let moment = suggested.and_then(|suggested| suggested.moment(kept.window, chance));
            let due = moment.unwrap_or_else(|| by_age(kept.window, chance)).max(now).max(earliest);
            self.metrics.next_order(due);
            wait_until(due.min(again)).await;
            if due <= again {
                return;
            }
        }
    }

    /// What the authority suggests for this certificate, if it can be asked and suggests anything. Whoever
    /// has no account there yet does not make one for it.
    async fn suggested(&self, kept: &Kept) -> Option<Suggested> {
        let of = identifier(&kept.certificate)?;
        let asked = async {
            let account = order::known_account(&self.calls, &self.store).await?;
            let Some(account) = account else { return Ok(None) };
            Suggested::ask(&account, &of).await.map_err(AcmeFault::from)
        };
        asked.await.unwrap_or_else(|fault: AcmeFault| {
            tracing::debug!(kind = fault.code(), "no suggestion when to renew");
            None
        })
    }

    /// After so many failures before this one: twice as long each time, between half of it and all of it
    /// by chance, and no less than the authority asks for.
    fn pause(&self, failures: u32) -> Duration {
        let whole = self.config.retry.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
        let pause = whole.mul_f64(f64::midpoint(1.0, chance()));
        self.calls.wait().map_or(pause, |asked| asked.max(pause))
    }

    fn tell(&self, fault: &AcmeFault, again: Timestamp) {
        let why = match std::error::Error::source(fault) {
            Some(cause) => format!("{fault}: {cause}"),
            None => fault.to_string(),
        };
        Event::CertificateNotIssued { kind: fault.code(), why: &why, again }.emit(&self.metrics);
    }
}

/// When two thirds of a certificate's time are over, and somewhat earlier by chance, so that gateways that
/// began together do not all come at once.
fn by_age((from, until): (i64, i64), chance: f64) -> Timestamp {
    let life = u64::try_from(until.saturating_sub(from)).unwrap_or_default();
    let earlier = Duration::from_secs(life / 60).mul_f64(chance);
    let due = from.saturating_add_unsigned(life / 3 * 2);
    let due = Timestamp::from_second(due).unwrap_or(Timestamp::MIN);
    due.saturating_sub(earlier).unwrap_or(Timestamp::MIN)
}

fn after(pause: Duration) -> Timestamp {
    Timestamp::now().saturating_add(pause).unwrap_or(Timestamp::MAX)
}

async fn wait_until(due: Timestamp) {
    loop {
        let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        if left.is_zero() {
            return;
        }
        sleep(left.min(NAP)).await;
    }
}

/// Between 0 and 1.
fn chance() -> f64 {
    // Without random bytes there is no TLS either; then all come at once.
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}
