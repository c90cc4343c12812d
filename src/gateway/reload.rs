//! Reading everything anew while requests are answered.
//!
//! All that a reload read is checked as a whole and takes effect at once, or none of it does and what
//! was in force stays. Only certificates stand for themselves: broken rules must not keep one that is
//! about to expire, nor a broken certificate rules that release less. But who vouches for whom goes with
//! the names that it is about: an authority is not taken without the rules that it came with, nor names
//! without the authorities. A request keeps what it began with to its end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use super::checkpoints::{Checkpoints, period};
use super::consents::{Feed, staleness, with_service};
use super::files::Seen;
use super::ledgers::rekeyed;
use super::loaded::{self, Before, Loaded};
use super::not_reloaded::{KEYS, RULES, ReloadError, SETTINGS};
use super::retire::Retirement;
use super::start::loosened;
use super::state::Gateway;
use super::tls::{Anew, CRLS, InForce, Tls};
use super::upstream::Upstreams;
use crate::admin::{Access, Standing};
use crate::config::{AcmeConfig, Config};
use crate::identity::IssuerKeys;
use crate::ledger::{Note, SubjectIndex};
use crate::observe::{Event, Metrics};
use crate::policy::Policy;
use crate::policy::difference::{Way, changes};
use crate::policy::model::Authenticator;
use crate::registers::{ConsentService, FedRegisters, RegisterPlace, RegisterStore, Registers};

/// What came of a reload.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What is in force now that was not: `settings`, `rules`, `keys`, `certificates`.
    pub activated: Vec<&'static str>,
    /// What was refused, and why.
    pub refused: Vec<(&'static str, String)>,
}

/// What only a gateway on embedded stores has.
pub(super) struct Fed {
    pub(super) registers: Arc<RegisterStore>,
    pub(super) feed: Arc<ArcSwapOption<Feed>>,
    pub(super) service: Option<Arc<ConsentService>>,
    pub(super) index: Arc<SubjectIndex>,
    pub(super) access: Arc<ArcSwap<Access>>,
    pub(super) checkpoints: Option<Arc<Checkpoints>>,
    pub(super) retirement: Option<Arc<Retirement>>,
}

/// Reads anew.
pub(super) struct Reloader {
    in_force: Arc<ArcSwap<Gateway>>,
    policy: Arc<ArcSwap<Policy>>,
    fed: Option<Fed>,
    standing: Arc<Standing>,
    /// One reload at a time.
    state: Mutex<State>,
}

struct State {
    /// The settings in force.
    config: Arc<Config>,
    /// The files that what is in force was read from, as they were then.
    in_force: Seen,
    /// The files as they were when they were read last, whatever came of it.
    seen: Seen,
    /// Files that were seen to change, as they were then: they are read when they have come to rest.
    moving: Option<Seen>,
    /// What was refused may pass, and is tried again.
    again: Option<Again>,
    fetching: Fetching,
}

/// When to read again what has not changed since it was refused.
#[derive(Clone, Copy)]
struct Again {
    /// Looks between two tries.
    pause: u32,
    /// Looks until the next one.
    left: u32,
}

/// Most looks between two tries: about a minute.
const LONGEST_PAUSE: u32 = 64;

impl Again {
    /// At the next look; then after twice as many each time.
    fn after(before: Option<Self>) -> Self {
        let pause = before.map_or(1, |before| (before.pause * 2).min(LONGEST_PAUSE));
        Self { pause, left: pause }
    }

    /// Counts one look. Whether the files are to be read at it.
    fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

/// Tasks that keep issuers' keys fresh.
#[derive(Default)]
pub(super) struct Fetching {
    tasks: JoinSet<()>,
    of: HashMap<String, AbortHandle>,
}

impl Fetching {
    /// Lets go of tasks that have ended. One that ended by a defect is told: its keys get old.
    fn let_go(&mut self, metrics: &Metrics) {
        while let Some(ended) = self.tasks.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                Event::Internal { kind: "issuer" }.emit(metrics);
            }
        }
    }

    /// Keeps these fresh too, and those no more that are gone.
    pub(super) fn follow(&mut self, config: &Config, new: Vec<Arc<IssuerKeys>>) {
        for issuer in new {
            let name = issuer.name().to_owned();
            let task = self.tasks.spawn(issuer.keep_fresh());
            if let Some(old) = self.of.insert(name, task) {
                old.abort();
            }
        }
        self.of.retain(|name, task| {
            let stays = config.issuers.contains_key(name);
            if !stays {
                task.abort();
            }
            stays
        });
    }
}

