//! Reading everything anew while requests are answered.
//!
//! All that a reload read is checked as a whole and takes effect at once, or none of it does and what
//! was in force stays. Only certificates stand for themselves: broken rules must not keep one that is
//! about to expire, nor a broken certificate rules that release less. A request keeps what it began
//! with to its end.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use super::checkpoints::Checkpoints;
use super::consents::{Feed, staleness};
use super::files::Seen;
use super::loaded::{self, Before, Loaded};
use super::retire::Retirement;
use super::start::{StartError, period, rekeyed};
use super::state::Gateway;
use super::tls::{Tls, TlsError};
use crate::admin::{Access, Standing};
use crate::config::{Config, ConfigError};
use crate::identity::{IssuerError, IssuerKeys};
use crate::ledger::{LedgerUnavailable, Note, SubjectIndex};
use crate::observe::Event;
use crate::policy::difference::{Change, Way, changes};
use crate::policy::{Diagnostics, Policy};
use crate::registers::{FedRegisters, RegisterPlace, RegisterStore, Registers};
use crate::terms::Digest;

/// Findings and changes that are told; beyond it their number.
const TOLD: usize = 5;

/// Why a reload was refused. Names files, lines and names of the settings and the rules.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("settings rejected")]
    Settings(#[from] ConfigError),
    #[error("these settings need a restart: {}", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    #[error("these rules need a restart: {}", .0.join(", "))]
    RulesNeedRestart(Vec<&'static str>),
    #[error("rejected")]
    Read(#[from] StartError),
    #[error("certificates rejected")]
    Certificates(#[from] TlsError),
    #[error(
        "the rules release more than those in force; to take them write `reload: {{confirmed: {digest}}}` or \
         restart; {}",
        told(.changes.iter().map(|change| format!("{} {}: {}: {} -> {}", change.way.as_str(),
            change.about, change.what, change.before, change.after)))
    )]
    Widens { digest: Digest, changes: Vec<Change> },
    #[error("a plan grows too large: {0}")]
    Plans(String),
    #[error("an issuer's keys cannot be had")]
    Issuer(#[source] IssuerError),
    #[error("the ledger does not take the new rules")]
    Ledger(#[source] LedgerUnavailable),
    #[error("a defect of our own while reading")]
    Defect,
}

impl ReloadError {
    /// What the fault is about.
    const fn what(&self) -> &'static str {
        match self {
            Self::Settings(_) | Self::NeedsRestart(_) | Self::Issuer(_) | Self::Defect => SETTINGS,
            Self::Read(StartError::Keys(_)) => KEYS,
            Self::Read(StartError::Tls(_)) | Self::Certificates(_) => CERTIFICATES,
            Self::Read(StartError::Issuer(_)) => SETTINGS,
            Self::Read(_)
            | Self::RulesNeedRestart(_)
            | Self::Widens { .. }
            | Self::Plans(_)
            | Self::Ledger(_) => RULES,
        }
    }

    /// With its causes, and each finding with its place.
    fn in_words(&self) -> String {
        let findings = |found: &Diagnostics| {
            told(found.findings.iter().map(|finding| {
                format!(
                    "{}: {}[{}]: {}",
                    finding.place,
                    finding.severity.as_str(),
                    finding.code,
                    finding.message
                )
            }))
        };
        match self {
            Self::Settings(ConfigError::Rejected(found)) => return findings(found),
            Self::Read(StartError::Rules(found)) => return findings(found),
            _ => {}
        }
        let mut words = match self {
            Self::Read(error) => error.to_string(),
            other => other.to_string(),
        };
        let mut cause = match self {
            Self::Read(error) => error.source(),
            other => other.source(),
        };
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        words
    }
}

const SETTINGS: &str = "settings";
const RULES: &str = "rules";
const KEYS: &str = "keys";
const CERTIFICATES: &str = "certificates";

fn told(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(TOLD);
    all.truncate(TOLD);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

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
    seen: Seen,
    /// Files that were seen to change, as they were then: they are read when they have come to rest.
    moving: Option<Seen>,
    fetching: Fetching,
}

/// Tasks that keep issuers' keys fresh.
#[derive(Default)]
pub(super) struct Fetching {
    tasks: JoinSet<()>,
    of: HashMap<String, AbortHandle>,
}

impl Fetching {
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
    tls: Result<Tls, TlsError>,
}

impl Reloader {
    pub(super) fn new(
        in_force: Arc<ArcSwap<Gateway>>,
        policy: Arc<ArcSwap<Policy>>,
        fed: Option<Fed>,
        standing: Arc<Standing>,
        (config, seen, fetching): (Config, Seen, Fetching),
    ) -> Self {
        let state = State { config: Arc::new(config), seen, moving: None, fetching };
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
        let seen = state.seen.clone();
        let now = tokio::task::spawn_blocking(move || seen.again()).await.ok()?;
        if now == state.seen {
            state.moving = None;
            return None;
        }
        if state.moving.as_ref() != Some(&now) {
            state.moving = Some(now);
            return None;
        }
        Some(self.read_anew(&mut state).await)
    }

    /// Reads everything anew.
    pub(super) async fn reload(&self) -> Reloaded {
        let mut state = self.state.lock().await;
        self.read_anew(&mut state).await
    }

    async fn read_anew(&self, state: &mut State) -> Reloaded {
        let gateway = self.in_force.load_full();
        let (config, seen) = (Arc::clone(&state.config), state.seen.clone());
        let of_before = Arc::clone(&gateway);
        let reading = tokio::task::spawn_blocking(move || read(&config, &of_before, &seen)).await;
        state.moving = None;
        let Ok(Reading { seen, rest, mut tls }) = reading else {
            // Nothing was noted: the next look tries again.
            return self.tell(&gateway, Vec::new(), &[ReloadError::Defect]);
        };
        // Files that a rejected reading did not come to are looked at as before.
        let is_whole = rest.is_ok();
        state.seen = if is_whole { seen } else { seen.with(state.seen.clone()) };

        let mut refused = Vec::new();
        let rest = match rest {
            Ok(loaded) => match self.agreed(&gateway, &loaded, tls.is_ok()).await {
                Ok(()) => Some(loaded),
                Err(error) => {
                    refused.push(error);
                    None
                }
            },
            Err(error) => {
                refused.push(error);
                None
            }
        };
        if rest.is_none() && is_whole {
            // What was refused may have named other certificates.
            let (config, policy) = (Arc::clone(&state.config), Arc::clone(&gateway.policy));
            let again = tokio::task::spawn_blocking(move || {
                loaded::tls(&config, &policy, &mut Seen::default())
            });
            match again.await {
                Ok(again) => tls = again,
                Err(_) => refused.push(ReloadError::Defect),
            }
        }
        let tls = match tls {
            Ok(tls) if tls.inputs == gateway.tls.inputs => None,
            Ok(tls) => Some(Arc::new(tls)),
            Err(error) => {
                refused.push(error.into());
                None
            }
        };
        let activated = self.activate(&gateway, state, rest, tls).await;
        self.tell(&gateway, activated, &refused)
    }

    /// The last that can refuse: who has to agree besides ourselves.
    async fn agreed(
        &self,
        before: &Gateway,
        loaded: &Loaded,
        has_tls: bool,
    ) -> Result<(), ReloadError> {
        // What listens goes on as it is where certificates cannot be read: then nor may the rules
        // promise another TLS.
        if !has_tls && loaded.policy.tls.only_1_3 != before.policy.tls.only_1_3 {
            return Err(ReloadError::NeedsRestart(vec!["certificates"]));
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

    async fn activate(
        &self,
        before: &Arc<Gateway>,
        state: &mut State,
        rest: Option<Loaded>,
        tls: Option<Arc<Tls>>,
    ) -> Vec<&'static str> {
        let mut activated = Vec::new();
        let mut gateway = Gateway::clone(before);
        if let Some(tls) = tls {
            gateway.tls = tls;
            activated.push(CERTIFICATES);
        }
        if let Some(loaded) = rest {
            let Loaded { config, policy, upstreams, keys, identifier, new_issuers } = loaded;
            if !Arc::ptr_eq(&keys, &gateway.keys) {
                activated.push(KEYS);
            }
            if policy.digest != gateway.policy.digest {
                activated.push(RULES);
                let registers = self.fed_registers(&config, &policy, &gateway).await;
                gateway.registers = registers.unwrap_or(gateway.registers);
            }
            if format!("{config:?}") != format!("{:?}", state.config) {
                activated.push(SETTINGS);
            }
            upstreams.attend();
            (gateway.policy, gateway.upstreams) = (policy, upstreams);
            (gateway.keys, gateway.identifier) = (keys, identifier);
            gateway.limits = config.limits;
            state.fetching.follow(&config, new_issuers);
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
            return Some(Arc::<RegisterStore>::clone(&stores.registers));
        };
        let (reading, policy) = (Arc::clone(&feed), Arc::clone(policy));
        // A reading that fails leaves consents unknown, as it does at a start.
        let _ = tokio::task::spawn_blocking(move || reading.read(&policy, &mut None)).await;
        let answering = FedRegisters::new(Arc::clone(&stores.registers), Arc::clone(&feed.file));
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
                Event::PolicyActivated { policy: &self.policy.load() }.emit(metrics);
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
    let tls = loaded::tls(config, policy, &mut seen);
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
