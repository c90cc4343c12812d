//! What tells one state of the files that were read from the next, without reading them.
//!
//! A file is noted before it is read, so that a change while it is read counts as one after it. Links
//! are followed: what a link leads to is what is read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files by path, each as it was; `None`: it could not be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, Option<Version>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device_and_inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    /// Changes with its mode too, and nobody can set it back.
    changed: (i64, i64),
}

impl Seen {
    /// Notes a file as it is now, unless it was noted already.
    pub(super) fn note(&mut self, file: &Path) {
        self.0.entry(file.to_owned()).or_insert_with(|| version(file));
    }

    /// This one is as it is now, the others as they were.
    pub(super) fn note_anew(&mut self, file: &Path) {
        self.0.insert(file.to_owned(), version(file));
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.keys().map(|file| (file.clone(), version(file))).collect())
    }

    /// Whether the file is as it was in `other`.
    pub(super) fn agrees(&self, other: &Self, file: &Path) -> bool {
        let known = self.0.get(file);
        known.is_some_and(Option::is_some) && known == other.0.get(file)
    }

    /// These files, and those of `other` that are not among them.
    pub(super) fn with(mut self, other: Self) -> Self {
        for (file, version) in other.0 {
            self.0.entry(file).or_insert(version);
        }
        self
    }
}

fn version(file: &Path) -> Option<Version> {
    let about = fs::metadata(file).ok()?;
    Some(Version {
        device_and_inode: (about.dev(), about.ino()),
        length: about.len(),
        modified: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_exchanged_behind_a_link_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("one"), "same").expect("written");
        fs::write(at("two"), "same").expect("written");
        std::os::unix::fs::symlink(at("one"), at("link")).expect("made");
        let mut seen = Seen::default();
        seen.note(&at("link"));
        seen.note(&at("absent"));
        assert_eq!(seen.again(), seen);
        fs::remove_file(at("link")).expect("removed");
        std::os::unix::fs::symlink(at("two"), at("link")).expect("made");
        assert_ne!(seen.again(), seen);
        assert!(!seen.again().agrees(&seen, &at("link")));
        assert!(!seen.agrees(&seen, &at("absent")), "what cannot be looked at agrees with nothing");
        let seen = seen.again();
        fs::write(at("absent"), "there").expect("written");
        assert_ne!(seen.again(), seen);
    }
}