/// What a reading came to.
struct Reading {
    seen: Seen,
    rest: Result<Loaded, ReloadError>,
    tls: Anew,
}

impl Reloader {
    pub(super) fn new(
        in_force: Arc<ArcSwap<Gateway>>,
        policy: Arc<ArcSwap<Policy>>,
        fed: Option<Fed>,
        standing: Arc<Standing>,
        (config, seen, fetching): (Config, Seen, Fetching),
    ) -> Self {
        let (config, moving, again) = (Arc::new(config), None, None);
        let state = State { config, in_force: seen.clone(), seen, moving, again, fetching };
        Self { in_force, policy, fed, standing, state: Mutex::new(state) }
    }

    /// Looks at the files once a second, and reads them anew when one has changed and none changes any
    /// more: a file that is being written is left alone until the next look.
    pub(super) async fn keep_looking(self: Arc<Self>) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            self.look().await;
        }
    }

    /// One look. `None`: there was nothing to read.
    pub(super) async fn look(&self) -> Option<Reloaded> {
        let mut state = self.state.lock().await;
        state.fetching.let_go(&self.in_force.load().metrics);
        let seen = state.seen.clone();
        let now = tokio::task::spawn_blocking(move || seen.again()).await.ok()?;
        if now == state.seen {
            state.moving = None;
            // What was refused for want of an issuer or of the ledger needs no other files.
            if !state.again.as_mut().is_some_and(Again::is_due) {
                return None;
            }
        } else {
            state.again = None;
            if state.moving.as_ref() != Some(&now) {
                state.moving = Some(now);
                return None;
            }
        }
        Some(self.read_anew(&mut state).await)
    }

    /// Reads everything anew.
    pub(super) async fn reload(&self) -> Reloaded {
        let mut state = self.state.lock().await;
        state.again = None;
        self.read_anew(&mut state).await
    }

    /// Takes the certificate that was got anew, and reads nothing else, unless something was refused before
    /// or this is. What changed meanwhile is found by the next look.
    pub(super) async fn renewed(&self, acme: &AcmeConfig) {
        let mut state = self.state.lock().await;
        let gateway = self.in_force.load_full();
        let (file, acme, before) = (acme.certificate().chain, acme.clone(), Arc::clone(&gateway));
        let (mut seen, mut in_force) = (state.seen.clone(), state.in_force.clone());
        let reading = tokio::task::spawn_blocking(move || {
            // Noted before it is read.
            seen.note_anew(&file);
            in_force.note_anew(&file);
            (before.tls.renewed(&acme), seen, in_force)
        });
        match reading.await {
            Ok((Ok(tls), seen, in_force)) if self.standing.is_good() => {
                (state.seen, state.in_force) = (seen, in_force);
                let taken = (Some(Arc::new(tls)), None);
                let activated = self.activate(&gateway, &mut state, None, taken).await;
                for what in &activated {
                    Event::Reloaded { what }.emit(&gateway.metrics);
                }
                self.standing.taken(Timestamp::now(), &activated);
            }
            _ => {
                state.again = None;
                self.read_anew(&mut state).await;
            }
        }
    }

    async fn read_anew(&self, state: &mut State) -> Reloaded {
        let gateway = self.in_force.load_full();
        let (config, seen) = (Arc::clone(&state.config), state.in_force.clone());
        let of_before = Arc::clone(&gateway);
        let reading = tokio::task::spawn_blocking(move || read(&config, &of_before, &seen)).await;
        state.moving = None;
        let Ok(Reading { seen, rest, mut tls }) = reading else {
            // Nothing was noted: the next look tries again.
            return self.tell(&gateway, Vec::new(), &[ReloadError::Defect]);
        };
        // Files that a rejected reading did not come to are looked at as before.
        let is_whole = rest.is_ok();
        let read = seen.clone();
        state.seen = if is_whole { seen } else { seen.with(state.seen.clone()) };

        let mut refused = Vec::new();
        let rest = match rest {
            Ok(loaded) => {
                match agreed((&state.config, &gateway), &loaded, tls.refused.is_empty()).await {
                    Ok(()) => Some(loaded),
                    Err(error) => {
                        refused.push(error);
                        None
                    }
                }
            }
            Err(error) => {
                refused.push(error);
                None
            }
        };
        let mut upstreams = None;
        if rest.is_none() {
            // What backends' authorities have revoked does not wait for the rest.
            let before = Arc::clone(&gateway.upstreams);
            match tokio::task::spawn_blocking(move || before.tightened()).await {
                Ok((tightened, faults)) => {
                    upstreams = tightened;
                    tls.refused.extend(faults);
                }
                Err(_) => refused.push(ReloadError::Defect),
            }
        }
        if rest.is_none() && is_whole {
            // What was refused may have named other certificates.
            let (config, before) = (Arc::clone(&state.config), Arc::clone(&gateway));
            let again = tokio::task::spawn_blocking(move || {
                let in_force = InForce { tls: &before.tls, is_bound: true };
                loaded::tls_anew(&config, &before.policy, &mut Seen::default(), in_force)
            });
            if let Ok(again) = again.await {
                tls = again.after(tls);
            } else {
                tls.tls = None;
                refused.push(ReloadError::Defect);
            }
        }
        let told: Vec<String> = refused.iter().map(ReloadError::in_words).collect();
        let of_tls = tls.refused.into_iter().map(ReloadError::from);
        refused.extend(of_tls.filter(|fault| !told.iter().any(|words| fault.is_in(words))));
        let tls = tls.tls.filter(|tls| !tls.differs(&gateway.tls).is_empty()).map(Arc::new);
        if rest.is_some() {
            state.in_force = read;
        }
        let may_pass = refused.iter().any(ReloadError::may_pass);
        state.again = may_pass.then(|| Again::after(state.again));
        let activated = self.activate(&gateway, state, rest, (tls, upstreams)).await;
        self.tell(&gateway, activated, &refused)
    }

    async fn activate(
        &self,
        before: &Arc<Gateway>,
        state: &mut State,
        rest: Option<Loaded>,
        (tls, tightened): (Option<Arc<Tls>>, Option<Upstreams>),
    ) -> Vec<&'static str> {
        let mut activated = Vec::new();
        let mut gateway = Gateway::clone(before);
        if let Some(tls) = tls {
            activated.extend(tls.differs(&gateway.tls));
            gateway.tls = tls;
        }
        if let Some(tightened) = tightened {
            tightened.attend();
            gateway.upstreams = Arc::new(tightened);
            if !activated.contains(&CRLS) {
                activated.push(CRLS);
            }
        }
        if let Some(loaded) = rest {
            let Loaded { config, policy, upstreams, told, webhooks, keys, identifier, new_issuers } =
                loaded;
            if !Arc::ptr_eq(&keys, &gateway.keys) {
                activated.push(KEYS);
            }
            let is_other = policy.digest != gateway.policy.digest;
            if is_other {
                activated.push(RULES);
            }
            // The same rules in another folder name another file.
            let fed_by = |policy: &Policy, config: &Config| Feed::path(policy, &config.rules);
            if is_other || fed_by(&policy, &config) != fed_by(&gateway.policy, &state.config) {
                let registers = self.fed_registers(&config, &policy, &gateway).await;
                gateway.registers = registers.unwrap_or(gateway.registers);
            }
            if config != *state.config {
                activated.push(SETTINGS);
            }
            for loosening in &config.loosenings {
                if !state.config.loosenings.contains(loosening) {
                    Event::Dangerous { key: loosening }.emit(&gateway.metrics);
                }
            }
            upstreams.attend();
            (gateway.policy, gateway.upstreams) = (policy, upstreams);
            gateway.told = told;
            gateway.webhooks = webhooks;
            (gateway.keys, gateway.identifier) = (keys, identifier);
            gateway.limits = config.limits;
            gateway.encoding = config.encoding;
            state.fetching.follow(&config, new_issuers);
            state.fetching.let_go(&gateway.metrics);
            state.config = Arc::new(config);
        }
        gateway.origins = loaded::origins(&state.config, &gateway.tls);
        if let Some(fed) = &self.fed {
            fed.index.follow(rekeyed(&gateway.keys));
            if let Some(checkpoints) = &fed.checkpoints {
                checkpoints.follow(period(&gateway.policy));
            }
            if let Some(retirement) = &fed.retirement {
                retirement.policy.store(Arc::new(gateway.policy.digest));
            }
            let hosts = gateway.tls.names.hosts();
            if let Some(access) = fed.access.load().following(&state.config.admin, hosts) {
                fed.access.store(Arc::new(access));
            }
        }
        gateway.access_log.follow(&gateway.policy.access_log);
        let policy = Arc::clone(&gateway.policy);
        self.in_force.store(Arc::new(gateway));
        self.policy.store(policy);
        activated
    }

    /// The registers with the file of consents that the rules name, read before they are in force.
    async fn fed_registers(
        &self,
        config: &Config,
        policy: &Arc<Policy>,
        gateway: &Gateway,
    ) -> Option<Arc<dyn Registers>> {
        let stores = self.fed.as_ref()?;
        let feed =
            Feed::of(policy, &config.rules, &stores.registers, &gateway.metrics).map(Arc::new);
        let Some(feed) = feed else {
            stores.feed.store(None);
            let own: Arc<dyn Registers> = Arc::<RegisterStore>::clone(&stores.registers);
            return Some(with_service(own, stores.service.as_ref(), policy, config));
        };
        feed.read_aside(policy).await;
        let answering = FedRegisters::new(
            Arc::<RegisterStore>::clone(&stores.registers),
            Arc::clone(&feed.file),
        );
        stores.feed.store(Some(feed));
        Some(Arc::new(answering))
    }

    fn tell(
        &self,
        before: &Gateway,
        activated: Vec<&'static str>,
        refused: &[ReloadError],
    ) -> Reloaded {
        let metrics = &before.metrics;
        for what in &activated {
            if *what == RULES {
                let policy = self.policy.load();
                Event::PolicyActivated { policy: &policy }.emit(metrics);
                loosened(&policy, metrics);
            }
            Event::Reloaded { what }.emit(metrics);
        }
        let refused: Vec<(&'static str, String)> =
            refused.iter().map(|error| (error.what(), error.in_words())).collect();
        for (what, why) in &refused {
            Event::ReloadRefused { what, why }.emit(metrics);
        }
        let now = Timestamp::now();
        metrics.files_good(refused.is_empty(), now);
        self.standing.reloaded(now, &activated, &refused);
        Reloaded { activated, refused }
    }
}

