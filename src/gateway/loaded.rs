//! What a gateway rests on that can be read anew while it runs: settings, rules, backends, keys,
//! issuers. Read once and checked as a whole, at a start and at a reload alike; nothing takes effect
//! here.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::files::Seen;
use super::start::StartError;
use super::state::Gateway;
use super::tls::{Anew, InForce, Tls, TlsError};
use super::told::Told;
use super::upstream::Upstreams;
use super::webhook::Webhooks;
use crate::config::{self, Config, IssuerConfig, JwksSource, UpstreamConfig};
use crate::identity::{
    ApiKeys, Identifier, Issuer, IssuerError, IssuerKeys, KeySource, TokenAlgorithm,
};
use crate::keys::{KeyRing, KeyRingError};
use crate::minimize::link::Origins;
use crate::observe::Metrics;
use crate::policy::Policy;
use crate::terms::UpstreamId;

/// What is in force, for a reload to go on from.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) config: &'a Config,
    pub(super) gateway: &'a Gateway,
    pub(super) seen: &'a Seen,
}

/// Read and checked, not in force yet.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) policy: Arc<Policy>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) told: Arc<Told>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) identifier: Arc<Identifier>,
    /// Issuers that were not there before.
    pub(super) new_issuers: Vec<Arc<IssuerKeys>>,
}

impl Loaded {
    /// Reads what `config` names, noting each file in `seen` before it is read. What has not changed
    /// since `before` is taken from there, with its connections and derived keys.
    pub(super) fn read(
        config: Config,
        before: Option<Before<'_>>,
        seen: &mut Seen,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let policy = Arc::new(policy(&config.rules, seen)?);
        let upstreams = upstreams(&config, before, seen, metrics)?;
        for route in &policy.routes {
            if let Some(upstream) = route.upstream.as_ref().filter(|id| !upstreams.contains(id)) {
                let (route, upstream) = (route.id.to_string(), upstream.to_string());
                return Err(StartError::Upstream { route, upstream });
            }
        }
        let overheard = config.upstreams.iter().find(|(_, upstream)| upstream.is_overheard());
        if let Some((name, _)) = overheard.filter(|_| policy.tls.upstream_required) {
            return Err(StartError::PlaintextUpstream(name.to_string()));
        }
        if config.consent_service.is_some() && policy.registers.consent_file.is_some() {
            return Err(StartError::TwoSources);
        }
        let promised = policy.checkpoint_every.is_some() || policy.ledger.keep.is_some();
        if promised && config.checkpoint_key.is_none() {
            return Err(StartError::NoCheckpointKey);
        }
        if let Some(identity) = &config.forwarding.identity {
            seen.note(&identity.key);
        }
        let told = Arc::new(Told::new(&config.forwarding, &config.node)?);
        let webhooks = Arc::new(Webhooks::read(&policy, &config, seen)?);
        let keys = keys(&config, before, seen)?;
        let (identifier, new_issuers) = identifier(&config, before, seen)?;
        let identifier = Arc::new(identifier);
        Ok(Self { config, policy, upstreams, told, webhooks, keys, identifier, new_issuers })
    }
}

/// The key ring; the one in force where it is the same.
fn keys(
    config: &Config,
    before: Option<Before<'_>>,
    seen: &mut Seen,
) -> Result<Arc<KeyRing>, KeyRingError> {
    let place = &config.key_ring;
    seen.note(&place.file);
    let Some(before) = before else { return KeyRing::open_at(place).map(Arc::new) };
    let old = &before.gateway.keys;
    // Rules are not to wait for a service that unwraps what nobody has changed.
    let is_same = before.config.key_ring == *place && seen.agrees(before.seen, &place.file);
    if place.unwrap.is_some() && is_same {
        return Ok(Arc::clone(old));
    }
    let keys = KeyRing::open_at(place)?;
    keys.continues(old)?;
    Ok(if keys.versions().eq(old.versions()) { Arc::clone(old) } else { Arc::new(keys) })
}

fn policy(path: &Path, seen: &mut Seen) -> Result<Policy, StartError> {
    seen.note(path);
    let sources =
        config::rules(path).map_err(|error| StartError::Unreadable(path.to_owned(), error))?;
    // Those that it includes are known only once it has been read; a change between the two readings
    // is looked for afterwards.
    for name in sources.names() {
        seen.note(Path::new(name));
    }
    let again =
        config::rules(path).map_err(|error| StartError::Unreadable(path.to_owned(), error))?;
    if again != sources {
        return Err(StartError::Moving(path.to_owned()));
    }
    Policy::of(&sources).map_err(StartError::Rules)
}

