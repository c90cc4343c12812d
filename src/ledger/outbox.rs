//! Signed checkpoints that a target has not taken yet, one file each, in `outbox/TARGET/` of the ledger's
//! directory; and what it took last. They wait there over restarts until it takes them, or until there are
//! too many.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// In the ledger's directory.
const OUTBOX: &str = "outbox";

/// What was taken last.
const TAKEN: &str = "taken.json";

/// Checkpoints that wait for one target at most: two weeks of one every five minutes. A checkpoint says
/// all that those before it say, so that the oldest are the ones to go without.
pub const MOST_WAITING: usize = 4096;

/// Checkpoints on their way to one target.
#[derive(Debug)]
pub struct Outbox {
    directory: PathBuf,
}

/// What a target took last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// The records that it covers.
    pub records: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// The note as the target has it.
    pub note: String,
}

impl Outbox {
    /// Opens or makes the outbox of a target in a ledger's directory.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(ledger: &Path, target: &str) -> io::Result<Self> {
        let directory = ledger.join(OUTBOX).join(target);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory })
    }

    /// Keeps a note, durably, until it is taken. A note that was taken last waits for nobody. Which older
    /// ones are given up for it, by the records that they cover: those beyond [`MOST_WAITING`].
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn put(&self, records: u64, note: &str) -> io::Result<Vec<u64>> {
        // What cannot be read was spoilt; it says nothing of this note.
        let taken = self.taken().unwrap_or_default();
        if taken.is_some_and(|taken| taken.records == records && is_same(&taken.note, note)) {
            return Ok(Vec::new());
        }
        self.write(&name(records), note.as_bytes())?;
        let mut waiting = self.waiting()?;
        waiting.truncate(waiting.len().saturating_sub(MOST_WAITING));
        for records in &waiting {
            self.remove(*records)?;
        }
        Ok(waiting)
    }

    /// What waits, by the records that each covers, ascending.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn waiting(&self) -> io::Result<Vec<u64>> {
        let mut waiting = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let file = entry?.file_name();
            waiting.extend(file.to_str().and_then(records_of));
        }
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// One note that waits.
    ///
    /// # Errors
    /// It cannot be read; nobody waits under this number.
    pub fn note(&self, records: u64) -> io::Result<String> {
        fs::read_to_string(self.directory.join(name(records)))
    }

    /// The target has this note now: it waits no more. What covers more and was taken before stays the
    /// last one.
    ///
    /// # Errors
    /// That cannot be kept; it will be sent again.
    pub fn take(&self, taken: &Taken) -> io::Result<()> {
        let last = self.taken().unwrap_or_default();
        if last.is_none_or(|last| last.records <= taken.records) {
            self.write(TAKEN, serde_json::to_string(taken)?.as_bytes())?;
        }
        self.remove(taken.records)
    }

    /// Sends a note to nobody: what was taken covers it, and it could not be taken after that.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn pass_over(&self, records: u64) -> io::Result<()> {
        self.remove(records)
    }

    /// What was taken last.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn taken(&self) -> io::Result<Option<Taken>> {
        match fs::read_to_string(self.directory.join(TAKEN)) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = self.directory.join(format!("{name}.new"));
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, self.directory.join(name))?;
        File::open(&self.directory)?.sync_all()
    }

    fn remove(&self, records: u64) -> io::Result<()> {
        match fs::remove_file(self.directory.join(name(records))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Whether one is the other, but for signatures that witnesses put below it.
fn is_same(taken: &str, note: &str) -> bool {
    taken.starts_with(note)
}

fn name(records: u64) -> String {
    format!("{records:020}.note")
}

fn records_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".note").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(records: u64, note: &str) -> Taken {
        let at = "2026-12-01T12:00:00Z".parse().expect("a time");
        Taken { records, at, note: note.to_owned() }
    }

    #[test]
    fn a_note_waits_until_it_is_taken_also_for_who_opens_the_outbox_anew() {
        let ledger = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(ledger.path(), "auditor").expect("made");
        for (records, note) in [(7, "seven\n"), (12, "twelve\n"), (9, "nine\n"), (7, "seven\n")] {
            assert!(outbox.put(records, note).expect("kept").is_empty());
        }
        let outbox = Outbox::open(ledger.path(), "auditor").expect("there");
        assert_eq!(outbox.waiting().expect("readable"), [7, 9, 12]);
        assert_eq!(outbox.note(9).expect("it waits"), "nine\n");
        assert_eq!(outbox.taken().expect("readable"), None);
        outbox.take(&taken(12, "twelve\n")).expect("kept");
        outbox.take(&taken(7, "seven\n")).expect("kept");
        assert_eq!(outbox.taken().expect("readable"), Some(taken(12, "twelve\n")), "the last one");
        assert_eq!(outbox.waiting().expect("readable"), [9]);
        assert!(outbox.note(12).is_err());
        outbox.put(12, "twelve\n").expect("done");
        assert_eq!(outbox.waiting().expect("readable"), [9], "it is there already");
        outbox.put(12, "twelve by another key\n").expect("kept");
        assert_eq!(outbox.waiting().expect("readable"), [9, 12]);
        let other = Outbox::open(ledger.path(), "witness").expect("made");
        assert!(other.waiting().expect("readable").is_empty(), "each target has its own");
    }

    #[test]
    fn beyond_the_bound_the_oldest_are_given_up_and_named() {
        let ledger = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(ledger.path(), "auditor").expect("made");
        let bound = MOST_WAITING as u64;
        for records in 1..=bound {
            fs::write(outbox.directory.join(name(records)), "note\n").expect("ours");
        }
        fs::write(outbox.directory.join("half.note.new"), "no").expect("ours");
        assert_eq!(outbox.put(bound + 1, "newest\n").expect("kept"), [1]);
        assert_eq!(outbox.put(bound + 2, "newest\n").expect("kept"), [2]);
        let waiting = outbox.waiting().expect("readable");
        assert_eq!(
            (waiting.len(), waiting.first(), waiting.last()),
            (MOST_WAITING, Some(&3), Some(&(bound + 2)))
        );
    }

    #[test]
    fn what_was_spoilt_keeps_nothing_from_being_sent() {
        let ledger = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(ledger.path(), "auditor").expect("made");
        outbox.put(7, "seven\n").expect("kept");
        outbox.take(&taken(7, "seven\n")).expect("kept");
        fs::write(outbox.directory.join(TAKEN), "{").expect("ours");
        assert!(outbox.taken().is_err());
        outbox.put(7, "seven\n").expect("kept");
        assert_eq!(outbox.waiting().expect("readable"), [7]);
        outbox.take(&taken(7, "seven\n")).expect("kept");
        assert_eq!(outbox.taken().expect("readable"), Some(taken(7, "seven\n")));
    }
}