/// Reads everything that `before` was read from.
fn read(config: &Config, gateway: &Gateway, seen_before: &Seen) -> Reading {
    let mut seen = Seen::default();
    let before = Before { config, gateway, seen: seen_before };
    let rest = rest(before, &mut seen);
    let (config, policy) = match &rest {
        Ok(loaded) => (&loaded.config, &loaded.policy),
        Err(_) => (config, &gateway.policy),
    };
    let in_force = InForce { tls: &gateway.tls, is_bound: rest.is_err() };
    let tls = loaded::tls_anew(config, policy, &mut seen, in_force);
    Reading { seen, rest, tls }
}

fn rest(before: Before<'_>, seen: &mut Seen) -> Result<Loaded, ReloadError> {
    let file: PathBuf = before.config.file.clone();
    seen.note(&file);
    let config = Config::load(&file)?;
    let names = config.needs_restart(before.config);
    if !names.is_empty() {
        return Err(ReloadError::NeedsRestart(names));
    }
    let loaded = Loaded::read(config, Some(before), seen, &before.gateway.metrics)?;
    let (old, new) = (&before.gateway.policy, &loaded.policy);
    let names = rules_that_need_restart(&loaded.config, old, new);
    if !names.is_empty() {
        return Err(ReloadError::RulesNeedRestart(names));
    }
    if old.digest != new.digest && !loaded.config.reload.may_widen(&new.digest) {
        let mut found = changes(old, new).map_err(ReloadError::Plans)?;
        found.retain(|change| change.way != Way::Narrowed);
        if !found.is_empty() {
            return Err(ReloadError::Widens { digest: new.digest, changes: found });
        }
    }
    Ok(loaded)
}

