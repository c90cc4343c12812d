//! Opens the ledger, to write it or to read it, with its index of data subjects and what is done about it
//! from time to time.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::checkpoints::Checkpoints;
use super::respond;
use super::retire::Retirement;
use super::start::StartError;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::ledger::{
    ChainLedger, IndexKey, LedgerPlace, LedgerServer, LedgerUnavailable, Place, SubjectIndex,
};
use crate::observe::Metrics;
use crate::policy::Policy;

/// Opens the index of data subjects of a ledger. It is there whether or not the rules in force fill it:
/// whoever is erased is to be forgotten by it all the same.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn subject_index(
    ledger: &Path,
    keys: &KeyRing,
) -> Result<Arc<SubjectIndex>, LedgerUnavailable> {
    SubjectIndex::open(ledger, rekeyed(keys)).map(Arc::new)
}

/// A ledger that others write, to read it, with its index of data subjects.
///
/// # Errors
/// It cannot be used.
pub(crate) fn read_ledger(
    ledger: &LedgerPlace,
    keys: &KeyRing,
) -> Result<(Place, Arc<SubjectIndex>), LedgerUnavailable> {
    match ledger {
        LedgerPlace::Directory(directory) => {
            Ok((directory.into(), subject_index(directory, keys)?))
        }
        LedgerPlace::Postgres(settings) => {
            let server = LedgerServer::open(settings)?;
            let index = SubjectIndex::on_server(&server, rekeyed(keys))?;
            Ok((Place::Server(server.chain(&settings.node)), Arc::new(index)))
        }
    }
}

/// The keys of an index under this ring.
pub(super) fn rekeyed(keys: &KeyRing) -> Vec<IndexKey> {
    keys.index_keys().into_iter().map(|(rows, secrets)| IndexKey { rows, secrets }).collect()
}

/// A ledger with all that is done about it.
pub(crate) struct KeptLedger {
    pub(super) ledger: Arc<ChainLedger>,
    pub(super) index: Arc<SubjectIndex>,
    pub(super) checkpoints: Option<Arc<Checkpoints>>,
    /// Where the rules keep it for a time.
    pub(crate) retirement: Option<Retirement>,
}

/// Opens the ledger that `config` names, to write it.
pub(crate) fn kept_ledger(
    config: &Config,
    policy: &Policy,
    keys: &KeyRing,
    metrics: &Arc<Metrics>,
) -> Result<KeptLedger, StartError> {
    let seconds = policy.ledger.keep.and_then(respond::seconds);
    let kept_for = seconds.map(jiff::SignedDuration::from_secs);
    let (ledger, index) = match &config.ledger {
        LedgerPlace::Directory(place) => {
            let ledger =
                ChainLedger::open_observed(place, &config.node, Arc::clone(metrics), kept_for)?;
            (ledger, subject_index(place, keys)?)
        }
        LedgerPlace::Postgres(settings) => {
            let server = LedgerServer::open(settings)?;
            let ledger =
                ChainLedger::open_on_server(&server, settings, Arc::clone(metrics), kept_for)?;
            (ledger, Arc::new(SubjectIndex::on_server(&server, rekeyed(keys))?))
        }
    };
    let ledger = Arc::new(ledger.with_index(Arc::clone(&index)));
    let checkpoints = Checkpoints::of(config, policy, &ledger, metrics)?;
    let retirement =
        policy.ledger.keep.zip(checkpoints.clone()).map(|(keep, checkpoints)| Retirement {
            ledger: Arc::clone(&ledger),
            index: Arc::clone(&index),
            checkpoints,
            keep,
            policy: ArcSwap::from_pointee(policy.digest),
            metrics: Arc::clone(metrics),
        });
    Ok(KeptLedger { ledger, index, checkpoints, retirement })
}
