//! What only a start uses, looked at while another process may still serve: what is of no use is told before
//! addresses are bound, and before anybody ends the old process for a new one that cannot begin.

use super::start::StartError;
use super::targets;
use crate::config::{Config, LogTarget};
use crate::keys::NoteSigner;
use crate::observe::AccessLog;

/// Opens it, and lets go of it again. Nothing is written, and nothing that another process works with is
/// touched.
pub(super) fn look(config: &Config) -> Result<(), StartError> {
    if let LogTarget::File(path) = &config.access_log {
        AccessLog::can_be_opened(path).map_err(StartError::AccessLog)?;
    }
    if let Some(key) = &config.checkpoint_key {
        NoteSigner::open(key)?;
        for target in config.checkpoint_targets.values() {
            targets::reached_with(target)?;
        }
    }
    Ok(())
}
