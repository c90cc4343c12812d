//! The file as written.

use std::path::Path;

use super::{Config, ConfigError};

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let _ = path;
    todo!("config")
}
