//! How far this gateway had read the registers, in a file of its own, so that it notices after a restart
//! too when a server knows less than it did.
//!
//! The file holds no statement: a history's id, a number and its random mark. It may be older than what
//! was read, which makes it weaker and never wrong.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::schema::StoreError;

/// A place in a history of the registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The history's id.
    pub(super) history: String,
    /// The number of a commit; 0: none yet.
    pub(super) number: i64,
    /// The random text that was written with that commit; empty for 0.
    pub(super) salt: String,
}

/// The file.
pub(super) struct MarkFile {
    path: PathBuf,
    written: Option<Mark>,
}

impl MarkFile {
    /// Reads the file, if there is one.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let written = match fs::read_to_string(path) {
            Ok(text) => Some(parse(&text).ok_or(StoreError::Settings(
                "the file that says how far the registers were read cannot be understood",
            ))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { path: path.to_owned(), written })
    }

    pub(super) const fn written(&self) -> Option<&Mark> {
        self.written.as_ref()
    }

    /// Writes `mark`, if it is another one: whole, or not at all.
    pub(super) fn write(&mut self, mark: &Mark) -> Result<(), StoreError> {
        if self.written.as_ref() == Some(mark) {
            return Ok(());
        }
        let beside = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        writeln!(file, "{} {} {}", mark.history, mark.number, mark.salt)?;
        // A name that outlives a power cut without its content could not be understood.
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        self.written = Some(mark.clone());
        Ok(())
    }
}

fn parse(text: &str) -> Option<Mark> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    let (history, number, salt) = (words.next()?, words.next()?, words.next()?);
    let number = number.parse().ok().filter(|number| *number >= 0)?;
    let is_whole = !history.is_empty() && words.next().is_none();
    is_whole.then(|| Mark { history: history.to_owned(), number, salt: salt.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_half_of_it_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registers.mark");
        let mark = Mark { history: "h".into(), number: 7, salt: "m".into() };
        let mut file = MarkFile::open(&path).expect("none yet");
        assert_eq!(file.written(), None);
        file.write(&mark).expect("written");
        assert_eq!(MarkFile::open(&path).expect("ours").written(), Some(&mark));
        let text = fs::read_to_string(&path).expect("there");
        for cut in 0..text.len() {
            fs::write(&path, &text[..cut]).expect("ours");
            assert!(MarkFile::open(&path).is_err(), "{cut}");
        }
    }
}