/// The last that can refuse: who has to agree besides ourselves.
async fn agreed(
    (config, before): (&Config, &Gateway),
    loaded: &Loaded,
    has_tls: bool,
) -> Result<(), ReloadError> {
    // What listens goes on as it is where certificates cannot be read: then nothing may count on
    // another TLS, nor on authorities that vouch for nobody yet.
    if !has_tls {
        let names = rests_on_certificates((config, &before.policy), loaded);
        if !names.is_empty() {
            return Err(ReloadError::RestsOnCertificates(names));
        }
    }
    for issuer in &loaded.new_issuers {
        issuer.refresh().await.map_err(ReloadError::Issuer)?;
    }
    if loaded.policy.digest != before.policy.digest {
        // From here on disclosures rest on these rules.
        let note = Note::activation(&loaded.policy);
        before.ledger.note(&note).await.map_err(ReloadError::Ledger)?;
    }
    Ok(())
}

/// What would let somebody in by a certificate of other authorities than it was written for. What only
/// lets fewer in does not wait.
fn rests_on_certificates((config, policy): (&Config, &Policy), new: &Loaded) -> Vec<&'static str> {
    let Loaded { config: new_config, policy: new_policy, .. } = new;
    let shows = |authenticator: &&Authenticator| {
        matches!(authenticator, Authenticator::MtlsDns(_) | Authenticator::MtlsUri(_))
    };
    let is_recognised = new_policy.recipients.iter().any(|(id, recipient)| {
        let before = policy.recipients.get(id).map(|one| one.authenticate.as_slice());
        let before = before.unwrap_or_default();
        recipient.authenticate.iter().filter(shows).any(|one| !before.contains(one))
    });
    let calls = new_config.admin.callers.iter().any(|(name, caller)| {
        let before = config.admin.callers.get(name);
        caller.certificate.is_some() && before != Some(caller)
    });
    [
        ("client_ca", config.client_ca != new_config.client_ca),
        ("crls", config.crls != new_config.crls),
        ("admin.client_ca", config.admin.client_ca != new_config.admin.client_ca),
        ("admin.crls", config.admin.crls != new_config.admin.crls),
        ("admin.callers", calls),
        ("authenticate", is_recognised),
        ("tls", config.tls != new_config.tls),
        ("tls: min", policy.tls.only_1_3 != new_policy.tls.only_1_3),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// Parts of the rules that stores take at a start only.
fn rules_that_need_restart(config: &Config, old: &Policy, new: &Policy) -> Vec<&'static str> {
    let is_on_server = matches!(config.registers, RegisterPlace::Postgres(_));
    let (old_keep, new_keep) = (old.ledger.keep, new.ledger.keep);
    let keep = |keep: Option<jiff::Span>| keep.map(jiff::Span::fieldwise);
    [
        ("ledger: keep", keep(old_keep) != keep(new_keep)),
        ("registers: max_staleness", is_on_server && staleness(old) != staleness(new)),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_have_ended_are_let_go_and_a_defect_among_them_is_told() {
        let metrics = Metrics::new();
        let mut fetching = Fetching::default();
        fetching.tasks.spawn(async {});
        fetching.tasks.spawn(async { panic!("a defect, made for this test") });
        fetching.tasks.spawn(std::future::pending()).abort();
        fetching.tasks.spawn(std::future::pending());
        while fetching.tasks.len() > 1 {
            tokio::task::yield_now().await;
            fetching.let_go(&metrics);
        }
        let told = "tamis_internal_errors_total{kind=\"issuer\"} 1";
        assert!(metrics.text().contains(told), "{}", metrics.text());
    }

    #[test]
    fn what_may_pass_is_tried_again_ever_less_often_and_at_last_once_a_minute() {
        let mut again = None;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let mut next = Again::after(again);
            let mut looks = 1;
            while !next.is_due() {
                looks += 1;
            }
            pauses.push(looks);
            again = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }
}
