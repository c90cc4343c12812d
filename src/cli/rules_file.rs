//! `--config F` or `--rules F`: where a command's rules come from.

use std::path::PathBuf;

use crate::config::{self, Config};
use crate::keys::KeyRingPlace;
use crate::policy::Policy;
use crate::registers::RegisterPlace;

/// Which rules a command works on.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct RulesFile {
    /// The gateway's configuration, which names the rules, the registers and the key ring.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A rules file alone.
    #[arg(long)]
    rules: Option<PathBuf>,
}

/// Rules, and what the configuration says beside them.
pub(super) struct Loaded {
    pub(super) policy: Policy,
    pub(super) registers: Option<RegisterPlace>,
    pub(super) key_ring: Option<KeyRingPlace>,
}

impl RulesFile {
    /// Reads and compiles the rules. The error is the text to print.
    pub(super) fn load(&self) -> Result<Loaded, String> {
        let config =
            self.config.as_deref().map(Config::load).transpose().map_err(|e| e.to_string())?;
        let file = match (&config, &self.rules) {
            (Some(config), _) => &config.rules,
            (None, Some(file)) => file,
            (None, None) => return Err("name --config or --rules\n".into()),
        };
        let sources = config::rules(file)
            .map_err(|e| format!("tamis: cannot read {}: {e}\n", file.display()))?;
        let policy = Policy::of(&sources).map_err(|found| found.to_string())?;
        let (registers, key_ring) = match config {
            Some(config) => (Some(config.registers), Some(config.key_ring)),
            None => (None, None),
        };
        Ok(Loaded { policy, registers, key_ring })
    }
}