fn upstreams(
    config: &Config,
    before: Option<Before<'_>>,
    seen: &mut Seen,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Upstreams>, TlsError> {
    for file in config.upstreams.values().flat_map(|upstream| upstream.tls.files()) {
        seen.note(file);
    }
    // A backend of which nothing changed goes on with its connections, turns and addresses.
    let same = |id: &UpstreamId, upstream: &UpstreamConfig| {
        let before = before.filter(|before| {
            before.config.upstreams.get(id) == Some(upstream)
                && upstream.tls.files().all(|file| seen.agrees(before.seen, file))
        });
        before.and_then(|before| before.gateway.upstreams.kept(id))
    };
    let in_force = before.map(|before| &*before.gateway.upstreams);
    Upstreams::new(&config.upstreams, in_force, same, metrics).map(Arc::new)
}

/// Server certificates, authorities of clients, and what these have revoked.
pub(super) fn tls(config: &Config, policy: &Policy, seen: &mut Seen) -> Result<Tls, TlsError> {
    note_tls(config, seen);
    Tls::new(config, policy.tls.only_1_3)
}

/// The same, read while something is in force already.
pub(super) fn tls_anew(
    config: &Config,
    policy: &Policy,
    seen: &mut Seen,
    in_force: InForce<'_>,
) -> Anew {
    note_tls(config, seen);
    Tls::anew(config, policy.tls.only_1_3, in_force)
}

fn note_tls(config: &Config, seen: &mut Seen) {
    for files in &config.certificates {
        for file in [&files.chain, &files.key].into_iter().chain(&files.ocsp) {
            seen.note(file);
        }
    }
    if let Some(acme) = &config.acme {
        seen.note(&acme.certificate().chain);
    }
    let admin = &config.admin;
    let authorities = config.client_ca.iter().chain(&admin.client_ca);
    for file in authorities.chain(&config.crls).chain(&admin.crls) {
        seen.note(file);
    }
}

/// Where backends and the gateway are, for links.
pub(super) fn origins(config: &Config, tls: &Tls) -> Origins {
    let backends = config.upstreams.iter().map(|(id, at)| (id.clone(), at.url.to_string()));
    Origins::new(backends, tls.names.hosts())
}

fn identifier(
    config: &Config,
    before: Option<Before<'_>>,
    seen: &mut Seen,
) -> Result<(Identifier, Vec<Arc<IssuerKeys>>), IssuerError> {
    let (mut issuers, mut new) = (HashMap::new(), Vec::new());
    for (name, issuer) in &config.issuers {
        let authorities = match &issuer.jwks {
            // Read anew by the issuer itself.
            JwksSource::File(_) => None,
            JwksSource::Url { ca, .. } => ca.as_deref(),
        };
        if let Some(file) = authorities {
            seen.note(file);
        }
        let same = before.filter(|before| {
            before.config.issuers.get(name) == Some(issuer)
                && authorities.is_none_or(|file| seen.agrees(before.seen, file))
        });
        let known = same.and_then(|before| before.gateway.identifier.issuers.get(name));
        let keys = if let Some(keys) = known {
            Arc::clone(keys)
        } else {
            let keys = Arc::new(IssuerKeys::open(issuer_of(name, issuer))?);
            new.push(Arc::clone(&keys));
            keys
        };
        issuers.insert(name.clone(), keys);
    }
    let api_keys = ApiKeys::new(config.api_keys.clone());
    Ok((Identifier { issuers, api_keys }, new))
}

fn issuer_of(name: &str, config: &IssuerConfig) -> Issuer {
    let keys = match &config.jwks {
        JwksSource::File(path) => KeySource::File(path.clone()),
        JwksSource::Url { url, ca } => KeySource::Url { url: url.clone(), authorities: ca.clone() },
    };
    let algorithms = &config.algorithms;
    Issuer {
        name: name.to_owned(),
        audience: config.audience.clone(),
        algorithms: algorithms.iter().filter_map(|name| TokenAlgorithm::from_name(name)).collect(),
        keys,
    }
}
