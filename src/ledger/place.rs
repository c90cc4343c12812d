//! Where one chain is kept, for whoever reads it: its segments as streams of lines, the trees noted
//! before them, the signed checkpoints. A directory has files for them, a server rows.

use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::LedgerUnavailable;
use super::segment::{self, noted_tree, numbers, opened, path_of};
use super::server::ServerChain;
use super::tree::Frontier;

/// One chain, where it is kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory of segment files.
    Directory(PathBuf),
    /// The rows of one node on a PostgreSQL server.
    Server(ServerChain),
}

impl From<&Path> for Place {
    fn from(directory: &Path) -> Self {
        Self::Directory(directory.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(directory: &PathBuf) -> Self {
        Self::Directory(directory.clone())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(directory) => write!(f, "{}", directory.display()),
            Self::Server(chain) => write!(f, "the chain of {} on the server", chain.node()),
        }
    }
}

impl Place {
    /// The gateway that writes it, as far as that can be told: by its first record, in a directory.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn node(&self) -> io::Result<String> {
        let directory = match self {
            Self::Directory(directory) => directory,
            Self::Server(chain) => return Ok(chain.node().to_owned()),
        };
        let first = match numbers(directory) {
            Ok(numbers) => numbers.first().copied(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let line = first.map(|first| self.first_line(first)).transpose()?.flatten();
        let record: Option<serde_json::Value> =
            line.and_then(|line| serde_json::from_slice(&line).ok());
        let node = record.and_then(|record| Some(record["node"].as_str()?.to_owned()));
        Ok(node.unwrap_or_else(|| directory.display().to_string()))
    }

    /// All chains whose people stand in the same index of data subjects, this one among them: those on the
    /// same server.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn sharing_index(&self) -> Result<Vec<Self>, LedgerUnavailable> {
        match self {
            Self::Directory(_) => Ok(vec![self.clone()]),
            Self::Server(chain) => {
                let chains = chain.server().chains()?;
                Ok(chains.into_iter().map(Self::Server).collect())
            }
        }
    }

    /// The numbers of the segments, ascending.
    pub(super) fn numbers(&self) -> io::Result<Vec<u32>> {
        match self {
            Self::Directory(directory) => numbers(directory),
            Self::Server(chain) => chain.numbers(),
        }
    }

    /// The lines of a segment, each with its line feed.
    pub(super) fn open(&self, number: u32) -> io::Result<Box<dyn BufRead>> {
        Ok(match self {
            Self::Directory(directory) => Box::new(opened(&path_of(directory, number))?),
            Self::Server(chain) => Box::new(chain.lines(number)?),
        })
    }

    /// The tree noted before segment `number`, if there is one that can be read.
    pub(super) fn noted_tree(&self, number: u32) -> io::Result<Option<Frontier>> {
        match self {
            Self::Directory(directory) => Ok(noted_tree(directory, number)),
            Self::Server(chain) => chain.noted_tree(number),
        }
    }

    /// The first whole line of a segment, without its line feed; nothing of it is checked.
    pub(super) fn first_line(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Directory(directory) => segment::first_line(&path_of(directory, number)),
            Self::Server(chain) => chain.first_line(number),
        }
    }

    /// The last line of a finished segment, without its line feed; nothing of it is checked.
    pub(super) fn last_line(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Directory(directory) => segment::last_line(&path_of(directory, number)),
            Self::Server(chain) => chain.last_line(number),
        }
    }

    /// Bytes of a segment, the last line of which may be a part of one: only files are written so.
    pub(super) fn length(&self, number: u32) -> io::Result<Option<u64>> {
        match self {
            Self::Directory(directory) => {
                Ok(Some(std::fs::metadata(path_of(directory, number))?.len()))
            }
            Self::Server(_) => Ok(None),
        }
    }

    /// Whether a gateway holds the lock, so that the last line may be in the making.
    pub(crate) fn is_written_now(&self) -> bool {
        let Self::Directory(directory) = self else { return false };
        let Ok(lock) = File::open(directory.join(super::LOCK_FILE)) else { return false };
        match lock.try_lock_shared() {
            // Closing it alone would not do: a child that is being started may hold a copy of it.
            Ok(()) => lock.unlock().is_err(),
            Err(error) => matches!(error, std::fs::TryLockError::WouldBlock),
        }
    }
}
