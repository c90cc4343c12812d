//! A pack on disk: rules, promises, cases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::promises::Promises;
use super::read::{self, Case};
use crate::config;
use crate::policy::{Policy, Sources};

/// A policy with what proves it.
#[derive(Debug)]
pub struct Pack {
    /// The rules file.
    pub file: PathBuf,
    /// Its text.
    pub rules: String,
    /// Its text and those that it includes.
    pub sources: Sources,
    /// The compiled rules.
    pub policy: Arc<Policy>,
    /// The promises of the policy's text.
    pub promises: Promises,
    /// The cases, by file and line.
    pub cases: Vec<Case>,
}

/// A pack cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The rules are rejected; all findings are in the text.
    #[error("{0}")]
    Rules(String),
    /// A file of cases or promises is malformed; the text names file and line.
    #[error("{0}")]
    Malformed(String),
}

impl Pack {
    /// Reads the pack of a rules file: `promises.yaml` and `cases/*.yaml` stand beside it. `cases`
    /// names other files of cases.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn load(rules: &Path, cases: &[PathBuf]) -> Result<Self, PackError> {
        let sources =
            config::rules(rules).map_err(|error| PackError::Unreadable(rules.to_owned(), error))?;
        let policy =
            Policy::of(&sources).map_err(|rejected| PackError::Rules(rejected.to_string()))?;
        let promises = promises_of(rules)?;
        let folder = rules.parent().unwrap_or(Path::new("."));
        let found;
        let files = if cases.is_empty() {
            found = case_files(&folder.join("cases"))?;
            &found
        } else {
            cases
        };
        let mut all = Vec::new();
        for file in files {
            let name = file.display().to_string();
            all.extend(read::cases(&name, &read_text(file)?).map_err(PackError::Malformed)?);
        }
        let policy = Arc::new(policy);
        Ok(Self {
            file: rules.to_owned(),
            rules: sources.first().text.to_string(),
            sources,
            policy,
            promises,
            cases: all,
        })
    }
}

/// The promises beside a rules file; none where there is no `promises.yaml`.
///
/// # Errors
/// `Unreadable`, `Malformed`.
pub fn promises_of(rules: &Path) -> Result<Promises, PackError> {
    let file = rules.parent().unwrap_or(Path::new(".")).join("promises.yaml");
    if !file.exists() {
        return Ok(Promises::default());
    }
    Promises::parse(&file.display().to_string(), &read_text(&file)?).map_err(PackError::Malformed)
}

fn read_text(file: &Path) -> Result<String, PackError> {
    std::fs::read_to_string(file).map_err(|error| PackError::Unreadable(file.to_owned(), error))
}

fn case_files(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let unreadable = |error| PackError::Unreadable(folder.to_owned(), error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
