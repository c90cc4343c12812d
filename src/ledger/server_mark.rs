//! How much of its chain a gateway has acknowledged, in a file of its own, so that it notices after a
//! restart too when a server knows less than it did.
//!
//! The file is written before anybody is told that an entry is durable. It is one line of one length,
//! written over itself, so that a process that is killed leaves the old line or the new one. It is not
//! synced each time: after a power cut here it may be older, which makes it weaker and never wrong.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::LedgerUnavailable;
use super::record::Head;
use crate::terms::Digest;

/// The file.
pub(super) struct Mark {
    file: File,
    written: Option<Head>,
}

impl Mark {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerUnavailable> {
        let read = || -> io::Result<(File, String)> {
            let mut options = OpenOptions::new();
            let mut file = options
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok((file, text))
        };
        let (file, text) = read()
            .map_err(|error| LedgerUnavailable(format!("the ledger's mark: {}", error.kind())))?;
        let written = match text.as_str() {
            "" => None,
            text => Some(parse(text).ok_or_else(|| {
                LedgerUnavailable("the ledger's mark cannot be understood".into())
            })?),
        };
        Ok(Self { file, written })
    }

    /// What was acknowledged last; `None`: nothing yet.
    pub(super) const fn written(&self) -> Option<Head> {
        self.written
    }

    /// Notes that everything up to `head` is about to be acknowledged.
    pub(super) fn write(&mut self, head: Head) -> io::Result<()> {
        let line = format!("{:020} {}\n", head.sequence, head.hash.hex());
        self.file.write_all_at(line.as_bytes(), 0)?;
        if self.written.is_none() {
            self.file.sync_all()?;
        }
        self.written = Some(head);
        Ok(())
    }
}

fn parse(text: &str) -> Option<Head> {
    let (number, hash) = text.strip_suffix('\n')?.split_once(' ')?;
    let sequence = Some(number).filter(|number| number.len() == 20)?.parse().ok()?;
    Some(Head { sequence, hash: Digest::parse(hash)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_half_of_it_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.mark");
        let mut mark = Mark::open(&path).expect("none yet");
        assert_eq!(mark.written(), None);
        for sequence in [9, 10, 123_456] {
            let head = Head { sequence, ..Head::START };
            mark.write(head).expect("written");
            assert_eq!(Mark::open(&path).expect("ours").written(), Some(head));
        }
        let text = std::fs::read_to_string(&path).expect("there");
        for cut in 1..text.len() {
            std::fs::write(&path, &text[..cut]).expect("ours");
            assert!(Mark::open(&path).is_err(), "{cut}");
        }
    }
}
