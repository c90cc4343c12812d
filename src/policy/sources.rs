//! The files of one policy: its rules file, and those that it includes.
//!
//! Which are read is decided here, by whom is the caller's affair: this layer does no I/O. Every file
//! counts in the digest, and none is read twice.

use std::fmt::Display;
use std::sync::Arc;

use super::syntax::{self, Findings};
use crate::terms::Digest;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in findings.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// All files of one policy; the first is the one that includes the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    first: Source,
    included: Vec<Source>,
    /// Files that could not be read, and why.
    unread: Vec<(Arc<str>, String)>,
}

impl Sources {
    /// One text; what it includes is not there.
    #[must_use]
    pub fn alone(name: &str, text: &str) -> Self {
        let first = Source { name: name.into(), text: text.into() };
        Self { first, included: Vec::new(), unread: Vec::new() }
    }

    /// A text, and with `read` the files that it includes. `read` is given a path of plain names,
    /// relative to the folder of the first file, each at most once. What it fails with becomes a
    /// finding.
    pub fn gather<E: Display>(
        name: &str,
        text: &str,
        mut read: impl FnMut(&str) -> Result<String, E>,
    ) -> Self {
        let mut sources = Self::alone(name, text);
        for path in included(&sources.first) {
            let name = sources.name_of(&path);
            if !is_plain(&path) || sources.text_of(&name).is_some() {
                continue;
            }
            match read(&path) {
                Ok(text) => sources.included.push(Source { name, text: text.into() }),
                Err(why) => sources.unread.push((name, why.to_string())),
            }
        }
        sources
    }

    /// All files, the first one first.
    pub fn files(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.first).chain(&self.included)
    }

    /// The names of all files, also of those that could not be read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let unread = self.unread.iter().map(|(name, _)| &**name);
        self.files().map(|file| &*file.name).chain(unread)
    }

    /// The file that includes the others.
    #[must_use]
    pub const fn first(&self) -> &Source {
        &self.first
    }

    /// The text of a file, by its name in findings.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.files().find(|file| *file.name == *name).map(|file| &*file.text)
    }

    /// Of one file its own digest; of several, that of the list of theirs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let digests: Vec<String> =
            self.files().map(|file| Digest::of(file.text.as_bytes()).to_string()).collect();
        match digests.as_slice() {
            [_] => Digest::of(self.first.text.as_bytes()),
            several => Digest::of(several.join("\n").as_bytes()),
        }
    }

    /// With another text where `from` stands.
    ///
    /// # Errors
    /// How often `from` stands in them, if that is not once.
    pub fn with(&self, from: &str, to: &str) -> Result<Self, usize> {
        let times = self.files().map(|file| file.text.matches(from).count()).sum();
        if times != 1 {
            return Err(times);
        }
        let mut changed = self.clone();
        for file in std::iter::once(&mut changed.first).chain(&mut changed.included) {
            file.text = file.text.replacen(from, to, 1).into();
        }
        Ok(changed)
    }

    /// The name in findings of a file that the first one includes under this path.
    pub(super) fn name_of(&self, path: &str) -> Arc<str> {
        match self.first.name.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{path}").into(),
            None => path.into(),
        }
    }

    /// The included file of this path, or why it is not there.
    pub(super) fn include(&self, path: &str) -> Result<&Source, String> {
        if !is_plain(path) {
            let why = "a path of plain names beneath the rules' folder, such as `routes.yaml`";
            return Err(format!("`{path}` is not {why}"));
        }
        let name = self.name_of(path);
        if let Some(found) = self.included.iter().find(|file| file.name == name) {
            return Ok(found);
        }
        if name == self.first.name {
            return Err("a file does not include itself".to_owned());
        }
        let unread = self.unread.iter().find(|(unread, _)| *unread == name);
        let why = unread.map_or("there is no file beside these rules", |(_, why)| why);
        Err(format!("`{path}` cannot be included: {why}"))
    }
}

/// The paths under `include`. What is wrong with them is found when the rules are read.
fn included(file: &Source) -> Vec<String> {
    let root = syntax::parse(&file.name, &file.text, &mut Findings::default());
    let paths = root.as_ref().and_then(|root| root.member("include"));
    let items = paths.map(|node| node.one_or_many(&mut Findings::default(), "paths"));
    items.into_iter().flatten().filter_map(|item| item.scalar().map(str::to_owned)).collect()
}

/// A relative path that does not climb.
fn is_plain(path: &str) -> bool {
    let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\\', ':', '\0']);
    path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::Sources;

    #[test]
    fn a_path_that_climbs_or_comes_twice_is_not_read() {
        let text = "include: [a.yaml, a.yaml, b/c.yaml, ../d.yaml, /e.yaml, './f.yaml', 'g\\h.yaml', r.yaml]";
        let mut asked = Vec::new();
        let sources = Sources::gather("folder/r.yaml", text, |path| {
            asked.push(path.to_owned());
            Ok::<_, String>(String::new())
        });
        assert_eq!(asked, ["a.yaml", "b/c.yaml"]);
        let names: Vec<&str> = sources.files().map(|file| &*file.name).collect();
        assert_eq!(names, ["folder/r.yaml", "folder/a.yaml", "folder/b/c.yaml"]);
    }

    #[test]
    fn every_file_counts_in_the_digest() {
        let with = |text: &str| {
            Sources::gather("r.yaml", "include: [a.yaml]", |_| Ok::<_, String>(text.to_owned()))
        };
        assert_ne!(with("a").digest(), with("b").digest());
        assert_eq!(Sources::alone("r", "x").digest(), Sources::alone("s", "x").digest());
    }
}
