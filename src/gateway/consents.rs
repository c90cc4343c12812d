//! Consents from elsewhere: a file that the rules name, looked at once a second, or a service that the
//! settings name, asked when it matters.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::SpanRelativeTo;

use super::state::Gateway;
use crate::config::Config;
use crate::decide::{Permit, SubjectIds};
use crate::observe::{Event, Metrics};
use crate::policy::Policy;
use crate::registers::{
    ConsentFile, ConsentService, Reading, RegisterStore, Registers, ServiceRegisters,
    USUAL_STALENESS,
};
use crate::terms::{DataSubject, RecipientId};

/// Waits for what a service has to be asked of these people, if what they have consented to matters to
/// `recipient`. Whoever is not known then is unknown.
pub(super) async fn fetched<'p>(
    gateway: &Gateway,
    recipient: &RecipientId,
    people: impl Iterator<Item = &'p DataSubject>,
) {
    if gateway.registers.may_fetch() && gateway.policy.rests_on_consent(recipient) {
        fetched_anyway(gateway, people).await;
    }
}

/// As [`fetched`], whomever it matters to.
pub(super) async fn fetched_anyway<'p>(
    gateway: &Gateway,
    people: impl Iterator<Item = &'p DataSubject>,
) {
    let ids = gateway.policy.registers.ids;
    let admitted = |id: &&DataSubject| ids.admits(id.expose());
    let people: Vec<DataSubject> = people.filter(admitted).cloned().collect();
    if let Some(fetching) = gateway.registers.fetch(&people) {
        fetching.await;
    }
}

/// As [`fetched`], of whom an answer's head names.
pub(super) async fn fetched_stated(
    gateway: &Gateway,
    permit: &Permit,
    stated: &[(usize, SubjectIds)],
) {
    let people = stated.iter().flat_map(|(_, ids)| ids.each());
    fetched(gateway, permit.recipient(), people).await;
}

/// The registers as they answer: our own, with the file or the service from which consents come.
pub(super) fn with_service(
    registers: Arc<dyn Registers>,
    service: Option<&Arc<ConsentService>>,
    policy: &Policy,
    config: &Config,
) -> Arc<dyn Registers> {
    let (Some(service), Some(settings)) = (service, &config.consent_service) else {
        return registers;
    };
    // The rules may bind it further.
    service.bound(settings.max_staleness.min(staleness(policy)));
    Arc::new(ServiceRegisters::new(registers, Arc::clone(service)))
}

/// A file of consents and the registers that it feeds.
pub(super) struct Feed {
    pub(super) file: Arc<ConsentFile>,
    registers: Arc<RegisterStore>,
    metrics: Arc<Metrics>,
}

impl Feed {
    /// Where the file is that the rules name, if they name one. A relative path begins at their folder.
    pub(super) fn path(policy: &Policy, rules: &Path) -> Option<PathBuf> {
        let name = policy.registers.consent_file.as_ref()?;
        Some(rules.parent().unwrap_or(Path::new(".")).join(name))
    }

    /// The file that the rules name, if they name one.
    pub(super) fn of(
        policy: &Policy,
        rules: &Path,
        registers: &Arc<RegisterStore>,
        metrics: &Arc<Metrics>,
    ) -> Option<Self> {
        let path = Self::path(policy, rules)?;
        let file = Arc::new(ConsentFile::new(path, staleness(policy)));
        let (registers, metrics) = (Arc::clone(registers), Arc::clone(metrics));
        Some(Self { file, registers, metrics })
    }

    /// Reads what is new. `failing` remembers what was told last: a fault that lasts is told once.
    pub(super) fn read(&self, policy: &Policy, failing: &mut Option<String>) {
        let now = Instant::now();
        match self.file.read(&self.registers, policy, now) {
            Ok(Reading::Unchanged) => *failing = None,
            Ok(Reading::Complete { new }) => {
                *failing = None;
                Event::ConsentsRead { new }.emit(&self.metrics);
            }
            Ok(Reading::Unfinished) => {
                let half = "unfinished".to_owned();
                if failing.as_ref() != Some(&half) {
                    Event::ConsentsUnfinished.emit(&self.metrics);
                    *failing = Some(half);
                }
            }
            Err(error) => {
                let why = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                if failing.as_ref() != Some(&why) {
                    Event::ConsentsUnknown { kind: error.kind(), why: &why }.emit(&self.metrics);
                    *failing = Some(why);
                }
            }
        }
        self.metrics.consents_known(self.file.is_known(now));
    }
}

impl Feed {
    /// Reads it for the first time, beside the requests. A reading that fails, or panics, leaves
    /// consents unknown.
    pub(super) async fn read_aside(self: &Arc<Self>, policy: &Arc<Policy>) {
        let (feed, policy) = (Arc::clone(self), Arc::clone(policy));
        let _ = tokio::task::spawn_blocking(move || feed.read(&policy, &mut None)).await;
    }
}

/// Months and years are no staleness; where they are written, the usual one counts.
pub(super) fn staleness(policy: &Policy) -> Duration {
    let written = policy.registers.max_staleness.as_ref();
    written
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|duration| Duration::try_from(duration).ok())
        .unwrap_or(USUAL_STALENESS)
}

/// Looks at the file once a second, whichever the rules name.
pub(super) async fn keep_reading(feed: Arc<ArcSwapOption<Feed>>, policy: Arc<ArcSwap<Policy>>) {
    let mut failing = None;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let (Some(feed), policy) = (feed.load_full(), policy.load_full()) else { continue };
        let mut last = failing.take();
        let read = tokio::task::spawn_blocking(move || {
            feed.read(&policy, &mut last);
            last
        });
        // A reading that panicked has entered nothing that counts as read.
        failing = read.await.unwrap_or_default();
    }
}
